"""Every mistake in a file is found at once, and told with its line and column."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from xdpctl.errors import WrongUsage
from xdpctl.rules import inputs, readsets, tree
from xdpctl.rules.mistakes import BadRuleset
from xdpctl.rules.reading import Reading, read_ruleset, read_text

NOW = 1_795_262_400.0  # 2026-11-21T12:00:00Z


def mistakes(text: str, directory: str = "") -> list[str]:
    with pytest.raises(BadRuleset) as caught:
        read_text(text, "f", NOW, directory=directory)
    assert caught.value.exit_code == 2
    assert caught.value.message == "\n".join(map(str, caught.value.mistakes))
    return [str(each) for each in caught.value.mistakes]


PORTS_WHY = "only TCP, UDP, UDP-Lite, SCTP and DCCP have ports"
ICMP_WHY = "only ICMP (icmp) and ICMPv6 (ipv6-icmp) have types"

RULES = [
    ("{}", '3: a rule needs an action: drop, pass or limit'),
    ("", '2: a rule is a mapping of keys to values, not one value'),
    ("[]", '3: a rule is a mapping of keys to values, not a list'),
    ("drop", '3: a rule is a mapping of keys to values, not one value'),
    ("{action: dorp}", '12: action: "dorp" is not drop, pass or limit: did you mean "drop"?'),
    ("{action: accept}", '12: action: "accept" is not drop, pass or limit: did you mean "pass"?'),
    ("{action: DROP}", '12: action: "DROP" is not drop, pass or limit: did you mean "drop"?'),
    ("{action: limit}", "3: a limit needs a rate, such as 1000/s or 10Mbit/s"),
    ("{action: drop, rate: 1/s}", "24: rate: only a rule with action: limit has it"),
    ("{action: limit, rate: }", "25: rate: the value is missing"),
    ("{action: limit, rate: [1/s]}", "25: rate: expected one value, not a list"),
    ("{action: limit, rate: 1000}",
     '25: rate: "1000" is not a rate such as 1000/s, 10/m or 10Mbit/s'),
    ("{action: limit, rate: 10Mb/s}",
     '25: rate: "10Mb/s" is not a rate such as 1000/s, 10/m or 10Mbit/s'),
    ("{action: limit, rate: 0/s}",
     '25: rate: "0/s" lets nothing through: action: drop does that'),
    ("{action: limit, rate: 100000001/s}",
     '25: rate: "100000001/s" is more than 100,000,000 packets'),
    ("{action: limit, rate: 401Gbit/s}",
     '25: rate: "401Gbit/s" is more than 400,000,000,000 bit/s'),
    ("{action: limit, rate: 1/s, burst: 0}", '37: burst: "0" lets nothing through'),
    ("{action: limit, rate: 1/s, burst: 1kB}",
     '37: burst: "1kB" is not a number of packets, such as 200'),
    ("{action: limit, rate: 1Mbit/s, burst: 10}",
     '41: burst: "10" is not a number of bytes, such as 64kB, where the rate is of bits'),
    ("{action: limit, rate: 1/h, burst: 8761}",
     '37: burst: "8761" takes more than a year at this rate'),
    ("{action: limit, rate: 1/s, per: source}",
     '35: per: "source" is none of all, src, dst, src/24, dst/24,56 and the like'),
    ("{action: limit, rate: 1/s, per: src/0}",
     '35: per: "src/0": a length of IPv4 is 1 to 32 here'),
    ("{action: limit, rate: 1/s, per: src/129}",
     '35: per: "src/129": a length of IPv6 is 1 to 128 here'),
    ("{action: limit, rate: 1/s, per: 'src/33,64'}",
     '35: per: "src/33,64": a length of IPv4 is 1 to 32 here'),
    ("{action: limit, rate: 1/s, cells: 64}",
     "37: cells: only a limit per src or dst has several"),
    ("{action: limit, rate: 1/s, per: src, cells: 1000}",
     "47: cells: 1000 is no power of two: did you mean 512 or 1024?"),
    ("{action: limit, rate: 1/s, per: src, cells: 33554432}",
     '47: cells: "33554432" is not a number of 1 to 16,777,216'),
    ("{action: [drop]}", "12: action: expected one value, not a list"),
    ("{action: }", "12: action: the value is missing"),
    ("{action: drop, dprot: 1}", '18: unknown key "dprot": did you mean "dport"?'),
    ("{action: drop, src-mac: 1}", '18: unknown key "src-mac": did you mean "src_mac"?'),
    ("{action: drop, saddr: 1}", '18: unknown key "saddr": did you mean "src"?'),
    ("{action: drop, zzzzz: 1}", '18: unknown key "zzzzz"'),
    ("{action: drop, <<: {dport: 1}}", '18: unknown key "<<"'),
    ("{action: drop, ? [a] : b}", "20: a list cannot be a key"),
    ("{action: drop, action: pass}", '18: "action" is here twice, first in line 2'),
    ("{action: drop, name: a b}", '24: "a b" is no name: 1 to 63 of letters, digits and ._-'),
    ("{action: drop, name: ''}", "24: name: the value is missing"),
    ("{action: drop, dport: }", "25: dport: the value is missing"),
    ("{action: drop, dport: []}", "25: dport: the list is empty, and would never match"),
    ("{action: drop, dport: {}}", "25: dport: the value is missing"),
    ("{action: drop, dport: {not: []}}", "25: dport: the list is empty, and would never match"),
    ("{action: drop, dport: {nto: 1}}", '26: unknown key "nto": did you mean "not"?'),
    ("{action: drop, dport: {not: {not: 1}}}", "31: dport: expected a value, not a mapping"),
    ("{action: drop, dport: [[1]]}", "26: dport: expected a value, not a list"),
    ("{action: drop, dport: [22, x, 99999]}",
     '30: dport: "x" is not a number or a range such as "6000-6063"',
     '33: dport: "99999" is outside 0-65535'),
    ("{action: drop, dport: {not: 0-65535}}",
     "25: dport: every value is excluded, so it would never match"),
    ("{action: drop, src: 192.0.2.1/24}",
     '23: src: "192.0.2.1/24" has host bits set: did you mean 192.0.2.0/24?'),
    ('{action: drop, src: "@ofice"}', '23: src: there is no set "ofice": did you mean "office"?'),
    ('{action: drop, src: ["@office", "@x"]}', '35: src: there is no set "x"'),
    ("{action: drop, proto: udp, flags: syn}",
     "37: flags: never matches together with proto: only TCP has flags"),
    ("{action: drop, proto: {not: tcp}, flags: syn}",
     "44: flags: never matches together with proto: only TCP has flags"),
    ("{action: drop, proto: tcp, icmp: 3}",
     f"36: icmp: never matches together with proto: {ICMP_WHY}"),
    ("{action: drop, icmp: 3, dport: 22}",
     f"24: icmp: never matches together with dport: {ICMP_WHY}"),
    ("{action: drop, flags: syn, icmp: 3}",
     f"36: icmp: never matches together with flags: {ICMP_WHY}"),
    ("{action: drop, proto: [icmp, 47], sport: 1}",
     f"44: sport: never matches together with proto: {PORTS_WHY}"),
    ("{action: drop, proto: icmp, icmp: [3, packet-too-big]}",
     '37: icmp: "packet-too-big" is a type of ICMPv6 (proto: ipv6-icmp) alone'),
    ("{action: drop, proto: icmpv6, icmp: source-quench}",
     '39: icmp: "source-quench" is a type of ICMP (proto: icmp) alone'),
    ("{action: drop, src: 192.0.2.1, dst: '::1'}",
     "39: dst: never matches together with src: one is IPv4, the other IPv6"),
    ("{action: drop, ethertype: arp, src: 192.0.2.1}",
     "39: src: never matches together with ethertype: only IPv4 and IPv6 packets have it"),
    ("{action: drop, ethertype: {not: [ipv4, ipv6]}, ttl: 1}",
     "55: ttl: never matches together with ethertype: only IPv4 and IPv6 packets have it"),
    ("{action: drop, ethertype: ipv6, dst: 192.0.2.1}",
     "40: dst: never matches together with ethertype: one is IPv4, the other IPv6"),
    ("{action: drop, ethertype: 0x8100}",
     "29: ethertype: never matches: it is the ethertype behind the VLAN tags; "
     "vlan is their field"),
    ("{action: drop, fragment: later, dport: 22}",
     "42: dport: never matches: a later fragment has no ports, flags or types"),
    ("{action: drop, fragment: {not: [no, first]}, flags: syn}",
     "55: flags: never matches: a later fragment has no ports, flags or types"),
    ("{action: drop, expires: 2026-11-21}",
     '27: expires: "2026-11-21" has no time zone: add Z, or an offset such as +01:00'),
    ("{action: drop, expires: [1m]}", "27: expires: expected one value, not a list"),
]  # fmt: skip


@pytest.mark.parametrize("case", RULES, ids=lambda case: case[0])
def test_mistake_in_a_rule_is_told_with_its_place(case: tuple[str, ...]) -> None:
    """In line 2, where "- " takes the first two columns."""
    rule, *expected = case
    text = f"rules:\n- {rule}\nsets: {{office: [192.0.2.0/24]}}\n"
    assert mistakes(text) == [f"f:2:{each}" for each in expected]


@pytest.mark.parametrize(
    "rule",
    [
        "{action: drop}",
        "{action: drop, proto: [tcp, icmp], dport: 22}",
        "{action: drop, proto: {not: udp}, flags: syn}",
        "{action: drop, src: [192.0.2.1, '::1'], dst: '::1'}",
        "{action: drop, src: '@office', dst: '::1'}",
        "{action: drop, src: {not: 192.0.2.1}, dst: '::1'}",
        "{action: drop, ethertype: [arp, ipv4], src: 192.0.2.1}",
        "{action: drop, ethertype: 0x8100-0x88a8, dst: '::1'}",
        "{action: drop, ethertype: {not: 0x8100}}",
        "{action: drop, fragment: [later, no], dport: 22}",
        "{action: drop, fragment: {not: later}, dport: 22}",
        "{action: drop, proto: icmp, icmp: {not: packet-too-big}}",
        "{action: drop, proto: icmp, icmp: [echo-request, 3]}",
        "{action: drop, dport: [22], sport: {not: 22}}",
    ],
)
def test_what_can_match_is_no_mistake(rule: str) -> None:
    text = f"sets: {{office: [192.0.2.0/24]}}\nrules:\n- {rule}\n"
    assert len(read_text(text, "f", NOW).ruleset.rules) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["f:1:1: the file is empty"]),
        ("# nothing\n", ["f:1:1: the file is empty"]),
        ("''", ["f:1:1: a ruleset is a mapping of keys to values, not one value"]),
        ("- a", ["f:1:1: a ruleset is a mapping of keys to values, not a list"]),
        ("rulez: []", ['f:1:1: unknown key "rulez": did you mean "rules"?']),
        ("rules: []\nrules: []", ['f:2:1: "rules" is here twice, first in line 1']),
        ("rules: {}", ["f:1:8: rules is a list, not a mapping"]),
        ("default: deny", ['f:1:10: default: "deny" is not drop or pass: did you mean "drop"?']),
        ("default: limit", ['f:1:10: default: "limit" is not drop or pass']),
        ("malformed: no", ['f:1:12: malformed: "no" is not drop or pass']),
        ("policy: drop", ['f:1:1: unknown key "policy": did you mean "default"?']),
        ("name: [a]", ["f:1:7: name: expected one value, not a list"]),
        (f"name: {'n' * 64}", [f'f:1:7: "{"n" * 59}…" is no name: 1 to 63 of letters, '
                               "digits and ._-"]),
        ("sets: []", ["f:1:7: sets is a mapping of keys to values, not a list"]),
        ("sets:\n  a b: []", ['f:2:3: "a b" is no name: 1 to 63 of letters, digits and ._-']),
        ("sets: {a: [], a: []}", ['f:1:15: "a" is here twice, first in line 1']),
        ("sets: {a: }", ['f:1:11: set "a": the value is missing']),
        ("sets: {a: {}}", ['f:1:11: set "a": expected a list of addresses, or file: PATH']),
        ("sets: {a: {fiel: x}}", ['f:1:12: unknown key "fiel": did you mean "file"?']),
        ("sets: {a: {file: []}}", ["f:1:18: file: expected one value, not a list"]),
        ("sets: {a: ['@b', [], 1.2.3, 10.0.0.1/8]}", [
            "f:1:12: a set cannot have other sets in it; a rule can name several",
            'f:1:18: set "a": expected one value, not a list',
            'f:1:22: "1.2.3" is not an IPv4 or IPv6 address',
            'f:1:29: "10.0.0.1/8" has host bits set: did you mean 10.0.0.0/8?',
        ]),
        ("rules:\n- {name: a, action: drop}\n- {action: drop, name: a}",
         ['f:3:24: a second rule "a", the first is in line 2']),
        ("a: b: c", ["f:1:5: not YAML: mapping values are not allowed in this context"]),
        ("rules: [", ["f:2:1: not YAML: did not find expected node content "
                      "while parsing a flow node"]),
        ("rules:\n- {src: @office}",
         ['f:2:9: a value that begins with @ has to be in quotes: "@..."']),
        ("rules:\n- {icmp: */3}",
         ['f:2:10: a value that begins with * has to be in quotes: "*..."']),
        ("name: &a b", ["f:1:7: anchors and aliases are not allowed; "
                        "quote a value that begins with & or *"]),
        ("name: *a", ["f:1:7: anchors and aliases are not allowed; "
                      "quote a value that begins with & or *"]),
        ("name: !!str b", ["f:1:7: tags are not allowed: tag:yaml.org,2002:str"]),
        ("name: !!python/object/apply:os.system [id]",
         ["f:1:7: tags are not allowed: tag:yaml.org,2002:python/object/apply:os.system"]),
        ("name: a\n---\nname: b", ["f:2:1: a second document: a file holds one ruleset"]),
        ("[" * 100, ["f:1:9: nested deeper than 8 levels"]),
        ("- " * 100, ["f:1:17: nested deeper than 8 levels"]),
        ("name: é\x07", ["f:1:8: not text: control characters are not allowed (U+0007)"]),
        ("a: 1\nname: \ufffe", ["f:2:7: not text: control characters are not allowed (U+FFFE)"]),
    ],
)  # fmt: skip
def test_mistake_in_a_file_is_told_with_its_place(text: str, expected: list[str]) -> None:
    assert mistakes(text) == expected


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    text = (
        "default: no\n"
        "sets: {a: [1.2.3], b: {file: none.netset}}\n"
        "rules:\n"
        "- {action: drop, src: '@a', dport: 70000}\n"
        "- {action: dorp, src: '@c'}\n"
    )
    assert mistakes(text, "/nowhere") == [
        'f:1:10: default: "no" is not drop or pass',
        'f:2:12: "1.2.3" is not an IPv4 or IPv6 address',
        "f:2:30: file: /nowhere/none.netset: no such file or directory",
        'f:4:36: dport: "70000" is outside 0-65535',
        'f:5:12: action: "dorp" is not drop, pass or limit: did you mean "drop"?',
        'f:5:23: src: there is no set "c": did you mean "a"?',
    ]


def test_mistakes_of_lists_are_told_with_the_place_in_the_list(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("10.0.0.0/8\n1.2.3\n")
    assert mistakes("sets: {a: {file: bad}, b: {file: .}}", str(tmp_path)) == [
        f'{tmp_path}/bad:2:1: "1.2.3" is not an IPv4 or IPv6 address',
        f"f:1:34: file: {tmp_path}: is a directory",
    ]


def test_fifty_mistakes_are_shown_and_the_rest_counted() -> None:
    with pytest.raises(BadRuleset) as caught:
        read_text("rules:\n" + "- {}\n" * 60, "f", NOW)
    lines = caught.value.message.splitlines()
    assert len(caught.value.mistakes) == 60
    assert lines[49:] == [
        "f:51:3: a rule needs an action: drop, pass or limit",
        "and 10 more mistakes",
    ]


def test_reading_ends_at_a_thousand_mistakes() -> None:
    with pytest.raises(BadRuleset) as caught:
        read_text("sets: {a: [" + "x," * 100_000 + "]}", "f", NOW)
    assert len(caught.value.mistakes) == 1000


def test_4097_rules_are_one_mistake_and_4096_none() -> None:
    rules = "rules:\n" + "- {action: drop}\n" * 4097
    assert mistakes(rules) == ["f:4098:3: 4,097 rules: there can be 4,096"]
    assert len(read_text(rules[:-1].rpartition("\n")[0], "f", NOW).ruleset.rules) == 4096


def test_too_many_sets_ranges_and_values_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    many = "".join(f" s{number}: []," for number in range(1025))
    assert mistakes(f"sets: {{{many}}}") == [
        f"f:1:{len('sets: {') + many.index('s1024') + 1}: 1,025 sets: there can be 1,024"
    ]
    monkeypatch.setattr(readsets, "WEIGHT_MAX", 4)
    assert read("sets: {a: ['::1'], b: []}").ruleset.sets
    assert mistakes("sets: {a: ['::1'], b: [1.2.3.4]}") == [
        "f:1:20: the sets have more than 4 IPv4 or 1 IPv6 ranges together"
    ]
    monkeypatch.setattr(tree, "VALUES_MAX", 5)
    assert mistakes("sets: {a: [\n1.2.3.4]}") == [
        "f:2:1: more than 5 values: put long lists of addresses into files"
    ]


def read(text: str) -> Reading:
    return read_text(text, "f", NOW)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rules: [{action: drop, expires: '2026-11-21T12:00:00Z'}]",
         ["f:1:33: the rule has expired, at 2026-11-21T12:00:00Z"]),
        ("rules: [{action: drop, expires: '2026-11-21T12:00:01Z'}]", []),
        ("sets: {a: [], b: []}\nrules: [{action: drop, dst: {not: '@b'}}]",
         ['f:1:8: no rule names set "a"']),
        ("sets: {never_ban: [192.0.2.1]}", []),
        ("sets: {a: ['fe80::/10', 192.0.2.0/24]}\nrules: [{action: drop, src: ['@a']}]",
         ['f:1:8: set "a" of a drop rule has a part of: link-local, neighbour discovery '
          "(fe80::/10)"]),
        ("sets: {a: [10.0.0.0/8]}\nrules: [{action: drop, src: {not: '@a'}}]", []),
        ("sets: {a: [10.0.0.0/8]}\nrules: [{action: pass, src: '@a'}]", []),
    ],
)  # fmt: skip
def test_what_is_odd_is_a_warning(text: str, expected: list[str]) -> None:
    assert list(map(str, read(text).warnings)) == expected


def test_warnings_of_lists_are_passed_on(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("192.0.2.7/24\n")
    text = "sets: {a: {file: list}}\nrules: [{action: drop, src: '@a'}]"
    found = read_text(text, "f", NOW, directory=str(tmp_path))
    (warning,) = found.warnings
    assert str(warning).startswith(f"{tmp_path}/list: 1 with host bits set")


def test_what_is_no_rules_file_is_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "binary").write_bytes(b"\x7fELF\0\0")
    (tmp_path / "utf16").write_bytes("name: a".encode("utf-16"))
    (tmp_path / "latin1").write_bytes(b"name: a\n# caf\xe9")
    (tmp_path / "large").write_bytes(b"")
    os.truncate(tmp_path / "large", (64 << 20) + 1)
    for name, reason in {
        ".": "is a directory",
        "fifo": "is a FIFO, not a regular file",
        "none": "no such file or directory",
        "binary": "not a text file (it has a NUL byte)",
        "utf16": "not a text file (it has a NUL byte)",
        "latin1:2:6": "not UTF-8",
    }.items():
        with pytest.raises(WrongUsage) as caught:
            read_ruleset(str(tmp_path / name.partition(":")[0]), NOW)
        assert caught.value.message == f"{tmp_path / name}: {reason}"
    monkeypatch.setattr(os, "read", lambda _descriptor, size: b" " * size)
    with pytest.raises(WrongUsage, match="larger than 64 MiB"):
        read_ruleset(str(tmp_path / "large"), NOW)


def test_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"\xef\xbb\xbfname: edge\r\nrules:\r\n- {action: drop}\r\n")
    assert read_ruleset(str(tmp_path / "f"), NOW).ruleset.name == "edge"


def test_standard_input_is_read_and_named(tmp_path: Path) -> None:
    """Lists are relative to where the command runs."""
    (tmp_path / "list").write_text("192.0.2.7\n")
    script = (
        "from xdpctl.rules.reading import read_ruleset\n"
        "from xdpctl.errors import WrongUsage\n"
        "try: print(read_ruleset('-', 0).ruleset.sets[0].source)\n"
        "except WrongUsage as error: print(error.message)"
    )

    def run(**stdin: object) -> str:
        return subprocess.run(
            [sys.executable, "-c", script],
            cwd=tmp_path, check=True, capture_output=True, text=True, **stdin,  # type: ignore[call-overload]
        ).stdout  # fmt: skip

    assert run(input="sets: {a: {file: list}}\nrules: []") == f"{tmp_path}/list\n"
    assert run(input="rules: {}") == "<stdin>:1:8: rules is a list, not a mapping\n"
    with open(tmp_path / "list", encoding="ascii") as file:
        assert run(stdin=file).startswith("<stdin>:1:1: a ruleset is a mapping")


def test_path_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """YAML and JSON could not say it again."""
    directory = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    assert mistakes("sets: {a: {file: list}}", directory) == [
        "f:1:18: file: the path of the list is not UTF-8"
    ]


def test_descriptors_are_closed_whatever_happens(tmp_path: Path) -> None:
    (tmp_path / "nul").write_bytes(b"\0")
    before = os.listdir("/proc/self/fd")
    for name in ("nul", ".", "none"):
        with pytest.raises(WrongUsage):
            inputs.read_all(str(tmp_path / name), 10)
    assert os.listdir("/proc/self/fd") == before


def test_importing_the_model_imports_neither_numpy_nor_yaml() -> None:
    modules = "model, canonical, diff, fields, writing, frame, reference"
    script = (
        f"import sys; from xdpctl.rules import {modules}\n"
        "print(sorted({'numpy', 'yaml', 'ipaddress', 'difflib'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True
    )
    assert result.stdout == "[]\n"
