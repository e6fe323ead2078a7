"""Packets of other link types become Ethernet frames, or are counted."""

from __future__ import annotations

import subprocess
from pathlib import Path
from struct import pack

import pytest

from tests import capture_files as files
from tests.capture_files import FRAME, enhanced, interface, read, read_damaged, section
from xdpctl.errors import WrongUsage

IPV4 = bytes.fromhex("4500001c000000004011000000000000000000000000000000080000")
IPV6 = bytes.fromhex("600000000008113f") + bytes(40)
TAGGED_IPV6 = b"\0\x07\x86\xdd" + IPV6  # what follows the TPID
TO_IPV4 = bytes(12) + b"\x08\x00"
TO_IPV6 = bytes(12) + b"\x86\xdd"
MAC = bytes.fromhex("020000000001")


def cooked(
    protocol: int, *, arphrd: int = 1, address: bytes = MAC, address_length: int = 6
) -> bytes:
    """https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL.html"""
    return pack("!HHH8sH", 0, arphrd, address_length, address, protocol)


def cooked2(
    protocol: int, *, arphrd: int = 1, address: bytes = MAC, address_length: int = 6
) -> bytes:
    """https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL2.html"""
    return pack("!HHIHBB8s", protocol, 0, 7, arphrd, 0, address_length, address)


@pytest.mark.parametrize(
    ("link_type", "packet", "frame"),
    [
        *((raw, IPV4, TO_IPV4 + IPV4) for raw in (12, 14, 101)),
        *((raw, IPV6, TO_IPV6 + IPV6) for raw in (12, 14, 101)),
        (228, IPV4, TO_IPV4 + IPV4),
        (228, b"", TO_IPV4),
        (229, IPV6, TO_IPV6 + IPV6),
        (0, b"\x02\0\0\0" + IPV4, TO_IPV4 + IPV4),
        (0, b"\0\0\0\x02" + IPV4, TO_IPV4 + IPV4),
        *((0, pack("<I", family) + IPV6, TO_IPV6 + IPV6) for family in (10, 24, 28, 30)),
        (0, b"\0\0\0\x1e" + IPV6, TO_IPV6 + IPV6),
        (108, b"\0\0\0\x02" + IPV4, TO_IPV4 + IPV4),
        (108, b"\0\0\0\x18" + IPV6, TO_IPV6 + IPV6),
        (113, cooked(0x0800) + IPV4, bytes(6) + MAC + b"\x08\x00" + IPV4),
        (113, cooked(0x8100) + TAGGED_IPV6, bytes(6) + MAC + b"\x81\0" + TAGGED_IPV6),
        (113, cooked(0x0806), bytes(6) + MAC + b"\x08\x06"),
        (113, cooked(0x0800, arphrd=65534, address=b"", address_length=0) + IPV4, TO_IPV4 + IPV4),
        (113, cooked(0x0800, address=b"12345678", address_length=8) + IPV4, TO_IPV4 + IPV4),
        (276, cooked2(0x86DD) + IPV6, bytes(6) + MAC + b"\x86\xdd" + IPV6),
        (276, cooked2(0x0800, arphrd=512, address=b"", address_length=0) + IPV4, TO_IPV4 + IPV4),
    ],
)
def test_a_packet_without_ethernet_header_is_given_one(
    link_type: int, packet: bytes, frame: bytes
) -> None:
    """The lengths are those with the header that it is given, and without the one it had."""
    length = len(packet) + 1000
    plain = files.pcap_header(link_type=link_type) + files.record(packet, original=length)
    ng = section() + interface(link_type=link_type)
    for content in (plain, ng + enhanced(packet, original=length)):
        [found] = read(content)
        assert found.data == frame
        assert found.original_length == len(frame) + 1000
    simple = ng + files.simple(packet) * 2 + files.simple(packet, original=length)
    assert read_damaged(simple)[0] == [frame] * 3


@pytest.mark.parametrize(
    ("link_type", "packet", "reason"),
    [
        (101, b"\x50" + IPV4[1:], "raw IP, but neither IPv4 nor IPv6"),
        (101, b"", "raw IP, but neither IPv4 nor IPv6"),
        (0, b"\x07\0\0\0" + IPV4, "BSD loopback, but neither IPv4 nor IPv6"),
        (0, b"\x02\0\0", "BSD loopback, but neither IPv4 nor IPv6"),
        (108, b"", "BSD loopback, but neither IPv4 nor IPv6"),
        (113, cooked(1) + IPV4, "Linux cooked, but of no Ethernet type"),  # ETH_P_802_3
        (113, cooked(4) + b"\x42\x42\x03", "Linux cooked, but of no Ethernet type"),
        (113, cooked(0x05FF) + IPV4, "Linux cooked, but of no Ethernet type"),
        (113, cooked(0x0800, arphrd=803) + IPV4, "Linux cooked, but of no Ethernet type"),
        (113, cooked(0x0800)[:15], "cut short within the Linux cooked header"),
        (276, cooked2(0x000C) + IPV4, "Linux cooked, but of no Ethernet type"),
        (276, cooked2(0x0800, arphrd=824) + IPV4, "Linux cooked, but of no Ethernet type"),
        (276, cooked2(0x0800)[:19], "cut short within the Linux cooked header"),
    ],
)
def test_what_cannot_be_made_a_frame_of_is_counted_and_keeps_its_number(
    link_type: int, packet: bytes, reason: str
) -> None:
    ng = section() + interface() + interface(link_type=link_type)
    ng += enhanced(FRAME) + enhanced(packet, number=1) + enhanced(FRAME)
    capture = files.reader(ng)
    [batch] = list(capture)
    assert list(batch.numbers) == [1, 3]
    assert capture.left_out == {reason: 1}
    assert capture.problems == []
    plain = files.reader(files.pcap([packet, packet], link_type=link_type))
    with pytest.raises(WrongUsage, match="no packet can be used: " + reason):
        list(plain)
    assert plain.left_out == {reason: 2}


