"""Nanoseconds per packet over a veth pair, all of them dropped, counted at the receiver.

Sender and receiver share one CPU, so that all the time that a packet takes is in the figures, that
of making it as well.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from netns_lab import Host, Lab
from tests.bench import programs
from tests.bench.dialects import DEVICE, frame_of
from tests.bench.flood import FRAMES, Flood, rx_packets
from tests.bench.policies import UDP, FiveFields, Flow, hard_policy, random_policy
from tests.bench.prefixes import mixed_ipv4
from tests.bench.setups import SETUPS, Drops
from tests.bench.timing import Costs, in_turn
from xdpctl.datapath.interfaces import Interface
from xdpctl.datapath.sample_reader import SampleReader
from xdpctl.datapath.sampling import Wanted

RULES = 1000
SAMPLED = "xdpctl, one packet in 1,000 sampled"

_SENDER_MAC, _RECEIVER_MAC = "02:00:00:00:00:01", "02:00:00:00:00:02"


class Contest(NamedTuple):
    """Attributes:
    drops: but for their folder.
    traffic: frames by what they are.
    """

    drops: Drops
    traffic: dict[str, Sequence[bytes]]
    setups: tuple[str, ...]


def live(folder: Path, rounds: int, prefixes: int, available: Collection[str]) -> Costs:
    """The figures of all setups whose commands are available, by `TRAFFIC, SETUP`."""
    contests = [_with_sets(folder, prefixes), _hard(folder), _limited(folder, prefixes)]
    with Lab() as lab, ExitStack() as stack:
        bench = _Bench(lab, stack)
        for contest in contests:
            for name in contest.setups:
                if set(SETUPS[name].needs) <= set(available):
                    bench.add(name, contest)
        return bench.run(rounds)


def _with_sets(folder: Path, prefixes: int) -> Contest:
    """A thousand rules and a set, whose rule is the first one. That is kindest to those who walk
    their rules; the other traffic is for the rules behind it."""
    listed = mixed_ipv4(prefixes)
    path = programs.write_prefixes(folder / "listed.txt", listed)
    policy = random_policy(RULES - 1, 4, 4 * FRAMES)
    sources = listed.addresses(prefixes, np.random.default_rng(10))[:FRAMES].tolist()
    from_set = [Flow(4, source, 0xC0000202, UDP, 40000, 53) for source in sources]
    by_rules = [flow for flow in policy.hits if flow.protocol == UDP][:FRAMES]
    return Contest(
        Drops(folder, policy.rules, path, prefixes, all=False),
        {"set": _frames(from_set), "rules": _frames(by_rules)},
        tuple(SETUPS),
    )


def _hard(folder: Path) -> Contest:
    policy = hard_policy(FRAMES // 64)
    rules: Sequence[FiveFields] = policy.rules
    return Contest(
        Drops(folder, rules, None, 0, all=True),
        {"hosts x ports": _frames(policy.misses)},
        ("xdpctl", "nft", "iptables-legacy", "iptables-nft"),
    )


def _limited(folder: Path, sources: int) -> Contest:
    """Each source is within its limit, so that what is known of it changes with each packet."""
    flow = Flow(4, 0x0A000000, 0xC0000202, UDP, 40000, 53)
    return Contest(
        Drops(folder, (), None, 0, all=True, sources=sources),
        {"sources": _frames([flow])},
        ("bare drop", "xdpctl", "nft", "iptables-legacy", "iptables-nft"),
    )


def _sampled_ns(measure: Callable[[], float], receiver: Host) -> float:
    """While there is a reader, whose ring has room for what comes meanwhile."""
    interface = Interface(DEVICE, receiver.ifindex(DEVICE))
    with receiver.call(SampleReader, interface, Wanted(one_in=1000, bytes=128)) as reader:
        taken = measure()
        assert reader.read(), "nothing was sampled"
    return taken


def _frames(flows: Sequence[Flow]) -> list[bytes]:
    return [frame_of(flow, _RECEIVER_MAC, _SENDER_MAC) for flow in flows]


class _Bench:
    """A host that sends, and receivers with a link each."""

    def __init__(self, lab: Lab, stack: ExitStack) -> None:
        self._lab = lab
        self._stack = stack
        self._sender = lab.host("sender")
        self._measures: dict[str, partial[float]] = {}
        self._checks: list[partial[None]] = []

    def add(self, name: str, contest: Contest) -> None:
        receiver = self._lab.host(f"receiver{len(self._checks)}")
        link = self._lab.link(
            self._sender,
            receiver,
            names=(None, DEVICE),
            macs=(f"02:00:00:00:01:{len(self._checks):02x}", _RECEIVER_MAC),
        )
        SETUPS[name].install(receiver, contest.drops)
        for traffic, frames in contest.traffic.items():
            flooding = Flood(contest.drops.folder, frames, contest.drops.sources)
            flood = self._stack.enter_context(flooding)
            measure = partial(flood.packet_ns, self._sender, link.left.name, receiver, DEVICE)
            self._measures[f"{traffic}, {name}"] = measure
            if name == "xdpctl":
                self._measures[f"{traffic}, {SAMPLED}"] = partial(_sampled_ns, measure, receiver)
        self._checks.append(partial(self._require_nothing_passed, name, receiver))

    def run(self, rounds: int) -> Costs:
        """Raises AssertionError where a packet got through or was lost."""
        table = in_turn(self._measures, rounds)
        for check in self._checks:
            check()
        return table

    def _require_nothing_passed(self, name: str, receiver: Host) -> None:
        passed = SETUPS[name].passed(receiver, rx_packets(receiver, DEVICE))
        assert not passed, f"{name} let {passed} packets through"
