"""`xdpctl rule list --watch`: totals and rates, while rulesets come and go."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

from netns_lab.fixtures import Attached
from tests.lab.conftest import XDPCTL, line, start, xdpctl

V4 = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="192.0.2.1", dst="192.0.2.2")
TELNET, WEB, DNS = (bytes(V4 / each) for each in (TCP(dport=23), TCP(dport=80), UDP(dport=53)))
TELNET_BYTES = 14 + 20 + 20

WATCH = ("rule", "list", "eth0", "--watch", "0.1")
TELNET_RULE = "{name: no-telnet, action: drop, proto: tcp, dport: 23}"
UDP_RULE = "{name: no-udp, action: drop, proto: udp}"


def apply(attached: Attached, path: Path, *rules: str) -> None:
    path.write_text("rules:\n" + "".join(f"- {rule}\n" for rule in rules), encoding="utf-8")
    attached.xdpctl("apply", "eth0", str(path))


class Watched:
    """What a watch has printed: what the intervals say together, and the last line's totals."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.summed: Counter[str] = Counter()
        self.lines: list[Any] = []
        self.next()
        self.summed.clear()  # what came before the first interval is no matter of rates

    def next(self) -> None:
        self.lines.append(json.loads(line(self.process.stdout)))
        interval = self.lines[-1]["interval"]
        rows = [("default", interval["default"]), *((r["name"], r) for r in interval["rules"])]
        self.summed.update({name: row["packets"] for name, row in rows if row})

    def until(self, is_enough: Callable[[dict[str, int]], bool]) -> dict[str, int]:
        """The totals once they are enough."""
        while not is_enough(self.totals()):
            self.next()
        return self.totals()

    def totals(self) -> dict[str, int]:
        last = self.lines[-1]
        rows = {rule["name"]: rule["packets"] for rule in last["rules"]}
        return rows | {"default": last["default"]["packets"]}

    def end(self) -> None:
        self.process.send_signal(signal.SIGINT)
        _, stderr = self.process.communicate(timeout=30)
        assert (self.process.returncode, stderr) == (0, "")


def test_totals_and_rates_are_those_of_what_came(attached: Attached, tmp_path: Path) -> None:
    apply(attached, tmp_path / "a.yaml", TELNET_RULE, UDP_RULE)
    attached.left.send("eth0", [TELNET] * 7)
    with start(attached.right, *WATCH, "--json") as process:
        watched = Watched(process)
        assert watched.totals() == {"no-telnet": 7, "no-udp": 0, "default": 0}
        attached.left.send("eth0", [TELNET] * 500 + [DNS] * 30 + [WEB])
        totals = watched.until(lambda totals: totals["default"] == 1)
        watched.end()
    assert totals == {"no-telnet": 507, "no-udp": 30, "default": 1}
    assert watched.summed == {"no-telnet": 500, "no-udp": 30, "default": 1}
    for each in watched.lines:
        seconds = each["interval"]["seconds"]
        row = each["interval"]["rules"][0]
        assert row["packets_per_second"] == pytest.approx(row["packets"] / seconds)
        bits = row["packets"] * TELNET_BYTES * 8
        assert row["bits_per_second"] == pytest.approx(bits / seconds)


def test_rows_follow_names_through_new_rulesets(attached: Attached, tmp_path: Path) -> None:
    apply(attached, tmp_path / "a.yaml", TELNET_RULE)
    with start(attached.right, *WATCH, "--json") as process:
        watched = Watched(process)
        attached.left.send("eth0", [TELNET] * 40 + [DNS] * 3)
        watched.until(lambda totals: totals["default"] == 3)
        apply(attached, tmp_path / "b.yaml", UDP_RULE, TELNET_RULE)
        attached.left.send("eth0", [TELNET] * 2 + [DNS] * 25)
        watched.until(lambda totals: totals.get("no-udp") == 25)
        apply(attached, tmp_path / "c.yaml", UDP_RULE)
        attached.left.send("eth0", [TELNET] * 5)
        totals = watched.until(lambda totals: totals["default"] == 8)
        watched.end()
    assert totals == {"no-udp": 25, "default": 8}
    assert [rule["name"] for rule in watched.lines[-1]["interval"]["rules"]] == ["no-udp"]
    assert watched.summed == {"no-telnet": 42, "no-udp": 25, "default": 8}


