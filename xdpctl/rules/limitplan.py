"""From the limits of a ruleset to what the data plane has of them: see bpf/limit.h.

Cells are laid out in the order of the limits' names, so that rules may be moved, and others come
and go, without a limit's cells being elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from xdpctl.errors import WrongUsage
from xdpctl.rules.limits import CELLS_MAX
from xdpctl.rules.model import LIMITS_MAX, Limit, Rule

TICKS_PER_SECOND = 16 * 10**9
"""The data plane's unit of time for limits (LIMIT_TICKS_PER_NS)."""

_ALIGNED_CELLS = 8
"""A cache line's: limits do not share one, which different CPUs would take from each other."""

_BITS_PER_BYTE = 8
_IPV4_BITS, _IPV6_BITS = 32, 128
_HALF = 64


class TooManyLimits(WrongUsage):
    pass


class LimitPlan(NamedTuple):
    """A limit in numbers.

    Attributes:
        name: of its rule.
        ticks: what `rate` packets, or bytes, take.
        rate: packets, or bits.
        burst: in ticks.
        ipv4_mask, ipv6_masks: of the networks of addresses; IPv6's as high and low 64 bits.
        first_cell: where its cells begin.
    """

    name: str
    limit: Limit
    ticks: int
    rate: int
    burst: int
    ipv4_mask: int
    ipv6_masks: tuple[int, int]
    first_cell: int


def limits_of(rules: Sequence[Rule]) -> dict[str, Limit]:
    """By the names of their rules."""
    return {rule.name: rule.limit for rule in rules if rule.limit is not None}


def plan_limits(limits: Mapping[str, Limit]) -> tuple[LimitPlan, ...]:
    """In the order of their names. Raises TooManyLimits."""
    if len(limits) > LIMITS_MAX:
        raise TooManyLimits(
            f"{len(limits):,} rules limit: there can be {LIMITS_MAX}",
            hint="one rule can limit each address by itself: per: src",
        )
    plans: list[LimitPlan] = []
    for name in sorted(limits):
        plans.append(_plan(name, limits[name], cells_of(plans)))
    if cells_of(plans) > CELLS_MAX:
        raise TooManyLimits(
            f"the limits have {cells_of(plans):,} cells: there can be {CELLS_MAX:,} in all",
            hint="cells: says how many a limit has",
        )
    return tuple(plans)


def cells_of(plans: Sequence[LimitPlan]) -> int:
    """How many cells all of them take, with the gaps between."""
    if not plans:
        return 0
    last = plans[-1]
    return last.first_cell + -(-last.limit.cells // _ALIGNED_CELLS) * _ALIGNED_CELLS


def _plan(name: str, limit: Limit, first_cell: int) -> LimitPlan:
    ticks = TICKS_PER_SECOND * (_BITS_PER_BYTE if limit.bits else limit.seconds)
    ipv6_mask = _mask(limit.ipv6_length, _IPV6_BITS)
    return LimitPlan(
        name,
        limit,
        ticks,
        limit.rate,
        limit.burst * ticks // limit.rate,
        _mask(limit.ipv4_length, _IPV4_BITS),
        (ipv6_mask >> _HALF, ipv6_mask % (1 << _HALF)),
        first_cell,
    )


def _mask(length: int, bits: int) -> int:
    return (1 << bits) - (1 << (bits - length))
