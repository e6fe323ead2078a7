"""Our program with 100,000 bans, of more and of fewer prefix lengths."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.programs import compile_object
from xdpctl.datapath.ban_entries import Prefix
from xdpctl.datapath.bans import BanTable, Terms
from xdpctl.datapath.generation import configure
from xdpctl.datapath.interfaces import Interface
from xdpctl.datapath.loading import loaded_program
from xdpctl.datapath.program import PROGRAM_NAME, RunningProgram
from xdpctl.pylibbpf import Object
from xdpctl.pylibbpf.programs import ProgramAccess

BANS = 100_000
LENGTHS = (1, 4, 16)
"""How many prefix lengths are in use."""

_HOST = 32
_BLOCK = 12  # the length of 10.0.0.0/12, 10.16.0.0/12 and so on, one for each prefix length
_FIRST = 10 << 24
_NOWHERE = Interface("bench", 1)


def bans_of(lengths: int) -> list[Prefix]:
    """In 10.0.0.0/8, none inside of another: of the lengths up to /32, as many of each as there can
    be, with hosts for the rest. The hosts are last."""
    found: list[Prefix] = []
    for block in range(1, lengths):
        length = _HOST - lengths + block
        count = min(BANS // lengths, 1 << length - _BLOCK)
        start = _FIRST + (block << _HOST - _BLOCK)
        found += [Prefix(4, start + (n << _HOST - length), length) for n in range(count)]
    # Every ninth address, so that buckets of the hash are what chance makes them.
    return found + [Prefix(4, _FIRST + 9 * n, _HOST) for n in range(BANS - len(found))]


@contextmanager
def banning_program(bans: list[Prefix]) -> Iterator[ProgramAccess]:
    """A counter with these bans."""
    with loaded_program() as program:
        with RunningProgram(program.info.id) as running:
            BanTable(running).add(_NOWHERE, dict.fromkeys(bans, Terms()))
        yield program


@contextmanager
def program_without_bans(folder: Path) -> Iterator[ProgramAccess]:
    """A counter that never asks who is banned."""
    with Object.open(compile_object(folder, "no_bans"), name=PROGRAM_NAME) as obj:
        configure(obj, None)
        for each in (obj.maps.text, obj.maps.ranges):
            each.set_autocreate(False)
        obj.load()
        yield obj.programs[PROGRAM_NAME]
