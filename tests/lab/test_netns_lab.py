"""Labs of real namespaces and real frames. Everything here needs root."""

import ast
import contextlib
import errno
import gzip
import os
import select
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import FrozenInstanceError
from itertools import chain
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import PcapNgWriter, PcapWriter

import netns_lab
from netns_lab import Host, Lab, peer

EXPERIMENTAL = b"\x88\xb5"  # the EtherType that IEEE 802 leaves to experiments: no stack answers
TO_B = bytes.fromhex("020000000002 020000000001")  # from the first port of a lab to the second
TO_A = bytes.fromhex("020000000001 020000000002")


def frame(number: int, macs: bytes = TO_B) -> bytes:
    """A frame of 60 bytes, the least that Ethernet has, unlike that of any other number."""
    return (macs + EXPERIMENTAL + number.to_bytes(4)).ljust(60, b"\0")


@pytest.fixture
def lab() -> Iterator[Lab]:
    with Lab() as lab:
        yield lab


@pytest.fixture
def pair(lab: Lab) -> tuple[Host, Host]:
    """Two hosts, the `eth0` of one linked to that of the other."""
    a, b = lab.hosts("a", "b")
    lab.link(a, b)
    return a, b


def until(condition: Callable[[], bool]) -> None:
    """Asks until the condition holds, for what the kernel does in its own time and never tells."""
    deadline_s = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline_s, "the kernel did not get there in 10 s"
        time.sleep(0.005)


def children() -> set[int]:
    """The processes that this one has started and that are not reaped."""
    tasks = Path("/proc/self/task").iterdir()
    found: set[int] = set()
    for task in tasks:
        # A thread may have ended meanwhile.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found.update(map(int, (task / "children").read_text().split()))
    return found


def holder_pid(netns_path: str) -> int:
    return int(netns_path.split("/")[2])


def inode_inside() -> int:
    return os.stat("/proc/thread-self/ns/net").st_ino


# Frames


def test_a_frame_sent_on_one_end_arrives_on_the_other(pair: tuple[Host, Host]) -> None:
    a, b = pair
    with b.capture("eth0") as capture:
        assert a.send("eth0", frame(1)) == 1
        assert capture.wait(1) == [frame(1)]


def test_a_capture_holds_only_what_arrives(pair: tuple[Host, Host]) -> None:
    a, b = pair
    with a.capture("eth0") as at_a, b.capture("eth0") as at_b:
        a.send("eth0", frame(1))
        b.send("eth0", frame(2, TO_A))
        assert at_a.wait(1) == [frame(2, TO_A)]
        assert at_b.wait(1) == [frame(1)]


def test_a_capture_keeps_its_frames_when_it_is_closed(pair: tuple[Host, Host]) -> None:
    a, b = pair
    with b.capture("eth0") as capture:
        a.send("eth0", [frame(1), frame(2)])
    a.send("eth0", frame(3))
    capture.close()
    assert capture.packets == capture.wait(2) == [frame(1), frame(2)]
    with pytest.raises(netns_lab.CaptureTimeoutError):
        capture.wait(3)


def test_a_capture_says_how_many_frames_it_awaited_in_vain(pair: tuple[Host, Host]) -> None:
    a, b = pair
    with b.capture("eth0") as capture:
        a.send("eth0", frame(1))
        message = r"^b: eth0: 1 of 2 frames arrived within 0\.1 s$"
        with pytest.raises(netns_lab.CaptureTimeoutError, match=message) as caught:
            capture.wait(2, timeout_s=0.1)
        assert isinstance(caught.value, TimeoutError)
        assert capture.packets == [frame(1)]


def test_a_capture_that_lost_frames_says_so_instead_of_what_it_has(
    pair: tuple[Host, Host],
) -> None:
    a, b = pair
    with pytest.raises(netns_lab.CaptureLossError), b.capture("eth0", buffer_bytes=4096) as capture:
        a.send("eth0", map(frame, range(100)))
        with pytest.raises(netns_lab.CaptureLossError, match=r"b: eth0: \d+ frames came faster"):
            capture.wait(100)


def test_a_capture_outlives_its_interface(pair: tuple[Host, Host]) -> None:
    a, b = pair
    with b.capture("eth0") as capture:
        a.send("eth0", frame(1))
        b.delete("eth0")
        assert capture.packets == [frame(1)]


