"""What a replay says of each packet, and of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from xdpctl.datapath.counters import Counters, RowNames
from xdpctl.datapath.program import RunningProgram
from xdpctl.datapath.rulesets import CountedRuleset
from xdpctl.datapath.slots import rule_names
from xdpctl.replay.driver import LENGTH_MAX, LENGTH_MIN, Judged

TOO_SHORT = f"under {LENGTH_MIN} bytes"
TOO_LONG = f"over {LENGTH_MAX} bytes"
REFUSED = "refused by the kernel"
UNCOUNTED = "not counted by the program"


class Verdict(NamedTuple):
    """What became of a packet.

    Attributes:
        number: of the packet, from 1.
        time_ns: when it came, Unix time.
        verdict: "pass" or "drop"; None where the kernel does not take such a packet, and then
            `reason` says why, and what follows is None.
        reason: what decided: "malformed", "ban", "rule", "limit" or "default".
        rule: the name of the rule or limit, if it was one.
        protocol: as in `xdpctl stats`.
        malformed: in what way it is; None where it is well-formed.
        length: in bytes.
    """

    number: int
    time_ns: int
    verdict: str | None
    reason: str
    rule: str | None
    protocol: str | None
    malformed: str | None
    length: int


class Summary(NamedTuple):
    """What was counted of all packets.

    Attributes:
        counters, names: as of a program on an interface.
        ruleset: with what its rules have counted; None without one.
        not_replayed: packets that were given and not judged, by the reason.
        first_ns, last_ns: the earliest time of a packet and the latest, Unix time; None without
            packets.
        ns_per_packet: what it took the kernel to make a packet of the bytes and to judge it; None
            where nothing was judged.
    """

    counters: Counters
    names: RowNames
    ruleset: CountedRuleset | None
    not_replayed: Mapping[str, int]
    first_ns: int | None
    last_ns: int | None
    ns_per_packet: float | None


class Wording:
    """Makes verdicts of a program's numbers."""

    def __init__(self, running: RunningProgram) -> None:
        """Raises NotStored, BpfError."""
        names = running.names
        self._rules = rule_names(running)
        self._verdicts, self._protocols = names.verdicts, names.protocols
        self._reasons = dict(enumerate(names.drop_reasons))
        self._malformed = dict(enumerate(names.malformed))

    def verdict(self, number: int, time_ns: int, length: int, judged: Judged | None) -> Verdict:
        if judged is None:
            reason = (
                TOO_SHORT if length < LENGTH_MIN else TOO_LONG if length > LENGTH_MAX else REFUSED
            )
            return Verdict(number, time_ns, None, reason, None, None, None, length)
        rule = self._rules.get(judged.slot)
        reason = self._reasons.get(judged.reason) or ("default" if rule is None else "rule")
        return Verdict(
            number,
            time_ns,
            self._verdicts[judged.verdict],
            reason,
            rule,
            self._protocols[judged.protocol],
            self._malformed.get(judged.malformed),
            length,
        )
