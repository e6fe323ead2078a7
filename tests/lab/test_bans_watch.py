"""`xdpctl bans --watch`: totals and rates, while packets come."""

from __future__ import annotations

import json
import signal
import subprocess
from typing import Any

import pytest

from netns_lab.fixtures import Attached
from tests.lab.conftest import XDPCTL
from tests.lab.test_bans import bans, packet, until

ONE, TWO = "198.51.100.1", "2001:db8:1::/48"
LENGTHS = {ONE: 14 + 20 + 8, TWO: 14 + 40 + 8}


def test_totals_and_rates_are_those_of_what_was_dropped(attached: Attached) -> None:
    attached.xdpctl("ban", "eth0", ONE, TWO, "--for", "1h", "--tag", "scan")
    attached.left.send("eth0", [packet(ONE)] * 5)
    until(lambda: bans(attached)[f"{ONE}/32"]["packets"] == 5)
    lines: list[dict[str, Any]] = []
    command = [*XDPCTL, "bans", "--watch", "0.1", "--json", "--tag", "scan"]
    with attached.right.popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        lines.append(json.loads(process.stdout.readline()))
        attached.left.send("eth0", [packet(ONE)] * 30 + [packet("2001:db8:1::5")] * 40)
        while lines[-1]["packets"] < 75:
            lines.append(json.loads(process.stdout.readline()))
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert (lines[0]["packets"], lines[0]["bytes"]) == (5, 5 * LENGTHS[ONE])
    assert lines[-1]["bytes"] == 35 * LENGTHS[ONE] + 40 * LENGTHS[TWO]
    summed: dict[str, int] = {}
    for line in lines:
        interval = line["interval"]
        assert interval["packets"] == sum(each["packets"] for each in interval["bans"])
        for each in interval["bans"]:
            summed[each["address"]] = summed.get(each["address"], 0) + each["packets"]
            seconds = interval["seconds"]
            assert each["packets_per_second"] == pytest.approx(each["packets"] / seconds)
            assert each["bits_per_second"] == pytest.approx(each["bytes"] * 8 / seconds)
    assert summed == {ONE: 30, "2001:db8:1::": 40}
    assert [each["packets"] for each in lines[-1]["bans"]] == [35, 40]
    assert set(lines[-1]["bans"][0]) == set(bans(attached)[f"{ONE}/32"])


def test_people_see_a_table_with_rates(attached: Attached) -> None:
    assert "0 bans, 0 packets dropped" in attached.xdpctl("bans", "--watch", "0.1", "--count", "1")
    attached.xdpctl("ban", "eth0", ONE, TWO, "--tag", "scan")
    shown = attached.xdpctl("bans", "eth0", "--watch", "0.1", "--count", "2")
    head, table, *again = shown.strip().split("\n\n")
    assert again == [head, table]
    assert head == "2 bans, 0 packets dropped: 0 packets/s, 0 bits/s"
    titles, *rows = (line.split() for line in table.splitlines())
    assert titles == ["address", "time", "left", "packets", "bytes", "tag", "packets/s", "bits/s"]
    assert rows == [
        [ONE, "for", "ever", "0", "0", "scan", "0", "0"],
        [TWO, "for", "ever", "0", "0", "scan", "0", "0"],
    ]
