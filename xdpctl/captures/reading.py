"""Reading pcap and pcapng, also in gzip, from a file or as it comes through a pipe.

Memory is bounded by the size of a batch, whatever the file says.  What can be read of a damaged
file is, and what cannot is told.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic
from types import TracebackType

from xdpctl.captures import gunzip, pcap, pcapng
from xdpctl.captures.batches import Batch, Gathering, Parser
from xdpctl.captures.notes import Notes
from xdpctl.captures.source import File, Source, Stream, name_of
from xdpctl.errors import WrongUsage

BLOCK_BYTES = 1 << 20
BLOCK_BYTES_MIN = 2 * pcap.PACKET_BYTES_MAX  # a packet always fits into one

_MAGIC_BYTES = 6
_WAIT_S = 0.1
_COMPRESSED = {b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ\0": "xz", b"BZh": "bzip2"}
_WHAT_IS_READ = (
    "pcap, pcapng and either of them in gzip are read; editcap -F pcapng converts others"
)


class CaptureReader:
    """A capture file as batches of Ethernet frames: to be iterated over once.

    A packet of another link type is given an Ethernet header, and its lengths are those with it
    (see `linktypes`).  A frame check sequence that the file declares for all packets is cut off.
    Packets that have no time in the file are given that of the one before.

    Attributes:
        name: what to call the file in messages.
        size_bytes: of a regular file, else None.
    """

    def __init__(self, file: File, *, block_bytes: int = BLOCK_BYTES) -> None:
        """Reads the beginning; waits for it if nobody has written it yet.

        Args:
            file: a path, `-` for standard input, or a binary file, which stays open.
            block_bytes: of a batch's `data` at most, 512 KiB or more.  A batch has no more than
                a sixteenth as many packets.

        Raises:
            WrongUsage: it cannot be opened, is empty, no capture, or of a link type that cannot
                be made Ethernet of.
        """
        if block_bytes < BLOCK_BYTES_MIN:
            raise ValueError(f"block_bytes is less than {BLOCK_BYTES_MIN}")
        self.name = name_of(file)
        self._block_bytes = block_bytes
        self._notes = Notes(self.name)
        self._given = 0
        self._source = Source(file, self._notes)
        self.size_bytes = self._source.size_bytes
        self._batches = self._read()
        try:
            self._begin()
        except WrongUsage:
            self.close()
            raise

    @property
    def bytes_read(self) -> int:
        """Of the file so far, of what is compressed as it is."""
        return self._source.bytes_read

    @property
    def problems(self) -> list[str]:
        """What is wrong, a few lines; the subject is the file, or a packet by its number."""
        return list(self._notes.problems)

    @property
    def left_out(self) -> dict[str, int]:
        """How many packets were read but not given out, by reason."""
        return dict(self._notes.left_out)

    def __iter__(self) -> Iterator[Batch]:
        """Batches, as soon as nothing more is there to be read without waiting.

        Raises WrongUsage at the end of a file of which no packet could be read.
        """
        return self._batches

    def _read(self) -> Iterator[Batch]:
        buffer, number = bytearray(), 1
        chunk = self._begun or self._gather(self._block_bytes)
        while True:
            buffer += chunk
            gathering = Gathering(number)
            done = self._parser.parse(buffer, gathering)
            number = gathering.number
            rest = buffer[done:] if done else buffer
            if gathering.offsets:
                self._given += len(gathering.offsets)
                yield gathering.batch(buffer)
            buffer = rest
            if not chunk or self._parser.stopped:
                break
            chunk = self._gather(self._block_bytes - len(buffer))
        self._parser.finish(buffer, number)
        if not self._given:
            self._refuse_if_unreadable()

    def close(self) -> None:
        self._source.close()

    def __enter__(self) -> CaptureReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _begin(self) -> None:
        self._stream: Stream = self._source
        self._begun = self._read_at_least(_MAGIC_BYTES)
        if self._begun.startswith(gunzip.MAGIC):
            self._stream = gunzip.Gunzip(self._source, bytes(self._begun), self._notes)
            self._begun = self._read_at_least(_MAGIC_BYTES)
        self._parser: Parser
        magic = bytes(self._begun[:4])
        if magic == pcapng.MAGIC:
            self._parser = pcapng.PcapngParser(self._notes, self._block_bytes)
        elif magic in pcap.MAGICS:
            self._begun += self._read_at_least(pcap.HEADER_BYTES - len(self._begun))
            header = bytes(self._begun[: pcap.HEADER_BYTES])
            if len(header) < pcap.HEADER_BYTES:
                raise WrongUsage(f"{self.name}: ends within the header of a pcap file")
            self._parser = pcap.PcapParser(header, self._notes)
            del self._begun[: pcap.HEADER_BYTES]
        else:
            raise self._no_capture()

    def _read_at_least(self, least: int) -> bytearray:
        """Less only if it ends."""
        begun = bytearray()
        while len(begun) < least and (chunk := self._stream.read(self._block_bytes // 2)):
            begun += chunk
        return begun

    def _gather(self, most: int) -> bytearray:
        """One read, or as many as need not wait; nothing at the end."""
        gathered = bytearray(self._stream.read(most))
        deadline = monotonic() + _WAIT_S
        while 0 < len(gathered) < most and self._stream.ready() and monotonic() < deadline:
            chunk = self._stream.read(most - len(gathered))
            if not chunk:
                break
            gathered += chunk
        return gathered

    def _no_capture(self) -> WrongUsage:
        begun = bytes(self._begun)
        if not begun:
            problems = self._notes.problems
            return WrongUsage(f"{self.name}: {problems[0] if problems else 'is empty'}")
        for magic, program in _COMPRESSED.items():
            if begun.startswith(magic):
                return WrongUsage(
                    f"{self.name}: is compressed with {program}, which is not read",
                    hint=f"{program} -dc writes what is in it to its standard output",
                )
        if begun.startswith(gunzip.MAGIC):
            return WrongUsage(f"{self.name}: is gzip within gzip, which is not read")
        what = "is of a modified pcap format" if pcap.is_modified(begun[:4]) else "is no capture"
        return WrongUsage(f"{self.name}: {what}", hint=_WHAT_IS_READ)

    def _refuse_if_unreadable(self) -> None:
        left_out, problems = self._notes.left_out, self._notes.problems
        if left_out and not problems:
            raise WrongUsage(f"{self.name}: no packet can be used: {', '.join(left_out)}")
        if problems:
            raise WrongUsage(f"{self.name}: no packet can be read: {problems[0]}")
