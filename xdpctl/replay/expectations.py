"""What somebody expects of a rules file, read from a file of YAML: every mistake in it is found,
and told with its place."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from xdpctl.errors import WrongUsage
from xdpctl.replay.build import NoSuchPacket, condition_of, frame_of, frame_of_hex
from xdpctl.replay.counts import name_of, number_of, repeat_of, time_of, word_of
from xdpctl.rules.fields import FIELDS
from xdpctl.rules.inputs import STDIN
from xdpctl.rules.mistakes import BadRuleset, Mistake
from xdpctl.rules.model import POLICIES, Condition, Ruleset
from xdpctl.rules.notes import Notes, suggestion
from xdpctl.rules.reading import read_file
from xdpctl.rules.times import parse_expiry
from xdpctl.rules.tree import Node, Scalar, Table, parse
from xdpctl.rules.values import BadValue, quoted

KEYS = ("rules", "time", "packets", "captures")
PACKET_KEYS = ("name", "hex", "time", "repeat", "expect", "rule", "reason", *FIELDS)
CAPTURE_KEYS = ("name", "file", "expect", "rules")
VERDICTS = tuple(map(str, POLICIES))
REASONS = ("rule", "limit", "default", "malformed")
PACKETS_MAX = 100_000
_SECOND_NS = 10**9
_MOMENT = int(datetime(2000, 1, 1, tzinfo=UTC).timestamp())


class PacketTest(NamedTuple):
    """Attributes:
    time_ns: when it comes, Unix time.
    repeat: how many of it come; what is expected is expected of the last.
    verdict, rule, reason: what is expected; None for whatever it may be, but of the verdict.
    """

    name: str
    frame: bytes
    time_ns: int
    repeat: int
    verdict: str
    rule: str | None
    reason: str | None


class CaptureTest(NamedTuple):
    """Attributes:
    path: of the capture.
    verdicts: how many packets are expected to meet each; of others it does not matter.
    rules: how many packets each is expected to decide on.
    """

    name: str
    path: str
    verdicts: Mapping[str, int]
    rules: Mapping[str, int]


class Expectations(NamedTuple):
    """Of one file.

    Attributes:
        path: of the file.
        rules: the path of the rules file.
        ruleset: the rules as they are at the file's time.
        time_ns: when packets come that do not say it; Unix time.
        warnings: what is odd about the rules.
    """

    path: str
    rules: str
    ruleset: Ruleset
    time_ns: int
    packets: tuple[PacketTest, ...]
    captures: tuple[CaptureTest, ...]
    warnings: tuple[Mistake, ...]


def read_expectations(path: str) -> Expectations:
    """Read a file; `-` is standard input.

    Raises BadRuleset: it has mistakes, or its rules have; WrongUsage: it cannot be read.
    """
    text = read_file(path)
    notes = Notes(text.path)
    reader = _Reader(notes, text.directory)
    found = reader.read(parse(text.text, text.path))
    if found is None or notes.mistakes:
        raise BadRuleset([*notes.mistakes, *reader.mistakes_of_rules])
    return found


class _Reader:
    def __init__(self, notes: Notes, directory: str) -> None:
        self.notes = notes
        self.directory = directory
        self.mistakes_of_rules: tuple[Mistake, ...] = ()
        self.moment = _MOMENT
        self.names: Collection[str] | None = None  # of the rules; None where they are wrong

    def read(self, root: Node) -> Expectations | None:
        """None where something is wrong, which is noted."""
        notes = self.notes
        parts = notes.known(notes.table(root, "a file of expectations"), KEYS)
        if "time" in parts:
            self._moment(parts["time"])
        if "rules" not in parts and isinstance(root, Table):
            notes.mistake(root, "rules: a rules file is wanted, by its path from this file")
        rules, ruleset, warnings = self._rules(parts.get("rules"))
        self.names = None if ruleset is None else [each.name for each in ruleset.rules]
        packets = self._items(parts, "packets")
        if len(packets) > PACKETS_MAX:
            notes.mistake(packets[PACKETS_MAX], f"packets: there can be {PACKETS_MAX:,}")
            packets = packets[:PACKETS_MAX]
        tests = [self._packet(each, i) for i, each in enumerate(packets, 1)]
        captures = [self._capture(each) for each in self._items(parts, "captures")]
        if isinstance(root, Table) and not packets and not captures:
            notes.mistake(root, "nothing is expected: packets or captures are wanted")
        if ruleset is None:
            return None
        return Expectations(
            notes.path,
            rules,
            ruleset,
            self.moment * _SECOND_NS,
            tuple(each for each in tests if each is not None),
            tuple(each for each in captures if each is not None),
            warnings,
        )

    def _items(self, parts: Mapping[str, Node], key: str) -> list[Node]:
        return self.notes.items(parts[key], key) if key in parts else []

    def _moment(self, node: Node) -> None:
        text = self.notes.text(node, "time")
        if text is None:
            return
        try:
            moment = parse_expiry(text, 0)
            if moment != parse_expiry(text, 1):
                raise BadValue(f"{quoted(text)} is no moment such as 2026-11-21T10:00:00Z")
            self.moment = moment
        except BadValue as error:
            self.notes.mistake(node, f"time: {error}")

    def _rules(self, node: Node | None) -> tuple[str, Ruleset | None, tuple[Mistake, ...]]:
        text = None if node is None else self.notes.text(node, "rules")
        if node is None or text is None:
            return "", None, ()
        path = os.path.join(self.directory, text)
        try:
            if text == STDIN:
                raise WrongUsage("rules are not read from standard input")
            reading = read_file(path).reading(self.moment)
        except BadRuleset as error:
            self.notes.mistake(node, f"rules: {quoted(text)} has mistakes")
            self.mistakes_of_rules = error.mistakes
        except WrongUsage as error:
            self.notes.mistake(node, f"rules: {error.message}")
        else:
            return path, reading.ruleset, reading.warnings
        return path, None, ()

    def _packet(self, node: Node, number: int) -> PacketTest | None:
        notes, before = self.notes, len(self.notes.mistakes)
        parts = notes.known(notes.table(node, "a packet"), PACKET_KEYS)
        name = name_of(notes, parts, f"packet {number}")
        verdict = word_of(notes, parts, "expect", VERDICTS)
        if "expect" not in parts and isinstance(node, Table):
            notes.mistake(node, "expect: a verdict is wanted, pass or drop")
        reason = word_of(notes, parts, "reason", REASONS)
        rule = self._rule(parts["rule"]) if "rule" in parts else None
        time_ns = time_of(notes, parts["time"]) if "time" in parts else 0
        repeat = repeat_of(notes, parts["repeat"]) if "repeat" in parts else 1
        frame = self._frame(node, parts)
        if frame is None or verdict is None or len(notes.mistakes) > before:
            return None
        time_ns += self.moment * _SECOND_NS
        return PacketTest(name, frame, time_ns, repeat, verdict, rule, reason)

    def _frame(self, node: Node, parts: Mapping[str, Node]) -> bytes | None:
        fields = {name: parts[name] for name in FIELDS if name in parts}
        if "hex" in parts:
            for name, each in fields.items():
                self.notes.mistake(each, f"{name}: the packet has its bytes from hex")
            return self._hex(parts["hex"])
        if not fields:
            if isinstance(node, Table):
                self.notes.mistake(node, "a packet needs fields, or hex")
            return None
        conditions = {name: self._condition(name, each) for name, each in fields.items()}
        given = {name: each for name, each in conditions.items() if each is not None}
        if len(given) < len(conditions):
            return None
        try:
            return frame_of(given)
        except NoSuchPacket as error:
            place = fields.get(error.field, node)
            self.notes.mistake(place, f"{error.field}: {error}")
            return None

    def _condition(self, field: str, node: Node) -> Condition | None:
        written: object = node.text if isinstance(node, Scalar) else []
        if isinstance(node, Table):
            written = {}
        if isinstance(node, Scalar) and not node.text:
            self.notes.mistake(node, f"{field}: the value is missing")
            return None
        try:
            return condition_of(field, written)
        except NoSuchPacket as error:
            self.notes.mistake(node, f"{field}: {error}")
            return None

    def _hex(self, node: Node) -> bytes | None:
        text = self.notes.text(node, "hex")
        if text is None:
            return None
        try:
            return frame_of_hex(text)
        except NoSuchPacket as error:
            self.notes.mistake(node, f"hex: {error}")
            return None

    def _capture(self, node: Node) -> CaptureTest | None:
        notes, before = self.notes, len(self.notes.mistakes)
        parts = notes.known(notes.table(node, "a capture"), CAPTURE_KEYS)
        file = notes.text(parts["file"], "file") if "file" in parts else None
        path = os.path.join(self.directory, file or "")
        if isinstance(node, Table) and "file" not in parts:
            notes.mistake(node, "file: a capture is wanted, by its path from this file")
        elif file is not None and not os.path.isfile(path):
            notes.mistake(parts["file"], f"file: {quoted(path)} is no file")
        verdicts = self._counts(parts, "expect", VERDICTS)
        rules = self._counts(parts, "rules", self.names)
        if isinstance(node, Table) and not {"expect", "rules"} & parts.keys():
            notes.mistake(node, "expect: how many packets are to pass and to drop is wanted")
        if file is None or len(notes.mistakes) > before:
            return None
        return CaptureTest(name_of(notes, parts, file), path, verdicts, rules)

    def _counts(
        self, parts: Mapping[str, Node], key: str, known: Collection[str] | None
    ) -> dict[str, int]:
        """Numbers of packets by what they are of, one of those that are known; None is any."""
        counts: dict[str, int] = {}
        if key not in parts:
            return counts
        for name, value in self.notes.table(parts[key], key):
            if known is not None and name.text not in known:
                hint = suggestion(name.text, known)
                what = "verdict" if key == "expect" else "rule"
                self.notes.mistake(name, f"{key}: there is no {what} {quoted(name.text)}{hint}")
            number = number_of(self.notes, value, f"{key}: {name.text}")
            if number is not None:
                counts[name.text] = number
        return counts

    def _rule(self, node: Node) -> str | None:
        text = self.notes.text(node, "rule")
        if text is not None and self.names is not None and text not in self.names:
            hint = suggestion(text, self.names)
            self.notes.mistake(node, f"rule: there is no rule {quoted(text)}{hint}")
        return text
