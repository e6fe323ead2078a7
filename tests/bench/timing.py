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


def in_turn(measures: Mapping[str, Measure], rounds: int) -> Costs:
    """The figures of each, by name."""
    taken: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            taken[name].append(measure())
    return {name: Figures(min(all_), median(all_)) for name, all_ in taken.items()}
