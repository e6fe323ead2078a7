"""Of a damaged capture file what can be read is, and what is wrong is said; never a traceback."""

from __future__ import annotations

import gzip
import io
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import capture_files as files
from tests.capture_files import FRAME, enhanced, interface, read_damaged, section
from xdpctl.captures.batches import packets
from xdpctl.captures.reading import CaptureReader
from xdpctl.errors import WrongUsage

CUT_SHORT = {"cut short by the file's end": 1}
RECORD = files.record(FRAME)
BLOCK = enhanced(FRAME)
NG = section() + interface()


@pytest.mark.parametrize("left", range(1, len(RECORD)))
def test_a_pcap_file_that_ends_within_a_packet_is_read_up_to_it(left: int) -> None:
    assert read_damaged(files.pcap([FRAME, FRAME]) + RECORD[:left]) == (
        [FRAME, FRAME],
        ["ends within packet 3"],
        CUT_SHORT,
    )


@pytest.mark.parametrize("left", range(1, len(BLOCK)))
def test_a_pcapng_file_that_ends_within_a_packet_is_read_up_to_it(left: int) -> None:
    """From fewer than 4 bytes nobody can tell that it would have been a packet."""
    assert read_damaged(NG + BLOCK + BLOCK + BLOCK[:left]) == (
        [FRAME, FRAME],
        ["ends within a block, after packet 2"],
        CUT_SHORT if left >= 4 else {},
    )


@pytest.mark.parametrize("length", [262_145, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_pcap_file_is_not_read_on_after_an_impossible_length(length: int) -> None:
    bad = pack("<4I", 1, 2, length, length)
    assert read_damaged(files.pcap([FRAME]) + bad + RECORD) == (
        [FRAME],
        [f"packet 2 would be {length:,} bytes long: nothing was read from there on"],
        {"of an impossible length": 1},
    )


def test_zeros_at_the_end_of_a_pcap_file_are_no_packets() -> None:
    """As they are left by a file system after a crash."""
    assert read_damaged(files.pcap([FRAME]) + bytes(4096)) == (
        [FRAME],
        ["packet 2 would be zeros only: nothing was read from there on"],
        {},
    )


@pytest.mark.parametrize(
    ("bad", "what"),
    [
        (pack("<2I", 6, 0) + bytes(80), "a block of 0 bytes"),
        (pack("<2I", 6, 8) + bytes(80), "a block of 8 bytes"),
        (pack("<2I", 6, 97) + bytes(93), "a block of 97 bytes"),
        (pack("<2I", 6, 0xFFFFFFFC) + bytes(80), "a block of 4,294,967,292 bytes"),
        (pack("<2I", 0xBAD, (16 << 20) + 4) + bytes(80), "a block of 16,777,220 bytes"),
        (bytes(64), "a block of 0 bytes"),
        (BLOCK[:-4] + pack("<I", 92), "a block that ends with another length than it begins with"),
        (
            files.block(0xBAD, b"")[:-4] + bytes(4),
            "a block that ends with another length than it begins with",
        ),
        (b"\x0a\x0d\x0d\x0a" + bytes(40), "a section header of no byte order"),
        (section(version=2), "a section of version 2, not 1"),
        (files.block(0x0A0D0D0A, pack("<IHH", 0x1A2B3C4D, 1, 0)), "a section header of 20 bytes"),
        (files.block(0x0A0D0D0A, pack("<I", 0x1A2B3C4D)), "a section header of 16 bytes"),
    ],
)
def test_a_pcapng_file_is_not_read_on_after_a_damaged_block(bad: bytes, what: str) -> None:
    frames, problems, left_out = read_damaged(NG + BLOCK + bad + BLOCK)
    assert frames == [FRAME]
    assert problems == [f"has {what}, after packet 1: nothing was read from there on"]
    assert left_out == ({"in a damaged block": 1} if bad.startswith(pack("<I", 6)) else {})


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (enhanced(FRAME, number=1), "of an interface that was not declared"),
        (enhanced(FRAME, number=0xFFFFFFFF), "of an interface that was not declared"),
        (files.obsolete(FRAME, ticks=1, number=9), "of an interface that was not declared"),
        (section() + files.simple(FRAME) + NG, "of an interface that was not declared"),
        (section() + enhanced(FRAME) + NG, "of an interface that was not declared"),
        (files.block(6, bytes(16)), "in a block that is too short"),
        (files.block(2, bytes(12)), "in a block that is too short"),
        (files.block(3, b""), "in a block that is too short"),
        (files.block(6, pack("<5I", 0, 1, 1, 9, 9) + bytes(8)), "longer than its block"),
        (files.block(2, pack("<HH4I", 0, 0, 1, 1, 9, 9) + bytes(8)), "longer than its block"),
        (files.block(6, pack("<5I", 0, 1, 1, 0xFFFFFFFF, 9)), "longer than its block"),
        (
            section() + files.block(1, b"\x01\0\0\0") + interface() + enhanced(FRAME) + NG,
            "of an interface whose description is damaged",
        ),
    ],
)
def test_a_packet_that_makes_no_sense_is_left_out_and_the_others_are_read(
    bad: bytes, reason: str
) -> None:
    capture = files.reader(NG + BLOCK + bad + BLOCK)
    assert [each.number for each in packets(capture)] == [1, 3]
    assert (capture.problems, capture.left_out) == ([], {reason: 1})


