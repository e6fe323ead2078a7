"""What of a capture file could not be read, and why: bounded, whatever the file is like."""

from __future__ import annotations

REASONS_MAX = 100
CUT_SHORT = "cut short by the file's end"
NOT_READ_ON = "nothing was read from there on"
_OTHER_REASONS = "other reasons"


class Notes:
    """Sentences about the file, and counts of packets that cannot be given out.

    Attributes:
        name: of the file.
        problems: sentences; few, since most of them are the last.
        left_out: the number of packets, by reason.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.problems: list[str] = []
        self.left_out: dict[str, int] = {}

    def problem(self, sentence: str) -> None:
        self.problems.append(sentence)

    def leave_out(self, reason: str) -> None:
        """One packet."""
        if reason not in self.left_out and len(self.left_out) >= REASONS_MAX:
            reason = _OTHER_REASONS
        self.left_out[reason] = self.left_out.get(reason, 0) + 1
