"""Programs that are not ours, and xdpctl as a person runs it on a host."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import pytest

from netns_lab import Host, persistent, topology
from netns_lab.fixtures import Attached, Pair
from netns_lab.namespace import Spawner
from netns_lab.topology import Topology
from tests.lab.private_labs import XDPCTL, PrivateLabs
from xdpctl.cli.main import main
from xdpctl.datapath.hook import occupants
from xdpctl.datapath.interfaces import Interface
from xdpctl.pylibbpf.clang import compile_file

OBJECTS = Path(__file__).parent / "objects"


FORKING = """
import json, os, re, signal, sys
import xdpctl.datapath.lockout, xdpctl.rules.compiler, xdpctl.rules.reading
from xdpctl.cli.main import main
from xdpctl.pylibbpf import _lib

left = 0
checked = _lib.Library._checked

def counting(self, c_function, signature):
    function = checked(self, c_function, signature)
    if signature.fails is _lib.Fails.NEVER or re.search("_get_|lookup|query", signature.name):
        return function  # it changes nothing
    def call(*arguments, **named):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **named)
    return call

_lib.Library._checked = counting
for line in sys.stdin:
    left, words = json.loads(line)
    output, end = os.pipe()
    child = os.fork()
    if child == 0:
        os.dup2(end, 1)
        main(words)
    os.close(end)
    with open(output) as file:
        said = file.read()
    print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said]), flush=True)
"""


class Forking:
    """A process on a host that has `xdpctl` loaded, and runs commands in children: a tenth of what
    a process for each takes."""

    def __init__(self, host: Host) -> None:
        self._process = host.popen(
            [sys.executable, "-c", FORKING], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def run(self, *words: str, killed_before: int = 0) -> tuple[int, str]:
        """The exit code, or less the signal, and what a command writes; it may be killed before its
        nth call of libbpf that can change something."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([killed_before, words]) + "\n")
        self._process.stdin.flush()
        code, output = json.loads(self._process.stdout.readline())
        return code, output

    def json(self, *words: str) -> Any:
        """What a command that succeeds writes with --json."""
        code, output = self.run(*words, "--json")
        assert code == 0
        return json.loads(output)

    def close(self) -> None:
        self._process.communicate(timeout=30)


@contextmanager
def forking(host: Host) -> Iterator[Forking]:
    with closing(Forking(host)) as made:
        yield made


def xdpctl(host: Host, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command on a host; whatever its exit code."""
    return host.run([*XDPCTL, *arguments], check=False, timeout_s=60)


def xdpctl_json(host: Host, *arguments: str) -> Any:
    """What a command that succeeds writes with --json."""
    done = xdpctl(host, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def xdpctl_here(host: Host, *arguments: str) -> None:
    """The same inside this process, which is quicker, of a command that has to succeed."""

    def run() -> None:
        with pytest.raises(SystemExit) as end:
            main([*arguments])
        assert not end.value.code

    host.call(run)


@pytest.fixture
def ready(pair: Pair, request: pytest.FixtureRequest) -> Attached:
    """What `attached` is, made by `xdpctl_here`."""
    made = Attached(pair.lab, pair.left, pair.right, pair.link)
    xdpctl_here(pair.right, "attach", "eth0", "--mode", getattr(request, "param", "driver"))
    assert made.right.call(occupants, Interface("eth0", pair.right.ifindex("eth0")))
    return made


def start(host: Host, *arguments: str) -> subprocess.Popen[str]:
    """Start a command that goes on until it is told to end."""
    return host.popen([*XDPCTL, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def line(stream: IO[str] | None) -> str:
    """The next line, which has to come within half a minute."""
    assert stream is not None
    ready, _, _ = select.select([stream], [], [], 30)
    assert ready, "nothing was printed"
    return stream.readline()


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The objects of tests/lab/objects by name."""
    target = tmp_path_factory.mktemp("objects")
    paths = {}
    for source in OBJECTS.glob("*.bpf.c"):
        name = source.name.removesuffix(".bpf.c")
        paths[name] = target / f"{name}.bpf.o"
        compile_file(source, paths[name])
    return paths


class StandingPair(NamedTuple):
    """Hosts `a` and `b` of a lab that stays, as `xdpctl lab up pair` makes it."""

    left: Host
    right: Host


@contextmanager
def standing_hosts(plan: Topology) -> Iterator[dict[str, Host]]:
    """The hosts, by name, of a lab that `xdpctl lab` knows."""
    lab = f"test-{os.getpid()}"
    persistent.up(lab, plan)
    try:
        with ExitStack() as stack:
            spawner = stack.enter_context(closing(Spawner()))
            yield {
                host.host: stack.enter_context(closing(persistent.open_host(host, spawner)))
                for host in persistent.hosts_of(lab)
            }
    finally:
        persistent.down(lab, end_processes=True)


@pytest.fixture
def standing() -> Iterator[StandingPair]:
    with standing_hosts(topology.pair()) as hosts:
        yield StandingPair(hosts["a"], hosts["b"])


@pytest.fixture
def labs() -> Iterator[PrivateLabs]:
    """`xdpctl lab` with no labs but those of the test."""
    with closing(PrivateLabs()) as made:
        yield made
