"""The file that a command is given rules in."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from xdpctl.libc import keep_freed_memory

if TYPE_CHECKING:
    from xdpctl.rules.reading import Reading
    from xdpctl.rules.readsets import Known


def read_rules_file(path: str, known: Known | None = None) -> Reading:
    """As `xdpctl.rules.reading.read_ruleset`. Raises BadRuleset, WrongUsage.

    Args:
        known: sets by the paths of their lists, which are not read again if they are the same.
    """
    from xdpctl.rules.reading import read_ruleset  # noqa: PLC0415 - YAML

    keep_freed_memory()
    return read_ruleset(path, time.time(), known or {})
