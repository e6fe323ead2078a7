"""Sends frames by the million, counts them, and vouches for their arrival."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import NamedTuple, Protocol

from netns_lab.errors import SendError
from netns_lab.generator import FRAME_BYTES_MAX, FRAME_BYTES_MIN, Generator
from netns_lab.netlink import Interface, Rtnl
from netns_lab.pacing import Pacer
from netns_lab.peer import peer_of, polling
from netns_lab.sender import require_ready

TABLE_FRAMES = 1024  # 3.4 MB of kernel memory

_CHUNK = 1 << 15  # a few ms, after which Python has its turn
_VLAN_TAG_BYTES = 4
_VLAN_ETHERTYPES = (b"\x81\x00", b"\x88\xa8")
_PATIENCE_S = 1.0
_POLL_INTERVAL_S = 0.001

Entry = tuple[str, bytes]
"""What the caller calls a frame, and the frame."""


class Stop(Protocol):
    """Such as a threading.Event, which no signal handler may set, though: it may wait for ever."""

    def is_set(self) -> bool: ...

    def wait(self, seconds: float, /) -> bool: ...


class Tally(NamedTuple):
    """Frames, and their bytes from the destination MAC address on, without checksum."""

    packets: int
    bytes: int


@dataclass
class Sent:
    """What went out, and what did not.

    Attributes:
        seconds: from the first frame to the last.
        lost: of `packets`, those that the peer did not take: it went down, or its queue was full.
        too_short: frames left out for want of an Ethernet header.
        too_long: frames left out because they exceed the link's MTU or FRAME_BYTES_MAX.
        by_label: what was sent by what the caller calls a frame.
    """

    packets: int = 0
    bytes: int = 0
    seconds: float = 0.0
    lost: int = 0
    too_short: int = 0
    too_long: int = 0
    by_label: dict[str, Tally] = field(default_factory=dict)

    def add(self, table: list[Entry], count: int) -> None:
        """`count` frames of a table, with their labels, in their order and again from its start."""
        rounds, rest = divmod(count, len(table))
        for i, (label, frame) in enumerate(table):
            times = rounds + (i < rest)
            if times:
                before = self.by_label.get(label, Tally(0, 0))
                length = times * len(frame)
                self.by_label[label] = Tally(before.packets + times, before.bytes + length)
                self.bytes += length
        self.packets += count


def generate(
    interface_name: str,
    frames: Iterable[bytes],
    *,
    count: int | None = None,
    rate_pps: float | None = None,
    seconds: float | None = None,
    seed: int = 0,
    vary: bool = True,
    label: Callable[[bytes], str] = lambda frame: "all",
    on_progress: Callable[[int, float], object] = lambda packets, seconds: None,
    stop: Stop | None = None,
    subject: str = "",
) -> Sent:
    """Sends frames from a veth of the calling thread's namespace, as fast as one CPU can or at
    `rate_pps`: `count` of them or for `seconds`, whichever ends first, or else each once.

    They go in their order, and from the beginning again where more are wanted. Those of a long
    iterable are never kept: it is iterated over anew for each round. With `vary` no two that are
    sent are equal: the source MAC address is 06 and a number of 40 bits, and flows vary as
    `edits_of()` says, the same for the same `seed`. Without it frames are sent as they are.

    `on_progress` gets the packets and seconds so far; `stop` ends it early. On return the peer has
    taken all that is not `lost`. While it lasts, the peer's generic receive offload is on.

    Raises SendError where the interface cannot send, is no veth, or no frame is fit;
    UnknownInterfaceError; KernelError; what iterating over `frames` raises.
    """
    once = count is None and seconds is None
    with contextlib.closing(Rtnl(subject)) as rtnl, contextlib.ExitStack() as stack:
        interface = rtnl.settle(interface_name)
        subject = f"{subject}: {interface_name}" if subject else interface_name
        require_ready(subject, interface)
        peer = peer_of(subject, interface_name)
        sent = Sent()
        mtu = min(interface.mtu, peer.interface.mtu)
        tables = _Tables(frames, mtu, sent, label).in_turn(once)
        first = next(tables, None)
        if first is None:
            raise SendError(f"{subject}: no frame can be sent: {_left_out(sent, mtu)}")
        stack.enter_context(polling(peer))
        generator = Generator(interface.index, len(first.entries), seed=seed, vary=vary)
        stack.enter_context(generator)
        before = rtnl.interface(interface_name)
        run = _Run(generator, count, rate_pps, seconds, stop or threading.Event(), on_progress)
        for table in chain([first], tables):
            generator.load([frame for _, frame in table.entries])
            sent.add(table.entries, run.send(table.times))
            if run.finished:
                break
        sent.seconds = run.elapsed_s
        sent.lost = _lost(rtnl, before, sent.packets)
        return sent


def _left_out(sent: Sent, mtu: int) -> str:
    if not sent.too_short + sent.too_long:
        return "there is none"
    return (
        f"{sent.too_short} shorter than {FRAME_BYTES_MIN} bytes, "
        f"{sent.too_long} longer than {min(mtu + FRAME_BYTES_MIN, FRAME_BYTES_MAX)}"
    )


class _Table(NamedTuple):
    """Labels and frames, and how many frames to send of it; None for as many as are wanted."""

    entries: list[Entry]
    times: int | None


class _Tables:
    """The frames that can be sent, by the table; those that cannot are counted once."""

    def __init__(
        self, frames: Iterable[bytes], mtu: int, sent: Sent, label: Callable[[bytes], str]
    ) -> None:
        self._frames = frames
        self._mtu = mtu
        self._sent = sent
        self._label = label

    def in_turn(self, once: bool) -> Iterator[_Table]:
        """The first is the largest."""
        tables = self._round(self._sent)
        first, second = next(tables, None), next(tables, None)
        if first and not second:
            yield _Table(first, len(first) if once else None)
        elif first and second:
            for each in chain([first, second], tables):
                yield _Table(each, len(each))
            more = not once
            while more:
                more = False
                for each in self._round(Sent()):  # what is left out is counted already
                    yield _Table(each, len(each))
                    more = True

    def _round(self, sent: Sent) -> Iterator[list[Entry]]:
        fit = ((self._label(frame), frame) for frame in self._frames if self._fits(frame, sent))
        while table := list(islice(fit, TABLE_FRAMES)):
            yield table

    def _fits(self, frame: bytes, sent: Sent) -> bool:
        if len(frame) < FRAME_BYTES_MIN:
            sent.too_short += 1
            return False
        tag = _VLAN_TAG_BYTES if frame[12:14] in _VLAN_ETHERTYPES else 0
        if len(frame) > min(self._mtu + FRAME_BYTES_MIN + tag, FRAME_BYTES_MAX):
            sent.too_long += 1
            return False
        return True


class _Run:
    """Sends until there were enough, in packets or seconds, or somebody says stop."""

    def __init__(
        self,
        generator: Generator,
        count: int | None,
        rate_pps: float | None,
        seconds: float | None,
        stop: Stop,
        on_progress: Callable[[int, float], object],
    ) -> None:
        self._generator = generator
        self._count = count
        self._pacer = Pacer(rate_pps, time.monotonic) if rate_pps else None
        self._seconds = seconds
        self._stop = stop
        self._on_progress = on_progress
        self._sent = 0
        self._start_s = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        return time.monotonic() - self._start_s

    @property
    def finished(self) -> bool:
        return (
            self._stop.is_set()
            or (self._count is not None and self._sent >= self._count)
            or (self._seconds is not None and self.elapsed_s >= self._seconds)
        )

    def send(self, count: int | None) -> int:
        """Sends so many frames, or as many as there should be; returns how many they were."""
        done = 0
        while not self.finished and (count is None or done < count):
            wanted = [_CHUNK]
            wanted += [] if count is None else [count - done]
            wanted += [] if self._count is None else [self._count - self._sent]
            due = self._due(min(wanted))
            if due:
                now = self._generator.send(due)
                done += now
                self._sent += now
                self._on_progress(self._sent, self.elapsed_s)
        return done

    def _due(self, wanted: int) -> int:
        if self._pacer is None:
            return wanted
        due = self._pacer.due(wanted)
        if not due:
            wait_s = self._pacer.wait_s()
            if self._seconds is not None:
                wait_s = min(wait_s, max(0.0, self._seconds - self.elapsed_s))
            self._stop.wait(wait_s)
        return due


def _lost(rtnl: Rtnl, before: Interface, count: int) -> int:
    """How many of `count` frames never arrived, by the counters of the interface they left from.

    The kernel tells a generator nothing of a frame that was redirected to an interface that is
    down, or whose peer's ring is full.
    """
    arrived, deadline_s = -1, time.monotonic()
    while time.monotonic() <= deadline_s or arrived < 0:
        after = rtnl.interface(before.name)
        now = after.tx_packets - before.tx_packets
        if now >= count:
            return 0
        if now > arrived:
            arrived, deadline_s = now, time.monotonic() + _PATIENCE_S
        time.sleep(_POLL_INTERVAL_S)
    return count - arrived
