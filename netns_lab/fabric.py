"""Bridges, routes and what hosts know of each other: requests for `netns_lab.netlink.request()`.

Each raises UnknownInterfaceError, NameInUseError, or KernelError for all else.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netns_lab.errors import KernelError, UnknownInterfaceError
from netns_lab.netlink import Interface, IpAddress, Rtnl, name_in

BRIDGE = "br0"
_LOOPBACK = "lo"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A MAC address, and the IP addresses behind it."""

    mac: str
    addresses: tuple[IpAddress, ...]


def add_bridge(rtnl: Rtnl, ports: Mapping[str, Iterable[str]], mtu: int, *, quiet: bool) -> None:
    """Makes a bridge of ports, given with the MAC addresses beyond each.

    A quiet one knows these for good and floods none of their frames; it asks for no multicast
    listeners either.
    """
    with rtnl.about(BRIDGE):
        rtnl.ipr.link("add", kind="bridge", ifname=BRIDGE, br_mcast_snooping=int(not quiet))
    if quiet:
        rtnl.quieten(BRIDGE, mtu)
    for knob in Path("/proc/sys/net/bridge").glob("bridge-nf-call-*tables"):
        # Where br_netfilter is loaded, a bridge drops what iptables would, such as bad checksums.
        rtnl.write_sysctl(str(knob.relative_to("/proc/sys")), "0")
    bridge = rtnl.index_of(BRIDGE)
    for port, macs in ports.items():
        index = rtnl.index_of(port)
        with rtnl.about(f"{BRIDGE}: {port}"):
            rtnl.ipr.link("set", index=index, master=bridge)
            if quiet:  # a flood of frames from many addresses would fill its memory with them
                rtnl.ipr.brport("set", index=index, learning=0, unicast_flood=0)
            for mac in macs if quiet else ():
                # `permanent`, the default, is for addresses of the bridge's own: see bridge(8).
                rtnl.ipr.fdb("replace", ifindex=index, lladdr=mac, master=bridge, state="noarp")
    rtnl.set_up(BRIDGE)


def forward(rtnl: Rtnl) -> None:
    """Makes the host a router."""
    rtnl.write_sysctl("net/ipv4/ip_forward", "1")
    rtnl.write_sysctl("net/ipv6/conf/all/forwarding", "1")


def introduce(rtnl: Rtnl, interface: str, neighbours: Iterable[Neighbour]) -> None:
    """Tells an interface, for good, the MAC addresses of its neighbours."""
    index = rtnl.index_of(interface)
    for neighbour in neighbours:
        for address in neighbour.addresses:
            with rtnl.about(f"{interface}: {address}"):
                rtnl.ipr.neigh("replace", ifindex=index, dst=str(address), lladdr=neighbour.mac)


def add_default_routes(rtnl: Rtnl, gateways: Iterable[IpAddress]) -> None:
    """Sends by a gateway what goes to no network of the host's own."""
    for gateway in gateways:
        anywhere = "::/0" if gateway.version == 6 else "0.0.0.0/0"  # noqa: PLR2004
        with rtnl.about(f"default route by {gateway}"):
            rtnl.ipr.route("add", dst=anywhere, gateway=str(gateway))


def delete_links(rtnl: Rtnl) -> None:
    """Deletes all interfaces but `lo`, and with each its peer; returns when they are gone."""
    for interface in rtnl.interfaces():
        if interface.name == _LOOPBACK:
            continue
        try:
            rtnl.delete_index(interface.index, interface.name)
        except UnknownInterfaceError:
            continue  # it was the peer of one before
        except KernelError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            continue  # the kernel made it of itself, as it does sit0, and takes it away itself
        rtnl.await_gone(interface.index)


@dataclass(frozen=True, slots=True)
class Cabling:
    """An interface, and the far end of its cable where that lies in a namespace asked about."""

    interface: Interface
    peer_namespace: str | None
    peer_index: int | None
    bridge: str | None


def cabling(rtnl: Rtnl, own: str, namespaces: Mapping[str, int]) -> list[Cabling]:
    """The interfaces but `lo`; `namespaces` are names and descriptors, to find peers in. `own` is
    the name of this one."""
    by_id = {}
    for name, fd in namespaces.items():
        with rtnl.about(name):
            found = rtnl.ipr.get_netnsid(fd=fd)
        by_id[found["nsid"]] = name  # -1 where this namespace has no link into that one
    by_id[-1] = own
    rows = []
    with rtnl.about("interfaces"):
        links = {link["index"]: link for link in rtnl.ipr.link("dump")}
    for interface in rtnl.interfaces():
        link = links.get(interface.index)
        if interface.name == _LOOPBACK or link is None:
            continue
        nsid = link.get_attr("IFLA_LINK_NETNSID")
        namespace = by_id.get(-1 if nsid is None else nsid) if _is_cable(link) else None
        master = links.get(link.get_attr("IFLA_MASTER"))
        rows.append(
            Cabling(
                interface,
                peer_namespace=namespace,
                peer_index=link.get_attr("IFLA_LINK") if namespace else None,
                bridge=name_in(master) if master else None,
            )
        )
    return rows


def _is_cable(link: Any) -> bool:
    info = link.get_attr("IFLA_LINKINFO")
    return info is not None and info.get_attr("IFLA_INFO_KIND") == "veth"
