"""A ruleset in the real program, attached to nothing."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from tests.edges import NOW
from xdpctl.datapath.ban_entries import Prefix
from xdpctl.datapath.bans import BanTable, Terms
from xdpctl.datapath.counters import Tally
from xdpctl.datapath.generation import Generation, RuleEntry
from xdpctl.datapath.interfaces import Interface
from xdpctl.datapath.limits import NOTHING_KEPT, limit_entries, secret_keys
from xdpctl.datapath.loading import Content, loaded_program
from xdpctl.datapath.program import RunningProgram
from xdpctl.pylibbpf import Map, ObjectProgram
from xdpctl.rules.compiler import compile_ruleset
from xdpctl.rules.model import Action, Rule, Ruleset
from xdpctl.rules.reference import Banned

VERDICTS = {Action.DROP: 1, Action.PASS: 2, Action.LIMIT: 1}
EPOCH = NOW - 86_400
"""0 on the injected clock, in Unix time."""


class Kernel:
    """Slots are 1 for the first rule, and so on, and then those of what limits drop; 0 is the
    default's."""

    def __init__(self, rules: Ruleset, program: ObjectProgram, running: RunningProgram) -> None:
        self._rules = rules
        self._program = program
        self._running = running
        self._clock: Map | None = None

    def run(self, frame: bytes, *, context: bytes | None = None) -> int:
        return self._program.test_run(frame, context=context).retval

    def run_often(self, frame: bytes, repeat: int) -> None:
        self._program.test_run(frame, repeat=repeat)

    def set_clock(self, now_ns: int) -> None:
        """Nanoseconds from EPOCH, where the clock is injected."""
        if self._clock is None:
            self._clock = self._running.map("clock")
        self._clock[0] = now_ns

    def ban(self, bans: Iterable[Banned]) -> None:
        """Where the clock is injected."""
        entries = self._running.map("bans")
        for each in bans:
            bits = 32 if each.version == 4 else 128
            length = bits - (each.last - each.first + 1).bit_length() + 1
            prefix = Prefix(each.version, each.first, length)
            BanTable(self._running).add(Interface("eth0", 1), {prefix: Terms()})
            if each.expires is not None:
                until = int(each.expires - EPOCH) * 10**9
                for key, entry in list(entries.lookup_batch()):
                    if (key.version, key.length) == prefix[::2] and _network(key) == each.first:
                        entries[vars(key)] = {**vars(entry), "expires_ns": until}

    def keys_of_limits(self) -> dict[str, tuple[int, ...]]:
        """The secret keys of their hashes, by name."""
        names = sorted(rule.name for rule in self._rules.rules if rule.limit)
        entries = sorted(self._running.map("limits").lookup_batch()) if names else []
        return {name: tuple(entry.keys) for name, (_, entry) in zip(names, entries, strict=True)}

    def dropped_by_limit(self) -> Counter[str]:
        rules = len(self._rules.rules)
        names = [rule.name for rule in self._rules.rules if rule.limit]
        counts = self._rule_counts(1 + rules + len(names))[1 + rules :]
        return Counter({n: c for n, c in zip(names, counts, strict=True) if c})

    def packets_by_rule(self) -> Counter[str]:
        names = ["default", *(rule.name for rule in self._rules.rules)]
        counts = self._rule_counts(1 + len(self._rules.rules))
        return Counter({n: c for n, c in zip(names, counts, strict=True) if c})

    def _rule_counts(self, used: int) -> list[int]:
        """Of the first slots: an array's elements come in their order."""
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


def _network(key: Any) -> int:
    return int(key.high >> 32 if key.version == 4 else key.high << 64 | key.low)  # noqa: PLR2004


def expires_ns(rule: Rule, *, injected_clock: bool) -> int:
    """On CLOCK_BOOTTIME as if it were NOW, or on the injected clock."""
    if rule.expires is None:
        return 0
    if injected_clock:
        return (rule.expires - EPOCH) * 10**9
    from_now_s = rule.expires - NOW
    return max(1, time.clock_gettime_ns(time.CLOCK_BOOTTIME) + from_now_s * 10**9)


def generation_of(rules: Ruleset, *, injected_clock: bool = False) -> Generation:
    compiled = compile_ruleset(rules)
    slots = range(1, 1 + len(rules.rules))
    limited = [rule.name for rule in rules.rules if rule.limit]
    dropped = {name: slot for slot, name in enumerate(limited, 1 + len(rules.rules))}
    numbers = {plan.name: number for number, plan in enumerate(compiled.limits, 1)}
    return Generation(
        compiled,
        [
            RuleEntry(
                VERDICTS[rule.action],
                slot,
                expires_ns(rule, injected_clock=injected_clock),
                limit=numbers.get(rule.name, 0),
            )
            for slot, rule in zip(slots, rules.rules, strict=True)
        ],
        drop_malformed=rules.malformed is Action.DROP,
        drop_by_default=rules.default is Action.DROP,
        limits=limit_entries(compiled.limits, rules, slots, dropped, NOTHING_KEPT, secret_keys),
        injected_clock=injected_clock,
    )


@contextmanager
def judging(rules: Ruleset, *, injected_clock: bool = False) -> Iterator[Kernel]:
    generation = generation_of(rules, injected_clock=injected_clock)
    with (
        loaded_program(content=Content(generation, b"{}", b"", Tally(0, 0))) as program,
        RunningProgram(program.info.id) as running,
    ):
        yield Kernel(rules, program, running)