def test_damaged_options_of_an_interface_are_passed_over() -> None:
    body = pack("<HHI", 1, 0, 0) + pack("<HHI", 9, 1, 9) + pack("<HH", 14, 60_000) + bytes(8)
    [found] = files.read(section() + files.block(1, body) + enhanced(FRAME, ticks=7))
    assert found.time_ns == 7


def test_more_interfaces_than_anybody_has_take_no_memory() -> None:
    """The 65,537th, and those after it, are as if they were not there."""
    content = section() + interface() * 70_000
    content += enhanced(FRAME, number=65_535) + enhanced(FRAME, number=65_536)
    assert read_damaged(content) == ([FRAME], [], {"of an interface that was not declared": 1})


@pytest.mark.parametrize("damaged", [b"", NG + BLOCK[:-2], NG + bytes(12), NG[:40]])
def test_a_file_of_which_nothing_can_be_read_is_a_mistake(damaged: bytes) -> None:
    with pytest.raises(WrongUsage) as refused:
        read_damaged(damaged)
    assert refused.value.message.startswith("capture: ")
    assert refused.value.exit_code == 2


def test_gzip_that_ends_early_is_read_up_to_there() -> None:
    noise = [bytes((i * j * 2654435761 >> 11) & 255 for j in range(200)) for i in range(99)]
    whole = gzip.compress(files.pcap(noise), mtime=0)
    for left in range(len(whole) // 2, len(whole), 97):
        frames, problems, _ = read_damaged(whole[:left])
        assert frames == noise[: len(frames)]
        assert len(frames) > 20
        assert problems[0] == "ends within its gzip data"
    assert read_damaged(whole[:-1])[0] == noise


def test_gzip_with_a_wrong_checksum_is_read_to_its_end() -> None:
    whole = bytearray(gzip.compress(files.pcap([FRAME] * 5), mtime=0))
    whole[-8] ^= 1
    assert read_damaged(bytes(whole)) == (
        [FRAME] * 5,
        ["has damaged gzip data, and was not read from there on"],
        {},
    )


def test_gzip_with_a_flipped_bit_is_read_up_to_it() -> None:
    """Of 262,144 bytes that do not compress, the damage is after three quarters."""
    stored = gzip.compress(files.pcap([bytes(range(256)) * 4] * 256), compresslevel=0)
    at = len(stored) * 3 // 4
    broken = bytearray(stored)
    broken[at:] = b"\xff" * (len(stored) - at)
    frames, problems, _ = read_damaged(bytes(broken))
    assert len(frames) > 180
    assert problems[0] == "has damaged gzip data, and was not read from there on"


def test_what_follows_gzip_data_is_told_of() -> None:
    whole = gzip.compress(files.pcap([FRAME]), mtime=0)
    assert read_damaged(whole + bytes(9) + b"rubbish") == (
        [FRAME],
        ["has something else after its gzip data, which was not read"],
        {},
    )
    assert read_damaged(whole + b"\x1f\x8b\xffrubbish")[1] == [
        "has damaged gzip data, and was not read from there on"
    ]


def test_a_gzip_bomb_takes_no_memory() -> None:
    """100 MB in 100 kB, two kinds: packets, and a block that is skipped."""
    squeezed = io.BytesIO()
    with gzip.GzipFile(fileobj=squeezed, mode="wb") as file:
        file.write(NG)
        for _ in range(50):
            file.write(files.block(0xBAD, bytes(1 << 20)))
            file.write(enhanced(bytes(1_000_000)))
    squeezed.seek(0)
    tracemalloc.start()
    try:
        found = sum(len(batch.offsets) for batch in CaptureReader(squeezed))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found == 50
    assert peak < 8 << 20


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        (b"", "is empty", ""),
        (b"\xd4", "is no capture", "pcap, pcapng"),
        (b"#!/bin/sh\necho", "is no capture", "pcap, pcapng"),
        (bytes(100), "is no capture", "pcap, pcapng"),
        (gzip.compress(b"text", mtime=0), "is no capture", "pcap, pcapng"),
        (gzip.compress(b"", mtime=0), "is empty", ""),
        (gzip.compress(b"text", mtime=0)[:8], "ends within its gzip data", ""),
        (b"\x1f\x8b\x08rubbish", "has damaged gzip data, and was not read from there on", ""),
        (
            gzip.compress(gzip.compress(b"text", mtime=0), mtime=0),
            "is gzip within gzip, which is not read",
            "",
        ),
        (b"\x28\xb5\x2f\xfd" + bytes(9), "is compressed with zstd, which is not read", "zstd -dc"),
        (b"\xfd7zXZ\0" + bytes(9), "is compressed with xz, which is not read", "xz -dc"),
        (b"BZh91AY", "is compressed with bzip2, which is not read", "bzip2 -dc"),
        (files.pcap_header()[:23], "ends within the header of a pcap file", ""),
        (files.pcap_header(version=3), "is pcap of version 2.3, not 2.4", "editcap"),
        (files.pcap_header(magic=0xA1B2CD34), "is of a modified pcap format", "editcap"),
    ],
)
def test_what_is_no_capture_is_refused_by_name(
    tmp_path: Path, content: bytes, message: str, hint: str
) -> None:
    path = tmp_path / "some file"
    path.write_bytes(content)
    with pytest.raises(WrongUsage) as refused:
        CaptureReader(path)
    assert refused.value.message == f"{path}: {message}"
    assert hint in refused.value.hint


