"""What a lab that stays is made of: hosts, and links between them."""

from __future__ import annotations

import ipaddress
import string
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from netns_lab.errors import InvalidValueError
from netns_lab.netlink import IpAddress, IpInterface
from netns_lab.validate import DEFAULT_MTU

DEFAULT_HOSTS = 3
MAX_HOSTS = len(string.ascii_lowercase)

_LEFT, _RIGHT = ("192.0.2", "2001:db8"), ("198.51.100", "2001:db8:1")  # RFC 5737, RFC 3849
_ROUTER = 254


@dataclass(frozen=True, slots=True)
class HostPlan:
    """A host: an end system, a router (`forward`), or a switch, whose interfaces are all ports of
    one bridge, `br0`."""

    name: str
    gateways: tuple[IpAddress, ...] = ()
    forward: bool = False
    bridge: bool = False


@dataclass(frozen=True, slots=True)
class EndPlan:
    """One end of a link."""

    host: str
    interface: str
    addresses: tuple[IpInterface, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """A link; where `queues` is None the kernel chooses."""

    left: EndPlan
    right: EndPlan
    mtu: int = DEFAULT_MTU
    queues: int | None = None

    @property
    def ends(self) -> tuple[EndPlan, EndPlan]:
        return (self.left, self.right)


@dataclass(frozen=True, slots=True)
class Topology:
    """A lab as it is to be; `quiet` as in `Lab.link()`, of all its links."""

    hosts: tuple[HostPlan, ...]
    links: tuple[LinkPlan, ...]
    quiet: bool = True

    def host(self, name: str) -> HostPlan:
        return next(each for each in self.hosts if each.name == name)

    def links_of(self, host: str) -> Iterator[tuple[LinkPlan, EndPlan, EndPlan]]:
        """The links of a host, each with its near and its far end."""
        for link in self.links:
            for near, far in (link.ends, link.ends[::-1]):
                if near.host == host:
                    yield link, near, far

    def beyond(self, link: LinkPlan, end: EndPlan) -> Iterator[EndPlan]:
        """The ends that a frame reaches which goes over `link` to `end`, through switches."""
        if not self.host(end.host).bridge:
            yield end
            return
        for other, near, far in self.links_of(end.host):
            if other is not link and near != end:
                yield from self.beyond(other, far)


class Conversation(NamedTuple):
    """An address of an end, and a host that reaches it."""

    to: EndPlan
    address: IpAddress
    sender: str


def conversation(plan: Topology) -> Conversation | None:
    """Two hosts that reach each other, over a cable or a switch, or by a router that both know;
    rather end systems than routers, and rather over IPv4."""
    routers = {host.name for host in plan.hosts if host.forward}

    def cost(each: Conversation) -> tuple[int, int]:
        return len(routers & {each.to.host, each.sender}), each.address.version

    return min((*_near(plan), *_routed(plan, routers)), key=cost, default=None)


def _near(plan: Topology) -> Iterator[Conversation]:
    for link, near, far, address in _listeners(plan):
        for end in reversed([*plan.beyond(link, far)]):
            if end.host != near.host and any(address.ip in each.network for each in end.addresses):
                yield Conversation(near, address.ip, end.host)


def _routed(plan: Topology, routers: set[str]) -> Iterator[Conversation]:
    owners = {address.ip: near.host for _, near, _, address in _listeners(plan)}
    by_router: dict[tuple[str, int], list[str]] = {}
    for host in plan.hosts:
        for gateway in host.gateways:
            by_router.setdefault((owners.get(gateway, ""), gateway.version), []).append(host.name)
    for _, near, _, address in _listeners(plan):
        for gateway in plan.host(near.host).gateways:
            router = owners.get(gateway, "")
            if router in routers and gateway in address.network:
                for sender in reversed(by_router[router, gateway.version]):
                    if sender != near.host:
                        yield Conversation(near, address.ip, sender)


def _listeners(plan: Topology) -> Iterator[tuple[LinkPlan, EndPlan, EndPlan, IpInterface]]:
    """Each address with its link, its end and the far one. Link-local ones need a zone, which each
    host calls otherwise."""
    for link in plan.links:
        for near, far in (link.ends, link.ends[::-1]):
            for address in near.addresses:
                if not address.is_link_local:
                    yield link, near, far, address


def pair() -> Topology:
    """Two hosts, joined by a link."""
    left, right = (EndPlan(name, "eth0", _addresses(_LEFT, n)) for n, name in _numbered("ab"))
    return Topology((HostPlan("a"), HostPlan("b")), (LinkPlan(left, right),))


def bridge(hosts: int = DEFAULT_HOSTS) -> Topology:
    """Several hosts on a bridge. Raises InvalidValueError."""
    if not 2 <= hosts <= MAX_HOSTS:  # noqa: PLR2004 - fewer need no bridge
        raise InvalidValueError(f"{hosts} hosts: not in 2..{MAX_HOSTS}")
    names = string.ascii_lowercase[:hosts]
    links = tuple(
        LinkPlan(EndPlan(name, "eth0", _addresses(_LEFT, n)), EndPlan("switch", f"to-{name}"))
        for n, name in _numbered(names)
    )
    return Topology((*map(HostPlan, names), HostPlan("switch", bridge=True)), links)


def routed() -> Topology:
    """Two networks, joined by a router."""
    hosts, links = [], []
    for n, (name, network) in enumerate((("a", _LEFT), ("b", _RIGHT))):
        gateways = _addresses(network, _ROUTER)
        hosts.append(HostPlan(name, gateways=tuple(each.ip for each in gateways)))
        near = EndPlan(name, "eth0", _addresses(network, 1))
        links.append(LinkPlan(near, EndPlan("router", f"eth{n}", gateways)))
    return Topology((*hosts, HostPlan("router", forward=True)), tuple(links))


BUILT_IN = {"pair": pair, "bridge": bridge, "routed": routed}


def _addresses(network: tuple[str, str], number: int) -> tuple[IpInterface, ...]:
    ipv4, ipv6 = network
    return (
        ipaddress.ip_interface(f"{ipv4}.{number}/24"),
        ipaddress.ip_interface(f"{ipv6}::{number:x}/64"),
    )


def _numbered(names: Iterable[str]) -> Iterator[tuple[int, str]]:
    return enumerate(names, start=1)
