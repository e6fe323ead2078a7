"""pytest fixtures: `lab` is an empty lab, `pair` two hosts joined by a link, `attached` a pair in
which xdpctl counts what comes in at the right end.

A project that has this package installed has them, by its `pytest11` entry point.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from netns_lab import Host, Lab, Link

_COMMAND_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Pair:
    """Two hosts, each with an `eth0` at its end of a quiet link."""

    lab: Lab
    left: Host
    right: Host
    link: Link


@dataclass(frozen=True, slots=True)
class Attached(Pair):
    """A pair; `xdpctl` is attached to `eth0` of its right host."""

    def xdpctl(self, *arguments: str) -> str:
        """What `xdpctl ARGUMENTS` on the right host prints.

        Raises subprocess.CalledProcessError, with what it said as a note, where it fails.
        """
        command = [sys.executable, "-m", "xdpctl", *arguments]
        return self.right.run(command, timeout_s=_COMMAND_TIMEOUT_S).stdout

    def stats(self) -> Any:
        """The document that `xdpctl stats eth0 --json` prints."""
        return json.loads(self.xdpctl("stats", "eth0", "--json"))


@pytest.fixture
def lab() -> Iterator[Lab]:
    """An empty lab, gone when the test is over."""
    with Lab() as made:
        yield made


@pytest.fixture
def pair(lab: Lab) -> Pair:
    """Two hosts, `left` and `right`, joined by a veth pair."""
    left, right = lab.hosts("left", "right")
    return Pair(lab, left, right, lab.link(left, right))


@pytest.fixture
def attached(pair: Pair, request: pytest.FixtureRequest) -> Attached:
    """`pair` with `xdpctl attach` done, in driver mode; or in the mode that
    `@pytest.mark.parametrize("attached", ["driver", "skb"], indirect=True)` gives.
    """
    made = Attached(pair.lab, pair.left, pair.right, pair.link)
    made.xdpctl("attach", "eth0", "--mode", getattr(request, "param", "driver"))
    return made
