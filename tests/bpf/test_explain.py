"""`xdpctl explain`: what was parsed, who decided, and why nobody before."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.capture_files import pcap, pcap_header, pcapng, record
from tests.commands import Done, ran
from tests.edges import NOW, frame, limit, ruleset
from tests.packets import IPV4, IPV6, PACKETS, STAG, TCP, UDP, eth, extension, fragment, ipv4, ipv6
from tests.packets import tag as tagged
from tests.rulesets import documents
from xdpctl.datapath.ban_entries import Prefix
from xdpctl.replay import Replay
from xdpctl.replay.explaining import Explanation, explain
from xdpctl.replay.packets import batches_of
from xdpctl.rules import reference
from xdpctl.rules.model import Action, Condition, Rule, Ruleset
from xdpctl.rules.reading import read_text

pytestmark = pytest.mark.usefixtures("nothing_leaks")

SECOND = 10**9
RULES = """
sets: {office: [198.51.100.0/24, "2001:db8:f::/48"]}
rules:
  - {name: ssh, action: pass, src: "@office", proto: tcp, dport: 22}
  - {name: old, action: drop, dport: 80, expires: "2020-01-01T00:00:00Z"}
  - {name: few, action: limit, proto: tcp, rate: 1/h, burst: 1, per: src}
  - {name: no-telnet, action: drop, dport: [23, 2323, 6000-6063]}
  - {name: not-lab, action: drop, vlan: {not: 10}}
  - {name: rest, action: drop, src: {not: 192.0.2.0/24}}
  - {name: web, action: pass, dport: 80}
default: drop
"""

Explain = Callable[..., Done]


@pytest.fixture
def explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Explain:
    """Runs the command by RULES."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(RULES)
    return lambda *arguments: ran(capsys, "explain", "--rules", rules, *arguments)


def test_json_has_what_was_parsed_who_decided_and_what_failed_before(explained: Explain) -> None:
    document = explained("--proto", "tcp", "--dport", "80", "--json").json
    assert document.keys() == {
        "time", "fields", "malformed", "verdict", "reason", "rule", "ban", "default", "rules",
    }  # fmt: skip
    assert document["fields"] == {
        "src_mac": "02:00:00:00:00:01", "dst_mac": "02:00:00:00:00:02", "vlan": "none",
        "ethertype": "ipv4", "src": "192.0.2.1", "dst": "198.51.100.1", "ttl": 64, "dscp": 0,
        "proto": "tcp", "fragment": "no", "sport": 40000, "dport": 80, "flags": "syn",
        "length": 60,
    }  # fmt: skip
    assert (document["malformed"], document["ban"], document["default"]) == (None, None, "drop")
    assert (document["verdict"], document["reason"], document["rule"]) == ("pass", "rule", "web")

    def rule(name: str, action: str, *failed: Any, passed_over: str | None = None) -> Any:
        found = dict(zip(("field", "value", "wanted"), failed, strict=True)) if failed else None
        return {
            "name": name, "action": action, "matches": not failed, "failed": found,
            "passed_over": passed_over,
        }  # fmt: skip

    assert document["rules"] == [
        rule("ssh", "pass", "src", "192.0.2.1", "@office"),
        rule("old", "drop", passed_over="expired"),
        rule("few", "limit", passed_over="limit"),
        rule("no-telnet", "drop", "dport", 80, [23, 2323, "6000-6063"]),
        rule("not-lab", "drop", "vlan", "none", {"not": 10}),
        rule("rest", "drop", "src", "192.0.2.1", {"not": "192.0.2.0/24"}),
        rule("web", "pass"),
    ]


def test_text_says_the_same_in_the_rules_own_spelling(explained: Explain) -> None:
    done = explained("--proto", "tcp", "--dport", "80")
    assert done.code == 0
    assert "  dport      80\n" in done.stdout
    assert done.stdout.endswith(
        """
pass: rule web
  action: pass, dport: 80

rules before it:
  ssh        src is 192.0.2.1, not @office
  old        matches, but expired at 2020-01-01T00:00:00Z: passed over
  few        matches, and was within its 1/h: passed over
  no-telnet  dport is 80, not 23, 2323 or 6000-6063
  not-lab    no vlan, wanted any but 10
  rest       src is 192.0.2.1, and must not be 192.0.2.0/24
"""
    )


def test_a_default_is_after_all_rules(explained: Explain) -> None:
    done = explained("--icmp", "echo-reply")
    assert "\ndrop: default\n\nrules:\n" in done.stdout
    assert "  no-telnet  no dport, wanted 23, 2323 or 6000-6063\n" in done.stdout
    assert len(explained("--icmp", "echo-reply", "--json").json["rules"]) == 7


