"""The far end of a veth, and whether it takes the frames that a generator sends.

A veth accepts redirected frames only while its peer polls (NAPI). A program in driver mode makes
it poll, and otherwise GRO does (drivers/net/veth.c: veth_napi_enable, ndo_xdp_xmit).
"""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_interface
from typing import Any

from netns_lab.errors import (
    KernelError,
    SendError,
    UnclearDestinationError,
    UnknownInterfaceError,
)
from netns_lab.netlink import Interface, Rtnl, refusal
from netns_lab.traffic import ENDS, Ends
from xdpctl.pylibbpf import netns

_SIOCETHTOOL = 0x8946  # include/uapi/linux/sockios.h
_ETHTOOL_GGRO, _ETHTOOL_SGRO = 0x2B, 0x2C  # include/uapi/linux/ethtool.h
_OWN_NETNS = "/proc/thread-self/ns/net"


@dataclass(frozen=True, slots=True)
class Peer:
    """The far end of a veth pair, a path of the namespace that it is in, and whether it is a port
    of a bridge there."""

    netns_path: str
    interface: Interface
    bridged: bool


def peer_of(subject: str, interface_name: str) -> Peer:
    """The peer of a veth of the calling thread's namespace, wherever it is.

    Raises SendError where the interface is no veth, or the peer's namespace cannot be found: one
    that neither a process nor a name in /run/netns refers to. UnknownInterfaceError.
    """
    import pyroute2  # type: ignore[import-untyped]  # noqa: PLC0415 - takes 0.2 s

    try:
        with contextlib.closing(pyroute2.IPRoute()) as ipr:
            link = ipr.link("get", ifname=interface_name)[0]
            info = link.get_attr("IFLA_LINKINFO")
            if info is None or info.get_attr("IFLA_INFO_KIND") != "veth":
                raise SendError(f"{subject}: not a veth, and only those take generated frames")
            index, nsid = link.get_attr("IFLA_LINK"), link.get_attr("IFLA_LINK_NETNSID")
            path = _OWN_NETNS if nsid is None else _path_of(ipr, nsid)
    except pyroute2.NetlinkError as error:
        raise refusal(subject, error.code) from error
    if path is None:
        raise SendError(f"{subject}: the namespace of its peer has no name and no process")
    with netns.entered(path), contextlib.closing(Rtnl(subject)) as rtnl:
        interface = rtnl.interface(rtnl.name_of(index))
        master = rtnl.ipr.link("get", index=index)[0].get_attr("IFLA_MASTER")
        return Peer(path, interface, bridged=master is not None)


def interface_towards(netns_path: str) -> str | None:
    """The interface of the calling thread's namespace whose peer is in that one."""
    with contextlib.closing(Rtnl("")) as rtnl:
        names = [interface.name for interface in rtnl.interfaces()]
    for name in names:
        with contextlib.suppress(SendError, UnknownInterfaceError):
            if _same(peer_of(name, name).netns_path, netns_path):
                return name
    return None


def ends_of(
    subject: str, interface_name: str, to_netns_path: str | None = None
) -> tuple[Ends, int]:
    """The addresses of frames from an interface to its peer, or through the peer, a bridge or a
    router, to a host further on, and the MTU in bytes; where an end has no address, one for
    documentation.

    Raises as `peer_of()`; UnclearDestinationError where it is a bridge and nobody is named.
    """
    peer = peer_of(subject, interface_name)
    with contextlib.closing(Rtnl(subject)) as rtnl:
        own = rtnl.interface(interface_name)
    far = next_hop = peer.interface
    if to_netns_path is not None and not _same(peer.netns_path, to_netns_path):
        with netns.entered(to_netns_path), contextlib.closing(Rtnl(subject)) as rtnl:
            others = [each for each in rtnl.interfaces()[1:] if each.addresses]
        far = next((each for each in others if _neighbours(own, each)), (*others, far)[0])
        next_hop = far if peer.bridged else next_hop
    elif peer.bridged:
        raise UnclearDestinationError(f"{subject}: leads to a bridge; say to which host")
    ends = Ends(
        source_mac=own.mac,
        destination_mac=next_hop.mac,
        source_ipv4=_address(own, 4) or ENDS.source_ipv4,
        destination_ipv4=_address(far, 4) or ENDS.destination_ipv4,
        source_ipv6=_address(own, 6) or ENDS.source_ipv6,
        destination_ipv6=_address(far, 6) or ENDS.destination_ipv6,
    )
    return ends, min(own.mtu, peer.interface.mtu)


