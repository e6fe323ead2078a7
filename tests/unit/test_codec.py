"""Values to bytes and back, with bytes worked out by hand or by Python's integer arithmetic."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.btf_blobs import BOOL, SIGNED, Blob, codec_of
from tests.unit.shapes import plain, shapes
from xdpctl.pylibbpf import Btf, BtfError, Codec
from xdpctl.pylibbpf.codec import BytesCodec, Record


@settings(deadline=None)
@given(st.data())
def test_every_type_is_written_and_read_as_its_layout_says(data: st.DataObject) -> None:
    shape = data.draw(shapes())
    blob = Blob()
    codec = codec_of(blob, shape.emit(blob))
    value = data.draw(shape.values)

    encoded = codec.encode(value)

    assert codec.size == shape.size
    assert encoded == shape.pack(value)
    assert plain(codec.decode(encoded)) == value
    assert codec.encode(codec.decode(encoded)) == encoded


@settings(deadline=None)
@given(st.data())
def test_what_is_read_from_any_bytes_is_written_as_it_reads(data: st.DataObject) -> None:
    shape = data.draw(shapes())
    blob = Blob()
    codec = codec_of(blob, shape.emit(blob))
    raw = data.draw(st.binary(min_size=shape.size, max_size=shape.size))

    once = codec.encode(codec.decode(raw))

    assert codec.encode(codec.decode(once)) == once


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("size", [1, 2, 4, 8, 16])
def test_integers_have_the_range_of_their_type(size: int, signed: bool) -> None:
    blob = Blob()
    blob.integer(size, SIGNED if signed else 0)
    codec = codec_of(blob)
    bits = size * 8
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)

    for value in (low, high):
        assert codec.decode(codec.encode(value)) == value
    for wrong in (low - 1, high + 1, 1.0, "1", None, b"1", (1,)):
        with pytest.raises(BtfError):
            codec.encode(wrong)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("width", [1, 3, 31, 64])
def test_bit_fields_have_the_range_of_their_width(width: int, signed: bool) -> None:
    blob = Blob()
    base = blob.integer(8, SIGNED if signed else 0)
    blob.struct(16, [("f", base, width << 24 | 5)], bit_fields=True)
    codec = codec_of(blob)
    low, high = (-(2 ** (width - 1)), 2 ** (width - 1) - 1) if signed else (0, 2**width - 1)

    for value in (low, high):
        assert codec.decode(codec.encode({"f": value})).f == value
    for wrong in (low - 1, high + 1, 0.0, "0", None):
        with pytest.raises(BtfError):
            codec.encode({"f": wrong})


def test_a_bit_field_of_bool_is_a_bool() -> None:
    blob = Blob()
    blob.struct(1, [("f", blob.integer(1, BOOL), 1 << 24)], bit_fields=True)

    assert codec_of(blob).decode(b"\1").f is True


def test_bit_fields_lie_from_the_lowest_bit_up_on_little_endian() -> None:
    blob = Blob()
    u32, s32 = blob.integer(4), blob.integer(4, SIGNED)
    blob.struct(4, [("a", u32, 3 << 24), ("b", s32, 5 << 24 | 3), ("c", u32, 24 << 24 | 8)],
                bit_fields=True)  # fmt: skip
    codec = codec_of(blob)

    assert codec.encode({"a": 5, "b": -2, "c": 0x123456}) == bytes([0b11110_101, 0x56, 0x34, 0x12])


@pytest.mark.parametrize("value", [1e300, -1e300, "1", None])
def test_floats_that_do_not_fit_are_refused(value: Any) -> None:
    blob = Blob()
    blob.floating(4)

    with pytest.raises(BtfError):
        codec_of(blob).encode(value)


@pytest.mark.parametrize("size", [3, 12, 16])
def test_floats_of_sizes_that_python_lacks_have_no_values(size: int) -> None:
    blob = Blob()
    blob.floating(size)

    with pytest.raises(BtfError, match="no values"):
        codec_of(blob)


@pytest.mark.parametrize(
    ("value", "encoded"),
    [
        (b"abcd", b"abcd"),
        (b"ab", b"ab\0\0"),
        (b"", b"\0\0\0\0"),
        (bytearray(b"ab"), b"ab\0\0"),
        (memoryview(b"ab"), b"ab\0\0"),
        ("ab", b"ab\0\0"),
        ("é", b"\xc3\xa9\0\0"),
        ([1, 255], b"\1\xff\0\0"),
        ((7,), b"\7\0\0\0"),
    ],
)
def test_arrays_of_bytes_are_filled_up_with_zeros(value: Any, encoded: bytes) -> None:
    blob = Blob()
    blob.array(blob.integer(1), 4)

    assert codec_of(blob).encode(value) == encoded


@pytest.mark.parametrize(
    "value", [b"abcde", "abcdé", [256], [-1], [1.5], ["a"], 4, 0, 1 << 40, True, None, "\udcff"]
)
def test_what_does_not_fit_an_array_of_bytes_is_refused(value: Any) -> None:
    blob = Blob()
    blob.array(blob.integer(1), 4)

    with pytest.raises(BtfError):
        codec_of(blob).encode(value)


@pytest.mark.parametrize("value", [(), (1,), (1, 2, 3), 2, None, (1, 70000), (1, "2")])
def test_what_does_not_fit_an_array_is_refused(value: Any) -> None:
    blob = Blob()
    blob.array(blob.integer(2), 2)

    with pytest.raises(BtfError):
        codec_of(blob).encode(value)


def test_data_is_read_at_an_offset_and_not_behind_its_end() -> None:
    blob = Blob()
    blob.integer(4)
    codec = codec_of(blob)
    data = struct.pack("=BI", 1, 77)

    for kind in (bytes, bytearray, memoryview):
        assert codec.decode(kind(data), 1) == 77
    for offset in (2, 5, 1 << 40):
        with pytest.raises(BtfError):
            codec.decode(data, offset)


def test_a_data_section_of_one_variable_is_that_variable() -> None:
    blob = Blob()
    of_struct = blob.variable(blob.struct(8, [("a", blob.integer(4), 0), ("b", 1, 32)]))
    blob.section(8, [(of_struct, 0, 8)])
    codec = codec_of(blob)

    assert codec.decode(bytes([7, 0, 0, 0, 9, 0, 0, 0])) == Record(a=7, b=9)
    assert codec.encode({"a": 7, "b": 9}) == bytes([7, 0, 0, 0, 9, 0, 0, 0])


@pytest.mark.parametrize("places", [[], [0, 4], [4]])
def test_other_data_sections_have_no_codec(places: list[int]) -> None:
    blob = Blob()
    number = blob.variable(blob.integer(4))
    blob.section(8, [(number, place, 4) for place in places])

    with pytest.raises(BtfError, match="no values"):
        codec_of(blob)


@pytest.mark.parametrize("kind", ["void", "forward", "function", "prototype"])
def test_types_without_values_have_no_codec(kind: str) -> None:
    blob = Blob()
    blob.add(7, 0, name="f")
    blob.add(13, 0)
    blob.add(12, 2, name="g")
    type_id = {"void": 0, "forward": 1, "prototype": 2, "function": 3}[kind]

    with pytest.raises(BtfError, match="no values"):
        Codec(Btf(blob.raw()), type_id)


def test_without_btf_values_are_bytes_or_integers() -> None:
    codec = BytesCodec(4)

    assert codec.encode(1) == struct.pack("=I", 1)
    assert codec.encode(b"abcd") == codec.encode(bytearray(b"abcd")) == b"abcd"
    assert codec.decode(b"xabcd", 1) == b"abcd"
    for wrong in (-1, 1 << 32, b"abc", b"abcde", "abcd", [1, 2, 3, 4], None, {}, 1.0):
        with pytest.raises(BtfError):
            codec.encode(wrong)
