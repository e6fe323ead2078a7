"""The BTF decoder against the kernel's description of the format, and against hostile blobs."""

from __future__ import annotations

import struct
import tracemalloc

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.btf_blobs import BOOL, CHAR, SIGNED, Blob, decode_everything
from xdpctl.pylibbpf import Btf, BtfError
from xdpctl.pylibbpf.btf import Kind, Member

MIB = 1 << 20
hostile = settings(max_examples=400, deadline=None)


def header(raw: bytes, **changes: int) -> bytes:
    """The blob with some fields of its header changed."""
    names = ("magic", "version", "flags", "length", "type_at", "types", "string_at", "strings")
    values = dict(zip(names, struct.unpack_from("=HBBIIIII", raw), strict=True)) | changes
    return struct.pack("=HBBIIIII", *values.values()) + raw[24:]


def every_kind() -> Blob:
    """A blob with a type of each kind; the comments are the ids."""
    blob = Blob()
    blob.integer(4, SIGNED)  # 1
    blob.integer(1, CHAR | SIGNED, "char")  # 2
    blob.integer(1, BOOL, "_Bool")  # 3
    blob.pointer(1)  # 4
    blob.array(2, 6)  # 5
    blob.struct(12, [("a", 1, 0), ("text", 5, 32)], name="pair")  # 6
    blob.struct(4, [("i", 1, 0), ("c", 2, 0)], name="either", union=True)  # 7
    blob.enum({"ON": 1, "OFF": 0}, name="switch")  # 8
    blob.add(7, 0, name="elsewhere")  # 9 forward
    blob.typedef(6, 8, "pair_t")  # 10
    blob.typedef(10, 9)  # 11 volatile
    blob.typedef(11, 10)  # 12 const
    blob.typedef(12, 11)  # 13 restrict
    blob.add(13, 1, struct.pack("=II", blob.string("x"), 1), info=1)  # 14 function prototype
    blob.add(12, 14, name="main")  # 15 function
    blob.add(14, 6, struct.pack("=I", 1), name="variable")  # 16
    blob.add(15, 12, struct.pack("=III", 16, 0, 12), name=".data", info=1)  # 17
    blob.floating(8)  # 18
    blob.add(17, 6, struct.pack("=i", 0), name="a tag")  # 19 declaration tag
    blob.typedef(1, 18, "user")  # 20 type tag
    blob.enum64({"FAR": 1 << 40}, name="distance")  # 21
    return blob


def test_each_kind_of_type_is_understood() -> None:
    btf = Btf(every_kind().raw())

    assert [type_.kind.value for type_ in btf.types] == [
        0, 1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 12, 14, 15, 16, 17, 18, 19,
    ]  # fmt: skip
    assert (btf[1].name, btf[1].size, btf[1].signed, btf[1].boolean) == ("int", 4, True, False)
    assert (btf[2].signed, btf[2].boolean) == (True, False)
    assert btf[3].boolean
    assert btf[4].type_id == 1
    assert (btf[5].type_id, btf[5].length) == (2, 6)
    assert btf[6].members == (Member("a", 1, 0), Member("text", 5, 32))
    assert btf[7].members == (Member("i", 1, 0), Member("c", 2, 0))
    assert btf[8].values == {"ON": 1, "OFF": 0}
    assert btf[16].name == "variable"
    assert btf[17].members == (Member("", 16, 0),)
    assert btf[18].size == 8
    assert btf[21].values == {"FAR": 1 << 40}


def test_typedefs_and_qualifiers_are_looked_through() -> None:
    btf = Btf(every_kind().raw())

    for type_id in (6, 10, 11, 12, 13):
        assert btf.resolve(type_id).name == "pair"
    assert btf.resolve(20).name == "int"


@pytest.mark.parametrize(
    ("signed", "values"),
    [
        (False, {"A": 0, "B": 0x80000000, "C": 0xFFFFFFFF}),
        (True, {"A": -0x80000000, "B": -1, "C": 0x7FFFFFFF}),
    ],
)
def test_the_flag_tells_whether_enums_are_signed(signed: bool, values: dict[str, int]) -> None:
    blob = Blob()
    blob.enum(values, signed=signed, name="narrow")
    wide = {name: value << 32 | 5 for name, value in values.items()}
    blob.enum64(wide, signed=signed, name="wide")
    btf = Btf(blob.raw())

    assert btf.enum("narrow") == values
    assert btf.enum("wide") == wide
    assert (btf[1].signed, btf[2].signed) == (signed, signed)


def test_the_flag_tells_whether_offsets_hold_widths() -> None:
    blob = Blob()
    blob.integer(4)
    blob.struct(8, [("a", 1, 3 << 24 | 5), ("b", 1, 32)], name="bits", bit_fields=True)
    blob.struct(8, [("c", 1, 3 << 24 | 5)], name="plain")
    btf = Btf(blob.raw())

    assert btf[2].members == (Member("a", 1, 5, 3), Member("b", 1, 32, 0))
    assert btf[3].members == (Member("c", 1, 3 << 24 | 5, 0),)


