"""The lock that all who change rulesets in a network namespace hold."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager

from xdpctl.errors import KernelRefused

_OWN_NETNS = "/proc/thread-self/ns/net"


@contextmanager
def only_writer() -> Iterator[None]:
    """Of all that change rulesets in this network namespace; the lock ends with the process.

    The namespace itself is what is locked: there is no file that could be left behind, or be
    somebody else's.
    """
    try:
        descriptor = os.open(_OWN_NETNS, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise KernelRefused(f"{_OWN_NETNS}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
