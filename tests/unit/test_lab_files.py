"""Files that describe labs: what is wrong in them, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from netns_lab.errors import TopologyFileError
from netns_lab.topology_file import MAX_BYTES, load


def mistakes(tmp_path: Path, text: str | bytes) -> list[str]:
    """Each mistake as LINE:COLUMN: message."""
    path = tmp_path / "lab.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(TopologyFileError) as caught:
        load(path)
    return [line.removeprefix(f"{path}:") for line in str(caught.value).splitlines()]


def test_all_mistakes_are_told_at_once_by_line_and_column(tmp_path: Path) -> None:
    text = """\
hosts:
  a: {gateway: 192.0.2.9}
  ../b:
  c: {bridge: perhaps}
links:
  - ends: {a: [192.0.2.1/33], d: []}
    mtu: 9
    queues: many
  - ends: {a: []}
    colour: red
"""
    assert mistakes(tmp_path, text) == [
        "2:7: gateway: unknown; known here: gateways, forward, bridge",
        "3:3: '../b': a host's name is up to 31 letters, digits, - and _",
        "4:15: expected true or false",
        "6:16: 192.0.2.1/33: not an IP address; one looks like 192.0.2.1/24 or 2001:db8::1/64",
        "6:31: d: no such host",
        "7:10: mtu 9: not in 68..65535",
        "8:13: expected a number",
        "9:11: a link has 2 ends, not 1",
        "10:5: colour: unknown; known here: ends, mtu, queues",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1:1: empty; it needs hosts and links"),
        ("- a\n", "1:1: expected a mapping, as in `key: value`"),
        ("links: []\n", "1:1: hosts: is missing"),
        ("hosts: {a: , a: }\n", "1:14: a: is here twice"),
        ("hosts: {a: &x {}, b: *x}\n", "1:22: aliases are not understood"),
        ("hosts: {a: }\n---\nhosts: {b: }\n", "2:1: but found another document"),
        ("hosts: [\n", "2:1: expected the node content, but found '<stream end>'"),
        ("name: ../x\nhosts: {a: }\n", "1:7: '../x': a lab's name is up to 31 letters, digits,"),
        ("hosts: {a: !!python/object:os.system {}}\nx: 1\n", "2:1: x: unknown"),
        ("hosts: {a: {gateways: [192.0.2.1]}}\n", "1:9: a: gateway 192.0.2.1 is in no network"),
        (
            "hosts: {a: {gateways: [192.0.2.1, 192.0.2.2]}}\n",
            "1:35: a second gateway for IPv4",
        ),
        (
            "hosts: {a: , b: }\nlinks: [{ends: {a:e: [], b: []}}, {ends: {a:e: [], b: []}}]\n",
            "2:43: a:e: is an end of a link already",
        ),
        (
            "hosts: {s: {bridge: true}, t: {bridge: true}}\n"
            "links: [{ends: {s: , t: }}, {ends: {s: , t: }}]\n",
            "2:29: closes a loop of bridges",
        ),
        (
            "hosts: {a: , s: {bridge: true}}\nlinks: [{ends: {a: , s: [192.0.2.1/24]}}]\n",
            "2:9: s is a bridge: its ends have no addresses",
        ),
        ("[" * 20000, "1:17: nested too deeply"),
        ("#" * (MAX_BYTES + 1), "1:1: longer than 64 KiB"),
        (b"\xff\xfe\x00", "1:1: "),
        (b"hosts: \x00", "1:1: "),
    ],
)
def test_mistake_is_told(tmp_path: Path, text: str | bytes, expected: str) -> None:
    assert any(each.startswith(expected) for each in mistakes(tmp_path, text))


def test_words_that_yaml_takes_for_truth_are_names_of_hosts(tmp_path: Path) -> None:
    path = tmp_path / "odd.yaml"
    path.write_text("hosts: {no: , yes: , 1: }\nlinks: [{ends: {no: [], on:x: []}}]\n")
    with pytest.raises(TopologyFileError, match="on: no such host"):
        load(path)
    path.write_text("hosts: {no: , yes: , 1: }\n")
    name, topology = load(path)
    assert (name, [each.name for each in topology.hosts]) == ("odd", ["no", "yes", "1"])
