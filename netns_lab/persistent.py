"""Labs that stay when the process ends: made, listed, and taken down again.

A host's namespace is bound to a file in /run/netns (see `xdpctl.labnames`), and links are made
inside the namespaces: nothing of a lab ever lies outside, and no record of it is kept that the
kernel does not keep. So whatever a dead process left is a lab like any other.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count

from netns_lab import fabric, processes, validate
from netns_lab.errors import (
    InsideLabError,
    LabBusyError,
    NameInUseError,
    NamespaceError,
    UnknownLabError,
)
from netns_lab.host import Host
from netns_lab.link import PortPlan, connect
from netns_lab.namespace import Namespace, Spawner, require_privileges
from netns_lab.netlink import Rtnl, request
from netns_lab.processes import NamespaceId, Process
from netns_lab.topology import EndPlan, LinkPlan, Topology
from xdpctl import labnames
from xdpctl.labnames import LabHost, has_namespace
from xdpctl.pylibbpf import netns

_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Down:
    """A lab that was taken down, and what ran on its hosts and was ended."""

    lab: str
    hosts: tuple[LabHost, ...]
    ended: tuple[Process, ...]


def up(lab: str, topology: Topology) -> None:
    """Makes a lab, all of it or, where a step fails, nothing.

    Raises InvalidValueError, NameInUseError, KernelError, NamespaceError, PrivilegeError,
    InsideLabError.
    """
    require_privileges()
    validate.lab_name(lab)
    for plan in topology.hosts:
        validate.lab_host_name(plan.name)
    hosts = {plan.name: LabHost(lab, plan.name) for plan in topology.hosts}
    _require_outside()
    with _locked():
        if hosts_of(lab):
            raise NameInUseError(f"{lab}: a lab of that name is up")
        made: list[LabHost] = []
        try:
            for host in hosts.values():
                made.append(host)  # before: a Ctrl-C may come at any moment
                _create(host)
            with contextlib.ExitStack() as stack:
                spawner = Spawner()
                stack.callback(spawner.close)
                opened = {}
                for name, host in hosts.items():
                    opened[name] = open_host(host, spawner)
                    stack.callback(opened[name].close)
                _build(topology, opened)
        except FileExistsError as error:  # made by somebody who knows no locks
            made.pop()
            _remove(made)
            raise NameInUseError(f"{error.filename}: exists already") from error
        except BaseException:
            _remove(made)
            raise


def down(lab: str, *, end_processes: bool = False) -> Down:
    """Takes a lab down; on return its links are gone.

    Raises UnknownLabError; LabBusyError where processes run on its hosts and are not to be ended;
    InsideLabError where one of them has started this one; NamespaceError for what is no namespace.
    """
    require_privileges()
    with _locked():
        hosts = hosts_of(lab)
        if not hosts:
            raise UnknownLabError(f"{lab}: no such lab")
        for host in hosts:
            _require_removable(host)
        found = {processes.namespace_id(each.path): each for each in hosts if has_namespace(each)}
        running = processes.inside(found)
        ancestors = processes.ancestors()
        above = [each for each in running if each.pid in ancestors]
        if above:
            raise InsideLabError(
                f"{lab}: this command runs on its host {found[above[0].namespace].host}"
            )
        if running and not end_processes:
            where = ", ".join(f"{each} on {found[each.namespace].host}" for each in running)
            raise LabBusyError(f"{lab}: still in use by process {where}")
        ended = _end_all(lab, found)
        _remove(hosts)
    return Down(lab, tuple(hosts), ended)


def labs() -> list[str]:
    """The names of all labs."""
    return sorted({each.lab for each in labnames.lab_hosts()})


def hosts_of(lab: str) -> list[LabHost]:
    """The hosts of a lab, by name; none where there is no such lab."""
    return [each for each in labnames.lab_hosts() if each.lab == lab]


def open_host(host: LabHost, spawner: Spawner) -> Host:
    """A host of a lab that stays. Raises NamespaceError."""
    return Host(str(host), Namespace(str(host), host.path), spawner)


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """The only one, of us and of `ip netns add`, to change what is in /run/netns. So nobody takes
    down, or makes again, a lab that is half made."""
    try:
        os.makedirs(labnames.DIRECTORY, exist_ok=True)
        directory = os.open(labnames.DIRECTORY, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise NamespaceError(f"{labnames.DIRECTORY}: {error.strerror}") from error
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


def _create(host: LabHost) -> None:
    try:
        netns.share_directory(labnames.DIRECTORY)
        netns.create(host.path)
    except FileExistsError:
        raise
    except OSError as error:
        raise NamespaceError(f"{host}: cannot make a namespace: {error.strerror}") from error


def _build(topology: Topology, hosts: dict[str, Host]) -> None:
    """Routers first: what forwards is then told so before it has an interface to speak on."""
    for plan in topology.hosts:
        request(hosts[plan.name].namespace, Rtnl.set_up, "lo")
        if plan.forward:
            request(hosts[plan.name].namespace, fabric.forward)
    numbers = count(1)
    macs: dict[EndPlan, str] = {}
    for link in topology.links:
        for end in link.ends:
            macs[end] = validate.numbered_mac(next(numbers))
        left, right = (
            PortPlan(hosts[end.host], end.interface, macs[end], end.addresses) for end in link.ends
        )
        connect(left, right, mtu=link.mtu, queues=link.queues, quiet=topology.quiet)
    for plan in topology.hosts:
        namespace = hosts[plan.name].namespace
        links = list(topology.links_of(plan.name))
        if plan.bridge:
            mtu = min((link.mtu for link, _, _ in links), default=validate.DEFAULT_MTU)
            ports = {
                near.interface: [macs[end] for end in topology.beyond(link, far)]
                for link, near, far in links
            }
            request(namespace, fabric.add_bridge, ports, mtu, quiet=topology.quiet)
        elif topology.quiet:
            for link, near, far in links:
                if topology.host(far.host).bridge:
                    known = _neighbours(topology, link, near, far, macs)
                    request(namespace, fabric.introduce, near.interface, known)
        if plan.gateways:
            request(namespace, fabric.add_default_routes, plan.gateways)


def _neighbours(
    topology: Topology, link: LinkPlan, near: EndPlan, far: EndPlan, macs: dict[EndPlan, str]
) -> list[fabric.Neighbour]:
    """What is behind a switch, of the IP versions that the near end speaks."""
    spoken = {address.version for address in near.addresses}
    return [
        fabric.Neighbour(
            macs[end], tuple(each.ip for each in end.addresses if each.version in spoken)
        )
        for end in topology.beyond(link, far)
    ]


def _require_outside() -> None:
    """`ip netns exec` gives a shell on a host mounts of its own; a lab made there would be broken
    for everybody else, and end with the shell."""
    own = processes.namespace_id("/proc/self/ns/net")
    for host in labnames.lab_hosts():
        if has_namespace(host) and processes.namespace_id(host.path) == own:
            raise InsideLabError(
                f"this command runs on host {host}; a lab is made outside of others"
            )


def _require_removable(host: LabHost) -> None:
    """A namespace, or the empty file that one was to be bound to; all else is somebody else's."""
    found = os.lstat(host.path)
    empty = stat.S_ISREG(found.st_mode) and found.st_size == 0
    bare = empty and found.st_dev == os.stat(labnames.DIRECTORY).st_dev  # nothing is mounted on it
    if not has_namespace(host) and not bare:
        raise NamespaceError(f"{host.path}: no network namespace; left as it is")


def _end_all(lab: str, hosts: dict[NamespaceId, LabHost]) -> tuple[Process, ...]:
    """Ends what runs on hosts, and what that starts meanwhile. Returns what it was."""
    ended: dict[int, Process] = {}
    for _ in range(_ROUNDS):
        running = processes.inside(hosts)
        if not running:
            return tuple(ended.values())
        processes.end(running)
        ended |= {each.pid: each for each in running}
    raise LabBusyError(f"{lab}: its processes do not end, or start others")


def _remove(hosts: Sequence[LabHost]) -> None:
    """Takes away the links of hosts, and then their names: a link dies with its namespace, but only
    after the last process has left that."""
    for host in hosts:
        if has_namespace(host):
            with contextlib.closing(Namespace(str(host), host.path)) as namespace:
                request(namespace, fabric.delete_links)
    for host in hosts:
        with contextlib.suppress(FileNotFoundError):
            netns.remove(host.path)
