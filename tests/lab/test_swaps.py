"""Rulesets that take each other's place: no packet and no update is lost, nothing left behind."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

from netns_lab import Host
from netns_lab.fixtures import Attached
from tests.lab.conftest import XDPCTL, xdpctl_json
from xdpctl.datapath import rulesets
from xdpctl.datapath.hook import occupants
from xdpctl.datapath.interfaces import find_interface
from xdpctl.datapath.locking import only_writer
from xdpctl.datapath.snapshot import Reader
from xdpctl.pylibbpf import BpfError, Program, xdp
from xdpctl.rules.model import Ruleset
from xdpctl.rules.reading import read_text

V4 = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="192.0.2.1", dst="192.0.2.2")
STAYS, TURNS, WEB = (
    bytes(V4 / each)
    for each in (UDP(dport=9) / bytes(18), UDP(dport=10) / bytes(18), TCP(dport=80))
)
UDP_BYTES, TCP_BYTES = 14 + 20 + 8 + 18, 14 + 20 + 20

APPLIED = 100
ROUND = 5_000_000
ROUNDS_MIN = 4
REPLACED_PAIRS = 20

STAYING = "- {name: stays, action: drop, proto: udp, dport: 9}\n"
EVEN = "- {name: even, action: drop, proto: udp, dport: 10}\n"
ODD = "- {name: odd, action: drop, proto: udp, dport: 10}\n"


NAMES_OF_TURNS = {"stays", "even"}, {"stays", "odd"}


def ruleset(text: str) -> Ruleset:
    return read_text(f"malformed: pass\nrules:\n{text}", "f", 0).ruleset


def turn(number: int) -> Ruleset:
    """UDP to port 9 is dropped by the same rule in each, UDP to port 10 by `even` or by `odd`. How
    many rules are before them changes, and with it their bits in each row of the tables."""
    others = "".join(
        f"- {{name: other{n}, action: drop, src: 203.0.113.{n}}}\n" for n in range(number % 70)
    )
    return ruleset(others + (ODD + STAYING if number % 2 else STAYING + EVEN))


def apply_all(wanted: Sequence[Ruleset]) -> None:
    eth0 = find_interface("eth0")
    for each in wanted:
        rulesets.apply(eth0, lambda _, each=each: each, force=True)  # type: ignore[misc]


def rows(host: Host) -> dict[str, tuple[int, int]]:
    """Packets and bytes by rule."""
    listed = xdpctl_json(host, "rule", "list", "eth0")
    named = [*listed["rules"], {"name": "default"} | listed["default"]]
    return {row["name"]: (row["packets"], row["bytes"]) for row in named}


def test_every_packet_meets_one_ruleset_and_is_counted_once(attached: Attached) -> None:
    """20,000,000 of them and more at full speed, while 100 rulesets are applied: half are for the
    rule that is in all, one in sixteen for the default."""
    frames = [STAYS, TURNS] * 7 + [STAYS, WEB]
    attached.right.call(apply_all, [turn(0)])
    done = threading.Event()

    def send() -> int:
        rounds = 0
        while rounds < ROUNDS_MIN or not done.is_set():
            sent = attached.left.generate("eth0", frames, count=ROUND)
            assert (sent.packets, sent.lost) == (ROUND, 0)
            rounds += 1
        return rounds

    with ThreadPoolExecutor() as threads:
        sending = threads.submit(send)
        try:
            attached.right.call(apply_all, [turn(number) for number in range(1, APPLIED)])
        finally:
            done.set()
        sixteenth = sending.result() * ROUND // 16
    # Both of those that took turns were in one of the last two: their counters are there still.
    attached.right.call(apply_all, [ruleset(EVEN + STAYING + ODD)])

    counted = rows(attached.right)
    even, odd = counted.pop("even"), counted.pop("odd")
    turned = (even[0] + odd[0], even[1] + odd[1])
    assert even[0] > 0 < odd[0]
    assert counted | {"turned": turned} == {
        "stays": (8 * sixteenth, 8 * sixteenth * UDP_BYTES),
        "turned": (7 * sixteenth, 7 * sixteenth * UDP_BYTES),
        "default": (sixteenth, sixteenth * TCP_BYTES),
    }
    stats = attached.stats()
    assert {row["protocol"]: row["packets"] for row in stats["protocols"]} == {
        "udp": 15 * sixteenth,
        "tcp": sixteenth,
    }
    assert {row["verdict"]: row["packets"] for row in stats["verdicts"]} == {
        "drop": 15 * sixteenth,
        "pass": sixteenth,
    }
    assert {row["reason"]: row["packets"] for row in stats["drop_reasons"]} == {
        "rule": 15 * sixteenth
    }
    assert (stats["packets"], stats["malformed_reasons"]) == (16 * sixteenth, [])


def is_there(program_id: int) -> bool:
    try:
        Program.from_id(program_id).close()
    except BpfError:
        return False
    return True


def test_rulesets_that_went_leave_nothing_in_the_kernel(attached: Attached) -> None:
    """Who reads meanwhile sees one ruleset or the other, whatever goes under its eyes."""
    turns = [ruleset(STAYING + EVEN), ruleset(STAYING + ODD)]
    done = threading.Event()

    def apply_and_look(wanted: Ruleset) -> tuple[int, int]:
        """The program, and how many maps it has."""
        apply_all([wanted])
        (occupant,) = occupants(find_interface("eth0"))
        with Program.from_id(occupant.program_id) as program:
            return occupant.program_id, len(program.info.map_ids)

    def read() -> None:
        eth0 = find_interface("eth0")
        while not done.is_set():
            counted = rulesets.read_counted(eth0)
            assert counted is not None
            assert {each.fields["name"] for each in counted.rules} in NAMES_OF_TURNS

    def change() -> list[tuple[int, int]]:
        return [apply_and_look(wanted) for wanted in turns * REPLACED_PAIRS]

    attached.right.call(apply_all, turns)  # with the maps of a ruleset before it
    descriptors = len(os.listdir("/proc/self/fd"))
    with ThreadPoolExecutor() as threads:
        reading = threads.submit(attached.right.call, read)
        try:
            programs, maps = zip(*attached.right.call(change), strict=True)
        finally:
            done.set()
        reading.result()
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert set(maps) == {maps[0]}
    assert len(set(programs)) == len(programs)
    while [each for each in programs if is_there(each)] != [programs[-1]]:
        pass  # the kernel frees a program, and with it its maps, a moment after its last user


@pytest.mark.parametrize("look", ["rules", "counters", "occupants"])
def test_program_that_goes_between_query_and_look_is_looked_for_again(
    attached: Attached, monkeypatch: pytest.MonkeyPatch, look: str
) -> None:
    attached.right.call(apply_all, [ruleset(EVEN)])
    query, replaced = xdp.query, False

    def overtaken(ifindex: int) -> tuple[xdp.Attached, ...]:
        nonlocal replaced
        found = query(ifindex)
        if not replaced:
            replaced = True
            apply_all([ruleset(ODD)])
            while is_there(found[0].program_id):
                pass
        return found

    def seen() -> bool:
        eth0 = find_interface("eth0")
        if look == "rules":
            counted = rulesets.read_counted(eth0)
            return counted is not None and counted.rules[0].fields["name"] == "odd"
        if look == "counters":
            with Reader(eth0) as reader:
                return reader.snapshot().program_id == query(eth0.ifindex)[0].program_id
        return [each.ours for each in occupants(eth0)] == [True]

    monkeypatch.setattr(xdp, "query", overtaken)
    assert attached.right.call(seen)
    assert replaced


def race(host: Host, commands: Sequence[Sequence[str]]) -> None:
    """Commands that all wait for the writers' lock before any of them has it; all succeed."""
    racers: list[subprocess.Popen[str]] = []

    def hold() -> None:
        with only_writer():
            racers.extend(host.popen([*XDPCTL, *each], stderr=subprocess.PIPE) for each in commands)
            inode = os.stat("/proc/thread-self/ns/net").st_ino
            while waiting_for(inode) < len(commands):
                assert all(each.poll() is None for each in racers)

    host.call(hold)
    for racer in racers:
        _, stderr = racer.communicate(timeout=60)
        assert racer.returncode == 0, stderr


