"""The dashboard driven without a terminal: what stands on its screen, and what its keys do.

The source is made up, so that every number on the screen is known beforehand: interface eth0 has
100 more packets of 64 bytes each second than the second before, a third of them TCP.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from textual.color import Color
from textual.pilot import Pilot

from tests.synthetic import SECOND_NS, Clockwork, gone, reading
from xdpctl.cli.screen import actions
from xdpctl.cli.screen.app import Dashboard
from xdpctl.cli.screen.dialogs import KEYS
from xdpctl.cli.screen.plain import frame
from xdpctl.cli.text import local_time
from xdpctl.datapath.ban_entries import Ban, parse_ban
from xdpctl.datapath.counters import Tally
from xdpctl.observe.history import Line
from xdpctl.observe.monitor import Monitor
from xdpctl.observe.reading import Reading, Row, Table
from xdpctl.observe.talker_counts import Estimate

FRAMES = Path(__file__).parent / "frames"
NOON = datetime(2026, 1, 1, 12)
NEVER_S = 86400.0
SIZE = 64
REAL_NS = 1_767_265_200 * SECOND_NS

DROP_DNS = {"name": "dns", "action": "drop", "proto": "udp", "dport": 53}
DNS_FLOOD = {"name": "flood", "action": "limit", "proto": "udp", "rate": "1000/s"}
DEFAULT = {"name": "(default)", "action": "pass"}
MINUTE_NS = 60 * SECOND_NS


def ban(address: str, packets: int = 0, *, tag: str = "", remaining_ns: int | None = None) -> Row:
    """A row of a ban."""
    prefix, hits = parse_ban(address), Tally(packets, packets * SIZE)
    expires_ns = remaining_ns and REAL_NS + remaining_ns
    return Row(address, *hits, Ban(prefix, tag, REAL_NS, expires_ns, remaining_ns, hits))


def counted(second: int) -> int:
    """0, 300, 900, 1800, ...: 300 packets/s in the first second, 600 in the next, and so on."""
    return 150 * second * (second + 1)


def at(second: int, interface: str = "eth0") -> Reading:
    n = counted(second)
    tcp, udp, arp = n // 3, n // 2, n // 6
    rows = {
        Table.PROTOCOLS: [
            Row(name, each, each * SIZE)
            for name, each in (("tcp", tcp), ("udp", udp), ("arp", arp))
            if each
        ],
        Table.VERDICTS: [Row("pass", n - udp, (n - udp) * SIZE), Row("drop", udp, udp * SIZE)],
        Table.RULES: [
            Row("dns", udp, udp * SIZE, DROP_DNS),
            Row("flood", tcp, tcp * SIZE, DNS_FLOOD),
            Row("flood: over the rate", arp, arp * SIZE),
            Row("(default)", n - udp, (n - udp) * SIZE, DEFAULT),
        ],
        Table.BANS: [
            ban("192.0.2.1", arp, tag="ssh", remaining_ns=10 * MINUTE_NS),
            ban("2001:db8::/32"),
        ],
        Table.SIZES: [Row("64 - 127", n, None)],
        Table.CPUS: [Row("cpu 0", tcp, tcp * SIZE), Row("cpu 1", n - tcp, (n - tcp) * SIZE)],
        Table.SOURCES: [
            Row("198.51.100.1", tcp, tcp * SIZE, Estimate(12.0)),
            Row("2001:db8::1", udp, udp * SIZE, Estimate(1234.0)),
        ],
        Table.DESTINATIONS: [Row("192.0.2.80", n, n * SIZE, Estimate(0.0))],
        Table.PORTS: [Row("udp/53", udp, udp * SIZE, Estimate(30.0))],
    }
    return reading(second, rows, total=(n, n * SIZE), interface=interface, one_in=26)


class Seen:
    """A dashboard that takes a reading when the test says so; its clock goes with them."""

    def __init__(self, app: Dashboard, pilot: Pilot[None]) -> None:
        self.app, self._pilot = app, pilot

    async def press(self, *keys: str) -> None:
        await self._pilot.press(*keys)
        await self._pilot.pause()

    async def sample(self, times: int = 1) -> None:
        for _ in range(times):
            self.app.sample()
        await self._pilot.pause()

    async def resize(self, width: int, height: int) -> None:
        await self._pilot.resize_terminal(width, height)
        await self._pilot.pause()

    @property
    def lines(self) -> list[str]:
        return [strip.text.rstrip() for strip in self.app.screen._compositor.render_strips()]

    def row(self, name: str) -> str:
        """The line that begins so, behind its marks."""
        return next(line for line in self.lines if line[2:].startswith(name))

    def cursor(self) -> str:
        """The name of the row that the cursor is on."""
        return next(line[2:].split()[0] for line in self.lines if line.startswith(">"))


Body = Callable[[Seen], Coroutine[Any, Any, None]]


def drive(body: Body, size: tuple[int, int] = (80, 24), **readings: list[Reading]) -> Dashboard:
    """Run a test's body on a dashboard that has taken its first reading."""
    ticks = iter(range(10_000))
    source = Clockwork(**(readings or {"eth0": [at(second) for second in range(60)]}))

    async def run() -> Dashboard:
        app = Dashboard(Monitor(source), NEVER_S, lambda: NOON + timedelta(seconds=next(ticks)))
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            await body(Seen(app, pilot))
        return app

    return asyncio.run(run())


