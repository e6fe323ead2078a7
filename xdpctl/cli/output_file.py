"""Files that frames are written to."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from xdpctl.errors import WrongUsage, XdpctlError


def refuse_taken(path: str, *, json: bool) -> None:
    """Raises WrongUsage where frames would go to a standard output that has another use."""
    if path == "-" and (json or sys.stdout.isatty()):
        taken = "the JSON" if json else "a terminal"
        raise WrongUsage(f"-: frames do not go with {taken}", hint="-w FILE")


@contextmanager
def output_file(path: str) -> Iterator[BinaryIO]:
    """A file that is written anew, `-` for standard output.

    Where everybody can write, a link is not followed, and somebody else's file is left alone.

    Raises:
        XdpctlError: it cannot be opened, or written when it is closed.
    """
    if path == "-":
        yield sys.stdout.buffer
        return
    try:
        file = os.fdopen(_opened(path), "wb")
    except OSError as error:
        raise XdpctlError(f"{path}: {error.strerror}") from error
    try:
        yield file
    except BaseException:
        with suppress(OSError):  # it tries again to write what could not be written
            file.close()
        raise
    try:
        file.close()
    except OSError as error:
        raise XdpctlError(f"{path}: {error.strerror}") from error


def _opened(path: str) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
    shared = bool(os.stat(os.path.dirname(path) or ".").st_mode & stat.S_IWOTH)
    if shared:
        flags |= os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(path, flags, 0o644)
    try:
        found = os.fstat(descriptor)
        if shared and (found.st_uid != os.geteuid() or not stat.S_ISREG(found.st_mode)):
            raise XdpctlError(f"{path}: a file of somebody else's, where everybody can write")
        if stat.S_ISREG(found.st_mode):
            os.ftruncate(descriptor, 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
