"""`xdpctl compare`: which packets of a capture would meet another verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from tests.capture_files import pcap, pcap_header, reader, record
from tests.commands import Done, ran
from tests.edges import NOW, frame, ruleset
from tests.packets import ARP, IPV4, IPV6, eth, ipv4, ipv6
from xdpctl.replay import Replay
from xdpctl.replay.comparing import Group, compare
from xdpctl.rules.model import Action, Ruleset
from xdpctl.rules.reading import read_text

pytestmark = pytest.mark.usefixtures("nothing_leaks")

BEFORE = "rules: [{name: telnet, action: drop, dport: 23}, {name: web, action: pass, dport: 80}]"
AFTER = "rules: [{name: no-web, action: drop, dport: 80}, {name: mail, action: pass, dport: 25}]"


def udp(port: int, source: int = 1000, payload: int = 0) -> bytes:
    header = source.to_bytes(2, "big") + port.to_bytes(2, "big") + bytes(4)
    return eth(IPV4, ipv4(17, header + bytes(payload)))


TELNET, WEB, MAIL, DNS = udp(23), udp(80), udp(25), udp(53)

Compare = Callable[..., Done]


@pytest.fixture
def compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Compare:
    """Runs the command on frames."""
    for name, text in (("before", BEFORE), ("after", AFTER)):
        (tmp_path / f"{name}.yaml").write_text(text)

    def run(frames: list[bytes], *options: str) -> Done:
        capture = tmp_path / "night.pcap"
        capture.write_bytes(pcap(frames))
        files = [tmp_path / "before.yaml", tmp_path / "after.yaml"]
        return ran(capsys, "compare", capture, *files, *options)

    return run


def test_json_has_groups_by_flow_and_by_what_decided(compared: Compare) -> None:
    frames = [TELNET, MAIL, WEB, DNS, WEB, udp(80, 1001, 8), TELNET, WEB]
    done = compared(frames, "--json")
    assert done.code == 1
    document = done.json
    assert {key: document[key] for key in document if key not in ("capture", "groups")} == {
        "packets": 8,
        "changed": 6,
        "decided_otherwise": 1,
        "not_replayed": 0,
        "verdicts": [
            {"before": "pass", "after": "drop", "packets": 4},
            {"before": "drop", "after": "pass", "packets": 2},
        ],
    }

    def decision(verdict: str, reason: str, rule: str | None) -> dict[str, str | None]:
        return {"verdict": verdict, "reason": reason, "rule": rule, "malformed": None}

    flow = {"protocol": "udp", "src": "192.0.2.1", "dst": "192.0.2.2", "sport": 1000,
            "src_mac": None, "dst_mac": None}  # fmt: skip
    web = {"before": decision("pass", "rule", "web"), "after": decision("drop", "rule", "no-web")}
    telnet = {
        "before": decision("drop", "rule", "telnet"),
        "after": decision("pass", "default", None),
    }
    assert document["groups"] == [
        {"flow": flow | {"dport": 80}, **web, "packets": 3, "bytes": 3 * 42, "first": 3},
        {"flow": flow | {"dport": 23}, **telnet, "packets": 2, "bytes": 2 * 42, "first": 1},
        {"flow": flow | {"dport": 80, "sport": 1001}, **web, "packets": 1, "bytes": 50, "first": 6},
    ]


def test_text_shows_the_same(compared: Compare) -> None:
    done = compared([TELNET, MAIL, WEB, WEB])
    assert done.code == 1
    heading, *rest = done.stdout.splitlines()
    assert heading.endswith(
        "night.pcap: 3 of 4 packets change verdict: 2 pass -> drop, 1 drop -> pass"
    )
    assert rest == [
        "1 packet with the same verdict by another rule, or for another reason",
        "",
        "    packets           bytes     first  flow, and what decided",
        "          2              84         3  192.0.2.1:1000 > 192.0.2.2:80 udp",
        f"{'':37}  pass (rule web) -> drop (rule no-web)",
        "          1              42         1  192.0.2.1:1000 > 192.0.2.2:23 udp",
        f"{'':37}  drop (rule telnet) -> pass (default)",
    ]


def test_where_no_verdict_changes_it_exits_0(compared: Compare) -> None:
    done = compared([MAIL, DNS, MAIL], "--json")
    assert (done.code, done.json["changed"], done.json["decided_otherwise"]) == (0, 0, 2)
    assert done.json["groups"] == []
    assert "0 of 3 packets change verdict\n" in compared([MAIL, DNS, DNS]).stdout


def test_only_the_largest_groups_are_shown_unless_all_are_asked_for(compared: Compare) -> None:
    frames = [udp(80, source) for source in range(1, 25)]
    lines = compared(frames).stdout.splitlines()
    assert lines[-1] == "          4 in 4 groups more; --all shows them"
    assert len(lines) == 3 + 2 * 20 + 1
    assert len(compared(frames, "--all").stdout.splitlines()) == 3 + 2 * 24


def groups_of(before: str, after: str, frames: list[bytes], most: int = 10) -> list[Group]:
    with (
        Replay(read_text(before, "x", NOW).ruleset) as old,
        Replay(read_text(after, "x", NOW).ruleset) as new,
    ):
        return list(compare(old, new, reader(pcap(frames)), most).groups())


def test_groups_beyond_what_there_is_room_for_are_summed() -> None:
    frames = [udp(80, source) for source in (1, 2, 3, 3, 4, 1)]
    first, second, other = groups_of(BEFORE, AFTER, frames, 2)
    assert (first.flow is not None and first.flow.sport, first.packets, first.first) == (1, 2, 1)
    assert (second.packets, second.first) == (1, 2)
    assert (other.flow, other.before, other.after) == (None, None, None)
    assert (other.packets, other.bytes, other.first) == (3, 3 * 42, 3)


def test_frames_without_addresses_are_told_apart_by_their_macs() -> None:
    arp = eth(ARP, bytes(28))
    (group,) = groups_of("rules: []", "default: drop", [arp, arp])
    assert group.flow is not None
    assert (group.flow.protocol, group.flow.src) == ("arp", None)
    assert (group.flow.src_mac, group.flow.dst_mac) == (0x020000000001, 0x020000000002)


def test_malformed_packets_change_with_the_policy() -> None:
    frames = [eth(IPV4), eth(IPV6, ipv6(6)[:30]), eth(IPV4)]
    first, second = groups_of("malformed: drop", "malformed: pass", frames)
    assert first.before is not None and second.before is not None
    assert (first.before.reason, first.before.malformed, first.packets) == (
        "malformed", "short-ipv4", 2
    )  # fmt: skip
    assert (second.before.malformed, second.packets) == ("short-ipv6", 1)


def test_limits_go_by_the_capture_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ten packets, one in each second: of 1/s all get through, of 1/m the first alone."""
    capture, *files = (tmp_path / name for name in ("night.pcap", "second", "minute"))
    capture.write_bytes(
        pcap_header() + b"".join(record(DNS, seconds=1_700_000_000 + i) for i in range(10))
    )
    for path, rate in zip(files, ("1/s", "1/m"), strict=True):
        path.write_text(f"rules: [{{name: few, action: limit, rate: {rate}, burst: 1}}]")
    document = ran(capsys, "compare", capture, *files, "--json").json
    assert (document["packets"], document["changed"]) == (10, 9)
    assert (document["groups"][0]["packets"], document["groups"][0]["first"]) == (9, 2)


