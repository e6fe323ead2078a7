"""Traffic by the million: exact, all different, sound, and honest about what was not sent."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.utils import PcapNgWriter, PcapWriter

from netns_lab import Host, InvalidValueError, SendError, UnknownInterfaceError, topology, traffic
from netns_lab.fixtures import Pair
from netns_lab.generate import TABLE_FRAMES, generate
from netns_lab.profiles import PROFILES, frames_of
from netns_lab.topology import Topology
from tests.forked import forked
from tests.lab.conftest import XDPCTL, StandingPair, standing_hosts, xdpctl, xdpctl_json
from tests.oracle import parse
from tests.packets import IPV4, UDP, eth, ipv4
from xdpctl.protocols import protocol_name

LAB_SEND = [*XDPCTL, "lab", "send"]
SOUND = [frame for frame in traffic.mix().values() if parse(frame).reason is None]


def lab_send(host: Host, *arguments: str) -> subprocess.CompletedProcess[str]:
    return forked().run("lab", "send", host.name, *arguments)


def lab_send_json(host: Host, *arguments: str) -> Any:
    done = lab_send(host, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def attach(host: Host, mode: str) -> None:
    done = xdpctl(host, "attach", "eth0", "--mode", mode)
    assert done.returncode == 0, done.stderr


def expected(frames: list[bytes], count: int) -> list[dict[str, Any]]:
    """The rows of `count` frames in turn, by the oracle."""
    packets: Counter[str] = Counter()
    length: Counter[str] = Counter()
    for i, frame in enumerate(frames):
        times = count // len(frames) + (i < count % len(frames))
        protocol = parse(frame).protocol
        name = protocol_name(int(protocol)) if protocol.isdigit() else protocol
        packets[name] += times
        length[name] += times * len(frame)
    return [{"protocol": n, "packets": packets[n], "bytes": length[n]} for n in sorted(packets)]


def without_numbers(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    bare = [{k: row[k] for k in ("protocol", "packets", "bytes")} for row in rows]
    return sorted(bare, key=lambda row: row["protocol"])


def numbered(count: int) -> list[bytes]:
    """Frames that differ."""
    return [eth(IPV4, ipv4(17, UDP + n.to_bytes(22))) for n in range(count)]


# Exactness


@pytest.mark.parametrize(("mode", "count"), [("driver", 5_000_000), ("skb", 1_000_000)])
def test_millions_sent_are_as_many_counted_by_protocol(
    standing: StandingPair, mode: str, count: int
) -> None:
    attach(standing.right, mode)
    sent = lab_send_json(standing.left, "mix", "--count", str(count))
    counted = xdpctl_json(standing.right, "stats", "eth0")
    assert (sent["packets"], sent["lost"]) == (count, 0)
    assert sent["protocols"] == counted["protocols"]
    assert without_numbers(counted["protocols"]) == expected([*traffic.mix().values()], count)
    assert (sent["packets"], sent["bytes"]) == (counted["packets"], counted["bytes"])


@pytest.mark.parametrize("mode", ["driver", "skb"])
@pytest.mark.parametrize("profile", PROFILES)
def test_each_profile_is_counted_as_it_was_sent(
    standing: StandingPair, profile: str, mode: str
) -> None:
    attach(standing.right, mode)
    sent = lab_send_json(standing.left, profile, "--count", "100001")
    counted = xdpctl_json(standing.right, "stats", "eth0")
    assert sent["packets"] == counted["packets"] == 100_001
    assert sent["protocols"] == counted["protocols"]


def test_the_table_for_people_is_that_of_stats(standing: StandingPair) -> None:
    attach(standing.right, "driver")
    sent = lab_send(standing.left, "mix", "--count", "2800")
    assert sent.returncode == 0, sent.stderr
    table = sent.stdout.split("\n\n")[1]
    assert table.strip() in xdpctl(standing.right, "stats", "eth0").stdout


def test_what_the_peer_did_not_take_is_lost_and_said(pair: Pair) -> None:
    attach(pair.right, "driver")

    def unplug(packets: int, seconds: float) -> None:
        if packets >= 100_000 and pair.left.interface("eth0").carrier:
            pair.right.set_down("eth0")

    sent = pair.left.generate("eth0", numbered(1), count=300_000, on_progress=unplug)
    counted = xdpctl_json(pair.right, "stats", "eth0")
    assert sent.packets == 300_000
    assert sent.lost == 300_000 - counted["packets"] > 0


# Frames


@pytest.mark.parametrize("profile", PROFILES)
def test_no_two_frames_are_equal_and_their_checksums_are_right(pair: Pair, profile: str) -> None:
    frames = frames_of(profile, traffic.ENDS, 1500)
    with pair.right.capture("eth0") as capture:
        pair.left.generate("eth0", frames, count=1500, seed=1)
        arrived = sorted(capture.wait(1500), key=number_of)
    assert len(set(arrived)) == 1500
    assert [len(frame) for frame in arrived] == [len(frames[n % len(frames)]) for n in range(1500)]
    for frame in arrived:
        if parse(frame).protocol.isdigit():  # of IP
            assert frame == recomputed(frame)


def number_of(frame: bytes) -> bytes:
    """By which frames were sent one after another; receive offload may change their order."""
    return frame[7:12]


def recomputed(frame: bytes) -> bytes:
    """The frame with the checksums that scapy works out, where scapy can: of whole datagrams."""
    packet = Ether(frame)
    for layer in packet.iterpayloads():
        ip = layer.getlayer(IP)
        whole = layer.name in ("UDP", "TCP", "ICMP") or layer.name.startswith("ICMPv6")
        fragment = ip is not None and (ip.frag or ip.flags.MF)
        absent = getattr(layer, "chksum", None) == 0  # a sender may leave out UDP's
        if layer.name == "IP" or (whole and not fragment and not absent):
            field = "cksum" if layer.name.startswith("ICMPv6") else "chksum"
            layer.delfieldval(field)
    return bytes(packet)


@pytest.mark.parametrize("profile", ["udp", "synflood", "dnsflood"])
def test_a_flood_has_many_flows(pair: Pair, profile: str) -> None:
    with pair.right.capture("eth0") as capture:
        pair.left.generate("eth0", frames_of(profile, traffic.ENDS, 1500), count=5000)
        arrived = [Ether(frame)[IP] for frame in capture.wait(5000)]
    flows = {(ip.src, ip.payload.sport) for ip in arrived}
    assert len(flows) > 4900
    assert all(0x8000 <= ip.payload.sport < 0xC000 for ip in arrived)
    prefix = "192.0.2." if profile == "udp" else "198.18."
    assert all(ip.src.startswith(prefix) for ip in arrived)
    if profile == "udp":  # 6 of the 8 bits of a host in a /24 vary, and neither 0 nor 255 comes up
        hosts = {int(ip.src.rpartition(".")[2]) for ip in arrived}
        assert len(hosts) == 64
        assert not hosts & {0, 255}


def test_ipv6_sources_vary_in_their_last_two_bytes(pair: Pair) -> None:
    frame = traffic.mix()["UDP over IPv6"]
    with pair.right.capture("eth0") as capture:
        pair.left.generate("eth0", [frame], count=2000)
        sources = {Ether(each)[IPv6].src for each in capture.wait(2000)}
    assert len(sources) > 1900
    assert all(source.startswith("2001:db8::") for source in sources)


def test_the_same_seed_sends_the_same_frames(pair: Pair) -> None:
    frames = [*traffic.mix().values()]
    arrived = []
    for seed in (7, 7, 8):
        with pair.right.capture("eth0") as capture:
            pair.left.generate("eth0", frames, count=3000, seed=seed)
            arrived.append(sorted(capture.wait(3000), key=number_of))
    assert arrived[0] == arrived[1]
    assert arrived[0] != arrived[2]


@pytest.mark.parametrize(
    ("built_in", "to", "address"),
    [
        (topology.bridge, "c", "192.0.2.3"),
        (topology.routed, "b", "198.51.100.1"),
        (topology.routed, "router", "192.0.2.254"),
    ],
)
def test_frames_reach_the_host_they_are_for(
    built_in: Callable[[], Topology], to: str, address: str
) -> None:
    with standing_hosts(built_in()) as hosts, hosts[to].capture("eth0") as capture:
        lab_send_json(hosts["a"], "udp", "--to", hosts[to].name, "--count", "10")
        packets = [Ether(frame) for frame in capture.wait(10)]
        mac = hosts[to].interface("eth0").mac
    for packet in packets:
        assert (packet.dst, packet[IP].dst) == (mac, address)
        assert packet[IP].src.startswith("192.0.2.")


def test_a_flood_over_a_bridge_says_for_whom_it_is() -> None:
    with standing_hosts(topology.bridge()) as hosts:
        refused = lab_send(hosts["a"], "udp")
    assert refused.returncode == 2
    assert refused.stderr.endswith(
        "a: eth0: leads to a bridge; say to which host\nhint: --to HOST\n"
    )


# Files


@pytest.mark.parametrize("kind", ["pcap", "pcapng"])
@pytest.mark.parametrize("count", [3, TABLE_FRAMES, TABLE_FRAMES + 1, 2 * TABLE_FRAMES + 500])
def test_a_file_is_sent_once_and_as_it_is(
    standing: StandingPair, tmp_path: Path, kind: str, count: int
) -> None:
    frames = numbered(count)
    path = write(tmp_path / f"trace.{kind}", frames)
    with standing.right.capture("eth0") as capture:
        sent = lab_send_json(standing.left, str(path))
        assert capture.wait(count) == frames
    assert (sent["packets"], sent["bytes"]) == (count, sum(map(len, frames)))


def test_a_frame_of_any_length_is_sent_as_it_is(pair: Pair) -> None:
    """Short ones are copied by the word, longer ones by the kernel; a short one follows a long."""
    lengths = [*range(14, 270), *range(269, 13, -1)]
    head = eth(0x88B5)  # local experimental (IEEE 802, 9.2.3)
    frames = [head + Random(i).randbytes(length - len(head)) for i, length in enumerate(lengths)]
    with pair.right.capture("eth0") as capture:
        sent = pair.left.generate("eth0", frames, vary=False)
        assert capture.wait(len(frames)) == frames
    assert sent.packets == len(frames)


@pytest.mark.parametrize("size", [3, TABLE_FRAMES + 10])
def test_a_file_is_sent_again_until_there_were_enough(
    standing: StandingPair, tmp_path: Path, size: int
) -> None:
    frames = numbered(size)
    path = write(tmp_path / "trace.pcap", frames)
    with standing.right.capture("eth0") as capture:
        sent = lab_send_json(standing.left, str(path), "--count", "2500")
        assert capture.wait(2500) == (frames * 2500)[:2500]
    assert sent["packets"] == 2500


def test_frames_that_cannot_be_sent_are_counted_and_said(
    standing: StandingPair, tmp_path: Path
) -> None:
    frames = numbered(5)
    unfit = [b"short", bytes(13), eth(IPV4, ipv4(17, bytes(1500)))]
    path = write(tmp_path / "trace.pcap", frames[:2] + unfit + frames[2:])
    with standing.right.capture("eth0") as capture:
        sent = lab_send_json(standing.left, str(path), "--count", "50")
        assert capture.wait(50) == frames * 10
    assert (sent["too_short"], sent["too_long"]) == (2, 1)
    shown = lab_send(standing.left, str(path))
    assert "\n2 shorter than an Ethernet header, left out\n" in shown.stdout
    assert "\n1 longer than the link or a live frame takes, left out\n" in shown.stdout
    nothing = lab_send(standing.left, str(write(tmp_path / "unfit.pcap", unfit)))
    assert nothing.returncode == 3
    assert nothing.stderr.count("\n") == 1
    assert "no frame can be sent: 2 shorter than 14 bytes, 1 longer than 1514" in nothing.stderr


def test_a_file_that_is_no_capture_or_lies_is_refused_in_a_line(
    standing: StandingPair, tmp_path: Path
) -> None:
    garbage = tmp_path / "garbage.pcap"
    garbage.write_bytes(b"\0" * 1000)
    liar = write(tmp_path / "liar.pcapng", numbered(3))
    liar.write_bytes(liar.read_bytes() + bytes.fromhex("06000000 f0ffffff") + bytes(100))
    for path in (garbage, liar):
        refused = lab_send(standing.left, str(path))
        assert refused.returncode == 2, refused.stderr
        assert refused.stderr.startswith(f"xdpctl: {path}: ")
        assert refused.stderr.count("\n") == 1
    with pytest.raises(InvalidValueError, match="not a pcap"):
        standing.left.replay("eth0", garbage)


def write(path: Path, frames: list[bytes]) -> Path:
    writer = PcapNgWriter if path.suffix == ".pcapng" else PcapWriter
    with writer(str(path)) as file:
        for frame in frames:
            file.write(Ether(frame) if path.suffix == ".pcapng" else frame)
    return path


# Where it cannot send, and where it ends early


def test_an_interface_that_is_down_is_refused_in_a_line(standing: StandingPair) -> None:
    standing.right.set_down("eth0")
    refused = lab_send(standing.left, "udp")
    assert (refused.returncode, refused.stdout) == (3, "")
    assert refused.stderr.endswith("eth0: has no carrier; is its peer down?\n")
    standing.left.set_down("eth0")
    with pytest.raises(SendError, match="a: eth0: is down"):
        standing.left.generate("eth0", numbered(1), count=1)
    with pytest.raises(SendError, match="a: lo: not a veth"):
        standing.left.generate("lo", numbered(1), count=1)
    with pytest.raises(UnknownInterfaceError, match="/a: eth9: no such interface$"):
        standing.left.generate("eth9", numbered(1), count=1)
    with pytest.raises(UnknownInterfaceError, match="^eth9: no such interface$"):
        standing.left.call(generate, "eth9", numbered(1), count=1)
    nowhere = lab_send(standing.left, "udp", "--interface", "eth9")
    assert nowhere.returncode == 3
    assert nowhere.stderr.splitlines()[0].endswith("a: eth9: no such interface")
    assert nowhere.stderr.count("eth9") == 1


def test_what_is_neither_a_profile_nor_a_file_is_wrong_usage(standing: StandingPair) -> None:
    refused = lab_send(standing.left, "nosuch")
    assert refused.returncode == 2
    assert refused.stderr == (
        "xdpctl: nosuch: neither a profile nor a file\n"
        "hint: profiles: mix, udp, synflood, dnsflood, fragments, sizes\n"
    )


def test_ctrl_c_reports_what_was_sent(standing: StandingPair) -> None:
    attach(standing.right, "driver")
    arguments = [*LAB_SEND, standing.left.name, "mix", "--count", str(10**12), "--json"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        while xdpctl_json(standing.right, "stats", "eth0")["packets"] < 100_000:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 0
    sent, counted = json.loads(output), xdpctl_json(standing.right, "stats", "eth0")
    assert sent["protocols"] == counted["protocols"]
    assert (sent["packets"], sent["lost"]) == (counted["packets"], 0)


def test_an_event_and_a_number_of_seconds_end_it(pair: Pair) -> None:
    attach(pair.right, "driver")
    stop = threading.Event()
    by_event = pair.left.generate(
        "eth0", numbered(2), count=10**12, stop=stop, on_progress=lambda *_: stop.set()
    )
    by_time = pair.left.generate("eth0", numbered(2), seconds=0.05)
    paced = pair.left.generate("eth0", numbered(2), count=20, rate_pps=1000)
    assert by_event.packets > 0 < by_time.packets
    assert paced.packets == 20
    total = by_event.packets + by_time.packets + paced.packets
    assert xdpctl_json(pair.right, "stats", "eth0")["packets"] == total


@pytest.mark.parametrize("setting", ["on", "off"])
def test_the_peer_is_left_as_it_was(pair: Pair, setting: str) -> None:
    pair.right.run(["ethtool", "-K", "eth0", "gro", setting])
    before = pair.right.run(["ethtool", "-k", "eth0"]).stdout
    assert f"generic-receive-offload: {setting}" in before
    with pair.right.capture("eth0") as capture:
        pair.left.generate("eth0", SOUND)
        assert len(capture.wait(len(SOUND))) == len(SOUND)
    assert pair.right.run(["ethtool", "-k", "eth0"]).stdout == before
