"""Not locking oneself out: what would drop a lifeline of an interface is refused.

`find_lifelines()` says what the lifelines are, `refuse_cuts()` refuses on behalf of whoever is
about to drop packets, and `check_ruleset()` does both for a ruleset. `own_address_warnings()` is
about what is no reason to refuse.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from itertools import islice
from typing import NamedTuple

from xdpctl.datapath.addresses import has_own_wire, ipv4_addresses, mac_of
from xdpctl.datapath.interfaces import Interface
from xdpctl.datapath.procnet import default_routes, ipv6_addresses, neighbours
from xdpctl.datapath.ssh import namespace_id, ssh_connections
from xdpctl.errors import WouldLockOut
from xdpctl.rules.lifelines import (
    Connection,
    Cut,
    Lifeline,
    Surroundings,
    cut_by,
    drops_anything,
    judge_of,
    lifelines_of,
)
from xdpctl.rules.mistakes import Mistake
from xdpctl.rules.model import Ruleset
from xdpctl.rules.suspicious import covered

_OWN_NET, _OWN_NETNS = "/proc/thread-self/net", "/proc/thread-self/ns/net"
_GATEWAYS_MAX = 16
_SHOWN_MAX = 10
_NO_MAC = bytes(6)


class Lifelines(NamedTuple):
    """Of an interface.

    Attributes:
        connections: the SSH connections that this command came through, wherever they arrive;
            empty where none is found.
    """

    lifelines: tuple[Lifeline, ...]
    connections: tuple[Connection, ...]


def find_lifelines(interface: Interface) -> Lifelines:
    """The SSH connection that this command came through, if it arrives at the interface or may,
    the default gateways behind it, ARP and neighbour discovery. Raises nothing: what cannot be
    found out is left out."""
    found = ssh_connections()
    place = _Place(interface)
    here = namespace_id(_OWN_NETNS)
    arriving = tuple(
        each.connection
        for each in found
        if each.namespace == here and place.may_receive(each.connection)
    )
    around = place.surroundings()._replace(connections=arriving)
    return Lifelines(lifelines_of(around), tuple(each.connection for each in found))


def refuse_cuts(interface: Interface, cuts: tuple[Cut, ...]) -> None:
    """Raises WouldLockOut, with a line for each of them, if there are any."""
    lines = [
        f"{interface.name}: {each.culprit} would drop {each.lifeline.name}"
        for each in cuts[:_SHOWN_MAX]
    ]
    if len(cuts) > _SHOWN_MAX:
        lines.append(f"and {len(cuts) - _SHOWN_MAX} more lifelines")
    if lines:
        raise WouldLockOut("\n".join(lines), hint="--force overrides")


def check_ruleset(
    interface: Interface, running: Callable[[], Ruleset | None], new: Ruleset
) -> tuple[Connection, ...] | None:
    """Refuse a ruleset that would cut a lifeline which the running one does not cut.

    Args:
        running: gives the running one, where it matters; None where packets are only counted, or
            nothing is attached.

    Returns: the SSH connections that this command came through; None where the ruleset drops
    nothing, and they were not looked for.

    Raises WouldLockOut, and what `running` does.
    """
    if not drops_anything(new):
        return None
    lifelines, connections = find_lifelines(interface)
    now = time.time()
    judge = judge_of(new, lifelines, now)
    cuts = cut_by(lifelines, judge)
    if cuts and (old := running()) is not None:
        cuts = cut_by(lifelines, judge, judge_of(old, lifelines, now))
    refuse_cuts(interface, cuts)
    return connections


def own_address_warnings(
    interface: Interface, new: Ruleset, running: Callable[[], Ruleset | None]
) -> tuple[Mistake, ...]:
    """Of drop rules that cover an address of the interface's own which those of the running
    ruleset do not. Raises what `running` does, which is asked if it matters."""
    own = sorted(
        map(ip_address, _Place(interface).surroundings().addresses), key=lambda each: each.version
    )
    found = covered(new, own)
    if found and (old := running()) is not None:
        known = covered(old, own)
        found = tuple(each for each in found if each not in known)
    return tuple(Mistake("", 0, 0, str(each)) for each in found)


class _Place:
    """An interface among the others of its namespace."""

    def __init__(self, interface: Interface) -> None:
        self._name = interface.name
        self._addresses = [*ipv6_addresses(_OWN_NET)]
        with suppress(OSError):
            self._addresses += ipv4_addresses()

    def may_receive(self, connection: Connection) -> bool:
        """Whether a connection's packets may arrive here; in doubt they do."""
        if self._holders(connection.remote):  # from this host to itself
            return self._name == "lo"
        holders = self._holders(connection.local)
        return not holders or any(self._may_share(each) for each in holders)

    def surroundings(self) -> Surroundings:
        """All but the connections."""
        mac = _NO_MAC
        with suppress(OSError):  # renamed or deleted meanwhile
            mac = mac_of(self._name)
        routes = islice(default_routes(_OWN_NET), _GATEWAYS_MAX)
        return Surroundings(
            mac,
            tuple(address for name, address in self._addresses if name == self._name),
            tuple(
                dict.fromkeys(each.gateway for each in routes if self._may_share(each.interface))
            ),
            neighbours(_OWN_NET),
        )

    def _holders(self, address: bytes) -> set[str]:
        """The interfaces that have an address."""
        if len(address) == 4 and address[0] == 127:  # noqa: PLR2004 - RFC 1122, 3.2.1.3
            return {"lo"}
        return {name for name, each in self._addresses if each == address}

    def _may_share(self, other: str) -> bool:
        """Whether what another interface receives may have come in here: an address on `lo` is
        everybody's, and a VLAN, a bridge or a bond has other interfaces below it."""
        return other == self._name or not has_own_wire(other)
