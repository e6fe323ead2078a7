"""`xdpctl test`: packets and captures become what a file expects, or it says what instead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.capture_files import pcap, pcap_header, record
from tests.commands import Done, ran
from tests.packets import IPV4, eth, ipv4
from xdpctl.replay.expectations import read_expectations
from xdpctl.rules import reference
from xdpctl.rules.mistakes import BadRuleset
from xdpctl.rules.model import Action

pytestmark = pytest.mark.usefixtures("nothing_leaks")

ROOT = Path(__file__).parent.parent.parent
RULES = """
rules:
  - {name: brief, action: drop, dport: 9, expires: 10m}
  - {name: few, action: limit, proto: udp, rate: 1/s, burst: 2, per: src}
  - {name: telnet, action: drop, dport: 23}
  - {name: web, action: pass, dport: 80}
default: drop
"""
UDP_80 = eth(IPV4, ipv4(17, bytes.fromhex("03e8 0050 0008 0000")))

Tested = Callable[..., Done]


@pytest.fixture
def tested(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Tested:
    """Runs the command on the text of a file of expectations."""
    (tmp_path / "web.yaml").write_text(RULES)
    capture = b"".join(record(UDP_80, seconds=1_700_000_000 + i // 4) for i in range(12))
    (tmp_path / "flood.pcap").write_bytes(pcap_header() + capture + record(b"short"))

    def run(text: str, *options: object) -> Done:
        path = tmp_path / "web.test.yaml"
        path.write_text(f"rules: web.yaml\n{text}")
        return ran(capsys, "test", path, *options)

    return run


def test_what_is_as_expected_passes(tested: Tested) -> None:
    done = tested(
        """
packets:
  - {name: web, dport: 80, expect: pass, rule: web}
  - {dport: 22, expect: drop, reason: default}
  - {name: short, hex: "0200 0000 0002 0200 0000 0001 0800 45", expect: drop, reason: malformed}
"""
    )
    assert (done.code, done.stderr) == (0, "")
    _, *lines = done.stdout.splitlines()
    assert lines == [
        "  ok    web",
        "  ok    packet 2",
        "  ok    short",
        "3 tests: 3 passed, 0 failed",
    ]


def test_what_is_not_fails_with_what_came_instead_and_why(tested: Tested) -> None:
    done = tested(
        """
packets:
  - {name: telnet, dport: 23, proto: tcp, expect: pass}
  - {name: mail, dport: 25, expect: drop, rule: telnet}
  - {name: web, dport: 80, expect: pass, rule: web}
  - {name: too late, dport: 23, expect: drop, rule: web}
"""
    )
    assert (done.code, done.stderr) == (1, "")
    assert done.stdout.splitlines()[1:] == [
        "  FAIL  telnet: expected pass, got drop: rule telnet",
        "          192.0.2.1:40000 > 198.51.100.1:23 tcp syn",
        "          action: drop, dport: 23",
        "  FAIL  mail: expected drop: rule telnet, got drop: default",
        "          192.0.2.1:40000 > 198.51.100.1:25 tcp syn",
        "          telnet: dport is 25, not 23",
        "  ok    web",
        "  FAIL  too late: expected drop: rule web, got drop: rule telnet",
        "          192.0.2.1:40000 > 198.51.100.1:23 tcp syn",
        "          action: drop, dport: 23",
        "          web was not asked: that was decided before",
        "4 tests: 1 passed, 3 failed",
    ]


def test_each_packet_meets_full_buckets_and_the_last_of_repeated_ones_counts(
    tested: Tested,
) -> None:
    line = "  - {{name: x, proto: udp, dport: 80, repeat: {}, expect: {}}}\n"
    packets = [(1, "pass"), (2, "pass"), (3, "drop"), (2, "pass"), (5000, "drop"), (1, "pass")]
    done = tested("packets:\n" + "".join(line.format(*each) for each in packets))
    assert done.code == 0, done.stdout


def test_time_is_that_of_the_file_and_seconds_after_it(tested: Tested) -> None:
    done = tested(
        """
packets:
  - {name: late, dport: 9, time: 600, expect: drop, reason: default}
  - {name: at first, dport: 9, expect: drop, rule: brief}
  - {name: in time, dport: 9, time: 599.999999999, expect: drop, rule: brief}
  - {name: years later, dport: 9, time: 999999999, expect: drop, reason: default}
