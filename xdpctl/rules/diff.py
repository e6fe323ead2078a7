"""What is different between two rulesets, as somebody who applies the second wants to know it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from xdpctl.rules.canonical import meaning
from xdpctl.rules.model import Action, NamedSet, Rule, Ruleset


class SetChange(NamedTuple):
    """A set that is in one ruleset only, or differs.

    Attributes:
        kind: "added", "removed" or "changed".
        added, removed: the fewest prefixes that what came, or went, can be written with.
    """

    name: str
    kind: str
    added: int
    removed: int


class PolicyChange(NamedTuple):
    old: Action
    new: Action


class RuleChange(NamedTuple):
    old: Rule
    new: Rule


class Difference(NamedTuple):
    """Rules are told apart by name.

    Attributes:
        moved: rules that are in both, of which as few as possible are said to have moved.
        name: the two names of the rulesets, where they differ.
    """

    added: tuple[Rule, ...]
    removed: tuple[Rule, ...]
    changed: tuple[RuleChange, ...]
    moved: tuple[Rule, ...]
    sets: tuple[SetChange, ...]
    default: PolicyChange | None
    malformed: PolicyChange | None
    name: tuple[str, str] | None

    def __bool__(self) -> bool:
        """Whether there is any."""
        return any(self)


def difference(old: Ruleset, new: Ruleset) -> Difference:
    """From `old` to `new`."""
    before = {rule.name: rule for rule in old.rules}
    after = {rule.name: rule for rule in new.rules}
    both = [rule for rule in new.rules if rule.name in before]
    return Difference(
        added=tuple(rule for rule in new.rules if rule.name not in before),
        removed=tuple(rule for rule in old.rules if rule.name not in after),
        changed=tuple(
            RuleChange(before[rule.name], rule)
            for rule in both
            if meaning(before[rule.name]) != meaning(rule)
        ),
        moved=_moved(old, both),
        sets=_set_changes(old.sets, new.sets),
        default=_policy(old.default, new.default),
        malformed=_policy(old.malformed, new.malformed),
        name=None if old.name == new.name else (old.name, new.name),
    )


def _policy(old: Action, new: Action) -> PolicyChange | None:
    return None if old is new else PolicyChange(old, new)


def _moved(old: Ruleset, both: Sequence[Rule]) -> tuple[Rule, ...]:
    """Those that are not of a longest common subsequence.  Since names are unique, that is a
    longest increasing subsequence of their old places."""
    place = {rule.name: index for index, rule in enumerate(old.rules)}
    stay = _longest_increasing([place[rule.name] for rule in both])
    return tuple(rule for index, rule in enumerate(both) if index not in stay)


def _longest_increasing(numbers: Sequence[int]) -> set[int]:
    """The indices of one (M. Fredman, On computing the length of longest increasing subsequences,
    1975)."""
    ends: list[int] = []  # the least number that a subsequence of each length can end in
    at: list[int] = []  # and where that is
    previous: list[int] = []
    for index, number in enumerate(numbers):
        length = bisect_left(ends, number)
        previous.append(at[length - 1] if length else -1)
        ends[length : length + 1] = [number]
        at[length : length + 1] = [index]
    chosen: set[int] = set()
    index = at[-1] if at else -1
    while index >= 0:
        chosen.add(index)
        index = previous[index]
    return chosen


def _set_changes(old: Sequence[NamedSet], new: Sequence[NamedSet]) -> tuple[SetChange, ...]:
    before = {each.name: each for each in old}
    after = {each.name: each for each in new}
    names = [*after, *(name for name in before if name not in after)]
    changes = (_set_change(name, before.get(name), after.get(name)) for name in names)
    return tuple(change for change in changes if change is not None)


def _set_change(name: str, old: NamedSet | None, new: NamedSet | None) -> SetChange | None:
    if old is not None and new is not None and old.digest == new.digest:
        return None
    from xdpctl.rules.sets import only_in, set_of  # noqa: PLC0415 - NumPy, for those who need it

    nothing = set_of(name, ())
    kind = "added" if old is None else "removed" if new is None else "changed"
    old, new = old or nothing, new or nothing
    return SetChange(name, kind, only_in(new, old), only_in(old, new))