@pytest.mark.parametrize(("width", "height"), [(80, 24), (160, 50)])
def test_screen_reads_as_the_stored_one(width: int, height: int) -> None:
    async def body(seen: Seen) -> None:
        await seen.sample(9)
        expected = (FRAMES / f"{width}x{height}.txt").read_text(encoding="utf-8")
        assert "\n".join(seen.lines) == expected.rstrip("\n")

    drive(body, (width, height))


def test_who_sends_most_takes_turns_with_who_gets_most_and_ports() -> None:
    async def body(seen: Seen) -> None:
        await seen.sample()
        await seen.press("8")
        assert "8 source, 1 in 26 " in seen.lines[8]
        assert seen.row("2001:db8::1  ± 1.23 k ").split()[4] == "150"  # half of 300 packets
        await seen.press("8")
        assert "8 destination, 1 in 26 " in seen.lines[8]
        assert seen.cursor() == "192.0.2.80"
        assert seen.row("192.0.2.80").split()[2] == "300", "no error, none is told"
        await seen.press("8")
        assert seen.row("udp/53  ± 30 ")
        await seen.press("8")
        assert seen.row("198.51.100.1  ± 12 ")
        await seen.press("1")
        assert seen.row("tcp")
        await seen.press("8")
        assert seen.row("198.51.100.1"), "another table in between does not count"

    drive(body)


def test_totals_and_rates_are_those_of_the_source() -> None:
    async def body(seen: Seen) -> None:
        await seen.sample(2)
        # In the second second 600 packets of 64 bytes came, 900 in all; of them half UDP.
        assert seen.lines[1].startswith("packets/s 600 ")
        assert "bits/s 307 k" in seen.lines[1]  # 600 * 512
        assert seen.row("udp").split()[1:3] == ["300", "450"]
        await seen.press("u")
        assert seen.row("udp").split()[1:4] == ["154", "k", "230,400"]  # 300 * 512; 450 * 512
        await seen.press("u", "i")
        assert seen.row("udp").split()[1:5] == ["19.2", "k", "28.8", "k"]

    drive(body)


def test_cursor_stays_on_its_row_while_others_come_and_are_sorted() -> None:
    few = reading(0, {Table.PROTOCOLS: [Row("tcp", 1, 1), Row("udp", 2, 2)]})
    more = reading(1, {Table.PROTOCOLS: [Row("icmp", 9, 9), Row("tcp", 1, 1), Row("udp", 5, 5)]})

    async def body(seen: Seen) -> None:
        await seen.press("down")
        assert seen.cursor() == "udp"
        await seen.sample()
        names = [line[2:].split()[0] for line in seen.lines[9:12]]
        assert names == ["tcp", "udp", "icmp"]  # they keep their places, the new one is last
        await seen.press("t")
        assert [line[2:].split()[0] for line in seen.lines[9:12]] == ["icmp", "udp", "tcp"]
        assert seen.cursor() == "udp"
        await seen.press("n")
        assert [line[2:].split()[0] for line in seen.lines[9:12]] == ["icmp", "tcp", "udp"]
        await seen.press("o")
        assert [line[2:].split()[0] for line in seen.lines[9:12]] == ["icmp", "tcp", "udp"]

    drive(body, eth0=[few, more])


def test_new_size_comes_where_it_belongs() -> None:
    def sizes(second: int, *names: str) -> Reading:
        return reading(second, {Table.SIZES: [Row(name, 1, None) for name in names]})

    async def body(seen: Seen) -> None:
        await seen.press("5", "down")
        await seen.sample()
        names = [line[2:].split("  ")[0] for line in seen.lines[9:12]]
        assert names == ["0 - 63", "64 - 127", "1,024 - 2,047"]
        assert seen.cursor() == "1,024"

    first = sizes(0, "0 - 63", "1,024 - 2,047")
    drive(body, eth0=[first, sizes(1, "0 - 63", "64 - 127", "1,024 - 2,047")])


