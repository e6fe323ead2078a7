"""A cable between two hosts: a veth pair."""

import contextlib
from collections.abc import Set
from dataclasses import dataclass
from itertools import count

from netns_lab.errors import UnknownInterfaceError
from netns_lab.host import Host, Port
from netns_lab.netlink import MTU_WITHOUT_IPV6, Interface, IpInterface, Rtnl, VethEnd, request


@dataclass(frozen=True, slots=True)
class Link:
    """A cable between two hosts; it ends in a port on each."""

    left: Port
    right: Port

    def delete(self) -> None:
        """Deletes both interfaces; does nothing where they are gone already."""
        with contextlib.suppress(UnknownInterfaceError):
            self.left.host.delete(self.left.name)


@dataclass(frozen=True, slots=True)
class PortPlan:
    """A port to be made, of values that are valid; without a name it is the next free `ethN`."""

    host: Host
    name: str | None
    mac: str
    addresses: tuple[IpInterface, ...]


def connect(left: PortPlan, right: PortPlan, *, mtu: int, queues: int | None, quiet: bool) -> Link:
    """Makes a link; on return both ends can send. Where a step fails, nothing is left of it."""
    first_mtu = MTU_WITHOUT_IPV6 if quiet else mtu
    near = VethEnd(left.name or _free_name(left.host), left.mac, first_mtu, queues)
    reserved = {near.name} if left.host is right.host else set()
    far = VethEnd(right.name or _free_name(right.host, reserved), right.mac, first_mtu, queues)
    near_netns, far_netns = left.host.namespace, right.host.namespace

    with contextlib.ExitStack() as undo:
        request(near_netns, Rtnl.add_veth, near, far, far_netns.fd)
        undo.callback(left.host.delete, near.name)
        request(near_netns, _configure, near.name, left, right, mtu=mtu, quiet=quiet)
        far_interface = request(far_netns, _configure, far.name, right, left, mtu=mtu, quiet=quiet)
        near_interface = request(near_netns, Rtnl.settle, near.name)
        undo.pop_all()

    link = Link(_port(left, near_interface), _port(right, far_interface))
    link.left.host.peers[link.left.index] = link.right
    link.right.host.peers[link.right.index] = link.left
    return link


def _configure(
    rtnl: Rtnl, name: str, own: PortPlan, peer: PortPlan, *, mtu: int, quiet: bool
) -> Interface:
    spoken = {address.version for address in own.addresses}
    if quiet:
        rtnl.quieten(name, mtu)
    for address in own.addresses:
        rtnl.add_address(name, address, detect_duplicates=not quiet)
    rtnl.set_up(name)
    for address in peer.addresses:
        if quiet and address.version in spoken:  # it cannot ask for the peer's MAC address
            rtnl.add_neighbour(name, address.ip, peer.mac)
    return rtnl.interface(name)


def _port(plan: PortPlan, interface: Interface) -> Port:
    return Port(plan.host, interface.index, interface.mac, interface.addresses)


def _free_name(host: Host, reserved: Set[str] = frozenset()) -> str:
    taken = reserved | {interface.name for interface in host.interfaces()}
    return next(name for n in count() if (name := f"eth{n}") not in taken)
