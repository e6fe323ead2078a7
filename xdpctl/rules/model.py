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
NAME_MAX = 63


class Action(StrEnum):
    """What becomes of a packet that a rule matches.

    An action that does not decide (so that the search goes on behind the rule) belongs here, and
    is left out of DECIDING.
    """

    DROP = "drop"
    PASS = "pass"


DECIDING = frozenset({Action.DROP, Action.PASS})


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


@dataclass(frozen=True, slots=True)
class Rule:
    """All conditions have to hold; without any, every packet matches.

    Attributes:
        conditions: by the field's name, in the order of `fields.FIELDS`.
        expires: Unix time in seconds from which on the rule is passed over; None is never.
    """

    name: str
    action: Action
    conditions: Mapping[str, Condition] = field(default_factory=dict, hash=False)
    expires: int | None = None


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
    values = [int(text) if _is_plain_number(text) else text for text in condition.spelling]
    value = values[0] if len(values) == 1 else values
    return {"not": value} if condition.negated else value


def _is_plain_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and (text == "0" or text[0] != "0")
