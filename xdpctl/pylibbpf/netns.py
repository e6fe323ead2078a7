"""Network namespaces, in which libbpf's netlink calls act: always the calling thread's.

Named ones are kept as iproute2 keeps them: each is bound to a file (ip-netns(8)).
"""

from __future__ import annotations

import ctypes as ct
import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_CLONE_NEWNET = 0x40000000  # linux/sched.h
_MS_BIND, _MS_REC, _MS_SHARED = 1 << 12, 1 << 14, 1 << 20  # linux/mount.h
_MNT_DETACH, _UMOUNT_NOFOLLOW = 2, 8  # linux/fs.h

_TRIES = 10


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


def share_directory(path: str) -> None:
    """Make `path` a directory whose mounts all mount namespaces see, as `ip netns add` does once.

    Raises:
        OSError: as mkdir(2) and mount(2); EPERM without CAP_SYS_ADMIN.
    """
    os.makedirs(path, exist_ok=True)
    name = os.fsencode(path)
    try:
        _call("mount", b"", name, b"none", _MS_SHARED | _MS_REC, None)
    except OSError as error:
        if error.errno != errno.EINVAL:  # it is no mount of its own yet
            raise
        _call("mount", name, name, b"none", _MS_BIND | _MS_REC, None)
        _call("mount", b"", name, b"none", _MS_SHARED | _MS_REC, None)


def create(path: str) -> None:
    """Make a network namespace, bound to a new file; the calling thread stays where it is.

    Raises:
        OSError: EEXIST where the file is there already; as unshare(2) and mount(2).
    """
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0))
    failures: list[OSError] = []

    def make() -> None:
        try:
            _call("unshare", _CLONE_NEWNET)
            own = b"/proc/thread-self/ns/net"
            _call("mount", own, os.fsencode(path), b"none", _MS_BIND, None)
        except OSError as error:
            failures.append(error)

    thread = threading.Thread(target=make, name="netns-create")
    try:
        thread.start()
        thread.join()
        if failures:
            raise failures[0]
    except BaseException:
        if thread.ident is not None:
            thread.join()  # a Ctrl-C does not end it; Python 3.11 may think that it did (bpo-45274)
        remove(path)
        raise


def remove(path: str) -> None:
    """Take away the file that a network namespace is bound to, or was to be. The kernel destroys
    the namespace when its last user has gone.

    Raises:
        OSError: as umount2(2) and unlink(2).
    """
    for _ in range(_TRIES):
        try:
            while True:  # as often as something is bound there
                _call("umount2", os.fsencode(path), _MNT_DETACH | _UMOUNT_NOFOLLOW)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
        try:
            return os.unlink(path)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            busy = error  # bound meanwhile, by a thread that a Ctrl-C did not wait for
    raise busy


def _setns(fd: int) -> None:
    # os.setns() came with Python 3.12.
    _call("setns", fd, _CLONE_NEWNET)


def _call(name: str, *arguments: bytes | int | None) -> None:
    libc = ct.CDLL(None, use_errno=True)
    if libc[name](*(ct.c_ulong(a) if isinstance(a, int) else a for a in arguments)) != 0:
        number = ct.get_errno()
        raise OSError(number, os.strerror(number))
