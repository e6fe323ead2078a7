"""What somebody may have meant who wrote a word that there is not."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

_LENGTH_MAX = 32


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that takes the fewest slips of a typist, if that is at most one in three
    letters; of several, the first."""
    if len(word) > _LENGTH_MAX:
        return None
    few = max(1, len(word) // 3)
    best: str | None = None
    for each in known:
        if abs(len(each) - len(word)) <= few:
            slips = _slips(word.lower(), each)
            if slips <= few:
                best, few = each, slips - 1
    return best


@lru_cache(maxsize=4096)
def _slips(word: str, known: str) -> int:
    """Letters too many, missing, wrong, or two of them swapped (optimal string alignment distance:
    L. Boytsov, Indexing methods for approximate dictionary searching, 2011, section 2.1)."""
    older: list[int] = []
    row = list(range(len(known) + 1))
    for i, letter in enumerate(word, 1):
        newer = [i]
        for j, other in enumerate(known, 1):
            cost = min(row[j] + 1, newer[j - 1] + 1, row[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == known[j - 2] and word[i - 2] == other:
                cost = min(cost, older[j - 2] + 1)
            newer.append(cost)
        older, row = row, newer
    return row[-1]