def frames_of(file: io.BytesIO) -> tuple[list[bytes], list[str], dict[str, int], bool]:
    """The last: whether it was refused.

    After damage that is not read beyond, there may be more; how much of it is seen depends on
    how far has been read by then.
    """
    frames = []
    try:
        capture = CaptureReader(file)
    except WrongUsage as error:
        return [], [error.message], {}, True
    is_refused = False
    try:
        for batch in capture:
            numbers = list(batch.numbers)
            assert 0 < len(batch.offsets) == len(numbers) == len(batch.times_ns)
            assert all(a < b for a, b in pairwise(numbers))
            for offset, length, original in zip(
                batch.offsets, batch.lengths, batch.originals, strict=True
            ):
                assert offset + length <= len(batch.data)
                assert length <= original
                frames.append(bytes(batch.data[offset : offset + length]))
    except WrongUsage:
        is_refused = True
    final = [each for each in capture.problems if each.endswith("nothing was read from there on")]
    return frames, final or capture.problems, capture.left_out, is_refused


class OneByteAtATime(io.BytesIO):
    def read1(self, most: int | None = -1) -> bytes:
        return super().read1(1)


SEEDS = [
    files.pcap([FRAME, b"", FRAME[:20]]),
    files.pcap([FRAME[14:]] * 3, link_type=101),
    files.pcap([bytes(16) + FRAME[14:]] * 3, link_type=113),
    NG + interface((9, b"\x09"), (14, bytes(8)), (13, b"\x04")) + BLOCK + enhanced(FRAME, number=1),
    section(order=">") + interface(link_type=108, order=">") + files.simple(FRAME, order=">") * 2,
    NG + files.obsolete(FRAME, ticks=9) + files.simple(FRAME) + NG + BLOCK,
    gzip.compress(files.pcapng([FRAME, FRAME]), mtime=0),
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    content = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(content)))
        piece = draw(
            st.binary(max_size=8)
            | st.sampled_from([b"\xff" * 4, bytes(4), *SEEDS])
            | st.integers(0, 200).map(lambda n: pack("<I", n))
        )
        content[at : at + draw(st.sampled_from([0, len(piece)]))] = piece
    return bytes(content[: draw(st.integers(0, len(content)) | st.just(len(content)))])


@given(
    st.binary(max_size=300)
    | st.sampled_from(SEEDS).flatmap(
        lambda seed: st.binary(max_size=200).map(lambda rest: seed[:24] + rest)
    )
    | mutated()
)
def test_whatever_a_file_has_in_it_is_read_or_refused_the_same_way_however_it_comes(
    content: bytes,
) -> None:
    """In one piece and byte by byte: it is not where a piece ends that decides what is read."""
    assert frames_of(io.BytesIO(content)) == frames_of(OneByteAtATime(content))


@given(
    frames=st.lists(st.binary(min_size=1, max_size=30), min_size=1, max_size=5),
    make=st.sampled_from([files.pcap, files.pcapng]),
    left=st.integers(0, 10**6),
)
def test_what_was_before_the_cut_is_read(
    frames: list[bytes], make: Callable[[list[bytes]], bytes], left: int
) -> None:
    whole = make(frames)
    content = whole[: left % (len(whole) + 1)]
    complete = [i for i in range(len(frames) + 1) if len(make(frames[:i])) <= len(content)]
    assert frames_of(io.BytesIO(content))[0] == frames[: max(complete, default=0)]