def test_rule_that_is_reset_counts_from_there(attached: Attached, tmp_path: Path) -> None:
    apply(attached, tmp_path / "a.yaml", TELNET_RULE)
    attached.left.send("eth0", [TELNET] * 40)
    with start(attached.right, *WATCH, "--json") as process:
        watched = Watched(process)
        attached.xdpctl("rule", "reset", "eth0")
        attached.left.send("eth0", [TELNET] * 4)
        watched.until(lambda totals: totals["no-telnet"] == 4)
        watched.end()
    assert watched.summed["no-telnet"] == 4


def test_bare_counter_is_watched_until_rules_come(attached: Attached) -> None:
    attached.left.send("eth0", [TELNET] * 40)
    with start(attached.right, *WATCH, "--json") as process:
        watched = Watched(process)
        assert watched.lines[0]["interval"]["default"] is None
        attached.xdpctl("rule", "add", "eth0", "drop", "--dport", "23", "--name", "no-telnet")
        attached.left.send("eth0", [TELNET] * 4 + [WEB])
        totals = watched.until(lambda totals: totals["default"] == 1)
        watched.end()
    assert totals == {"no-telnet": 4, "default": 1}
    assert watched.summed == {"no-telnet": 4, "default": 1}


def test_watch_goes_on_under_a_new_name(attached: Attached, tmp_path: Path) -> None:
    apply(attached, tmp_path / "a.yaml", TELNET_RULE)
    with start(attached.right, *WATCH, "--json") as process:
        watched = Watched(process)
        attached.right.rename("eth0", "wan0")
        while watched.lines[-1]["interface"] == "eth0":
            watched.next()
        assert watched.lines[-1]["interface"] == "wan0"
        watched.end()


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_end_of_the_interface_is_one_line(attached: Attached, options: tuple[str, ...]) -> None:
    with start(attached.right, *WATCH, *options) as process:
        line(process.stdout)
        attached.right.delete("eth0")
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 3
    said = json.loads(stderr)["error"] if options else stderr.removeprefix("xdpctl: ").rstrip()
    assert said == "eth0: no such interface"


def test_detaching_ends_the_watch_and_says_so(attached: Attached) -> None:
    with start(attached.right, *WATCH) as process:
        line(process.stdout)
        attached.xdpctl("detach", "eth0")
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 3
    assert stderr.splitlines()[0] == "xdpctl: eth0: xdpctl is not attached"


def test_table_is_appended_to_a_file(attached: Attached, tmp_path: Path) -> None:
    apply(attached, tmp_path / "a.yaml", TELNET_RULE, UDP_RULE)
    attached.left.send("eth0", [TELNET] * 1234)
    done = xdpctl(attached.right, *WATCH, "--count", "2")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    rows = [each.split() for each in lines if each.startswith("no-telnet")]
    assert rows == [["no-telnet", "1,234", f"{1234 * TELNET_BYTES:,}", "0", "0", "drop"]] * 2
    assert [row.split()[0] for row in lines[3:7]] == ["rule", "no-telnet", "no-udp", "(default)"]


def _read(terminal: IO[bytes]) -> str:
    """Nothing once nobody has the other end open any more."""
    try:
        return terminal.read(1 << 16).decode()
    except OSError:  # EIO
        return ""


def test_table_is_redrawn_on_a_terminal(attached: Attached, tmp_path: Path) -> None:
    apply(attached, tmp_path / "a.yaml", TELNET_RULE)
    ours, theirs = pty.openpty()
    with open(ours, "rb", buffering=0) as terminal:
        with open(theirs, "wb") as output:
            command = [*XDPCTL, *WATCH, "--count", "2"]
            environment = {**os.environ, "TERM": "xterm"}
            process = attached.right.popen(command, stdout=output.fileno(), env=environment)
        shown = "".join(iter(lambda: _read(terminal), ""))
        assert process.wait(timeout=30) == 0
    assert shown.count("\x1b[H\x1b[J") == 2
    assert shown.count("no-telnet") == 2


def test_file_and_rates_together_are_refused(attached: Attached) -> None:
    done = xdpctl(attached.right, *WATCH, "--yaml")
    assert done.returncode == 2
    assert done.stderr.startswith("xdpctl: --yaml prints a ruleset")
