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
    LabBusyError,
    NameInUseError,
    NamespaceError,
    UnknownLabError,
)
from netns_lab.host import Host
from netns_lab.link import PortPlan, connect
from netns_lab.namespace import Namespace, Spawner, require_privileges
from netns_lab.netlink import Rtnl, request
from netns_lab.topology import EndPlan, LinkPlan, Topology
from xdpctl import labnames
from xdpctl.labnames import LabHost
from xdpctl.pylibbpf import netns


@dataclass(frozen=True, slots=True)
class Down:
    """A lab that was taken down, and what ran on its hosts and was ended."""

    lab: str
    hosts: tuple[LabHost, ...]
    ended: tuple[processes.Process, ...]


def up(lab: str, topology: Topology) -> None:
    """Makes a lab, all of it or, where a step fails, nothing.

    Raises InvalidValueError, NameInUseError, KernelError, NamespaceError, PrivilegeError.
    """
    require_privileges()
    validate.lab_name(lab)
    for plan in topology.hosts:
        validate.lab_host_name(plan.name)
    hosts = {plan.name: LabHost(lab, plan.name) for plan in topology.hosts}
    made: list[LabHost] = []
    try:
        with _locked():
            if hosts_of(lab):
                raise NameInUseError(f"{lab}: a lab of that name is up")
            for host in hosts.values():
                made.append(host)
                _create(host)
        with contextlib.ExitStack() as stack:
            spawner = Spawner()
            stack.callback(spawner.close)
            opened = {name: open_host(host, spawner) for name, host in hosts.items()}
            for host_ in opened.values():
                stack.callback(host_.close)
            _build(topology, opened)
    except BaseException:
        _remove(made)
        raise


def down(lab: str, *, end_processes: bool = False) -> Down:
    """Takes a lab down; on return its links are gone.

    Raises UnknownLabError; LabBusyError where processes run on its hosts and are not to be ended,
    or are those that this one was started by; NamespaceError for what is no namespace.
    """
    require_privileges()
    hosts = hosts_of(lab)
    if not hosts:
        raise UnknownLabError(f"{lab}: no such lab")
    for host in hosts:
        _require_removable(host)
    found = {processes.namespace_id(host.path): host for host in hosts if is_namespace(host)}
    running = processes.inside(found)
    above = processes.ancestors()
    held = [each for each in running if not end_processes or each.pid in above]
    if held:
        where = ", ".join(f"{each} on {found[each.namespace].host}" for each in held)
        raise LabBusyError(f"{lab}: still in use by process {where}")
    processes.end(running)
    _remove(hosts)
    return Down(lab, tuple(hosts), tuple(running))


def labs() -> list[str]:
    """The names of all labs."""
    return sorted({each.lab for each in labnames.lab_hosts()})


def hosts_of(lab: str) -> list[LabHost]:
    """The hosts of a lab, by name; none where there is no such lab."""
    return [each for each in labnames.lab_hosts() if each.lab == lab]


def is_namespace(host: LabHost) -> bool:
    """Whether a namespace is bound to the host's file; an early death may leave it bare."""
    try:
        return os.lstat(host.path).st_dev == os.stat("/proc/self/ns/net").st_dev
    except OSError:
        return False


def open_host(host: LabHost, spawner: Spawner) -> Host:
    """A host of a lab that stays. Raises NamespaceError."""
    return Host(str(host), Namespace(str(host), host.path), spawner)


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """The only one, of us and of `ip netns add`, to prepare /run/netns and to make names in it."""
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


def _require_removable(host: LabHost) -> None:
    """A namespace, or the empty file that one was to be bound to; all else is somebody else's."""
    found = os.lstat(host.path)
    if not is_namespace(host) and not (stat.S_ISREG(found.st_mode) and found.st_size == 0):
        raise NamespaceError(f"{host.path}: no network namespace; left as it is")


def _remove(hosts: Sequence[LabHost]) -> None:
    """Takes away the links of hosts, and then their names: a link dies with its namespace, but only
    after the last process has left that."""
    for host in hosts:
        if is_namespace(host):
            with contextlib.closing(Namespace(str(host), host.path)) as namespace:
                request(namespace, fabric.delete_links)
    for host in hosts:
        with contextlib.suppress(FileNotFoundError):
            netns.remove(host.path)