@pytest.mark.parametrize(
    "tags",
    ["8100 6005", "8100 0000", "88a8 0064", "88a8 0064 8100 00c8", "8100 0001 8100 0002 8100 0003"],
    ids=["VLAN", "priority tag", "service tag", "QinQ", "three tags"],
)
def test_vlan_tags_arrive_as_they_were_sent(pair: tuple[Host, Host], tags: str) -> None:
    a, b = pair
    tagged = TO_B + bytes.fromhex(tags) + EXPERIMENTAL + b"payload".ljust(46, b"\0")
    with b.capture("eth0") as capture:
        a.send("eth0", tagged)
        assert capture.wait(1) == [tagged]


def test_packets_may_be_bytes_or_scapy_packets_one_or_many(pair: tuple[Host, Host]) -> None:
    a, b = pair
    packet = Ether(frame(1))
    with b.capture("eth0") as capture:
        assert a.send("eth0", packet) == 1
        assert a.send("eth0", bytearray(frame(2))) == 1
        assert a.send("eth0", [frame(3), Ether(frame(4)), memoryview(frame(5))]) == 3
        assert a.send("eth0", (frame(n) for n in range(6, 9))) == 3
        assert a.send("eth0", []) == 0
        assert capture.wait(8) == [frame(n) for n in range(1, 9)]


def test_a_scapy_packet_without_macs_goes_from_the_interface_to_its_peer(lab: Lab) -> None:
    a, b = lab.hosts("a", "b")
    lab.link(a, b, macs=("02:aa:00:00:00:01", "02:bb:00:00:00:02"))
    packet = Ether() / IP(src="192.0.2.1", dst="192.0.2.2") / UDP(sport=1, dport=2) / b"x"
    with b.capture("eth0") as capture:
        a.send("eth0", [packet, Ether(dst="ff:ff:ff:ff:ff:ff") / packet.payload])
        defaulted, broadcast = map(Ether, capture.wait(2))
    assert (defaulted.src, defaulted.dst) == ("02:aa:00:00:00:01", "02:bb:00:00:00:02")
    assert (broadcast.src, broadcast.dst) == ("02:aa:00:00:00:01", "ff:ff:ff:ff:ff:ff")
    assert bytes(defaulted.payload) == bytes(packet.payload)
    assert packet.fields == {}, "the sender's packet is not touched"


def test_a_scapy_packet_without_macs_needs_a_peer(lab: Lab) -> None:
    a = lab.host("a")
    with pytest.raises(netns_lab.InvalidValueError, match="^Ether without src or dst"):
        a.send("lo", Ether() / IP(dst="192.0.2.2"))


def test_no_frame_is_lost_however_fast_they_are_sent(lab: Lab) -> None:
    a, b, c = lab.hosts("a", "b", "c")
    lab.link(a, b)
    lab.link(c, b)
    count = 20_000
    with b.capture("eth0") as from_a, b.capture("eth1") as from_c:
        others = threading.Thread(target=c.send, args=("eth0", map(frame, range(count))))
        others.start()
        assert a.send("eth0", map(frame, range(count))) == count
        others.join()
        assert from_a.wait(count) == from_c.wait(count) == [frame(n) for n in range(count)]


def test_a_sender_waits_while_the_queue_is_full(pair: tuple[Host, Host]) -> None:
    a, b = pair
    room_for_two = ["tbf", "rate", "8mbit", "burst", "3000", "limit", "3000"]  # bytes
    add = ["tc", "qdisc", "add", "dev", "eth0", "root"]
    a.run([*add, *room_for_two])
    frames = [frame(number).ljust(1000, b"\0") for number in range(100)]
    with b.capture("eth0") as capture:
        assert a.send("eth0", frames) == 100
        assert capture.wait(100) == frames


def test_threads_that_send_on_one_interface_lose_nothing(pair: tuple[Host, Host]) -> None:
    a, b = pair
    with b.capture("eth0") as capture:
        batches = [[frame(100 * batch + n) for n in range(100)] for batch in range(4)]
        threads = [threading.Thread(target=a.send, args=("eth0", batch)) for batch in batches]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(capture.wait(400)) == [frame(n) for n in range(400)]


def test_a_jumbo_frame_fits_where_the_mtu_allows_it(lab: Lab) -> None:
    a, b = lab.hosts("a", "b")
    lab.link(a, b, mtu=9000)
    jumbo = frame(1).ljust(14 + 9000, b"\xff")
    with b.capture("eth0") as capture:
        a.send("eth0", jumbo)
        assert capture.wait(1) == [jumbo]


