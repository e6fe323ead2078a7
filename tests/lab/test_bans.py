"""`xdpctl ban`, `unban` and `bans` with real packets."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from netns_lab.fixtures import Attached, Pair
from tests.lab.conftest import XDPCTL, xdpctl, xdpctl_json

MACS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}
BOTH_MODES = pytest.mark.parametrize("attached", ["driver", "skb"], indirect=True)


def packet(source: str) -> bytes:
    ip = IPv6(src=source, dst="2001:db8::2") if ":" in source else IP(src=source, dst="192.0.2.2")
    return bytes(Ether(**MACS) / ip / UDP(dport=53))


def bans(attached: Attached, *options: str) -> dict[str, dict[str, Any]]:
    listed = json.loads(attached.xdpctl("bans", "eth0", *options, "--json"))
    return {f"{each['address']}/{each['prefix_length']}": each for each in listed}


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.02)


@BOTH_MODES
def test_what_comes_from_a_banned_address_does_not_arrive(attached: Attached) -> None:
    attached.xdpctl("ban", "eth0", "198.51.100.0/24", "2001:db8:bad::1", "--tag", "scan")
    banned = [packet("198.51.100.9"), packet("2001:db8:bad::1")]
    others = [packet("198.51.101.9"), packet("2001:db8:bad::2")]
    with attached.right.capture("eth0") as capture:
        attached.left.send("eth0", banned * 5 + others)
        assert sorted(capture.wait(2)) == sorted(others)
    listed = bans(attached)
    assert listed["198.51.100.0/24"] == {
        **listed["198.51.100.0/24"],
        "interface": "eth0",
        "family": "ipv4",
        "tag": "scan",
        "expires": None,
        "remaining": None,
        "packets": 5,
        "bytes": 5 * len(banned[0]),
    }
    assert listed["2001:db8:bad::1/128"]["packets"] == 5
    length = 5 * sum(map(len, banned))
    assert attached.stats()["drop_reasons"] == [{"reason": "ban", "packets": 10, "bytes": length}]
    assert "ended 2 bans" in attached.xdpctl("unban", "eth0", "--tag", "scan")
    with attached.right.capture("eth0") as capture:
        attached.left.send("eth0", banned)
        assert sorted(capture.wait(2)) == sorted(banned)
    assert bans(attached) == {}


def test_a_ban_ends_by_itself_within_a_second(attached: Attached) -> None:
    """Measured by the clock that the kernel expires it by, from what `bans` says."""
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    attached.xdpctl("ban", "eth0", "198.51.100.1", "--for", "2s")
    after = time.clock_gettime(time.CLOCK_BOOTTIME)
    last_dropped = first_passed = 0.0
    while not first_passed:
        sent = time.clock_gettime(time.CLOCK_BOOTTIME)
        dropped = attached.stats()["drop_reasons"]
        attached.left.send("eth0", [packet("198.51.100.1")])
        received = time.clock_gettime(time.CLOCK_BOOTTIME)
        until(lambda: attached.stats()["packets"] > 0)
        if attached.stats()["drop_reasons"] == dropped:
            first_passed = received
        else:
            last_dropped = sent
    assert last_dropped <= after + 2 + 1
    assert first_passed >= before + 2
    assert bans(attached) == {}


def test_banning_again_keeps_the_hits_and_sets_the_new_end(attached: Attached) -> None:
    attached.xdpctl("ban", "eth0", "198.51.100.1", "--for", "10m", "--tag", "one")
    attached.left.send("eth0", [packet("198.51.100.1")] * 3)
    until(lambda: bans(attached)["198.51.100.1/32"]["packets"] == 3)
    attached.xdpctl("ban", "eth0", "198.51.100.1", "--for", "1h", "--tag", "two")
    (again,) = bans(attached).values()
    assert (again["tag"], again["packets"]) == ("two", 3)
    assert 3500 < again["remaining"] <= 3600
    assert bans(attached, "--tag", "one") == {}


def test_bans_outlive_rulesets_and_detach_says_what_it_takes_along(
    attached: Attached, tmp_path: Path
) -> None:
    attached.xdpctl("ban", "eth0", "198.51.100.1", "198.51.100.2")
    attached.xdpctl("rule", "add", "eth0", "drop", "--proto", "tcp", "--dport", "23")
    rules = tmp_path / "edge.yaml"
    rules.write_text("rules:\n  - {name: all, action: pass}\n")
    attached.xdpctl("apply", "eth0", str(rules))
    assert set(bans(attached)) == {"198.51.100.1/32", "198.51.100.2/32"}
    assert attached.xdpctl("detach", "eth0").rstrip().endswith("and with it 2 bans")


def test_addresses_come_from_files_and_pipes_as_they_come(
    attached: Attached, tmp_path: Path
) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("# of today\r\n198.51.100.1\r\n\n2001:db8:1::/48 ; all of it\n")
    attached.xdpctl("ban", "eth0", "--file", str(listed), "203.0.113.1")
    assert set(bans(attached)) == {"198.51.100.1/32", "2001:db8:1::/48", "203.0.113.1/32"}
    with attached.right.popen([*XDPCTL, "unban", "eth0", "-"], stdin=subprocess.PIPE) as pipe:
        assert pipe.stdin is not None
        for left, address in ((2, "198.51.100.1"), (1, "2001:db8:1::/48")):
            pipe.stdin.write(address + "\n")
            pipe.stdin.flush()
            until(lambda left=left: len(bans(attached)) == left)
        pipe.stdin.close()
        assert pipe.wait(30) == 0


def test_of_addresses_and_a_tag_both_count(attached: Attached) -> None:
    attached.xdpctl("ban", "eth0", "198.51.100.1", "198.51.100.2", "--tag", "one")
    attached.xdpctl("ban", "eth0", "198.51.100.2", "198.51.100.3", "--tag", "two")
    words = ("unban", "eth0", "198.51.100.1", "198.51.100.2", "198.51.100.9", "--tag", "one")
    assert "ended 1 ban" in attached.xdpctl(*words)
    assert bans(attached).keys() == {"198.51.100.2/32", "198.51.100.3/32"}


def test_lines_may_have_times_of_their_own(attached: Attached, tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text(
        "198.51.100.1 3h59m ; of its own\n198.51.100.2\n10.0.0.0/8\t1d\n198.51.100.2 2h\n"
        "198.51.100.1\n 2001:db8::1   90s \n"
    )
    attached.xdpctl("ban", "eth0", "--file", str(listed), "--for", "10m", "--tag", "feed")
    ends = {"198.51.100.1/32": 600, "198.51.100.2/32": 7200, "10.0.0.0/8": 86400,
            "2001:db8::1/128": 90}  # fmt: skip
    listing = bans(attached, "--tag", "feed")
    assert listing.keys() == ends.keys()
    for address, seconds in ends.items():
        assert seconds - 60 < listing[address]["remaining"] <= seconds
    assert "ended 4 bans" in attached.xdpctl("unban", "eth0", "--file", str(listed))


def test_a_stream_goes_on_after_what_is_refused(attached: Attached, tmp_path: Path) -> None:
    rules = tmp_path / "edge.yaml"
    rules.write_text(
        "sets: {never_ban: [203.0.113.0/28]}\nrules: [{action: pass, src: '@never_ban'}]\n"
    )
    attached.xdpctl("apply", "eth0", str(rules))
    lines = "203.0.113.5\n198.51.100.1 1h\nfe80::/10\nfe80::/11\n::/0\n198.51.100.2\n"
    done = attached.right.run([*XDPCTL, "ban", "eth0", "-"], input=lines, check=False)
    assert done.returncode == 2
    assert done.stderr.count("would drop neighbour discovery") == 3
    assert "203.0.113.5: the ruleset's set never_ban has addresses of it" in done.stderr
    assert done.stderr.splitlines()[-2:] == [
        "xdpctl: <stdin>: some addresses were refused; the others are banned",
        "hint: --force overrides",
    ]
    assert bans(attached).keys() == {"198.51.100.1/32", "198.51.100.2/32"}


def test_wrong_addresses_are_told_and_nothing_is_banned(pair: Pair, tmp_path: Path) -> None:
    assert xdpctl(pair.right, "attach", "eth0").returncode == 0
    listed = tmp_path / "list.txt"
    listed.write_text("198.51.100.1\n198.51.100.300\n10.0.0.1/8\n1.2.3.5-1.2.3.7\n")
    timed = tmp_path / "timed.txt"
    timed.write_text("10.0.0.1 soon\n10.0.0.1 1h 2h\n10.0.0.1 0s\n")
    cases = (
        (("ban", "eth0", "198.51.100.1", "nobody"), '"nobody" is not an IPv4 or IPv6 address'),
        (("ban", "eth0", "--file", str(listed)), f"{listed}:2: "),
        (("ban", "eth0", "--file", str(timed)), f'{timed}:1: "soon" is not a duration'),
        (("ban", "eth0", "--file", str(timed)), f'{timed}:2: "10.0.0.1 1h 2h" is no ADDRESS'),
        (("ban", "eth0", "--file", str(timed)), f'{timed}:3: "0s" is not a duration'),
        (("ban", "eth0", "198.51.100.1 1h"), "is not an IPv4 or IPv6 address"),
        (("ban", "eth0", "10.0.0.0/8", "--for", "soon"), '--for: "soon" is not a duration'),
        (("ban", "eth0", "10.0.0.0/8", "--tag", "x" * 64), "at most 63 bytes"),
        (("ban", "eth0"), "name the addresses to ban"),
        (("ban",), "name the addresses to ban"),
        (("unban", "eth0"), "name addresses, or a --tag"),
        (("ban", "eth0", "--file", "/nowhere"), "/nowhere: no such file"),
    )
    for words, told in cases:
        done = xdpctl(pair.right, *words)
        assert (done.returncode, done.stdout) == (2, ""), words
        assert told in done.stderr, words
        assert "Traceback" not in done.stderr
    done = xdpctl(pair.right, "ban", "eth0", "--file", str(listed))
    assert done.stderr.count(str(listed)) == 3
    assert xdpctl_json(pair.right, "bans", "eth0") == []
    piped = pair.right.run(
        [*XDPCTL, "ban", "eth0", "-"], input="nobody\n198.51.100.1\n", check=False
    )
    assert piped.returncode == 2
    assert "<stdin>:1: " in piped.stderr
    assert [each["address"] for each in xdpctl_json(pair.right, "bans", "eth0")] == ["198.51.100.1"]


def test_lifelines_and_never_ban_are_refused(attached: Attached, tmp_path: Path) -> None:
    rules = tmp_path / "edge.yaml"
    rules.write_text(
        "sets: {never_ban: [203.0.113.0/28]}\nrules: [{action: pass, src: '@never_ban'}]\n"
    )
    attached.xdpctl("apply", "eth0", str(rules))
    for address, code, told in (
        ("fe80::/10", 3, "eth0: banning fe80::/10 would drop neighbour discovery"),
        ("203.0.113.0/24", 2, "203.0.113.0/24: the ruleset's set never_ban has addresses of it"),
        ("203.0.113.5", 2, "203.0.113.5: the ruleset's set never_ban has addresses of it"),
    ):
        done = xdpctl(attached.right, "ban", "eth0", "198.51.100.7", address)
        assert (done.returncode, done.stderr.splitlines()[0]) == (code, f"xdpctl: {told}")
        assert bans(attached) == {}
        assert xdpctl(attached.right, "ban", "eth0", address, "--force").returncode == 0
        attached.xdpctl("unban", "eth0", address)
    attached.xdpctl("ban", "eth0", "203.0.113.16")


def test_a_full_table_says_how_many_went_in(pair: Pair) -> None:
    assert xdpctl(pair.right, "attach", "eth0", "--max-bans", "2").returncode == 0
    done = xdpctl(pair.right, "ban", "eth0", "198.51.100.1", "198.51.100.2", "198.51.100.3")
    assert done.returncode == 3
    told = "xdpctl: eth0: the table of 2 bans is full: 2 of 3 went in"
    assert done.stderr.splitlines()[0] == told
    assert len(xdpctl_json(pair.right, "bans", "eth0")) == 2


def test_all_interfaces_at_once_and_several_at_a_time(pair: Pair) -> None:
    assert xdpctl(pair.right, "ban", "--all", "198.51.100.1").returncode == 3
    assert xdpctl(pair.right, "attach", "eth0", "lo", "-S").returncode == 0
    assert xdpctl(pair.right, "ban", "--all", "2001:db8:1::1", "198.51.100.1").returncode == 0
    listed = xdpctl_json(pair.right, "bans")
    assert sorted((each["interface"], each["family"]) for each in listed) == [
        ("eth0", "ipv4"), ("eth0", "ipv6"), ("lo", "ipv4"), ("lo", "ipv6"),
    ]  # fmt: skip
    racers = [
        pair.right.popen([*XDPCTL, "ban", "--all", *(f"10.{n}.0.{m}" for m in range(50))])
        for n in range(6)
    ]
    assert [racer.wait(60) for racer in racers] == [0] * 6
    assert len(xdpctl_json(pair.right, "bans", "eth0")) == 302
    assert xdpctl(pair.right, "detach", "--all").returncode == 0
