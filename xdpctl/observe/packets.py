"""Packets of an interface as they come, for people to look at."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from xdpctl.datapath.interfaces import Interface
from xdpctl.datapath.sample_reader import RENEW_SECONDS, SampleReader
from xdpctl.datapath.sampling import Sample, Wanted
from xdpctl.errors import XdpctlError
from xdpctl.observe.packet_filter import PacketFilter
from xdpctl.pylibbpf.fd import Owner

LOOK_SECONDS = 0.05
"""How often to look whether packets have come."""

HEADERS_BYTES = 2048
"""So much of a packet is looked at for conditions, however little of it is wanted."""


class PacketSource(Owner):
    """One reader's packets that its filter lets through; a context manager."""

    def __init__(
        self,
        interface: Interface,
        wanted: Wanted,
        packet_filter: PacketFilter | None = None,
        *,
        ring_bytes: int = 1 << 20,
    ) -> None:
        """Raises as `SampleReader`."""
        self._filter = packet_filter or PacketFilter()
        self._bytes = wanted.bytes
        self._wanted = wanted._replace(
            filter=self._filter.for_the_data_plane(),
            bytes=max(wanted.bytes, HEADERS_BYTES if self._filter.conditions else 0),
        )
        self._reader = SampleReader(interface, self._wanted, ring_bytes=ring_bytes)
        self._renewed_at = time.monotonic()

    def read(self) -> list[Sample]:
        """What has come since the last time. Raises as `SampleReader.renew`."""
        found = [
            each._replace(data=each.data[: self._bytes])
            for each in self._reader.read()
            if self._filter.wants(each)
        ]
        if time.monotonic() - self._renewed_at >= RENEW_SECONDS:
            try:
                self._reader.renew()
            except XdpctlError:
                if not found:  # or else it is told when these have been handed over
                    raise
            else:
                self._renewed_at = time.monotonic()
        return found

    @property
    def one_in(self) -> int:
        return self._wanted.one_in

    def take_one_in(self, number: int) -> None:
        """Of so many packets one from now on. Raises as `SampleReader.renew`."""
        if number != self._wanted.one_in:
            self._wanted = self._wanted._replace(one_in=number)
            self._reader.want(self._wanted)

    @property
    def lost(self) -> int:
        """How many packets came too fast to be read; some of them the filter would have let
        through. Raises KernelRefused."""
        return self._reader.lost

    def close(self) -> None:
        self._reader.close()


def stream(
    source: PacketSource, wait: Callable[[float], bool], limit: int | None = None
) -> Iterator[list[Sample]]:
    """Batches of packets as they come, which may be empty; the last one when `wait` says stop.

    Args:
        wait: waits for so many seconds, and says whether to stop.
        limit: how many packets at most.

    Raises as `SampleReader.renew`.
    """
    left = limit
    stopped = False
    while not stopped and left != 0:
        stopped = wait(LOOK_SECONDS)
        found = source.read()[:left]
        yield found
        if left is not None:
            left -= len(found)
