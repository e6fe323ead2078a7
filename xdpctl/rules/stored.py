"""A ruleset as it is kept in the kernel beside the program: a JSON text, and its sets' ranges.

Class tables cannot give prefixes back, nor rules their spelling: what later commands show and
change is read from here. Whoever may write to the maps may write anything: all of it is checked.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from xdpctl.errors import XdpctlError
from xdpctl.rules.model import POLICIES, RULES_MAX, Action, Limit, NamedSet, Ruleset
from xdpctl.rules.writing import fields_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from xdpctl.rules.addressing import SetTables

_IPV4_RANGE_BYTES, _IPV6_RANGE_BYTES = 8, 32
_SETS_MAX = 1024


class NotStored(XdpctlError):
    """What is kept beside the program is not what we keep there."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"the ruleset in the kernel cannot be read: {what}",
            hint="apply a rules file anew",
        )


class StoredSet(NamedTuple):
    """What is known of a set without its ranges, of which there are `ipv4` and `ipv6`."""

    name: str
    source: str | None
    file_digest: str | None
    digest: str
    prefixes: int
    ipv4: int
    ipv6: int


class StoredRuleset(NamedTuple):
    """A ruleset without the contents of its sets.

    Attributes:
        rules: each as in the file, its name and action first.
        slots: of the rules, where the data plane counts their packets.
        dropped_slots: of those that limit, in their order: where it counts what they drop.
        applied_at_ns: on CLOCK_REALTIME.
        set_tables: the key and the roots of SetTables, and how many classes of IPv4 and of IPv6
            its members are of; None without sets.
    """

    name: str
    digest: str
    applied_at_ns: int
    default: str
    malformed: str
    sets: tuple[StoredSet, ...]
    rules: tuple[Mapping[str, Any], ...]
    slots: tuple[int, ...]
    dropped_slots: tuple[int, ...]
    set_tables: Mapping[str, Any] | None


def to_text(
    ruleset: Ruleset,
    digest: str,
    slots: Sequence[int],
    dropped_slots: Sequence[int],
    applied_at_ns: int,
    set_tables: SetTables | None,
) -> bytes:
    """The JSON text."""
    sets = [
        StoredSet(
            each.name,
            each.source,
            each.file_digest,
            each.digest,
            each.prefixes,
            len(each.ipv4),
            len(each.ipv6),
        )._asdict()
        for each in ruleset.sets
    ]
    tables = set_tables and {
        "key": set_tables.key,
        "shapes": [each.shape for each in set_tables.members],
        "roots": {name: root._asdict() for name, root in set_tables.roots.items()},
    }
    document = {
        "name": ruleset.name,
        "digest": digest,
        "applied_at_ns": applied_at_ns,
        "default": str(ruleset.default),
        "malformed": str(ruleset.malformed),
        "sets": sets,
        "rules": [fields_of(rule) for rule in ruleset.rules],
        "slots": list(slots),
        "dropped_slots": list(dropped_slots),
        "set_tables": tables,
    }
    return json.dumps(document, separators=(",", ":")).encode()


