"""Limits on real interfaces, by the real clock."""

from __future__ import annotations

import json
from typing import Any

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from netns_lab.fixtures import Attached
from tests.lab.conftest import xdpctl

MACS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}
FRAME = bytes(Ether(**MACS) / IP(src="192.0.2.1", dst="192.0.2.2") / UDP(dport=53)).ljust(
    125, b"\0"
)
SECONDS = 1.5


def listed(attached: Attached) -> dict[str, Any]:
    document = json.loads(attached.xdpctl("rule", "list", "eth0", "--json"))
    return {rule["name"]: rule for rule in document["rules"]}


@pytest.mark.parametrize("attached", ["driver", "skb"], indirect=True)
@pytest.mark.parametrize(
    "limit", [("10000/s", "--burst", "2500"), ("10Mbit/s", "--burst", "312500B")], ids=str
)
def test_what_is_over_the_rate_is_dropped_and_counted(
    attached: Attached, limit: tuple[str, ...]
) -> None:
    """A bucket holds so much that the sender may stop for a quarter of a second."""
    attached.xdpctl("rule", "add", "eth0", "limit", "--name", "l", "--proto", "udp",
                    "--rate", *limit, "--per", "src")  # fmt: skip
    sent = attached.left.generate("eth0", [FRAME], seconds=SECONDS, vary=False)
    rule = listed(attached)["l"]
    assert rule["packets"] == sent.packets
    assert rule["bytes"] == 125 * sent.packets
    passed = sent.packets - rule["dropped_packets"]
    assert rule["dropped_bytes"] == 125 * rule["dropped_packets"]
    assert passed == pytest.approx(min(10_000 * sent.seconds + 2500, sent.packets), rel=0.05)
    stats = attached.stats()
    dropped = {"packets": rule["dropped_packets"], "bytes": rule["dropped_bytes"]}
    assert stats["drop_reasons"] == [{"reason": "limit", **dropped}]


def test_what_is_within_meets_the_next_rule_and_all_is_shown(attached: Attached) -> None:
    attached.xdpctl("rule", "add", "eth0", "limit", "--rate", "1/h", "--burst", "3", "--name", "l")
    attached.xdpctl("rule", "add", "eth0", "drop", "--proto", "udp", "--name", "d")
    attached.left.send("eth0", [FRAME] * 5)
    rows = listed(attached)
    assert (rows["l"]["packets"], rows["l"]["dropped_packets"], rows["d"]["packets"]) == (5, 2, 3)
    assert "dropped_packets" not in rows["d"]
    _heading, _, *table = attached.xdpctl("rule", "list", "eth0").splitlines()
    assert table[0].split()[:5] == ["rule", "packets", "bytes", "dropped", "action,"]
    assert table[1].split() == ["l", "5", "625", "2", "limit", "rate:", "1/h,", "burst:", "3"]
    attached.xdpctl("rule", "reset", "eth0", "l")
    attached.left.send("eth0", [FRAME])
    rows = listed(attached)
    assert (rows["l"]["packets"], rows["l"]["dropped_packets"]) == (1, 1)
    printed = attached.xdpctl("rule", "list", "eth0", "--yaml")
    assert '  - {name: l, action: limit, rate: "1/h", burst: 3}' in printed


def test_one_limit_too_many_is_told_and_changes_nothing(attached: Attached, tmp_path: Any) -> None:
    path = tmp_path / "many.yaml"
    rules = "".join(f"- {{name: l{i}, action: limit, rate: 1/s}}\n" for i in range(65))
    path.write_text(f"rules:\n{rules}", encoding="utf-8")
    done = xdpctl(attached.right, "apply", "eth0", str(path))
    assert done.returncode == 2
    assert done.stderr.startswith("xdpctl: 65 rules limit: there can be 64\nhint: ")
    assert listed(attached) == {}
