"""Which slot counts a rule, and what it had counted before: counters survive new rulesets.

A rule keeps its slot for as long as its name is in the ruleset or in the one before. Slots are
never zeroed, since the data plane writes to them all the time: a baseline is taken off.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from xdpctl.datapath.counters import Tally
from xdpctl.datapath.generation import DEFAULT_SLOT
from xdpctl.datapath.program import RunningProgram
from xdpctl.rules.stored import StoredRuleset, from_text

NO_TALLY = Tally(0, 0)


class Slots(NamedTuple):
    """Attributes:
    of_rules: a slot for each rule, in their order.
    baselines: by slot, what was counted before; nothing where it is not named.
    """

    of_rules: list[int]
    baselines: dict[int, Tally]


def choose_slots(names: Sequence[str], program: RunningProgram | None) -> Slots:
    """Slots for rules of these names, in the place of a program's ruleset.

    Raises NotStored, BpfError.
    """
    if program is None:
        return Slots(list(range(1, len(names) + 1)), {})
    totals = read_totals(program)
    known: dict[str, int] = {}
    baselines: dict[int, Tally] = {DEFAULT_SLOT: totals[DEFAULT_SLOT]}
    taken = {DEFAULT_SLOT}
    for which in ("previous", "ruleset"):  # of a rule that is in both the running one's is newer
        stored = read_stored(program, which)
        if stored is not None:
            known |= {str(f["name"]): s for f, s in zip(stored.rules, stored.slots, strict=True)}
            baselines |= dict(zip(stored.slots, program.kept_baselines(which), strict=False))
            baselines[DEFAULT_SLOT] = program.default_baseline
            taken |= set(stored.slots) if which == "ruleset" else set()
    wanted = [known.get(name) for name in names]
    taken |= {slot for slot in wanted if slot is not None}
    free = (slot for slot in range(len(totals)) if slot not in taken)
    slots = []
    for slot in wanted:
        if slot is None:
            slot = next(free)  # noqa: PLW2901
            baselines[slot] = totals[slot]
        slots.append(slot)
    return Slots(slots, baselines)


def read_stored(program: RunningProgram, which: str = "ruleset") -> StoredRuleset | None:
    """The ruleset that a program keeps, or the `previous` one. Raises NotStored, BpfError."""
    text = program.kept_text(which)
    return None if text is None else from_text(text)


class Totals:
    """What each slot has counted, on all CPUs. Of 8,192 slots few are in use, and are added up."""

    def __init__(self, per_cpu: Sequence[Any]) -> None:
        self._per_cpu = per_cpu

    def __len__(self) -> int:
        return len(self._per_cpu)

    def __getitem__(self, slot: int) -> Tally:
        """Nothing for a slot that there is not."""
        cpus = self._per_cpu[slot] if slot < len(self) else ()
        return Tally(sum(each.packets for each in cpus), sum(each.bytes for each in cpus))


def read_totals(program: RunningProgram) -> Totals:
    """In a system call or two. Raises BpfError."""
    return Totals(program.map("rule_counts").array_values())


def less(count: Tally, baseline: Tally) -> Tally:
    """What was counted since."""
    return Tally(count.packets - baseline.packets, count.bytes - baseline.bytes)
