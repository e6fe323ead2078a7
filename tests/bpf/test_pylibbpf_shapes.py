"""C values of every shape: what clang lays out and a program sees, against what Python sees."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bpf.conftest import Open
from tests.unit.shapes import plain
from xdpctl.pylibbpf import BtfError, Codec, Object
from xdpctl.pylibbpf.btf import Kind

pytestmark = pytest.mark.usefixtures("nothing_leaks")

PACKET = bytes(64)

FILLED: dict[str, Any] = {  # as objects/shapes.bpf.c initialises it
    "u8": 0xFF,
    "s8": -128,
    "u16": 0xFFFE,
    "s16": -2,
    "u32": 0xFFFFFFFD,
    "s32": -(2**31),
    "u64": 2**64 - 1,
    "s64": -(2**63),
    "yes": True,
    "no": False,
    "text": b"hello",
    "address": bytes.fromhex("20010db8000000000000000000000001"),
    "inner": {"tag": 1, "count": 2},
    "pair": ({"tag": 3, "count": 4}, {"tag": 5, "count": 6}),
    "matrix": ((1, 2, 3), (4, 5, 6)),
    "v4": 0x04030201,
    "v6": bytes([1, 2, 3, 4, 5]) + bytes(10) + b"\x10",
    "left": 7,
    "right": 8,
    "both": {"bytes": {"low": 1, "high": 2}, "word": 0x0201},
    "color": 0x7FFFFFFF,
    "pointer": 0xFFFF888000001000,
    "wide": 0x0123456789ABCDEF_FEDCBA9876543210,
    "signed_wide": -2,
    "single": 1.5,
    "twice": -0.1,
    "bits": {
        "low": 5, "middle": -16, "rest": 0xABCDEF, "large": 0xFEDCBA9876, "flag": True,
        "whole": 0xBEEF,
    },
}  # fmt: skip


def level(obj: Object, name: str) -> int:
    """clang older than 15 does not say in BTF that an enum is signed: it tells -3 as 2^32 - 3."""
    assert obj.btf is not None
    type_id = obj.btf.find(Kind.ENUM, "level")
    assert type_id is not None
    signed = obj.btf[type_id].signed
    return {"LOW": -3 if signed else 2**32 - 3, "HIGH": 4}[name]


@pytest.fixture
def obj(loaded: Open) -> Object:
    return loaded("shapes")


@pytest.mark.parametrize("way", ["variable", "map"])
def test_what_c_wrote_reads_as_it_was_written(obj: Object, way: str) -> None:
    assert obj.programs.t_fill.test_run(PACKET).retval == 0
    read = obj.data.filled if way == "variable" else obj.maps.shapes[0]

    assert plain(read) == FILLED | {"level": level(obj, "LOW")}
    assert read.yes is True


def test_what_python_wrote_is_byte_for_byte_what_c_wrote(obj: Object) -> None:
    assert obj.programs.t_compare.test_run(PACKET).retval > 20
    obj.maps.shapes[1] = FILLED | {"level": level(obj, "LOW")}

    assert obj.programs.t_compare.test_run(PACKET).retval == 0


def test_what_was_read_can_be_written_back(obj: Object) -> None:
    obj.programs.t_fill.test_run(PACKET)
    obj.maps.shapes[1] = obj.maps.shapes[0]
    assert obj.programs.t_compare.test_run(PACKET).retval == 0

    obj.maps.shapes[1] = vars(obj.maps.shapes[0]) | {"u32": 1}
    assert obj.programs.t_compare.test_run(PACKET).retval == 1


def test_either_member_of_a_union_will_do(obj: Object) -> None:
    whole = FILLED | {"level": level(obj, "LOW")}
    for left_out in ("v4", "pointer"):
        obj.maps.shapes[1] = {name: value for name, value in whole.items() if name != left_out}
        differing = 0 if left_out == "v4" else 1
        assert obj.programs.t_compare.test_run(PACKET).retval == differing
    with pytest.raises(BtfError, match="contradict"):
        obj.maps.shapes[1] = whole | {"v4": 1}


@pytest.mark.parametrize("name", ["LOW", "HIGH"])
def test_structs_are_keys_and_enums_are_values(obj: Object, name: str) -> None:
    value = level(obj, name)
    obj.maps.levels[{"tag": 9, "count": 1000}] = value

    retval = obj.programs.t_level.test_run(PACKET).retval
    assert retval == {"LOW": -3, "HIGH": 4}[name] % 2**32
    [(key, read)] = obj.maps.levels.items()
    assert (key.tag, key.count, read) == (9, 1000, value)
    assert obj.btf is not None
    assert obj.btf.enum("level")[name] == value


def test_padding_of_a_key_is_zero_so_that_it_is_found(obj: Object) -> None:
    obj.maps.levels[{"tag": 9, "count": 1000}] = 4

    for key in ({"tag": 9, "count": 1000}, next(iter(obj.maps.levels))):
        assert obj.maps.levels[key] == 4
        assert key in obj.maps.levels


@pytest.mark.parametrize(
    "change",
    [
        {"u8": 256}, {"s8": 128}, {"s8": -129}, {"u64": -1}, {"s64": 2**63}, {"wide": 2**128},
        {"signed_wide": 2**127}, {"bits": {"low": 8}}, {"bits": {"middle": 16}},
        {"bits": {"large": 2**40}}, {"bits": {"low": -1}}, {"single": 1e39}, {"text": b"longer"},
        {"address": "2001:db8::1 and more"}, {"pair": ()}, {"matrix": ((1, 2), (3, 4))},
        {"inner": 1}, {"inner": {"tags": 1}}, {"Text": b""}, {"pointer": -1},
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_and_nothing_written(
    obj: Object, change: dict[str, Any]
) -> None:
    with pytest.raises(BtfError):
        obj.maps.shapes[1] = change
    with pytest.raises(BtfError):
        obj.data.filled = change
    assert not obj.maps.shapes[1].u8
    assert obj.data.filled.u8 == 255


def test_any_bytes_read_and_written_back_read_the_same(opened: Open) -> None:
    btf = opened("shapes").btf
    assert btf is not None
    codec = Codec(btf, btf.find(Kind.STRUCT, "shape") or 0)

    @settings(deadline=None)
    @given(st.binary(min_size=codec.size, max_size=codec.size))
    def check(raw: bytes) -> None:
        once = codec.encode(codec.decode(raw))
        assert codec.encode(codec.decode(once)) == once

    check()
