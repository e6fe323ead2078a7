"""What is not banned without --force: lifelines, and the addresses of the set `never_ban`."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

from xdpctl.datapath.ban_entries import Prefix, some_of
from xdpctl.datapath.interfaces import Interface
from xdpctl.datapath.lockout import find_lifelines, refuse_cuts
from xdpctl.datapath.program import RunningProgram
from xdpctl.datapath.slots import read_stored
from xdpctl.errors import WouldLockOut, WrongUsage, XdpctlError
from xdpctl.rules.frame import parse
from xdpctl.rules.lifelines import Cut, Judge, Lifeline, cut_by, judge_of
from xdpctl.rules.model import NamedSet
from xdpctl.rules.stored import StoredRuleset, to_ruleset, to_sets
from xdpctl.rules.values import BITS
from xdpctl.rules.words import NEVER_BAN


class Refusal(NamedTuple):
    """Why some prefixes are not banned: WouldLockOut or WrongUsage."""

    error: XdpctlError
    prefixes: frozenset[Prefix]


def refusals(
    interface: Interface, program: RunningProgram, prefixes: Collection[Prefix]
) -> Iterator[Refusal]:
    """What of the prefixes is not banned, until nothing else is. Raises NotStored, BpfError."""
    stored = read_stored(program)
    lifelines = find_lifelines(interface).lifelines
    left = frozenset(prefixes)
    # Once more for each length that a lifeline is banned by: those judged first hide others.
    while cuts := _cuts(lifelines, program, stored, left):
        try:
            refuse_cuts(interface, cuts)
        except WouldLockOut as error:
            culprits = {each.culprit for each in cuts}
            refused = frozenset(each for each in left if _culprit(each) in culprits)
            yield Refusal(error, refused)
            left -= refused
    if stored is not None and (never := _never_banned(program, stored, left)):
        told = f"{some_of(never)}: the ruleset's set {NEVER_BAN} has addresses of it"
        yield Refusal(WrongUsage(told, hint="--force overrides"), frozenset(never))


def _cuts(
    lifelines: tuple[Lifeline, ...],
    program: RunningProgram,
    stored: StoredRuleset | None,
    prefixes: frozenset[Prefix],
) -> tuple[Cut, ...]:
    judge = _judge_of(prefixes)
    cuts = cut_by(lifelines, judge)
    if cuts and stored is not None:  # what the rules drop already is not cut by a ban
        now = time.time()
        running = to_ruleset(stored, program.kept_ranges(), now)
        cuts = cut_by(lifelines, judge, judge_of(running, lifelines, now))
    return cuts


def _judge_of(known: frozenset[Prefix]) -> Judge:
    """By the few lengths that there are, for there can be 100,000 prefixes."""
    lengths = {(version, length) for version, _, length in known}

    def judge(frame: bytes) -> str | None:
        source = parse(frame).src
        for version, length in lengths:
            if source is not None and version == source.version:
                shift = BITS[version] - length
                found = Prefix(version, source.number >> shift << shift, length)
                if found in known:
                    return _culprit(found)
        return None

    return judge


def _culprit(prefix: Prefix) -> str:
    return f"banning {prefix}"


def _never_banned(
    program: RunningProgram, stored: StoredRuleset, prefixes: Iterable[Prefix]
) -> list[Prefix]:
    if NEVER_BAN not in [each.name for each in stored.sets]:
        return []
    from xdpctl.rules.sets import overlaps  # noqa: PLC0415 - NumPy

    never: NamedSet = next(
        each for each in to_sets(stored, program.kept_ranges()) if each.name == NEVER_BAN
    )
    return sorted(each for each in prefixes if overlaps(never, each.range))
