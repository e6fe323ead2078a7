"""The ruleset on an interface: read from the kernel, and swapped whole for another one.

A change is a new generation: tables are built beside the running ones, a program bound to them is
loaded, and put in the place of the old one by a compare-and-swap. Killed at any instant, what is
there is the old ruleset or the new one. Writers take a lock besides: without it, of two who each
add a rule to what they saw, one would have to start over.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from xdpctl.datapath.contents import content_of
from xdpctl.datapath.counters import Tally
from xdpctl.datapath.generation import DEFAULT_SLOT
from xdpctl.datapath.hook import swap
from xdpctl.datapath.interfaces import Interface, command_line
from xdpctl.datapath.kernel import explained
from xdpctl.datapath.loading import loaded_program
from xdpctl.datapath.locking import only_writer
from xdpctl.datapath.program import RunningProgram
from xdpctl.datapath.running import running_on
from xdpctl.datapath.slots import (
    dropped_slots,
    less,
    read_stored,
    read_totals,
)
from xdpctl.errors import KernelRefused, WrongUsage
from xdpctl.pylibbpf import xdp
from xdpctl.rules.model import Action, NamedSet, Ruleset
from xdpctl.rules.stored import (
    StoredRuleset,
    expiry_of,
    to_ruleset,
    to_sets,
)

if TYPE_CHECKING:
    from xdpctl.rules.lifelines import Connection
    from xdpctl.rules.mistakes import Mistake


class CountedRule(NamedTuple):
    """A rule as in the file, and what it has counted since it was applied or reset.

    Attributes:
        counted: what it matched.
        dropped: what of it was over the limit; None for a rule that does not limit.
        counts_from: the slot that it is counted in, and the baseline; while these are the same,
            so is what `counted` counts from.
        expires: Unix time in seconds from which on it is passed over; None is never.
    """

    fields: Mapping[str, Any]
    counted: Tally
    counts_from: tuple[int, Tally]
    dropped: Tally | None
    expires: int | None


class CountedRuleset(NamedTuple):
    """A ruleset, and what its rules and its default have counted.

    Attributes:
        attached_at_ns: since when anything is counted, on CLOCK_REALTIME.
        default_counts_from: as of a rule.
    """

    stored: StoredRuleset
    rules: tuple[CountedRule, ...]
    default: Tally
    default_counts_from: tuple[int, Tally]
    attached_at_ns: int


class Applied(NamedTuple):
    """A ruleset that is in place now.

    Attributes:
        connections: the SSH connections that this command came through, empty where none was
            found; None where they were not looked for, by force or since nothing is dropped.
        warnings: what it drops of the interface's own addresses that was not dropped before.
    """

    ruleset: Ruleset
    connections: tuple[Connection, ...] | None
    warnings: tuple[Mistake, ...]


def read_counted(interface: Interface) -> CountedRuleset | None:
    """What is on an interface; None for a bare counter.

    Raises NotAttached, NotStored, MissingPrivilege, KernelRefused.
    """
    with running_on(interface) as (program, _):
        return counted_of(program)


def counted_of(program: RunningProgram) -> CountedRuleset | None:
    """The same of a program. Raises NotStored, NotOursError, BpfError."""
    stored = read_stored(program)
    if stored is None:
        return None
    totals = read_totals(program)
    baselines = program.kept_baselines()
    dropped = dropped_slots(stored)
    rules = tuple(
        CountedRule(
            fields,
            less(totals[slot], baseline.matched),
            (slot, baseline.matched),
            less(totals[dropped[fields["name"]]], baseline.dropped)
            if fields["name"] in dropped
            else None,
            expiry_of(fields),
        )
        for fields, slot, baseline in zip(stored.rules, stored.slots, baselines, strict=False)
    )
    of_default = program.default_baseline
    return CountedRuleset(
        stored,
        rules,
        less(totals[DEFAULT_SLOT], of_default),
        (DEFAULT_SLOT, of_default),
        program.attached_at_ns,
    )


def known_lists(interface: Interface) -> dict[str, NamedSet]:
    """The sets that were made of list files, by the paths of these. Raises as `read_counted`."""
    with running_on(interface) as (program, _):
        stored = read_stored(program)
        if stored is None or not any(each.source for each in stored.sets):
            return {}
        sets = to_sets(stored, program.kept_ranges())
        return {each.source: each for each in sets if each.source is not None}


def read_ruleset(interface: Interface, which: str = "ruleset") -> Ruleset | None:
    """The ruleset on an interface with its sets, or the `previous` one; None without one.

    Raises as `read_counted`.
    """
    with running_on(interface) as (program, _):
        return _ruleset(program, which)


def apply(
    interface: Interface, change: Callable[[Ruleset | None], Ruleset], *, force: bool = False
) -> Applied:
    """Put in the place of the ruleset on an interface what `change` makes of it.

    Args:
        change: gets None of a bare counter. What it raises leaves everything as it was.
        force: also if it would lock its user out.

    Raises:
        NotAttached: our program is not on the interface.
        WouldLockOut: it would cut a lifeline that the running one does not cut.
        TooManyClasses, TooManyRanges, TooManyLimits: it cannot be compiled.
        NotStored, MissingPrivilege, KernelRefused.
    """
    with only_writer(), running_on(interface) as (program, mode):
        running = _ruleset(program, "ruleset")
        new = change(running)
        return _replace(interface, program, mode, new, lambda: running, force=force)


def roll_back(interface: Interface, *, force: bool = False) -> Applied:
    """Put the previous ruleset back, its sets as they were.

    Raises KernelRefused where there is none, and as `apply`.
    """
    with only_writer(), running_on(interface) as (program, mode):
        previous = _ruleset(program, "previous")
        if previous is None:
            raise KernelRefused(
                f"{interface.name}: no ruleset was there before",
                hint=f"{command_line('rule', 'list', interface.name)} shows what is there",
            )
        running = partial(_ruleset, program, "ruleset")
        return _replace(interface, program, mode, previous, running, force=force)


def reset(interface: Interface, names: Sequence[str] = ()) -> tuple[str, ...]:
    """Let rules, or all of them and the default, count from 0 again; returns their names.

    Raises WrongUsage where there is no such rule, and as `apply`.
    """
    with only_writer(), running_on(interface) as (program, _):
        stored = read_stored(program)
        known = [] if stored is None else [str(each["name"]) for each in stored.rules]
        missing = [name for name in names if name not in known]
        if missing:
            raise WrongUsage(f"{', '.join(missing)}: no such rule")
        if stored is None:
            raise WrongUsage(f"{interface.name}: no rules")
        totals = read_totals(program)
        entries = program.kept_rules()
        dropped = dropped_slots(stored)
        for index, (name, slot) in enumerate(zip(known, stored.slots, strict=True)):
            if not names or name in names:
                entries[index] = {
                    **vars(entries[index]),
                    "baseline": totals[slot]._asdict(),
                    "dropped_baseline": totals[dropped.get(name, slot)]._asdict(),
                }
        if not names:
            program.set_default_baseline(totals[DEFAULT_SLOT])
        return tuple(names or known)


def bare_counter() -> Ruleset:
    """What an interface without a ruleset does, as a ruleset."""
    return Ruleset("ruleset", malformed=Action.PASS)


def _replace(
    interface: Interface,
    program: RunningProgram,
    mode: xdp.Mode,
    ruleset: Ruleset,
    running: Callable[[], Ruleset | None],
    *,
    force: bool,
) -> Applied:
    # For those who change rules.
    from xdpctl.datapath.lockout import check_ruleset, own_address_warnings  # noqa: PLC0415

    connections = None if force else check_ruleset(interface, running, ruleset)
    warnings = own_address_warnings(interface, ruleset, running)
    content = content_of(ruleset, program)
    with (
        explained(interface.name),
        loaded_program(content=content, successor_of=program) as loaded,
    ):
        swap(interface, mode, loaded.fd, program.fd)
    return Applied(ruleset, connections, warnings)


def _ruleset(program: RunningProgram, which: str) -> Ruleset | None:
    stored = read_stored(program, which)
    if stored is None:
        return None
    return to_ruleset(stored, program.kept_ranges(which), time.time())
