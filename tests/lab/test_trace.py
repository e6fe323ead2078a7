"""`xdpctl trace`: a line for each packet, dropped or not."""

from __future__ import annotations

import json
import re
import signal
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from netns_lab import traffic
from netns_lab.fixtures import Attached, Pair
from tests.lab.conftest import XDPCTL, xdpctl, xdpctl_here
from tests.lab.private_labs import until
from tests.lab.sampled import ended, program_of, readers, reading, set_leases
from tests.lab.test_bans import packet
from tests.packets import IPV4, TCP, UDP, eth, ipv4
from xdpctl.rules.frame import parse
from xdpctl.rules.model import Action
from xdpctl.rules.reading import read_text
from xdpctl.rules.reference import judge

UDP_FRAME, TCP_FRAME = eth(IPV4, ipv4(17, UDP)), eth(IPV4, ipv4(6, TCP))
RULES = """
malformed: drop
sets: {mine: [198.51.100.0/24]}
rules:
  - {name: no-udp, action: drop, proto: udp}
  - {name: tcp, action: pass, proto: tcp}
"""


def apply(ready: Attached, folder: Path, text: str) -> None:
    path = folder / "rules.yaml"
    path.write_text(text)
    xdpctl_here(ready.right, "apply", "eth0", str(path))


def in_words(frame: bytes) -> tuple[str, str]:
    """The verdict, and why, by the reference model."""
    verdict = judge(read_text(RULES, "", 0).ruleset, frame, time.time())
    if verdict.reason == "malformed":
        return "drop", f"malformed {parse(frame).malformed}"
    return verdict.action.value, f"rule {verdict.rule}" if verdict.rule else "-"


@pytest.mark.parametrize("ready", ["driver", "skb"], indirect=True)
def test_a_line_for_each_packet_with_its_verdict_and_rule(ready: Attached, tmp_path: Path) -> None:
    apply(ready, tmp_path, RULES)
    frames = [*traffic.mix().values()]
    limit = ("--limit", str(len(frames)))
    before = time.time()
    with (
        reading(ready.right, "trace", "eth0", *limit) as people,
        reading(ready.right, "trace", "eth0", "--json", *limit, count=2) as scripts,
    ):
        ready.left.send("eth0", frames)
        text, errors = ended(people)
        document, silence = ended(scripts)
    after = time.time()
    assert errors == f"{len(frames)} packets shown, 0 came too fast to be shown\n"
    assert silence == ""
    lines = text.splitlines()
    assert len(lines) == len(frames)
    for line, frame in zip(lines, frames, strict=True):
        verdict, why = in_words(frame)
        pattern = rf"\d\d:\d\d:\d\d\.\d{{6}} {verdict} {re.escape(why)} +\S.*, {len(frame)} bytes"
        assert re.fullmatch(pattern, line), line
    assert "192.0.2.1:40000 > 192.0.2.2:80 tcp syn" in lines[0]
    packets: list[dict[str, Any]] = [json.loads(each) for each in document.splitlines()]
    for each, frame in zip(packets, frames, strict=True):
        verdict = judge(read_text(RULES, "", 0).ruleset, frame, time.time())
        dropped = verdict.action is Action.DROP
        assert (each["verdict"], each["reason"], each["rule"], each["length"]) == (
            verdict.action.value, verdict.reason if dropped else None, verdict.rule, len(frame)
        )  # fmt: skip
        assert each["fields"]["src_mac"] == frame[6:12].hex(":")
        assert before - 1 < datetime.fromisoformat(each["timestamp"]).timestamp() < after + 1
    stamps = [each["timestamp"] for each in packets]
    assert stamps == sorted(stamps)
    assert readers(ready.right) == 0


def test_fields_verdict_rule_and_set_choose_packets(ready: Attached, tmp_path: Path) -> None:
    apply(ready, tmp_path, RULES)
    wanted = [
        ("--proto", "udp", "--dport", "53", "--src", "!192.0.2.0/24"),
        ("--src", "@mine"),
        ("--verdict", "pass"),
        ("--rule", "no-udp"),
        ("--reason", "malformed"),
    ]
    from_set = packet("198.51.100.9")
    frames = [UDP_FRAME, TCP_FRAME, from_set, TCP_FRAME[:40]]
    expected = [[from_set], [from_set], [TCP_FRAME], [UDP_FRAME, from_set], [TCP_FRAME[:40]]]
    processes = []
    with reading(ready.right, "trace", "eth0", "--json") as everything:
        for number, options in enumerate(wanted, 2):
            context = reading(ready.right, "trace", "eth0", "--json", *options, count=number)
            processes.append((context, context.__enter__()))
        try:
            ready.left.send("eth0", frames)
            assert everything.stdout is not None
            for _ in frames:
                everything.stdout.readline()
            for (_, process), found in zip(processes, expected, strict=True):
                output, _ = ended(process, signal.SIGINT)
                lengths = [json.loads(line)["length"] for line in output.splitlines()]
                assert lengths == [*map(len, found)]
        finally:
            for context, _ in processes:
                context.__exit__(None, None, None)