@pytest.mark.parametrize(
    ("unfit", "reason"),
    [
        (frame(1).ljust(14 + 1505, b"\0"), "of 1519 bytes: longer than the mtu of 1500 allows"),
        (b"\x02" * 13, "of 13 bytes: too short for an Ethernet header"),
    ],
    ids=["too long", "too short"],
)
def test_a_frame_that_does_not_fit_is_named(
    pair: tuple[Host, Host], unfit: bytes, reason: str
) -> None:
    a, b = pair
    with b.capture("eth0") as capture:
        with pytest.raises(netns_lab.SendError, match=f"^a: eth0: frame 2, {reason}$"):
            a.send("eth0", [frame(1), unfit, frame(3)])
        assert capture.wait(1) == [frame(1)]


def test_sending_into_the_void_is_an_error(pair: tuple[Host, Host]) -> None:
    a, b = pair
    b.set_down("eth0")
    with pytest.raises(netns_lab.SendError, match="a: eth0: has no carrier"):
        a.send("eth0", frame(1))
    a.set_down("eth0")
    with pytest.raises(netns_lab.SendError, match="a: eth0: is down"):
        a.send("eth0", frame(1))
    with pytest.raises(netns_lab.UnknownInterfaceError, match="a: eth7: no such interface"):
        a.send("eth7", frame(1))


def test_a_link_carries_frames_as_soon_as_it_is_up(pair: tuple[Host, Host]) -> None:
    a, b = pair
    with a.capture("eth0") as at_a, b.capture("eth0") as at_b:
        for number in range(20):
            b.set_down("eth0")
            b.set_up("eth0")
            a.send("eth0", frame(number))
            b.send("eth0", frame(number, TO_A))
        assert at_b.wait(20) == [frame(n) for n in range(20)]
        assert at_a.wait(20) == [frame(n, TO_A) for n in range(20)]


# Replay


@pytest.mark.parametrize("kind", ["pcap", "pcapng", "pcap.gz"])
def test_a_capture_file_is_replayed_frame_by_frame(
    pair: tuple[Host, Host], tmp_path: Path, kind: str
) -> None:
    a, b = pair
    path = tmp_path / f"frames.{kind}"
    writer = PcapNgWriter if kind == "pcapng" else PcapWriter
    with writer(str(tmp_path / "plain")) as file:
        for number in range(300):
            file.write(Ether(frame(number)))
    content = (tmp_path / "plain").read_bytes()
    path.write_bytes(gzip.compress(content) if kind == "pcap.gz" else content)
    with b.capture("eth0") as capture:
        assert a.replay("eth0", path) == 300
        assert capture.wait(300) == [frame(n) for n in range(300)]


def test_a_file_that_is_no_capture_of_ethernet_is_refused(
    pair: tuple[Host, Host], tmp_path: Path
) -> None:
    a, _ = pair
    text, empty, raw_ip = tmp_path / "text", tmp_path / "empty", tmp_path / "raw_ip"
    text.write_text("not a capture, but long enough to have a header of its own")
    empty.touch()
    with PcapWriter(str(raw_ip), linktype=101) as file:
        file.write(IP() / UDP())
    for path, reason in ((text, "not a pcap"), (empty, "not a pcap"), (raw_ip, "link type 101")):
        with pytest.raises(netns_lab.InvalidValueError, match=reason):
            a.replay("eth0", path)
    with pytest.raises(FileNotFoundError):
        a.replay("eth0", tmp_path / "absent")


# Quiet links


def test_a_quiet_link_carries_nothing_of_its_own(lab: Lab) -> None:
    wishes = {
        "no address": ((), ()),
        "IPv4": (["192.0.2.1/24"], ["192.0.2.2/24"]),
        "IPv6": (["2001:db8::1/64"], ["2001:db8::2/64"]),
        "both, and link-local": (
            ["192.0.2.1/24", "fe80::1/64", "2001:db8::1/64"],
            ["192.0.2.2/24", "fe80::2/64", "2001:db8::2/64"],
        ),
        "routers": (["192.0.2.1/24", "2001:db8::1/64"], ["192.0.2.2/24", "2001:db8::2/64"]),
    }
    links = {}
    for name, addresses in wishes.items():
        a, b = lab.hosts(f"{name} a".replace(" ", "-"), f"{name} b".replace(" ", "-"))
        if name == "routers":
            for host in (a, b):
                host.write_sysctl("net/ipv6/conf/all/forwarding", "1")
                host.write_sysctl("net/ipv4/ip_forward", "1")
        links[name] = lab.link(a, b, addresses=addresses)
    with contextlib.ExitStack() as stack:
        captures = {
            (name, port): stack.enter_context(port.host.capture("eth0"))
            for name, link in links.items()
            for port in (link.left, link.right)
        }
        patience_s = 5.0  # router solicitations come every 4 s, all other habits show sooner
        for capture in captures.values():
            with pytest.raises(netns_lab.CaptureTimeoutError):
                capture.wait(1, timeout_s=patience_s)
            patience_s = 0.0
        for (name, port), capture in captures.items():
            peer = port.host.peers[port.index]
            sentinel = frame(7, macs=bytes.fromhex((port.mac + peer.mac).replace(":", "")))
            peer.host.send("eth0", sentinel)
            assert capture.wait(1) == [sentinel], name
            # The counter began with the interface, before there was anything to capture with.
            assert port.host.interface("eth0").rx_packets == 1, name


