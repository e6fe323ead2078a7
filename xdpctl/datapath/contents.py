"""From a ruleset to what a program with it needs: its tables, its slots, and what is kept of it."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

from xdpctl.datapath.generation import DEFAULT_SLOT, Generation, RuleEntry
from xdpctl.datapath.limits import (
    NOTHING_KEPT,
    KeptLimits,
    kept_limits,
    known_keys,
    limit_entries,
    secret_keys,
)
from xdpctl.datapath.loading import Content
from xdpctl.datapath.program import RunningProgram
from xdpctl.datapath.slots import NO_TALLY, Slots, choose_slots, read_stored
from xdpctl.rules.model import Action, Ruleset
from xdpctl.rules.stored import to_ranges, to_set_tables, to_text

if TYPE_CHECKING:
    from xdpctl.rules.compiler import Compiled

# enum xdp_action; that of a limit is for what is over it
_VERDICTS = {Action.DROP: 1, Action.PASS: 2, Action.LIMIT: 1}


def content_of(
    ruleset: Ruleset,
    program: RunningProgram | None = None,
    *,
    replay_origin_ns: int | None = None,
) -> Content:
    """What a program with the ruleset needs, in the place of another program or of none.

    Args:
        replay_origin_ns: of a replay, the Unix time at which its clock was 0; the keys of limits
            are then the same at all times.

    Raises TooManyClasses, TooManyRanges, TooManyLimits, NotStored, BpfError.
    """
    from xdpctl.rules.canonical import digest_of  # noqa: PLC0415
    from xdpctl.rules.compiler import compile_ruleset  # noqa: PLC0415 - NumPy

    set_tables, kept = None, NOTHING_KEPT
    stored = None if program is None else read_stored(program)
    if program is not None and stored is not None:
        set_tables = to_set_tables(stored, program.kept_ranges() if stored.set_tables else b"")
    compiled = compile_ruleset(ruleset, set_tables)
    if program is not None and stored is not None:
        kept = kept_limits(compiled.limits, program, stored)
    limited = [rule.name for rule in ruleset.rules if rule.limit is not None]
    slots = choose_slots([rule.name for rule in ruleset.rules], program, limited)
    text = to_text(
        ruleset,
        digest_of(ruleset),
        slots.of_rules,
        [*slots.of_dropped.values()],
        time.time_ns(),
        compiled.set_tables,
    )
    return Content(
        _generation(compiled, ruleset, slots, kept, replay_origin_ns),
        text,
        to_ranges(ruleset, compiled.set_tables),
        slots.baselines.get(DEFAULT_SLOT, NO_TALLY),
    )


def end_on_clock(end_ns: int, origin_ns: int) -> int:
    """The end of a rule or a ban, in Unix time, on a data plane's clock that was 0 at the origin:
    never 0, which means that there is none."""
    return min(max(1, end_ns - origin_ns), 2**64 - 1)


def _generation(
    compiled: Compiled,
    ruleset: Ruleset,
    slots: Slots,
    kept: KeptLimits,
    replay_origin_ns: int | None,
) -> Generation:
    origin_ns = replay_origin_ns
    if origin_ns is None:
        # The data plane's clock goes on while the machine sleeps, as the one on the wall does.
        origin_ns = time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    keys_of = secret_keys if replay_origin_ns is None else known_keys
    limits = limit_entries(
        compiled.limits, ruleset, slots.of_rules, slots.of_dropped, kept, keys_of
    )
    numbers = {each.name: number for number, each in enumerate(compiled.limits, 1)}
    entries = [
        RuleEntry(
            _VERDICTS[rule.action],
            slot,
            0 if rule.expires is None else end_on_clock(rule.expires * 10**9, origin_ns),
            slots.baselines.get(slot, NO_TALLY),
            numbers.get(rule.name, 0),
            slots.baselines.get(slots.of_dropped.get(rule.name, slot), NO_TALLY),
        )
        for rule, slot in zip(ruleset.rules, slots.of_rules, strict=True)
    ]
    return Generation(
        compiled,
        entries,
        drop_malformed=ruleset.malformed is Action.DROP,
        drop_by_default=ruleset.default is Action.DROP,
        limits=limits,
        kept=kept,
        number=secrets.randbelow(2**32 - 1) + 1,
    )
