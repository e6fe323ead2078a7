"""A network of hosts on this machine that nothing outside can see, and that leaves no trace."""

import contextlib
import threading
from collections.abc import Iterable
from itertools import count
from types import TracebackType
from typing import Self

from netns_lab import validate
from netns_lab.errors import LabClosedError, NameInUseError, UnknownHostError
from netns_lab.host import Host
from netns_lab.link import Link, PortPlan, connect
from netns_lab.namespace import HeldNamespace, Spawner, require_privileges
from netns_lab.netlink import Rtnl, request


class Lab:
    """Hosts, each a network namespace of its own, and the links between them.

        with Lab() as lab:
            a, b = lab.hosts("a", "b")
            lab.link(a, b, addresses=(["192.0.2.1/24"], ["192.0.2.2/24"]))
            with b.capture("eth0") as capture:
                a.send("eth0", Ether() / IP(src="192.0.2.1", dst="192.0.2.2") / UDP(dport=7))
                [frame] = capture.wait(1)

    Namespaces have no names and live no longer than this process, even if it is killed. Methods
    may be called from any thread.
    """

    def __init__(self) -> None:
        """Raises PrivilegeError without root, ToolMissingError without util-linux."""
        require_privileges()
        self._hosts: dict[str, Host] = {}
        self._mac_numbers = count(1)
        self._spawner = Spawner()
        self._lock = threading.RLock()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __getitem__(self, name: str) -> Host:
        """The host of that name. Raises UnknownHostError."""
        try:
            return self._hosts[name]
        except KeyError:
            raise UnknownHostError(f"{name}: no such host") from None

    def host(self, name: str) -> Host:
        """Makes a host, in which `lo` is up.

        Raises NameInUseError, InvalidValueError, NamespaceError, LabClosedError.
        """
        with self._lock:
            self._require_open()
            if validate.host_name(name) in self._hosts:
                raise NameInUseError(f"{name}: the lab has a host of that name already")
            with contextlib.ExitStack() as undo:
                host = Host(name, HeldNamespace(self._spawner, name), self._spawner)
                undo.callback(host.close)
                request(host.namespace, Rtnl.set_up, "lo")
                undo.pop_all()
            self._hosts[name] = host
            return host

    def hosts(self, *names: str) -> tuple[Host, ...]:
        """Makes hosts, all or, where one fails, none. Raises as `host()`."""
        with self._lock, contextlib.ExitStack() as undo:
            made = []
            for name in names:
                made.append(self.host(name))
                undo.callback(self._remove, name)
            undo.pop_all()
            return tuple(made)

    def link(
        self,
        left: Host | str,
        right: Host | str,
        *,
        names: tuple[str | None, str | None] = (None, None),
        addresses: tuple[Iterable[str], Iterable[str]] = ((), ()),
        macs: tuple[str | None, str | None] = (None, None),
        mtu: int = validate.DEFAULT_MTU,
        queues: int | None = None,
        quiet: bool = True,
    ) -> Link:
        """Connects two hosts with a veth pair, both ends up and able to send on return.

        Pairs are for the left and the right end. Names default to the next free `ethN` of each
        host; MAC addresses to 02:00:00:00:00:01 and so on, as the lab gets ports; `queues`, of
        each end and direction, to what the kernel chooses. `mtu` is in bytes.

        A quiet link carries what its hosts' programs send and nothing else: no ARP, neighbour or
        router discovery, no multicast reports. For that its ends are NOARP and not MULTICAST. Each
        knows the other's addresses, so that they reach each other all the same, but it answers no
        ARP and cannot learn a third host's MAC address. Without `quiet` a link is as the kernel
        makes it.

        Raises UnknownHostError, NameInUseError, InvalidValueError, KernelError, LabClosedError;
        nothing is left of the link then.
        """
        validate.queues(queues)
        with self._lock:
            self._require_open()
            hosts = (self._mine(left), self._mine(right))
            plans = [
                PortPlan(
                    host=host,
                    name=None if name is None else validate.interface_name(name),
                    mac=self._next_mac() if mac is None else validate.mac(mac),
                    addresses=tuple(map(validate.ip_interface, texts)),
                )
                for host, name, mac, texts in zip(hosts, names, macs, addresses, strict=True)
            ]
            validate.mtu_for(mtu, [address for plan in plans for address in plan.addresses])
            return connect(*plans, mtu=mtu, queues=queues, quiet=quiet)

    def close(self) -> None:
        """Ends what runs on the hosts and lets go of the namespaces. Once closed, does nothing."""
        with self._lock, contextlib.ExitStack() as undo:
            self._closed = True
            undo.callback(self._spawner.close)
            for name in self._hosts:
                undo.callback(self._remove, name)

    def _remove(self, name: str) -> None:
        self._hosts.pop(name).close()

    def _mine(self, host: Host | str) -> Host:
        if isinstance(host, str):
            return self[host]
        if self._hosts.get(host.name) is not host:
            raise UnknownHostError(f"{host.name}: a host of another lab")
        return host

    def _next_mac(self) -> str:
        return validate.numbered_mac(next(self._mac_numbers))

    def _require_open(self) -> None:
        if self._closed:
            raise LabClosedError("the lab is closed")
