"""What limits have seen in a replay, for the reference model to go on from."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from operator import itemgetter

from xdpctl.datapath.kernel import explained
from xdpctl.replay.instance import SUBJECT, Instance
from xdpctl.rules.frame import Packet
from xdpctl.rules.limitplan import TICKS_PER_SECOND, limits_of, plan_limits
from xdpctl.rules.model import Limit
from xdpctl.rules.reference import Buckets, Network, network_of

_NS_PER_SECOND = 10**9
_TICKS_PER_NS = TICKS_PER_SECOND // _NS_PER_SECOND
_WORD = 0xFFFFFFFF
_SHIFTS = (96, 64, 32, 0)


def buckets_for(instance: Instance, packet: Packet) -> Buckets:
    """As they are before this packet; of no use for others. Raises KernelRefused."""
    if instance.ruleset is None:
        return Buckets()
    plans = plan_limits(limits_of(instance.ruleset.rules))
    if not plans:
        return Buckets()
    due: dict[tuple[str, Hashable], int] = {}
    with explained(SUBJECT):
        listed = sorted(instance.running.map("limits").lookup_batch(), key=itemgetter(0))
        cells = instance.running.map("cells")
        for plan, (_, entry) in zip(plans, listed, strict=False):
            ticks = cells[entry.first_cell + _cell(entry.keys, plan.limit, packet)]
            due[plan.name, 0] = ticks + instance.clock.origin_ns * _TICKS_PER_NS
    return Buckets(lambda _name, _network: 0, due)


def _cell(keys: Sequence[int], limit: Limit, packet: Packet) -> int:
    """The one that a packet is counted in; see `limit_hash()` of bpf/limit.h."""
    return _hash(keys, network_of(limit, packet)) % limit.cells if limit.per else 0


def _hash(keys: Sequence[int], network: Network) -> int:
    version, number = network
    if version == 4:  # noqa: PLR2004
        total = keys[0] + keys[1] * number
    elif version == 6:  # noqa: PLR2004
        words = [number >> shift & _WORD for shift in _SHIFTS]
        total = keys[2] + sum(key * word for key, word in zip(keys[3:7], words, strict=True))
    else:
        total = keys[7]
    return total >> 32 & _WORD
