"""Structs and unions as Python objects, and what is taken for one."""

from __future__ import annotations

import struct
from collections import namedtuple
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.btf_blobs import CHAR, SIGNED, Blob, codec_of
from xdpctl.pylibbpf import BtfError, Codec, Record


def pair() -> Codec:
    """struct { u8 tag; u32 numbers[2]; char text[4]; struct { s16 x; } inner; }, with padding."""
    blob = Blob()
    u8, u32, s16 = blob.integer(1), blob.integer(4), blob.integer(2, SIGNED)
    text, numbers = blob.array(blob.integer(1, CHAR), 4), blob.array(u32, 2)
    inner = blob.struct(2, [("x", s16, 0)])
    blob.struct(20, [("tag", u8, 0), ("numbers", numbers, 32), ("text", text, 96),
                     ("inner", inner, 128)])  # fmt: skip
    return codec_of(blob)


def either() -> Codec:
    """union { u8 small; u32 words[2]; struct { u8 a; u32 b; } both; }"""
    blob = Blob()
    u8, u32 = blob.integer(1), blob.integer(4)
    both = blob.struct(8, [("a", u8, 0), ("b", u32, 32)])
    words = blob.array(u32, 2)
    blob.struct(8, [("small", u8, 0), ("words", words, 0), ("both", both, 0)], union=True)
    return codec_of(blob)


def test_members_that_are_not_given_are_zero_whatever_their_type() -> None:
    codec = pair()

    assert codec.encode({}) == bytes(20)
    assert codec.encode(Record()) == bytes(20)
    assert codec.encode({"tag": 9}) == b"\x09" + bytes(19)
    assert codec.encode({"inner": {}}) == bytes(20)


def test_a_struct_is_given_as_a_mapping_or_as_an_object() -> None:
    @dataclass
    class Inner:
        x: int

    numbers, text = (1, 2), b"text"
    encoded = struct.pack("=B3x2I4sh2x", 9, *numbers, text, -3)
    values = (
        {"tag": 9, "numbers": numbers, "text": text, "inner": {"x": -3}},
        SimpleNamespace(tag=9, numbers=numbers, text=text, inner=Inner(-3)),
        namedtuple("Pair", "tag numbers text inner")(9, numbers, text, Record(x=-3)),
    )

    for value in values:
        assert pair().encode(value) == encoded
    assert pair().decode(encoded) == Record(tag=9, numbers=numbers, text=text, inner=Record(x=-3))


@pytest.mark.parametrize(
    "value",
    [5, 0, 1.5, None, "tag", b"", b"x" * 20, (), (1, 2), [], object(), {"Tag": 1}, {1: 2},
     {"tag": 1, "inner": {"y": 1}}, {"inner": 7}, Record(other=1), {"tag": None}],
)  # fmt: skip
def test_what_is_no_such_struct_is_refused(value: Any) -> None:
    with pytest.raises(BtfError):
        pair().encode(value)


def test_one_member_of_a_union_leaves_the_rest_zero() -> None:
    codec = either()

    assert codec.encode({"small": 7}) == b"\7" + bytes(7)
    assert codec.encode({"words": (1, 2)}) == struct.pack("=II", 1, 2)
    assert codec.encode({"both": {"a": 1, "b": 2}}) == struct.pack("=B3xI", 1, 2)
    assert codec.encode(b"\1\2\3\4\5\6\7\x08") == b"\1\2\3\4\5\6\7\x08"
    assert codec.encode({}) == bytes(8)


@settings(deadline=None)
@given(st.binary(min_size=8, max_size=8))
def test_a_union_that_was_read_is_written_back_whole(raw: bytes) -> None:
    codec = either()
    record = codec.decode(raw)

    assert record.small == raw[0]
    assert record.words == struct.unpack("=II", raw)
    assert record.both == Record(a=raw[0], b=struct.unpack("=I", raw[4:])[0])
    assert codec.encode(record) == raw
    assert codec.encode(vars(record)) == raw


