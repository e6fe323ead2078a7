"""What is not banned without --force: lifelines, and the addresses of the set `never_ban`."""

from __future__ import annotations

import time
from collections.abc import Sequence

from xdpctl.datapath.bans import NEVER_BAN, Prefix, some_of
from xdpctl.datapath.interfaces import Interface
from xdpctl.datapath.lockout import find_lifelines, refuse_cuts
from xdpctl.datapath.program import RunningProgram
from xdpctl.datapath.slots import read_stored
from xdpctl.errors import WrongUsage
from xdpctl.rules.frame import parse
from xdpctl.rules.lifelines import Judge, cut_by, judge_of
from xdpctl.rules.model import NamedSet
from xdpctl.rules.stored import StoredRuleset, to_ruleset, to_sets
from xdpctl.rules.values import BITS


def refuse_dangerous(
    interface: Interface, program: RunningProgram, prefixes: Sequence[Prefix]
) -> None:
    """Raises WouldLockOut, WrongUsage, NotStored, BpfError."""
    stored = read_stored(program)
    lifelines = find_lifelines(interface).lifelines
    judge = _judge_of(prefixes)
    cuts = cut_by(lifelines, judge)
    if cuts and stored is not None:  # what the rules drop already is not cut by a ban
        now = time.time()
        running = to_ruleset(stored, program.kept_ranges(), now)
        cuts = cut_by(lifelines, judge, judge_of(running, lifelines, now))
    refuse_cuts(interface, cuts)
    if stored is not None:
        _refuse_never_ban(program, stored, prefixes)


def _judge_of(prefixes: Sequence[Prefix]) -> Judge:
    """By the few lengths that there are, for there can be 100,000 prefixes."""
    known = frozenset(prefixes)
    lengths = {(each.version, each.length) for each in known}

    def judge(frame: bytes) -> str | None:
        source = parse(frame).src
        for version, length in lengths:
            if source is not None and version == source.version:
                shift = BITS[version] - length
                found = Prefix(version, source.number >> shift << shift, length)
                if found in known:
                    return f"banning {found}"
        return None

    return judge


def _refuse_never_ban(
    program: RunningProgram, stored: StoredRuleset, prefixes: Sequence[Prefix]
) -> None:
    if NEVER_BAN not in [each.name for each in stored.sets]:
        return
    from xdpctl.rules.sets import overlaps  # noqa: PLC0415 - NumPy

    never: NamedSet = next(
        each for each in to_sets(stored, program.kept_ranges()) if each.name == NEVER_BAN
    )
    refused = [each for each in prefixes if overlaps(never, each.range)]
    if refused:
        raise WrongUsage(
            f"{some_of(refused)}: the ruleset's set {NEVER_BAN} has addresses of it",
            hint="--force overrides",
        )
