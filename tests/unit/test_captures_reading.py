"""Sound capture files are read as those who defined the formats, and other readers, read them."""

from __future__ import annotations

import gzip
import io
import subprocess
from collections.abc import Callable
from pathlib import Path
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import PcapNgWriter, RawPcapNgReader, RawPcapReader, wrpcap

from tests import capture_files as files
from tests.capture_files import FRAME, SECOND, enhanced, interface, read, reader, section
from xdpctl.captures.batches import Packet, packets
from xdpctl.captures.reading import CaptureReader
from xdpctl.captures.writing import CaptureWriter

BOTH_ORDERS = pytest.mark.parametrize("order", ["<", ">"])


@pytest.fixture(scope="module")
def scapys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pcap file of 300 packets, from 60 to 1,514 bytes."""
    path = tmp_path_factory.mktemp("captures") / "scapy.pcap"
    sent = []
    for i in range(300):
        each = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
        each = each / IP(src="192.0.2.1", dst="198.51.100.7") / UDP(dport=i) / bytes(18 + i * 4)
        each.time = SECOND + i / 8
        sent.append(each)
    wrpcap(str(path), sent)
    return path


def read_path(path: Path) -> list[Packet]:
    with CaptureReader(path) as capture:
        found = list(packets(capture))
    assert (capture.problems, capture.left_out) == ([], {})
    return found


def as_scapy_reads(path: Path) -> list[Packet]:
    """Of a pcap file."""
    with RawPcapReader(str(path)) as found:
        unit = 1 if found.nano else 1000
        return [
            Packet(number, about.sec * 10**9 + about.usec * unit, data, about.wirelen)
            for number, (data, about) in enumerate(found, 1)
        ]


def as_scapy_reads_ng(path: Path) -> list[Packet]:
    with RawPcapNgReader(str(path)) as found:
        return [
            Packet(
                number,
                (about.tshigh << 32 | about.tslow) * 10**9 // about.tsresol,
                data,
                about.wirelen,
            )
            for number, (data, about) in enumerate(found, 1)
        ]


def convert(*command: str | Path) -> None:
    subprocess.run([str(each) for each in command], check=True, capture_output=True, timeout=60)


def test_a_file_of_wrpcap_is_read_as_scapy_reads_it(scapys: Path) -> None:
    assert read_path(scapys) == as_scapy_reads(scapys)


def test_a_file_of_pcapngwriter_is_read_as_scapy_reads_it(tmp_path: Path, scapys: Path) -> None:
    path = tmp_path / "scapy.pcapng"
    with PcapNgWriter(str(path)) as writer:
        for packet in as_scapy_reads(scapys):
            each = Ether(packet.data)
            each.time = packet.time_ns / 10**9
            writer.write(each)
    assert read_path(path) == as_scapy_reads_ng(path)


@pytest.mark.parametrize("kind", ["pcap", "nsecpcap", "pcapng"])
@pytest.mark.parametrize("snaplen", [0, 96])
def test_editcaps_formats_are_all_the_same(
    tmp_path: Path, scapys: Path, kind: str, snaplen: int
) -> None:
    path = tmp_path / kind
    cut = ["-s", str(snaplen)] if snaplen else []
    convert("editcap", "-F", kind, *cut, scapys, path)
    expected = [
        packet._replace(data=packet.data[: snaplen or None]) for packet in as_scapy_reads(scapys)
    ]
    assert read_path(path) == expected


def test_mergecap_puts_several_interfaces_into_one_file(tmp_path: Path, scapys: Path) -> None:
    raw, merged = tmp_path / "raw.pcap", tmp_path / "merged.pcapng"
    ip = [packet.data[14:] for packet in as_scapy_reads(scapys)]
    raw.write_bytes(files.pcap(ip, link_type=101))
    convert("mergecap", "-a", "-F", "pcapng", "-w", merged, scapys, raw)
    found = [packet.data for packet in read_path(merged)]
    assert found[:300] == [packet.data for packet in as_scapy_reads(scapys)]
    assert found[300:] == [bytes(12) + b"\x08\x00" + each for each in ip]


def test_tshark_and_the_reader_agree_on_what_the_writer_wrote(tmp_path: Path) -> None:
    path = tmp_path / "written.pcapng"
    with path.open("wb") as file:
        capture = CaptureWriter(file)
        first, second = capture.add_interface("eth0"), capture.add_interface("eth1")
        capture.write(first, SECOND * 10**9 + 1, FRAME, 1500, verdict=1, comment="no-telnet")
        capture.write(second, SECOND * 10**9 + 2, FRAME[:33], 33, queue=4)
        capture.statistics(first, start_ns=1, end_ns=2, received=2)
    fields = ["-e", "frame.time_epoch", "-e", "frame.cap_len", "-e", "frame.len"]
    done = subprocess.run(
        ["tshark", "-n", "-r", path, "-T", "fields", *fields],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    ours = [
        f"{each.time_ns // 10**9}.{each.time_ns % 10**9:09}\t{len(each.data)}"
        f"\t{each.original_length}"
        for each in read_path(path)
    ]
    assert done.stdout.splitlines() == ours


@given(
    written=st.lists(
        st.tuples(
            st.integers(0, 2**63 - 1),
            st.binary(max_size=90),
            st.integers(0, 2**31),
            st.none() | st.integers(0, 4),
            st.none() | st.text(max_size=9),
            st.none() | st.integers(0, 2**32 - 1),
        ),
        max_size=8,
    )
)
def test_what_is_written_is_read(
    written: list[tuple[int, bytes, int, int | None, str | None, int | None]],
) -> None:
    file = io.BytesIO()
    capture = CaptureWriter(file)
    numbers = [capture.add_interface(name) for name in ("eth0", "eth1")]
    expected = []
    for i, (time_ns, data, more, verdict, comment, queue) in enumerate(written):
        length = len(data) + more
        capture.write(
            numbers[i % 2], time_ns, data, length, verdict=verdict, comment=comment, queue=queue
        )
        expected.append(Packet(i + 1, time_ns, data, length))
    assert read(file.getvalue()) == expected


@BOTH_ORDERS
@pytest.mark.parametrize(("magic", "unit_ns"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1)])
def test_pcap_times_are_micro_or_nanoseconds_in_either_byte_order(
    order: str, magic: int, unit_ns: int
) -> None:
    last = 0xFFFFFFFF  # in 2106
    content = files.pcap_header(order=order, magic=magic)
    content += files.record(FRAME, ticks=999_999, order=order)
    content += files.record(FRAME[:40], seconds=last, ticks=7, original=1500, order=order)
    assert read(content) == [
        Packet(1, SECOND * 10**9 + 999_999 * unit_ns, FRAME, len(FRAME)),
        Packet(2, last * 10**9 + 7 * unit_ns, FRAME[:40], 1500),
    ]


@pytest.mark.parametrize(
    ("resolution", "ticks", "expected_ns"),
    [
        (None, 1_700_000_000_123_456, 1_700_000_000_123_456_000),
        (6, 1_700_000_000_123_456, 1_700_000_000_123_456_000),
        (9, 1_700_000_000_123_456_789, 1_700_000_000_123_456_789),
        (0, 1_700_000_000, 1_700_000_000_000_000_000),
        (3, 1_700_000_000_123, 1_700_000_000_123_000_000),
        (12, 1_700_000_000_123_456_789, 1_700_000_000_123_456),
        (0x80 | 1, 3, 1_500_000_000),  # halves of a second
        (0x80 | 10, 1025, 1_000_976_562),  # 1 + 1/1024 s is 1.0009765625 s
        (0x80 | 32, (5 << 32) + (1 << 31), 5_500_000_000),
        (127, 2**64 - 1, 0),
        (0, 2**64 - 1, 2**63 - 1),  # beyond what 64 bits hold: the latest there is
        (6, 2**63, 2**63 - 1),
        (9, 2**63 - 1, 2**63 - 1),
        (9, 2**63, 2**63 - 1),
    ],
)
def test_pcapng_times_are_in_the_units_of_their_interface(
    resolution: int | None, ticks: int, expected_ns: int
) -> None:
    options = () if resolution is None else ((9, bytes([resolution])),)
    [found] = read(section() + interface(*options) + enhanced(FRAME, ticks=ticks))
    assert found.time_ns == expected_ns


@BOTH_ORDERS
@pytest.mark.parametrize(
    ("offset_s", "expected_ns"),
    [
        (3600, 3600 * 10**9 + 5000),
        (-3600, -3600 * 10**9 + 5000),
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
    ],
)
def test_the_offset_of_an_interface_is_added(order: str, offset_s: int, expected_ns: int) -> None:
    content = section(order=order)
    content += interface((14, pack(order + "q", offset_s)), order=order)
    [found] = read(content + enhanced(FRAME, ticks=5, order=order))
    assert found.time_ns == expected_ns


def test_each_interface_has_a_clock_of_its_own() -> None:
    content = section() + interface((9, b"\x09")) + interface() + interface((9, b"\x80"))
    for number in (0, 1, 2, 1, 0):
        content += enhanced(FRAME, number=number, ticks=1)
    assert [each.time_ns for each in read(content)] == [1, 1000, 10**9, 1000, 1]


def test_sections_have_their_own_byte_order_and_their_own_interfaces() -> None:
    content = section() + interface((9, b"\x09")) + enhanced(FRAME, ticks=5)
    content += section(order=">") + interface(order=">")
    content += enhanced(FRAME[:20], ticks=6, order=">")
    content += section() + interface((9, b"\x00")) + enhanced(FRAME[:30], ticks=7)
    assert read(content) == [
        Packet(1, 5, FRAME, len(FRAME)),
        Packet(2, 6000, FRAME[:20], 20),
        Packet(3, 7 * 10**9, FRAME[:30], 30),
    ]


@BOTH_ORDERS
def test_obsolete_packet_blocks_are_read_too(order: str) -> None:
    content = section(order=order) + interface(order=order) + interface((9, b"\x09"), order=order)
    content += files.obsolete(FRAME, ticks=5, number=1, order=order)
    assert read(content) == [Packet(1, 5, FRAME, len(FRAME))]


def test_blocks_and_options_that_are_not_known_are_skipped() -> None:
    options = pack("<HHI", 2, 4, 1) + pack("<HH4s", 0x8001, 3, b"abc") + bytes(4)
    content = section() + files.block(0x0BAD, bytes(4000)) + interface((2, b"eth0"), (99, b"xyz"))
    content += files.block(5, pack("<3I", 0, 0, 0)) + files.block(4, bytes(8))
    content += enhanced(FRAME, options=options) + files.block(0x80000001, b"") + enhanced(FRAME)
    assert [each.data for each in read(content)] == [FRAME, FRAME]


def test_simple_packets_are_given_the_time_of_the_packet_before() -> None:
    content = section() + interface(snaplen=40) + files.simple(FRAME[:12])
    content += enhanced(FRAME[:40], ticks=5) + files.simple(FRAME[:40], original=64)
    capture = reader(content)
    assert list(packets(capture)) == [
        Packet(1, 0, FRAME[:12], 12),
        Packet(2, 5000, FRAME[:40], 40),
        Packet(3, 5000, FRAME[:40], 64),
    ]
    assert capture.problems == [
        "has packets without a time, which are given that of the one before: 2"
    ]


@pytest.mark.parametrize("make", [files.pcap, files.pcapng])
def test_empty_packets_and_the_longest_are_read(
    make: Callable[[list[bytes]], bytes],
) -> None:
    frames = [b"", b"\x01", bytes(65_536), b"", b"\xff" * 262_144, b"\x02" * 3]
    assert [each.data for each in read(make(frames))] == frames


def test_a_length_on_the_wire_below_what_was_captured_is_what_was_captured() -> None:
    ng = section() + interface() + enhanced(FRAME, original=5)
    plain = files.pcap_header() + files.record(FRAME, original=5)
    assert [each.original_length for each in read(ng) + read(plain)] == [len(FRAME)] * 2


def test_a_capture_without_packets_is_no_mistake() -> None:
    assert read(files.pcap([])) == []
    assert read(files.pcapng([])) == []
    assert read(section()) == []


@pytest.mark.parametrize("make", [files.pcap, files.pcapng])
def test_batches_hold_frames_in_place_and_are_bounded(
    make: Callable[[list[bytes]], bytes],
) -> None:
    """2,000 frames of 1,500 bytes: 3 MB."""
    content = make([i.to_bytes(4, "big") * 375 for i in range(2000)])
    found, number = [], 1
    for batch in CaptureReader(io.BytesIO(content), block_bytes=1 << 19):
        assert len(batch.data) <= 1 << 19
        assert len(batch.offsets) > 100
        assert bytes(batch.data) in content  # as it is in the file
        assert batch.numbers == range(number, number + len(batch.offsets))
        assert batch.lengths.tolist() == batch.originals.tolist() == [1500] * len(batch.offsets)
        number += len(batch.offsets)
        found += [bytes(batch.data[offset : offset + 4]) for offset in batch.offsets]
    assert found == [i.to_bytes(4, "big") for i in range(2000)]


def test_a_block_that_is_larger_than_a_batch_is_skipped_or_counted() -> None:
    content = section() + interface() + files.block(0x0BAD, bytes(3 << 20)) + enhanced(FRAME)
    content += enhanced(bytes(2 << 20)) + enhanced(FRAME)
    capture = CaptureReader(io.BytesIO(content), block_bytes=1 << 20)
    assert [each.number for each in packets(capture)] == [1, 3]
    assert capture.left_out == {"in a block of more than 1,048,576 bytes": 1}


def test_gzip_is_recognised_by_its_content_in_one_member_or_several(
    tmp_path: Path, scapys: Path
) -> None:
    content = scapys.read_bytes()
    path = tmp_path / "capture"
    path.write_bytes(gzip.compress(content))
    assert read_path(path) == as_scapy_reads(scapys)
    pieces = (content[:10], content[10:30_000], b"", content[30_000:])
    path.write_bytes(b"".join(map(gzip.compress, pieces)) + bytes(512))
    assert read_path(path) == as_scapy_reads(scapys)


def test_how_far_it_has_read_is_known_of_what_is_compressed_too(tmp_path: Path) -> None:
    path = tmp_path / "capture.gz"
    path.write_bytes(gzip.compress(files.pcap([FRAME] * 1000)))
    size = path.stat().st_size
    with CaptureReader(path) as capture:
        assert capture.size_bytes == size
        for _ in capture:
            assert 0 < capture.bytes_read <= size
    assert capture.bytes_read == size


def test_a_file_that_was_handed_over_open_stays_open(scapys: Path) -> None:
    with scapys.open("rb") as file:
        with CaptureReader(file) as capture:
            assert list(packets(capture)) == as_scapy_reads(scapys)
        assert not file.closed


@given(
    frames=st.lists(st.binary(max_size=40), max_size=6),
    steps=st.lists(st.integers(1, 50), min_size=1),
    make=st.sampled_from([files.pcap, files.pcapng]),
    compress=st.booleans(),
)
def test_it_makes_no_difference_in_which_pieces_a_file_comes(
    frames: list[bytes],
    steps: list[int],
    make: Callable[[list[bytes]], bytes],
    compress: bool,
) -> None:
    content = make(frames)

    class Piecemeal(io.BytesIO):
        count = 0

        def read1(self, most: int | None = -1) -> bytes:
            self.count += 1
            return super().read1(min(most or 1, steps[self.count % len(steps)]))

    file = Piecemeal(gzip.compress(content) if compress else content)
    found = [each.data for each in packets(CaptureReader(file))]
    assert found == frames
