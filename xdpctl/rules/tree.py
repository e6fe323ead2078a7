"""YAML as a tree of texts, each with its place: no types, tags, anchors or aliases.

YAML makes False of `no`, 1342 of `22:22`, 8 of `010` and a date of `2026-11-21`.  Here every scalar
stays the text that it was written as, and what it means is decided by who asked for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from xdpctl.rules.mistakes import BadRuleset, Mistake

VALUES_MAX = 2_000_000
_DEPTH_MAX = 8
_NEED_QUOTES = "@*`"


class Scalar(NamedTuple):
    line: int
    column: int
    text: str


class Items(NamedTuple):
    line: int
    column: int
    items: list[Node]


class Table(NamedTuple):
    """Pairs in the order of the file; a key may come twice."""

    line: int
    column: int
    pairs: list[tuple[Node, Node]]


Node = Scalar | Items | Table


def parse(text: str, path: str) -> Node:
    """The one document of a YAML text.

    Raises BadRuleset: it is not YAML, is empty, has more than one document, tags, anchors or
    aliases, is nested deeper than eight or has more than 2,000,000 values.
    """
    try:
        return _Builder(path).build(yaml.parse(text, Loader=yaml.CSafeLoader))
    except yaml.MarkedYAMLError as error:
        raise BadRuleset([_not_yaml(error, text, path)]) from error
    except yaml.reader.ReaderError as error:
        before = text.encode()[: error.position].decode()  # the C parser counts bytes
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        reason = f"not text: {error.reason} (U+{_code(error.character):04X})"
        raise BadRuleset([Mistake(path, line, column, reason)]) from error


def _not_yaml(error: yaml.MarkedYAMLError, text: str, path: str) -> Mistake:
    marks = [mark for mark in (error.context_mark, error.problem_mark) if mark]
    for mark in marks:
        lines = text.split("\n", mark.line + 1)
        begins_with = "".join(lines[mark.line : mark.line + 1])[mark.column : mark.column + 1]
        if begins_with and begins_with in _NEED_QUOTES:
            reason = (
                f'a value that begins with {begins_with} has to be in quotes: "{begins_with}..."'
            )
            return Mistake(path, mark.line + 1, mark.column + 1, reason)
    reason = f"not YAML: {error.problem}" + (f" {error.context}" if error.context else "")
    line, column = (marks[-1].line + 1, marks[-1].column + 1) if marks else (0, 0)
    return Mistake(path, line, column, reason)


def _code(character: Any) -> int:
    return character if isinstance(character, int) else ord(character)


class _Builder:
    def __init__(self, path: str) -> None:
        self.path = path
        self.left = VALUES_MAX

    def build(self, events: Iterator[Any]) -> Node:
        root: Node | None = None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise self._refusal(event, "a second document: a file holds one ruleset")
                root = self._node(next(events), events, 1)
        if root is None:
            raise BadRuleset([Mistake(self.path, 1, 1, "the file is empty")])
        return root

    def _node(self, event: Any, events: Iterator[Any], depth: int) -> Node:
        self._check(event, depth)
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        if isinstance(event, yaml.ScalarEvent):
            return Scalar(line, column, event.value)
        children: list[Node] = []
        for inner in events:
            if isinstance(inner, yaml.SequenceEndEvent):
                return Items(line, column, children)
            if isinstance(inner, yaml.MappingEndEvent):
                break
            children.append(self._node(inner, events, depth + 1))
        pairs = list(zip(children[::2], children[1::2], strict=True))
        return Table(line, column, pairs)

    def _check(self, event: Any, depth: int) -> None:
        self.left -= 1
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            text = "anchors and aliases are not allowed; quote a value that begins with & or *"
            raise self._refusal(event, text)
        if getattr(event, "tag", None) is not None:
            raise self._refusal(event, f"tags are not allowed: {event.tag[:60]}")
        if depth > _DEPTH_MAX:
            raise self._refusal(event, f"nested deeper than {_DEPTH_MAX} levels")
        if self.left < 0:
            text = f"more than {VALUES_MAX:,} values: put long lists of addresses into files"
            raise self._refusal(event, text)

    def _refusal(self, event: Any, text: str) -> BadRuleset:
        mark = event.start_mark
        return BadRuleset([Mistake(self.path, mark.line + 1, mark.column + 1, text)])


def from_data(value: Any) -> Node:
    """A tree, without places, of what Python, JSON or a command line has: texts, numbers, lists and
    mappings of them.

    Raises TypeError: it is something else.
    """
    if isinstance(value, str):
        return Scalar(0, 0, value)
    if isinstance(value, int) and not isinstance(value, bool):
        return Scalar(0, 0, str(value))
    if isinstance(value, Mapping):
        pairs = [(from_data(key), from_data(each)) for key, each in value.items()]
        return Table(0, 0, pairs)
    if isinstance(value, Sequence):
        return Items(0, 0, [from_data(each) for each in value])
    raise TypeError(f"a ruleset has no {type(value).__name__}")