def from_text(text: bytes) -> StoredRuleset:
    """Raises NotStored."""
    try:
        document = json.loads(text)
        stored = StoredRuleset(
            _text(document["name"]),
            _text(document["digest"]),
            _number(document["applied_at_ns"]),
            _policy(document["default"]),
            _policy(document["malformed"]),
            tuple(_set(each) for each in document["sets"]),
            tuple(_rule(each) for each in document["rules"]),
            tuple(_number(each) for each in document["slots"]),
            tuple(_number(each) for each in document["dropped_slots"]),
            document["set_tables"],
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise NotStored(str(error) or "it is no JSON") from None
    if len(stored.rules) != len(stored.slots) or len(stored.rules) > RULES_MAX:
        raise NotStored(f"{len(stored.rules)} rules, {len(stored.slots)} slots")
    limits = sum(each["action"] == Action.LIMIT for each in stored.rules)
    if len(stored.dropped_slots) != limits:
        raise NotStored(f"{limits} limits, {len(stored.dropped_slots)} slots")
    if len(stored.sets) > _SETS_MAX:
        raise NotStored(f"{len(stored.sets)} sets")
    return stored


def to_ranges(ruleset: Ruleset, set_tables: SetTables | None) -> bytes:
    """The ranges of all sets, in host byte order: IPv6 of the first set, its IPv4, and so on; and
    behind them the members of the tables' classes."""
    parts: list[NDArray[Any]] = []
    for each in ruleset.sets:
        parts += each.ipv6, each.ipv4
    if set_tables is not None:
        parts += set_tables.members
    return b"".join(part.tobytes() for part in parts)


def to_ruleset(stored: StoredRuleset, ranges: bytes | memoryview, now: float) -> Ruleset:
    """The ruleset, its sets included. Raises NotStored."""
    from xdpctl.rules.mistakes import BadRuleset  # noqa: PLC0415
    from xdpctl.rules.reading import read_rules_from  # noqa: PLC0415 - YAML and NumPy

    sets = tuple(to_sets(stored, ranges))
    try:
        rules = read_rules_from(stored.rules, {each.name for each in sets}, now)
    except BadRuleset as error:
        raise NotStored(error.message) from None
    default, malformed = Action(stored.default), Action(stored.malformed)
    return Ruleset(stored.name, default, malformed, sets, rules)


def to_limits(stored: StoredRuleset) -> dict[str, Limit]:
    """The limits among its rules, by name, without reading all of them. Raises NotStored."""
    from xdpctl.rules.limits import KEYS, parse_limit  # noqa: PLC0415
    from xdpctl.rules.values import BadValue  # noqa: PLC0415

    limits = {}
    for rule in stored.rules:
        if rule["action"] == Action.LIMIT:
            try:
                texts = {key: str(rule[key]) for key in KEYS if key in rule}
                limits[str(rule["name"])] = parse_limit(texts)
            except (BadValue, KeyError) as error:
                raise NotStored(f"rule {rule['name']}: {error}") from None
    return limits


def to_set_tables(stored: StoredRuleset, ranges: bytes | memoryview) -> SetTables | None:
    """The tables of the sets, None without sets. Raises NotStored."""
    import numpy as np  # noqa: PLC0415

    from xdpctl.rules.addresses import Root  # noqa: PLC0415
    from xdpctl.rules.addressing import SetTables  # noqa: PLC0415

    if stored.set_tables is None:
        return None
    at = sum(s.ipv6 * _IPV6_RANGE_BYTES + s.ipv4 * _IPV4_RANGE_BYTES for s in stored.sets)
    try:
        members = []
        for shape in stored.set_tables["shapes"]:
            rows, words = map(_number, shape)
            whole = np.frombuffer(ranges, np.uint64, rows * words, at)
            members.append(whole.reshape(rows, words).copy())
            at += whole.nbytes
        ipv4, ipv6 = members
        roots = {
            _text(name): Root(**{key: _number(value) for key, value in root.items()})
            for name, root in stored.set_tables["roots"].items()
        }
        return SetTables(_text(stored.set_tables["key"]), (ipv4, ipv6), roots)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotStored(f"the tables of its sets: {error}") from None


def to_sets(stored: StoredRuleset, ranges: bytes | memoryview) -> Iterator[NamedSet]:
    """Its sets. Raises NotStored."""
    import numpy as np  # noqa: PLC0415

    at = 0
    for each in stored.sets:
        ipv6_bytes, ipv4_bytes = each.ipv6 * _IPV6_RANGE_BYTES, each.ipv4 * _IPV4_RANGE_BYTES
        if at + ipv6_bytes + ipv4_bytes > len(ranges):
            raise NotStored(f"set {each.name} is cut short")
        ipv6 = np.frombuffer(ranges, np.uint64, each.ipv6 * 4, at).reshape(-1, 2, 2).copy()
        at += ipv6_bytes
        ipv4 = np.frombuffer(ranges, np.uint32, each.ipv4 * 2, at).reshape(-1, 2).copy()
        at += ipv4_bytes
        if not (ipv4[:, 0] <= ipv4[:, 1]).all() or not (ipv4[:-1, 1] < ipv4[1:, 0]).all():
            raise NotStored(f"set {each.name} is out of order")
        yield NamedSet(
            each.name, ipv4, ipv6, each.digest, each.source, each.file_digest, each.prefixes
        )


def expiry_of(rule: Mapping[str, Any]) -> int | None:
    """When a rule expires, as Unix time in seconds; None is never. Raises NotStored."""
    from xdpctl.rules.times import parse_expiry  # noqa: PLC0415
    from xdpctl.rules.values import BadValue  # noqa: PLC0415

    try:
        return parse_expiry(_text(rule["expires"]), 0) if rule.get("expires") else None
    except (BadValue, TypeError) as error:
        raise NotStored(str(error)) from None


def _set(document: Any) -> StoredSet:
    return StoredSet(
        _text(document["name"]),
        _text_or_none(document["source"]),
        _text_or_none(document["file_digest"]),
        _text(document["digest"]),
        *(_number(document[key]) for key in ("prefixes", "ipv4", "ipv6")),
    )


def _rule(document: Any) -> Mapping[str, Any]:
    if not isinstance(document, dict):
        raise TypeError("a rule is no object")
    _text(document["name"])
    Action(document["action"])
    return document


def _policy(value: Any) -> str:
    if value not in POLICIES:
        raise ValueError(f"{value!r} is no policy")
    return str(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _text(value)


def _number(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        raise TypeError(f"{value!r} is no number")
    return value
