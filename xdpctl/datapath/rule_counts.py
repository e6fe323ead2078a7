"""What the rules of a program have counted, read again and again at little cost.

Of the slots only those that the ruleset uses are read, and of what is read only what has changed is
decoded: most of thousands of rules are idle. The ruleset's text is read once, for a program's
ruleset never changes; baselines do, when rules are reset.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, Generic, NamedTuple, TypeVar

from xdpctl.datapath.counters import Tally
from xdpctl.datapath.generation import DEFAULT_SLOT
from xdpctl.datapath.program import Baselines, NotOursError, RunningProgram
from xdpctl.datapath.slots import NO_TALLY, dropped_slots, less, read_stored
from xdpctl.pylibbpf import Map
from xdpctl.rules.stored import StoredRuleset


class RuleCounts(NamedTuple):
    """A ruleset, and what its rules, in their order, and its default have counted.

    Attributes:
        dropped: what of it was over the rate, by the names of rules that limit.
    """

    stored: StoredRuleset
    rules: tuple[Tally, ...]
    default: Tally
    dropped: Mapping[str, Tally]


_T = TypeVar("_T")


class _Elements(Generic[_T]):
    """What is of interest in the first elements of an array map."""

    def __init__(self, map_: Map, elements: int, of: Callable[[Any], _T], none: _T) -> None:
        """`of` finds it in a value; `none` is it until there is one."""
        self._map = map_
        self._elements = elements
        self._of = of
        self._known: list[tuple[bytes, _T]] = [(b"", none)] * elements

    def read(self) -> list[_T]:
        """Raises BpfError; AttributeError where values are laid out otherwise."""
        values = self._map.lookup_batch(self._elements, raw=True)
        for index, value in islice(values, self._elements):
            if index < self._elements and value != self._known[index][0]:
                self._known[index] = value, self._of(self._map.decode(value))
        return [each for _, each in self._known]


class RuleReader:
    """Reads the counts of one program's rules, for as long as that is open."""

    def __init__(self, program: RunningProgram) -> None:
        """Raises NotOursError, NotStored, BpfError."""
        self._stored = read_stored(program)
        if self._stored is not None:
            self._dropped = dropped_slots(self._stored)
            slots = max((*self._stored.slots, *self._dropped.values()), default=DEFAULT_SLOT) + 1
            counts, rules = program.map("rule_counts"), program.kept_rules()
            self._totals = _Elements(counts, min(slots, counts.info.max_entries), _sum, NO_TALLY)
            self._baselines = _Elements(
                rules, len(self._stored.rules), _baselines, Baselines(NO_TALLY, NO_TALLY)
            )
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

        def since(slot: int, baseline: Tally) -> Tally:
            return less(totals[slot] if slot < len(totals) else NO_TALLY, baseline)

        rules = tuple(
            since(slot, baseline.matched)
            for slot, baseline in zip(self._stored.slots, baselines, strict=True)
        )
        names = (str(fields["name"]) for fields in self._stored.rules)
        dropped = {
            name: since(self._dropped[name], baseline.dropped)
            for name, baseline in zip(names, baselines, strict=True)
            if name in self._dropped
        }
        return RuleCounts(self._stored, rules, default, dropped)


def _sum(cpus: Any) -> Tally:
    return Tally(sum(each.packets for each in cpus), sum(each.bytes for each in cpus))


def _baselines(rule: Any) -> Baselines:
    matched, dropped = rule.baseline, rule.dropped_baseline
    return Baselines(Tally(matched.packets, matched.bytes), Tally(dropped.packets, dropped.bytes))
