"""Rules on real interfaces: what they drop, what they count, and that a change loses nothing."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from netns_lab.fixtures import Attached, Pair
from tests.forked import forked
from tests.lab.conftest import line, start, xdpctl, xdpctl_json

MACS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}
V4 = Ether(**MACS) / IP(src="192.0.2.1", dst="192.0.2.2")
V6 = Ether(**MACS) / IPv6(src="2001:db8::1", dst="2001:db8::2")
TELNET, WEB, DNS = V4 / TCP(dport=23), V4 / TCP(dport=80), V4 / UDP(dport=53)
TELNET6, PING = V6 / TCP(dport=23), V4 / ICMP()
BOTH_MODES = pytest.mark.parametrize("attached", ["driver", "skb"], indirect=True)

RULES = """
name: edge
default: pass
sets:
  office: [192.0.2.0/28, "2001:db8::/64"]
rules:
  - {name: no-telnet, action: drop, proto: tcp, dport: 23}
  - {name: office-dns, action: pass, src: "@office", proto: udp, dport: 53}
  - {name: no-udp, action: drop, proto: udp}
"""


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def counted(attached: Attached) -> dict[str, int]:
    listed = json.loads(attached.xdpctl("rule", "list", "eth0", "--json"))
    rows = {rule["name"]: rule["packets"] for rule in listed["rules"]}
    return rows | {"default": listed["default"]["packets"]}


@BOTH_MODES
def test_what_rules_drop_does_not_arrive_and_is_counted(attached: Attached, tmp_path: Path) -> None:
    attached.xdpctl("apply", "eth0", write(tmp_path / "edge.yaml", RULES))
    other_dns = Ether(**MACS) / IP(src="198.51.100.1", dst="192.0.2.2") / UDP(dport=53)
    with attached.right.capture("eth0") as capture:
        sent = [TELNET, TELNET6, other_dns] * 10 + [WEB, DNS, PING] * 10
        attached.left.send("eth0", sent)
        arrived = capture.wait(30)
    assert sorted(arrived) == sorted(map(bytes, [WEB, DNS, PING] * 10))
    assert counted(attached) == {"no-telnet": 20, "office-dns": 10, "no-udp": 10, "default": 20}
    stats = attached.stats()
    assert stats["packets"] == 60
    length = 10 * sum(map(len, (TELNET, TELNET6, other_dns)))
    assert stats["drop_reasons"] == [{"reason": "rule", "packets": 30, "bytes": length}]


@BOTH_MODES
def test_a_rule_added_to_a_counter_acts_and_goes_again(attached: Attached) -> None:
    added = json.loads(
        attached.xdpctl("rule", "add", "eth0", "drop", "--dport", "23", "--proto", "tcp", "-j")
    )
    with attached.right.capture("eth0") as capture:
        attached.left.send("eth0", [TELNET] * 5 + [WEB])
        assert capture.wait(1) == [bytes(WEB)]
        attached.xdpctl("rule", "delete", "eth0", added["rule"]["name"])
        attached.left.send("eth0", [TELNET] * 5)
        assert capture.wait(6) == [bytes(WEB), *[bytes(TELNET)] * 5]
    assert attached.stats()["packets"] == 11


def test_counters_stay_with_a_name_through_changes(attached: Attached, tmp_path: Path) -> None:
    attached.xdpctl("apply", "eth0", write(tmp_path / "edge.yaml", RULES))
    attached.left.send("eth0", [TELNET] * 3)
    attached.xdpctl("rule", "add", "eth0", "drop", "--proto", "icmp", "--before", "no-telnet")
    attached.left.send("eth0", [TELNET] * 4 + [PING])
    assert counted(attached)["no-telnet"] == 7
    attached.xdpctl("rule", "reset", "eth0", "no-telnet")
    assert counted(attached)["no-telnet"] == 0
    attached.left.send("eth0", [TELNET])
    attached.xdpctl("apply", "eth0", str(tmp_path / "edge.yaml"))
    assert counted(attached) == {"no-telnet": 1, "office-dns": 0, "no-udp": 0, "default": 0}
    attached.xdpctl("rollback", "eth0")
    icmp, *_ = counted(attached).values()
    assert icmp == 1  # it is there again, and what it has counted
    assert counted(attached)["no-telnet"] == 1


def test_attach_with_rules_lets_nothing_through_before(pair: Pair, tmp_path: Path) -> None:
    path = write(tmp_path / "edge.yaml", "default: drop\n")
    done = xdpctl(pair.right, "attach", "eth0", "--rules", path, "--force")
    assert done.returncode == 0, done.stderr
    again = xdpctl(pair.right, "attach", "eth0", "--rules", path, "--force")
    assert again.returncode == 3
    assert "hint: put the rules in place with: xdpctl apply eth0 FILE" in again.stderr
    pair.left.send("eth0", [WEB] * 3)
    assert xdpctl_json(pair.right, "stats", "eth0")["drop_reasons"][0]["reason"] == "default"


def test_the_running_ruleset_is_a_file_that_applies(attached: Attached, tmp_path: Path) -> None:
    path = write(tmp_path / "edge.yaml", RULES)
    attached.xdpctl("apply", "eth0", path)
    printed = attached.xdpctl("rule", "list", "eth0", "--yaml")
    same = xdpctl(attached.right, "diff", "eth0", write(tmp_path / "again.yaml", printed))
    assert (same.returncode, same.stdout) == (0, "no difference\n")
    (tmp_path / "edge.yaml").write_text(RULES.replace("dport: 23", "dport: 24"), encoding="utf-8")
    other = xdpctl(attached.right, "diff", "eth0", path)
    assert other.returncode == 1
    assert "~ name: no-telnet" in other.stdout


def test_sets_are_read_and_changed_in_the_kernel(attached: Attached, tmp_path: Path) -> None:
    path = write(tmp_path / "edge.yaml", RULES)
    attached.xdpctl("apply", "eth0", path)
    Path(path).unlink()
    attached.xdpctl("set", "add", "eth0", "office", "198.51.100.7")
    assert attached.xdpctl("set", "list", "eth0", "office").split() == [
        "192.0.2.0/28", "198.51.100.7", "2001:db8::/64",
    ]  # fmt: skip
    attached.xdpctl("set", "remove", "eth0", "office", "192.0.2.8/29")
    listed = attached.xdpctl("set", "list", "eth0", "office").split()
    assert listed == ["192.0.2.0/29", "198.51.100.7", "2001:db8::/64"]
    from_it = Ether(**MACS) / IP(src="198.51.100.7", dst="192.0.2.2") / UDP(dport=53)
    attached.left.send("eth0", [from_it])
    assert counted(attached)["office-dns"] == 1


def test_an_expired_rule_is_passed_over(attached: Attached) -> None:
    attached.xdpctl("rule", "add", "eth0", "drop", "--proto", "udp", "--for", "1s", "--name", "now")
    listed = json.loads(attached.xdpctl("rule", "list", "eth0", "--json"))
    assert listed["rules"][0]["expires"].endswith("Z")
    with attached.right.capture("eth0") as capture:
        while not capture.packets:  # its second is over
            attached.left.send("eth0", [DNS])
    assert counted(attached)["default"] >= 1


def test_an_expired_rule_is_shown_as_one(attached: Attached, tmp_path: Path) -> None:
    rules = (
        "rules:\n"
        "- {name: over, action: drop, dport: 1, expires: '2020-01-01T00:00:00Z'}\n"
        "- {name: soon, action: drop, dport: 2, expires: 5h30m}\n"
        "- {name: never, action: drop, dport: 3}\n"
    )
    attached.xdpctl("apply", "eth0", write(tmp_path / "edge.yaml", rules))
    listed = json.loads(attached.xdpctl("rule", "list", "eth0", "--json"))["rules"]
    assert [each["expired"] for each in listed] == [True, False, False]
    assert [each["expires"] is None for each in listed] == [False, False, True]
    shown = attached.xdpctl("rule", "list", "eth0")
    assert re.search(r"^over .* drop dport: 1, expired \d+ d ago *$", shown, re.MULTILINE)
    assert re.search(r"^soon .* drop dport: 2, for 5 h more *$", shown, re.MULTILINE)
    assert re.search(r"^never .* drop dport: 3 *$", shown, re.MULTILINE)


def test_rules_are_shown_in_80_columns_and_long_lists_in_part(
    attached: Attached, tmp_path: Path
) -> None:
    ports = ", ".join(str(2 * n) for n in range(100))
    rules = (
        f"rules:\n- {{name: {'n' * 63}, action: drop, proto: tcp, dport: {{not: [{ports}]}}, "
        'src: ["2001:db8:1111:2222:3333:4444:5555:6666", 198.51.100.100-198.51.100.200]}\n'
    )
    attached.xdpctl("apply", "eth0", write(tmp_path / "edge.yaml", rules))
    for options in ((), ("--watch", "0.1", "--count", "1")):
        shown = attached.xdpctl("rule", "list", "eth0", *options)
        assert max(map(len, shown.splitlines())) <= 80
    shown = " ".join(attached.xdpctl("rule", "list", "eth0").split())
    assert "dport: not 0 2 4 6 8 10 12 14 and 92 more" in shown


def test_a_large_set_is_printed_whole_or_as_far_as_somebody_reads(
    attached: Attached, tmp_path: Path
) -> None:
    """Every other address, so that none can be taken together with the next."""
    addresses = [f"11.{n >> 15}.{n >> 7 & 255}.{n % 128 * 2}" for n in range(300_000)]
    write(tmp_path / "list", "\n".join(reversed(addresses)))
    rules = (
        "sets: {listed: {file: list}, one: [192.0.2.7]}\nrules: [{action: drop, src: '@listed'}]"
    )
    attached.xdpctl("apply", "eth0", write(tmp_path / "edge.yaml", rules))
    assert attached.xdpctl("set", "list", "eth0", "listed").splitlines() == addresses
    assert attached.xdpctl("set", "list", "eth0").splitlines() == [
        f"listed    300,000 prefixes  {tmp_path}/list",
        "one               1 prefix",
    ]
    with start(attached.right, "set", "list", "eth0", "listed") as listing:
        assert line(listing.stdout) == f"{addresses[0]}\n"
        assert listing.stdout is not None
        listing.stdout.close()
        assert listing.stderr is not None
        assert listing.stderr.read() == ""
    assert listing.returncode == 0


MISTAKES: list[tuple[list[str], int, str]] = [
    (["rule", "add", "eth0", "drop", "--dport", "99999"], 2, '"99999" is outside 0-65535'),
    (["rule", "add", "eth0", "drop", "--src", "@none"], 2, "none"),
    (["rule", "add", "eth0", "drop", "--before", "x"], 2, "x: no such rule"),
    (["rule", "delete", "eth0", "x"], 2, "x: no such rule"),
    (["rule", "reset", "eth0", "x"], 2, "x: no such rule"),
    (["rule", "reset", "eth0"], 2, "eth0: no rules"),
    (["set", "list", "eth0", "x"], 2, "x: no such set"),
    (["set", "add", "eth0", "x", "192.0.2.1"], 2, "x: no such set"),
    (["rollback", "eth0"], 3, "no ruleset was there before"),
    (["apply", "eth0", "/nonexistent.yaml"], 2, "/nonexistent.yaml"),
    (["apply", "eth9", "/dev/null"], 3, "eth9: no such interface"),
]


@pytest.mark.parametrize(("words", "code", "said"), MISTAKES)
def test_a_mistake_is_told_and_changes_nothing(
    attached: Attached, words: list[str], code: int, said: str
) -> None:
    before = xdpctl_json(attached.right, "status")
    done = xdpctl(attached.right, *words)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert xdpctl_json(attached.right, "status") == before


def test_rules_want_an_attached_interface(pair: Pair) -> None:
    done = xdpctl(pair.right, "rule", "add", "eth0", "drop", "--dport", "23")
    assert done.returncode == 3
    assert done.stderr.startswith("xdpctl: eth0: xdpctl is not attached\nhint: run: xdpctl attach")


def test_killed_before_any_call_the_ruleset_is_the_old_one_or_the_new_one(
    attached: Attached, tmp_path: Path
) -> None:
    old = write(tmp_path / "old.yaml", "rules: [{name: old, action: drop, dport: 1}]")
    new = write(tmp_path / "new.yaml", RULES)
    all_new = {"no-telnet", "office-dns", "no-udp"}
    path = (attached.right.namespace.path,)
    attached.xdpctl("apply", "eth0", old)
    for nth in range(1, 100):
        done = forked().run("apply", "eth0", new, namespaces=path, killed_before=nth)
        names = set(counted(attached)) - {"default"}
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
        assert names in ({"old"}, all_new)
        if names == all_new:
            attached.xdpctl("apply", "eth0", old)
    assert names == all_new
    assert nth > 10