def test_types_are_found_by_kind_and_name_the_first_one_first() -> None:
    blob = Blob()
    blob.integer(4, name="x")
    blob.struct(4, [], name="x")
    blob.struct(8, [], name="x")
    btf = Btf(blob.raw())

    assert btf.find(Kind.INT, "x") == 1
    assert btf.find(Kind.STRUCT, "x") == 2
    assert btf.find(Kind.UNION, "x") is None
    with pytest.raises(BtfError, match="no enum x"):
        btf.enum("x")


@pytest.mark.parametrize("type_id", [-1, 22, 1 << 32])
def test_there_is_no_type_behind_the_last(type_id: int) -> None:
    with pytest.raises(BtfError, match="no type"):
        Btf(every_kind().raw())[type_id]


def test_sections_may_come_in_any_order_and_apart() -> None:
    blob = every_kind()
    types, strings = len(blob.types), len(blob.strings)
    at = {"type_at": strings + 7, "types": types, "string_at": 0, "strings": strings}
    raw = header(blob.raw()[:24], **at) + blob.strings + b"\xff" * 7 + blob.types

    assert Btf(raw).types == Btf(blob.raw()).types


def test_a_longer_header_of_the_future_is_skipped() -> None:
    raw = every_kind().raw()

    longer = header(raw, length=32)[:24] + b"\xff" * 8 + raw[24:]

    assert Btf(longer).types == Btf(raw).types


@pytest.mark.parametrize(
    "changes",
    [
        {"magic": 0x9FEB},  # the other byte order
        {"version": 2},
        {"length": 23},
        {"length": 0xFFFFFFFF},
        {"types": 0xFFFFFFFF},
        {"strings": 0xFFFFFFFF},
        {"type_at": 0xFFFFFFFF},
        {"string_at": 0xFFFFFFFF},
        {"types": 3},
        {"types": 13},
        {"strings": 0},
        {"strings": 5},  # cuts a name
    ],
)
def test_a_header_that_lies_is_refused(changes: dict[str, int]) -> None:
    with pytest.raises(BtfError):
        Btf(header(every_kind().raw(), **changes))


def test_a_blob_cut_anywhere_is_refused() -> None:
    raw = every_kind().raw()

    for length in range(len(raw)):
        with pytest.raises(BtfError):
            Btf(raw[:length])


def test_a_kind_of_the_future_is_refused() -> None:
    blob = Blob()
    blob.add(20, 0)

    with pytest.raises(BtfError, match="kind 20"):
        Btf(blob.raw())


def test_a_string_without_an_end_is_refused() -> None:
    blob = Blob()
    blob.integer(4, name="x")
    blob.strings = blob.strings[:-1]

    with pytest.raises(BtfError, match="string"):
        Btf(blob.raw())


def test_a_blob_larger_than_the_kernel_takes_is_refused_unread() -> None:
    blob = Blob()
    blob.strings += b"\0" * (16 * MIB)

    with pytest.raises(BtfError, match="too large"):
        Btf(blob.raw())


@pytest.mark.parametrize("kind", [8, 9, 10, 11, 18])
def test_types_that_refer_to_themselves_or_each_other_are_refused(kind: int) -> None:
    blob = Blob()
    blob.typedef(1, kind)
    blob.typedef(3, kind)
    blob.typedef(2, kind)
    btf = Btf(blob.raw())

    for type_id in (1, 2, 3):
        with pytest.raises(BtfError, match="refers to itself"):
            btf.resolve(type_id)


@pytest.mark.parametrize("shift", [0, 1])
def test_many_types_of_one_huge_name_take_no_memory_to_match(shift: int) -> None:
    """10,000 types whose names, one byte apart or the same, are 1 MiB each: 10 GiB in all."""
    blob = Blob()
    blob.strings = b"\0" + b"x" * MIB + b"\0"
    names = (1 + i * shift for i in range(10_000))
    blob.types = b"".join(struct.pack("=III", at, 7 << 24, 0) for at in names)

    tracemalloc.start()
    try:
        if shift:
            with pytest.raises(BtfError, match="names"):
                Btf(blob.raw())
        else:
            assert len(Btf(blob.raw()).types) == 10_001
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 30 * MIB


@hostile
@given(st.binary(max_size=512))
def test_random_bytes_raise_nothing_but_btf_errors(data: bytes) -> None:
    decode_everything(data)


@hostile
@given(st.binary(max_size=512), st.binary(max_size=64), st.integers(0, 600))
def test_random_types_raise_nothing_but_btf_errors(types: bytes, strings: bytes, cut: int) -> None:
    blob = Blob()
    blob.types, blob.strings = types, b"\0" + strings + b"\0"

    decode_everything(blob.raw())
    decode_everything(blob.raw()[:cut])


@hostile
@given(
    st.lists(
        st.tuples(st.integers(0, 10_000), st.one_of(st.integers(0, 255), st.integers(0, 32))),
        max_size=8,
    )
)
@example([(24 + 12 * 5, 255)])
def test_damaged_blobs_raise_nothing_but_btf_errors(changes: list[tuple[int, int]]) -> None:
    raw = bytearray(every_kind().raw())
    for at, value in changes:
        raw[at % len(raw)] = value

    decode_everything(bytes(raw))