"""
    )
    assert done.code == 0, done.stdout
    moment = "time: 2026-11-21T12:00:00Z"
    assert tested(f"{moment}\npackets: [{{dport: 9, expect: drop, rule: brief}}]").code == 0


def test_captures_are_counted_by_verdict_and_rule(tested: Tested) -> None:
    """Twelve packets in three seconds, of which 2, 1 and 1 are within 1/s with a burst of 2."""
    right = "{file: flood.pcap, expect: {pass: 4, drop: 8}, rules: {few: 8, web: 4, telnet: 0}}"
    wrong = "{name: wrong, file: flood.pcap, expect: {pass: 5}, rules: {few: 7}}"
    done = tested(f"captures: [{right}, {wrong}]")
    assert done.code == 1
    assert done.stdout.splitlines()[1:] == [
        "  ok    flood.pcap",
        "  FAIL  wrong: pass: expected 5, got 4; few: expected 7, got 8",
        "          1 packet not replayed",
        "2 tests: 1 passed, 1 failed",
    ]
    document = tested(f"captures: [{wrong}]", "--json").json
    assert document["files"][0]["tests"] == [
        {
            "name": "wrong", "kind": "capture", "passed": False,
            "expected": {"verdicts": {"pass": 5}, "rules": {"few": 7}},
            "got": {"verdicts": {"pass": 4}, "rules": {"few": 8}}, "not_replayed": 1,
        }
    ]  # fmt: skip


def test_json_has_every_test_and_explains_those_that_fail(tested: Tested, tmp_path: Path) -> None:
    done = tested("packets: [{dport: 80, expect: pass}, {dport: 80, expect: drop}]", "--json")
    assert (done.code, done.json["passed"], done.json["failed"]) == (1, 1, 1)
    (file,) = done.json["files"]
    assert file["rules"] == str(tmp_path / "web.yaml")
    passed, failed = file["tests"]
    assert passed == {
        "name": "packet 1", "kind": "packet", "passed": True,
        "expected": {"verdict": "pass", "rule": None, "reason": None},
        "got": {"verdict": "pass", "rule": "web", "reason": "rule"},
    }  # fmt: skip
    assert failed["explanation"]["rules"][-1]["name"] == "web"
    assert failed["explanation"]["fields"]["dport"] == 80


def test_junit_has_a_case_for_each_test_with_names_escaped(tested: Tested, tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    done = tested(
        r"""
packets:
  - {name: "a <b> & \"c\" \e[31m ü", dport: 80, expect: drop}
  - {dport: 80, expect: pass}
