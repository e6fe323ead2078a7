"""BTF that lies about its types must cost a reader neither time nor memory, only a BtfError."""

from __future__ import annotations

import pytest

from tests.unit.btf_blobs import Blob
from xdpctl.pylibbpf import Btf, BtfError, Codec


def refused(blob: Blob, type_id: int | None = None) -> None:
    with pytest.raises(BtfError):
        Codec(Btf(blob.raw()), type_id or blob.count)


@pytest.mark.parametrize("union", [False, True])
def test_a_type_that_contains_itself_is_refused(union: bool) -> None:
    blob = Blob()
    blob.struct(8, [("a", 1, 0), ("b", 1, 0)], union=union)
    blob.array(2, 1)
    blob.struct(8, [("a", 4, 0)], union=union)
    blob.struct(8, [("a", 3, 0)], union=union)

    for type_id in (1, 2, 3, 4):
        refused(blob, type_id)


@pytest.mark.parametrize("length", [1 << 24 | 1, 1 << 31, (1 << 32) - 1])
@pytest.mark.parametrize("element_bytes", [0, 1, 8])
def test_huge_arrays_are_refused(length: int, element_bytes: int) -> None:
    blob = Blob()
    element = blob.integer(element_bytes) if element_bytes else blob.struct(0, [])
    blob.array(element, length)

    refused(blob)


@pytest.mark.parametrize("element", ["struct without members", "bool", "nested struct"])
def test_arrays_of_millions_of_values_are_refused(element: str) -> None:
    blob = Blob()
    if element == "bool":
        blob.struct(1, [("b", blob.integer(1, 4), 0)])
    else:
        blob.struct(1, [])
        for _ in range(20 if element == "nested struct" else 0):
            blob.struct(1, [("inner", blob.count, 0)])
    blob.array(blob.count, 1 << 24)

    refused(blob)


@pytest.mark.parametrize("union", [False, True])
def test_exponential_nesting_is_refused(union: bool) -> None:
    """Each type contains the one before twice: some 2^31 values, in one byte if it is a union."""
    blob = Blob()
    size = 1
    blob.integer(1)
    for _ in range(31):
        inner = blob.count
        size *= 1 if union else 2
        at = 0 if union else size * 4 & 0xFFFFFFFF
        blob.struct(size, [("a", inner, 0), ("b", inner, at)], union=union)

    refused(blob)


def test_exponential_nesting_of_nothing_is_nothing() -> None:
    blob = Blob()
    blob.struct(0, [])
    for _ in range(31):
        blob.struct(0, [("a", blob.count, 0), ("b", blob.count, 0)])
    codec = Codec(Btf(blob.raw()), blob.count)

    assert vars(codec.decode(b"")) == {}


def test_a_union_of_thousands_of_large_members_is_refused() -> None:
    blob = Blob()
    large = blob.array(blob.integer(1), 1 << 24)
    blob.struct(1 << 24, [(f"m{i}", large, 0) for i in range(5000)], union=True)

    refused(blob)


def test_thousands_of_bit_fields_in_a_large_struct_are_read_each_on_its_own() -> None:
    blob = Blob()
    u64 = blob.integer(8)
    rows = [(f"b{i}", u64, 1 << 24 | i) for i in range(5000)]
    blob.struct(1 << 20, rows, bit_fields=True)
    codec = Codec(Btf(blob.raw()), blob.count)

    record = codec.decode(b"\xff" + bytes((1 << 20) - 1))

    assert sum(vars(record).values()) == 8


def test_depth_is_counted_in_whatever_order_types_are_asked_for() -> None:
    blob = Blob()
    blob.integer(4)
    for _ in range(2000):
        blob.struct(4, [("inner", blob.count, 0)])
    btf = Btf(blob.raw())

    deepest = 1
    with pytest.raises(BtfError, match="deeply"):
        while True:
            Codec(btf, deepest + 1)
            deepest += 1
    assert 16 <= deepest <= 64
    refused(blob)


def test_members_behind_the_end_or_over_each_other_are_refused() -> None:
    blob = Blob()
    u32 = blob.integer(4)
    for union, rows in (
        (False, [("a", u32, 32)]),
        (False, [("a", u32, 0), ("b", u32, 0)]),
        (False, [("a", u32, 0xFFFFFFFF)]),
        (True, [("a", u32, 8)]),
    ):
        blob.struct(4, rows, union=union)
        refused(blob)
    blob.struct(4, [("a", u32, 8 << 24 | 25)], bit_fields=True)
    refused(blob)


@pytest.mark.parametrize("bit_fields", [False, True])
def test_nameless_members_that_are_no_structs_are_left_out(bit_fields: bool) -> None:
    blob = Blob()
    u32 = blob.integer(4)
    width = 3 << 24 if bit_fields else 0
    blob.struct(12, [("", u32, width), ("x", u32, 32), ("", blob.array(u32, 1), 64)],
                bit_fields=bit_fields)  # fmt: skip
    codec = Codec(Btf(blob.raw()), blob.count)

    assert vars(codec.decode(bytes(12))) == {"x": 0}
    assert codec.encode({"x": 1})[4:8] != bytes(4)


def test_integers_of_sizes_that_c_lacks_are_refused() -> None:
    for size in (0, 3, 5, 32, 0xFFFFFFFF):
        blob = Blob()
        blob.add(1, size, bytes(4), name="odd")
        refused(blob)
