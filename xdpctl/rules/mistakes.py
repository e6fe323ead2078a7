"""What is wrong with a file, all of it at once and each where it stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from xdpctl.errors import WrongUsage

SHOWN_MAX = 50


class Mistake(NamedTuple):
    """Lines and columns count from 1, columns in characters; line 0 is the file as a whole."""

    path: str
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}:{self.column}" if self.line else self.path
        return f"{place}: {self.text}" if place else self.text


class BadRuleset(WrongUsage):
    """`message` has a line for each mistake, the first 50 of them, in the order of the file.

    Attributes:
        mistakes: all of them.
    """

    def __init__(self, mistakes: Sequence[Mistake], *, hint: str = "") -> None:
        self.mistakes = tuple(
            sorted(mistakes, key=lambda each: (each.path, each.line, each.column))
        )
        lines = [str(each) for each in self.mistakes[:SHOWN_MAX]]
        if len(self.mistakes) > SHOWN_MAX:
            lines.append(f"and {len(self.mistakes) - SHOWN_MAX} more mistakes")
        super().__init__("\n".join(lines), hint=hint)