def test_packet_of_a_capture_comes_after_those_before_it(
    explained: Explain, tmp_path: Path
) -> None:
    """The limit lets one packet of a source through in an hour."""
    telnet = eth(IPV4, ipv4(6, TCP[:2] + b"\0\x17" + TCP[4:]))
    other = eth(IPV6, ipv6(6, TCP))
    capture = tmp_path / "night.pcap"
    records = [record(telnet), record(other), record(telnet), record(telnet, seconds=1_700_003_600)]
    capture.write_bytes(pcap_header() + b"".join(records))
    found = [explained(f"{capture}:{number}", "--json").json for number in (1, 2, 3, 4)]
    assert [(each["reason"], each["rule"]) for each in found] == [
        ("rule", "no-telnet"), ("rule", "rest"), ("limit", "few"), ("rule", "no-telnet")
    ]  # fmt: skip
    assert [each["time"] for each in found[2:]] == [
        "2023-11-14T22:13:20.000000000Z", "2023-11-14T23:13:20.000000000Z"
    ]  # fmt: skip
    assert found[2]["rules"][-1]["name"] == "few"
    assert found[2]["rules"][-1]["passed_over"] is None
    assert f"packet 3 of {capture}, 2023-11-14" in explained(f"{capture}:3").stdout


def test_hexadecimal_may_come_as_one_word_or_many(explained: Explain) -> None:
    octets = eth(IPV4, ipv4(17, UDP))
    document = explained(octets.hex(":"), "--json").json
    assert (document["fields"]["dport"], document["fields"]["length"]) == (53, 42)
    assert explained(*octets.hex(" ").split(), "--json").json["fields"] == document["fields"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "one packet is wanted: CAPTURE:NUMBER, hexadecimal digits, or its fields as options"),
        (["00", "--dport", "1"], "one packet is wanted: CAPTURE:NUMBER, hexadecimal digits, or"),
        (["0x0"], "1 hexadecimal digit: a byte has two"),
        (["020"], "3 hexadecimal digits: a byte has two"),
        (["0x"], "a packet of 0 bytes: the kernel takes 14"),
        ([""], "a packet of 0 bytes: the kernel takes 14"),
        (["02" * 13], "a packet of 13 bytes: the kernel takes 14 to 73,152, with the Ethernet"),
        (["nonsense"], "neither CAPTURE:NUMBER nor hexadecimal digits"),
        (["nowhere.pcap:1"], "nowhere.pcap: no such file or directory"),
        (["x:0"], "x:0: packets are counted from 1"),
        (["x:99999999999999999999"], "neither CAPTURE:NUMBER nor hexadecimal digits"),
        (["--dport", "22,23"], "dport: a list is many packets: one value is wanted"),
        (["--src", "@office"], 'src: "@office" is a set: one value is wanted'),
        (["--src", "!192.0.2.1"], "src: a negation is many packets: one value is wanted"),
        (["--proto", "icmp", "--dport", "1"], "dport: no packet has it together with proto: only"),
        (["--on", "lo", "--dport", "1"], "by --rules or --on, not both"),
    ],
)
def test_what_is_no_packet_is_refused_in_a_line(
    explained: Explain, arguments: list[str], message: str
) -> None:
    done = explained(*arguments)
    line, *hints = [x for x in done.stderr.splitlines() if not x.startswith("warning:")]
    assert (done.code, done.stdout) == (2, "")
    assert line.startswith(f"xdpctl: {message}")
    assert len(hints) <= 1


def test_numbers_that_a_capture_does_not_have(explained: Explain, tmp_path: Path) -> None:
    frames = [eth(IPV4, ipv4(17, UDP))] * 3
    whole, cut, empty, none = (tmp_path / name for name in ("whole", "cut", "empty", "none"))
    whole.write_bytes(pcapng(frames))
    cut.write_bytes(pcap(frames)[:-5])
    empty.write_bytes(b"")
    none.write_bytes(pcap([]))
    assert f"{whole}: has no packet 4; the last is 3\n" in explained(f"{whole}:4").stderr
    assert f"{cut}: has no packet 3; the last is 2\n" in explained(f"{cut}:3").stderr
    assert explained(f"{cut}:2", "--json").json["fields"]["dport"] == 53
    assert f"{empty}: is empty\n" in explained(f"{empty}:1").stderr
    assert f"{none}: has no packet 1; the last is 0\n" in explained(f"{none}:1").stderr


