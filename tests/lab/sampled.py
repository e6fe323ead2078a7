"""Commands that read packets of a host, while they run."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from netns_lab import Host
from tests.lab.conftest import XDPCTL
from tests.lab.private_labs import until
from xdpctl.datapath.program import SAMPLING, RunningProgram, find_ours

# Whoever runs the tests may ignore SIGINT, as shells do for what runs in the background.
_ENDS_BY_SIGINT = ["env", "--default-signal=INT"]


@contextmanager
def program_of(host: Host) -> Iterator[RunningProgram]:
    """Ours, on the host's eth0."""

    def find() -> RunningProgram:
        found = find_ours(socket.if_nametoindex("eth0"))
        assert found is not None
        return found[0]

    with host.call(find) as program:
        yield program


def readers(host: Host) -> int:
    """How many there are, as the data plane sees it."""
    with program_of(host) as program:
        return int(program.map(SAMPLING)[0].active & 0xFF).bit_count()


def set_leases(host: Host, lease_ns: int) -> None:
    with program_of(host) as program:
        map_ = program.map("sample_readers")
        for number, record in [*map_.lookup_batch()]:
            if record.owner:
                map_[number] = _plain(record) | {"lease_ns": lease_ns}


def _plain(record: Any) -> dict[str, Any]:
    plain = {name: each for name, each in vars(record).items() if each != ()}
    return {name: _plain(each) if hasattr(each, "__dict__") else each
            for name, each in plain.items()}  # fmt: skip


@contextmanager
def reading(
    host: Host, *arguments: str, count: int = 1, stdout: Any = subprocess.PIPE
) -> Iterator[subprocess.Popen[str]]:
    """A command that has begun to read; it is killed at the end if it still runs.

    Args:
        count: how many readers there are with it.
    """
    command = [*_ENDS_BY_SIGINT, *XDPCTL, *arguments]
    with host.popen(command, stdout=stdout, stderr=subprocess.PIPE) as process:
        try:
            until(lambda: process.poll() is not None or readers(host) >= count)
            assert process.poll() is None, process.communicate()
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[str], number: int | None = None) -> tuple[str, str]:
    """What it says until it ends well, by a signal or by itself."""
    if number is not None:
        process.send_signal(number)
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors
    return output or "", errors
