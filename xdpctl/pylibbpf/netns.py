"""Network namespaces, in which libbpf's netlink calls act: always the calling thread's."""

from __future__ import annotations

import ctypes as ct
import os
from collections.abc import Iterator
from contextlib import contextmanager

_CLONE_NEWNET = 0x40000000  # linux/sched.h


@contextmanager
def entered(path: str | os.PathLike[str]) -> Iterator[None]:
    """Put the calling thread into the network namespace that `path` (such as /run/netns/NAME or
    /proc/PID/ns/net) refers to, and back at the end.

    Raises:
        OSError: ENOENT, EPERM (CAP_SYS_ADMIN), EINVAL when it is no network namespace.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC
    before = os.open("/proc/thread-self/ns/net", flags)
    try:
        wanted = os.open(path, flags)
        try:
            _setns(wanted)
        finally:
            os.close(wanted)
        try:
            yield
        finally:
            _setns(before)
    finally:
        os.close(before)


def _setns(fd: int) -> None:
    # os.setns() came with Python 3.12.
    libc = ct.CDLL(None, use_errno=True)
    if libc.setns(fd, _CLONE_NEWNET) != 0:
        number = ct.get_errno()
        raise OSError(number, os.strerror(number))
