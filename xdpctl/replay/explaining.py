"""One packet in full: what the kernel made of it, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from itertools import chain
from typing import NamedTuple

from xdpctl.datapath.ban_entries import Prefix
from xdpctl.errors import WrongUsage, XdpctlError
from xdpctl.replay.api import Replay
from xdpctl.replay.build import of_no_use
from xdpctl.replay.driver import LENGTH_MAX, LENGTH_MIN
from xdpctl.replay.instance import Instance
from xdpctl.replay.limits import buckets_for
from xdpctl.replay.packets import Packets
from xdpctl.replay.verdicts import Verdict
from xdpctl.rules import reference
from xdpctl.rules.explanation import Asked, asked
from xdpctl.rules.frame import Packet, parse
from xdpctl.rules.model import Action, Ruleset

_SECOND_NS = 10**9
_SHOWN_BYTES = 2048
_COUNTS_ONLY = Ruleset("", malformed=Action.PASS)


class Explanation(NamedTuple):
    """Attributes:
    frame: the packet, without its check sequence.
    packet: what was parsed of it.
    verdict: the kernel's.
    expected: the reference model's.
    default: what becomes of packets that no rule decides on.
    asked: the rules that the packet was held against, the one that decided the last.
    bans: those in force that hold its source, the narrowest first.
    """

    frame: bytes
    packet: Packet
    verdict: Verdict
    expected: reference.Verdict
    default: Action
    asked: tuple[Asked, ...]
    bans: tuple[Prefix, ...]

    @property
    def disagreement(self) -> XdpctlError | None:
        """None where kernel and model say the same, as they always should."""
        kernel = self.verdict.verdict, self.verdict.reason, self.verdict.rule
        model = str(self.expected.action), self.expected.reason, self.expected.rule
        if kernel == model:
            return None
        return XdpctlError(
            f"THE KERNEL AND THE REFERENCE MODEL DISAGREE: the kernel says {_text(*kernel)}, the "
            f"model {_text(*model)}",
            hint="this is a defect of xdpctl: do not rely on the explanation, and report it with"
            " the rules and this packet: " + self.frame[:_SHOWN_BYTES].hex(),
        )


def _text(verdict: str | None, reason: str, rule: str | None) -> str:
    return f"{verdict or 'nothing'} ({reason if rule is None else f'{reason} {rule}'})"


def explain(
    replay: Replay,
    batches: Iterable[Packets],
    *,
    number: int = 1,
    bans: Mapping[Prefix, int | None] | None = None,
) -> Explanation:
    """What becomes of a packet when others have come before it, and why.

    Args:
        replay: within its `with`; what it has judged came before, too.
        batches: the last one is of the packet alone; those before it, if there are any, have
            what came before it: limits have seen that, and the clock begins with the first.
        number: of the packet in its capture.
        bans: those that the replay has.

    Raises as `Replay.judge()`; WrongUsage: the kernel does not take packets of that length.
    """
    last: list[Packets] = []
    earlier = _held_back(batches, last)
    first = next(earlier, None)
    if first is not None:
        for _ in replay.judge(chain([first], earlier), records=False):
            pass
    (batch,) = last
    octets = bytes(batch.data[batch.offsets[0] :][: batch.lengths[0]])
    if not LENGTH_MIN <= len(octets) <= LENGTH_MAX:
        raise WrongUsage(of_no_use(len(octets)))
    packet = parse(octets)
    buckets = buckets_for(replay.instance, packet) if replay.is_begun else reference.Buckets()
    ((judged,),) = (each.judged for each in replay.judge([batch], records=True))
    time_ns = batch.times_ns[0]
    verdict = replay.instance.wording.verdict(number, time_ns, len(octets), judged)
    return _explained(replay.instance, octets, packet, verdict, buckets, bans or {})


def _held_back(batches: Iterable[Packets], last: list[Packets]) -> Iterator[Packets]:
    """All but the last, which goes to the list."""
    held = None
    for each in batches:
        if held is not None:
            yield held
        held = each
    if held is not None:
        last.append(held)


def _explained(
    instance: Instance,
    octets: bytes,
    packet: Packet,
    verdict: Verdict,
    buckets: reference.Buckets,
    bans: Mapping[Prefix, int | None],
) -> Explanation:
    clock = instance.clock
    now = Fraction(clock.origin_ns + clock.at(verdict.time_ns), _SECOND_NS)
    ruleset = instance.ruleset or _COUNTS_ONLY
    banned = [_banned(prefix, end_ns) for prefix, end_ns in bans.items()]
    expected = reference.judge_packet(ruleset, packet, now, buckets, banned)
    were_asked = expected.reason not in ("malformed", "ban")
    return Explanation(
        octets,
        packet,
        verdict,
        expected,
        ruleset.default,
        tuple(asked(ruleset, packet, now, expected.rule) if were_asked else ()),
        tuple(_in_force(bans, packet, now)),
    )


def _banned(prefix: Prefix, end_ns: int | None) -> reference.Banned:
    end = None if end_ns is None else Fraction(end_ns, _SECOND_NS)
    return reference.Banned(*prefix.range, end)


def _in_force(bans: Mapping[Prefix, int | None], packet: Packet, now: Fraction) -> list[Prefix]:
    if packet.src is None:
        return []
    found = [
        prefix
        for prefix, end_ns in bans.items()
        if prefix.holds(*packet.src) and (end_ns is None or end_ns > now * _SECOND_NS)
    ]
    return sorted(found, key=lambda prefix: -prefix.length)
