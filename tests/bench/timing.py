"""Things measured one after another in every round: on a noisy machine what counts are ratios of
what was measured in turn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median
from typing import NamedTuple

Measure = Callable[[], float]


class Figures(NamedTuple):
    """Of many rounds, of what takes time: the best is the least."""

    best: float
    median: float


Costs = dict[str, Figures]


class Taken:
    """What was measured so far."""

    def __init__(self) -> None:
        self._by_name: dict[str, list[float]] = {}

    def add(self, measures: Mapping[str, Measure], rounds: int) -> None:
        for _ in range(rounds):
            for name, measure in measures.items():
                self._by_name.setdefault(name, []).append(measure())

    def costs(self) -> Costs:
        """The figures of each, by name."""
        return {name: Figures(min(all_), median(all_)) for name, all_ in self._by_name.items()}


def in_turn(measures: Mapping[str, Measure], rounds: int) -> Costs:
    """The figures of each, by name."""
    taken = Taken()
    taken.add(measures, rounds)
    return taken.costs()
