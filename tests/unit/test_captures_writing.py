"""Capture files as they are written: byte by byte, and as others read them."""

from __future__ import annotations

import io
import os
import subprocess
import warnings
from pathlib import Path

import pcapng
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pcapng.blocks import EnhancedPacket, InterfaceStatistics
from scapy.utils import RawPcapNgReader

from xdpctl.captures.writing import CaptureWriter

TIME = 1_700_000_000_123_456_789
COMMENT_CHARACTERS = st.characters(exclude_characters="\0", codec="utf-8")  # no lone surrogate
FRAME = bytes.fromhex("0200000000020200000000010800") + b"payload"  # 21 bytes


def written(*, application: str = "xdpctl") -> tuple[io.BytesIO, CaptureWriter]:
    file = io.BytesIO()
    return file, CaptureWriter(file, application=application)


def blocks_of(file: io.BytesIO) -> list[pcapng.blocks.Block]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # python-pcapng's about itself
        return list(pcapng.FileScanner(io.BytesIO(file.getvalue())))


def tshark(path: Path, *fields: str) -> list[list[str]]:
    """The fields of each packet."""
    asked = [argument for field in fields for argument in ("-e", field)]
    command = ["tshark", "-n", "-r", str(path), "-T", "fields", *asked]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return [line.split("\t") for line in done.stdout.splitlines()]


def test_blocks_are_those_of_the_specification_byte_by_byte() -> None:
    file, capture = written()
    begin = len(file.getvalue())
    interface = capture.add_interface("eth0", snaplen=96, description="up")
    capture.write(interface, 0x0102030405060708, b"\xaa\xbb\xcc\xdd\xee", 9)
    capture.write(interface, 1, b"\x55", 1, verdict=1, comment="abc", inbound=False, queue=3)
    capture.statistics(interface, start_ns=1, end_ns=0x100000002, received=4, os_dropped=5)
    assert file.getvalue()[begin:] == bytes.fromhex(
        "01000000 30000000 0100 0000 60000000"  # Interface Description: Ethernet, snaplen 96
        "0200 0400 65746830"  # if_name
        "0300 0200 7570 0000"  # if_description
        "0900 0100 09 000000"  # if_tsresol
        "0000 0000 30000000"
        "06000000 34000000 00000000 04030201 08070605 05000000 09000000"  # Enhanced Packet
        "aabbccddee 000000"
        "0200 0400 01000000"  # epb_flags: inbound
        "0000 0000 34000000"
        "06000000 50000000 00000000 00000000 01000000 01000000 01000000"
        "55 000000"
        "0100 0300 616263 00"  # opt_comment
        "0200 0400 02000000"  # epb_flags: outbound
        "0600 0400 03000000"  # epb_queue
        "0700 0900 02 0100000000000000 000000"  # epb_verdict: Linux_eBPF_XDP, XDP_DROP
        "0000 0000 50000000"
        "05000000 4c000000 00000000 01000000 02000000"  # Interface Statistics
        "0200 0800 00000000 01000000"  # isb_starttime: the upper half first
        "0300 0800 01000000 02000000"  # isb_endtime
        "0400 0800 0400000000000000"  # isb_ifrecv
        "0700 0800 0500000000000000"  # isb_osdrop
        "0000 0000 4c000000"
    )


def test_a_file_begins_with_who_wrote_it_and_where() -> None:
    file, _ = written(application="xdpctl capture")
    header = blocks_of(file)[0]
    system = os.uname()
    assert file.getvalue()[:16] == bytes.fromhex("0a0d0d0a") + file.getvalue()[4:8] + bytes.fromhex(
        "4d3c2b1a 0100 0000"
    )
    assert file.getvalue()[16:24] == b"\xff" * 8  # of unknown length
    assert header.options["shb_userappl"] == "xdpctl capture"
    assert header.options["shb_os"] == f"{system.sysname} {system.release}"


def test_python_pcapng_reads_what_was_written() -> None:
    file, capture = written()
    capture.add_interface("eth0")
    second = capture.add_interface("veth1", description="a lab's")
    capture.write(second, TIME, FRAME, 1500, verdict=2, comment="rule ssh", queue=7)
    capture.statistics(second, start_ns=1, end_ns=2, received=11, dropped=12, delivered=13)
    _, _, interface, packet, statistics = blocks_of(file)
    assert interface.options["if_name"] == "veth1"
    assert interface.options["if_description"] == "a lab's"
    assert isinstance(packet, EnhancedPacket)
    assert (packet.interface_id, packet.packet_data, packet.packet_len) == (1, FRAME, 1500)
    assert (packet.timestamp_high << 32 | packet.timestamp_low) == TIME
    assert packet.options["opt_comment"] == "rule ssh"
    assert packet.options["epb_flags"].inout == "inbound"
    assert packet.options["epb_queue"] == 7
    assert packet.options["epb_verdict"] == (2, bytes([2, 0, 0, 0, 0, 0, 0, 0]))
    assert isinstance(statistics, InterfaceStatistics)
    assert statistics.options["isb_ifrecv"] == 11
    assert statistics.options["isb_ifdrop"] == 12
    assert statistics.options["isb_usrdeliv"] == 13
    assert "isb_osdrop" not in statistics.options


