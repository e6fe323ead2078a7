"""A network namespace: one that dies with this process, or one that has a name and stays."""

import contextlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from netns_lab.errors import LabClosedError, NamespaceError, PrivilegeError, ToolMissingError

P = ParamSpec("P")
T = TypeVar("T")

_CAPABILITIES = {"CAP_SYS_ADMIN": 21, "CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13}  # linux/capability.h
_DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL", "--")


class Spawner:
    """Starts processes from a thread that lasts as long as they may.

    The kernel kills a child of a lab when its parent ends, whatever ends it (PR_SET_PDEATHSIG).
    To the kernel that parent is the *thread* that made it. The main thread lasts as long as the
    process; to start something from any other, the spawner keeps a thread until it is closed.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="netns_lab-spawner")

    def popen(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """`subprocess.Popen(argv, **options)`."""

        def start() -> subprocess.Popen[Any]:
            return subprocess.Popen(argv, **options)

        in_main_thread = threading.current_thread() is threading.main_thread()
        return start() if in_main_thread else self._thread.submit(start).result()

    def close(self) -> None:
        """Ends the thread."""
        self._thread.shutdown()


class Namespace:
    """A network namespace, held open by a file descriptor until `close()`."""

    def __init__(self, name: str, path: str) -> None:
        """`name` is for messages. Raises NamespaceError where `path` is no namespace."""
        self.name = name
        self.path = path
        self._fd: int | None = None
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise NamespaceError(f"{name}: {error.strerror}") from error

    @property
    def fd(self) -> int:
        """A file descriptor of the namespace; it stays open until `close()`."""
        if self._fd is None:
            raise LabClosedError("the lab is closed")
        return self._fd

    def command(self, argv: Sequence[str | os.PathLike[str]]) -> list[str]:
        """`argv` as a command that runs inside the namespace and dies with the starting thread."""
        if self._fd is None:
            raise LabClosedError("the lab is closed")
        enter = ("nsenter", f"--net={self.path}", "--")
        return [*_DIE_WITH_PARENT, *enter, *(os.fspath(arg) for arg in argv)]

    def call(self, func: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs `func` in a new thread inside the namespace; returns or raises what it does.

        A Ctrl-C leaves it running. Raises NamespaceError where the namespace cannot be entered.
        """
        thread, future = self.start(func, *args, **kwargs)
        thread.join()
        return future.result()

    def start(
        self, func: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> tuple[threading.Thread, Future[T]]:
        """As `call()`, without waiting: the thread, and what it is to return or raise."""
        fd = self.fd
        future: Future[T] = Future()

        def body() -> None:
            try:
                self._enter(fd)
                future.set_result(func(*args, **kwargs))
            except BaseException as error:  # raised again in the caller's thread
                future.set_exception(error)

        # A thread of its own, because setns() moves the calling thread and nothing else, and
        # because calls that wait for one another, a server and its client, must not queue.
        thread = threading.Thread(target=body, name="netns_lab-call", daemon=True)
        thread.start()
        return thread, future

    def _enter(self, fd: int) -> None:
        try:
            _enter(fd)
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise NamespaceError(f"{self.name}: cannot be entered: {reason}") from error

    def close(self) -> None:
        """Lets go of the namespace."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


class HeldNamespace(Namespace):
    """A new network namespace without a name, in which `lo` is still down.

    It lasts until `close()`, or the end of this process. The holder is `cat`, which ends at the
    end of its input too: the second way to notice the death of its owner.
    """

    def __init__(self, spawner: Spawner, name: str) -> None:
        """`name` is for messages. Raises NamespaceError where the holder cannot make it."""
        self._fd = None
        self._holder = spawner.popen(
            [*_DIE_WITH_PARENT, "unshare", "--net", "--", "cat"],
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # a Ctrl-C is for the owner, which may have work left to do
        )
        try:
            path = f"/proc/{self._holder.pid}/ns/net"
            self._await_holder(path)
            super().__init__(name, path)
        except BaseException:
            self.close()
            raise

    def _await_holder(self, path: str) -> None:
        """Returns once the holder is in a namespace of its own."""
        assert self._holder.stdin and self._holder.stdout and self._holder.stderr
        with contextlib.suppress(BrokenPipeError):
            self._holder.stdin.write(b"\n")
        # Nobody but cat sends the line back, and cat starts after unshare has done its work.
        if self._holder.stdout.read(1) != b"\n":
            reason = self._holder.stderr.read().decode(errors="replace").strip()
            raise NamespaceError(f"cannot make a network namespace: {reason or 'holder died'}")
        if os.stat(path).st_ino == os.stat("/proc/thread-self/ns/net").st_ino:
            raise NamespaceError("cannot make a network namespace: unshare made none")

    def close(self) -> None:
        """Lets go of the namespace; the kernel destroys it once no process is inside."""
        super().close()
        self._holder.kill()
        with self._holder:  # closes the pipes, and waits
            pass


def require_privileges() -> None:
    """Raises PrivilegeError or ToolMissingError where namespaces cannot be made."""
    if os.geteuid() != 0:
        raise PrivilegeError("making network namespaces needs root")
    with open("/proc/thread-self/status", encoding="ascii", errors="replace") as status:
        effective = next(int(line.split()[1], 16) for line in status if line.startswith("CapEff"))
    missing = [name for name, bit in _CAPABILITIES.items() if not effective >> bit & 1]
    if missing:
        raise PrivilegeError(f"making network namespaces needs {' and '.join(missing)}")
    for tool in ("setpriv", "unshare", "nsenter"):
        if shutil.which(tool) is None:
            raise ToolMissingError(f"{tool}: not found on PATH; it comes with util-linux")


def _enter(fd: int) -> None:
    """Moves the calling thread, and no other, into the namespace."""
    if sys.version_info >= (3, 12):
        os.setns(fd, os.CLONE_NEWNET)
    else:
        # Here because it takes 0.2 s, and only Python 3.11 needs it.
        from pyroute2 import netns  # type: ignore[import-untyped]  # noqa: PLC0415

        netns.setns(fd)