def test_a_link_that_is_not_quiet_is_as_the_kernel_makes_it(lab: Lab) -> None:
    a, b = lab.hosts("a", "b")
    lab.link(a, b, quiet=False)
    multicast_listener_report = 143
    with b.capture("eth0") as capture:
        arrived = 0
        while not any(
            packet[12:14] == b"\x86\xdd" and packet[62] == multicast_listener_report
            for packet in capture.packets
        ):
            arrived = len(capture.wait(arrived + 1))
    assert any(address.startswith("fe80::") for address in a.interface("eth0").addresses)


def echo_once(address: str, ready: threading.Event) -> bytes:
    """Receives one datagram on port 7, sends it back and returns it."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as server:
        server.settimeout(5)
        server.bind((address, 7))
        ready.set()
        data, client = server.recvfrom(2048)
        server.sendto(data, client)
        return data


def ask(address: str, data: bytes) -> bytes:
    """Sends a datagram to port 7 and returns the answer."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.sendto(data, (address, 7))
        return client.recv(2048)


@pytest.mark.parametrize("address", ["192.0.2.2", "2001:db8::2"])
@pytest.mark.parametrize("quiet", [True, False], ids=["quiet", "not quiet"])
def test_hosts_reach_each_other(lab: Lab, address: str, quiet: bool) -> None:
    a, b = lab.hosts("a", "b")
    lab.link(
        a,
        b,
        addresses=(
            ["192.0.2.1/24", "2001:db8::1/64"],
            ["192.0.2.2/24", "2001:db8::2/64"],
        ),
        quiet=quiet,
    )
    if not quiet and ":" in address:
        for host in (a, b):
            host.call(until, addresses_are_usable)
    ready = threading.Event()
    served: list[bytes] = []
    with b.capture("eth0") as capture:
        server = threading.Thread(
            target=lambda: served.append(b.call(echo_once, address, ready)), name="server"
        )
        server.start()
        assert ready.wait(5)
        assert a.call(ask, address, b"hello") == b"hello"
        server.join()
        if quiet:
            assert len(capture.packets) == 1, "the datagram, and nothing asked about it"
    assert served == [b"hello"]


def addresses_are_usable() -> bool:
    """Whether the kernel has looked for duplicates of all IPv6 addresses here."""
    tentative = 0x40  # IFA_F_TENTATIVE
    lines = Path("/proc/thread-self/net/if_inet6").read_text().splitlines()
    return not any(int(line.split()[4], 16) & tentative for line in lines)


def test_a_host_in_the_middle_routes(lab: Lab) -> None:
    a, router, b = lab.hosts("a", "router", "b")
    lab.link(a, router, addresses=(["192.0.2.1/25"], ["192.0.2.2/25"]))
    lab.link(router, b, addresses=(["192.0.2.129/25"], ["192.0.2.130/25"]))
    router.write_sysctl("net/ipv4/ip_forward", "1")
    a.run(["ip", "route", "add", "default", "via", "192.0.2.2"])
    b.run(["ip", "route", "add", "default", "via", "192.0.2.129"])
    ready = threading.Event()
    server = threading.Thread(target=b.call, args=(echo_once, "192.0.2.130", ready))
    server.start()
    assert ready.wait(5)
    assert a.call(ask, "192.0.2.130", b"through") == b"through"
    server.join()


# Interfaces


def test_a_new_host_has_only_a_loopback_interface_and_it_is_up(lab: Lab) -> None:
    [lo] = lab.host("a").interfaces()
    assert (lo.name, lo.index, lo.up, lo.carrier) == ("lo", 1, True, True)


def test_a_link_is_named_and_numbered_by_default(lab: Lab) -> None:
    a, b, c = lab.hosts("a", "b", "c")
    first = lab.link(a, b)
    second = lab.link("a", "c")
    assert (first.left.name, first.right.name) == ("eth0", "eth0")
    assert (second.left.name, second.right.name) == ("eth1", "eth0")
    macs = [port.mac for link in (first, second) for port in (link.left, link.right)]
    assert macs == [f"02:00:00:00:00:0{n}" for n in (1, 2, 3, 4)]
    assert [one.name for one in a.interfaces()] == ["lo", "eth0", "eth1"]
    first.delete()
    assert lab.link(a, c).left.name == "eth0", "a name that is free again is used again"