def test_ctrl_c_ends_it_and_the_sampling(ready: Attached) -> None:
    with reading(ready.right, "trace", "eth0") as process:
        ready.left.send("eth0", [TCP_FRAME])
        assert process.stdout is not None
        first = process.stdout.readline()
        assert " pass -  " in first
        _, errors = ended(process, signal.SIGINT)
    assert errors == "1 packet shown, 0 came too fast to be shown\n"
    assert readers(ready.right) == 0


def test_it_ends_by_itself_after_some_seconds(ready: Attached) -> None:
    done = xdpctl(ready.right, "trace", "eth0", "--seconds", "0.1")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "0 packets shown, 0 came too fast to be shown\n"


@pytest.mark.parametrize("how", ["detached", "deleted"])
def test_end_of_the_program_or_interface_is_told(ready: Attached, how: str) -> None:
    with reading(ready.right, "trace", "eth0") as process:
        ready.left.send("eth0", [TCP_FRAME] * 30)
        if how == "detached":
            xdpctl_here(ready.right, "detach", "eth0")
        else:
            ready.right.run(["ip", "link", "delete", "eth0"])
        output, errors = ended(process)
    assert len(output.splitlines()) == 30
    said = "eth0: xdpctl is not attached" if how == "detached" else "eth0: no such interface"
    assert errors.splitlines() == [
        f"xdpctl: {said} any more",
        "30 packets shown, 0 came too fast to be shown",
    ]


def test_new_ruleset_meanwhile_misses_nothing_and_gives_its_rules_names(
    ready: Attached, tmp_path: Path
) -> None:
    with reading(ready.right, "trace", "eth0", "--json", "--limit", "30") as process:
        for name in ("", "one", "two"):
            if name:
                apply(ready, tmp_path, f"rules: [{{name: {name}, action: drop, proto: udp}}]")
            ready.left.send("eth0", [UDP_FRAME] * 10)
        output, _ = ended(process)
    rules = [json.loads(line)["rule"] for line in output.splitlines()]
    assert rules == [None] * 10 + ["one"] * 10 + ["two"] * 10


def test_rule_that_goes_meanwhile_ends_who_asked_for_it(ready: Attached, tmp_path: Path) -> None:
    apply(ready, tmp_path, RULES)
    with reading(ready.right, "trace", "eth0", "--rule", "no-udp") as process:
        ready.left.send("eth0", [UDP_FRAME])
        assert process.stdout is not None
        assert "drop rule no-udp" in process.stdout.readline()
        apply(ready, tmp_path, "rules: [{name: other, action: drop, proto: udp}]")
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (3, "xdpctl: eth0: no-udp: no such rule\n")
    assert readers(ready.right) == 0


def test_killed_it_costs_no_more_than_its_lease(ready: Attached) -> None:
    with reading(ready.right, "trace", "eth0") as process:
        process.kill()
        process.wait(30)
        now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        with program_of(ready.right) as program:
            leases = [each.lease_ns for _, each in program.map("sample_readers").lookup_batch()]
        assert max(leases) <= now_ns + 5 * 10**9
        assert readers(ready.right) == 1
        set_leases(ready.right, now_ns - 1)  # as if those five seconds were over
        ready.left.send("eth0", [TCP_FRAME])
        until(lambda: readers(ready.right) == 0)


def test_nothing_is_read_where_we_are_not_attached_or_not_allowed(pair: Pair) -> None:
    commands = (("trace",), ("capture", "-w", "/dev/null"), ("top", "--once"))
    for command in commands:
        done = xdpctl(pair.right, *command, "eth0")
        assert (done.returncode, done.stdout) == (3, "")
        hint = r"hint: run: .*attach eth0"
        assert re.fullmatch(rf"xdpctl: eth0: xdpctl is not attached\n{hint}\n", done.stderr)
    nobody = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--reuid=65534"]
    for command in commands:
        words = [*nobody, "--clear-groups", *XDPCTL, *command, "eth0"]
        done = pair.right.run(words, check=False, timeout_s=60)
        assert (done.returncode, done.stdout) == (4, ""), done.stderr
        assert done.stderr.startswith("xdpctl: CAP_SYS_ADMIN and CAP_NET_ADMIN are missing\n")


def test_reader_of_a_pipe_that_ends_ends_it(ready: Attached) -> None:
    with reading(ready.right, "trace", "eth0") as process:
        assert process.stdout is not None
        process.stdout.close()
        ready.left.send("eth0", [TCP_FRAME])
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()
        process.wait(30)
    assert readers(ready.right) == 0
