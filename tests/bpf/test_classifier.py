"""The data plane's verdicts are those of the reference model, for generated rulesets and frames
that are aimed at their edges."""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from ipaddress import IPv6Address
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bpf.cells import cells_by
from tests.bpf.judging import EPOCH, judging
from tests.edges import NOW, deep_ruleset, frame, moments, ruleset
from tests.packets import eth
from xdpctl.rules.frame import Packet, parse
from xdpctl.rules.limitplan import limits_of
from xdpctl.rules.model import Action, Limit, Ruleset
from xdpctl.rules.reading import read_text
from xdpctl.rules.reference import Banned, Buckets, Network, Verdict, judge

XDP = {Action.DROP: 1, Action.PASS: 2}
FRAMES = int(os.environ.get("XDPCTL_FRAMES", "250"))
"""For each ruleset; to load one takes as long as to ask for thousands."""

Make = Callable[[Random, int], Ruleset]


def agree(
    rules: Ruleset,
    frames: list[bytes],
    times: list[int] | None = None,
    bans: Sequence[Banned] = (),
) -> None:
    """Each frame's verdict, and how many frames each rule, the default and each reason had.

    Args:
        times: when the frames come, in nanoseconds from NOW.
    """
    limits = limits_of(rules.rules)
    with judging(rules, injected_clock=True) as kernel:
        kernel.ban(bans)
        buckets = CountingBuckets(cells_by(kernel.keys_of_limits(), limits))
        dropped: Counter[str] = Counter()
        expected: Counter[str] = Counter()
        reasons: Counter[str] = Counter()
        for each, after_ns in zip(frames, times or [0] * len(frames), strict=True):
            kernel.set_clock((NOW - EPOCH) * 10**9 + after_ns)
            verdict = judge(rules, each, NOW + Fraction(after_ns, 10**9), buckets, bans)
            assert kernel.run(each) == XDP[verdict.action], explained(rules, each, verdict)
            if verdict.reason not in ("malformed", "ban"):
                expected[verdict.rule or "default"] += 1
            if verdict.action is Action.DROP:
                reasons[verdict.reason] += 1
            if verdict.reason == "limit":
                dropped[verdict.rule or ""] += 1
        assert kernel.packets_by_rule() == expected + buckets.within
        assert kernel.dropped_by_limit() == dropped
        assert kernel.drop_reasons() == reasons


class CountingBuckets(Buckets):
    """Attributes: within: the packets that each limit let through."""

    def __init__(self, cell_of: Callable[[str, Network], int]) -> None:
        super().__init__(cell_of)
        self.within: Counter[str] = Counter()

    def take(self, name: str, limit: Limit, packet: Packet, now: float | Fraction) -> bool:
        taken = super().take(name, limit, packet, now)
        self.within[name] += taken
        return taken


def explained(rules: Ruleset, frame_: bytes, verdict: Verdict) -> str:
    named = {each.name: each for each in rules.rules}
    return f"{frame_.hex()}: {verdict}, {named.get(verdict.rule or '')}"


@settings(max_examples=60, deadline=None)
@given(
    random=st.randoms(use_true_random=True),
    make=st.sampled_from([ruleset, ruleset, deep_ruleset]),
    count=st.sampled_from([0, 1, 2, 5, 20, 63, 64, 65]),
)
def test_small_rulesets(random: Random, make: Make, count: int) -> None:
    rules = make(random, count)
    agree(rules, [frame(random, rules) for _ in range(FRAMES)], moments(random, FRAMES))


@pytest.mark.parametrize(
    ("make", "count", "frames"),
    [
        (ruleset, 128, FRAMES),
        (deep_ruleset, 129, FRAMES),
        (deep_ruleset, 1000, FRAMES),
        (ruleset, 4096, FRAMES),
        (deep_ruleset, 4096, FRAMES // 4),
    ],
)
def test_large_rulesets(
    make: Make, count: int, frames: int, request: pytest.FixtureRequest
) -> None:
    random = Random(f"{count} {request.config.getoption('--hypothesis-seed')}")
    rules = make(random, count)
    agree(rules, [frame(random, rules) for _ in range(frames)], moments(random, frames))


@pytest.mark.parametrize("inside", [1, 90])
def test_hosts_of_networks_side_by_side_are_told_apart(inside: int) -> None:
    """An address table then has a slot for each /64, and the hosts' low halves right below it."""
    random = Random(inside)
    networks = [0x20010DB8 << 32 | number for number in range(200)]
    hosts = [net << 64 | low for net in networks for low in random.sample(range(1 << 20), inside)]
    listed = ", ".join(str(IPv6Address(host)) for host in hosts)
    rules = read_text(f"rules: [{{action: drop, src: [{listed}]}}]", "", NOW).ruleset
    near = [host + step for host in random.sample(hosts, 200) for step in (-1, 0, 1)]
    header = struct.pack("!IHBB", 6 << 28, 0, 59, 64)
    agree(rules, [eth(0x86DD, header + each.to_bytes(16, "big") + bytes(16)) for each in near])


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_bans_decide_ahead_of_rules(seed: int) -> None:
    """Of sources that come, or come close; some have ended, some end right now."""
    random = Random(seed)
    rules = ruleset(random, 20)
    frames = [frame(random, rules) for _ in range(FRAMES)]
    sources = [packet.src for packet in map(parse, frames) if packet.src is not None]
    bans = {}
    for source in random.sample(sources, 12):
        bits = 32 if source.version == 4 else 128
        size = 1 << random.randint(0, bits // 2)
        first = source.number // size * size
        expires = random.choice([None, NOW - 60, NOW, NOW + 1])
        bans[source.version, first, size] = Banned(source.version, first, first + size - 1, expires)
    agree(rules, frames, bans=[*bans.values()])
