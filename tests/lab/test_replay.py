"""xdpctl replay: what it says is what an interface would have counted, and it touches none."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw
from scapy.utils import wrpcap

from netns_lab import traffic
from netns_lab.fixtures import Attached, Pair
from tests.lab.private_labs import XDPCTL
from tests.oracle import parse
from tests.packets import PACKETS
from xdpctl.captures.reading import CaptureReader

NOW = 1_800_000_000
MACS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}
V4 = Ether(**MACS) / IP(src="192.0.2.1", dst="192.0.2.2")
RULES = """
name: edge
rules:
  - {name: no-telnet, action: drop, proto: tcp, dport: 23}
  - {name: dns, action: limit, proto: udp, dport: 53, rate: 1/s, burst: 2}
  - {name: no-gre, action: drop, proto: gre}
  - {name: large, action: drop, length: 1000-65535}
"""
EDGE = [
    V4 / TCP(dport=23),
    V4 / UDP(dport=53),
    V4 / UDP(dport=53),
    V4 / UDP(dport=53),
    V4 / TCP(dport=80),
    Ether(**MACS) / ARP(),
    V4 / ICMP() / Raw(bytes(2000)),
    Raw(bytes(12) + b"\x08\x00\x45"),
    Raw(b"short"),
]
"""One a tenth of a second."""


def capture(path: Path, packets: list[Packet]) -> str:
    for number, packet in enumerate(packets):
        packet.time = NOW + number / 10
    wrpcap(str(path), packets, linktype=1)
    return str(path)


@pytest.fixture
def edge(tmp_path: Path) -> str:
    return capture(tmp_path / "edge.pcap", [each.copy() for each in EDGE])


@pytest.fixture
def rules(tmp_path: Path) -> str:
    path = tmp_path / "edge.yaml"
    path.write_text(RULES)
    return str(path)


def replay(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*XDPCTL, "replay", *arguments], capture_output=True, text=True, check=False, **options
    )


def replay_json(*arguments: str, **options: Any) -> Any:
    done = replay(*arguments, "--json", **options)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def packets_of(rows: list[dict[str, Any]], key: str) -> dict[str, int]:
    return {row[key]: row["packets"] for row in rows}


def test_json_says_what_was_counted(edge: str, rules: str) -> None:
    document = replay_json(edge, "--rules", rules)
    lengths = [len(bytes(each)) for each in EDGE]
    assert list(document) == [
        "capture", "packets", "bytes", "protocols", "verdicts", "drop_reasons",
        "malformed_reasons", "rules", "sizes", "not_replayed",
    ]  # fmt: skip
    assert document["capture"] == edge
    assert (document["packets"], document["bytes"]) == (8, sum(lengths[:-1]))
    assert document["protocols"] == [
        {"protocol": "icmp", "number": 1, "packets": 1, "bytes": lengths[6]},
        {"protocol": "tcp", "number": 6, "packets": 2, "bytes": lengths[0] + lengths[4]},
        {"protocol": "udp", "number": 17, "packets": 3, "bytes": 3 * lengths[1]},
        {"protocol": "arp", "number": None, "packets": 1, "bytes": lengths[5]},
        {"protocol": "malformed", "number": None, "packets": 1, "bytes": 15},
    ]
    assert packets_of(document["verdicts"], "verdict") == {"pass": 4, "drop": 4}
    assert packets_of(document["drop_reasons"], "reason") == {"rule": 2, "malformed": 1, "limit": 1}
    assert document["malformed_reasons"] == [{"reason": "short-ipv4", "packets": 1}]
    assert document["rules"] == [
        {"name": "no-telnet", "action": "drop", "packets": 1, "bytes": lengths[0]},
        {"name": "dns", "action": "limit", "packets": 3, "bytes": 3 * lengths[1]},
        {"name": "no-gre", "action": "drop", "packets": 0, "bytes": 0},
        {"name": "large", "action": "drop", "packets": 1, "bytes": lengths[6]},
    ]
    assert {"from": 1024, "to": 2047, "packets": 0} not in document["sizes"]
    assert {"from": 0, "to": 63, "packets": 7} in document["sizes"]
    assert document["not_replayed"] == [{"reason": "under 14 bytes", "packets": 1}]


def test_verdicts_are_a_line_each_and_the_summary_is_the_last(edge: str, rules: str) -> None:
    done = replay(edge, "--rules", rules, "--verdicts", "--json")
    *lines, last = map(json.loads, done.stdout.splitlines())
    assert list(lines[0]) == [
        "number", "time", "verdict", "reason", "rule", "protocol", "length",
    ]  # fmt: skip
    told = [tuple(each.values()) for each in lines]
    times = [f"2027-01-15T08:00:00.{tenth}00000000Z" for tenth in range(9)]
    expected = [
        ("drop", "rule", "no-telnet", "tcp"),
        ("pass", "default", None, "udp"),
        ("pass", "default", None, "udp"),
        ("drop", "limit", "dns", "udp"),
        ("pass", "default", None, "tcp"),
        ("pass", "default", None, "arp"),
        ("drop", "rule", "large", "icmp"),
        ("drop", "malformed", None, "malformed"),
        (None, "under 14 bytes", None, None),
    ]
    assert told == [
        (number, time, *each, len(bytes(packet)))
        for number, (time, each, packet) in enumerate(zip(times, expected, EDGE, strict=True), 1)
    ]
    assert last == {"summary": replay_json(edge, "--rules", rules)}


def test_tables_for_people(edge: str, rules: str) -> None:
    done = replay(edge, "--rules", rules, "--verdicts")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == [
        "1", "2027-01-15T08:00:00.000000000Z", "drop", "tcp", "54", "rule", "no-telnet",
    ]  # fmt: skip
    assert f"{edge}: 8 packets, from " in done.stdout
    assert ", 0.8 s long; ruleset edge, malformed drop" in done.stdout
    assert "never matched: no-gre" in lines
    rows = [each.split() for each in lines]
    assert ["malformed", "1", "15"] in rows
    assert ["short-ipv4", "1"] in rows
    assert ["under", "14", "bytes", "1"] in rows
    assert rows[-1][1:6] == ["ns", "per", "packet", "in", "the"]


def test_a_capture_comes_through_a_pipe_and_in_gzip(edge: str, rules: str) -> None:
    content = Path(edge).read_bytes()
    of_file = replay_json(edge, "--rules", rules)
    for sent in (content, gzip.compress(content)):
        done = subprocess.run(
            [*XDPCTL, "replay", "-", "--rules", rules, "--json"],
            input=sent, capture_output=True, check=True,
        )  # fmt: skip
        assert json.loads(done.stdout) == of_file | {"capture": "-"}


def test_interrupted_pipe_is_told_of_up_to_its_end(edge: str) -> None:
    """Ctrl-C reaches all of `tcpdump -w - | xdpctl replay -`."""
    content = Path(edge).read_bytes()
    with piped() as process:
        assert process.stdin and process.stdout
        process.stdin.write(content[:150])
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["number"] == 1
        process.send_signal(signal.SIGINT)
        process.stdin.write(content[150:])
        process.stdin.close()
        *_, last = map(json.loads, process.stdout)
        assert last["summary"]["packets"] == 8
    assert process.returncode == 0


def piped() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*XDPCTL, "replay", "-", "--verdicts", "--json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )


@pytest.mark.parametrize("attached", ["driver", "skb"], indirect=True)
def test_replay_counts_what_an_interface_counts(attached: Attached, tmp_path: Path) -> None:
    """The same packets over a wire, by the rules and bans that are there."""
    text = RULES.replace("rate: 1/s, burst: 2", "rate: 1/h, burst: 3")
    rules = tmp_path / "edge.yaml"
    rules.write_text(text)
    attached.xdpctl("apply", "eth0", str(rules))
    attached.xdpctl("ban", "eth0", "198.51.100.0/24")
    random = Random(11)
    frames = [each.frame for each in PACKETS if 14 <= len(each.frame) <= 1514]
    frames += [bytes(each) for each in traffic.mix().values()]
    frames += [bytes(V4 / UDP(dport=53))] * 9 + [bytes(V4 / TCP(dport=23))] * 5
    frames += [bytes(Ether(**MACS) / IP(src="198.51.100.9", dst="192.0.2.2") / TCP(dport=80))] * 4
    random.shuffle(frames)
    replayed = json.loads(
        attached.right.run(
            [*XDPCTL, "replay", capture(tmp_path / "all.pcap", [Raw(each) for each in frames]),
             "--on", "eth0", "--json"]
        ).stdout
    )  # fmt: skip
    assert attached.stats()["packets"] == 0
    attached.left.send("eth0", frames)
    stats = attached.stats()
    for part in ("protocols", "verdicts", "drop_reasons", "malformed_reasons", "sizes"):
        assert replayed[part] == stats[part], part
    assert {row["reason"] for row in stats["drop_reasons"]} >= {"rule", "limit", "ban", "malformed"}
    listed = json.loads(attached.xdpctl("rule", "list", "eth0", "--json"))["rules"]
    assert [(each["name"], each["packets"], each["bytes"]) for each in listed] == [
        (each["name"], each["packets"], each["bytes"]) for each in replayed["rules"]
    ]


def test_replay_leaves_the_interface_alone(attached: Attached, edge: str) -> None:
    attached.xdpctl("rule", "add", "eth0", "drop", "--proto", "tcp", "--name", "no-tcp")
    before = attached.stats()
    done = attached.right.run([*XDPCTL, "replay", edge, "--on", "eth0", "--json"])
    document = json.loads(done.stdout)
    assert packets_of(document["rules"], "name") == {"no-tcp": 2}
    after = attached.stats()
    assert after["program_id"] == before["program_id"]
    assert after["packets"] == before["packets"]


def test_on_an_interface_with_a_bare_counter(attached: Attached, edge: str) -> None:
    attached.xdpctl("ban", "eth0", "192.0.2.1")
    done = attached.right.run([*XDPCTL, "replay", edge, "--on", "eth0", "--json"])
    document = json.loads(done.stdout)
    assert document["rules"] == []
    assert packets_of(document["drop_reasons"], "reason") == {"ban": 6}


def tshark(path: Path, *fields: str) -> list[tuple[str, ...]]:
    wanted = [word for each in fields for word in ("-e", each)]
    done = subprocess.run(
        ["tshark", "-n", "-r", str(path), "-T", "fields", *wanted],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [tuple(each.split("\t")) for each in done.stdout.splitlines()]


def lengths_in(path: Path) -> list[int]:
    with CaptureReader(path) as reader:
        return [length for batch in reader for length in batch.lengths]


def test_packets_are_written_with_what_decided_on_them(
    edge: str, rules: str, tmp_path: Path
) -> None:
    packets = {0: "rule no-telnet", 3: "limit dns", 6: "rule large", 7: "malformed: short-ipv4"}
    written = tmp_path / "out.pcapng"
    written.write_bytes(b"before" * 10_000)
    done = replay(edge, "--rules", rules, "--write", str(written), "--verdict", "drop")
    assert done.returncode == 0, done.stderr
    fields = ["frame.time_epoch", "frame.len", "frame.comment", "frame.verdict.ebpf_xdp"]
    assert tshark(written, *fields) == [
        (f"{NOW}.{number}00000000", str(len(bytes(EDGE[number]))), comment, "1")
        for number, comment in packets.items()
    ]
    assert replay_json(str(written), "--rules", rules)["packets"] == len(packets)


@pytest.mark.parametrize(
    ("choice", "numbers"),
    [
        (["--verdict", "pass"], [1, 2, 4, 5]),
        (["--rule", "dns"], [3]),
        (["--rule", "no-gre"], []),
    ],
)
def test_packets_of_a_verdict_or_of_a_rule_are_written(
    edge: str, rules: str, tmp_path: Path, choice: list[str], numbers: list[int]
) -> None:
    written = tmp_path / "out.pcapng"
    done = replay(edge, "--rules", rules, "--write", str(written), *choice)
    assert done.returncode == 0, done.stderr
    assert lengths_in(written) == [len(bytes(EDGE[number])) for number in numbers]


def test_nothing_is_written_through_links_or_over_what_is_read(
    edge: str, rules: str, tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    precious = tmp_path / "precious"
    precious.write_text("precious")
    link, hard, fifo = (shared / name for name in ("link", "hard", "fifo"))
    link.symlink_to(precious)
    os.link(precious, hard)
    os.mkfifo(fifo)
    before = Path(edge).read_bytes()
    for path, why in {
        str(link): "is a symbolic link where everybody can write: not followed",
        str(hard): "has other names (hard links), under which it would change as well",
        str(fifo): "no such device or address",
        str(tmp_path): "is a directory",
        edge: f"is the file that is read as {edge}",
        "/nowhere/x": "no such file or directory",
    }.items():
        done = replay(edge, "--write", path, "--verdict", "drop")
        assert (done.returncode, done.stderr) == (2, f"xdpctl: {path}: {why}\n")
    done = replay(edge, "--rules", rules, "--write", rules, "--verdict", "drop")
    assert done.stderr == f"xdpctl: {rules}: is the file that is read as {rules}\n"
    assert Path(rules).read_text() == RULES
    assert precious.read_text() == "precious"
    assert Path(edge).read_bytes() == before


MISTAKES = {
    ("{edge}", "--rules", "{rules}", "--on", "eth0"): "by --rules or --on, not both",
    ("-", "--rules", "-"): "-: rules and packets cannot both come from standard input",
    ("{edge}", "--write", "x"): "--write goes with one of --verdict and --rule, and they with it",
    ("{edge}", "--rule", "x"): "--write goes with one of --verdict and --rule, and they with it",
    ("{edge}", "--rules", "{rules}", "--rule", "dns", "--verdict", "drop", "--write", "x"): (
        "--write goes with one of --verdict and --rule, and they with it"
    ),
    ("{edge}", "--rules", "{rules}", "--write", "x", "--rule", "dsn"): "dsn: no such rule",
    ("/nowhere.pcap",): "/nowhere.pcap: no such file or directory",
    ("{edge}", "--rules", "/nowhere.yaml"): "/nowhere.yaml: no such file or directory",
    ("{rules}",): "{rules}: is no capture",
}


@pytest.mark.parametrize("arguments", MISTAKES)
def test_mistakes_are_one_line(edge: str, rules: str, arguments: tuple[str, ...]) -> None:
    places = {"edge": edge, "rules": rules}
    done = replay(*(each.format(**places) for each in arguments), stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    first, *hint = done.stderr.splitlines()
    assert first == f"xdpctl: {MISTAKES[arguments].format(**places)}"
    assert all(each.startswith("hint: ") for each in hint)
    assert len(hint) <= 1


def test_interface_without_our_program(pair: Pair, edge: str) -> None:
    done = pair.right.run([*XDPCTL, "replay", edge, "--on", "eth0"], check=False)
    assert done.returncode == 3
    assert done.stderr.startswith("xdpctl: eth0: xdpctl is not attached\nhint: ")


def test_missing_privileges_are_named_with_the_command_that_has_them(edge: str) -> None:
    without = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--"]
    done = subprocess.run(
        [*without, *XDPCTL, "replay", edge], capture_output=True, text=True, check=False
    )
    assert done.returncode == 4
    assert done.stderr.startswith("xdpctl: CAP_SYS_ADMIN and CAP_NET_ADMIN are missing\nhint: run:")


def test_what_is_wrong_with_a_file_is_told_beside_what_could_be_read(tmp_path: Path) -> None:
    whole = Path(capture(tmp_path / "whole.pcap", [V4.copy() / UDP(dport=53) for _ in range(3)]))
    short = tmp_path / "short.pcap"
    short.write_bytes(whole.read_bytes()[:-5])
    done = replay(str(short), "--json")
    assert done.returncode == 0
    assert done.stderr == f"warning: {short}: ends within packet 3\n"
    document = json.loads(done.stdout)
    assert document["packets"] + sum(each["packets"] for each in document["not_replayed"]) == 3


def test_packets_that_were_cut_are_told(tmp_path: Path) -> None:
    packets = [V4.copy() / UDP(dport=53) / Raw(bytes(100)) for _ in range(2)]
    for packet in packets:
        packet.time = NOW
        packet.wirelen = len(bytes(packet))
    cut = [Ether(bytes(packets[0])[:60]), packets[1]]
    cut[0].time, cut[0].wirelen = NOW, packets[0].wirelen
    path = tmp_path / "cut.pcap"
    wrpcap(str(path), cut)
    done = replay(str(path), "--json")
    assert done.stderr == (
        "note: 1 packet was cut by the capture's snaplen: judged by the bytes that are there\n"
    )
    assert json.loads(done.stdout)["bytes"] == 60 + len(bytes(packets[1]))


def test_two_replays_write_the_same(edge: str, rules: str) -> None:
    first, second = (replay(edge, "--rules", rules, "--verdicts", "--json") for _ in range(2))
    assert first.stdout == second.stdout


def test_expectation_of_a_whole_mix_of_protocols(tmp_path: Path) -> None:
    frames = [bytes(each) for each in traffic.mix().values()] * 3
    document = replay_json(capture(tmp_path / "mix.pcap", [Raw(each) for each in frames]))
    reasons = Counter(reason for each in frames if (reason := parse(each).reason))
    assert packets_of(document["malformed_reasons"], "reason") == reasons
    assert document["packets"] == len(frames)


def test_killed_replay_leaves_nothing(edge: str) -> None:
    """Fixtures of all tests look for programs that are left."""
    with piped() as process:
        assert process.stdin and process.stdout
        process.stdin.write(Path(edge).read_bytes())
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["number"] == 1
        process.kill()
    assert process.returncode == -signal.SIGKILL


def test_bar_on_a_terminal_where_the_file_is_long(edge: str) -> None:
    script = (
        "from xdpctl.cli import capture_progress; from xdpctl.cli.main import main\n"
        "capture_progress.LONG_BYTES = 100\n"
        f"main(['replay', {edge!r}, '--json'])"
    )
    terminal, end = os.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=end, check=True
        )
        assert json.loads(done.stdout)["packets"] == 8
        assert b"100%" in os.read(terminal, 1 << 16)
    finally:
        os.close(terminal)
        os.close(end)


PAGE = (Path(__file__).parents[2] / "docs/replay.md").read_text(encoding="utf-8")


def test_examples_of_the_page_do_what_it_says(
    attached: Attached, edge: str, rules: str, tmp_path: Path
) -> None:
    (tmp_path / "night.pcap").write_bytes(Path(edge).read_bytes())
    (tmp_path / "night.pcap.gz").write_bytes(gzip.compress(Path(edge).read_bytes()))
    (command,) = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    binaries = Path(sys.executable).parent
    attached.right.run(
        ["sh", "-ec", f"cd {tmp_path}; PATH={binaries}:$PATH; exec >/dev/null\n{command}"]
    )
    assert len(lengths_in(tmp_path / "dropped.pcapng")) == 4
    assert len(lengths_in(tmp_path / "telnet.pcapng")) == 1
    first, second = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    for code, expected in (
        (
            first,
            "1 pass default None other\n2 pass default None other\n3 pass default None other\n",
        ),
        (second, "['pass', 'pass'] 2\n"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
        )
        assert done.stdout == expected
