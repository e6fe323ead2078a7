"""The labs that are up, read from the kernel."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from netns_lab import fabric, processes
from netns_lab.errors import NamespaceError
from netns_lab.namespace import Namespace, require_privileges
from netns_lab.netlink import Interface, request
from netns_lab.persistent import hosts_of
from xdpctl.labnames import LabHost, has_namespace


@dataclass(frozen=True, slots=True)
class Port:
    """An interface of a host, and what its cable leads to: `HOST:IFACE` of the same lab."""

    interface: Interface
    peer: str | None
    bridge: str | None


@dataclass(frozen=True, slots=True)
class HostState:
    """A host of a lab. It is not alive when its namespace was never made, or is gone."""

    host: LabHost
    alive: bool
    ports: tuple[Port, ...]
    processes: tuple[processes.Process, ...]


def survey(lab: str) -> list[HostState]:
    """The hosts of a lab, by name; none where there is no such lab. Raises PrivilegeError."""
    require_privileges()
    hosts = hosts_of(lab)
    with contextlib.ExitStack() as stack:
        namespaces: dict[LabHost, Namespace] = {}
        for host in filter(has_namespace, hosts):
            with contextlib.suppress(NamespaceError):  # it was taken down meanwhile
                namespace = Namespace(str(host), host.path)
                namespaces[host] = stack.enter_context(contextlib.closing(namespace))
        cables = {
            host: request(
                namespace,
                fabric.cabling,
                host.host,
                {far.host: each.fd for far, each in namespaces.items()},
            )
            for host, namespace in namespaces.items()
        }
        ids = {host: processes.namespace_id(each.fd) for host, each in namespaces.items()}
    running = processes.inside(ids.values())
    names = {
        (host.host, each.interface.index): f"{host.host}:{each.interface.name}"
        for host, rows in cables.items()
        for each in rows
    }
    return [
        HostState(
            host,
            alive=host in cables,
            ports=tuple(
                Port(
                    each.interface,
                    peer=names.get((each.peer_namespace or "", each.peer_index or 0)),
                    bridge=each.bridge,
                )
                for each in cables.get(host, ())
            ),
            processes=tuple(each for each in running if each.namespace == ids.get(host)),
        )
        for host in hosts
    ]