def _neighbours(one: Interface, other: Interface) -> bool:
    """Whether both have an address of the same network."""

    def networks(interface: Interface) -> set[Any]:
        return {ip_interface(text).network for text in interface.addresses}

    return not networks(one).isdisjoint(networks(other))


def _address(interface: Interface, version: int) -> str | None:
    parsed = (ip_interface(text).ip for text in interface.addresses)
    return next((str(ip) for ip in parsed if ip.version == version and not ip.is_link_local), None)


def _same(path: str, other: str) -> bool:
    try:
        return os.path.samefile(path, other)
    except OSError:
        return False


def _path_of(ipr: Any, nsid: int) -> str | None:
    """A path of the namespace that the socket's own knows by that id."""
    for path in _namespaces():
        with contextlib.suppress(OSError):  # gone meanwhile
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                if _nsid_of(ipr, fd) == nsid:
                    return path
            finally:
                os.close(fd)
    return None


def _nsid_of(ipr: Any, fd: int) -> int | None:
    """None where the file is no namespace: a name that is being made or taken away, or that was
    left behind by whom it was killed with, is a plain file."""
    import pyroute2  # noqa: PLC0415

    try:
        nsid: int = ipr.get_netnsid(fd=fd)["nsid"]
    except pyroute2.NetlinkError as error:
        if error.code != errno.EINVAL:
            raise
        return None
    return nsid


def _namespaces() -> Iterator[str]:
    """One path of each network namespace that has a name or a process."""
    seen = set()
    with contextlib.ExitStack() as stack:
        for directory, suffix in (("/run/netns", ""), ("/proc", "/ns/net")):
            with contextlib.suppress(OSError):
                entries = stack.enter_context(os.scandir(directory))
                for entry in entries:
                    if suffix and not entry.name.isdigit():
                        continue
                    path = entry.path + suffix
                    with contextlib.suppress(OSError):
                        status = os.stat(path)
                        if (status.st_dev, status.st_ino) not in seen:
                            seen.add((status.st_dev, status.st_ino))
                            yield path


@contextlib.contextmanager
def polling(peer: Peer) -> Iterator[None]:
    """The peer polls, whether it has a program in driver mode or not; afterwards it is as it was.

    Raises KernelError.
    """
    name = peer.interface.name
    fd = os.open(peer.netns_path, os.O_RDONLY | os.O_CLOEXEC)  # the path is a process's: it may end
    try:
        with netns.entered(f"/proc/self/fd/{fd}"):
            was_on = _gro(name)
            if not was_on:
                _set_gro(name, on=True)
        try:
            yield
        finally:
            if not was_on:
                with (
                    contextlib.suppress(KernelError, UnknownInterfaceError),  # deleted meanwhile
                    netns.entered(f"/proc/self/fd/{fd}"),
                ):
                    _set_gro(name, on=False)
    finally:
        os.close(fd)


def _gro(name: str) -> bool:
    return bool(_ethtool(name, _ETHTOOL_GGRO, 0))


def _set_gro(name: str, *, on: bool) -> None:
    _ethtool(name, _ETHTOOL_SGRO, int(on))


def _ethtool(name: str, command: int, value: int) -> int:
    """struct ethtool_value by way of struct ifreq; the calling thread's namespace."""
    data = array.array("I", (command, value))
    request = struct.pack("16sP16x", name.encode(), data.buffer_info()[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            fcntl.ioctl(sock, _SIOCETHTOOL, request)
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:
                return 0
            raise refusal(f"{name}: generic receive offload", error.errno or 0) from error
    return data[1]
