"""Rules files: what is read is written and read again; rules apart, and rulesets compared."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.rulesets import documents, rules
from xdpctl.rules.canonical import digest_of
from xdpctl.rules.diff import difference
from xdpctl.rules.mistakes import BadRuleset
from xdpctl.rules.model import NAME_MAX, Action, Addresses, Numbers, Ruleset
from xdpctl.rules.reading import read_rule, read_ruleset, read_text
from xdpctl.rules.sets import minus, prefixes_of, ranges_of
from xdpctl.rules.writing import fields_of, scalar, yaml_of

NOW = 1_795_262_400.0  # 2026-11-21T12:00:00Z


def ruleset(text: str, **more: Any) -> Ruleset:
    return read_text(text, "rules.yaml", NOW, **more).ruleset


DESIGN = """
name: edge
default: drop
malformed: pass
sets:
  drop_list: {file: lists/listed.netset}
  office: [192.0.2.0/24, "2001:db8:1::/48"]
rules:
  - {name: office-ssh, action: pass, src: "@office", proto: tcp, dport: 22}
  - name: listed
    action: drop
    src: ["@drop_list", 198.51.100.7]
  - {action: drop, proto: tcp, dport: {not: [23, 0x50, "6000-6063"]}, fragment: no, vlan: none}
  - {name: "17", action: pass, src_mac: 00:11:22:33:44:55, expires: 1h}
"""


@pytest.fixture
def design(tmp_path: Path) -> Path:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "listed.netset").write_text("10.0.0.0/8\n")
    (tmp_path / "rules.yaml").write_text(DESIGN)
    return tmp_path / "rules.yaml"


def test_file_is_read(design: Path) -> None:
    read, warnings = read_ruleset(str(design), NOW)
    assert (read.name, read.default, read.malformed) == ("edge", Action.DROP, Action.PASS)
    listed, office = read.sets
    assert listed.name == "drop_list"
    assert listed.source == str(design.parent / "lists" / "listed.netset")
    assert listed.ipv4.tolist() == [[10 << 24, (11 << 24) - 1]]
    assert (office.source, office.prefixes) == (None, 2)
    ssh, drop, third, last = read.rules
    assert ssh.conditions == {
        "src": Addresses(sets=("office",)),
        "proto": Numbers(ranges=((6, 6),)),
        "dport": Numbers(ranges=((22, 22),)),
    }
    assert drop.conditions["src"] == Addresses(
        ipv4=((0xC6336407, 0xC6336407),), sets=("drop_list",)
    )
    assert third.name.startswith("drop-")
    assert list(third.conditions) == ["proto", "dport", "vlan", "fragment"]
    assert third.conditions["dport"] == Numbers(
        negated=True, ranges=((23, 23), (80, 80), (6000, 6063))
    )
    assert (last.name, last.expires) == ("17", int(NOW) + 3600)
    (warning,) = warnings
    assert str(warning) == (
        f'{design}:6:3: set "drop_list" of a drop rule has a part of: '
        "private addresses (10.0.0.0/8)"
    )


def test_rules_are_shown_as_they_stand_in_the_file(design: Path) -> None:
    read = read_ruleset(str(design), NOW).ruleset
    assert [fields_of(rule) for rule in read.rules] == [
        {"name": "office-ssh", "action": "pass", "src": "@office", "proto": "tcp", "dport": 22},
        {"name": "listed", "action": "drop", "src": ["@drop_list", "198.51.100.7"]},
        {
            "name": read.rules[2].name,
            "action": "drop",
            "proto": "tcp",
            "dport": {"not": [23, "0x50", "6000-6063"]},
            "vlan": "none",
            "fragment": "no",
        },
        {
            "name": "17",
            "action": "pass",
            "src_mac": "00:11:22:33:44:55",
            "expires": "2026-11-21T13:00:00Z",
        },
    ]


def test_file_is_written_as_a_person_would(design: Path) -> None:
    read = read_ruleset(str(design), NOW).ruleset
    third = read.rules[2].name
    ports = '{not: [23, "0x50", "6000-6063"]}'
    expected = f"""\
name: edge
default: drop
malformed: pass
sets:
  drop_list: {{file: "{design.parent}/lists/listed.netset"}}
  office: [192.0.2.0/24, "2001:db8:1::/48"]
rules:
  - {{name: office-ssh, action: pass, src: "@office", proto: tcp, dport: 22}}
  - {{name: listed, action: drop, src: ["@drop_list", 198.51.100.7]}}
  - {{name: {third}, action: drop, proto: tcp, dport: {ports}, vlan: none, fragment: "no"}}
  - {{name: "17", action: pass, src_mac: "00:11:22:33:44:55", expires: "2026-11-21T13:00:00Z"}}
