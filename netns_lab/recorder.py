"""Frames of an interface, both ways, into a pcap file as they come.

The format: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-06.html
"""

from __future__ import annotations

import select
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from netns_lab.namespace import Namespace
from netns_lab.packet import count_lost, frame_buffer, listening_socket, receive

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
    """How many frames were written, and how many came faster than that."""

    written: int
    lost: int


def record(
    namespace: Namespace,
    interface_name: str,
    file: BinaryIO,
    *,
    stop: Callable[[], bool],
    ready: Callable[[], None],
    count: int | None = None,
    seconds: float | None = None,
) -> Recorded:
    """Records what arrives on an interface and what leaves it, until `stop()`, `count` frames,
    `seconds`, or the interface's end. Calls `ready()` once it listens.

    What XDP drops is not seen, nor what it redirects. Raises UnknownInterfaceError, OSError from
    writing the file.
    """
    subject = f"{namespace.name}: {interface_name}"
    deadline_s = None if seconds is None else time.monotonic() + seconds
    buffer = frame_buffer()
    written = 0
    with namespace.call(
        listening_socket, subject, interface_name, buffer_bytes=_BUFFER_BYTES, outgoing=True
    ) as sock:
        file.write(_HEADER.pack(_MAGIC_NANOSECONDS, *_VERSION, 0, 0, _SNAPLEN, _LINKTYPE_ETHERNET))
        file.flush()
        ready()
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        while written != count and not stop():
            remaining_s = _POLL_INTERVAL_S
            if deadline_s is not None:
                remaining_s = min(remaining_s, deadline_s - time.monotonic())
            if remaining_s <= 0:
                break
            received = receive(sock, buffer)
            if received is not None:
                seconds_, nanoseconds = divmod(received.time_ns, 10**9)
                length = len(received.frame)
                file.write(_RECORD.pack(seconds_, nanoseconds, length, length) + received.frame)
                written += 1
                continue
            file.flush()  # whoever reads along sees all there is
            if not sock.getsockname()[0]:
                break  # the interface is gone
            poll.poll(remaining_s * 1000)
        file.flush()
        return Recorded(written, count_lost(sock))
