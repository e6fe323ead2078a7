"""The BPF Type Format: what types an object or a loaded program has.

Source: the kernel's Documentation/bpf/btf.rst. The bytes are untrusted: every offset is checked and
every walk is bounded. Turning values into Python objects and back is `codec`'s job.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import NamedTuple

from xdpctl.pylibbpf.errors import BtfError

_HEADER = struct.Struct("=HBBIIIII")
_MAGIC = 0xEB9F
_BTF_BYTES_MAX = 16 << 20  # the kernel's own bound (BTF_MAX_SIZE)
# Names may share their ends. Without a bound a blob could have each type name one huge string.
_NAMES_SHARED_MAX = 4
_RESOLVE_DEPTH_MAX = 32  # the kernel's own bound on nested types (MAX_RESOLVE_DEPTH)


class Kind(IntEnum):
    VOID = 0
    INT = 1
    PTR = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FWD = 7
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNC = 12
    FUNC_PROTO = 13
    VAR = 14
    DATASEC = 15
    FLOAT = 16
    DECL_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19


_MODIFIERS = {Kind.TYPEDEF, Kind.VOLATILE, Kind.CONST, Kind.RESTRICT, Kind.TYPE_TAG}

# What follows the 12 bytes of each type: a format, and whether it comes once or `vlen` times.
_TRAILERS = {
    Kind.INT: ("=I", False),
    Kind.ARRAY: ("=III", False),
    Kind.STRUCT: ("=III", True),
    Kind.UNION: ("=III", True),
    Kind.ENUM: ("=Ii", True),
    Kind.FUNC_PROTO: ("=II", True),
    Kind.VAR: ("=I", False),
    Kind.DATASEC: ("=III", True),
    Kind.DECL_TAG: ("=i", False),
    Kind.ENUM64: ("=III", True),
}


class Member(NamedTuple):
    """A member of a struct or union, a variable of a data section.

    `offset_bits` counts from the start; `width_bits` is 0 unless it is a bit field.
    """

    name: str
    type_id: int
    offset_bits: int
    width_bits: int = 0


class Type(NamedTuple):
    """One type. Which of the fields mean something depends on `kind`."""

    kind: Kind
    name: str
    size: int = 0
    """Bytes: INT, STRUCT, UNION, ENUM, ENUM64, FLOAT, DATASEC."""
    type_id: int = 0
    """The type that this one refers to or is made of: PTR, ARRAY, TYPEDEF, VAR, ..."""
    length: int = 0
    """Elements of an ARRAY."""
    signed: bool = False
    boolean: bool = False
    members: tuple[Member, ...] = ()
    values: Mapping[str, int] = MappingProxyType({})
    """Names and values of an ENUM or ENUM64."""


class Btf:
    """The types of one BTF blob.

    Args:
        raw: the blob as `btf__raw_data()` or `bpf_obj_get_info_by_fd()` gives it, in this
            machine's byte order.

    Raises:
        BtfError: it is cut short, inconsistent or of the other byte order.
    """

    def __init__(self, raw: bytes) -> None:
        self.types = [Type(Kind.VOID, "void"), *_parse(raw)]
        self._by_name: dict[tuple[Kind, str], int] = {}
        for type_id, type_ in enumerate(self.types):
            self._by_name.setdefault((type_.kind, type_.name), type_id)

    def __getitem__(self, type_id: int) -> Type:
        if not 0 <= type_id < len(self.types):
            raise BtfError(f"BTF has no type {type_id}")
        return self.types[type_id]

    def find(self, kind: Kind, name: str) -> int | None:
        """The id of the first type of that kind and name."""
        return self._by_name.get((kind, name))

    def enum(self, name: str) -> Mapping[str, int]:
        """Names and values of an enum. Raises BtfError when there is none of that name."""
        for kind in (Kind.ENUM, Kind.ENUM64):
            type_id = self.find(kind, name)
            if type_id is not None:
                return self.types[type_id].values
        raise BtfError(f"BTF has no enum {name}")

    def resolve(self, type_id: int) -> Type:
        """The type behind any typedefs and qualifiers."""
        type_ = self[type_id]
        for _ in range(_RESOLVE_DEPTH_MAX):
            if type_.kind not in _MODIFIERS:
                return type_
            type_ = self[type_.type_id]
        raise BtfError(f"BTF type {type_id} refers to itself")


def _parse(raw: bytes) -> list[Type]:
    if len(raw) > _BTF_BYTES_MAX:
        raise BtfError(f"BTF of {len(raw)} bytes is too large")
    try:
        return _parse_types(*_sections(raw))
    except struct.error as error:
        raise BtfError(f"BTF is cut short: {error}") from None


def _sections(raw: bytes) -> tuple[bytes, bytes]:
    """The type section and the string section of a blob."""
    magic, version, _, header_length, type_at, type_length, string_at, string_length = (
        _HEADER.unpack_from(raw)
    )
    if magic != _MAGIC:
        raise BtfError("not BTF, or of the other byte order")
    if version != 1 or header_length < _HEADER.size:
        raise BtfError(f"BTF version {version} is not understood")
    type_at += header_length
    string_at += header_length
    if max(type_at + type_length, string_at + string_length) > len(raw):
        raise BtfError("BTF is cut short: a section ends behind the data")
    return raw[type_at : type_at + type_length], raw[string_at : string_at + string_length]


def _parse_types(data: bytes, strings: bytes) -> list[Type]:
    names: dict[int, str] = {}
    names_left = len(strings) * _NAMES_SHARED_MAX

    def name_at(offset: int) -> str:
        nonlocal names_left
        if offset not in names:
            end = strings.find(b"\0", offset)
            if offset >= len(strings) or end < 0:
                raise BtfError("BTF names a string behind its end")
            names_left -= end - offset
            if names_left < 0:
                raise BtfError("BTF has more names than its strings can hold")
            names[offset] = strings[offset:end].decode(errors="replace")
        return names[offset]

    types: list[Type] = []
    at = 0
    while at < len(data):
        name_offset, info, size_or_type = struct.unpack_from("=III", data, at)
        at += 12
        try:
            kind = Kind(info >> 24 & 0x1F)
        except ValueError:
            raise BtfError(f"BTF kind {info >> 24 & 0x1F} is not understood") from None
        trailer, repeated = _TRAILERS.get(kind, ("", False))
        count = (info & 0xFFFF if repeated else 1) if trailer else 0
        size = struct.calcsize(trailer)
        rows = [struct.unpack_from(trailer, data, at + i * size) for i in range(count)]
        at += count * size
        members: list[Member] = []
        values: dict[str, int] = {}
        flag = bool(info >> 31)
        if kind in (Kind.STRUCT, Kind.UNION):
            members = [_member(name_at(name), type_id, at_, flag) for name, type_id, at_ in rows]
        elif kind is Kind.DATASEC:
            members = [Member("", type_id, offset * 8) for type_id, offset, _ in rows]
        elif kind is Kind.ENUM:
            mask = -1 if flag else 0xFFFFFFFF
            values = {name_at(name): value & mask for name, value in rows}
        elif kind is Kind.ENUM64:
            values = {name_at(name): _enum64(low, high, flag) for name, low, high in rows}
        # Only these give a size; for all others the word is the id of another type.
        sized = kind in (
            Kind.INT, Kind.STRUCT, Kind.UNION, Kind.ENUM, Kind.ENUM64, Kind.FLOAT, Kind.DATASEC
        )  # fmt: skip
        encoding = rows[0][0] >> 24 if kind is Kind.INT else 0
        types.append(
            Type(
                kind=kind,
                name=name_at(name_offset),
                size=size_or_type if sized else 0,
                type_id=rows[0][0] if kind is Kind.ARRAY else 0 if sized else size_or_type,
                length=rows[0][2] if kind is Kind.ARRAY else 0,
                signed=bool(encoding & 1) or (kind in (Kind.ENUM, Kind.ENUM64) and flag),
                boolean=bool(encoding & 4),
                members=tuple(members),
                values=values,
            )
        )
    return types


def _member(name: str, type_id: int, offset: int, has_widths: bool) -> Member:
    if has_widths:  # 24 bits of offset, 8 bits of bit-field width
        return Member(name, type_id, offset & 0xFFFFFF, offset >> 24)
    return Member(name, type_id, offset)


def _enum64(low: int, high: int, signed: bool) -> int:
    value = high << 32 | low
    return value - (1 << 64) if signed and value >> 63 else value
