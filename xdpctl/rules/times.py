"""When a rule expires: a moment, or so long from now."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from xdpctl.rules.values import BadValue, quoted

_UNITS = {"w": 7 * 86400, "d": 86400, "h": 3600, "m": 60, "s": 1}
_DURATION = re.compile("".join(rf"(?:([0-9]{{1,9}}){unit})?" for unit in _UNITS))
_LATEST = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())


def parse_expiry(text: str, now: float) -> int:
    """Unix time in seconds of `2026-11-21T10:00:00Z` (RFC 3339; with a zone) or `1h30m` from now.

    Raises BadValue.
    """
    seconds = _seconds(text)
    moment = _moment(text) if seconds is None else int(now) + seconds
    if not 0 <= moment <= _LATEST:
        raise BadValue(f"{quoted(text)} is out of the range of times")
    return moment


def parse_duration(text: str) -> int:
    """Seconds of `10m`, `1h30m` or `7d`; at least one. Raises BadValue."""
    seconds = _seconds(text)
    if not seconds:
        raise BadValue(f"{quoted(text)} is not a duration such as 10m, 1h30m or 7d")
    if seconds > _LATEST:
        raise BadValue(f"{quoted(text)} is longer than there are times")
    return seconds


def _seconds(text: str) -> int | None:
    found = _DURATION.fullmatch(text)
    if not text or found is None:
        return None
    counts = zip(found.groups("0"), _UNITS.values(), strict=True)
    return sum(int(count) * unit for count, unit in counts)


def _moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        examples = "2026-11-21T10:00:00Z, or a duration such as 10m, 1h30m or 7d"
        raise BadValue(f"{quoted(text)} is not a time such as {examples}") from None
    if moment.tzinfo is None:
        raise BadValue(f"{quoted(text)} has no time zone: add Z, or an offset such as +01:00")
    return int(moment.timestamp())


def expiry_text(expires: int) -> str:
    """As the file has it, in UTC."""
    return datetime.fromtimestamp(expires, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
