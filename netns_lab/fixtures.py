"""pytest fixtures: `lab` is an empty lab, `pair` two hosts joined by a link."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from netns_lab import Host, Lab, Link


@dataclass(frozen=True, slots=True)
class Pair:
    """Two hosts, each with an `eth0` at its end of a quiet link."""

    lab: Lab
    left: Host
    right: Host
    link: Link


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
