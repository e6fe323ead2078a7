"""What the benchmark gives all programs is the same, and what it says of them follows from the
figures."""

from __future__ import annotations

from ipaddress import IPv4Network, ip_address
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from docs.performance import page
from tests.bench import dialects
from tests.bench.bans import bans_of
from tests.bench.policies import FiveFields, Flow, hard_policy, random_policy
from tests.bench.processes import BAN, BAN_FILE, CLICK
from tests.bench.ratios import outcomes
from tests.bench.replays import REPLAY, REPLAY_RULES, TSHARK

RULE = FiveFields(17, (53, 53), IPv4Network("10.0.0.0/8"), IPv4Network("192.0.2.1"), (1000, 2000))
PAIR = FiveFields(6, (80, 90), IPv4Network("10.1.2.3"))
MACS = ("02:00:00:00:00:02", "02:00:00:00:00:01")


def is_met(rule: FiveFields, flow: Flow) -> bool:
    bits = 32 if flow.version == 4 else 128
    source, destination = (
        ip_address(each.to_bytes(bits // 8, "big")) for each in (flow.source, flow.destination)
    )
    first, last = rule.source_ports or (0, 65535)
    return (
        source in rule.source
        and (rule.destination is None or destination in rule.destination)
        and flow.protocol == rule.protocol
        and flow.source_port in range(first, last + 1)
        and flow.destination_port in range(rule.destination_ports[0], rule.destination_ports[1] + 1)
    )


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("count", [1, 100])
def test_hits_meet_a_rule_and_misses_none(count: int, version: int) -> None:
    policy = random_policy(count, version, 8)
    assert len(policy.rules) == count
    assert all(any(is_met(rule, flow) for rule in policy.rules) for flow in policy.hits)
    assert not any(is_met(rule, flow) for rule in policy.rules for flow in policy.misses)


def test_hard_misses_have_a_listed_host_and_a_listed_port() -> None:
    policy = hard_policy(16)
    hosts = {int(rule.source.network_address) for rule in policy.rules}
    ports = {rule.destination_ports[0] for rule in policy.rules}
    assert (len(policy.rules), len(hosts), len(ports)) == (64 * 64 - 16, 64, 64)
    for flow in policy.misses:
        assert flow.source in hosts
        assert flow.destination_port in ports
        assert not any(is_met(rule, flow) for rule in policy.rules)


def test_a_rule_is_the_same_in_every_language(tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("198.51.100.0/24\n", encoding="ascii")
    assert '"src": "10.0.0.0/8", "proto": "udp", "dport": "53", "dst": "192.0.2.1/32", ' in (
        dialects.xdpctl_file([RULE])
    )
    nft = dialects.nft_file([RULE, PAIR], prefixes=listed).splitlines()
    assert nft[-5:-2] == [
        "ip saddr @listed counter drop",
        "ip saddr 10.0.0.0/8 ip daddr 192.0.2.1/32 udp sport 1000-2000 udp dport 53 counter drop",
        "ip saddr 10.1.2.3/32 tcp dport 80-90 counter drop",
    ]
    assert dialects.iptables_file([RULE, PAIR], with_set=True).splitlines()[3:-1] == [
        "-A PREROUTING -m set --match-set listed src -j DROP",
        "-A PREROUTING -s 10.0.0.0/8 -d 192.0.2.1/32 -p udp --sport 1000:2000 --dport 53 -j DROP",
        "-A PREROUTING -s 10.1.2.3/32 -p tcp --dport 80:90 -j DROP",
    ]
    assert dialects.linear_rules([PAIR]).hex(" ", 4) == (
        "0302010a ffffffff 00000000 00000000 0000ffff 50005a00 06000000"
    )


@pytest.mark.parametrize("lengths", [1, 4, 16])
def test_bans_are_of_as_many_lengths_and_none_is_inside_of_another(lengths: int) -> None:
    bans = bans_of(lengths)
    assert len(bans) == 100_000
    assert len({each.length for each in bans}) == lengths
    sizes = [1 << 32 - each.length for each in bans]
    assert not any(each.network % size for each, size in zip(bans, sizes, strict=True))
    spans = sorted(
        (each.network, each.network + size) for each, size in zip(bans, sizes, strict=True)
    )
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    assert [each.length for each in bans[-16:]] == [32] * 16


@pytest.mark.parametrize("protocol", [6, 17])
@pytest.mark.parametrize("version", [4, 6])
def test_a_frame_is_what_its_flow_says(version: int, protocol: int) -> None:
    source, destination = (1 << 29) + 1, (1 << 29) + 2
    frame = dialects.frame_of(Flow(version, source, destination, protocol, 1000, 53), *MACS)
    dissected = Ether(frame)
    assert (dissected.dst, dissected.src, len(frame) >= 64) == (*MACS, True)
    ip, transport = (
        dissected[IP if version == 4 else IPv6],
        dissected[TCP if protocol == 6 else UDP],
    )
    assert (int(ip_address(ip.src)), int(ip_address(ip.dst))) == (source, destination)
    assert (transport.sport, transport.dport) == (1000, 53)
    if version == 4:
        sound = ip.copy()
        del sound.chksum
        assert IP(bytes(sound)).chksum == ip.chksum


def costs(names: list[str], best: float) -> dict[str, dict[str, float]]:
    return {name: {"best": best, "median": best} for name in names}


@pytest.fixture
def document() -> dict[str, Any]:
    """Of a machine that has no nft, and where everything takes 100 ns."""
    rules = [
        f"{way}, {rules}, {met}"
        for way in ("xdpctl", "linear")
        for rules in (
            f"{n} rule{'s' * (n > 1)}, IPv{v}" for n in (1, 100, 1000, 4000) for v in (4, 6)
        )
        for met in ("match", "no match")
    ]
    shapes = [f"{way}, 64 hosts x 64 ports" for way in ("xdpctl", "linear")]
    sets = [
        f"xdpctl, 9 IPv{v} prefixes, {which}" for v in (4, 6) for which in ("unlisted", "listed")
    ]
    counters = ["xdpctl, counter, nobody banned", "xdpctl, counter that knows no bans"]
    filters = [f"xdp-filter, no rules, IPv{v}" for v in (4, 6)]
    lookup = costs(
        [f"{a}, {w}" for a in ("listed", "random", "the same") for w in ("table", "trie")], 9
    )
    loads = ["xdpctl apply", "xdpctl apply, one rule changed"]
    replayed = [REPLAY, REPLAY_RULES, TSHARK]
    starts = [CLICK, "xdpctl stats eth0 --json", BAN, BAN_FILE]
    return {
        "machine": {"date": "today", "commit": "abc", "changed": 0, "kernel": "6.18", "load": "0",
                    "cpu": "x", "cpus": 2, "clang": "clang 14", "python": "3.11"},
        "peers": [{"command": "nft", "package": "nftables", "version": None}],
        "settings": {"packet_rounds": 3, "prefixes": 1_000_000, "replayed_packets": 1_000_000},
        "method": {"flows": 16, "loadings": 5, "frames": 1024, "rules": 100, "bans": 100_000},
        "minutes": 1.5,
        "packet_ns": costs(["minimal", *counters, *filters, *rules, *shapes, *sets], 100),
        "set_memory_mb": {"9 IPv4 prefixes": 65.0, "9 IPv6 prefixes": 3.0},
        "live_ns": costs(["set, bare drop", "set, xdpctl", "hosts x ports, xdpctl"], 100),
        "lookups": {"9 IPv4": {"memory_mb": {"table": 1.0}, "lookup_ns": lookup},
                    "9 IPv6 lone": {"memory_mb": {"table": 1.0}, "lookup_ns": lookup}},
        "loading_s": costs(loads, 0.5), "loading_peak_mib": dict.fromkeys(loads, 100.0),
        "replay_s": costs(replayed, 1.0), "replay_peak_mib": dict.fromkeys(replayed, 90.0),
        "start_up_s": costs(starts, 0.1), "start_up_peak_mib": dict.fromkeys(starts, 18.0),
    }  # fmt: skip


def test_what_is_wanted_is_judged_by_the_figures(document: dict[str, Any]) -> None:
    document["packet_ns"]["xdpctl, 4000 rules, IPv6, match"]["best"] = 131
    document["packet_ns"]["linear, 64 hosts x 64 ports"]["best"] = 400
    found = {each.what: (each.best, each.verdict) for each in outcomes(document)}
    assert found["4,000 rules to 1 rule, IPv4"] == (1.0, "ok")
    assert found["4,000 rules to 1 rule, IPv6"] == (1.31, "SHORT")
    assert found["64 hosts x 64 ports: linear matching to ours"] == (4.0, "ok")
    assert found["64 hosts x 64 ports, live: nft to ours"] == (None, "not measured")
    assert found["xdpctl apply, one rule changed"] == (0.5, "ok")


def test_page_says_what_falls_short_and_what_is_missing(document: dict[str, Any]) -> None:
    text = page(document)
    short = text.partition("## What falls short")[2].partition("##")[0]
    assert "- kernel memory of a set of IPv4, mixed lengths or scattered hosts: 65.00 " in short
    assert "4,000 rules" not in short
    assert "- nft: not measured: not on this machine (nftables)" in text
    assert "quick run" not in text
    document["settings"]["prefixes"] = 9
    assert "quick run" in page(document)