def test_ended_row_stays_with_a_mark() -> None:
    rows = [Row("dns", 7, 700, DROP_DNS), Row("(default)", 1, 60, DEFAULT)]
    before, after = reading(0, {Table.RULES: rows}), reading(1, {Table.RULES: rows[1:]})

    async def body(seen: Seen) -> None:
        await seen.press("3")
        await seen.sample()
        assert seen.lines[9].startswith(">xdns  drop proto: udp, dpo")
        assert seen.row("dns").split()[-2:] == ["-", "7"]
        await seen.press("down")
        assert seen.lines[9].startswith(" xdns")

    drive(body, eth0=[before, after])


def test_filter_is_typed_and_escape_lists_all_again() -> None:
    async def body(seen: Seen) -> None:
        await seen.sample()
        await seen.press("slash", "D", "P")
        assert [line[2:5] for line in seen.lines[9:12]] == ["udp", "", ""]
        await seen.press("enter")
        assert seen.lines[8].startswith("  1 protocol /DP")
        assert seen.lines[-1].startswith("? help")
        await seen.press("escape")
        assert [line[2:5] for line in seen.lines[9:12]] == ["tcp", "udp", "arp"]

    drive(body)


def test_pause_holds_the_picture_and_readings_go_on() -> None:
    async def body(seen: Seen) -> None:
        await seen.sample(2)
        await seen.press("space")
        assert "PAUSED at 12:00:02" in seen.lines[0]
        held = seen.lines
        await seen.sample(3)
        assert seen.lines == held
        await seen.press("space")
        # Half of the 1,500 of the fifth second, and of the 4,500 until then.
        assert seen.row("udp").split()[1:3] == ["750", "2,250"]

    drive(body)


def test_zero_point_is_told_and_taken_off() -> None:
    async def body(seen: Seen) -> None:
        await seen.sample(2)
        await seen.press("z")
        await seen.sample()
        assert "from zero at 12:00:03" in seen.lines[0]
        assert seen.row("udp").split()[2] == "450"  # half of what came in the third second

    drive(body)


def test_interval_is_longer_with_plus_and_shorter_with_minus() -> None:
    async def body(seen: Seen) -> None:
        await seen.press("minus")
        assert "every 60 s" in seen.lines[0]
        await seen.press("minus", "minus", "plus")
        assert "every 30 s" in seen.lines[0]

    drive(body)


def test_interface_that_goes_and_comes_back_is_followed() -> None:
    async def body(seen: Seen) -> None:
        await seen.sample()
        assert seen.lines[0].startswith("xdpctl  eth0 · gone · ")
        assert seen.row("udp").split()[1:3] == ["-", "150"]
        assert seen.lines[9].startswith(">x")
        await seen.sample(2)
        assert seen.lines[0].startswith("xdpctl  eth0 · driver mode · ")
        assert seen.row("udp").split()[1:3] == ["600", "1,500"]  # second 4 less second 3, halved

    drive(body, eth0=[at(1), gone(2), at(3), at(4)])


def test_several_interfaces_are_shown_together_and_alone() -> None:
    both = {name: [at(second, name) for second in range(5)] for name in ("eth0", "eth1")}

    async def body(seen: Seen) -> None:
        await seen.sample()
        assert seen.lines[0].startswith("xdpctl  all 2 interfaces")
        assert seen.row("udp").split()[1:3] == ["300", "300"]
        await seen.press("right", "right")
        assert seen.lines[0].startswith("xdpctl  eth1")
        assert seen.row("udp").split()[1:3] == ["150", "150"]
        await seen.press("7", "home", "enter")
        assert seen.lines[0].startswith("xdpctl  all 2 interfaces")

    drive(body, **both)


def test_detail_goes_on_while_it_is_open() -> None:
    async def body(seen: Seen) -> None:
        await seen.sample()
        await seen.press("3", "enter")
        text = "\n".join(seen.lines)
        assert "drop proto: udp, dport: 53" in text
        assert "packets/s       150   packets in total 150" in text
        assert "bytes in a packet, on average 64.0" in text
        await seen.sample()
        assert "packets/s       300   packets in total 450" in "\n".join(seen.lines)
        await seen.press("escape")
        assert seen.lines[0].startswith("xdpctl  eth0")

    drive(body)


