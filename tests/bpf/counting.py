"""Runs frames through the real program and says what it counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from xdpctl.datapath.counters import Counters, Tally
from xdpctl.datapath.loading import loaded_program
from xdpctl.datapath.program import RunningProgram
from xdpctl.pylibbpf import ObjectProgram, RunResult

PASS, DROP, ABORTED = 2, 1, 0  # enum xdp_action


@dataclass(frozen=True)
class Counted:
    """What one run of a frame added to the counters, by name and without the zeros."""

    run: RunResult
    protocols: dict[str, Tally]
    verdicts: dict[str, Tally]
    malformed: dict[str, int]
    sizes: dict[tuple[int, int | None], int]


class Bench:
    """The program with its counters, attached to nothing."""

    def __init__(self, program: ObjectProgram, running: RunningProgram) -> None:
        self.program = program
        self.running = running

    def run(self, frame: bytes, *, context: bytes | None = None, repeat: int = 1) -> Counted:
        before = self.running.read_sum()
        run = self.program.test_run(frame, context=context, repeat=repeat)
        return self._named(run, self.running.read_sum().since(before))

    def _named(self, run: RunResult, new: Counters) -> Counted:
        names = self.running.names
        return Counted(
            run,
            {n: t for n, t in zip(names.protocols, new.protocols, strict=True) if any(t)},
            {n: t for n, t in zip(names.verdicts, new.verdicts, strict=True) if any(t)},
            {n: p for n, p in zip(names.malformed, new.malformed, strict=True) if p},
            {tuple(n): p for n, p in zip(names.sizes, new.sizes, strict=True) if p},
        )


@contextmanager
def bench() -> Iterator[Bench]:
    with loaded_program() as program, RunningProgram(program.info.id) as running:
        yield Bench(program, running)
