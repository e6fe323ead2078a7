"""Rules that every program under comparison can be given, and packets that meet them or do not.

Made up anew the same each time. Whether a rule matches is told here, by comparing numbers: it is
what the verdicts of all programs are held against before any time is taken.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Network
from itertools import product
from typing import NamedTuple

TCP, UDP = 6, 17
PORTS_MAX = 65535
HOSTS = PORTS = 64

Network = IPv4Network | IPv6Network
PortRange = tuple[int, int]


class FiveFields(NamedTuple):
    """A rule that drops; what is None is not asked for."""

    protocol: int
    destination_ports: PortRange
    source: Network
    destination: Network | None = None
    source_ports: PortRange | None = None


class Flow(NamedTuple):
    """What the rules see of a packet; addresses are numbers."""

    version: int
    source: int
    destination: int
    protocol: int
    source_port: int
    destination_port: int


class Policy(NamedTuple):
    """Rules, flows that a random one of them matches, and flows that none matches."""

    rules: Sequence[FiveFields]
    hits: Sequence[Flow]
    misses: Sequence[Flow]


def matches(rule: FiveFields, flow: Flow) -> bool:
    return (
        rule.source.version == flow.version
        and rule.protocol == flow.protocol
        and _holds(rule.source, flow.source)
        and (rule.destination is None or _holds(rule.destination, flow.destination))
        and _within(rule.source_ports, flow.source_port)
        and _within(rule.destination_ports, flow.destination_port)
    )


def _holds(network: Network, address: int) -> bool:
    first = int(network.network_address)
    return first <= address < first + network.num_addresses


def _within(ports: PortRange | None, port: int) -> bool:
    return ports is None or ports[0] <= port <= ports[1]


def random_policy(count: int, version: int, flows: int) -> Policy:
    """Five fields each: two prefixes of random length, UDP or TCP, a range of source ports, one
    destination port or a range."""
    dice = random.Random(f"{count} {version}")
    rules = [_random_rule(dice, version) for _ in range(count)]
    hits = [_flow_of(dice.choice(rules), dice) for _ in range(flows)]
    return Policy(rules, hits, _none_of(rules, lambda: _near_miss(rules, dice), flows))


def hard_policy(flows: int) -> Policy:
    """64 hosts times 64 ports, shuffled, but for the few pairs that are sent: of each the host and
    the port are listed, many times, and their pair is not."""
    dice = random.Random("hosts and ports")
    hosts = dice.sample(range(10 << 24, 11 << 24), HOSTS)
    ports = dice.sample(range(1, PORTS_MAX), PORTS)
    pairs = list(product(hosts, ports))
    dice.shuffle(pairs)
    sent, listed = pairs[:flows], pairs[flows:]
    rules = [FiveFields(UDP, (port, port), IPv4Network(host)) for host, port in listed]
    misses = [Flow(4, host, _DESTINATION, UDP, 40000, port) for host, port in sent]
    return Policy(rules, [_flow_of(dice.choice(rules), dice) for _ in range(flows)], misses)


_DESTINATION = int(IPv4Network("192.0.2.2").network_address)


def _random_rule(dice: random.Random, version: int) -> FiveFields:
    port = dice.randint(1, PORTS_MAX)
    last = port if dice.random() < 0.5 else min(PORTS_MAX, port + dice.randint(1, 1000))
    return FiveFields(
        protocol=dice.choice((TCP, UDP)),
        destination_ports=(port, last),
        source=_random_network(dice, version),
        destination=_random_network(dice, version),
        source_ports=tuple(sorted(dice.sample(range(PORTS_MAX + 1), 2))),  # type: ignore[arg-type]
    )


def _random_network(dice: random.Random, version: int) -> Network:
    if version == 4:
        address = dice.randrange(1 << 24, 224 << 24)
        return IPv4Network((address, dice.randint(8, 32)), strict=False)
    address = 1 << 125 | dice.getrandbits(125)  # in 2000::/3
    return IPv6Network((address, dice.randint(16, 128)), strict=False)


def _flow_of(rule: FiveFields, dice: random.Random) -> Flow:
    destination = rule.destination
    return Flow(
        rule.source.version,
        _address_in(rule.source, dice),
        _DESTINATION if destination is None else _address_in(destination, dice),
        rule.protocol,
        dice.randint(*(rule.source_ports or (0, PORTS_MAX))),
        dice.randint(*rule.destination_ports),
    )


def _address_in(network: Network, dice: random.Random) -> int:
    return int(network.network_address) + dice.randrange(network.num_addresses)


def _near_miss(rules: Sequence[FiveFields], dice: random.Random) -> Flow:
    """Each field is that of a rule, every one of another."""
    one, two, three = (_flow_of(dice.choice(rules), dice) for _ in range(3))
    return one._replace(
        destination=two.destination,
        source_port=two.source_port,
        destination_port=three.destination_port,
        # Of a single rule all fields are from there but this one.
        protocol=TCP + UDP - one.protocol if len(rules) == 1 else three.protocol,
    )


def _none_of(rules: Sequence[FiveFields], draw: Callable[[], Flow], count: int) -> list[Flow]:
    found: list[Flow] = []
    while len(found) < count:
        flow = draw()
        if not any(matches(rule, flow) for rule in rules):
            found.append(flow)
    return found
