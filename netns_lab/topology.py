"""What a lab that stays is made of: hosts, and links between them."""

from __future__ import annotations

import ipaddress
import string
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

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