def test_short_packets_are_accounted_for(compared: Compare) -> None:
    done = compared([WEB, b"123", WEB])
    assert "2 of 2 packets change verdict" in done.stdout
    assert "1 packet not replayed\n" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-", "-", "x"], "-: only one of them can come from standard input"),
        (["x", "-", "-"], "-: only one of them can come from standard input"),
        (["nowhere", "{before}", "{before}"], "nowhere: no such file or directory"),
        (["{before}", "{before}", "{before}"], "{before}: is no capture"),
        (["x", "nowhere.yaml", "{before}"], "nowhere.yaml: no such file or directory"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    before = tmp_path / "before.yaml"
    before.write_text(BEFORE)
    done = ran(capsys, "compare", *(each.format(before=before) for each in arguments))
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"xdpctl: {message.format(before=before)}\n")


def test_a_damaged_capture_is_compared_as_far_as_it_goes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / "before.yaml", tmp_path / "after.yaml"]
    files[0].write_text(BEFORE)
    files[1].write_text(AFTER)
    capture = tmp_path / "cut.pcap"
    capture.write_bytes(pcap([WEB, WEB, WEB])[:-1])
    done = ran(capsys, "compare", capture, *files)
    assert (done.code, "2 of 2 packets" in done.stdout) == (1, True)
    assert done.stderr.startswith(f"warning: {capture}: ")


def _without_limits(rules: Ruleset) -> Ruleset:
    kept = tuple(each for each in rules.rules if each.limit is None)
    return replace(rules, default=Action.DROP, rules=kept)


@pytest.mark.parametrize("seed", [2])
def test_numbers_are_those_of_two_replays(seed: int) -> None:
    """Over several batches."""
    random = Random(seed)
    rules = [_without_limits(ruleset(random, 20)) for _ in range(2)]
    shared = Ruleset("x", rules=rules[0].rules, sets=rules[1].sets)
    frames = [frame(random, random.choice(rules)) for _ in range(300)] * 20
    with Replay(rules[1]) as old, Replay(shared) as new:
        found = compare(old, new, reader(pcap(frames)))
    pairs = list(zip(Replay(rules[1]).run(frames), Replay(shared).run(frames), strict=True))
    assert found.changed > 0
    changes = Counter((a.verdict, b.verdict) for a, b in pairs if a.verdict != b.verdict)
    assert found.changes == changes
    assert sum(each.packets for each in found.groups()) == changes.total()
    same = [(a, b) for a, b in pairs if a.verdict == b.verdict]
    otherwise = sum(
        (a.reason, a.rule) != (b.reason, b.rule)
        or (a.reason == "malformed" and a.malformed != b.malformed)
        for a, b in same
    )
    assert found.decided_otherwise == otherwise