"""
    assert yaml_of(read) == expected


def test_large_set_without_a_file_is_written_prefix_by_prefix() -> None:
    read = ruleset("sets: {a: [10.0.0.0/25, 10.0.0.128/25, 10.0.1.1, 10.0.1.3, 10.0.1.5, '::7']}")
    assert yaml_of(read).splitlines()[3:] == [
        "sets:", "  a:", "    - 10.0.0.0/24", "    - 10.0.1.1", "    - 10.0.1.3",
        "    - 10.0.1.5", '    - "::7"',
    ]  # fmt: skip
    assert ruleset(yaml_of(read), name="rules") == read


def test_set_that_was_changed_no_longer_names_its_file(design: Path) -> None:
    read = read_ruleset(str(design), NOW).ruleset
    changed = minus(read.sets[0], list(ranges_of(read.sets[0])))
    assert (changed.source, changed.prefixes, list(prefixes_of(changed))) == (None, 0, [])
    assert "  drop_list: []\n" in yaml_of(replace(read, sets=(changed,)))


@given(documents())
def test_what_is_written_reads_back_the_same(document: dict[str, Any]) -> None:
    once = ruleset(json.dumps(document))
    text = yaml_of(once)
    twice = ruleset(text)
    assert twice == once
    assert yaml_of(twice) == text
    assert digest_of(twice) == digest_of(once)
    assert not difference(once, twice)


@given(documents())
def test_what_is_written_means_the_same_to_any_yaml_parser(document: dict[str, Any]) -> None:
    once = ruleset(json.dumps(document))
    loaded = yaml.safe_load(yaml_of(once))
    assert loaded.get("rules", []) == [fields_of(rule) for rule in once.rules]
    assert ruleset(json.dumps(loaded)) == once


@given(st.text())
def test_any_text_is_a_scalar_that_yaml_reads_as_that_text(text: str) -> None:
    assert yaml.safe_load(scalar(text)) == text
    assert yaml.safe_load(f"{{key: [{scalar(text)}]}}") == {"key": [text]}


@given(st.text(max_size=NAME_MAX))
def test_any_name_is_a_key_that_yaml_reads_as_that_name(name: str) -> None:
    """A key on one line has at most 1,024 characters (YAML 1.2, 7.4), escaped as it is."""
    assert yaml.safe_load(f"{{{scalar(name)}: 1}}") == {name: 1}


@pytest.mark.parametrize(
    "text",
    ["no", "on", "Y", "null", "~", "1e3", "0x16", "1_0", "22:23", "=", "2026-11-21", ".5", "<<"]
    + ["a: b", "a #b", "-", "? a", ""],
)
def test_text_that_yaml_would_take_for_something_else_is_in_quotes(text: str) -> None:
    assert scalar(text) == f'"{text}"'


@given(rules())
def test_rule_of_a_command_line_is_that_of_a_file(rule: dict[str, Any]) -> None:
    sets = "sets: {small: [], both: [], none: []}"
    (expected,) = ruleset(f"{sets}\nrules: [{json.dumps(rule)}]").rules
    assert read_rule(rule, ("small", "both", "none"), NOW)[0] == expected


def test_mistakes_of_a_command_line_have_no_place() -> None:
    with pytest.raises(BadRuleset) as caught:
        read_rule({"action": "drop", "dport": ["22", "ssh"], "src": "@x"}, (), NOW)
    assert caught.value.message.splitlines() == [
        'src: there is no set "x"',
        'dport: "ssh" is not a number or a range such as "6000-6063"',
    ]


def test_made_up_names_are_short_stable_and_unique() -> None:
    text = "rules: [{action: drop, dport: 22}, {action: drop, dport: 22}, {action: pass}]"
    one, two, three = (rule.name for rule in ruleset(text).rules)
    assert len({one, two, three}) == 3
    for name, action in ((one, "drop-"), (two, "drop-"), (three, "pass-")):
        assert name.startswith(action)
        assert len(name) == len(action) + 4
    other = ruleset("rules: [{action: pass}, {action: drop, dport: [0x16], expires: 5m}]").rules
    assert [rule.name for rule in other] == [three, one]
    taken = ruleset(f"rules: [{{name: {one}, action: pass}}, {{action: drop, dport: 22}}]").rules
    assert taken[1].name.startswith(one)
    assert len(taken[1].name) == len(one) + 1


def test_thousands_of_the_same_rule_have_names() -> None:
    read = ruleset("rules:\n" + "- {action: drop, proto: tcp}\n" * 4096)
    assert len({rule.name for rule in read.rules}) == 4096


def test_defaults_and_names_of_files(tmp_path: Path) -> None:
    for name, expected in {
        "edge.yaml": "edge",
        "two words.yaml": "ruleset",
        ".yml": ".yml",
    }.items():
        (tmp_path / name).write_text("{}")
        read = read_ruleset(str(tmp_path / name), NOW).ruleset
        assert read == Ruleset(expected, Action.PASS, Action.DROP)
    for text in ("rules:\nsets:\n", "rules: []", "sets: {}"):
        assert ruleset(text) == Ruleset("ruleset")


def test_digest_is_of_the_meaning() -> None:
    base = (
        "{name: a, sets: {s: [10.0.0.0/24]},"
        " rules: [{name: r, action: drop, dport: 22, src: '@s'}]}"
    )
    same = base.replace("22", "0x16").replace("10.0.0.0/24", "10.0.0.0/25, 10.0.0.128/25")
    assert digest_of(ruleset(same)) == digest_of(ruleset(base))
    for old, new in {
        "name: a": "name: b", "10.0.0.0/24": "10.0.0.0/23", "22": "23", "drop": "pass",
        "name: r": "name: q", "dport: 22": "sport: 22", "22, ": "{not: 22}, ",
        "'@s'": "'@s', expires: 1h", "rules": "default: drop, rules",
        "{name": "{malformed: pass, name",
    }.items():  # fmt: skip
        changed = base.replace(old, new, 1)
        assert changed != base
        assert digest_of(ruleset(changed)) != digest_of(ruleset(base))


def numbered(*names: str) -> Ruleset:
    listed = ", ".join(f"{{name: {name}, action: drop}}" for name in names)
    return ruleset(f"rules: [{listed}]")


@pytest.mark.parametrize(
    ("old", "new", "moved"),
    [
        ("abcdef", "abcdef", ""),
        ("abcdef", "fabcde", "f"),
        ("abcdef", "bcdefa", "a"),
        ("abcdef", "abdcef", "d"),
        ("abcdef", "fedcba", "fedcb"),
        ("abcdef", "acxef", ""),
        ("abcdef", "xacyb", "b"),
        ("", "abc", ""),
    ],
)
def test_as_few_rules_as_possible_have_moved(old: str, new: str, moved: str) -> None:
    found = difference(numbered(*old), numbered(*new))
    names = [rule.name for rule in found.moved]
    assert len(names) == len(moved)
    if len(moved) == 1:
        left = [name for name in new if name in old and name not in names]
        assert left == [name for name in old if name in left]
    assert "".join(rule.name for rule in found.added) == "".join(set_minus(new, old))
    assert "".join(rule.name for rule in found.removed) == "".join(set_minus(old, new))


def set_minus(names: str, others: str) -> list[str]:
    return [name for name in names if name not in others]


@given(st.permutations(range(7)))
def test_moved_rules_are_the_complement_of_a_longest_common_subsequence(order: list[int]) -> None:
    old, new = numbered(*"0123456"), numbered(*map(str, order))
    # By brute force: the longest of all subsequences of the new order that is in the old order.
    longest = max(
        (
            len(picked)
            for mask in range(2**7)
            if (picked := [each for place, each in enumerate(order) if mask >> place & 1])
            == sorted(picked)
        ),
    )
    found = difference(old, new)
    assert len(found.moved) == 7 - longest
    gone = {rule.name for rule in found.moved}
    left = [str(each) for each in order if str(each) not in gone]
    assert left == sorted(left)
    assert bool(found) == bool(gone)


def test_changes_of_rules_policies_and_sets_are_told() -> None:
    old = ruleset(
        "{name: a, sets: {s: [10.0.0.0/24], t: ['::/64'], u: [10.0.0.1]},"
        " rules: [{name: r, action: drop, src: '@s'}, {name: q, action: drop, dport: 22}]}"
    )
    new = ruleset(
        "{name: b, default: drop, malformed: pass,"
        " sets: {s: [10.0.0.0/25, 10.0.1.0/24, 192.0.2.1], u: [10.0.0.1/32],"
        " v: [10.0.0.1-10.0.0.3]},"
        " rules: [{name: r, action: pass, src: '@s'}, {name: q, action: drop, dport: 0x16}]}"
    )
    found = difference(old, new)
    assert [(change.old.action, change.new.name) for change in found.changed] == [("drop", "r")]
    assert found.default == (Action.PASS, Action.DROP)
    assert found.malformed == (Action.DROP, Action.PASS)
    assert found.name == ("a", "b")
    # 10.0.0.128/25 went; 10.0.1.0/24 and 192.0.2.1 came; 10.0.0.1 and 10.0.0.2/31 are two prefixes.
    assert list(found.sets) == [
        ("s", "changed", 2, 1), ("v", "added", 2, 0), ("t", "removed", 0, 1),
    ]  # fmt: skip
    assert not difference(new, new)
