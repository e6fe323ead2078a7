"""Frames of an interface, both ways, into a pcap file as they come.

The format: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-06.html
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from netns_lab.namespace import Namespace
from netns_lab.packet import count_lost, count_queued, frame_buffer, listening_socket, receive

_MAGIC_NANOSECONDS = 0xA1B23C4D
_VERSION = (2, 4)
_SNAPLEN = 1 << 20
_LINKTYPE_ETHERNET = 1
# Magic, version, two unused fields, the longest frame, the link type; host byte order.
_HEADER = struct.Struct("=IHHIIII")
_RECORD = struct.Struct("=IIII")  # seconds, nanoseconds, length in the file and on the wire

_BUFFER_BYTES = 64 << 20
_POLL_INTERVAL_S = 0.1  # a signal interrupts no poll() in Python; `stop` has to be asked


@dataclass(frozen=True, slots=True)
class Recorded:
    """How many frames were written, how many came faster than that, and whether it ended because
    the interface did."""

    written: int
    lost: int
    gone: bool


def listen(namespace: Namespace, interface_name: str) -> socket.socket:
    """A socket for `record()`: of what arrives on an interface and what leaves it. What XDP drops
    is not seen, nor what it redirects. Raises UnknownInterfaceError."""
    subject = f"{namespace.name}: {interface_name}"
    return namespace.call(
        listening_socket, subject, interface_name, buffer_bytes=_BUFFER_BYTES, outgoing=True
    )


def record(
    sock: socket.socket,
    file: BinaryIO,
    *,
    stop: Callable[[], bool],
    count: int | None = None,
    seconds: float | None = None,
) -> Recorded:
    """Records until `stop()`, `count` frames, `seconds`, or the interface's end. What had come by
    then is written. Raises OSError from writing the file.
    """
    end_s = None if seconds is None else time.monotonic() + seconds
    last: int | None = None  # the number of the last frame that came in time, once that is up
    lost = 0
    gone = False
    buffer = frame_buffer()
    written = 0
    file.write(_HEADER.pack(_MAGIC_NANOSECONDS, *_VERSION, 0, 0, _SNAPLEN, _LINKTYPE_ETHERNET))
    file.flush()
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    while written != count:
        remaining_s = _POLL_INTERVAL_S if end_s is None else end_s - time.monotonic()
        if last is None and (remaining_s <= 0 or stop()):
            # Not by the frames' times: the first ones may have got theirs when they were read.
            last, lost = count_queued(sock)
        if written == last:
            break
        received = receive(sock, buffer)
        if received is not None:
            seconds_, nanoseconds = divmod(received.time_ns, 10**9)
            length = len(received.frame)
            file.write(_RECORD.pack(seconds_, nanoseconds, length, length) + received.frame)
            written += 1
            continue
        file.flush()  # whoever reads along sees all there is
        gone = not sock.getsockname()[0]
        if gone or last is not None:
            break
        poll.poll(min(remaining_s, _POLL_INTERVAL_S) * 1000)
    file.flush()
    return Recorded(written, lost if last is not None else count_lost(sock), gone)
