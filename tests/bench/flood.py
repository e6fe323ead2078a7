"""flood.bpf.c in the kernel: sends a table of frames and tells how long a packet takes.

The kernel times a test run of live frames itself, and leaves out what it spends on other
processes: on a busy machine too the figures stay. netns_lab's generator, which edits and numbers
its frames, takes longer for one than a program does that drops it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from netns_lab import Host
from netns_lab.netlink import Rtnl, request
from netns_lab.peer import peer_of, polling
from tests.bench.programs import compile_object
from xdpctl.pylibbpf import Object, xdp_context

FRAMES = 1024

# Fewer than the 64 that a receiver takes at a turn: then it is done before the next ones are made,
# in the time of the test run, and nothing is left for the kernel's own thread.
_BATCH = 32
_TRIAL = 1024
_TURN_NS = 300_000_000
_ETHERNET_BYTES = 14
_WORDS = 3


class Flood(contextlib.AbstractContextManager["Flood"]):
    """FRAMES frames of IPv4 and UDP, of one length, with the same MAC addresses."""

    def __init__(self, folder: Path, frames: Sequence[bytes], sources: int = 0) -> None:
        """Fewer frames are repeated. With `sources`, so many addresses take turns in them."""
        self._path = compile_object(folder, "flood")
        self._frames = frames
        self._sources = sources
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            self._object = undo.enter_context(Object.open(self._path))
            self._object.rodata.sources = self._sources
            self._object.load()
            self._object.maps.frames.update_batch(
                (i, {"words": _words(self._frames[i % len(self._frames)])}) for i in range(FRAMES)
            )
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def packet_ns(self, sender: Host, interface: str, receiver: Host, device: str) -> float:
        """Nanoseconds from one packet to the next, sender and receiver on one CPU.

        Raises AssertionError where one did not arrive.
        """
        before = rx_packets(receiver, device)
        sent, packet_ns = sender.call(self._run, sender, interface)
        arrived = rx_packets(receiver, device) - before
        assert arrived == sent, f"{sent - arrived} of {sent} packets did not arrive"
        return packet_ns

    def _run(self, sender: Host, interface: str) -> tuple[int, float]:
        # What a veth's peer does not poll, it does not take; with a program it does anyway.
        with polling(peer_of(sender.name, interface)), _on_one_cpu():
            ifindex = sender.ifindex(interface)
            count = max(_TRIAL, int(_TURN_NS / max(1, self._send(ifindex, _TRIAL))))
            return _TRIAL + count, self._send(ifindex, count)

    def _send(self, ifindex: int, count: int) -> float:
        frame = self._frames[0]
        done = self._object.programs.flood.test_run(
            frame,
            repeat=count,
            context=xdp_context(0, len(frame), ingress_ifindex=ifindex),
            live_frames=True,
            batch_size=_BATCH,
        )
        return float(done.duration_ns)


def _words(frame: bytes) -> tuple[int, ...]:
    ends = range(_ETHERNET_BYTES, _ETHERNET_BYTES + 8 * _WORDS, 8)
    return tuple(int.from_bytes(frame[at : at + 8], "little") for at in ends)


def rx_packets(host: Host, device: str) -> int:
    return request(host.namespace, Rtnl.interface, device).rx_packets


@contextlib.contextmanager
def _on_one_cpu() -> Iterator[None]:
    """Packets that are sent and received on different ones overrun a veth's ring."""
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(allowed)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)
