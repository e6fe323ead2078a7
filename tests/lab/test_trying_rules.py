"""Rules that are on an interface, and who may try some."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from netns_lab.fixtures import Pair
from tests.capture_files import pcap
from tests.lab.conftest import XDPCTL, xdpctl, xdpctl_json
from tests.packets import IPV4, UDP, eth, ipv4


def test_explain_goes_by_the_rules_and_bans_of_an_interface(pair: Pair) -> None:
    host = pair.right
    assert xdpctl(host, "attach", "eth0").returncode == 0
    telnet = ("explain", "--on", "eth0", "--proto", "tcp", "--dport", "23")
    assert xdpctl_json(host, *telnet)["reason"] == "default"
    xdpctl(host, "rule", "add", "eth0", "drop", "--dport", "23", "--name", "no-telnet")
    xdpctl(host, "ban", "eth0", "203.0.113.0/24", "203.0.113.7", "--for", "1h")
    before = xdpctl_json(host, "stats", "eth0")["packets"]
    ruled = xdpctl_json(host, *telnet)
    assert (ruled["verdict"], ruled["rule"], ruled["ban"]) == ("drop", "no-telnet", None)
    banned = xdpctl_json(host, *telnet, "--src", "203.0.113.7")
    assert (banned["verdict"], banned["reason"], banned["ban"]) == ("drop", "ban", "203.0.113.7")
    assert banned["rules"] == []
    text = xdpctl(host, *telnet, "--src", "203.0.113.8").stdout
    assert text.endswith("\ndrop: ban of 203.0.113.0/24\n")
    assert xdpctl_json(host, "stats", "eth0")["packets"] == before


def test_explain_of_an_interface_without_our_program_exits_3(pair: Pair) -> None:
    done = xdpctl(pair.right, "explain", "--on", "eth0", "--dport", "23")
    assert done.returncode == 3
    assert done.stderr.startswith("xdpctl: eth0: ")


@pytest.mark.parametrize("verb", ["explain", "compare", "test"])
def test_missing_privileges_exit_4(pair: Pair, tmp_path: Path, verb: str) -> None:
    rules, tests = tmp_path / "rules.yaml", tmp_path / "rules.test.yaml"
    rules.write_text("rules: []")
    tests.write_text("rules: rules.yaml\npackets: [{dport: 1, expect: pass}]")
    arguments = {
        "explain": ["--dport", "1"],
        "compare": ["night.pcap", str(rules), str(rules)],
        "test": [str(tests)],
    }[verb]
    without = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--"]
    done = pair.right.run([*without, *XDPCTL, verb, *arguments], check=False)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("xdpctl: CAP_SYS_ADMIN and CAP_NET_ADMIN are missing\n")


def test_a_packet_of_standard_input_is_explained(pair: Pair, tmp_path: Path) -> None:
    """As `tcpdump -w - | xdpctl explain -:1` has it."""
    capture = tmp_path / "night.pcap"
    capture.write_bytes(pcap([eth(IPV4, ipv4(17, UDP))] * 2))
    script = f"{' '.join(XDPCTL)} explain -:2 --json < {capture}"
    done = pair.right.run(["sh", "-c", script], check=False)
    assert json.loads(done.stdout)["fields"]["dport"] == 53, done.stderr


def test_explain_starts_without_libraries_that_it_has_no_use_for() -> None:
    script = (
        "import sys; from xdpctl.cli import explain, compare, test;"
        "print(sorted({'scapy', 'pyroute2', 'numpy', 'rich', 'yaml'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
