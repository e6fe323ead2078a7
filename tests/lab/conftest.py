"""Programs that are not ours, and xdpctl as a person runs it on a host."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import pytest

from netns_lab import Host, persistent, topology
from netns_lab.fixtures import Attached, Pair
from netns_lab.namespace import Spawner
from netns_lab.topology import Topology
from tests.forked import forked, json_of
from tests.lab.private_labs import XDPCTL, PrivateLabs
from xdpctl.cli.main import main
from xdpctl.datapath.hook import occupants
from xdpctl.datapath.interfaces import Interface
from xdpctl.pylibbpf.clang import compile_file

OBJECTS = Path(__file__).parent / "objects"


def xdpctl(host: Host, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command on a host; whatever its exit code."""
    return forked().run(*arguments, namespaces=(host.namespace.path,))


def xdpctl_json(host: Host, *arguments: str) -> Any:
    """What a command that succeeds writes with --json."""
    return json_of(xdpctl(host, *arguments, "--json"))


class ForkedAttached(Attached):
    """As what a project has that uses the plugin, but quicker."""

    def xdpctl(self, *arguments: str) -> str:
        done = xdpctl(self.right, *arguments)
        if done.returncode:
            raise subprocess.CalledProcessError(
                done.returncode, done.args, done.stdout, done.stderr
            )
        return done.stdout


@pytest.fixture
def attached(pair: Pair, request: pytest.FixtureRequest) -> Attached:
    """In the place of the plugin's fixture, for tests that are not about that."""
    made = ForkedAttached(pair.lab, pair.left, pair.right, pair.link)
    made.xdpctl("attach", "eth0", "--mode", getattr(request, "param", "driver"))
    return made


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
