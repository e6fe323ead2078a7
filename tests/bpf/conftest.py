"""Test objects, compiled once, and the proof that nothing of a test outlives it."""

from __future__ import annotations

import gc
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from xdpctl.pylibbpf import BpfError, Object, program_ids
from xdpctl.pylibbpf.clang import compile_file

OBJECTS = Path(__file__).parent / "objects"
DEADLINE_S = 30

Open = Callable[[str], Object]


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The object of `objects/NAME.bpf.c`."""
    directory = tmp_path_factory.mktemp("bpf")

    def compile_once(name: str) -> Path:
        output = directory / f"{name}.bpf.o"
        if not output.exists():
            compile_file(OBJECTS / f"{name}.bpf.c", output)
        return output

    return compile_once


@pytest.fixture
def opened(compiled: Callable[[str], Path]) -> Iterator[Open]:
    """Opens test objects, which are closed at the end of the test."""
    with ExitStack() as stack:
        yield lambda name: stack.enter_context(Object.open(compiled(name)))


@pytest.fixture
def loaded(opened: Open) -> Open:
    """Opens and loads them."""

    def load(name: str) -> Object:
        obj = opened(name)
        obj.load()
        return obj

    return load


def descriptors() -> dict[str, str]:
    found = {}
    for number in os.listdir("/proc/self/fd"):
        try:
            found[number] = os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:
            continue  # that of the listing itself
    return found


@pytest.fixture
def nothing_leaks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The test leaves no descriptor, and none of the programs that it loaded is in the kernel."""
    ours: set[int] = set()
    load = Object.load

    def recorded_load(self: Object) -> None:
        load(self)
        for program in self.programs:
            with suppress(BpfError):  # autoload is off
                ours.add(program.info.id)

    monkeypatch.setattr(Object, "load", recorded_load)
    before = descriptors()
    yield
    gc.collect()
    assert descriptors() == before
    until = time.monotonic() + DEADLINE_S
    while ours & set(program_ids()):  # a namespace is taken down a moment after its last process
        assert time.monotonic() < until, "a program is still loaded"
        os.sched_yield()


def errno_of(call: Callable[..., object], *arguments: object, **keywords: object) -> int | None:
    """What number the call fails with."""
    with pytest.raises(BpfError) as failed:
        call(*arguments, **keywords)
    return failed.value.errno


@contextmanager
def veth_pair() -> Iterator[str]:
    """A network namespace of its own with two joined interfaces, v0 and v1: the path to it."""
    setup = (
        "ip link set lo up && ip link add v0 type veth peer name v1 && "
        "ip link set v0 up && ip link set v1 up && echo ready && exec cat"
    )
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-c", setup], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == b"ready\n"
            yield f"/proc/{process.pid}/ns/net"
        finally:
            process.stdin.close()
