"""The dashboard over real traffic: in a terminal, which is tmux, and as plain text."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netns_lab import Host, traffic
from netns_lab.fixtures import Attached, Pair
from tests.lab.conftest import XDPCTL, xdpctl, xdpctl_json
from tests.lab.private_labs import until
from tests.lab.test_bans import packet
from tests.packets import IPV4, TCP, UDP, eth, ipv4
from xdpctl.datapath.program import SAMPLING, RunningProgram
from xdpctl.observe.live import LiveInterfaces
from xdpctl.observe.monitor import Monitor
from xdpctl.observe.reading import Table

UDP_FRAME, TCP_FRAME = eth(IPV4, ipv4(17, UDP)), eth(IPV4, ipv4(6, TCP))


class Terminal:
    """tmux with a program in it, on a host."""

    def __init__(self, host: Host, directory: Path) -> None:
        self._host = host
        self._tmux = ["tmux", "-f", "/dev/null", "-S", f"{directory}/tmux"]

    def _run(self, *words: str) -> str:
        return self._host.run([*self._tmux, *words], timeout_s=60).stdout

    def start(self, command: str, width: int, height: int) -> None:
        """Its end is said on the screen, with the exit code."""
        told = f"{command}; echo ended with $?; cat"
        self._run("new-session", "-d", "-x", str(width), "-y", str(height), told)

    def press(self, *keys: str) -> None:
        self._run("send-keys", *keys)

    def resize(self, width: int, height: int) -> None:
        self._run("resize-window", "-x", str(width), "-y", str(height))

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self._run("capture-pane", "-p").split("\n")]

    def see(self, pattern: str) -> re.Match[str]:
        """Waits until it is on the screen."""
        found: list[re.Match[str]] = []

        def there() -> bool:
            match = re.search(pattern, "\n".join(self.lines), re.MULTILINE)
            found.extend([match] if match else [])
            return bool(found)

        until(there)
        return found[0]

    @property
    def pid(self) -> int:
        """The process id of the dashboard."""
        shell = self._run("list-panes", "-F", "#{pane_pid}").strip()
        children = Path(f"/proc/{shell}/task/{shell}/children").read_text(encoding="ascii")
        return int(children.split()[0])

    def end(self) -> None:
        self._host.run([*self._tmux, "kill-server"], check=False)


@contextmanager
def terminal(
    host: Host, directory: Path, *arguments: str, size: tuple[int, int] = (80, 24), env: str = ""
) -> Iterator[Terminal]:
    made = Terminal(host, directory)
    try:
        made.start(f"{env} {shlex.join([*XDPCTL, 'dash', *arguments])}", *size)
        yield made
    finally:
        made.end()


def shown(made: Terminal, title: str = "1 protocol") -> dict[str, list[str]]:
    """The columns of the rows in sight, by their names."""
    lines = made.lines
    head = next(n for n, line in enumerate(lines) if line.startswith(f"  {title}"))
    rows = [line[2:].split() for line in lines[head + 1 : -2] if line[2:].strip()]
    return {row[0]: row[1:] for row in rows}


def test_numbers_are_those_of_stats_once_traffic_has_stopped(
    attached: Attached, tmp_path: Path
) -> None:
    with terminal(attached.right, tmp_path, "eth0", "--interval", "0.2", size=(80, 44)) as screen:
        screen.see("1 protocol")
        attached.left.send("eth0", list(traffic.mix().values()) * 3 + [UDP_FRAME] * 4321)
        stats = xdpctl_json(attached.right, "stats", "eth0")
        expected = {row["protocol"]: f"{row['packets']:,}" for row in stats["protocols"]}
        until(lambda: {name: row[1] for name, row in shown(screen).items()} == expected)
        screen.press("u", "u")  # packets, bits, bytes
        expected = {row["protocol"]: f"{row['bytes']:,}" for row in stats["protocols"]}
        until(lambda: {name: row[1] for name, row in shown(screen).items()} == expected)


def test_core_reads_what_stats_and_rule_list_read(attached: Attached) -> None:
    xdpctl(attached.right, "rule", "add", "eth0", "drop", "--proto", "udp", "--name", "no-udp")
    attached.left.send("eth0", [*traffic.mix().values(), *[UDP_FRAME] * 21])
    stats = xdpctl_json(attached.right, "stats", "eth0", "--per-cpu")
    rules = xdpctl_json(attached.right, "rule", "list", "eth0")

    def read() -> Monitor:
        with LiveInterfaces(["eth0"]) as live:
            made = Monitor(live)
            made.tick()
            return made

    made = attached.right.call(read)

    def tables(table: Table) -> dict[str, tuple[int, int | None]]:
        return {line.key: (line.packets, line.bytes) for line in made.lines("eth0", table)}

    assert made.total("eth0").packets == stats["packets"]
    assert tables(Table.PROTOCOLS) == {
        row["protocol"]: (row["packets"], row["bytes"]) for row in stats["protocols"]
    }
    verdicts = tables(Table.VERDICTS)
    assert {key: verdicts[key] for key in ("pass", "drop")} == {
        row["verdict"]: (row["packets"], row["bytes"]) for row in stats["verdicts"]
    }
    assert {key: each for key, each in verdicts.items() if key.startswith("malformed: ")} == {
        f"malformed: {row['reason']}": (row["packets"], None) for row in stats["malformed_reasons"]
    }
    assert [packets for packets, _ in tables(Table.SIZES).values()] == [
        row["packets"] for row in stats["sizes"]
    ]
    default = rules["default"]
    assert tables(Table.RULES) == {
        "no-udp": (rules["rules"][0]["packets"], rules["rules"][0]["bytes"]),
        "(default)": (default["packets"], default["bytes"]),
    }
    assert [packets for packets, _ in tables(Table.CPUS).values()] == [
        row["packets"] for row in stats["cpus"] if row["cpu"] in os.sched_getaffinity(0)
    ]


def test_core_reads_what_bans_and_limits_drop(attached: Attached) -> None:
    command = ("rule", "add", "eth0", "limit", "--rate", "1/h", "--burst", "3", "--name", "few")
    assert xdpctl(attached.right, *command, "--force").returncode == 0
    attached.xdpctl("ban", "eth0", "198.51.100.0/24", "2001:db8::9", "--tag", "scan")
    banned = [packet("198.51.100.1")] * 4 + [packet("2001:db8::9")]
    attached.left.send("eth0", banned + [UDP_FRAME] * 8)
    (limit,) = xdpctl_json(attached.right, "rule", "list", "eth0")["rules"]
    listed = xdpctl_json(attached.right, "bans", "eth0")

    with LiveInterfaces(["eth0"]) as live:
        made = Monitor(live)

        def tables(table: Table) -> dict[str, tuple[int, int | None]]:
            attached.right.call(made.tick)
            lines = made.lines("eth0", table)
            return {line.key: (line.packets, line.bytes) for line in lines if line.present}

        rules = tables(Table.RULES)
        assert rules["few"] == (limit["packets"], limit["bytes"]) == (8, 8 * len(UDP_FRAME))
        assert rules["few: over the rate"] == (limit["dropped_packets"], limit["dropped_bytes"])
        assert limit["dropped_packets"] == 5
        assert tables(Table.BANS) == {
            "198.51.100.0/24": (listed[0]["packets"], listed[0]["bytes"]),
            "2001:db8::9": (listed[1]["packets"], listed[1]["bytes"]),
        }
        assert [each["packets"] for each in listed] == [4, 1]
        attached.xdpctl("unban", "eth0", "198.51.100.0/24")
        xdpctl(attached.right, "rule", "reset", "eth0", "few")
        attached.left.send("eth0", [UDP_FRAME])
        assert tables(Table.RULES)["few: over the rate"] == (1, len(UDP_FRAME))
        assert [*tables(Table.BANS)] == ["2001:db8::9"]


def test_rates_are_those_of_what_is_sent(attached: Attached) -> None:
    def two(send: Callable[[], object]) -> tuple[float, int]:
        with LiveInterfaces(["eth0"]) as live:
            made = Monitor(live)
            made.tick()
            send()
            made.tick()
        rate = made.total("eth0").rate
        assert rate is not None
        return rate.packets * made.seconds_back(1), len(made.scopes)

    counted, scopes = attached.right.call(two, lambda: attached.left.send("eth0", [UDP_FRAME] * 77))
    assert (counted, scopes) == (pytest.approx(77), 1)


def test_rules_that_are_reset_replaced_and_taken_away_are_followed(attached: Attached) -> None:
    right = attached.right

    def change(*words: str) -> None:
        done = xdpctl(right, *words)
        assert done.returncode == 0, done.stderr

    change("rule", "add", "eth0", "drop", "--proto", "udp", "--name", "a")
    with LiveInterfaces(["eth0"]) as live:
        made = Monitor(live)

        def rules() -> dict[str, tuple[int, bool]]:
            right.call(made.tick)
            lines = made.lines("eth0", Table.RULES)
            return {line.key: (line.packets, line.present) for line in lines}

        attached.left.send("eth0", [UDP_FRAME] * 9)
        assert rules() == {"a": (9, True), "(default)": (0, True)}
        change("rule", "reset", "eth0", "a")
        attached.left.send("eth0", [UDP_FRAME] * 2)
        assert rules() == {"a": (2, True), "(default)": (0, True)}
        change("rule", "add", "eth0", "pass", "--proto", "tcp", "--name", "b", "--before", "a")
        attached.left.send("eth0", [TCP_FRAME] * 5)
        assert rules() == {"a": (2, True), "(default)": (0, True), "b": (5, True)}
        change("rule", "delete", "eth0", "a")
        assert rules() == {"a": (2, False), "(default)": (0, True), "b": (5, True)}
        change("detach", "eth0")
        change("attach", "eth0")
        assert {key: present for key, (_, present) in rules().items()} == dict.fromkeys(
            ("a", "(default)", "b"), False
        )


def test_keys_resizing_and_leaving(attached: Attached, tmp_path: Path) -> None:
    attached.left.send("eth0", [UDP_FRAME] * 5 + [TCP_FRAME])
    with terminal(attached.right, tmp_path, "eth0") as screen:
        screen.see(r"^\[1 protocols\]")
        screen.press("Down")
        screen.see("^> udp")
        screen.press("2")
        screen.see(r"\[2 verdicts\]")
        screen.press("?")
        screen.see("leave")
        screen.press("Escape")
        until(lambda: not any("leave" in line for line in screen.lines))
        screen.resize(160, 50)
        screen.see("7 interface")
        screen.resize(40, 10)
        screen.see("^> pass")
        screen.press("q")
        screen.see("^ended with 0")
    assert len(xdpctl_json(attached.right, "status")) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_told_to_end_it_gives_the_terminal_back(
    attached: Attached, tmp_path: Path, number: signal.Signals
) -> None:
    with terminal(attached.right, tmp_path, "eth0") as screen:
        screen.see("1 protocol")
        os.kill(screen.pid, number)
        screen.see("^ended with 0")
        assert not any("protocol" in line for line in screen.lines)


def active_readers(attached: Attached) -> int:
    """The bits of those who sample."""
    (status,) = xdpctl_json(attached.right, "status")
    with RunningProgram(status["program_id"]) as program:
        return program.map(SAMPLING)[0].active & 0xFF


def test_who_sends_most_is_sampled_banned_and_not_sampled_when_it_has_gone(
    attached: Attached, tmp_path: Path
) -> None:
    with terminal(attached.right, tmp_path, "eth0", "--interval", "0.2") as screen:
        screen.see("1 protocol")
        assert active_readers(attached) == 1
        frames = [packet("198.51.100.1")] * 60 + [packet("2001:db8::9")] * 20 + [UDP_FRAME] * 20
        attached.left.send("eth0", frames)
        screen.press("8")
        screen.see(r"^> 198\.51\.100\.1 .* 60 ")
        screen.see(r"^  2001:db8::9 .* 20 ")
        screen.press("8")
        screen.see("8 destination")
        screen.press("8")
        screen.see("^[> ] udp/")
        screen.press("8")
        screen.see("^> 198")
        screen.press("a")
        screen.see("xdpctl ban eth0 198.51.100.1 --for 10m ")
        screen.press("y")
        until(lambda: bool(xdpctl_json(attached.right, "bans", "eth0")))
        screen.press("q")
        screen.see("^ended with 0")
    assert active_readers(attached) == 0


def test_killed_it_leaves_counting_as_it_was(attached: Attached, tmp_path: Path) -> None:
    with terminal(attached.right, tmp_path, "eth0") as screen:
        screen.see("1 protocol")
        before = xdpctl_json(attached.right, "status")
        os.kill(screen.pid, signal.SIGKILL)
        screen.see("^ended with 137")
        attached.left.send("eth0", [UDP_FRAME] * 5)
        (after,) = xdpctl_json(attached.right, "status")
    assert after == before[0] | {"packets": 5, "bytes": 5 * len(UDP_FRAME)}

    def is_off() -> bool:
        attached.left.send("eth0", [UDP_FRAME] * 2)  # who looks is the data plane, at a packet
        return not active_readers(attached)

    until(is_off)


def test_interface_that_goes_is_waited_for(pair: Pair, tmp_path: Path) -> None:
    xdpctl(pair.right, "attach", "eth0")
    with terminal(pair.right, tmp_path, "eth0", "--interval", "0.1") as screen:
        screen.see("^xdpctl  eth0 · driver mode")
        xdpctl(pair.right, "detach", "eth0")
        screen.see("^xdpctl  eth0 · not attached")
        pair.right.delete("eth0")
        screen.see("^xdpctl  eth0 · gone")
        pair.lab.link(pair.left, pair.right)
        xdpctl(pair.right, "attach", "eth0", "--mode", "skb")
        screen.see("^xdpctl  eth0 · skb mode")
        pair.left.send("eth0", [UDP_FRAME] * 3)
        screen.see(r"^> udp +\S+ +3 ")


def test_rule_is_added_and_deleted_from_the_screen(attached: Attached, tmp_path: Path) -> None:
    attached.left.send("eth0", [UDP_FRAME] * 3)

    def rules() -> list[dict[str, object]]:
        return xdpctl_json(attached.right, "rule", "list", "eth0")["rules"]

    with terminal(attached.right, tmp_path, "eth0", "--interval", "0.2") as screen:
        screen.see("^> udp")
        screen.press("a")
        screen.see("xdpctl rule add eth0 drop --proto udp ")
        assert rules() == []
        screen.press("y")
        screen.see(r"^eth0: rule \S+: drop proto: udp$")
        (rule,) = rules()
        assert (rule["action"], rule["proto"]) == ("drop", "udp")
        screen.press("3")
        screen.see(f"^> {rule['name']}  drop proto: udp")
        screen.press("a")
        screen.see(f"xdpctl rule delete eth0 {rule['name']} ")
        screen.press("y")
        screen.see(f"^>x{rule['name']}")
        assert rules() == []


def test_ban_is_shown_ended_and_set_again_from_the_screen(
    attached: Attached, tmp_path: Path
) -> None:
    def bans() -> dict[str, dict[str, object]]:
        return {each["address"]: each for each in xdpctl_json(attached.right, "bans", "eth0")}

    attached.xdpctl("ban", "eth0", "198.51.100.0/24", "2001:db8::9", "--for", "3h", "--tag", "scan")
    with terminal(attached.right, tmp_path, "eth0", "--interval", "0.2") as screen:
        screen.see("1 protocol")
        screen.press("4")
        screen.see("^> 198.51.100.0/24  2 h, scan +0 +0")
        attached.left.send("eth0", [packet("198.51.100.1")] * 9 + [packet("2001:db8::9")] * 2)
        expected = {each: f"{ban['packets']:,}" for each, ban in bans().items()}
        assert expected == {"198.51.100.0": "9", "2001:db8::9": "2"}

        def totals() -> dict[str, str]:
            rows = shown(screen, "4 ban").items()
            return {name.partition("/")[0]: row[4] for name, row in rows}

        until(lambda: totals() == expected)
        screen.press("a")
        screen.see("xdpctl unban eth0 198.51.100.0/24 ")
        assert len(bans()) == 2
        screen.press("y")
        screen.see(r"^>x198.51.100.0/24  scan +- +9")
        assert [*bans()] == ["2001:db8::9"]
        screen.press("a")
        screen.see("xdpctl ban eth0 198.51.100.0/24 --for 10m ")
        screen.press("y")
        screen.see("^> 198.51.100.0/24  9 min +")
        assert [*bans()] == ["198.51.100.0", "2001:db8::9"]


def test_what_would_lock_out_is_refused_on_the_screen_too(
    attached: Attached, tmp_path: Path
) -> None:
    attached.left.send("eth0", [traffic.mix()["ARP"]])
    with terminal(attached.right, tmp_path, "eth0") as screen:
        screen.see("^> arp")
        screen.press("a", "y")
        screen.see("^xdpctl: eth0: .*ARP")
    assert xdpctl_json(attached.right, "rule", "list", "eth0")["rules"] == []


def test_once_is_plain_text_of_80_columns(attached: Attached) -> None:
    attached.left.send("eth0", [UDP_FRAME] * 20 + [TCP_FRAME])
    done = xdpctl(attached.right, "dashboard", "eth0", "--once", "--interval", "0.1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert done.stdout.startswith("xdpctl  eth0 · driver mode\n0 packets/s   0 bits/s\n")
    assert re.search(r"^udp +0 +20$", done.stdout, re.MULTILINE)
    assert re.search(r"^pass +0 +21$", done.stdout, re.MULTILINE)
    assert not re.search("^ban", done.stdout, re.MULTILINE)
    attached.xdpctl("ban", "eth0", "198.51.100.0/24")
    done = xdpctl(attached.right, "dashboard", "eth0", "--once", "--interval", "0.1")
    assert re.search("^198.51.100.0/24 +0 +0$", done.stdout, re.MULTILINE)


def test_once_as_json_is_that_of_stats(attached: Attached) -> None:
    attached.left.send("eth0", [UDP_FRAME] * 20)
    done = xdpctl(attached.right, "dash", "eth0", "--once", "--interval", "0.1", "--json")
    document = json.loads(done.stdout)
    stats = xdpctl_json(attached.right, "stats", "eth0")
    volatile = {"timestamp"}
    assert {k: v for k, v in document.items() if k not in volatile | {"interval"}} == {
        k: v for k, v in stats.items() if k not in volatile
    }
    assert document["interval"]["packets"] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("eth0",), 2, "a dashboard needs a terminal"),
        (("eth0", "--json"), 2, "--json is for --once"),
        (("eth9", "--once"), 3, "eth9: no such interface"),
        (("lo", "--once"), 3, "lo: xdpctl is not attached"),
        (("eth0", "--interval", "0"), 2, "Invalid value for '--interval'"),
    ],
)
def test_mistake_is_one_line(
    attached: Attached, arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = xdpctl(attached.right, "dashboard", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr.splitlines()[0]
    assert len(done.stderr.splitlines()) <= 2