def test_detail_of_a_ban_says_since_when_and_how_long_it_has_to_go() -> None:
    async def body(seen: Seen) -> None:
        await seen.press("4", "enter")
        text = "\n".join(seen.lines)
        assert f"banned at {local_time(REAL_NS)}, for 10 min more" in text
        assert "tag: ssh" in text
        await seen.press("escape", "down", "enter")
        text = "\n".join(seen.lines)
        assert f"banned at {local_time(REAL_NS)}, for ever" in text
        assert "tag:" not in text

    drive(body)


def test_of_too_many_bans_the_count_is_told_and_the_cursor_stays_where_it_is() -> None:
    def bans(second: int, *addresses: str) -> Reading:
        rows = {Table.BANS: [ban(each, 5) for each in addresses]}
        return reading(second, rows, in_all={Table.BANS: 262_144})

    async def body(seen: Seen) -> None:
        await seen.press("4", "down")
        assert seen.lines[8].startswith("  4 ban 1-3 of 262,144 ")
        assert seen.cursor() == "192.0.2.2"
        await seen.sample()
        assert [line[2:11] for line in seen.lines[9:12]] == ["192.0.2.1", "192.0.2.3", "192.0.2.4"]
        assert seen.cursor() == "192.0.2.3"

    before = bans(0, "192.0.2.1", "192.0.2.2", "192.0.2.3")
    drive(body, eth0=[before, bans(1, "192.0.2.1", "192.0.2.3", "192.0.2.4")])


def test_plain_frame_has_bans_where_there_are_any() -> None:
    def text(*bans: Row, in_all: int | None = None) -> str:
        told = {} if in_all is None else {Table.BANS: in_all}
        source = Clockwork(eth0=[reading(0, {Table.BANS: bans}, in_all=told)])
        made = Monitor(source)
        made.tick()
        return "\n".join(frame(made, 80))

    assert "ban" not in text()
    few = text(ban("192.0.2.1", 7, tag="ssh", remaining_ns=MINUTE_NS), ban("2001:db8::1"))
    assert re.search("^ban {10,}packets/s +packets$", few, re.MULTILINE)
    assert re.search(r"^192\.0\.2\.1  1 min, ssh +- +7$", few, re.MULTILINE)
    assert re.search("^2001:db8::1 +- +0$", few, re.MULTILINE)
    assert "\nban, 1 of 1,234 " in text(ban("192.0.2.1"), in_all=1234)


@pytest.mark.parametrize("size", [(80, 24), (160, 50)])
def test_help_names_every_key(size: tuple[int, int]) -> None:
    async def body(seen: Seen) -> None:
        await seen.press("question_mark")
        text = "\n".join(seen.lines)
        assert all(keys in text for keys, _ in KEYS)

    drive(body, size)