def test_tshark_shows_interface_time_verdict_queue_and_comment(tmp_path: Path) -> None:
    path = tmp_path / "written.pcapng"
    with path.open("wb") as file:
        capture = CaptureWriter(file)
        first = capture.add_interface("eth0", snaplen=64, description="towards the world")
        second = capture.add_interface("eth1")
        capture.write(first, TIME, FRAME, 1500, verdict=1, comment="rule no-telnet", queue=5)
        capture.write(second, TIME + 1, FRAME, len(FRAME), inbound=False)
        capture.write(first, TIME + 2, FRAME, len(FRAME), verdict=4)
        capture.statistics(first, start_ns=TIME, end_ns=TIME + 3, received=2)
    fields = (
        "frame.time_epoch",
        "frame.interface_name",
        "frame.interface_description",
        "frame.interface_queue",
        "frame.packet_flags_direction",
        "frame.verdict.ebpf_xdp",
        "frame.comment",
        "frame.cap_len",
        "frame.len",
    )
    world = "towards the world"
    assert tshark(path, *fields) == [
        ["1700000000.123456789", "eth0", world, "5", "0x00000001", "1", "rule no-telnet"]
        + ["21", "1500"],
        ["1700000000.123456790", "eth1", "", "", "0x00000002", "", "", "21", "21"],
        ["1700000000.123456791", "eth0", world, "", "0x00000001", "4", "", "21", "21"],
    ]


def test_scapy_reads_what_was_written() -> None:
    file, capture = written()
    interface = capture.add_interface("eth0")
    capture.write(interface, TIME, FRAME, 1500, comment="why")
    with RawPcapNgReader(io.BytesIO(file.getvalue())) as reader:
        [(data, metadata)] = list(reader)
    assert data == FRAME
    assert metadata.wirelen == 1500
    assert metadata.tshigh << 32 | metadata.tslow == TIME
    assert metadata.tsresol == 1_000_000_000


@given(
    packets=st.lists(
        st.tuples(
            st.binary(max_size=70),
            st.integers(0, 2**64 - 1),
            st.integers(0, 2**32 - 1),
            st.none() | st.integers(0, 2**64 - 1),
            st.none() | st.text(COMMENT_CHARACTERS, max_size=9),
            st.none() | st.integers(0, 2**32 - 1),
        ),
        max_size=5,
    )
)
def test_whatever_is_written_python_pcapng_reads(
    packets: list[tuple[bytes, int, int, int | None, str | None, int | None]],
) -> None:
    file, capture = written()
    interface = capture.add_interface("eth0")
    for data, time_ns, length, verdict, comment, queue in packets:
        capture.write(
            interface, time_ns, data, length, verdict=verdict, comment=comment, queue=queue
        )
    found = [each for each in blocks_of(file) if isinstance(each, EnhancedPacket)]
    assert len(found) == len(packets)
    for block, (data, time_ns, length, verdict, comment, queue) in zip(found, packets, strict=True):
        assert block.packet_data == data
        assert block.timestamp_high << 32 | block.timestamp_low == time_ns
        assert block.packet_len == (length or len(data))  # python-pcapng's reading of 0
        assert block.options.get("opt_comment") == comment
        assert block.options.get("epb_queue") == queue
        expected = None if verdict is None else (2, verdict.to_bytes(8, "little"))
        assert block.options.get("epb_verdict") == expected


def test_a_comment_that_is_too_long_is_cut_between_characters() -> None:
    file, capture = written()
    interface = capture.add_interface("eth0")
    capture.write(interface, TIME, FRAME, 21, comment="é" * 40_000)  # two bytes each
    assert blocks_of(file)[-1].options["opt_comment"] == "é" * 32_767


def test_a_lone_surrogate_in_a_name_is_written_as_a_question_mark() -> None:
    file, capture = written()
    capture.add_interface("eth\udcff")
    assert blocks_of(file)[-1].options["if_name"] == "eth?"


def test_a_packet_of_an_interface_that_was_not_declared_is_refused() -> None:
    file, capture = written()
    size = len(file.getvalue())
    with pytest.raises(ValueError, match="no interface 0"):
        capture.write(0, TIME, FRAME, 21)
    with pytest.raises(ValueError, match="no interface 0"):
        capture.statistics(0, start_ns=1, end_ns=2)
    assert len(file.getvalue()) == size


def test_each_packet_is_one_write_of_the_file() -> None:
    calls: list[int] = []

    class Counting(io.BytesIO):
        def write(self, data: object) -> int:
            calls.append(1)
            return super().write(data)  # type: ignore[arg-type]

    capture = CaptureWriter(Counting())
    interface = capture.add_interface("eth0")
    calls.clear()
    capture.write(interface, TIME, memoryview(FRAME), 21, verdict=1, comment="why")
    assert calls == [1]
