"""C types for Hypothesis: each knows its BTF, its values and, by Python's own integer arithmetic,
the bytes of a value. Offsets are arbitrary, as a compiler for some machine might choose them.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

from hypothesis import strategies as st

from tests.unit.btf_blobs import BOOL, CHAR, SIGNED, Blob
from xdpctl.pylibbpf import Record


@dataclass(frozen=True)
class Shape:
    """A type: `emit` adds it to a blob, `pack` gives the bytes of one of its `values`. Members of a
    struct are a dict; those of a nameless one are its parent's."""

    size: int
    emit: Callable[[Blob], int]
    values: st.SearchStrategy[Any]
    pack: Callable[[Any], bytes]
    is_struct: bool = False


def integer(size: int, signed: bool, emit: Callable[[Blob], int] | None = None) -> Shape:
    low, high = (
        (-1 << size * 8 - 1, (1 << size * 8 - 1) - 1) if signed else (0, (1 << size * 8) - 1)
    )
    return Shape(
        size,
        emit or (lambda blob: blob.integer(size, SIGNED if signed else 0)),
        st.one_of(st.sampled_from([low, high]), st.integers(low, high)),
        lambda value: value.to_bytes(size, sys.byteorder, signed=signed),
    )


def array(element: Shape, length: int) -> Shape:
    return Shape(
        element.size * length,
        lambda blob: blob.array(element.emit(blob), length),
        st.tuples(*[element.values] * length),
        lambda value: b"".join(map(element.pack, value)),
    )


def text(length: int, encoding: int) -> Shape:
    return Shape(
        length,
        lambda blob: blob.array(blob.integer(1, encoding), length),
        st.binary(min_size=length, max_size=length),
        bytes,
    )


def floating(size: int, format_: str) -> Shape:
    return Shape(
        size,
        lambda blob: blob.floating(size),
        st.floats(width=size * 8, allow_nan=False),
        lambda value: struct.pack(format_, value),
    )


def structure(members: list[tuple[Shape, int, bool]], tail: int, names: count[int]) -> Shape:
    """Members with the gap before each and, for structs, whether they are nameless."""
    placed: list[tuple[str, Shape, int]] = []
    end = 0
    for shape, gap, nameless in members:
        name = "" if nameless and shape.is_struct else f"m{next(names)}"
        placed.append((name, shape, end + gap))
        end += gap + shape.size

    def emit(blob: Blob) -> int:
        rows = [(name, shape.emit(blob), at * 8) for name, shape, at in placed]
        return blob.struct(end + tail, rows)

    def merge(parts: tuple[Any, ...]) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for (name, _, _), part in zip(placed, parts, strict=True):
            merged |= {name: part} if name else part
        return merged

    def pack(value: dict[str, Any]) -> bytes:
        data = bytearray(end + tail)
        for name, shape, at in placed:
            data[at : at + shape.size] = shape.pack(value[name] if name else value)
        return bytes(data)

    parts = st.tuples(*[shape.values for _, shape, _ in placed])
    return Shape(end + tail, emit, parts.map(merge), pack, is_struct=True)


def bit_fields(widths: list[tuple[int, bool, int]], names: count[int]) -> Shape:
    """Width, signedness and gap before each, in bits."""
    placed = []
    end = 0
    for width, signed, gap in widths:
        placed.append((f"b{next(names)}", width, signed, end + gap))
        end += gap + width
    size = -(-end // 8)

    def emit(blob: Blob) -> int:
        base = {flag: blob.integer(8, SIGNED if flag else 0) for flag in (False, True)}
        rows = [(name, base[signed], width << 24 | at) for name, width, signed, at in placed]
        return blob.struct(size, rows, bit_fields=True)

    def pack(value: dict[str, int]) -> bytes:
        whole = sum((value[name] & (1 << width) - 1) << at for name, width, _, at in placed)
        return whole.to_bytes(size, "little")

    values = {
        name: st.integers(-1 << width - 1, (1 << width - 1) - 1)
        if signed
        else st.integers(0, (1 << width) - 1)
        for name, width, signed, _ in placed
    }
    return Shape(size, emit, st.fixed_dictionaries(values), pack, is_struct=True)


def shapes() -> st.SearchStrategy[Shape]:
    names = count()
    scalars = st.one_of(
        st.builds(integer, st.sampled_from([1, 2, 4, 8, 16]), st.booleans()),
        st.just(integer(8, False, Blob.pointer)),
        st.just(integer(4, True, lambda blob: blob.enum({"A": -1}, signed=True))),
        st.just(integer(4, False, lambda blob: blob.enum({"A": 1}))),
        st.just(integer(8, True, lambda blob: blob.enum64({"A": -1}, signed=True))),
        st.just(Shape(1, lambda blob: blob.integer(1, BOOL), st.booleans(), lambda v: bytes([v]))),
        st.just(floating(4, "=f")),
        st.just(floating(8, "=d")),
        st.builds(text, st.integers(1, 20), st.sampled_from([0, CHAR, SIGNED, CHAR | SIGNED])),
        st.builds(
            bit_fields,
            st.lists(
                st.tuples(st.integers(1, 64), st.booleans(), st.integers(0, 9)),
                min_size=1,
                max_size=5,
            ),
            st.just(names),
        ),
    )

    def composed(inner: st.SearchStrategy[Shape]) -> st.SearchStrategy[Shape]:
        member = st.tuples(inner, st.integers(0, 7), st.booleans())
        # An array of one-byte integers is text, of which there is enough already.
        elements = inner.filter(lambda shape: shape.size > 1)
        return st.one_of(
            st.builds(array, elements, st.integers(1, 4)),
            st.builds(
                structure,
                st.lists(member, min_size=1, max_size=5),
                st.integers(0, 7),
                st.just(names),
            ),
        )

    return st.recursive(scalars, composed, max_leaves=12)


def plain(value: Any) -> Any:
    """Records as dicts, all the way down."""
    if isinstance(value, Record):
        return {name: plain(each) for name, each in vars(value).items()}
    return tuple(map(plain, value)) if isinstance(value, tuple) else value
