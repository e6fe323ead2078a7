"""Rates over time as block characters, upwards from zero, the latest at the right end.

Textual's own Sparkline stretches what there is over its width and begins at the smallest value: of
a second it makes a minute, and of 99 and 100 nothing and all.
"""

from __future__ import annotations

from collections.abc import Sequence

_EIGHTHS = " ▁▂▃▄▅▆▇█"


def graph(values: Sequence[float | None], width: int, height: int = 1) -> list[str]:
    """Lines of text, the uppermost first, as high as the largest value that is shown.

    Zero is the lowest bar, what is more is higher than that, and None is a gap.
    """
    shown = values[-width:] if width > 0 else ()
    top = max((value for value in shown if value), default=0.0)
    levels = [_level(value, top, height * 8) for value in shown]
    lines = []
    for floor in range((height - 1) * 8, -1, -8):
        bars = "".join(_EIGHTHS[min(8, max(0, level - floor))] for level in levels)
        lines.append(bars.rjust(width))
    return lines


def _level(value: float | None, top: float, levels: int) -> int:
    if value is None:
        return 0
    return 1 + (max(1, round(value / top * (levels - 1))) if value else 0)
