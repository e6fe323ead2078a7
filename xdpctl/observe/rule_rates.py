"""What rules count over time, whatever ruleset takes the place of another one meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

from xdpctl.datapath.counters import Tally
from xdpctl.datapath.interfaces import Interface, current_name
from xdpctl.datapath.rulesets import CountedRuleset, read_counted
from xdpctl.datapath.slots import less
from xdpctl.observe.rates import per_second, successive


class RulesSnapshot(NamedTuple):
    """The rules of an interface at one moment.

    Attributes:
        counted: None for a bare counter.
        timestamp_ns: on CLOCK_REALTIME.
        monotonic_ns: the same moment, for rates.
    """

    interface: Interface
    counted: CountedRuleset | None
    timestamp_ns: int
    monotonic_ns: int


class RulesInterval(NamedTuple):
    """What rules counted between two snapshots of an interface.

    Attributes:
        snapshot: the later one.
        seconds: between them.
        rules: what came in between, in the order of the later one's rules; of a rule that came
            or was reset meanwhile, what it has counted since then.
        default: the same of the default; None for a bare counter.
    """

    snapshot: RulesSnapshot
    seconds: float
    rules: tuple[Tally, ...]
    default: Tally | None

    @classmethod
    def between(cls, earlier: RulesSnapshot, later: RulesSnapshot) -> RulesInterval:
        seconds = (later.monotonic_ns - earlier.monotonic_ns) / 1e9
        now, before = later.counted, earlier.counted
        if now is None:
            return cls(later, seconds, (), None)
        if before is None or before.attached_at_ns != now.attached_at_ns:
            recent = tuple(each.counted for each in now.rules)
            return cls(later, seconds, recent, now.default)
        known = {(each.fields["name"], each.counts_from): each.counted for each in before.rules}
        nothing = Tally(0, 0)
        rules = tuple(
            less(each.counted, known.get((each.fields["name"], each.counts_from), nothing))
            for each in now.rules
        )
        same = before.default_counts_from == now.default_counts_from
        return cls(later, seconds, rules, less(now.default, before.default if same else nothing))

    def per_second(self, count: int) -> float:
        return per_second(count, self.seconds)


def take_rules(interface: Interface) -> RulesSnapshot:
    """The rules on an interface, whatever name it goes by now.

    Raises NoSuchInterface, and as `read_counted`.
    """
    here = Interface(current_name(interface.ifindex, interface.name), interface.ifindex)
    counted = read_counted(here)
    return RulesSnapshot(here, counted, time.time_ns(), time.monotonic_ns())


def rules_intervals(
    interface: Interface, wait: Callable[[], bool], count: int | None = None
) -> Iterator[RulesInterval]:
    """Interval after interval of an interface's rules; `wait` and `count` as of `successive`.

    Raises NoSuchInterface, NotAttached, and as `read_counted`.
    """
    for earlier, later in successive(lambda: take_rules(interface), wait, count):
        yield RulesInterval.between(earlier, later)
