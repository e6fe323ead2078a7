"""A ruleset as the text of a file that reads back as the same ruleset."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from xdpctl.rules.model import NamedSet, Rule, Ruleset, as_written, plain
from xdpctl.rules.times import expiry_text

# Without quotes only what every YAML parser, of 1.1 or 1.2, takes for a text.
_PLAIN = re.compile(
    r"[A-Za-z][A-Za-z0-9_.-]*(/[A-Za-z0-9_.-]+)*|[0-9]{1,3}(\.[0-9]{1,3}){3}(/[0-9]{1,2})?"
)
_OTHER_TYPES = re.compile(r"y|n|yes|no|on|off|true|false|null", re.IGNORECASE)
_PER_LINE = 4


def yaml_of(ruleset: Ruleset) -> str:
    """The file.  Sets that came from files name them; others are written out, as few prefixes."""
    lines = [
        f"name: {scalar(ruleset.name)}",
        f"default: {ruleset.default}",
        f"malformed: {ruleset.malformed}",
    ]
    if ruleset.sets:
        lines.append("sets:")
        lines += [line for each in ruleset.sets for line in _set_lines(each)]
    if ruleset.rules:
        lines.append("rules:")
        lines += [f"  - {_flow(fields_of(rule))}" for rule in ruleset.rules]
    return "\n".join(lines) + "\n"


def fields_of(rule: Rule) -> dict[str, Any]:
    """A rule as it stands in the file and in JSON output, its name and action first."""
    document: dict[str, Any] = {"name": rule.name, "action": str(rule.action)}
    if rule.limit is not None:
        document |= {key: plain(text) for key, text in rule.limit.spelling}
    document |= {name: as_written(condition) for name, condition in rule.conditions.items()}
    if rule.expires is not None:
        document["expires"] = expiry_text(rule.expires)
    return document


def _set_lines(named: NamedSet) -> Iterator[str]:
    if named.source is not None:
        yield f"  {scalar(named.name)}: {_flow({'file': named.source})}"
        return
    from xdpctl.rules.sets import prefixes_of  # noqa: PLC0415 - NumPy, for those who need it

    prefixes = [scalar(each) for each in prefixes_of(named)]
    if len(prefixes) <= _PER_LINE:
        yield f"  {scalar(named.name)}: [{', '.join(prefixes)}]"
        return
    yield f"  {scalar(named.name)}:"
    for prefix in prefixes:
        yield f"    - {prefix}"


def _flow(value: Any) -> str:
    """In one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return scalar(value) if isinstance(value, str) else str(value)


def scalar(text: str) -> str:
    """A text as YAML: in quotes unless it is safe without."""
    if _PLAIN.fullmatch(text) and not _OTHER_TYPES.fullmatch(text):
        return text
    return '"' + "".join(_escaped(char) for char in text) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    if " " <= char <= "~":
        return char
    code = ord(char)
    if code <= 0xFF:  # noqa: PLR2004
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004
