"""The BTF decoder against bpftool, which has libbpf's, on what clang and the kernel produce."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.bpf.conftest import OBJECTS
from tests.unit.btf_blobs import decode_everything
from xdpctl.pylibbpf import Btf
from xdpctl.pylibbpf.btf import Kind, Type

VMLINUX = Path("/sys/kernel/btf/vmlinux")
NAMES = sorted(path.name.removesuffix(".bpf.c") for path in OBJECTS.glob("*.bpf.c"))


@pytest.fixture(scope="module")
def vmlinux() -> Btf:
    return Btf(VMLINUX.read_bytes())


@pytest.fixture(scope="module")
def real(compiled: Callable[[str], Path]) -> dict[str, bytes]:
    return {name: raw_btf(compiled(name)) for name in NAMES}


def raw_btf(path: Path) -> bytes:
    """An object's section of types, cut out by llvm-objcopy."""
    section = path.with_suffix(".btf")
    command = ["llvm-objcopy", f"--dump-section=.BTF={section}", str(path), "/dev/null"]
    subprocess.run(command, check=True)
    return section.read_bytes()


def bpftool_types(path: Path) -> list[dict[str, Any]]:
    command = ["bpftool", "-j", "btf", "dump", "file", str(path), "format", "raw"]
    listing = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return [{"kind": "VOID", "name": "void"}, *listing["types"]]


def as_bpftool_says(type_: Type) -> dict[str, Any]:
    """A type in the words of `bpftool btf dump`."""
    said: dict[str, Any] = {"kind": type_.kind.name, "name": type_.name or "(anon)"}
    match type_.kind:
        case Kind.INT:
            words = {(True, False): "SIGNED", (False, True): "BOOL", (False, False): "(none)"}
            said |= {"size": type_.size, "encoding": words[type_.signed, type_.boolean]}
        case Kind.ARRAY:
            said |= {"type_id": type_.type_id, "nr_elems": type_.length}
        case Kind.STRUCT | Kind.UNION:
            members = []
            for member in type_.members:
                name, width = member.name or "(anon)", member.width_bits
                row = {"name": name, "type_id": member.type_id, "bits_offset": member.offset_bits}
                members.append(row | ({"bitfield_size": width} if width else {}))
            said |= {"size": type_.size, "members": members}
        case Kind.ENUM | Kind.ENUM64:
            said |= {
                "size": type_.size,
                "encoding": "SIGNED" if type_.signed else "UNSIGNED",
                "values": [{"name": name, "val": val} for name, val in type_.values.items()],
            }
        case Kind.DATASEC:
            rows = [{"type_id": m.type_id, "offset": m.offset_bits // 8} for m in type_.members]
            said |= {"size": type_.size, "vars": rows}
        case Kind.FUNC_PROTO:
            said |= {"ret_type_id": type_.type_id}
        case Kind.FLOAT:
            said |= {"size": type_.size}
        case Kind.VOID | Kind.FWD:
            pass
        case _:
            said |= {"type_id": type_.type_id}
    return said


def told(type_: dict[str, Any]) -> dict[str, Any]:
    """What bpftool says and the decoder keeps."""
    left_out = {"id", "vlen", "bits_offset", "nr_bits", "index_type_id", "linkage", "params",
                "fwd_kind", "component_idx"}  # fmt: skip
    kept = {key: value for key, value in type_.items() if key not in left_out}
    if kept["kind"] == "DATASEC":
        kept["vars"] = [{key: var[key] for key in ("type_id", "offset")} for var in kept["vars"]]
    if type_["kind"] == "ENUM" and type_["encoding"] == "UNSIGNED":
        # bpftool 7.1 fills 64 bits with the sign of these 32.
        kept["values"] = [each | {"val": each["val"] & 0xFFFFFFFF} for each in kept["values"]]
    if kept.get("encoding") == "CHAR":
        kept["encoding"] = "(none)"
    return kept


@pytest.mark.parametrize("name", NAMES)
def test_types_of_objects_are_those_that_bpftool_lists(
    compiled: Callable[[str], Path], real: dict[str, bytes], name: str
) -> None:
    ours = [as_bpftool_says(type_) for type_ in Btf(real[name]).types]

    assert ours == [told(type_) for type_ in bpftool_types(compiled(name))]


def test_types_of_the_kernel_are_those_that_bpftool_lists(vmlinux: Btf) -> None:
    theirs = bpftool_types(VMLINUX)

    assert len(vmlinux.types) == len(theirs) > 10_000
    for ours, type_ in zip(vmlinux.types, theirs, strict=True):
        assert as_bpftool_says(ours) == told(type_)


@pytest.mark.parametrize(
    ("struct", "size", "member", "offset"),
    [  # as standards and the kernel's stable interfaces lay them out
        ("ethhdr", 14, "h_proto", 12),
        ("iphdr", 20, "protocol", 9),
        ("ipv6hdr", 40, "hop_limit", 7),
        ("udphdr", 8, "check", 6),
        ("xdp_md", 24, "rx_queue_index", 16),
        ("in6_addr", 16, "in6_u", 0),
    ],
)
def test_well_known_structs_are_laid_out_as_known(
    vmlinux: Btf, struct: str, size: int, member: str, offset: int
) -> None:
    found = vmlinux.find(Kind.STRUCT, struct)
    assert found is not None
    type_ = vmlinux[found]
    [at] = [each.offset_bits for each in type_.members if each.name == member]

    assert (type_.size, at) == (size, offset * 8)


def test_well_known_enums_have_their_values(vmlinux: Btf) -> None:
    verdicts = {"XDP_ABORTED": 0, "XDP_DROP": 1, "XDP_PASS": 2, "XDP_TX": 3, "XDP_REDIRECT": 4}

    assert vmlinux.enum("xdp_action") == verdicts


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(NAMES),
    st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=8),
    st.none() | st.integers(0, 1 << 16),
)
def test_damaged_types_of_objects_raise_nothing_but_btf_errors(
    real: dict[str, bytes], name: str, changes: list[tuple[int, int]], cut: int | None
) -> None:
    raw = bytearray(real[name])
    for at, value in changes:
        raw[at % len(raw)] = value

    decode_everything(bytes(raw[: None if cut is None else cut % len(raw)]))
