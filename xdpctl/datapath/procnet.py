"""Connections, routes and addresses as /proc shows them (proc(5), proc_net_tcp.rst).

Files are read line by line and no further than a bound; a line that is not as it should be is
passed over.  Addresses are 4 or 16 bytes, in network order.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from xdpctl.rules.lifelines import Connection

_BYTES_MAX = 64 << 20  # a full table of IPv6 routes, or 400,000 connections
_LINE_BYTES_MAX = 4096
_ESTABLISHED = "01"  # net/tcp_states.h
_UP, _GATEWAY = 0x1, 0x2  # linux/route.h
_MAPPED = bytes(10) + b"\xff\xff"  # an IPv4 address in a socket of IPv6 (RFC 4291, 2.5.5.2)
_NO_IPV6 = bytes(16)
_MAC_COMPLETE = 0x2  # linux/if_arp.h, ATF_COM


class Established(NamedTuple):
    """A TCP connection, and the inode of its socket."""

    inode: int
    connection: Connection


class Route(NamedTuple):
    """A default route by way of a gateway."""

    interface: str
    gateway: bytes


def established(net: str) -> Iterator[Established]:
    """The established TCP connections.

    Args:
        net: the directory, such as /proc/PID/net.
    """
    for name in ("tcp", "tcp6"):
        for words in _lines(f"{net}/{name}"):
            with suppress(ValueError, IndexError):
                if words[3] == _ESTABLISHED:
                    local, remote = _endpoint(words[1]), _endpoint(words[2])
                    yield Established(int(words[9]), Connection(*remote, *local))


def default_routes(net: str) -> Iterator[Route]:
    """The default routes of both families, those of IPv4 first."""
    for words in _lines(f"{net}/route"):
        with suppress(ValueError, IndexError):
            name, target, gateway, flags, mask = (words[i] for i in (0, 1, 2, 3, 7))
            to_all = int(target, 16) == int(mask, 16) == 0
            if to_all and int(flags, 16) & (_UP | _GATEWAY) == _UP | _GATEWAY:
                yield Route(name, _in_network_order(gateway))
    for words in _lines(f"{net}/ipv6_route"):
        with suppress(ValueError, IndexError):
            if words[1] == "00" and int(words[8], 16) & (_UP | _GATEWAY) == _UP | _GATEWAY:
                gateway_ = bytes.fromhex(words[4])
                if len(gateway_) == len(_NO_IPV6) and gateway_ != _NO_IPV6:
                    yield Route(words[9], gateway_)


def ipv6_addresses(net: str) -> Iterator[tuple[str, bytes]]:
    """Interfaces and their IPv6 addresses."""
    for words in _lines(f"{net}/if_inet6"):
        with suppress(ValueError, IndexError):
            address = bytes.fromhex(words[0])
            if len(address) == len(_NO_IPV6):
                yield words[5], address


def neighbours(net: str) -> dict[bytes, bytes]:
    """The MAC addresses of IPv4's neighbours; those of IPv6's are not to be had here."""
    found = {}
    for words in _lines(f"{net}/arp"):
        with suppress(ValueError, IndexError, OSError):
            mac = bytes.fromhex(words[3].replace(":", ""))
            if int(words[2], 16) & _MAC_COMPLETE and len(mac) == 6:  # noqa: PLR2004 - bytes
                found[socket.inet_pton(socket.AF_INET, words[0])] = mac
    return found


def _lines(path: str) -> Iterator[list[str]]:
    """The words of each line; none of a file that is not there, as without IPv6."""
    try:
        with open(path, "rb") as file:
            left = _BYTES_MAX
            while left > 0 and (line := file.readline(_LINE_BYTES_MAX)):
                left -= len(line)
                yield line.decode("ascii", "replace").split()
    except OSError:
        return  # its process has ended, too


def _endpoint(text: str) -> tuple[bytes, int]:
    """Of `0100007F:0016`. Raises ValueError."""
    address, _, port = text.partition(":")
    octets = _in_network_order(address)
    if octets.startswith(_MAPPED):
        octets = octets.removeprefix(_MAPPED)
    number = int(port, 16)
    if len(octets) not in (4, 16) or not 0 <= number <= 0xFFFF:  # noqa: PLR2004 - bytes, ports
        raise ValueError(text)
    return octets, number


def _in_network_order(text: str) -> bytes:
    """An address that is shown as numbers of 32 bits in the host's order. Raises ValueError."""
    words = [bytes.fromhex(text[at : at + 8]) for at in range(0, len(text), 8)]
    if any(len(word) != 4 for word in words):  # noqa: PLR2004 - bytes
        raise ValueError(text)
    return b"".join(word if sys.byteorder == "big" else word[::-1] for word in words)
