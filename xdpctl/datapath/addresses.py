"""What ioctl(2) says of interfaces of the calling thread's namespace (netdevice(7))."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
from array import array
from collections.abc import Iterator

# linux/sockios.h, linux/ethtool.h
_SIOCGIFCONF, _SIOCGIFHWADDR, _SIOCETHTOOL = 0x8912, 0x8927, 0x8946
_ETHTOOL_GDRVINFO = 3
_IFNAMSIZ = 16
_IFREQ_BYTES = _IFNAMSIZ + struct.calcsize("LLHBBB0L")  # its largest member is struct ifmap
_DRVINFO_BYTES, _DRIVER_AT, _BUS_AT, _TEXT_BYTES = 196, 4, 100, 32
_ADDRESSES_MAX = 16384


def mac_of(interface: str) -> bytes:
    """6 bytes. Raises OSError."""
    with _socket() as asking:
        request = struct.pack(f"{_IFREQ_BYTES}s", os.fsencode(interface))
        return fcntl.ioctl(asking, _SIOCGIFHWADDR, request)[_IFNAMSIZ + 2 : _IFNAMSIZ + 8]


def ipv4_addresses() -> Iterator[tuple[str, bytes]]:
    """All interfaces and their IPv4 addresses, 4 bytes each. Raises OSError."""
    answer = array("B", bytes(_ADDRESSES_MAX * _IFREQ_BYTES))
    with _socket() as asking:
        request = struct.pack("iP", len(answer), answer.buffer_info()[0])
        used, _ = struct.unpack("iP", fcntl.ioctl(asking, _SIOCGIFCONF, request))
    found = answer.tobytes()[:used]
    for at in range(0, used, _IFREQ_BYTES):
        label = found[at : at + _IFNAMSIZ].partition(b"\0")[0].decode("utf-8", "replace")
        address = found[at + _IFNAMSIZ + 4 : at + _IFNAMSIZ + 8]  # struct sockaddr_in
        yield label.partition(":")[0], address  # `eth0:1` is an address of eth0


def has_own_wire(interface: str) -> bool:
    """Whether its packets come from its own device (or from a veth's other end), so that they
    pass no other interface of this namespace before, as those of VLANs, bridges and bonds do."""
    answer = array("B", bytes(_DRVINFO_BYTES))
    struct.pack_into("I", answer, 0, _ETHTOOL_GDRVINFO)
    request = struct.pack(f"{_IFNAMSIZ}sP", os.fsencode(interface), answer.buffer_info()[0])
    try:
        with _socket() as asking:
            fcntl.ioctl(asking, _SIOCETHTOOL, request.ljust(_IFREQ_BYTES, b"\0"))
    except OSError:
        return False
    driver, bus = (
        answer[at : at + _TEXT_BYTES].tobytes().partition(b"\0")[0] for at in (_DRIVER_AT, _BUS_AT)
    )
    return driver == b"veth" or bool(bus)


def _socket() -> socket.socket:
    return socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