def test_many_batches_come_before_a_packet(explained: Explain, tmp_path: Path) -> None:
    """Of 1 MiB at most, and so of 65,536 packets at most each."""
    capture = tmp_path / "long.pcap"
    first = record(eth(IPV4, ipv4(6, TCP)))
    capture.write_bytes(
        pcap_header() + first + record(eth(IPV4, ipv4(17, UDP))) * 60_000 + first * 2
    )
    document = explained(f"{capture}:60003", "--json").json
    assert (document["reason"], document["rule"]) == ("limit", "few")
    assert explained(f"{capture}:60004").code == 2


@pytest.mark.parametrize(
    ("octets", "fields"),
    [
        (eth(STAG, tagged(IPV4, ipv4(17, UDP), vid=7)), {"vlan": 7, "dport": 53}),
        (eth(IPV6, ipv6(0, extension(60, extension(6, TCP)))), {"proto": "tcp", "dport": 80}),
        (
            eth(IPV6, ipv6(44, fragment(17, bytes(8), offset=9))),
            {"fragment": "later", "proto": "udp"},
        ),
        (eth(IPV4, ipv4(17, UDP, frag=0x2000)), {"fragment": "first", "sport": 40000}),
    ],
)
def test_oddities_of_headers_are_parsed(
    explained: Explain, octets: bytes, fields: dict[str, object]
) -> None:
    document = explained(octets.hex(), "--json").json
    assert fields.items() <= document["fields"].items()
    if "dport" not in fields and fields["fragment"] == "later":
        telnet = document["rules"][3]
        assert telnet["failed"] == {
            "field": "dport",
            "value": None,
            "wanted": [23, 2323, "6000-6063"],
        }


def test_malformed_packets_are_dropped_before_any_rule(explained: Explain) -> None:
    octets = eth(IPV4, ipv4(6, TCP)[:30]).hex()
    document = explained(octets, "--json").json
    assert (document["verdict"], document["reason"], document["rules"]) == ("drop", "malformed", [])
    assert document["malformed"] == "short-transport"
    done = explained(octets)
    assert done.stdout.endswith(
        "  malformed  short-transport\n\ndrop: malformed: short-transport\n"
    )


@pytest.mark.parametrize("malformed", ["drop", "pass"])
def test_every_described_packet_can_be_explained_by_model_and_kernel(malformed: str) -> None:
    rules = read_text(f"malformed: {malformed}\n{RULES}", "test", NOW).ruleset
    with Replay(rules) as replay:
        for packet in PACKETS:
            if len(packet.frame) >= 14:
                found = explain(replay, batches_of([(NOW, packet.frame)]))
                assert found.disagreement is None, packet.name


def explained_by(
    rules: Ruleset | None, packets: list[Any], bans: dict[Prefix, int | None] | None = None
) -> Explanation:
    batches = [*batches_of(packets[:-1]), *batches_of(packets[-1:])]
    with Replay(rules, bans=bans or {}) as replay:
        return explain(replay, batches, number=len(packets), bans=bans)


def test_ban_that_matched_is_named_the_narrowest_first() -> None:
    octets = eth(IPV4, ipv4(6, TCP))  # from 192.0.2.1
    net, host = Prefix(4, 0xC0000200, 24), Prefix(4, 0xC0000201, 32)
    other = Prefix(4, 0xC0000200, 32)
    bans: dict[Prefix, int | None] = {net: None, host: (NOW + 9) * SECOND, other: None}
    rules = read_text(RULES, "test", NOW).ruleset
    early = explained_by(rules, [(NOW, octets)], bans)
    late = explained_by(rules, [(NOW, octets), (NOW + 9, octets)], bans)
    assert (early.verdict.reason, early.bans, early.asked) == ("ban", (host, net), ())
    assert (late.verdict.reason, late.bans) == ("ban", (net,))
    expired = explained_by(rules, [(NOW + 9, octets)], {host: (NOW + 9) * SECOND})
    assert (expired.verdict.reason, expired.bans) == ("rule", ())
    assert {each.disagreement for each in (early, late, expired)} == {None}


def test_disagreement_is_said_loudly_and_exits_3(
    explained: Explain, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: object) -> reference.Verdict:
        return reference.Verdict(Action.DROP, "rule", "no-telnet")

    monkeypatch.setattr(reference, "judge_packet", wrong)
    done = explained("--dport", "80")
    assert done.code == 3
    assert "pass: rule web\n" in done.stdout
    message = done.stderr.splitlines()[1]
    assert message == (
        "xdpctl: THE KERNEL AND THE REFERENCE MODEL DISAGREE: the kernel says pass (rule web), the"
        " model drop (rule no-telnet)"
    )
    assert "do not rely on the explanation" in done.stderr


