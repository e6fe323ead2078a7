"""A ruleset in the real program, attached to nothing."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice

from tests.edges import NOW
from xdpctl.datapath.counters import Tally
from xdpctl.datapath.generation import Generation, RuleEntry
from xdpctl.datapath.loading import Content, loaded_program
from xdpctl.datapath.program import RunningProgram
from xdpctl.pylibbpf import Map, ObjectProgram
from xdpctl.rules.compiler import compile_ruleset
from xdpctl.rules.model import Action, Rule, Ruleset

VERDICTS = {Action.DROP: 1, Action.PASS: 2}


class Kernel:
    """Slots are 1 for the first rule, and so on; 0 is the default's."""

    def __init__(self, rules: Ruleset, program: ObjectProgram, running: RunningProgram) -> None:
        self._rules = rules
        self._program = program
        self._running = running

    def run(self, frame: bytes, *, context: bytes | None = None) -> int:
        return self._program.test_run(frame, context=context).retval

    def packets_by_rule(self) -> Counter[str]:
        names = ["default", *(rule.name for rule in self._rules.rules)]
        counts = self._rule_counts()
        return Counter({n: c for n, c in zip(names, counts, strict=True) if c})

    def _rule_counts(self) -> list[int]:
        """Of the default and of each rule: an array's elements come in their order."""
        used = 1 + len(self._rules.rules)
        for map_id in self._program.info.map_ids:
            with Map.from_id(map_id) as found:
                if found.info.name == "rule_counts":
                    counts = islice(found.lookup_batch(used), used)
                    return [sum(cpu.packets for cpu in value) for _, value in counts]
        raise AssertionError("no rule_counts")

    def drop_reasons(self) -> Counter[str]:
        names = self._running.names.drop_reasons
        counted = self._running.read_sum().drop_reasons
        return Counter({n: t.packets for n, t in zip(names, counted, strict=True) if t.packets})


def expires_ns(rule: Rule) -> int:
    """On CLOCK_BOOTTIME, as if it were NOW."""
    if rule.expires is None:
        return 0
    from_now_s = rule.expires - NOW
    return max(1, time.clock_gettime_ns(time.CLOCK_BOOTTIME) + from_now_s * 10**9)


def generation_of(rules: Ruleset) -> Generation:
    compiled = compile_ruleset(rules)
    return Generation(
        compiled,
        [
            RuleEntry(VERDICTS[rule.action], i, expires_ns(rule))
            for i, rule in enumerate(rules.rules, 1)
        ],
        drop_malformed=rules.malformed is Action.DROP,
        drop_by_default=rules.default is Action.DROP,
    )


@contextmanager
def judging(rules: Ruleset) -> Iterator[Kernel]:
    with (
        loaded_program(content=Content(generation_of(rules), b"{}", b"", Tally(0, 0))) as program,
        RunningProgram(program.info.id) as running,
    ):
        yield Kernel(rules, program, running)