""",
        "--junit",
        report,
    )
    assert done.code == 1
    root = ElementTree.fromstring(report.read_bytes())
    (suite,) = root
    assert (root.tag, root.get("tests"), root.get("failures")) == ("testsuites", "2", "1")
    assert (suite.tag, suite.get("name")) == ("testsuite", str(tmp_path / "web.test.yaml"))
    bad, good = suite
    assert bad.get("name") == 'a <b> & "c" \\x1b[31m ü'
    (failure,) = bad
    assert failure.get("message") == "expected drop, got pass: rule web"
    assert "198.51.100.1:80" in (failure.text or "")
    assert (good.get("name"), len(good)) == ("packet 2", 0)


def test_junit_report_does_not_overwrite_what_is_read(tested: Tested, tmp_path: Path) -> None:
    done = tested("packets: [{dport: 80, expect: pass}]", "--junit", tmp_path / "web.yaml")
    assert done.code == 2
    assert (tmp_path / "web.yaml").read_text() == RULES


def test_disagreement_of_kernel_and_model_exits_3(
    tested: Tested, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = reference.Verdict(Action.DROP, "default")
    monkeypatch.setattr(reference, "judge_packet", lambda *_: wrong)
    done = tested("packets: [{dport: 80, expect: pass}]")
    assert done.code == 3
    assert "THE KERNEL AND THE REFERENCE MODEL DISAGREE" in done.stderr


MISTAKES = [
    ("packets: [{dport: 80}]", "2:11: expect: a verdict is wanted, pass or drop"),
    ("packets: [{dport: 80, expect: accept}]", '2:31: expect: "accept" is not drop or pass: did'),
    ("packets: [{dprt: 80, expect: pass}]", '2:12: unknown key "dprt": did you mean "dport"?'),
    ("packets: [{dport: 80, expect: pass, rule: wbe}]", '2:43: rule: there is no rule "wbe": did'),
    ("packets: [{dport: 80, expect: drop, reason: ban}]", '2:45: reason: "ban" is not rule, limit'),
    ("packets: [{expect: pass}]", "2:11: a packet needs fields, or hex"),
    ("packets: [{dport: [1, 2], expect: pass}]", "2:19: dport: a list is many packets: one"),
    ("packets: [{dport: {not: 2}, expect: pass}]", "2:19: dport: a negation is many packets: one"),
    ("packets: [{src: '@x', expect: pass}]", '2:17: src: "@x" is a set: one value is wanted'),
    ("packets: [{dport: , expect: pass}]", "2:19: dport: the value is missing"),
    ("packets: [{icmp: 8, dport: 1, expect: pass}]", "2:18: icmp: no packet has it together with"),
    ("packets: [{hex: 020, expect: pass}]", "2:17: hex: 3 hexadecimal digits: a byte has two"),
    ("packets: [{hex: 02zz, expect: pass}]", '2:17: hex: "02zz" has other than hexadecimal digits'),
    ("packets: [{hex: 0202, expect: pass}]", "2:17: hex: a packet of 2 bytes: the kernel takes 14"),
    ("packets: [{hex: 02, dport: 2, expect: pass}]", "2:28: dport: the packet has its bytes from"),
    ("packets: [{dport: 2, expect: pass, repeat: 0}]", "2:44: repeat: 0 is outside 1-100000"),
    ("packets: [{dport: 2, expect: pass, time: x}]", '2:42: time: "x" is not a number of seconds'),
    ("packets: {}", "2:10: packets is a list, not a mapping"),
    ("packets: [8]", "2:11: a packet is a mapping of keys to values, not one value"),
    ("packets: []", "1:1: nothing is expected: packets or captures are wanted"),
    ("time: 10m\npackets: [{dport: 2, expect: pass}]", '2:7: time: "10m" is no moment such as'),
    ("time: noon\npackets: [{dport: 2, expect: pass}]", '2:7: time: "noon" is not a time such as'),
    ("captures: [{expect: {pass: 1}}]", "2:12: file: a capture is wanted, by its path from this"),
    ("captures: [{file: x, expect: {pass: 1}}]", "2:19: file: "),
    ("captures: [{file: flood.pcap}]", "2:12: expect: how many packets are to pass and to drop is"),
    (
        "captures: [{file: flood.pcap, expect: {pas: 1}}]",
        '2:40: expect: there is no verdict "pas": did you mean "pass"?',
    ),
    (
        "captures: [{file: flood.pcap, rules: {wbe: 1}}]",
        '2:39: rules: there is no rule "wbe": did you mean "web"?',
    ),
    (
        "captures: [{file: flood.pcap, rules: {web: -1}}]",
        '2:44: rules: web: "-1" is not a number of packets',
    ),
    ("rules: x\npackets: []", '2:1: "rules" is here twice, first in line 1'),
    ("&a packets: []", "2:1: anchors and aliases are not allowed"),
    ("packets: [{dport: 80, expect: pass}", "3:1: not YAML: "),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES)
def test_a_mistake_is_told_with_its_place(tested: Tested, text: str, message: str) -> None:
    done = tested(text)
    assert (done.code, done.stdout) == (2, "")
    assert f"/web.test.yaml:{message}" in done.stderr


def test_all_mistakes_of_all_files_are_told_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "wrong.yaml").write_text("rules: [{action: dorp}]")
    first, second = tmp_path / "first.yaml", tmp_path / "second.yaml"
    first.write_text("rules: wrong.yaml\npackets: [{dport: x, expect: pass}, {ttl: 256}]")
    second.write_text("rules: nowhere.yaml\npackets: [{dport: 1, expect: pass}]")
    done = ran(capsys, "test", first, second)
    assert done.code == 2
    lines = [each.replace(f"{tmp_path}/", "") for each in done.stderr.splitlines()]
    assert lines == [
        'xdpctl: first.yaml:1:8: rules: "wrong.yaml" has mistakes',
        'first.yaml:2:19: dport: "x" is not a number or a range such as "6000-6063"',
        "first.yaml:2:37: expect: a verdict is wanted, pass or drop",
        'first.yaml:2:43: ttl: "256" is outside 0-255',
        "second.yaml:1:8: rules: nowhere.yaml: no such file or directory",
        'wrong.yaml:1:18: action: "dorp" is not drop, pass or limit: did you mean "drop"?',
    ]


def test_a_capture_that_cannot_be_read_exits_2(tested: Tested, tmp_path: Path) -> None:
    (tmp_path / "flood.pcap").write_bytes(b"no capture at all")
    done = tested("captures: [{file: flood.pcap, expect: {pass: 1}}]")
    assert done.code == 2
    assert "flood.pcap: is no capture\n" in done.stderr


def test_a_damaged_capture_is_judged_as_far_as_it_goes(tested: Tested, tmp_path: Path) -> None:
    (tmp_path / "flood.pcap").write_bytes(pcap([UDP_80] * 2)[:-1])
    done = tested("captures: [{file: flood.pcap, expect: {pass: 1}}]")
    assert done.code == 0
    assert done.stderr.startswith(f"warning: {tmp_path}/flood.pcap: ")


def test_a_file_of_too_many_packets_is_refused(tmp_path: Path) -> None:
    (tmp_path / "web.yaml").write_text("rules: []")
    path = tmp_path / "huge.yaml"
    path.write_text("rules: web.yaml\npackets:\n" + "- {dport: 1}\n" * 1100)
    with pytest.raises(BadRuleset) as refused:
        read_expectations(str(path))
    assert len(refused.value.mistakes) == 1000


def test_example_rulesets_are_what_is_expected_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    files = sorted((ROOT / "examples" / "rulesets").glob("*.test.yaml"))
    assert [each.name.partition(".")[0] for each in files] == [
        "blocklist", "lab", "resolver", "web",
    ]  # fmt: skip
    done = ran(capsys, "test", *files)
    assert (done.code, done.stderr) == (0, ""), done.stdout


def test_every_rule_of_the_examples_is_expected_to_decide_on_something() -> None:
    for path in (ROOT / "examples" / "rulesets").glob("*.test.yaml"):
        found = read_expectations(str(path))
        named = {each.rule for each in found.packets}
        for capture in found.captures:
            named |= capture.rules.keys()
        assert {rule.name for rule in found.ruleset.rules} <= named, path.name
