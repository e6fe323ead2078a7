"""Files that a command writes, as root perhaps, where others may write as well."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO

from xdpctl.errors import WrongUsage, XdpctlError

STDOUT = "-"


def refuse_taken(path: str, *, json: bool) -> None:
    """Raises WrongUsage where packets would go to a standard output that has another use."""
    if path == STDOUT and (json or sys.stdout.isatty()):
        taken = "the JSON" if json else "a terminal"
        raise WrongUsage(f"-: packets do not go with {taken}", hint="-w FILE")


@contextmanager
def output_file(path: str, inputs: Iterable[str] = ()) -> Iterator[BinaryIO]:
    """A file, new or in the place of what was in it; `-` is standard output. Where everybody can
    write no link is followed: whoever made it would choose what is overwritten.

    Args:
        inputs: files that must not be overwritten, since they are being read.

    Raises WrongUsage: it cannot be one; XdpctlError: writing fails.
    """
    if path == STDOUT:
        yield sys.stdout.buffer
        return
    try:
        descriptor = _opened(path, inputs)
    except (OSError, ValueError) as error:
        raise WrongUsage(f"{path}: {_why(error)}") from error
    file = os.fdopen(descriptor, "wb")
    try:
        yield file
        file.close()
    except BrokenPipeError:  # of standard output
        raise
    except OSError as error:
        raise XdpctlError(f"{path}: {_why(error)}") from error
    finally:
        with suppress(OSError):  # it tries again to write what could not be written
            file.close()


def _opened(path: str, inputs: Iterable[str]) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
    shared = bool(os.stat(os.path.dirname(path) or ".").st_mode & stat.S_IWOTH)
    if shared:
        flags |= os.O_NOFOLLOW
        if os.path.islink(path):
            raise OSError(None, "is a symbolic link where everybody can write: not followed")
    descriptor = os.open(path, flags, 0o644)
    try:
        status = os.fstat(descriptor)
        if stat.S_ISCHR(status.st_mode):
            return descriptor  # such as /dev/null
        if not stat.S_ISREG(status.st_mode):
            raise OSError(None, "is not a regular file")
        if shared and status.st_uid != os.geteuid():
            raise OSError(None, "is somebody else's, where everybody can write")
        if shared and status.st_nlink > 1:
            raise OSError(None, "has other names (hard links), under which it would change as well")
        for each in inputs:
            with suppress(OSError):
                if os.path.samestat(status, os.stat(each)):
                    raise ValueError(f"is the file that is read as {each}")
        os.ftruncate(descriptor, 0)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _why(error: OSError | ValueError) -> str:
    reason = (isinstance(error, OSError) and error.strerror) or str(error)
    return reason[:1].lower() + reason[1:]
