"""Numbers, times and untrusted names as text for people."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache

_SI_PREFIXES = ("", "k", "M", "G", "T", "P", "E")
_ROUNDS_UP_TO_1000 = 999.5
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def printable(text: str) -> str:
    """With control characters escaped: the kernel allows them in interface names, and a terminal
    obeys them."""
    return "".join(
        char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text
    )


def si(number: float, unit: str = "") -> str:
    """With three significant digits and a decimal prefix: 12300 is `12.3 k`."""
    exponent = 0
    while abs(number) >= _ROUNDS_UP_TO_1000 and exponent < len(_SI_PREFIXES) - 1:
        number /= 1000
        exponent += 1
    digits = f"{number:.3g}" if exponent or number % 1 else f"{number:.0f}"
    return f"{digits} {_SI_PREFIXES[exponent]}{unit}".rstrip()


class Unit(Enum):
    """What is counted; the value is what it is called."""

    PACKETS = "packets"
    BITS = "bits"
    BYTES = "bytes"

    @property
    def rate(self) -> str:
        """What so many a second are called."""
        return f"{self.value}/s"

    def of(self, packets: float, octets: float | None) -> float | None:
        """The number in this unit; None where bytes are not known."""
        if self is Unit.PACKETS:
            return packets
        return None if octets is None else octets * (8 if self is Unit.BITS else 1)


def rate(number: float | None) -> str:
    """So many a second, without the unit; a dash where nothing could be measured."""
    return "-" if number is None else si(number)


def count(number: float | None) -> str:
    """All digits, by thousands: 12300 is `12,300`; a dash where there is none."""
    return "-" if number is None else f"{number:,.0f}"


def rfc3339(nanoseconds: int) -> str:
    """A moment of CLOCK_REALTIME as in `2026-11-21T04:10:00.123456Z` (RFC 3339, UTC)."""
    moment = datetime.fromtimestamp(nanoseconds / 1e9, UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def rfc3339_ns(nanoseconds: int) -> str:
    """The same with all nine digits: of packets."""
    seconds, rest = divmod(nanoseconds, 10**9)
    return f"{_second(seconds)}.{rest:09}Z"


@lru_cache(maxsize=1)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def local_time(nanoseconds: int) -> str:
    """A moment of CLOCK_REALTIME on this machine's clock, to the second."""
    return datetime.fromtimestamp(nanoseconds / 1e9).isoformat(" ", "seconds")


def time_left(nanoseconds: int) -> str:
    """As `1 h 5 min` or `12 s`: its two largest units."""
    seconds = -(-nanoseconds // 10**9)
    parts: list[str] = []
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"), (1, "s")):
        count, seconds = divmod(seconds, unit)
        if count or parts:
            parts.append(f"{count} {name}" if count else "")
    return " ".join(part for part in parts[:2] if part) or "0 s"


def age(nanoseconds: int) -> str:
    """How long ago a moment of CLOCK_REALTIME was, roughly."""
    return f"{duration(max(0, time.time_ns() - nanoseconds) // 10**9)} ago"


def duration(seconds: int) -> str:
    """In its largest unit, rounded down."""
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= unit:
            return f"{seconds // unit} {name}"
    return f"{seconds} s"


def counted(number: int, noun: str) -> str:
    """`1 rule`, `4,096 rules`, `2 prefixes`, `2 addresses`."""
    plural = noun + ("es" if noun.endswith(("x", "s")) else "s")
    return f"{number:,} {noun if number == 1 else plural}"
