"""Bytes of a file, a FIFO or standard input, as they come."""

from __future__ import annotations

import io
import os
import select
import stat
from typing import BinaryIO, Protocol

from xdpctl.captures.notes import Notes
from xdpctl.errors import WrongUsage

STDIN = "-"
STDIN_NAME = "standard input"

File = str | os.PathLike[str] | BinaryIO
"""A path, `-` for standard input, or a file that is open."""


class Stream(Protocol):
    def read(self, most: int) -> bytes:
        """One byte at least and `most` at the most, waiting if need be; none at the end."""

    def ready(self) -> bool:
        """Whether `read()` would not have to wait."""


class Source:
    """The file itself, as a Stream.  A failure to read is noted, and is the end.

    Attributes:
        size_bytes: of a regular file, else None.
        bytes_read: so far.
    """

    def __init__(self, file: File, notes: Notes) -> None:
        """Waits for somebody to write if it is a FIFO.

        Raises WrongUsage: cannot be opened, or is a directory, device, terminal or socket.
        """
        self._notes = notes
        self.size_bytes: int | None = None
        self.bytes_read = 0
        self._ended = False
        self._poll = select.poll()
        self._may_wait = False
        self._is_ours = isinstance(file, str | os.PathLike)
        try:
            self._file = _open(file) if isinstance(file, str | os.PathLike) else file
            try:
                self._look_at(self._file)
            except OSError:
                self.close()
                raise
        except (OSError, ValueError) as error:
            raise WrongUsage(f"{notes.name}: {_why(error)}") from error
        self._read = getattr(self._file, "read1", self._file.read)

    def _look_at(self, file: BinaryIO) -> None:
        try:
            descriptor = file.fileno()
        except io.UnsupportedOperation:  # bytes in memory
            return
        status = os.fstat(descriptor)
        _refuse_odd(status, is_terminal=os.isatty(descriptor))
        if stat.S_ISREG(status.st_mode):
            self.size_bytes = status.st_size
        else:
            self._poll.register(descriptor, select.POLLIN)
            self._may_wait = True

    def read(self, most: int) -> bytes:
        while not self._ended:
            try:
                chunk: bytes | None = self._read(most)
            except (OSError, ValueError) as error:
                self._notes.problem(
                    f"reading failed after {self.bytes_read:,} bytes: {_why(error)}"
                )
                chunk = b""
            if chunk is None:  # whoever shares this descriptor made it non-blocking
                self._poll.poll()
                continue
            self._ended = not chunk
            self.bytes_read += len(chunk)
            return chunk
        return b""

    def ready(self) -> bool:
        return self._ended or not self._may_wait or bool(self._poll.poll(0))

    def close(self) -> None:
        """A file that was handed over open stays so."""
        if self._is_ours:
            self._file.close()


def name_of(file: File) -> str:
    """What to call it in a message."""
    if isinstance(file, str | os.PathLike):
        return STDIN_NAME if file == STDIN else os.fspath(file)
    name = getattr(file, "name", None)
    if name in ("<stdin>", 0):
        return STDIN_NAME
    return name if isinstance(name, str) else "capture"


def _open(path: str | os.PathLike[str]) -> BinaryIO:
    """Asks before opening, too: to open a device can mean to start it."""
    if path == STDIN:
        return io.FileIO(os.dup(0))
    _refuse_odd(os.stat(path))
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY)
    return io.FileIO(descriptor)


def _refuse_odd(status: os.stat_result, *, is_terminal: bool = False) -> None:
    if is_terminal:
        raise OSError(None, "is a terminal, not a capture")
    for is_one, kind in (
        (stat.S_ISDIR, "is a directory"),
        (stat.S_ISCHR, "is a device, not a capture"),
        (stat.S_ISBLK, "is a device, not a capture"),
    ):
        if is_one(status.st_mode):
            raise OSError(None, kind)


def _why(error: OSError | ValueError) -> str:
    """ValueError: a NUL or a lone surrogate in the path, or a file that was closed."""
    if isinstance(error, ValueError):
        return "no such file"
    reason = error.strerror or str(error)
    return reason[:1].lower() + reason[1:]
