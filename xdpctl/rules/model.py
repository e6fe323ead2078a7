"""A ruleset as values: immutable, in canonical form, and without any input or output.

A condition keeps what it means and, beside it, how it was spelt.  Two conditions are equal when
they mean the same, however they are spelt.  Ranges are inclusive pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what lists rules must not pay for importing NumPy
    import numpy as np
    import numpy.typing as npt

Range = tuple[int, int]

RULES_MAX = 4096
LIMITS_MAX = 64
NAME_MAX = 63


class Action(StrEnum):
    """What becomes of a packet that a rule matches; LIMIT drops what is over a rate, and lets the
    search go on with what is within."""

    DROP = "drop"
    PASS = "pass"
    LIMIT = "limit"


POLICIES = (Action.DROP, Action.PASS)
"""What can become of packets that no rule decides on."""


class Fragment(StrEnum):
    """Where in a fragmented packet a frame is; an atomic fragment (RFC 6946) is NO."""

    NO = "no"
    FIRST = "first"
    LATER = "later"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What one field of a packet has to be.

    Attributes:
        negated: the field is there, and is none of the values.
        spelling: the values as they were written, for showing and writing back.
    """

    negated: bool = False
    spelling: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers(Condition):
    """proto, sport, dport, length, ttl, dscp, ethertype, vlan.

    Attributes:
        ranges: sorted, disjoint, adjacent ones joined.
        untagged: `none` is among the values; of vlan alone.
    """

    ranges: tuple[Range, ...] = ()
    untagged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses(Condition):
    """src, dst.  Ranges as in Numbers, of 32-bit and 128-bit numbers; `sets` sorted by name."""

    ipv4: tuple[Range, ...] = ()
    ipv6: tuple[Range, ...] = ()
    sets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags(Condition):
    """TCP's eight flags: (value, mask) pairs, sorted; a packet fits if `flags & mask == value`."""

    pairs: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Icmp(Condition):
    """(protocol, types, codes): protocol is 1, ICMP, or 58, ICMPv6; sorted."""

    messages: tuple[tuple[int, Range, Range], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Macs(Condition):
    """src_mac, dst_mac: 48-bit numbers, the first byte on the wire the highest; sorted."""

    addresses: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragments(Condition):
    kinds: frozenset[Fragment] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A token bucket, or one for each network of addresses; `limits.py` reads it.

    Attributes:
        rate: packets in each `seconds`; or, where `bits` is true, bits in each second.
        seconds: 1, 60 or 3600; 1 for bits.
        burst: what a full bucket holds: packets; or bytes where the rate is of bits.
        per: "src" or "dst"; empty where all packets share one bucket.
        ipv4_length, ipv6_length: the prefix lengths of networks; 0 where all share one bucket.
        cells: how many buckets there are, a power of two; addresses are hashed to them.
        spelling: of the keys in the file that were given, in the order of `limits.KEYS`.
    """

    rate: int
    seconds: int = 1
    bits: bool = False
    burst: int
    per: str = ""
    ipv4_length: int = 0
    ipv6_length: int = 0
    cells: int = 1
    spelling: tuple[tuple[str, str], ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Rule:
    """All conditions have to hold; without any, every packet matches.

    Attributes:
        conditions: by the field's name, in the order of `fields.FIELDS`.
        expires: Unix time in seconds from which on the rule is passed over; None is never.
        limit: of a rule that limits, and of no other.
    """

    name: str
    action: Action
    conditions: Mapping[str, Condition] = field(default_factory=dict, hash=False)
    expires: int | None = None
    limit: Limit | None = None


@dataclass(frozen=True, slots=True)
class NamedSet:
    """Addresses under a name; equal when name and addresses are.

    Attributes:
        ipv4: uint32, shape (n, 2): inclusive ranges, sorted, disjoint, adjacent ones joined.
        ipv6: uint64, shape (n, 2, 2): the same, [first, last][high, low 64 bits].
        digest: SHA-256 of the ranges, in hexadecimal.
        source: absolute path of the file that they came from; None where given inline.
        file_digest: SHA-256 of that file, in hexadecimal.
        prefixes: how many prefixes, addresses and ranges were written.
    """

    name: str
    ipv4: npt.NDArray[np.uint32] = field(compare=False, repr=False)
    ipv6: npt.NDArray[np.uint64] = field(compare=False, repr=False)
    digest: str
    source: str | None = field(default=None, compare=False)
    file_digest: str | None = field(default=None, compare=False)
    prefixes: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Ruleset:
    """The first rule that matches decides, else `default`.

    Attributes:
        malformed: what becomes of packets with a header that is cut short or wrong; with PASS the
            rules are asked.
    """

    name: str
    default: Action = Action.PASS
    malformed: Action = Action.DROP
    sets: tuple[NamedSet, ...] = ()
    rules: tuple[Rule, ...] = ()

    def set_named(self, name: str) -> NamedSet:
        """Raises KeyError where there is none."""
        for each in self.sets:
            if each.name == name:
                return each
        raise KeyError(name)


def merged(ranges: list[Range]) -> tuple[Range, ...]:
    """Sorted, with ranges that overlap or touch joined."""
    result: list[Range] = []
    for low, high in sorted(ranges):
        if result and low <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(high, result[-1][1]))
        else:
            result.append((low, high))
    return tuple(result)


def as_written(condition: Condition) -> Any:
    """As it stands in the file: a text or number, a list of them, or {"not": ...} of either."""
    values = [plain(text) for text in condition.spelling]
    value = values[0] if len(values) == 1 else values
    return {"not": value} if condition.negated else value


def plain(text: str) -> str | int:
    """A value as YAML has it: digits are a number."""
    is_number = text.isascii() and text.isdigit() and (text == "0" or text[0] != "0")
    return int(text) if is_number else text
