"""Frames that arrive on an interface, as they were on the wire (packet(7))."""

import errno
import select
import socket
import struct
import time
from types import TracebackType
from typing import Self

from netns_lab.errors import CaptureLossError, CaptureTimeoutError
from netns_lab.namespace import Namespace
from netns_lab.packet import SOL_PACKET, packet_socket

_ETH_P_ALL = 0x0003  # include/uapi/linux/if_ether.h
_SO_RCVBUFFORCE = 33  # include/uapi/asm-generic/socket.h: SO_RCVBUF past rmem_max, for root
_PACKET_STATISTICS = 6  # include/uapi/linux/if_packet.h
_PACKET_AUXDATA = 8
_PACKET_IGNORE_OUTGOING = 23
_TP_STATUS_VLAN_VALID = 1 << 4
_TP_STATUS_VLAN_TPID_VALID = 1 << 6
_ETH_P_8021Q = 0x8100

# struct tpacket_auxdata: status, len, snaplen, mac, net, vlan_tci, vlan_tpid; host byte order.
_AUXDATA = struct.Struct("=IIIHHHH")
_STATISTICS = struct.Struct("=II")  # struct tpacket_stats: packets, drops

_MACS_LENGTH_BYTES = 12
_LONGEST_FRAME_BYTES = 1 << 20  # more than any that segmentation offload builds


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
        self._buffer = memoryview(bytearray(_LONGEST_FRAME_BYTES))
        self._socket = namespace.call(
            packet_socket,
            self._subject,
            interface_name,
            protocol=_ETH_P_ALL,
            options=(
                (socket.SOL_SOCKET, _SO_RCVBUFFORCE, buffer_bytes),
                (SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1),
                (SOL_PACKET, _PACKET_AUXDATA, 1),
            ),
        )
        self._socket.setblocking(False)

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
            while (frame := self._receive()) is not None:
                self._packets.append(frame)
            statistics = self._socket.getsockopt(SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size)
            self._lost += _STATISTICS.unpack(statistics)[1]  # reading it starts it anew
        if self._lost:
            raise CaptureLossError(
                f"{self._subject}: {self._lost} frames came faster than they were read; "
                f"wait() for fewer at a time"
            )

    def _receive(self) -> bytes | None:
        """The next frame that waits in the kernel, or None."""
        room = socket.CMSG_SPACE(_AUXDATA.size)
        while True:
            try:
                length, ancillary, _, _ = self._socket.recvmsg_into([self._buffer], room)
            except BlockingIOError:
                return None
            except OSError as error:
                if error.errno != errno.ENETDOWN:
                    raise
                continue  # the interface went down; it is told once, ahead of what had arrived
            return _with_vlan_tag(bytes(self._buffer[:length]), ancillary)


def _with_vlan_tag(frame: bytes, ancillary: list[tuple[int, int, bytes]]) -> bytes:
    """Puts back the outermost VLAN tag, which the kernel takes out of every frame it receives."""
    for level, kind, data in ancillary:
        if (level, kind) == (SOL_PACKET, _PACKET_AUXDATA):
            status, _, _, _, _, tci, tpid = _AUXDATA.unpack(data)
            if status & _TP_STATUS_VLAN_VALID:
                if not status & _TP_STATUS_VLAN_TPID_VALID:
                    tpid = _ETH_P_8021Q
                tag = struct.pack("!HH", tpid, tci)
                return frame[:_MACS_LENGTH_BYTES] + tag + frame[_MACS_LENGTH_BYTES:]
    return frame
