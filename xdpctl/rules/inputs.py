"""Reading what somebody named on the command line, as root: once, bounded, and never waiting."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from xdpctl.errors import WrongUsage

STDIN = "-"
_CHUNK_BYTES = 1 << 20
_MB = 1 << 20


def read_chunks(path: str, limit_bytes: int) -> Iterator[bytes]:
    """The content of a regular file, or of standard input for `-`, piece by piece.

    Raises WrongUsage: there is none, it may not be read, it is a directory, FIFO or device, is
    larger than the limit, has a NUL byte, or changed meanwhile.
    """
    name = "standard input" if path == STDIN else path
    try:
        descriptor = os.dup(0) if path == STDIN else _open(path)
    except (OSError, ValueError) as error:
        raise WrongUsage(f"{name}: {_why(error)}") from error
    try:
        before = os.fstat(descriptor)
        total = 0
        while chunk := os.read(descriptor, _CHUNK_BYTES):
            total += len(chunk)
            if total > limit_bytes:
                raise WrongUsage(f"{name}: larger than {limit_bytes // _MB} MiB")
            if b"\0" in chunk:
                raise WrongUsage(f"{name}: not a text file (it has a NUL byte)")
            yield chunk
        if path != STDIN and _version(before) != _version(os.fstat(descriptor)):
            raise WrongUsage(f"{name}: changed while it was read", hint="try again")
    except OSError as error:
        raise WrongUsage(f"{name}: {_why(error)}") from error
    finally:
        os.close(descriptor)


def read_all(path: str, limit_bytes: int) -> bytes:
    """The same, whole."""
    return b"".join(read_chunks(path, limit_bytes))


def _open(path: str) -> int:
    """Asks before opening, too: to open a device can mean to start it."""
    _refuse_irregular(os.stat(path))
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        _refuse_irregular(os.fstat(descriptor))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _refuse_irregular(status: os.stat_result) -> None:
    for is_one, kind in (
        (stat.S_ISDIR, "is a directory"),
        (stat.S_ISFIFO, "is a FIFO, not a regular file"),
        (stat.S_ISSOCK, "is a socket, not a regular file"),
    ):
        if is_one(status.st_mode):
            raise OSError(None, kind)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(None, "is a device, not a regular file")


def _version(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _why(error: OSError | ValueError) -> str:
    """ValueError: a NUL or a lone surrogate in the path."""
    if isinstance(error, ValueError):
        return "no such file"
    reason = error.strerror or str(error)
    return reason[:1].lower() + reason[1:]
