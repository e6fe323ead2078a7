"""Limits in the kernel: their numbers, and what of their state goes on under a new ruleset.

A limit that stays as it is, with its name, keeps its cells: where all do, the new program takes the
map over, and loses nothing; or else they are copied just before the swap, and the few packets that
come between are forgotten. A limit that is new, or changed, begins with full buckets.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from xdpctl.pylibbpf import Map, Object
from xdpctl.rules.stored import StoredRuleset, to_limits

if TYPE_CHECKING:
    from xdpctl.datapath.program import RunningProgram
    from xdpctl.rules.limitplan import LimitPlan
    from xdpctl.rules.model import Ruleset

_KEYS = struct.Struct("=8Q")
_CELL_BYTES = 8
_PER = {"": 0, "src": 1, "dst": 2}  # enum limit_per


class LimitEntry(NamedTuple):
    """A limit as the data plane has it (struct limit).

    Attributes:
        keys: of the hash, secret.
        slot, dropped_slot: where what matches and what is over is counted.
    """

    plan: LimitPlan
    keys: tuple[int, ...]
    slot: int
    dropped_slot: int

    def record(self) -> dict[str, Any]:
        plan = self.plan
        return {
            "keys": self.keys,
            "ticks": plan.ticks,
            "rate": plan.rate,
            "burst": plan.burst,
            "ipv6_mask": plan.ipv6_masks,
            "ipv4_mask": plan.ipv4_mask,
            "first_cell": plan.first_cell,
            "cell_mask": plan.limit.cells - 1,
            "slot": self.slot,
            "dropped_slot": self.dropped_slot,
            "per": _PER[plan.limit.per],
            "by_length": int(plan.limit.bits),
        }


class KeptLimit(NamedTuple):
    """Of a limit that stays: the keys of its hash, and where its cells were."""

    keys: tuple[int, ...]
    first_cell: int


class KeptLimits(NamedTuple):
    """Attributes:
    by_name: the limits of the program before that stay.
    all: those are all that it has, and all that there are to be: the map can be taken over.
    """

    by_name: Mapping[str, KeptLimit]
    all: bool


NOTHING_KEPT = KeptLimits({}, all=False)


def limit_entries(
    plans: Sequence[LimitPlan],
    ruleset: Ruleset,
    slots: Sequence[int],
    dropped_slots: Mapping[str, int],
    kept: KeptLimits,
    keys_of: Callable[[str], tuple[int, ...]],
) -> list[LimitEntry]:
    """Of a ruleset whose rules have these slots; with new keys where none are kept.

    Args:
        keys_of: the new keys by a limit's name.
    """
    slot_of = {rule.name: slot for rule, slot in zip(ruleset.rules, slots, strict=True)}
    return [
        LimitEntry(
            plan,
            kept.by_name[plan.name].keys if plan.name in kept.by_name else keys_of(plan.name),
            slot_of[plan.name],
            dropped_slots[plan.name],
        )
        for plan in plans
    ]


def secret_keys(_name: str) -> tuple[int, ...]:
    """Others each time."""
    return _KEYS.unpack(os.urandom(_KEYS.size))


def known_keys(name: str) -> tuple[int, ...]:
    """The same at all times, for what is to come out alike again; never on an interface."""
    return _KEYS.unpack(blake2b(name.encode(), digest_size=_KEYS.size).digest())


def kept_limits(
    plans: Sequence[LimitPlan], program: RunningProgram, stored: StoredRuleset
) -> KeptLimits:
    """What stays of a program's limits. Raises NotStored, NotOursError, BpfError."""
    from xdpctl.rules.limitplan import plan_limits  # noqa: PLC0415

    before = plan_limits(to_limits(stored))
    if not before or not plans:
        return NOTHING_KEPT
    entries = [each for _, each in sorted(program.map("limits").lookup_batch(), key=itemgetter(0))]
    wanted = {each.name: each.limit for each in plans}
    by_name = {
        plan.name: KeptLimit(tuple(entry.keys), plan.first_cell)
        for plan, entry in zip(before, entries, strict=False)
        if wanted.get(plan.name) == plan.limit
    }
    return KeptLimits(by_name, all=len(by_name) == len(before) == len(plans))


def copy_cells(obj: Object, limits: Sequence[LimitEntry], kept: KeptLimits, before: Map) -> None:
    """Of limits that stay, the state at this moment. Raises BpfError."""
    with before.mmap() as old, obj.maps.cells.mmap(writable=True) as new:
        for entry in limits:
            plan = entry.plan
            if plan.name in kept.by_name:
                source = kept.by_name[plan.name].first_cell * _CELL_BYTES
                target = plan.first_cell * _CELL_BYTES
                size = plan.limit.cells * _CELL_BYTES
                new[target : target + size] = old[source : source + size]
