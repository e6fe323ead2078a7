"""Sockets that send and receive whole Ethernet frames (packet(7))."""

import errno
import socket
import struct
import time
from collections.abc import Iterable
from typing import NamedTuple

from netns_lab.netlink import refusal

_SOL_PACKET = 263  # include/linux/socket.h
_ETH_P_ALL = 0x0003  # include/uapi/linux/if_ether.h
_ETH_P_8021Q = 0x8100
_SO_RCVBUFFORCE = 33  # include/uapi/asm-generic/socket.h: SO_RCVBUF past rmem_max, for root
_SO_TIMESTAMPNS = 35
_PACKET_STATISTICS = 6  # include/uapi/linux/if_packet.h
_PACKET_AUXDATA = 8
_PACKET_IGNORE_OUTGOING = 23
_TP_STATUS_VLAN_VALID = 1 << 4
_TP_STATUS_VLAN_TPID_VALID = 1 << 6

# struct tpacket_auxdata: status, len, snaplen, mac, net, vlan_tci, vlan_tpid; host byte order.
_AUXDATA = struct.Struct("=IIIHHHH")
_STATISTICS = struct.Struct("=II")  # struct tpacket_stats: packets, drops
_TIMESPEC = struct.Struct("@ll")  # seconds, nanoseconds

_MACS_LENGTH_BYTES = 12
_LONGEST_FRAME_BYTES = 1 << 20  # more than any that segmentation offload builds


class Received(NamedTuple):
    """A frame as it was on the wire, and when the kernel saw it, by CLOCK_REALTIME."""

    frame: bytes
    time_ns: int


def packet_socket(
    subject: str,
    interface_name: str,
    *,
    protocol: int,
    options: Iterable[tuple[int, int, int]] = (),
) -> socket.socket:
    """A raw packet socket on one interface of the calling thread's network namespace.

    It receives frames of `protocol`, an EtherType in host byte order; 0 is for none. `options`
    are level, name and value for setsockopt(2). `subject` is what an error is about.
    Raises UnknownInterfaceError, or KernelError for all else.
    """
    # The protocol is told by bind(). A socket made with it would hear all interfaces until then.
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    try:
        for option in options:
            sock.setsockopt(*option)
        sock.bind((interface_name, protocol))
    except OSError as error:
        sock.close()
        raise refusal(subject, error.errno or 0) from error
    except UnicodeEncodeError as error:  # Python binds to names in UTF-8 only
        sock.close()
        raise refusal(subject, errno.ENODEV) from error
    return sock


def listening_socket(
    subject: str, interface_name: str, *, buffer_bytes: int, outgoing: bool = False
) -> socket.socket:
    """A socket, not blocking, for `receive()`: of what arrives, and what leaves if `outgoing`.

    The kernel holds up to about twice `buffer_bytes` of frames that were not read yet.
    Raises UnknownInterfaceError, or KernelError for all else.
    """
    sock = packet_socket(
        subject,
        interface_name,
        protocol=_ETH_P_ALL,
        options=(
            (socket.SOL_SOCKET, _SO_RCVBUFFORCE, buffer_bytes),
            (socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1),
            (_SOL_PACKET, _PACKET_IGNORE_OUTGOING, int(not outgoing)),
            (_SOL_PACKET, _PACKET_AUXDATA, 1),
        ),
    )
    sock.setblocking(False)
    return sock


def frame_buffer() -> memoryview:
    """Room for the longest frame."""
    return memoryview(bytearray(_LONGEST_FRAME_BYTES))


def receive(sock: socket.socket, buffer: memoryview) -> Received | None:
    """The next frame that waits in the kernel, or None."""
    room = socket.CMSG_SPACE(_AUXDATA.size) + socket.CMSG_SPACE(_TIMESPEC.size)
    while True:
        try:
            length, ancillary, _, _ = sock.recvmsg_into([buffer], room)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno != errno.ENETDOWN:
                raise
            continue  # the interface went down; it is told once, ahead of what had arrived
        return _received(bytes(buffer[:length]), ancillary)


def count_lost(sock: socket.socket) -> int:
    """How many frames found no room since the socket was asked last, by this or the next."""
    return count_queued(sock)[1]


def count_queued(sock: socket.socket) -> tuple[int, int]:
    """How many frames found room, read or not, since the socket was asked last; how many none."""
    statistics = sock.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size)
    arrived, lost = _STATISTICS.unpack(statistics)
    return arrived - lost, lost


def _received(frame: bytes, ancillary: list[tuple[int, int, bytes]]) -> Received:
    """Puts back the outermost VLAN tag, which the kernel takes out of every frame it receives."""
    time_ns = None
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
            seconds, nanoseconds = _TIMESPEC.unpack(data)
            time_ns = seconds * 10**9 + nanoseconds
        elif (level, kind) == (_SOL_PACKET, _PACKET_AUXDATA):
            status, _, _, _, _, tci, tpid = _AUXDATA.unpack(data)
            if status & _TP_STATUS_VLAN_VALID:
                if not status & _TP_STATUS_VLAN_TPID_VALID:
                    tpid = _ETH_P_8021Q
                tag = struct.pack("!HH", tpid, tci)
                frame = frame[:_MACS_LENGTH_BYTES] + tag + frame[_MACS_LENGTH_BYTES:]
    return Received(frame, time.time_ns() if time_ns is None else time_ns)
