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
from xdpctl.rules.model import Action
from xdpctl.rules.stored import StoredRuleset, from_text

NO_TALLY = Tally(0, 0)

_DROPPED = "/dropped"  # behind a rule's name, which has no slash


class Slots(NamedTuple):
    """Attributes:
    of_rules: a slot for each rule, in their order.
    of_dropped: a second one for each that limits, by name.
    baselines: by slot, what was counted before; nothing where it is not named.
    """

    of_rules: list[int]
    of_dropped: dict[str, int]
    baselines: dict[int, Tally]


def choose_slots(
    names: Sequence[str], program: RunningProgram | None, limits: Sequence[str] = ()
) -> Slots:
    """Slots for rules of these names, in the place of a program's ruleset.

    Args:
        limits: the names of those that limit.

    Raises NotStored, BpfError.
    """
    wanted = [*names, *(f"{name}{_DROPPED}" for name in limits)]
    if program is None:
        slots, baselines = list(range(1, len(wanted) + 1)), dict[int, Tally]()
    else:
        slots, baselines = _kept_or_free(wanted, program)
    return Slots(
        slots[: len(names)], dict(zip(limits, slots[len(names) :], strict=True)), baselines
    )


def _kept_or_free(
    names: Sequence[str], program: RunningProgram
) -> tuple[list[int], dict[int, Tally]]:
    """Slots, and what was counted in them before."""
    totals = read_totals(program)
    known: dict[str, int] = {}
    baselines: dict[int, Tally] = {DEFAULT_SLOT: totals[DEFAULT_SLOT]}
    taken = {DEFAULT_SLOT}
    for which in ("previous", "ruleset"):  # of a rule that is in both the running one's is newer
        stored = read_stored(program, which)
        if stored is not None:
            dropped = dropped_slots(stored)
            slots = {str(f["name"]): s for f, s in zip(stored.rules, stored.slots, strict=True)}
            for name, kept in zip(list(slots), program.kept_baselines(which), strict=False):
                baselines[slots[name]] = kept.matched
                if name in dropped:
                    slots[f"{name}{_DROPPED}"] = dropped[name]
                    baselines[dropped[name]] = kept.dropped
            known |= slots
            baselines[DEFAULT_SLOT] = program.default_baseline
            taken |= set(slots.values()) if which == "ruleset" else set()
    wanted = [known.get(name) for name in names]
    taken |= {slot for slot in wanted if slot is not None}
    free = (slot for slot in range(len(totals)) if slot not in taken)
    chosen = []
    for slot in wanted:
        if slot is None:
            slot = next(free)  # noqa: PLW2901
            baselines[slot] = totals[slot]
        chosen.append(slot)
    return chosen, baselines


def dropped_slots(stored: StoredRuleset) -> dict[str, int]:
    """Where what limits drop is counted, by their rules' names."""
    limits = [str(each["name"]) for each in stored.rules if each["action"] == Action.LIMIT]
    return dict(zip(limits, stored.dropped_slots, strict=True))


def read_stored(program: RunningProgram, which: str = "ruleset") -> StoredRuleset | None:
    """The ruleset that a program keeps, or the `previous` one. Raises NotStored, BpfError."""
    text = program.kept_text(which)
    return None if text is None else from_text(text)


def rule_names(program: RunningProgram) -> dict[int, str]:
    """The names of a program's rules by their slots; none of a bare counter.

    Raises NotStored, BpfError.
    """
    stored = read_stored(program)
    if stored is None:
        return {}
    return {slot: str(each["name"]) for slot, each in zip(stored.slots, stored.rules, strict=True)}


class Totals:
    """What each slot has counted, on all CPUs. Of thousands few are in use, and added up."""

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