def test_a_pcap_file_of_another_link_type_is_refused_in_one_line() -> None:
    with pytest.raises(WrongUsage) as refused:
        files.reader(files.pcap([FRAME], link_type=105))
    assert refused.value.message == (
        "capture: link type 105 (IEEE 802.11) cannot be made Ethernet of"
    )
    with pytest.raises(WrongUsage, match=r"link type 4242 \(not Ethernet\)"):
        files.reader(files.pcap([FRAME], link_type=4242))


def test_interfaces_of_another_link_type_are_left_out() -> None:
    content = section() + interface(link_type=127) + interface()
    content += enhanced(FRAME) * 2 + enhanced(FRAME[:20], number=1) + enhanced(FRAME)
    assert read_damaged(content) == (
        [FRAME[:20]],
        [],
        {"link type 127 (IEEE 802.11 with radiotap header)": 3},
    )


def test_a_file_of_nothing_but_other_link_types_cannot_be_used() -> None:
    capture = files.reader(files.pcapng([FRAME] * 2, link_type=189))
    with pytest.raises(WrongUsage, match=r"no packet can be used: link type 189 \(Linux USB\)"):
        list(capture)


def test_reasons_are_bounded() -> None:
    content = section() + interface()
    for link_type in range(1000, 1150):
        content += interface(link_type=link_type)
    content += b"".join(enhanced(FRAME, number=i) for i in range(151))
    frames, _, left_out = read_damaged(content)
    assert frames == [FRAME]
    assert len(left_out) == 101
    assert left_out["other reasons"] == 50


def test_a_length_that_has_no_room_for_a_header_stays_within_32_bits() -> None:
    content = files.pcap_header(link_type=101) + files.record(IPV4, original=0xFFFFFFFF)
    [found] = read(content)
    assert found.original_length == 0xFFFFFFFF


FCS = bytes.fromhex("deadbeef")
WORDS_OF_FCS = 0x24000001  # two words, and the bit that says so: draft-ietf-opsawg-pcap


@pytest.mark.parametrize("lengths", [b"\x04", b"\x20"])
def test_the_frame_check_sequence_is_cut_off_where_the_file_declares_one(lengths: bytes) -> None:
    """In octets, as in the specification's example, or in bits, as it says."""
    plain = files.pcap_header(link_type=WORDS_OF_FCS) + files.record(FRAME + FCS)
    ng = section() + interface((13, lengths)) + enhanced(FRAME + FCS)
    for content in (plain, ng):
        [found] = read(content)
        assert (found.data, found.original_length) == (FRAME, len(FRAME))


@pytest.mark.parametrize(
    ("captured", "expected"), [(len(FRAME) + 3, len(FRAME)), (len(FRAME), len(FRAME)), (20, 20)]
)
def test_of_a_packet_that_was_cut_only_what_was_captured_of_it_is_cut_off(
    captured: int, expected: int
) -> None:
    content = files.pcap_header(link_type=WORDS_OF_FCS)
    content += files.record((FRAME + FCS)[:captured], original=len(FRAME) + 4)
    [found] = read(content)
    assert (found.data, found.original_length) == (FRAME[:expected], len(FRAME))


def test_a_packet_shorter_than_its_check_sequence_is_empty() -> None:
    content = files.pcap_header(link_type=WORDS_OF_FCS) + files.record(b"abc")
    [found] = read(content)
    assert (found.data, found.original_length) == (b"", 0)


def test_tshark_takes_the_same_four_bytes_for_the_check_sequence(tmp_path: Path) -> None:
    path = tmp_path / "fcs.pcap"
    frame = FRAME[:12] + b"\x88\xb5" + bytes(46)
    path.write_bytes(
        files.pcap_header(link_type=WORDS_OF_FCS, order=">") + files.record(frame + FCS, order=">")
    )
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", "-e", "eth.fcs"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "0xdeadbeef"
    assert [each.data for each in read(path.read_bytes())] == [frame]
