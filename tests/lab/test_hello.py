"""examples/hello prints the processes that start."""

from __future__ import annotations

import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

HELLO = Path(__file__).parent.parent.parent / "examples/hello/hello.py"
DEADLINE_S = 30

# In mount namespaces of their own, so that tracefs is mounted for these processes alone.
MOUNTS = {
    "syscalls/sys_enter_execve": "",
    "sched/sched_process_exec": "mount -t tmpfs none /sys/kernel/tracing/events/syscalls && ",
}


def line(stream: IO[bytes] | None) -> bytes:
    """The next line, which has to come in time."""
    assert stream is not None
    ready, _, _ = select.select([stream], [], [], DEADLINE_S)
    assert ready, "nothing was printed"
    return stream.readline()


@contextmanager
def hello(mounts: str) -> Iterator[subprocess.Popen[bytes]]:
    command = (
        f"mount -t tracefs none /sys/kernel/tracing && {mounts}exec env --default-signal=INT $0 $1"
    )
    with subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", command, sys.executable, HELLO],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,  # what select() does not see would wait in vain
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("tracepoint", MOUNTS)
def test_hello_prints_a_process_that_starts(tmp_path: Path, tracepoint: str) -> None:
    started = tmp_path / "just_started"
    shutil.copy("/bin/true", started)
    with hello(MOUNTS[tracepoint]) as process:
        head = line(process.stdout).split()
        assert head == [b"pid", b"comm", b"filename", f"({tracepoint})".encode()]
        child = subprocess.Popen([started])
        assert child.wait() == 0
        while (words := line(process.stdout).split())[-1] != bytes(started):
            pass  # others start processes, too
        assert words[0] == str(child.pid).encode()
        if tracepoint == "sched/sched_process_exec":
            assert words[1] == b"just_started"
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, stderr) == (0, b"")
    assert stdout.endswith(b"detached\n")


def test_hello_says_what_to_mount_where_no_tracepoint_is_seen() -> None:
    with hello("mount -t tmpfs none /sys/kernel/tracing && ") as process:
        stdout, stderr = process.communicate(timeout=DEADLINE_S)
    assert (process.returncode, stdout) == (1, b"")
    assert stderr.endswith(b"mount -t tracefs tracefs /sys/kernel/tracing\n")
    assert b"Traceback" not in stderr
