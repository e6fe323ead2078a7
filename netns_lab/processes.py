"""The processes inside network namespaces, found and ended by id (proc(5), pidfd_open(2))."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

_GRACE_S = 2.0

NamespaceId = tuple[int, int]
"""Device and inode of a namespace, which tell it from any other."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process, and the namespace that its main thread is in."""

    pid: int
    command: str  # as ps(1) shows it: `?` for what a terminal would obey
    namespace: NamespaceId

    def __str__(self) -> str:
        return f"{self.pid} ({self.command})"


def namespace_id(file: str | Path | int) -> NamespaceId:
    """Of a path or a descriptor. Raises OSError."""
    found = os.stat(file)
    return (found.st_dev, found.st_ino)


def inside(namespaces: Collection[NamespaceId]) -> list[Process]:
    """The processes whose main thread is in one of the namespaces, but for this one."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):  # it has ended meanwhile
            namespace = namespace_id(entry / "ns" / "net")
            if namespace in namespaces:
                name = (entry / "comm").read_text(errors="replace").removesuffix("\n")
                command = "".join(char if char.isprintable() else "?" for char in name)
                found.append(Process(int(entry.name), command, namespace))
    return sorted(found, key=lambda each: each.pid)


def ancestors() -> set[int]:
    """The processes that this one was started by, and those that they were."""
    found: set[int] = set()
    pid = os.getppid()
    while pid > 0 and pid not in found:
        found.add(pid)
        try:
            # The name, in parentheses, may hold anything; state and parent follow it.
            pid = int(
                Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1]
            )
        except OSError:
            break
    return found


def end(processes: Iterable[Process]) -> None:
    """Terminates processes, and kills those that outlast that by 2 s. Returns when all are gone."""
    with contextlib.ExitStack() as stack:
        running: dict[int, Process] = {}
        for process in processes:
            with contextlib.suppress(OSError):  # it has ended meanwhile
                pidfd = os.pidfd_open(process.pid)
                stack.callback(os.close, pidfd)
                # Asked again: the number may have gone to another process since.
                if namespace_id(f"/proc/{process.pid}/ns/net") == process.namespace:
                    running[pidfd] = process
        for number, patience_s in ((signal.SIGTERM, _GRACE_S), (signal.SIGKILL, _GRACE_S)):
            for pidfd in running:
                with contextlib.suppress(OSError):
                    signal.pidfd_send_signal(pidfd, number)
            _await_ends(running, patience_s)


def _await_ends(running: dict[int, Process], patience_s: float) -> None:
    deadline_s = time.monotonic() + patience_s
    poll = select.poll()
    for pidfd in running:
        poll.register(pidfd, select.POLLIN)
    while running and (remaining_s := deadline_s - time.monotonic()) > 0:
        for pidfd, _ in poll.poll(remaining_s * 1000):
            poll.unregister(pidfd)
            del running[pidfd]
