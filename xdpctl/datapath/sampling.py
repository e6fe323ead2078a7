"""Packets that the data plane hands out while it judges them, and what a reader says it wants."""

from __future__ import annotations

from typing import NamedTuple

BYTES_MAX = 65535
"""Of a frame, for a reader: what the kernel copies at a time."""

ONE_IN_MAX = 1_000_000

XDP_ACTIONS = {"aborted": 0, "drop": 1, "pass": 2}
"""enum xdp_action, by the names of verdicts."""

UNKNOWN_RULE = "?"
"""The rule of a ruleset that was there and gone before its rules were asked for."""


class Prefix(NamedTuple):
    """The bits of an address that are asked for; of IPv4 the lower 32 of the first half."""

    network: tuple[int, int] = (0, 0)
    mask: tuple[int, int] = (0, 0)


class Filter(NamedTuple):
    """What a packet must be at least.

    Attributes:
        version: 4 or 6; 0 for any, IP or not.
        protocol: the upper-layer protocol; None for any.
        source_port, destination_port: the first and the last; None for any.
        source, destination: of that version.
    """

    version: int = 0
    protocol: int | None = None
    source_port: tuple[int, int] | None = None
    destination_port: tuple[int, int] | None = None
    source: Prefix = Prefix()
    destination: Prefix = Prefix()


NO_FILTER = Filter()


class Wanted(NamedTuple):
    """What a reader wants.

    Attributes:
        one_in: of so many packets one, at random.
        bytes: of each frame, at most.
        verdicts: their names; empty for any.
        reasons: of packets that are dropped, by name; empty for any, and of those that pass.
        rule: the name of the rule that decides; None for any.
        filter: other packets are left out; it may let more through than it says.
    """

    one_in: int = 1
    bytes: int = BYTES_MAX
    verdicts: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    rule: str | None = None
    filter: Filter = NO_FILTER


class Sample(NamedTuple):
    """A packet as the data plane handed it out.

    Attributes:
        time_ns: Unix time in nanoseconds.
        length: of the frame in bytes; `data` may be less.
        data: from the frame's first byte on.
        queue: of the interface, that it came in by.
        protocol: as the statistics name it.
        verdict: what became of it.
        reason: why it was dropped; None where it was not.
        rule: the name of the rule that decided; None where none did, "?" of a ruleset that is gone.
        malformed: why it is, as the statistics name it; None where it is not.
    """

    time_ns: int
    length: int
    data: bytes
    queue: int
    cpu: int
    protocol: str
    verdict: str
    reason: str | None
    rule: str | None
    malformed: str | None
