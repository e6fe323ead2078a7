"""Names, addresses and sizes, checked before anything is changed.

Each function returns the value in the form that the kernel prints, or raises InvalidValueError.
"""

import ipaddress
import re
from collections.abc import Iterable

from netns_lab.errors import InvalidValueError
from netns_lab.netlink import IPV6_MIN_MTU, IpAddress, IpInterface
from xdpctl import labnames

DEFAULT_MTU = 1500  # bytes

_IFNAMSIZ = 16  # include/uapi/linux/if.h; the closing NUL is one of them
_MIN_MTU, _MAX_MTU = 68, 65535  # drivers/net/veth.c: ETH_MIN_MTU, ETH_MAX_MTU
_MAX_QUEUES = 4096  # net/core/rtnetlink.c: rtnl_create_link
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_MULTICAST_BIT = 0x01


def host_name(name: str) -> str:
    """One word without a slash, to be of use in messages and paths."""
    if not name or "/" in name or name.split() != [name]:
        raise InvalidValueError(f"{name!r}: a host's name is one word without a slash")
    return name


def lab_name(name: str) -> str:
    """A lab that stays, whose name is part of a path."""
    if not labnames.is_name(name):
        raise InvalidValueError(f"{name!r}: a lab's name is {labnames.NAME_RULE}")
    return name


def lab_host_name(name: str) -> str:
    """A host of a lab that stays, whose name is part of a path."""
    if not labnames.is_name(name):
        raise InvalidValueError(f"{name!r}: a host's name is {labnames.NAME_RULE}")
    return name


def numbered_mac(number: int) -> str:
    """The MAC address of a lab's nth port: 02:00:00:00:00:01 and so on, locally administered."""
    return "02:00:" + number.to_bytes(4).hex(":")


def interface_name(name: str) -> str:
    """What dev_valid_name() in net/core/dev.c takes."""
    if len(name.encode()) >= _IFNAMSIZ:
        raise InvalidValueError(f"{name}: an interface's name has at most {_IFNAMSIZ - 1} bytes")
    if name in ("", ".", "..") or re.search(r"[\s/:]", name):
        raise InvalidValueError(f"{name!r}: not a name for an interface")
    return name


def mac(text: str) -> str:
    """A unicast MAC address, as in `02:00:00:00:00:01`."""
    text = text.lower()
    if not _MAC.fullmatch(text) or text == "00:00:00:00:00:00":
        raise InvalidValueError(f"{text}: not a MAC address; one looks like 02:00:00:00:00:01")
    if int(text[:2], 16) & _MULTICAST_BIT:
        raise InvalidValueError(
            f"{text}: a multicast MAC address; an interface needs a unicast one"
        )
    return text


def ip_interface(text: str) -> IpInterface:
    """An IPv4 or IPv6 address with its prefix length, as in `192.0.2.1/24`."""
    try:
        return ipaddress.ip_interface(text)
    except ValueError as error:
        message = f"{text}: not an IP address; one looks like 192.0.2.1/24 or 2001:db8::1/64"
        raise InvalidValueError(message) from error


def ip_address(text: str) -> IpAddress:
    """An IPv4 or IPv6 address, as in `192.0.2.1`."""
    try:
        return ipaddress.ip_address(text)
    except ValueError as error:
        message = f"{text}: not an IP address; one looks like 192.0.2.1 or 2001:db8::1"
        raise InvalidValueError(message) from error


def mtu_for(size_bytes: int, addresses: Iterable[IpInterface]) -> int:
    """An MTU that veth takes, in bytes, and that suffices for the addresses."""
    if not _MIN_MTU <= size_bytes <= _MAX_MTU:
        raise InvalidValueError(f"mtu {size_bytes}: not in {_MIN_MTU}..{_MAX_MTU}")
    ipv6 = any(isinstance(address, ipaddress.IPv6Interface) for address in addresses)
    if ipv6 and size_bytes < IPV6_MIN_MTU:
        raise InvalidValueError(f"mtu {size_bytes}: IPv6 needs {IPV6_MIN_MTU}")
    return size_bytes


def queues(count: int | None) -> int | None:
    """A number of queues, or None."""
    if count is not None and not 1 <= count <= _MAX_QUEUES:
        raise InvalidValueError(f"queues {count}: not in 1..{_MAX_QUEUES}")
    return count
