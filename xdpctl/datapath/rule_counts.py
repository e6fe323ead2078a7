"""What the rules of a program have counted, read again and again at little cost.

Of the slots only those that the ruleset uses are read, and of what is read only what has changed is
decoded: most of thousands of rules are idle. The ruleset's text is read once, for a program's
ruleset never changes; baselines do, when rules are reset.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any, NamedTuple

from xdpctl.datapath.counters import Tally
from xdpctl.datapath.generation import DEFAULT_SLOT
from xdpctl.datapath.program import NotOursError, RunningProgram
from xdpctl.datapath.slots import NO_TALLY, less, read_stored
from xdpctl.pylibbpf import Map
from xdpctl.rules.stored import StoredRuleset


class RuleCounts(NamedTuple):
    """A ruleset, and what its rules, in their order, and its default have counted."""

    stored: StoredRuleset
    rules: tuple[Tally, ...]
    default: Tally


class _Tallies:
    """The first elements of an array map as tallies."""

    def __init__(self, map_: Map, elements: int, tally_of: Callable[[Any], Tally]) -> None:
        """`tally_of` finds the tally in a value."""
        self._map = map_
        self._elements = elements
        self._tally_of = tally_of
        self._known: list[tuple[bytes, Tally]] = [(b"", NO_TALLY)] * elements

    def read(self) -> list[Tally]:
        """Raises BpfError; AttributeError where values are laid out otherwise."""
        values = self._map.lookup_batch(self._elements, raw=True)
        for index, value in islice(values, self._elements):
            if index < self._elements and value != self._known[index][0]:
                self._known[index] = value, self._tally_of(self._map.decode(value))
        return [tally for _, tally in self._known]


class RuleReader:
    """Reads the counts of one program's rules, for as long as that is open."""

    def __init__(self, program: RunningProgram) -> None:
        """Raises NotOursError, NotStored, BpfError."""
        self._stored = read_stored(program)
        if self._stored is not None:
            slots = max(self._stored.slots, default=DEFAULT_SLOT) + 1
            counts, rules = program.map("rule_counts"), program.kept_rules()
            self._totals = _Tallies(counts, min(slots, counts.info.max_entries), _sum)
            self._baselines = _Tallies(rules, len(self._stored.rules), _baseline)
            self._meta = program.map("meta")

    def read(self) -> RuleCounts | None:
        """None for a bare counter. Raises NotOursError, BpfError."""
        if self._stored is None:
            return None
        try:
            totals, baselines = self._totals.read(), self._baselines.read()
            of_default = self._meta[0].default_baseline
            default = less(totals[DEFAULT_SLOT], Tally(of_default.packets, of_default.bytes))
        except AttributeError:
            raise NotOursError("the program's rules are laid out otherwise") from None
        rules = (
            less(totals[slot] if slot < len(totals) else NO_TALLY, baseline)
            for slot, baseline in zip(self._stored.slots, baselines, strict=True)
        )
        return RuleCounts(self._stored, tuple(rules), default)


def _sum(cpus: Any) -> Tally:
    return Tally(sum(each.packets for each in cpus), sum(each.bytes for each in cpus))


def _baseline(rule: Any) -> Tally:
    return Tally(rule.baseline.packets, rule.baseline.bytes)