def test_a_link_is_as_it_was_asked_for(lab: Lab) -> None:
    a, b = lab.hosts("a", "b")
    link = lab.link(
        a,
        b,
        names=("up0", "a-name-of-15-ch"),
        addresses=(["192.0.2.1/24", "2001:DB8::1/64"], ["192.0.2.2/24"]),
        macs=("02:AA:00:00:00:01", "02:bb:00:00:00:02"),
        mtu=9000,
        queues=2,
    )
    up0, other = a.interface("up0"), b.interface("a-name-of-15-ch")
    assert (up0.mac, other.mac) == ("02:aa:00:00:00:01", "02:bb:00:00:00:02")
    assert set(up0.addresses) == {"192.0.2.1/24", "2001:db8::1/64"}
    assert other.addresses == ("192.0.2.2/24",)
    for end in (up0, other):
        assert (end.mtu, end.rx_queues, end.tx_queues) == (9000, 2, 2)
        assert end.up
        assert end.carrier
    assert a.interfaces() == (a.interface("lo"), up0)
    assert a.ifindex("up0") == up0.index == link.left.index
    assert link.left.addresses == up0.addresses
    with pytest.raises(FrozenInstanceError):
        up0.mtu = 1500  # type: ignore[misc]


def test_an_mtu_may_be_too_small_for_ipv6(lab: Lab) -> None:
    a, b = lab.hosts("a", "b")
    lab.link(a, b, mtu=1000, addresses=(["192.0.2.1/24"], ["192.0.2.2/24"]))
    assert a.interface("eth0").mtu == b.interface("eth0").mtu == 1000


def test_a_host_may_be_linked_to_itself(lab: Lab) -> None:
    a = lab.host("a")
    lab.link(a, a)
    with a.capture("eth1") as capture:
        a.send("eth0", frame(1))
        assert capture.wait(1) == [frame(1)]


def test_an_interface_that_is_down_takes_the_carrier_from_its_peer(
    pair: tuple[Host, Host],
) -> None:
    a, b = pair
    b.set_down("eth0")
    assert not b.interface("eth0").up
    assert a.interface("eth0").up
    assert not a.interface("eth0").carrier
    b.set_up("eth0")
    assert a.interface("eth0").carrier
    assert b.interface("eth0").carrier


def test_an_interface_whose_peer_was_moved_elsewhere_still_comes_up(lab: Lab) -> None:
    a, b, elsewhere = lab.hosts("a", "b", "elsewhere")
    lab.link(a, b)
    b.run(["ip", "link", "set", "eth0", "netns", str(holder_pid(elsewhere.netns_path))])
    a.set_down("eth0")
    a.set_up("eth0")
    elsewhere.set_up("eth0")
    with elsewhere.capture("eth0") as capture:
        a.send("eth0", frame(1))
        assert capture.wait(1) == [frame(1)]


def test_a_deleted_interface_takes_its_peer_with_it(lab: Lab) -> None:
    a, b = lab.hosts("a", "b")
    link = lab.link(a, b)
    b.delete("eth0")
    for host in (a, b):
        assert [one.name for one in host.interfaces()] == ["lo"]
        with pytest.raises(netns_lab.UnknownInterfaceError, match=f"{host.name}: eth0: no such"):
            host.interface("eth0")
    with pytest.raises(netns_lab.UnknownInterfaceError):
        _ = link.left.name
    link.delete()


def test_an_interface_is_renamed_and_its_port_knows(lab: Lab) -> None:
    a, b = lab.hosts("a", "b")
    link = lab.link(a, b)
    index = a.ifindex("eth0")
    a.set_down("eth0")
    a.rename("eth0", "wan")
    a.set_up("wan")
    assert a.ifindex("wan") == index
    assert link.left.name == "wan"
    with pytest.raises(netns_lab.UnknownInterfaceError):
        a.interface("eth0")
    with pytest.raises(netns_lab.NameInUseError, match="a: wan to lo: exists already"):
        a.rename("wan", "lo")
    with b.capture("eth0") as capture:
        a.send("wan", frame(1))
        assert capture.wait(1) == [frame(1)]


