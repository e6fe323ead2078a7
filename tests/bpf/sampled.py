"""Readers of packets of the real program, which is attached to nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from xdpctl.datapath.contents import content_of
from xdpctl.datapath.loading import loaded_program
from xdpctl.datapath.program import SAMPLING, RunningProgram
from xdpctl.datapath.sample_slots import ProgramReader
from xdpctl.datapath.sampling import Sample, Wanted
from xdpctl.pylibbpf import ObjectProgram
from xdpctl.rules.model import Ruleset
from xdpctl.rules.reading import read_text

EVERYTHING = Wanted()


class Sampled(NamedTuple):
    program: ObjectProgram
    running: RunningProgram

    @contextmanager
    def reader(
        self, wanted: Wanted = EVERYTHING, *, ring_bytes: int = 1 << 20
    ) -> Iterator[ProgramReader]:
        with ProgramReader("eth0", wanted, ring_bytes=ring_bytes) as made:
            made.follow(RunningProgram(self.running.program_id))
            yield made

    def send(self, *frames: bytes, context: bytes | None = None) -> list[int]:
        """Their verdicts, as the kernel is given them."""
        return [self.program.test_run(each, context=context).retval for each in frames]

    @property
    def active(self) -> int:
        """Bits of readers."""
        return int(self.running.map(SAMPLING)[0].active) & 0xFF

    def expire(self, number: int) -> None:
        """As if a reader had been killed five seconds ago."""
        readers = self.running.map("sample_readers")
        lease_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 1
        record = {
            name: each
            for name, each in vars(readers[number]).items()
            if name not in ("present", "samples", "filter")
        }
        readers[number] = record | {"lease_ns": lease_ns}


@contextmanager
def sampled(
    rules: Ruleset | str | None = None, successor_of: RunningProgram | None = None
) -> Iterator[Sampled]:
    """
    Args:
        rules: also as the text of a file; without any it is a bare counter.
    """
    if isinstance(rules, str):
        rules = read_text(rules, "rules.yaml", time.time()).ruleset
    content = None if rules is None else content_of(rules, successor_of)
    with (
        loaded_program(content=content, successor_of=successor_of) as program,
        RunningProgram(program.info.id) as running,
    ):
        yield Sampled(program, running)


@contextmanager
def one_cpu() -> Iterator[None]:
    """What is counted down on each CPU is, meanwhile, on one."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def frames_of(samples: list[Sample]) -> list[bytes]:
    return [each.data for each in samples]
