"""Packets in batches: the bytes of many in one piece, and where each is in it."""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, SupportsBytes, TypeAlias

Octets: TypeAlias = bytes | bytearray | memoryview

Packet: TypeAlias = Octets | tuple[Any, Octets | SupportsBytes] | SupportsBytes
"""An Ethernet frame without its check sequence: bytes; a Unix time in seconds and bytes; or what
has both, as a packet of scapy's."""

_BATCH_PACKETS = 4096
_BATCH_BYTES = 1 << 20


class Packets(Protocol):
    """A batch as a replay takes it; that of a capture file is one.

    data: bytes of all packets, and maybe others.
    offsets, lengths: in `data`, of each packet.
    times_ns: Unix time of each.
    """

    @property
    def data(self) -> Octets: ...
    @property
    def offsets(self) -> Sequence[int]: ...
    @property
    def lengths(self) -> Sequence[int]: ...
    @property
    def times_ns(self) -> Sequence[int]: ...


class Frames(NamedTuple):
    """The same as a value."""

    data: Octets
    offsets: Sequence[int]
    lengths: Sequence[int]
    times_ns: Sequence[int]


def batches_of(packets: Iterable[Packet]) -> Iterator[Frames]:
    """What comes without a time comes with the packet before it, and the first one now."""
    frames: list[bytes] = []
    times_ns = array("q")
    total, time_ns = 0, time.time_ns()
    for packet in packets:
        frame, moment = _parts(packet)
        if moment is not None:
            time_ns = int(moment * 10**9)
        frames.append(frame)
        times_ns.append(min(max(time_ns, -(2**63)), 2**63 - 1))
        total += len(frame)
        if len(frames) == _BATCH_PACKETS or total >= _BATCH_BYTES:
            yield _joined(frames, times_ns)
            frames, times_ns, total = [], array("q"), 0
    if frames:
        yield _joined(frames, times_ns)


def _parts(packet: Packet) -> tuple[bytes, Any]:
    """The frame, and its time in seconds if it has one."""
    if isinstance(packet, bytes):
        return packet, None
    if isinstance(packet, tuple):
        moment, frame = packet
        return bytes(frame), moment
    return bytes(packet), getattr(packet, "time", None)


def _joined(frames: Sequence[bytes], times_ns: Sequence[int]) -> Frames:
    offsets, at = array("I"), 0
    for each in frames:
        offsets.append(at)
        at += len(each)
    return Frames(b"".join(frames), offsets, array("I", map(len, frames)), times_ns)


def parted(packets: Packets, packets_max: int, bytes_max: int, length_max: int) -> Iterator[Frames]:
    """The same in batches that are smaller, in their order.

    Args:
        packets_max: of each.
        bytes_max: of each, at least as much as `length_max`.
        length_max: of a packet; those that are longer keep their length and lose their bytes.
    """
    data = memoryview(packets.data)
    offsets, lengths, kept = array("I"), array("I"), bytearray()
    first = 0
    for number, (offset, length) in enumerate(zip(packets.offsets, packets.lengths, strict=True)):
        size = length if length <= length_max else 0
        if len(lengths) == packets_max or len(kept) + size > bytes_max:
            yield Frames(bytes(kept), offsets, lengths, packets.times_ns[first:number])
            offsets, lengths, kept, first = array("I"), array("I"), bytearray(), number
        offsets.append(len(kept))
        lengths.append(length)
        kept += data[offset : offset + size]
    if lengths:
        yield Frames(bytes(kept), offsets, lengths, packets.times_ns[first:])