def test_a_sysctl_of_a_host_is_not_that_of_the_machine(lab: Lab) -> None:
    a = lab.host("a")
    setting = Path("/proc/sys/net/ipv4/ip_default_ttl")
    before = setting.read_text()
    a.write_sysctl("net/ipv4/ip_default_ttl", "33")
    assert a.call(setting.read_text) == "33\n"
    assert setting.read_text() == before
    with pytest.raises(
        netns_lab.KernelError, match="a: /proc/sys/net/ipv4/nonesuch: No such"
    ) as caught:
        a.write_sysctl("net/ipv4/nonesuch", "1")
    assert caught.value.errno == errno.ENOENT


def test_a_lab_leaves_the_machines_own_network_alone() -> None:
    def machine() -> tuple[str, ...]:
        links = subprocess.run(["ip", "-o", "link"], check=True, capture_output=True, text=True)
        knobs = Path("/proc/sys/net/ipv6/conf/default")
        return links.stdout, *(
            (knobs / name).read_text() for name in ("disable_ipv6", "accept_dad")
        )

    before = machine()
    with Lab() as lab:
        lab.link(*lab.hosts("a", "b"), addresses=(["2001:db8::1/64"], []))
        assert machine() == before
    assert machine() == before


# Programs and functions


def test_a_program_runs_inside_its_host(pair: tuple[Host, Host]) -> None:
    a, _ = pair
    result = a.run(["readlink", "/proc/self/ns/net"])
    assert result.returncode == 0
    assert result.stdout == f"net:[{os.stat(a.netns_path).st_ino}]\n"
    assert a.run(["cat"], input="text").stdout == "text"


def test_a_program_that_fails_raises_with_what_it_said(lab: Lab) -> None:
    a = lab.host("a")
    failing = ["sh", "-c", "echo out; echo because >&2; exit 3"]
    with pytest.raises(subprocess.CalledProcessError) as caught:
        a.run(failing)
    assert (caught.value.returncode, caught.value.stdout) == (3, "out\n")
    assert caught.value.__notes__ == ["because"]
    assert a.run(failing, check=False).returncode == 3
    with pytest.raises(subprocess.TimeoutExpired):
        a.run(["sleep", "60"], timeout_s=0.1)


def test_a_program_is_talked_to_while_it_runs(lab: Lab) -> None:
    process = lab.host("a").popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.communicate("hello") == ("hello", None)
    assert process.returncode == 0


def test_programs_end_with_the_lab() -> None:
    with Lab() as lab:
        a = lab.host("a")
        meek = a.popen(["sleep", "infinity"])
        stubborn = a.popen(
            ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"],
            stdout=subprocess.PIPE,
        )
        assert stubborn.stdout is not None
        assert stubborn.stdout.readline() == "ready\n"
    assert meek.returncode == -signal.SIGTERM
    assert stubborn.returncode == -signal.SIGKILL


def test_a_function_runs_inside_its_host_and_its_caller_stays_outside(lab: Lab) -> None:
    a, b = lab.hosts("a", "b")
    outside = inode_inside()
    inodes = [a.call(inode_inside), b.call(inode_inside)]
    assert inodes == [os.stat(host.netns_path).st_ino for host in (a, b)]
    assert len({outside, *inodes}) == 3
    assert inode_inside() == outside
    assert a.call(int, "ff", base=16) == 255


