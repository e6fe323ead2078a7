"""The kernel's table of interfaces, read and changed over rtnetlink."""

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from netns_lab.errors import KernelError, LabError, NameInUseError, UnknownInterfaceError
from netns_lab.namespace import Namespace

P = ParamSpec("P")
T = TypeVar("T")
IpAddress = IPv4Address | IPv6Address
IpInterface = IPv4Interface | IPv6Interface

_IFF_UP = 1 << 0  # include/uapi/linux/if.h
_IFF_RUNNING = 1 << 6
_IFF_NOARP = 1 << 7
_IFF_MULTICAST = 1 << 12
_IFF_LOWER_UP = 1 << 16
_IFA_F_NODAD = 0x02  # include/uapi/linux/if_addr.h
_ADDR_GEN_MODE_NONE = 1  # include/uapi/linux/if_link.h

IPV6_MIN_MTU = 1280  # RFC 8200, section 5, in bytes
MTU_WITHOUT_IPV6 = IPV6_MIN_MTU - 1

_DEADLINE_S = 5.0
_POLL_INTERVAL_S = 0.001


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface as it was when asked. Counters are in frames."""

    name: str
    index: int
    mac: str
    mtu: int  # bytes of payload that a frame may carry, its Ethernet header not counted
    up: bool  # it was set up
    carrier: bool  # it was set up, and so was its peer: it can send
    addresses: tuple[str, ...]  # with their prefix lengths: 192.0.2.1/24
    rx_queues: int
    tx_queues: int
    rx_packets: int
    tx_packets: int
    rx_dropped: int
    tx_dropped: int


@dataclass(frozen=True, slots=True)
class VethEnd:
    """One end of a veth pair to be made; where `queues` is None the kernel chooses."""

    name: str
    mac: str
    mtu: int
    queues: int | None


def request(
    namespace: Namespace,
    method: Callable[Concatenate["Rtnl", P], T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Calls a method of `Rtnl` on a socket inside `namespace`.

    A socket is opened for each request, in the thread that uses it: pyroute2 ties sockets to
    threads, and its own way into a namespace, `IPRoute(netns=...)`, forks for every socket.
    """

    def body() -> T:
        with contextlib.closing(Rtnl(namespace.name)) as rtnl:
            return method(rtnl, *args, **kwargs)

    thread, future = namespace.start(body)
    try:
        thread.join()
    except BaseException:
        thread.join()  # or it would go on with what its caller, on a Ctrl-C, begins to undo
        raise
    return future.result()