def waiting_for(inode: int) -> int:
    """How many processes wait for a flock on an inode (proc_locks(5))."""
    lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    return sum("-> FLOCK" in line and f":{inode} " in line for line in lines)


def test_rules_added_by_several_at_once_are_all_there(attached: Attached) -> None:
    ports = range(1, 9)
    commands = [
        ["rule", "add", "eth0", "drop", "--dport", str(port), "--name", f"p{port}"]
        for port in ports
    ]
    race(attached.right, commands)
    assert rows(attached.right).keys() == {f"p{port}" for port in ports} | {"default"}


def test_of_two_who_apply_at_once_one_comes_after_the_other(
    attached: Attached, tmp_path: Path
) -> None:
    for name in ("mine", "yours"):
        rules = f"rules: [{{name: {name}, action: drop, proto: udp}}]\n"
        (tmp_path / f"{name}.yaml").write_text(rules, encoding="utf-8")
    commands = [["apply", "eth0", str(tmp_path / f"{name}.yaml")] for name in ("mine", "yours")]
    race(attached.right, commands)
    last = rows(attached.right).keys() - {"default"}
    attached.xdpctl("rollback", "eth0")
    first = rows(attached.right).keys() - {"default"}
    assert {*last, *first} == {"mine", "yours"}


def test_rule_added_while_somebody_applies_is_in_one_of_the_two(
    attached: Attached, tmp_path: Path
) -> None:
    """Added before the file is applied, it is in the ruleset before; afterwards, in the new one."""
    path = tmp_path / "edge.yaml"
    path.write_text("rules: [{name: edge, action: drop, proto: udp}]\n", encoding="utf-8")
    commands = [
        ["apply", "eth0", str(path)],
        ["rule", "add", "eth0", "drop", "--dport", "23", "--name", "added"],
    ]
    race(attached.right, commands)
    last = rows(attached.right).keys() - {"default"}
    attached.xdpctl("rollback", "eth0")
    first = rows(attached.right).keys() - {"default"}
    assert (first, last) in (({"added"}, {"edge"}), ({"edge"}, {"edge", "added"}))
