"""docs/rules.md and the JSON Schema tell the truth about the reader."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from xdpctl.rules.fields import FIELDS
from xdpctl.rules.reading import read_text

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
ROWS = re.findall(r"^\| `(\w+)` \| (.+?) \| `(.+?)` \|$", PAGE, re.MULTILINE)
SCHEMA = json.loads((ROOT / "xdpctl/data/ruleset.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def whole(block: str) -> str:
    """A file, if the block is only some rules of one."""
    if not block.startswith("-"):
        return block
    return f"sets:\n  office: [192.0.2.0/24]\nrules:\n{block}"


FILES = [whole(text) for language, text in BLOCKS if language == "yaml"]
FIELD_FILES = [whole(f"- action: drop\n  {example}\n") for _field, _help, example in ROWS]


@pytest.mark.parametrize("text", [*FILES, *FIELD_FILES])
def test_examples_are_right_by_the_reader_and_by_the_schema(tmp_path: Path, text: str) -> None:
    (tmp_path / "spamhaus_drop.netset").write_text("192.0.2.0/24\n")
    read_text(text, "rules.yaml", 0, directory=str(tmp_path))
    VALIDATOR.validate(yaml.safe_load(text))


def test_list_example_is_read(tmp_path: Path) -> None:
    (lines,) = [text for language, text in BLOCKS if not language]
    (tmp_path / "list").write_text(lines)
    found = read_text(
        "sets: {a: {file: list}}\nrules: [{action: drop, src: '@a'}]",
        "x",
        0,
        directory=str(tmp_path),
    )
    (named,) = found.ruleset.sets
    assert named.prefixes == 5
    assert named.ipv4.tolist() == [
        [0xC0000200, 0xC00002FF],
        [0xC6336400, 0xC63364FF],
    ]


def test_table_has_every_field_in_order() -> None:
    assert [(field, text) for field, text, _ in ROWS] == [
        (field.name, field.help) for field in FIELDS.values()
    ]


def test_schema_is_that_of_the_fields() -> None:
    """`make docs` writes it."""
    script = (
        "import sys; sys.path.insert(0, 'docs'); import schema;"
        "sys.exit(schema.text() != schema.SCHEMA.read_text(encoding='utf-8'))"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0


def test_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    "rule",
    [
        {"action": "drop", **{field.name: example}}
        for field in FIELDS.values()
        for example in field.examples
    ],
    ids=str,
)
def test_schema_takes_the_examples_of_every_field(rule: dict[str, object]) -> None:
    VALIDATOR.validate({"rules": [rule]})


@pytest.mark.parametrize(
    "document",
    [
        [],
        {"rulez": []},
        {"default": "reject"},
        {"name": "two words"},
        {"sets": {"a": {"file": 3}}},
        {"sets": {"a": {"path": "x"}}},
        {"sets": {"a b": []}},
        {"rules": [{}]},
        {"rules": [{"action": "accept"}]},
        {"rules": [{"action": "drop", "dprot": 22}]},
        {"rules": [{"action": "drop", "dport": 65536}]},
        {"rules": [{"action": "drop", "dport": []}]},
        {"rules": [{"action": "drop", "dport": {"not": []}}]},
        {"rules": [{"action": "drop", "dport": {"nor": 22}}]},
        {"rules": [{"action": "drop", "dport": "ssh"}]},
        {"rules": [{"action": "drop", "proto": "tpc"}]},
        {"rules": [{"action": "drop", "src": "192.0.2"}]},
        {"rules": [{"action": "drop", "fragment": False}]},
        {"rules": [{"action": "drop", "flags": "syn,fin"}]},
        {"rules": [{"action": "drop", "flags": "sin/syn"}]},
        {"rules": [{"action": "drop", "icmp": "ping"}]},
        {"rules": [{"action": "drop", "src_mac": "00:11:22:33:44"}]},
        {"rules": [{"action": "drop", "vlan": None}]},
        {"rules": [{"action": "drop"}] * 4097},
    ],
    ids=lambda document: str(document)[:60],
)
def test_schema_refuses_what_is_wrong(document: object) -> None:
    assert not VALIDATOR.is_valid(document)
