"""A reader and a sample, as bpf/types.h lays them out."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

from xdpctl.datapath.program import NotOursError, RunningProgram
from xdpctl.datapath.sampling import Filter, Wanted
from xdpctl.pylibbpf import Codec
from xdpctl.pylibbpf.btf import Kind

SAMPLE_MEMBERS = (
    "time_ns", "length", "captured", "generation", "slot", "queue", "cpu", "protocol", "verdict",
    "reason", "malformed",
)  # fmt: skip

_ALL = (1 << 32) - 1
_ANY_PORT = (0, 65535)


def header_of(program: RunningProgram) -> struct.Struct:
    """Unpacks SAMPLE_MEMBERS; the frame's bytes come behind. Raises NotOursError."""
    type_id = program.btf.find(Kind.STRUCT, "sample")
    if type_id is None:
        raise NotOursError("the program hands out no samples")
    return Codec(program.btf, type_id).row(*SAMPLE_MEMBERS)


def wanted_record(wanted: Wanted, slot: int, program: RunningProgram) -> dict[str, Any]:
    """What a reader wants, of struct sample_reader.

    Args:
        slot: of the rule that is wanted.
    """
    names = program.names
    everything = Wanted(one_in=wanted.one_in, bytes=wanted.bytes)
    return {
        "one_in": wanted.one_in,
        "bytes": wanted.bytes,
        "verdicts": _bits(wanted.verdicts, names.verdicts),
        "reasons": _bits(wanted.reasons, names.drop_reasons),
        "slot": slot,
        "asks_for_each": int(wanted != everything),
        "filter": _filter_record(wanted.filter, program.btf.enum("present")),
    }


def _bits(wanted: Sequence[str], names: Sequence[str]) -> int:
    """Those of some names among all; of none of them all that there can be."""
    if not wanted:
        return _ALL
    return sum(1 << names.index(each) for each in wanted)


def _filter_record(wanted: Filter, present: Mapping[str, int]) -> dict[str, Any]:
    """struct sample_filter."""
    asks = 0
    if wanted.version:
        asks |= present[f"HAS_IPV{wanted.version}"]
    if wanted.protocol is not None:
        asks |= present["HAS_PROTOCOL"]
    if wanted.source_port or wanted.destination_port:
        asks |= present["HAS_PORTS"]
    return {
        "asks": asks,
        "some_protocol": int(wanted.protocol is not None),
        "protocol": wanted.protocol or 0,
        "source_port": wanted.source_port or _ANY_PORT,
        "destination_port": wanted.destination_port or _ANY_PORT,
        "source": wanted.source._asdict(),
        "destination": wanted.destination._asdict(),
    }