def test_of_hundreds_of_rules_those_are_shown_that_came_closest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of 599 rules before the last, three fail in one field, and the others in two."""
    close = {7: 81, 200: 82, 500: 83}
    rules = [
        f"- {{name: r{i}, action: drop, src: 192.0.2.1, dport: {close[i]}}}"
        if i in close
        else f"- {{name: r{i}, action: drop, src: 10.0.{i >> 8}.{i & 255}, dport: 1-79}}"
        for i in range(599)
    ]
    path = tmp_path / "many.yaml"
    path.write_text("rules:\n" + "\n".join([*rules, "- {name: last, action: pass, dport: 80}"]))
    text = ran(capsys, "explain", "--rules", path, "--dport", "80").stdout
    _, _, listed = text.partition("rules before it:\n")
    lines = listed.splitlines()
    assert lines[-1] == "  and 579 more, further off; --all shows them"
    names = [each.split()[0] for each in lines[:-1]]
    assert names == ["r7", "r200", "r500", *(f"r{i}" for i in range(582, 599))]
    assert lines[0] == "  r7    dport is 80, not 81"
    whole = ran(capsys, "explain", "--rules", path, "--dport", "80", "--all").stdout
    assert len(whole.partition("rules before it:\n")[2].splitlines()) == 599
    document = ran(capsys, "explain", "--rules", path, "--dport", "80", "--json").json
    assert len(document["rules"]) == 600


def test_long_lists_of_a_rule_are_cut_for_people(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "long.yaml"
    ports = ", ".join(map(str, range(1000, 3000, 2)))
    path.write_text(f"rules: [{{name: many, action: drop, dport: [{ports}]}}]")
    text = ran(capsys, "explain", "--rules", path, "--dport", "80").stdout
    assert (
        "many  dport is 80, not 1000, 1002, 1004, 1006, 1008, 1010, 1012, 1014 or 992 more" in text
    )


@settings(
    max_examples=5,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(document=documents(), random=st.randoms(use_true_random=False))
def test_what_failed_is_the_first_condition_that_alone_matches_nothing(
    document: dict[str, Any], random: Random
) -> None:
    """Each condition is put into a rule of its own, which the kernel judges by: of a rule that was
    asked, those before the one that failed match, and that one does not."""
    rules = read_text(_yaml(document), "test", NOW).ruleset
    octets = frame(random, rules)
    found = explained_by(rules, [(NOW, octets)])
    assert found.disagreement is None
    for each in found.asked[-2:]:
        for field, condition in each.rule.conditions.items():
            alone = ruleset_of(rules, field, condition)
            verdict = next(iter(Replay(alone).run([(NOW, octets)])))
            failed = each.failed is not None and each.failed.field == field
            assert (verdict.rule == "alone") != failed, (field, octets.hex())
            if failed:
                break


def ruleset_of(rules: Ruleset, field: str, condition: Condition) -> Ruleset:
    return replace(
        rules, malformed=Action.PASS, rules=(Rule("alone", Action.DROP, {field: condition}),)
    )


def _yaml(document: dict[str, Any]) -> str:
    return json.dumps(document)


@pytest.mark.parametrize("seed", range(2))
def test_kernel_and_model_agree_on_generated_rules_and_limits_packet_by_packet(seed: int) -> None:
    """What limits have seen before a packet is read from their cells in the kernel."""
    random = Random(seed)
    rules = limiting(random)
    moments = sorted(NOW + random.random() * 4 for _ in range(80))
    reasons = set()
    with Replay(rules) as replay:
        for moment in moments:
            found = explain(replay, batches_of([(moment, frame(random, rules))]))
            assert found.disagreement is None, found.frame.hex()
            reasons.add(found.verdict.reason)
            names = [each.rule.name for each in found.asked]
            assert names == [each.name for each in rules.rules[: len(names)]]
            for each in found.asked:
                assert (each.failed is None) == (each.failures == 0)
    assert "limit" in reasons


def limiting(random: Random) -> Ruleset:
    """Generated rules behind limits of all kinds that everything meets."""
    rules = ruleset(random, 20)
    limits = tuple(Rule(f"limit{i}", Action.LIMIT, {}, None, limit(random)) for i in range(8))
    return replace(rules, malformed=Action.PASS, rules=(*limits, *rules.rules[:12]))


def test_without_rules_everything_passes_by_default() -> None:
    for packet in PACKETS[::40]:
        found = explained_by(None, [(NOW, packet.frame)])
        assert (found.verdict.verdict, found.verdict.reason) == ("pass", "default")
        assert (found.disagreement, found.asked) == (None, ())
