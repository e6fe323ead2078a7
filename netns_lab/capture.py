"""Frames that arrive on an interface, as they were on the wire (packet(7))."""

import select
import time
from types import TracebackType
from typing import Self

from netns_lab.errors import CaptureLossError, CaptureTimeoutError
from netns_lab.namespace import Namespace
from netns_lab.packet import count_lost, frame_buffer, listening_socket, receive


class Capture:
    """What arrives on an interface from the moment this is made until `close()`.

    Frames wait in the kernel until `wait()` or `packets` reads them, or `close()` does. A frame
    that the interface sends is not captured, nor one that XDP dropped. Checksums that the host's
    own stack left to the hardware are incomplete, as they are on any veth.
    """

    def __init__(self, namespace: Namespace, interface_name: str, buffer_bytes: int) -> None:
        """Raises UnknownInterfaceError."""
        self._subject = f"{namespace.name}: {interface_name}"
        self._packets: list[bytes] = []
        self._lost = 0
        self._buffer = frame_buffer()
        self._socket = namespace.call(
            listening_socket, self._subject, interface_name, buffer_bytes=buffer_bytes
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def packets(self) -> list[bytes]:
        """The frames that have arrived so far, in order. Raises CaptureLossError."""
        self._read()
        return list(self._packets)

    def wait(self, count: int, timeout_s: float = 5.0) -> list[bytes]:
        """Returns all frames so far, as soon as they are `count` or more.

        Raises CaptureTimeoutError after `timeout_s` seconds, CaptureLossError where some are lost.
        """
        deadline_s = time.monotonic() + timeout_s
        self._read()
        while len(self._packets) < count:
            remaining_s = deadline_s - time.monotonic()
            if remaining_s <= 0 or self._closed:
                arrived = f"{len(self._packets)} of {count} frames arrived within {timeout_s} s"
                raise CaptureTimeoutError(f"{self._subject}: {arrived}")
            poll = select.poll()
            poll.register(self._socket, select.POLLIN)
            poll.poll(remaining_s * 1000)
            self._read()
        return list(self._packets)

    @property
    def _closed(self) -> bool:
        return self._socket.fileno() < 0

    def close(self) -> None:
        """Ends the capture; `packets` keeps what it has. Once closed, does nothing."""
        if not self._closed:
            try:
                self._read()
            finally:
                self._socket.close()

    def _read(self) -> None:
        """Takes over what waits in the kernel."""
        if not self._closed:
            while received := receive(self._socket, self._buffer):
                self._packets.append(received.frame)
            self._lost += count_lost(self._socket)
        if self._lost:
            raise CaptureLossError(
                f"{self._subject}: {self._lost} frames came faster than they were read; "
                f"wait() for fewer at a time"
            )
