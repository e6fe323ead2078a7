"""What the rules of a program have counted, read again and again at little cost.

Of the slots only those that the ruleset uses are decoded, and its text is read once: a program's
ruleset never changes. Baselines do, when rules are reset.
"""

from __future__ import annotations

from itertools import islice
from operator import itemgetter
from typing import NamedTuple

from xdpctl.datapath.counters import Tally
from xdpctl.datapath.generation import DEFAULT_SLOT
from xdpctl.datapath.program import NotOursError, RunningProgram
from xdpctl.datapath.slots import NO_TALLY, less, read_stored
from xdpctl.rules.stored import StoredRuleset


class RuleCounts(NamedTuple):
    """A ruleset, and what its rules, in their order, and its default have counted."""

    stored: StoredRuleset
    rules: tuple[Tally, ...]
    default: Tally


class RuleReader:
    """Reads the counts of one program's rules, for as long as that is open."""

    def __init__(self, program: RunningProgram) -> None:
        """Raises NotOursError, NotStored, BpfError."""
        self._stored = read_stored(program)
        if self._stored is not None:
            self._slots = max(self._stored.slots, default=DEFAULT_SLOT) + 1
            self._counts = program.map("rule_counts")
            self._rules = program.kept_rules()
            self._meta = program.map("meta")

    def read(self) -> RuleCounts | None:
        """None for a bare counter. Raises NotOursError, BpfError."""
        if self._stored is None:
            return None
        try:
            baselines = [
                Tally(each.baseline.packets, each.baseline.bytes)
                for _, each in sorted(self._rules.lookup_batch(), key=itemgetter(0))
            ]
            of_default = self._meta[0].default_baseline
            totals = {
                slot: Tally(sum(each.packets for each in cpus), sum(each.bytes for each in cpus))
                for slot, cpus in islice(self._counts.lookup_batch(self._slots), self._slots)
            }
        except AttributeError:
            raise NotOursError("the program's rules are laid out otherwise") from None
        return RuleCounts(
            self._stored,
            tuple(
                less(totals.get(slot, NO_TALLY), baseline)
                for slot, baseline in zip(self._stored.slots, baselines, strict=False)
            ),
            less(totals[DEFAULT_SLOT], Tally(of_default.packets, of_default.bytes)),
        )