class Rtnl:
    """Requests to the kernel about the network namespace of the calling thread.

    Each raises UnknownInterfaceError, NameInUseError, or KernelError for all else.
    """

    def __init__(self, host_name: str) -> None:
        # Here because it takes 0.2 s, and not every user of the package makes a lab.
        import pyroute2  # type: ignore[import-untyped]  # noqa: PLC0415

        self._host_name = host_name
        self._refused = pyroute2.NetlinkError
        self.ipr = pyroute2.IPRoute()

    def close(self) -> None:
        """Closes the socket."""
        self.ipr.close()

    def interfaces(self) -> tuple[Interface, ...]:
        """All interfaces by index; `lo` comes first."""
        addresses = tuple(self.ipr.addr("dump"))
        return tuple(_interface(link, addresses) for link in self.ipr.link("dump"))

    def interface(self, name: str) -> Interface:
        """The interface of that name."""
        link = self._link(name)
        return _interface(link, self.ipr.addr("dump", index=link["index"]))

    def name_of(self, index: int) -> str:
        """The present name of the interface of that index."""
        with self.about(f"interface {index}"):
            return name_in(self.ipr.link("get", index=index)[0])

    def index_of(self, name: str) -> int:
        """The index of the interface of that name."""
        return int(self._link(name)["index"])

    def add_veth(self, near: VethEnd, far: VethEnd, far_netns_fd: int) -> None:
        """Makes a veth pair, both ends down, `far` in another namespace."""
        peer = _veth_attributes(far) | {"net_ns_fd": far_netns_fd}
        with self.about(f"{near.name} - {far.name}"):
            self.ipr.link("add", kind="veth", peer=peer, **_veth_attributes(near))

    def quieten(self, name: str, mtu: int) -> None:
        """Stops all that the kernel would send by itself on an interface, and gives it its MTU.

        It has to be down, and made with MTU_WITHOUT_IPV6. What IPv6 sends by itself comes of
        link-local addresses, router solicitations, duplicate address detection, and multicast
        listener reports. For the last there is no switch. They come of joining the groups of the
        solicited nodes of each address, which a NOARP interface does not do
        (addrconf_join_solict), and of all routers if it forwards, which one without MULTICAST
        does not do (ipv6_add_dev). NOARP ends address detection and ARP too.
        """
        self._set(name, flags=_IFF_NOARP, change=_IFF_NOARP | _IFF_MULTICAST)
        self._set(name, mtu=mtu)  # only now can it join groups
        knobs = Path("/proc/sys/net/ipv6/conf", name)
        if knobs.exists():
            self._write(knobs / "addr_gen_mode", str(_ADDR_GEN_MODE_NONE))
            self._write(knobs / "router_solicitations", "0")

    def add_address(self, name: str, address: IpInterface, *, detect_duplicates: bool) -> None:
        """Adds an address; an IPv6 one is of use at once unless duplicates are looked for."""
        index = self.index_of(name)
        nodad = isinstance(address, IPv6Interface) and not detect_duplicates
        with self.about(f"{name}: {address}"):
            self.ipr.addr(
                "add",
                index=index,
                address=str(address.ip),
                prefixlen=address.network.prefixlen,
                flags=_IFA_F_NODAD if nodad else 0,
            )

    def add_neighbour(self, name: str, address: IpAddress, mac: str) -> None:
        """Tells the kernel, for good, the MAC address behind an IP address."""
        index = self.index_of(name)
        with self.about(f"{name}: {address}"):
            self.ipr.neigh("replace", ifindex=index, dst=str(address), lladdr=mac)

    def set_up(self, name: str) -> None:
        """Sets an interface up; returns when it can send, if its peer is up."""
        self._set(name, state="up")
        self.settle(name)

    def set_down(self, name: str) -> None:
        """Sets an interface down."""
        self._set(name, state="down")

    def settle(self, name: str) -> Interface:
        """Returns once the kernel has acted on the carrier that it reports.

        A work queue does so. Until then a new carrier's frames go to noop_qdisc, which discards
        them and calls that a success. Since Linux 6.8 the question itself makes the kernel act
        (facd15dfd691); before that it has to be asked again.
        """

        def settled() -> bool:
            flags = int(self._link(name)["flags"])
            return not (flags & _IFF_UP and flags & _IFF_LOWER_UP) or bool(flags & _IFF_RUNNING)

        self.wait_until(settled, name)
        return self.interface(name)

    def rename(self, old: str, new: str) -> None:
        """Renames an interface; before Linux 6.2 it has to be down (KernelError EBUSY)."""
        index = self.index_of(old)
        with self.about(f"{old} to {new}"):
            self.ipr.link("set", index=index, ifname=new)

    def delete(self, name: str) -> None:
        """Deletes an interface; it may still be going on return."""
        self.delete_index(self.index_of(name), name)

    def delete_index(self, index: int, name: str) -> None:
        """As `delete()`; the name is for messages, and may be any bytes."""
        with self.about(name):
            self.ipr.link("del", index=index)

    def await_gone(self, index: int) -> None:
        """Returns once there is no interface of that index."""

        def gone() -> bool:
            try:
                self.name_of(index)
            except UnknownInterfaceError:
                return True
            return False

        self.wait_until(gone, f"interface {index}")

    def write_sysctl(self, path: str, value: str) -> None:
        """Writes `/proc/sys/PATH`; below `net` it is that of the calling thread's namespace."""
        self._write(Path("/proc/sys", path), value)

    def _link(self, name: str) -> Any:
        with self.about(name):
            return self.ipr.link("get", ifname=name)[0]

    def _set(self, name: str, **attributes: Any) -> None:
        index = self.index_of(name)
        with self.about(name):
            self.ipr.link("set", index=index, **attributes)

    def _write(self, path: Path, value: str) -> None:
        try:
            path.write_text(value)
        except OSError as error:
            raise refusal(f"{self._host_name}: {path}", error.errno or 0) from error

    def wait_until(self, condition: Callable[[], bool], subject: str) -> None:
        deadline_s = time.monotonic() + _DEADLINE_S
        while not condition():
            if time.monotonic() > deadline_s:
                message = f"{self._host_name}: {subject}: the kernel did not finish in time"
                raise KernelError(message, errno.ETIMEDOUT)
            time.sleep(_POLL_INTERVAL_S)

    @contextlib.contextmanager
    def about(self, subject: str) -> Iterator[None]:
        """What the kernel refuses in here becomes an error about `subject`."""
        try:
            yield
        except self._refused as error:
            whole = f"{self._host_name}: {subject}" if self._host_name else subject
            raise refusal(whole, error.code) from error


def refusal(subject: str, code: int) -> LabError:
    """The error that says that the kernel answered a request about `subject` with an errno."""
    if code == errno.ENODEV:
        return UnknownInterfaceError(f"{subject}: no such interface")
    if code == errno.EEXIST:
        return NameInUseError(f"{subject}: exists already")
    return KernelError(f"{subject}: {os.strerror(code)}", code)


def name_in(link: Any) -> str:
    """The name in an answer about an interface; the kernel takes almost any bytes for one."""
    return os.fsdecode(link.get_attr("IFLA_IFNAME"))


def _veth_attributes(end: VethEnd) -> dict[str, Any]:
    attributes: dict[str, Any] = {"ifname": end.name, "address": end.mac, "mtu": end.mtu}
    if end.queues is not None:
        attributes |= {"num_tx_queues": end.queues, "num_rx_queues": end.queues}
    return attributes


def _interface(link: Any, addresses: Any) -> Interface:
    counters = link.get_attr("IFLA_STATS64")
    return Interface(
        name=name_in(link),
        index=link["index"],
        mac=link.get_attr("IFLA_ADDRESS"),
        mtu=link.get_attr("IFLA_MTU"),
        up=bool(link["flags"] & _IFF_UP),
        carrier=bool(link["flags"] & _IFF_RUNNING),
        addresses=tuple(
            # IFA_ADDRESS is the far end's where the interface has but one peer address.
            f"{address.get_attr('IFA_LOCAL') or address.get_attr('IFA_ADDRESS')}"
            f"/{address['prefixlen']}"
            for address in addresses
            if address["index"] == link["index"]
        ),
        rx_queues=link.get_attr("IFLA_NUM_RX_QUEUES"),
        tx_queues=link.get_attr("IFLA_NUM_TX_QUEUES"),
        rx_packets=counters["rx_packets"],
        tx_packets=counters["tx_packets"],
        rx_dropped=counters["rx_dropped"],
        tx_dropped=counters["tx_dropped"],
    )