def test_an_exception_inside_a_host_reaches_the_caller(lab: Lab) -> None:
    with pytest.raises(ZeroDivisionError):
        lab.host("a").call(lambda: 1 // 0)


def test_a_name_that_is_no_namespace_is_in_nobodys_way(
    pair: tuple[Host, Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a plain file in /run/netns, where a name is just being made."""
    (tmp_path / "being-made").touch()
    others = peer._namespaces
    monkeypatch.setattr(peer, "_namespaces", lambda: chain([f"{tmp_path}/being-made"], others()))
    left, right = pair
    found = left.call(peer.peer_of, "left", "eth0")
    assert os.path.samefile(found.netns_path, right.netns_path)


def test_the_path_of_a_namespace_is_of_use_to_other_programs(pair: tuple[Host, Host]) -> None:
    a, _ = pair
    command = ["nsenter", f"--net={a.netns_path}", "cat", "/proc/self/net/dev"]
    listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert [line.split(":")[0].strip() for line in listing.splitlines()[2:]] == ["lo", "eth0"]


# Errors


def test_names_in_use_and_unknown_hosts_are_told(lab: Lab) -> None:
    a, b = lab.hosts("a", "b")
    lab.link(a, b)
    assert lab["a"] is a
    with pytest.raises(netns_lab.UnknownHostError, match="^c: no such host$"):
        lab["c"]
    with pytest.raises(netns_lab.UnknownHostError, match="^c: no such host$"):
        lab.link("a", "c")
    with pytest.raises(netns_lab.NameInUseError, match="^a: the lab has a host of that name"):
        lab.host("a")
    with pytest.raises(netns_lab.NameInUseError, match="^a: eth0 - eth1: exists already$"):
        lab.link(a, b, names=("eth0", "eth1"))


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"names": ("a-name-of-16-chr", None)}, "a-name-of-16-chr: .* at most 15 bytes"),
        ({"names": (None, "e/0")}, "'e/0': not a name"),
        ({"names": (None, "")}, "'': not a name"),
        ({"addresses": (["192.0.2.256/24"], [])}, "192.0.2.256/24: not an IP address"),
        ({"macs": ("02:00:00:00:00", None)}, "02:00:00:00:00: not a MAC address"),
        ({"macs": ("01:00:00:00:00:01", None)}, "a multicast MAC address"),
        ({"mtu": 67}, "mtu 67: not in 68..65535"),
        ({"mtu": 1279, "addresses": (["2001:db8::1/64"], [])}, "mtu 1279: IPv6 needs 1280"),
        ({"queues": 0}, "queues 0: not in 1..4096"),
    ],
)
def test_a_wish_that_makes_no_sense_is_refused_before_anything_is_made(
    lab: Lab, wish: dict[str, object], message: str
) -> None:
    a, b = lab.hosts("a", "b")
    with pytest.raises(netns_lab.InvalidValueError, match=message) as caught:
        lab.link(a, b, **wish)  # type: ignore[arg-type]
    assert isinstance(caught.value, ValueError)
    assert len(a.interfaces()) == len(b.interfaces()) == 1


@pytest.mark.parametrize("name", ["", "two words", "a/b", "end\n"])
def test_a_host_needs_a_name_that_can_be_written(lab: Lab, name: str) -> None:
    with pytest.raises(netns_lab.InvalidValueError, match="one word"):
        lab.host(name)


def test_without_root_the_lab_says_so() -> None:
    os.seteuid(65534)
    try:
        with pytest.raises(netns_lab.PrivilegeError, match="needs root"):
            Lab()
    finally:
        os.seteuid(0)


def test_a_missing_tool_is_named_with_its_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(netns_lab.ToolMissingError, match="^setpriv: .*util-linux$"):
        Lab()


def test_what_the_kernel_refuses_has_its_errno(lab: Lab) -> None:
    with pytest.raises(netns_lab.KernelError, match="^a: lo: Operation not supported") as caught:
        lab.host("a").delete("lo")
    assert caught.value.errno == errno.EOPNOTSUPP


def test_a_closed_lab_refuses_work_and_may_be_closed_again() -> None:
    lab = Lab()
    a, b = lab.hosts("a", "b")
    lab.link(a, b)
    lab.close()
    lab.close()
    assert not Path(a.netns_path).exists()
    for refused in (
        lambda: lab.host("c"),
        lambda: lab.link(a, b),
        lambda: a.run(["true"]),
        lambda: a.popen(["true"]),
        lambda: a.call(inode_inside),
        lambda: a.interface("eth0"),
        lambda: a.send("eth0", frame(1)),
        lambda: a.capture("eth0"),
    ):
        with pytest.raises(netns_lab.LabClosedError):
            refused()


# Undoing


def test_a_link_that_fails_half_way_leaves_nothing(lab: Lab) -> None:
    a, b = lab.hosts("a", "b")
    twice = ["192.0.2.2/24", "192.0.2.2/24"]
    with pytest.raises(netns_lab.NameInUseError, match=r"^b: eth0: 192\.0\.2\.2/24: exists"):
        lab.link(a, b, addresses=(["192.0.2.1/24"], twice))
    assert len(a.interfaces()) == len(b.interfaces()) == 1
    assert lab.link(a, b).left.name == "eth0"


def test_hosts_are_made_all_or_none(lab: Lab) -> None:
    lab.host("c")
    before = children()
    with pytest.raises(netns_lab.NameInUseError):
        lab.hosts("a", "b", "c")
    assert children() == before
    lab.hosts("a", "b")


def test_two_labs_side_by_side_do_not_meet() -> None:
    with Lab() as one, Lab() as other:
        ends = [lab.hosts("a", "b") for lab in (one, other)]
        for lab in (one, other):
            lab.link("a", "b", addresses=(["192.0.2.1/24"], ["192.0.2.2/24"]))
        with ends[0][1].capture("eth0") as here, ends[1][1].capture("eth0") as there:
            ends[0][0].send("eth0", frame(1))
            ends[1][0].send("eth0", frame(2))
            assert here.wait(1) == [frame(1)]
            assert there.wait(1) == [frame(2)]
        with pytest.raises(netns_lab.UnknownHostError, match="^a: a host of another lab$"):
            one.link("b", ends[1][0])


def use_a_lab() -> None:
    with Lab() as lab:
        a, b = lab.hosts("a", "b")
        lab.link(a, b, addresses=(["2001:db8::1/64"], ["192.0.2.2/24"]))
        a.popen(["sleep", "infinity"], stdout=subprocess.PIPE)
        with b.capture("eth0") as capture:
            a.send("eth0", frame(1))
            capture.wait(1)
        with pytest.raises(netns_lab.NameInUseError):
            lab.link(a, b, names=("eth0", "eth0"))
        b.delete("eth0")


def test_labs_leave_no_file_process_or_thread_behind() -> None:
    use_a_lab()  # what the first one loads, such as modules, stays

    def census() -> tuple[int, set[int], int]:
        return len(os.listdir("/proc/self/fd")), children(), threading.active_count()

    before = census()
    for _ in range(20):
        use_a_lab()
    assert census() == before


def await_end(pidfd: int) -> None:
    with contextlib.closing(select.epoll()) as ended:
        ended.register(pidfd, select.EPOLLIN)
        assert ended.poll(10), "the process still runs"


@pytest.mark.parametrize("in_thread", [False, True], ids=["main thread", "another thread"])
def test_a_lab_dies_with_its_owner_even_if_that_is_killed(lab: Lab, in_thread: bool) -> None:
    """One end of a link of the doomed lab is moved here: it vanishes with the far namespace."""
    witness = lab.host("witness")
    script = f"""
        import os, threading
        from netns_lab import Lab

        def make():
            global lab  # or it would end with this function
            lab = Lab()
            a, b = lab.hosts("a", "b")
            lab.link(a, b)
            b.run(["ip", "link", "set", "eth0", "netns", "{holder_pid(witness.netns_path)}"])
            program = a.popen(["sleep", "infinity"])
            print(a.netns_path, b.netns_path, program.pid, flush=True)

        if {in_thread}:
            thread = threading.Thread(target=make)
            thread.start()
            thread.join()
        else:
            make()
        input()
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    with (
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as owner,
        contextlib.ExitStack() as stack,
    ):
        assert owner.stdout is not None
        a_path, b_path, program = owner.stdout.readline().split()
        pidfds = []
        for pid in (holder_pid(a_path), holder_pid(b_path), int(program)):
            pidfds.append(os.pidfd_open(pid))
            stack.callback(os.close, pidfds[-1])
        assert witness.interface("eth0").index > 1
        owner.kill()
        for pidfd in pidfds:
            await_end(pidfd)
        # The kernel destroys a namespace when it has time.
        until(lambda: [one.name for one in witness.interfaces()] == ["lo"])


def test_a_lab_made_in_a_thread_outlives_the_thread() -> None:
    labs: list[Lab] = []

    def make() -> None:
        labs.append(Lab())
        a, b = labs[0].hosts("a", "b")
        labs[0].link(a, b)
        a.popen(["sleep", "infinity"])

    maker = threading.Thread(target=make)
    maker.start()
    maker.join()
    with labs[0] as lab:
        with lab["b"].capture("eth0") as capture:
            lab["a"].send("eth0", frame(1))
            assert capture.wait(1) == [frame(1)]
        assert lab["a"].run(["true"]).returncode == 0


def test_the_holder_of_a_namespace_is_out_of_reach_of_the_terminals_signals(lab: Lab) -> None:
    a = lab.host("a")
    assert os.getsid(holder_pid(a.netns_path)) != os.getsid(0)


# The package


def test_the_public_surface_is_what_it_was() -> None:
    assert netns_lab.__all__ == [
        "Capture",
        "CaptureError",
        "CaptureLossError",
        "CaptureTimeoutError",
        "Frame",
        "Host",
        "Interface",
        "InvalidValueError",
        "KernelError",
        "Lab",
        "LabClosedError",
        "LabError",
        "Link",
        "NameInUseError",
        "NamespaceError",
        "Port",
        "PrivilegeError",
        "SendError",
        "ToolMissingError",
        "UnknownHostError",
        "UnknownInterfaceError",
    ]


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = "import sys, netns_lab; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert not {"scapy", "pyroute2", "asyncio", "ctypes"} & set(loaded.stdout.split())


def test_the_package_does_not_call_libc_by_hand() -> None:
    package = Path(netns_lab.__file__).parent
    imported = {
        alias.name
        for path in package.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in [*node.names, ast.alias(getattr(node, "module", None) or "")]
    }
    assert "ctypes" not in imported
