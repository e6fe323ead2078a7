"""What goes over a wire is counted, exactly, in both modes."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import pytest

from netns_lab import Host, Lab, traffic
from netns_lab.fixtures import Pair
from tests.lab.conftest import xdpctl, xdpctl_json
from tests.oracle import parse
from tests.packets import IPV4, UDP, eth, ipv4
from xdpctl.protocols import protocol_name

MODES = ["driver", "skb"]


def attach(host: Host, *arguments: str) -> None:
    done = xdpctl(host, "attach", "eth0", *arguments)
    assert done.returncode == 0, done.stderr


def expected_protocols(frames: list[bytes]) -> dict[str, tuple[int, int]]:
    packets: Counter[str] = Counter()
    length: Counter[str] = Counter()
    for frame in frames:
        protocol = parse(frame).protocol
        name = protocol_name(int(protocol)) if protocol.isdigit() else protocol
        packets[name] += 1
        length[name] += len(frame)
    return {name: (packets[name], length[name]) for name in packets}


def protocols_of(stats: dict[str, Any]) -> dict[str, tuple[int, int]]:
    return {row["protocol"]: (row["packets"], row["bytes"]) for row in stats["protocols"]}


@pytest.mark.parametrize("mode", MODES)
def test_every_kind_of_packet_is_counted_by_its_protocol(pair: Pair, mode: str) -> None:
    attach(pair.right, "--mode", mode)
    frames = list(traffic.mix().values()) * 10
    pair.left.send("eth0", frames)
    stats = xdpctl_json(pair.right, "stats", "eth0")
    assert stats["mode"] == mode
    assert protocols_of(stats) == expected_protocols(frames)
    reasons = Counter(reason for frame in frames if (reason := parse(frame).reason))
    assert {row["reason"]: row["packets"] for row in stats["malformed_reasons"]} == reasons


@pytest.mark.parametrize("mode", MODES)
def test_sums_agree_when_nothing_is_in_flight(pair: Pair, mode: str) -> None:
    attach(pair.right, "--mode", mode)
    frames = list(traffic.mix().values()) * 50
    pair.left.send("eth0", frames)
    stats = xdpctl_json(pair.right, "stats", "eth0", "--per-cpu")
    total = (len(frames), sum(map(len, frames)))
    assert (stats["packets"], stats["bytes"]) == total
    for rows in ("protocols", "verdicts"):
        sums = sum(r["packets"] for r in stats[rows]), sum(r["bytes"] for r in stats[rows])
        assert sums == total
    assert sum(row["packets"] for row in stats["sizes"]) == len(frames)
    malformed = next(r for r in stats["protocols"] if r["protocol"] == "malformed")
    assert sum(r["packets"] for r in stats["malformed_reasons"]) == malformed["packets"]
    assert sum(cpu["packets"] for cpu in stats["cpus"]) == len(frames)


@pytest.mark.parametrize("mode", MODES)
def test_a_million_generated_packets_are_a_million_counted(pair: Pair, mode: str) -> None:
    attach(pair.right, "--mode", mode)
    frame = eth(IPV4, ipv4(17, UDP + bytes(22)))
    pair.left.generate("eth0", [frame], count=1_000_000, vary=False)
    stats = xdpctl_json(pair.right, "stats", "eth0")
    assert protocols_of(stats) == {"udp": (1_000_000, 1_000_000 * len(frame))}
    assert stats["verdicts"] == [
        {"verdict": "pass", "packets": 1_000_000, "bytes": 1_000_000 * len(frame)}
    ]


def test_each_cpu_counts_what_arrives_on_it(pair: Pair) -> None:
    cpus = sorted(os.sched_getaffinity(0))
    assert len(cpus) > 1, "this test needs two CPUs"
    attach(pair.right, "--mode", "driver")
    frame = eth(IPV4, ipv4(17, UDP))
    for n, cpu in enumerate(cpus[:2], start=1):
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {cpu})  # a veth's softirq runs where its sender does
        try:
            pair.left.send("eth0", [frame] * n * 1000)
        finally:
            os.sched_setaffinity(0, before)
    stats = xdpctl_json(pair.right, "stats", "eth0", "--per-cpu")
    counted = {cpu["cpu"]: cpu["packets"] for cpu in stats["cpus"]}
    assert counted[cpus[0]] == 1000
    assert counted[cpus[1]] == 2000
    assert stats["packets"] == 3000


@pytest.mark.parametrize("mode", MODES)
def test_jumbo_frames_are_counted_whole(lab: Lab, mode: str) -> None:
    left, right = lab.hosts("left", "right")
    lab.link(left, right, mtu=9000)
    attach(right, "--mode", mode)
    frame = eth(IPV4, ipv4(17, UDP + bytes(9000 - 28)))
    left.send("eth0", [frame] * 100)
    stats = xdpctl_json(right, "stats", "eth0")
    assert protocols_of(stats) == {"udp": (100, 100 * 9014)}
    assert stats["sizes"] == [{"from": 8192, "to": 16383, "packets": 100}]


@pytest.mark.parametrize("mode", MODES)
def test_a_bare_counter_passes_everything(pair: Pair, mode: str) -> None:
    attach(pair.right, "--mode", mode)
    frames = [frame for frame in traffic.mix().values() if parse(frame).reason is None]
    with pair.right.capture("eth0") as capture:
        pair.left.send("eth0", frames)
        arrived = capture.wait(len(frames))
    assert Counter(arrived) == Counter(frames)


def test_detaching_under_traffic_loses_no_packet(pair: Pair) -> None:
    attach(pair.right, "--mode", "driver")
    frame = eth(IPV4, ipv4(17, UDP))
    with pair.right.capture("eth0") as capture:
        pair.left.send("eth0", [frame] * 500)
        gone = pair.left.call(lambda: xdpctl(pair.right, "detach", "eth0"))
        pair.left.send("eth0", [frame] * 500)
        assert len(capture.wait(1000)) == 1000
    assert gone.stdout.endswith("after 500 packets\n")
    assert xdpctl(pair.right, "status").stdout == "no interface has an XDP program\n"