@pytest.mark.parametrize(
    "value",
    [{"small": 1, "words": (2, 0)}, {"words": (1, 2), "both": {"a": 1, "b": 3}}, b"1234567", b"",
     b"123456789", {"large": 1}, 5],
)  # fmt: skip
def test_members_of_a_union_that_contradict_each_other_are_refused(value: Any) -> None:
    with pytest.raises(BtfError):
        either().encode(value)


@settings(deadline=None)
@given(st.binary(min_size=4, max_size=4))
@example(b"\x00\x00\x81\x7f")  # a signalling NaN, which reading makes a quiet one
def test_a_union_of_a_float_and_its_bits_is_written_back_nan_or_not(raw: bytes) -> None:
    blob = Blob()
    blob.struct(4, [("f", blob.floating(4), 0), ("bits", blob.integer(4), 0)], union=True)
    codec = codec_of(blob)

    assert codec.encode({"bits": codec.decode(raw).bits}) == raw
    assert codec.encode(codec.decode(raw)) == raw


def nameless_union() -> Codec:
    """struct { u8 tag; union { struct { u16 a, b; }; struct { u8 c; u8 d; }; u32 word; }; }"""
    blob = Blob()
    u8, u16, u32 = blob.integer(1), blob.integer(2), blob.integer(4)
    wide = blob.struct(4, [("a", u16, 0), ("b", u16, 16)], name="")
    narrow = blob.struct(2, [("c", u8, 0), ("d", u8, 8)], name="")
    union = blob.struct(4, [("", wide, 0), ("", narrow, 0), ("word", u32, 0)], name="", union=True)
    blob.struct(8, [("tag", u8, 0), ("", union, 32)])
    return codec_of(blob)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        ({"tag": 1, "a": 2, "b": 3}, struct.pack("=B3xHH", 1, 2, 3)),
        ({"tag": 1, "c": 2, "d": 3}, struct.pack("=B3xBB2x", 1, 2, 3)),
        ({"tag": 1, "word": 0x12345678}, struct.pack("=B3xI", 1, 0x12345678)),
        ({"tag": 1}, struct.pack("=B7x", 1)),
        ({"b": 5}, struct.pack("=6xH", 5)),
    ],
)
def test_members_of_nameless_ones_are_their_parents(value: Any, encoded: bytes) -> None:
    codec = nameless_union()

    assert codec.encode(value) == encoded
    decoded = codec.decode(encoded)
    assert vars(decoded).keys() == {"tag", "a", "b", "c", "d", "word"}
    assert vars(decoded).items() >= value.items()
    assert codec.encode(decoded) == encoded


def test_a_record_is_a_copy_and_says_so() -> None:
    record = pair().decode(bytes(20))

    with pytest.raises(AttributeError, match="copy"):
        record.tag = 1
    with pytest.raises(AttributeError):
        _ = record.nothing


def test_members_that_take_no_bytes_are_left_out() -> None:
    blob = Blob()
    u32 = blob.integer(4)
    blob.struct(4, [("n", u32, 0), ("empty", blob.struct(0, []), 32), ("rest", blob.array(u32, 0),
                32)])  # fmt: skip
    codec = codec_of(blob)

    assert codec.decode(b"\1\0\0\0") == Record(n=struct.unpack("=I", b"\1\0\0\0")[0])
    assert codec.encode({"n": 0}) == bytes(4)


def test_a_row_has_the_members_asked_for_at_their_places() -> None:
    row = pair().row("tag", "text")

    assert row.size == 20
    assert row.pack(9, b"text") == struct.pack("=B3x8x4s2x2x", 9, b"text")
    encoded = pair().encode({"tag": 7, "numbers": (1, 2), "text": b"abc", "inner": {"x": -1}})
    assert row.unpack(encoded) == (7, b"abc\0")
    assert pair().row().unpack(encoded) == ()


@pytest.mark.parametrize("names", [("text", "tag"), ("other",), ("numbers",), ("inner",)])
def test_a_row_of_other_members_or_of_another_order_is_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(BtfError):
        pair().row(*names)


def test_a_union_has_no_rows() -> None:
    with pytest.raises(BtfError):
        either().row("small")
