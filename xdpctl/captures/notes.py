"""What of a capture file could not be read, and why: bounded, whatever the file is like."""

from __future__ import annotations

PROBLEMS_MAX = 100
REASONS_MAX = 100
CUT_SHORT = "cut short by the file's end"
NOT_READ_ON = "nothing was read from there on"
_OTHER_REASONS = "other reasons"


class Notes:
    """Sentences about the file, and counts of packets that cannot be given out.

    Attributes:
        name: of the file.
        left_out: the number of packets, by reason.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.left_out: dict[str, int] = {}
        self._problems: list[str] = []
        self._more = 0

    def problem(self, sentence: str) -> None:
        if len(self._problems) < PROBLEMS_MAX:
            self._problems.append(sentence)
        else:
            self._more += 1

    def leave_out(self, reason: str) -> None:
        """One packet."""
        if reason not in self.left_out and len(self.left_out) >= REASONS_MAX:
            reason = _OTHER_REASONS
        self.left_out[reason] = self.left_out.get(reason, 0) + 1

    @property
    def problems(self) -> list[str]:
        more = [f"and {self._more:,} more"] if self._more else []
        return [*self._problems, *more]
