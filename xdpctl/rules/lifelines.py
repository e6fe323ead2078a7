"""What a host must not drop if its administrator is to reach it again, and what would drop it.

A lifeline is a few frames.  Whoever is about to drop packets, by rules or otherwise, says for a
frame what would drop it, and learns which lifelines that cuts.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from xdpctl.rules import probes
from xdpctl.rules.fields import FIELDS
from xdpctl.rules.frame import Packet, parse
from xdpctl.rules.model import Action, Rule, Ruleset
from xdpctl.rules.probes import ACK, AF21, PSH, SYN, Path
from xdpctl.rules.reference import holds, judge_packet

Judge = Callable[[bytes], str | None]
"""What would drop a frame, as a message says it (`rule telnet`); None where it passes."""

_IPV4_BYTES = 4
_SOME_PORT = 51514  # of the dynamic ones (RFC 6335, 6)

# Where it is not known who sends: of documentation (RFC 7042, 2.1.1; RFC 5737), and what
# a link-local address made of that MAC address is (RFC 4291, appendix A).
_SOME_MAC = bytes.fromhex("00005e005301")
_SOME_IPV4 = bytes([192, 0, 2, 254])
_SOME_LINK_LOCAL = bytes.fromhex("fe8000000000000002005efffe005301")
_OWN_LINK_LOCAL = bytes.fromhex("fe8000000000000002005efffe005302")


class Lifeline(NamedTuple):
    """What is not to be cut.

    Attributes:
        name: as the object of "would drop".
        frames: what arrives of it, Ethernet frames without check sequence.
        by_all: it is cut when all frames are dropped, not when any is.
        part_of: the lifeline whose being cut says this too; empty where there is none.
    """

    name: str
    frames: tuple[bytes, ...]
    by_all: bool = False
    part_of: str = ""


class Cut(NamedTuple):
    """A lifeline, and what would drop (the first dropped one of) its frames."""

    lifeline: Lifeline
    culprit: str


class Connection(NamedTuple):
    """A TCP connection; addresses are 4 or 16 bytes, in network order."""

    remote: bytes
    remote_port: int
    local: bytes
    local_port: int

    def __str__(self) -> str:
        address = text_of(self.remote)
        shown = address if len(self.remote) == _IPV4_BYTES else f"[{address}]"
        return f"{shown}:{self.remote_port}"


class Surroundings(NamedTuple):
    """What is known of an interface and of who sends to it.

    Attributes:
        mac: its own, 6 bytes.
        addresses: its own; IPv4 and IPv6.
        gateways: the default gateways behind it.
        macs: MAC addresses of neighbours, by address.
        connections: what SSH connections arrive there.
    """

    mac: bytes
    addresses: tuple[bytes, ...] = ()
    gateways: tuple[bytes, ...] = ()
    macs: Mapping[bytes, bytes] = MappingProxyType({})
    connections: tuple[Connection, ...] = ()


def text_of(address: bytes) -> str:
    """An address of 4 or 16 bytes as people write it."""
    family = socket.AF_INET if len(address) == _IPV4_BYTES else socket.AF_INET6
    return socket.inet_ntop(family, address)


def lifelines_of(around: Surroundings) -> tuple[Lifeline, ...]:
    """The SSH connections, the gateways, ARP and neighbour discovery of an interface."""
    found = [each for connection in around.connections for each in _ssh(around, connection)]
    found += [_gateway(around, address) for address in around.gateways]
    router_mac = _mac_of(around, *around.gateways)
    router = _first([each for each in around.gateways if len(each) == _IPV4_BYTES], _SOME_IPV4)
    own = _first([each for each in around.addresses if len(each) == _IPV4_BYTES], _SOME_IPV4)
    found.append(Lifeline("ARP", probes.arp(router_mac, around.mac, router, own)))
    router = _first(filter(_is_link_local, around.gateways), _SOME_LINK_LOCAL)
    own = _first(filter(_is_link_local, around.addresses), _OWN_LINK_LOCAL)
    frames = probes.neighbour_discovery(router_mac, around.mac, router, own)
    return (*found, Lifeline("neighbour discovery", frames))


def cut_by(
    lifelines: Iterable[Lifeline], judge: Judge, before: Judge = lambda _: None
) -> tuple[Cut, ...]:
    """The lifelines that would be cut.

    Args:
        judge: of what is about to be.
        before: of what is now: what is dropped already is no reason not to go on dropping it.
    """
    cuts: list[Cut] = []
    for each in lifelines:
        culprits = [judge(frame) for frame in each.frames]
        if each.by_all:
            if None in culprits or None not in map(before, each.frames):
                continue
        else:
            culprits = [
                culprit
                for culprit, frame in zip(culprits, each.frames, strict=True)
                if culprit and before(frame) is None
            ]
        if culprits and culprits[0] and each.part_of not in [cut.lifeline.name for cut in cuts]:
            cuts.append(Cut(each, culprits[0]))
    return tuple(cuts)


def judge_of(ruleset: Ruleset, lifelines: Iterable[Lifeline], now: float) -> Judge:
    """What a ruleset would do to the frames of lifelines, by the reference model.

    Args:
        now: Unix time in seconds.
    """
    packets = {frame: parse(frame) for each in lifelines for frame in each.frames}
    asked = _narrowed(ruleset, [*packets.values()], now)

    def judge(frame: bytes) -> str | None:
        verdict = judge_packet(asked, packets[frame], now)
        if verdict.action is Action.PASS:
            return None
        return f"rule {verdict.rule}" if verdict.rule else f"the {verdict.reason} policy"

    return judge


def drops_anything(ruleset: Ruleset) -> bool:
    """Whether there are sound packets that it could drop."""
    return ruleset.default is Action.DROP or any(
        rule.action is Action.DROP for rule in ruleset.rules
    )


def _narrowed(ruleset: Ruleset, packets: list[Packet], now: float) -> Ruleset:
    """Without the rules that match none of the packets, so that thousands of rules are asked about
    each value of a field once, and not about each packet."""
    sets = {each.name: each for each in ruleset.sets}
    # A condition sees nothing else of a packet than this.
    samples = {
        field: list(
            {(getattr(each, field), each.untagged, each.proto if field == "icmp" else 0): each
             for each in packets}.values()
        )
        for field in FIELDS
    }  # fmt: skip

    def may_match(rule: Rule) -> bool:
        return all(
            any(holds(field, condition, each, sets) for each in samples[field])
            for field, condition in rule.conditions.items()
        )

    return replace(ruleset, rules=tuple(rule for rule in ruleset.rules if may_match(rule)))


def _ssh(around: Surroundings, connection: Connection) -> tuple[Lifeline, Lifeline]:
    remote_port, local_port = connection.remote_port, connection.local_port
    mac = _mac_of(around, connection.remote, *around.gateways)
    path = Path(mac, around.mac, connection.remote, connection.local)
    name = f"the SSH connection from {connection} that this command came through"
    established = (
        path.tcp(remote_port, local_port, ACK, dscp=AF21),
        path.tcp(remote_port, local_port, PSH | ACK, dscp=AF21),
    )
    new = f"new SSH connections from {text_of(connection.remote)}"
    return (
        Lifeline(name, established),
        Lifeline(new, (path.tcp(_SOME_PORT, local_port, SYN),), part_of=name),
    )


def _gateway(around: Surroundings, gateway: bytes) -> Lifeline:
    """Something of each protocol: a rule may well drop one of them."""
    own = _first(_same_family(around.addresses, gateway), gateway)
    path = Path(_mac_of(around, gateway, *around.gateways), around.mac, gateway, own)
    frames = (
        path.echo(reply=True),
        path.echo(reply=False),
        path.tcp(_SOME_PORT, 22, SYN),
        path.tcp(443, _SOME_PORT, ACK),
        path.udp(53, _SOME_PORT),
        path.udp(67, 68),  # DHCP (RFC 2131, 4.1)
    )
    return Lifeline(f"packets from the default gateway {text_of(gateway)}", frames, by_all=True)


def _mac_of(around: Surroundings, *addresses: bytes) -> bytes:
    """Of the first address of which it is known."""
    return _first([around.macs[each] for each in addresses if each in around.macs], _SOME_MAC)


def _same_family(addresses: Iterable[bytes], other: bytes) -> list[bytes]:
    return [each for each in addresses if len(each) == len(other)]


def _is_link_local(address: bytes) -> bool:
    """fe80::/10 (RFC 4291, 2.5.6)."""
    return len(address) != _IPV4_BYTES and address[0] == 0xFE and address[1] & 0xC0 == 0x80  # noqa: PLR2004


def _first(found: Iterable[bytes], otherwise: bytes) -> bytes:
    return next(iter(found), otherwise)
