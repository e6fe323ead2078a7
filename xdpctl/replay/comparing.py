"""Two rulesets side by side: which packets of a capture would meet another verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import starmap, tee
from operator import itemgetter
from typing import NamedTuple, TypeAlias

from xdpctl.captures.batches import Batch
from xdpctl.replay.api import Replay
from xdpctl.replay.driver import Judged
from xdpctl.replay.verdicts import Verdict, Wording
from xdpctl.rules.frame import Address, Packet, parse

GROUPS_MAX = 100_000

_Decision: TypeAlias = tuple[int, int, int, int]
"""Verdict, reason, kind of malformed and slot, in a program's own numbers."""
_decision = itemgetter(
    *(Judged._fields.index(x) for x in ("verdict", "reason", "malformed", "slot"))
)
_UNJUDGED = Judged(-1, 0, 0, 0, 0, 0)


class Decision(NamedTuple):
    """What became of a packet, as `Verdict` has it; `malformed` only where it was the reason."""

    verdict: str
    reason: str
    rule: str | None
    malformed: str | None


class Flow(NamedTuple):
    """What packets have in common. Where there are no addresses of IP, `src_mac` and `dst_mac` say
    whose they are."""

    protocol: str
    src: Address | None
    sport: int | None
    dst: Address | None
    dport: int | None
    src_mac: int | None
    dst_mac: int | None


class Group(NamedTuple):
    """Packets of a flow that two rulesets treat differently for the same reasons.

    Attributes:
        flow: None for those of all flows that there was no room to tell apart.
        before, after: None where there are several.
        first: the number of the first of them in the capture.
    """

    flow: Flow | None
    before: Decision | None
    after: Decision | None
    packets: int
    bytes: int
    first: int


class Comparison:
    """What is known so far; complete when all packets were compared.

    Attributes:
        packets: how many were compared.
        changes: how many of them have another verdict, by the verdicts before and after.
        decided_otherwise: how many have the same verdict for another reason or by another rule.
        not_replayed: how many the kernel does not take.
    """

    def __init__(self, groups_max: int = GROUPS_MAX) -> None:
        self.packets = self.decided_otherwise = self.not_replayed = 0
        self.changes: Counter[tuple[str, str]] = Counter()
        self._groups_max = groups_max
        self._tallies: dict[tuple[Flow | None, Decision | None, Decision | None], list[int]] = {}

    @property
    def changed(self) -> int:
        return self.changes.total()

    def groups(self) -> Iterator[Group]:
        """Those with most packets first; of as many, in the order of the capture. Last those that
        there was no room to tell apart."""
        found = [Group(*key, *tally) for key, tally in self._tallies.items()]
        found.sort(key=lambda each: (each.flow is None, -each.packets, each.first))
        return iter(found)

    def add(
        self,
        batch: Batch,
        before: Sequence[Judged | None],
        after: Sequence[Judged | None],
        wordings: tuple[Wording, Wording],
    ) -> None:
        """Compare what two programs made of a batch."""
        left = [_decision(each or _UNJUDGED) for each in before]
        right = [_decision(each or _UNJUDGED) for each in after]
        changed = {}
        for pair, packets in Counter(zip(left, right, strict=True)).items():
            if pair[0][0] < 0 or pair[1][0] < 0:
                self.not_replayed += packets
                continue
            self.packets += packets
            was, becomes = starmap(_worded, zip(pair, wordings, strict=True))
            if was.verdict != becomes.verdict:
                changed[pair] = was, becomes
                self.changes[was.verdict, becomes.verdict] += packets
            elif was != becomes:
                self.decided_otherwise += packets
        if not changed:
            return
        for place, pair in enumerate(zip(left, right, strict=True)):
            if pair in changed:
                self._note(batch, place, before[place], changed[pair], wordings[0])

    def _note(
        self,
        batch: Batch,
        place: int,
        judged: Judged | None,
        decisions: tuple[Decision, Decision],
        wording: Wording,
    ) -> None:
        offset, length, number = batch.offsets[place], batch.lengths[place], batch.numbers[place]
        packet = parse(bytes(memoryview(batch.data)[offset : offset + length]))
        verdict = wording.verdict(number, batch.times_ns[place], length, judged)
        key: tuple[Flow | None, Decision | None, Decision | None]
        key = _flow(packet, verdict), *decisions
        if key not in self._tallies and len(self._tallies) >= self._groups_max:
            key = None, None, None
        tally = self._tallies.setdefault(key, [0, 0, number])
        tally[0] += 1
        tally[1] += length


def _worded(decision: _Decision, wording: Wording) -> Decision:
    verdict, reason, malformed, slot = decision
    said = wording.verdict(0, 0, 0, Judged(verdict, reason, malformed, 0, slot, 0))
    kind = said.malformed if said.reason == "malformed" else None
    return Decision(said.verdict or "", said.reason, said.rule, kind)


def _flow(packet: Packet, verdict: Verdict) -> Flow:
    macs = (packet.src_mac, packet.dst_mac) if packet.src is None else (None, None)
    protocol = verdict.protocol or ""
    return Flow(protocol, packet.src, packet.sport, packet.dst, packet.dport, *macs)


def compare(
    before: Replay, after: Replay, batches: Iterable[Batch], groups_max: int = GROUPS_MAX
) -> Comparison:
    """What changes from one ruleset to the other.

    Args:
        before, after: each within its `with`.
        groups_max: how many groups are told apart.

    Raises as `Replay.judge()`.
    """
    comparison = Comparison(groups_max)
    lefts, rights = tee(batches)  # a replay is ahead by what one run takes, and no more
    outcomes = zip(
        before.judge(lefts, records=True), after.judge(rights, records=True), strict=True
    )
    for left, right in outcomes:
        wordings = before.instance.wording, after.instance.wording
        comparison.add(left.packets, left.judged, right.judged, wordings)
    return comparison
