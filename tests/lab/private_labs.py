"""`xdpctl lab` with a /run/netns of its own, so that `down --all` meets nobody else's labs."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from netns_lab import Host
from netns_lab.namespace import Namespace, Spawner
from tests.conftest import ROOT
from tests.forked import forked
from xdpctl.labnames import LabHost

XDPCTL = [sys.executable, "-m", "xdpctl"]

# The copies of others' mounts go first: they would keep others' namespaces.
_HOLD = """
mkdir -p /run/netns
umount --recursive --lazy /run/netns 2>/dev/null
mount -t tmpfs tmpfs /run/netns && echo ready && exec cat
"""
_PATIENCE_S = 30.0

Done = subprocess.CompletedProcess[str]


class PrivateLabs:
    """A mount namespace whose /run/netns is empty at first; gone, and what is bound there, with
    `close()` or with this process."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        unshare = ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c", _HOLD]
        self._holder = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *unshare],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "ready\n"
        self._spawner = self._stack.enter_context(closing(Spawner()))
        self.directory = Path(f"/proc/{self._holder.pid}/root/run/netns")

    def close(self) -> None:
        self._stack.close()
        self._holder.communicate()

    def command(self, *words: str, cwd: Path = ROOT) -> list[str]:
        """Any command, with that /run/netns."""
        mounts = f"--mount=/proc/{self._holder.pid}/ns/mnt"
        return ["nsenter", mounts, f"--wd={cwd}", "--", *words]

    @contextmanager
    def start(
        self, *words: str, cwd: Path = ROOT, **options: Any
    ) -> Iterator[subprocess.Popen[str]]:
        """xdpctl, its output in pipes where `options` do not say otherwise; killed at the end."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        command = self.command(*XDPCTL, *words, cwd=cwd)
        with subprocess.Popen(command, **(pipes | options)) as process:
            try:
                yield process
            finally:
                process.kill()

    def run(self, *words: str, **options: Any) -> Done:
        """xdpctl to its end; it never shows a traceback, nor says that it has a defect."""
        if options:
            return self._process(*words, **options)
        mounts = f"/proc/{self._holder.pid}/ns/mnt"
        return _sound(forked().run(*words, namespaces=(mounts,)))

    def _process(self, *words: str, **options: Any) -> Done:
        """In a process of its own."""
        with self.start(*words, **options) as process:
            output, errors = process.communicate(timeout=60)
        return _sound(subprocess.CompletedProcess(words, process.returncode, output, errors))

    def run_each(self, commands: Iterable[Sequence[str]]) -> list[Done]:
        """As `run()`, two at once."""
        with ThreadPoolExecutor(2) as pool:
            return [*pool.map(lambda words: self._process(*words), commands)]

    def lab(self, *words: str, **options: Any) -> Done:
        """`xdpctl lab`, which has to succeed."""
        done = self.run("lab", *words, **options)
        assert done.returncode == 0, done.stderr
        return done

    def json(self, *words: str) -> Any:
        """What xdpctl writes with --json; it has to succeed."""
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def host(self, name: str) -> Host:
        """The host LAB/HOST, to be used from within this process."""
        host = LabHost(*name.split("/"))
        namespace = Namespace(name, str(self.directory / host.netns))
        return self._stack.enter_context(closing(Host(name, namespace, self._spawner)))

    def ip(self, name: str, *words: str) -> Any:
        """What `ip -json` says inside LAB/HOST."""
        return json.loads(self.host(name).run(["ip", "-json", "-details", *words]).stdout)

    @property
    def names(self) -> list[str]:
        """The names of all network namespaces."""
        return sorted(os.listdir(self.directory))

    @property
    def mounts(self) -> list[str]:
        """What is bound to names."""
        lines = Path(f"/proc/{self._holder.pid}/mountinfo").read_text().splitlines()
        return [line.split()[4] for line in lines if line.split()[4].startswith("/run/netns/")]


def _sound(done: Done) -> Done:
    assert "Traceback" not in (done.stderr or ""), done.stderr
    assert "defect" not in (done.stderr or ""), done.stderr
    return done


def one_line(done: Done, code: int) -> str:
    """The message of a command that failed: a line, a hint perhaps, and nothing else."""
    assert (done.returncode, done.stdout) == (code, ""), done
    message, *hints = done.stderr.splitlines()
    assert all(each.startswith("hint: ") for each in hints), done.stderr
    assert len(hints) <= 1
    return message.removeprefix("xdpctl: ")


def hear(target: Host, address: str) -> socket.socket:
    """A UDP socket on a host, at an address of any version."""

    def body() -> socket.socket:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        receiver = socket.socket(family, socket.SOCK_DGRAM)
        receiver.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", 0))
        return receiver

    return target.call(body)


def tell(source: Host, address: str, port: int, data: bytes) -> None:
    """Sends a datagram."""

    def body() -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sender:
            sender.sendto(data, (address, port))

    source.call(body)


def reaches(source: Host, target: Host, address: str, *, at_once: bool = True) -> bool:
    """Whether a datagram arrives; where not `at_once`, one of many within half a minute."""
    with hear(target, address) as receiver:
        port = receiver.getsockname()[1]
        receiver.settimeout(_PATIENCE_S if at_once else 0.1)
        deadline_s = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline_s:
            with suppress(OSError):  # an address that is looked for duplicates of is not yet of use
                tell(source, address, port, b"hello")
                return receiver.recv(99) == b"hello"
            if at_once:
                return False
        return False


def until(condition: Callable[[], bool]) -> None:
    """Asks until the condition holds, for what nobody tells."""
    deadline_s = time.monotonic() + _PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)