def test_screen_too_small_for_graphs_still_has_the_table() -> None:
    async def body(seen: Seen) -> None:
        await seen.sample()
        await seen.resize(40, 10)
        assert seen.lines[2].startswith("  1 proto")
        assert seen.lines[3].startswith("> tcp")
        await seen.resize(10, 3)
        await seen.resize(160, 50)
        assert "7 interface" in "\n".join(seen.lines)

    drive(body)


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands that are run, which here do nothing."""
    ran: list[str] = []

    async def run(command: str) -> str:
        ran.append(command)
        return "done as told"

    monkeypatch.setattr("xdpctl.cli.screen.app.run", run)
    return ran


def test_drop_rule_is_added_after_the_very_command_was_shown(commands: list[str]) -> None:
    async def body(seen: Seen) -> None:
        await seen.sample()
        await seen.press("down", "a")
        shown = "xdpctl rule add eth0 drop --proto udp"
        assert any(f"  {shown}  " in line for line in seen.lines)
        await seen.press("n")
        assert commands == []
        await seen.press("a", "y")
        await seen.app.workers.wait_for_complete()
        await seen.press()
        assert commands == [shown]
        assert seen.lines[-1] == "done as told"

    drive(body)


def test_rule_is_deleted_after_the_very_command_was_shown(commands: list[str]) -> None:
    async def body(seen: Seen) -> None:
        await seen.press("3", "a", "y")
        await seen.app.workers.wait_for_complete()
        assert commands == ["xdpctl rule delete eth0 dns"]
        await seen.press("end", "a")
        assert "no such rule" in seen.lines[-1]

    drive(body)


def test_ban_is_ended_after_the_very_command_was_shown_and_set_again(commands: list[str]) -> None:
    before, after = at(0), reading(1, {Table.BANS: [ban("2001:db8::/32")]})

    async def body(seen: Seen) -> None:
        await seen.press("4", "a")
        assert any("  xdpctl unban eth0 192.0.2.1  " in line for line in seen.lines)
        assert commands == []
        await seen.press("y")
        await seen.app.workers.wait_for_complete()
        await seen.sample()
        assert seen.lines[9].startswith(">x192.0.2.1  ssh ")
        await seen.press("a", "y")
        await seen.app.workers.wait_for_complete()
        await seen.press("down", "a", "y")
        await seen.app.workers.wait_for_complete()
        assert commands == [
            "xdpctl unban eth0 192.0.2.1",
            "xdpctl ban eth0 192.0.2.1 --for 10m",
            "xdpctl unban eth0 2001:db8::/32",
        ]

    drive(body, eth0=[before, after])


@pytest.mark.parametrize(
    ("key", "command"),
    [
        ("192.0.2.7", "xdpctl ban eth0 192.0.2.7 --for 10m"),
        ("2001:DB8::/32", "xdpctl ban eth0 2001:db8::/32 --for 10m"),
        ("192.0.2.7/24", ""),  # which has host bits
        ("others", ""),
        ("-h", ""),
        ("192.0.2.7;reboot", ""),
    ],
)
def test_what_is_an_address_can_be_banned(key: str, command: str) -> None:
    line = Line(key, 1, 60, None, (), present=False)
    assert actions.propose(Table.BANS, line, "eth0").command == command


@pytest.mark.parametrize(
    ("table", "key", "command"),
    [
        (Table.SOURCES, "2001:db8::1", "xdpctl ban eth0 2001:db8::1 --for 10m"),
        (Table.SOURCES, "arp", ""),
        (Table.DESTINATIONS, "192.0.2.1", "xdpctl rule add eth0 drop --dst 192.0.2.1"),
        (Table.DESTINATIONS, "malformed", ""),
        (Table.PORTS, "udp/53", "xdpctl rule add eth0 drop --proto udp --dport 53"),
        (Table.PORTS, "esp", "xdpctl rule add eth0 drop --proto esp"),
        (Table.PORTS, "malformed", ""),
    ],
)
def test_who_sends_most_can_be_banned_or_dropped(table: Table, key: str, command: str) -> None:
    line = Line(key, 1, 60, None, (), present=True, about=Estimate(1.0))
    assert actions.propose(table, line, "eth0").command == command


def test_what_a_limit_drops_is_no_rule_that_could_be_deleted(commands: list[str]) -> None:
    async def body(seen: Seen) -> None:
        await seen.press("3", "down", "down", "a")
        assert seen.cursor() == "flood:"
        assert "no such rule" in seen.lines[-1]

    drive(body)
    assert commands == []


@pytest.mark.parametrize(
    ("key", "command"),
    [
        ("tcp", "xdpctl rule add eth0 drop --proto tcp"),
        ("61", "xdpctl rule add eth0 drop --proto 61"),
        ("arp", "xdpctl rule add eth0 drop --ethertype arp"),
        ("malformed", ""),
        ("other", ""),
        ("$(reboot)", ""),
    ],
)
def test_protocols_that_a_rule_can_name_can_be_dropped(key: str, command: str) -> None:
    made = Monitor(Clockwork(eth0=[reading(0, {Table.PROTOCOLS: [Row(key, 1, 60)]})]))
    made.tick()
    (line,) = made.lines("eth0", Table.PROTOCOLS)
    assert actions.propose(Table.PROTOCOLS, line, "eth0").command == command
    assert not actions.propose(Table.PROTOCOLS, line, None).command
    assert not actions.propose(Table.SIZES, line, "eth0").command


def test_interface_name_is_quoted_for_the_shell() -> None:
    made = Monitor(Clockwork(eth0=[at(1)]))
    made.tick()
    line = made.lines("eth0", Table.PROTOCOLS)[0]
    proposed = actions.propose(Table.PROTOCOLS, line, "a;b").command
    assert proposed == "xdpctl rule add 'a;b' drop --proto tcp"
    assert not actions.propose(Table.PROTOCOLS, line, "--force").command


@pytest.mark.parametrize(("value", "coloured"), [("1", False), ("", True)])
def test_no_colour_where_it_is_not_wanted(
    monkeypatch: pytest.MonkeyPatch, value: str, coloured: bool
) -> None:
    monkeypatch.setenv("NO_COLOR", value)

    async def body(seen: Seen) -> None:
        await seen.sample(2)
        names = set()
        for strip in seen.app.screen._compositor.render_strips():
            for line_filter in seen.app.get_line_filters():
                strip = strip.apply_filter(line_filter, Color(0, 0, 0))  # noqa: PLW2901
            names |= {style.color.name for _, style, _ in strip if style and style.color}
        assert (names == {"default"}) is not coloured

    drive(body)
