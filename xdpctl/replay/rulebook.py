"""The ruleset of a replay: of a file, as it is when the first packet comes."""

from __future__ import annotations

import os
import time

from xdpctl.rules.mistakes import Mistake
from xdpctl.rules.model import Ruleset


class Rulebook:
    """A ruleset whose `expires: 10m` counts from a moment that is not known yet.

    Attributes:
        warnings: what is odd about its file without being wrong.
    """

    def __init__(self, ruleset: Ruleset | str | os.PathLike[str] | None) -> None:
        """Raises BadRuleset, WrongUsage."""
        self.warnings: tuple[Mistake, ...] = ()
        self._text = None
        if isinstance(ruleset, str | os.PathLike):
            from xdpctl.rules.reading import read_file  # noqa: PLC0415 - YAML

            self._text = read_file(os.fspath(ruleset))
            ruleset, self.warnings = self._text.reading(time.time())
        self._ruleset = ruleset

    @property
    def names(self) -> tuple[str, ...]:
        """Of the rules, in their order."""
        return () if self._ruleset is None else tuple(rule.name for rule in self._ruleset.rules)

    def at(self, first_ns: int) -> Ruleset | None:
        """The ruleset for packets of which the first comes at this Unix time. Raises BadRuleset."""
        ruleset = self._ruleset
        if self._text is None or ruleset is None:
            return ruleset
        if all(rule.expires is None for rule in ruleset.rules):
            return ruleset
        known = {each.source: each for each in ruleset.sets if each.source is not None}
        return self._text.reading(max(0, first_ns) / 10**9, known).ruleset
