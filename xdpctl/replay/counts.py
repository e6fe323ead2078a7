"""Single values of a file of expectations; what is wrong with one is noted where it stands."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from fractions import Fraction

from xdpctl.rules.notes import Notes, suggestion
from xdpctl.rules.tree import Node
from xdpctl.rules.values import quoted

REPEAT_MAX = 100_000
_NAME_MAX = 200
_COUNT = re.compile(r"0|[1-9][0-9]{0,17}")
_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_SECOND_NS = 10**9


def number_of(notes: Notes, node: Node, what: str) -> int | None:
    text = notes.text(node, what)
    if text is None or _COUNT.fullmatch(text):
        return None if text is None else int(text)
    notes.mistake(node, f"{what}: {quoted(text)} is not a number of packets")
    return None


def repeat_of(notes: Notes, node: Node) -> int:
    number = number_of(notes, node, "repeat")
    if number is not None and not 1 <= number <= REPEAT_MAX:
        notes.mistake(node, f"repeat: {number:,} is outside 1-{REPEAT_MAX}")
    return number or 1


def time_of(notes: Notes, node: Node) -> int:
    """In nanoseconds from the file's moment on."""
    text = notes.text(node, "time")
    if text is None:
        return 0
    if not _SECONDS.fullmatch(text):
        reason = f"{quoted(text)} is not a number of seconds, such as 0.5 or 700"
        notes.mistake(node, f"time: {reason}")
        return 0
    return int(Fraction(text) * _SECOND_NS)


def word_of(
    notes: Notes, parts: Mapping[str, Node], key: str, known: Collection[str]
) -> str | None:
    text = notes.text(parts[key], key) if key in parts else None
    if text is None or text in known:
        return text
    choice = f"{', '.join([*known][:-1])} or {[*known][-1]}"
    hint = suggestion(text, known)
    notes.mistake(parts[key], f"{key}: {quoted(text)} is not {choice}{hint}")
    return None


def name_of(notes: Notes, parts: Mapping[str, Node], default: str) -> str:
    text = notes.text(parts["name"], "name") if "name" in parts else None
    if text is not None and len(text) > _NAME_MAX:
        notes.mistake(parts["name"], f"name: has more than {_NAME_MAX} characters")
    return text or default
