"""Captures come from files, FIFOs and pipes, as soon as they are there."""

from __future__ import annotations

import gzip
import os
import pty
import subprocess
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import capture_files as files
from tests.capture_files import FRAME
from xdpctl.captures.batches import packets
from xdpctl.captures.reading import CaptureReader
from xdpctl.errors import WrongUsage


@contextmanager
def standard_input(descriptor: int) -> Iterator[None]:
    before = os.dup(0)
    os.dup2(descriptor, 0)
    try:
        yield
    finally:
        os.dup2(before, 0)
        os.close(before)


def gzipped(data: bytes) -> bytes:
    """All of it can be decompressed, and more may come: RFC 1951, a flush to a byte boundary."""
    compressor = zlib.compressobj(wbits=31)
    return compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)


@pytest.mark.parametrize("buffering", [0, -1])
@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (files.pcap([FRAME]), files.record(FRAME)),
        (files.pcapng([FRAME]), files.enhanced(FRAME)),
    ],
)
def test_what_has_come_through_a_pipe_is_given_out_while_it_stays_open(
    begin: bytes, more: bytes, buffering: int
) -> None:
    read_end, write_end = os.pipe()
    with open(read_end, "rb", buffering=buffering) as file:
        os.write(write_end, begin)
        batches = iter(CaptureReader(file))
        assert list(next(batches).numbers) == [1]
        os.write(write_end, more + more + more[:10])
        assert list(next(batches).numbers) == [2, 3]
        os.write(write_end, more[10:])
        assert list(next(batches).numbers) == [4]
        os.close(write_end)
        assert list(batches) == []


def test_a_header_that_comes_alone_is_waited_beyond() -> None:
    """tcpdump writes it when it starts, and the first packet when there is one."""
    read_end, write_end = os.pipe()
    with open(read_end, "rb") as file:
        os.write(write_end, files.pcap_header())
        capture = CaptureReader(file)
        os.write(write_end, files.record(FRAME))
        os.close(write_end)
        assert [each.data for each in packets(capture)] == [FRAME]


def test_gzip_through_a_pipe_is_given_out_as_far_as_it_can_be_decompressed() -> None:
    read_end, write_end = os.pipe()
    with open(read_end, "rb") as file:
        os.write(write_end, gzipped(files.pcap([FRAME] * 3)))
        batches = iter(CaptureReader(file))
        assert list(next(batches).numbers) == [1, 2, 3]
        os.close(write_end)
        assert list(batches) == []


def test_a_pipe_that_is_not_blocking_is_waited_for() -> None:
    """Whoever shares standard input may have made it so."""
    script = "import os, sys; os.write(1, bytes.fromhex(sys.argv[1]))"
    read_end, write_end = os.pipe()
    os.set_blocking(read_end, False)
    with open(read_end, "rb", buffering=0) as file:
        assert file.read(1) is None
        command = ["python3", "-c", script, files.pcap([FRAME]).hex()]
        with subprocess.Popen(command, stdout=write_end):  # starting takes it a while
            os.close(write_end)
            assert [each.data for each in packets(CaptureReader(file))] == [FRAME]


def test_a_minus_is_standard_input_which_stays_open() -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, files.pcap([FRAME]))
    os.close(write_end)
    with standard_input(read_end):
        os.close(read_end)
        with CaptureReader("-") as capture:
            assert (capture.name, capture.size_bytes) == ("standard input", None)
            assert [each.data for each in packets(capture)] == [FRAME]
        os.fstat(0)


def test_a_fifo_is_read(tmp_path: Path) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR)  # waits for nobody
    os.write(writer, gzip.compress(files.pcap([FRAME])))
    with CaptureReader(path) as capture:
        os.close(writer)
        assert [each.data for each in packets(capture)] == [FRAME]


def refused(file: str | Path) -> str:
    with pytest.raises(WrongUsage) as error:
        CaptureReader(file)
    assert error.value.exit_code == 2
    return error.value.message


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/nonexistent/capture", "no such file or directory"),
        ("/", "is a directory"),
        ("/dev/zero", "is a device, not a capture"),
        ("/dev/null", "is a device, not a capture"),
        ("bad\0path", "no such file"),
        ("/proc/self/mem", "reading failed after 0 bytes: input/output error"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(path: str, why: str) -> None:
    assert refused(path) == f"{path}: {why}"


def test_a_device_on_standard_input_is_refused() -> None:
    """Else `xdpctl replay -` would wait for somebody to type a capture."""
    main, terminal = pty.openpty()
    zero = os.open("/dev/zero", os.O_RDONLY)
    try:
        with standard_input(terminal):
            assert refused("-") == "standard input: is a terminal, not a capture"
        with standard_input(zero):
            assert refused("-") == "standard input: is a device, not a capture"
    finally:
        for descriptor in (main, terminal, zero):
            os.close(descriptor)


def test_a_failure_to_read_is_told_and_what_came_before_is_given_out(tmp_path: Path) -> None:
    path = tmp_path / "capture"
    path.write_bytes(files.pcap([FRAME] * 30_000))

    class Failing:
        """As a disk or a network file system does."""

        def __init__(self) -> None:
            self.left = 2
            self.file = path.open("rb")

        def fileno(self) -> int:
            return self.file.fileno()

        def read(self, most: int) -> bytes:
            self.left -= 1
            if self.left < 0:
                raise OSError(5, "Input/output error")
            return self.file.read(most)

    failing = Failing()
    with failing.file:
        capture = CaptureReader(failing, block_bytes=1 << 19)  # type: ignore[arg-type]
        count = sum(1 for _ in packets(capture))
    assert 0 < count < 30_000
    assert capture.problems[0].endswith(" bytes: input/output error")
    assert capture.problems[0].startswith("reading failed after ")


def open_descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def begin_to_read(path: Path) -> None:
    with CaptureReader(path / "sound") as capture:
        next(iter(capture))


@pytest.mark.parametrize(
    "act",
    [
        lambda path: refused(path / "text"),
        refused,
        lambda path: CaptureReader(path / "sound").close(),
        begin_to_read,
    ],
)
def test_no_descriptor_is_left_open(tmp_path: Path, act: Callable[[Path], object]) -> None:
    (tmp_path / "text").write_text("text")
    (tmp_path / "sound").write_bytes(files.pcap([FRAME]))
    before = open_descriptors()
    act(tmp_path)
    assert open_descriptors() == before


def test_blocks_that_no_packet_fits_into_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="block_bytes"):
        CaptureReader("-", block_bytes=1 << 18)
