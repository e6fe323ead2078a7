"""Numbers, times and untrusted names as text for people."""

from __future__ import annotations

import time
from datetime import UTC, datetime

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


def rfc3339(nanoseconds: int) -> str:
    """A moment of CLOCK_REALTIME as in `2026-11-21T04:10:00.123456Z` (RFC 3339, UTC)."""
    moment = datetime.fromtimestamp(nanoseconds / 1e9, UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def local_time(nanoseconds: int) -> str:
    """A moment of CLOCK_REALTIME on this machine's clock, to the second."""
    return datetime.fromtimestamp(nanoseconds / 1e9).isoformat(" ", "seconds")


def duration(nanoseconds: int) -> str:
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
    seconds = max(0, time.time_ns() - nanoseconds) // 10**9
    for unit, name in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= unit:
            return f"{seconds // unit} {name} ago"
    return f"{seconds} s ago"
