"""What all tests share: privileges, and the proof that nothing is left behind."""

from __future__ import annotations

import gc
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent.parent
NEED_ROOT = ("bpf", "lab", "kernels")

settings.register_profile("fuzz", max_examples=500, deadline=None)
"""For `make fuzz`: of tests that do not say themselves how many they need."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without root, tests of BPF and of networks are skipped, or fail where that is asked for."""
    if os.geteuid() == 0 or os.environ.get("XDPCTL_REQUIRE_ROOT") == "1":
        return
    skip = pytest.mark.skip(reason="needs root (XDPCTL_REQUIRE_ROOT=1 makes this a failure)")
    for item in items:
        if item.path.relative_to(ROOT / "tests").parts[0] in NEED_ROOT:
            item.add_marker(skip)


def pytest_collection_finish() -> None:
    """Whoever collects garbage in a test need not look through all tests and modules for it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _forking() -> Iterator[None]:
    """Ends what runs commands for tests before it is looked whether anything was left behind."""
    from tests.forked import forking  # noqa: PLC0415 - which needs this module

    with forking():
        yield


def _program_ids() -> set[int]:
    from xdpctl.pylibbpf import Program, program_ids  # noqa: PLC0415

    found = set()
    for program_id in program_ids():
        try:
            with Program.from_id(program_id) as program:
                if program.info.type == 6:  # XDP
                    found.add(program_id)
        except OSError:
            continue  # unloaded meanwhile
    return found


def _traces(*, everybodys: bool) -> dict[str, set[object]]:
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
    found: dict[str, set[object]] = {"child processes": set(children.split())}
    if everybodys:
        netns = Path("/run/netns")
        found["XDP programs"] = set(_program_ids())
        found["named namespaces"] = set(os.listdir(netns) if netns.exists() else ())
        found["links"] = set(socket.if_nameindex())
    return found


BEFORE = pytest.StashKey[dict[str, set[object]]]()
LEFT_BY_WORKERS = pytest.StashKey[list[str]]()


def _is_worker(session: pytest.Session) -> bool:
    """Whether this is one of several processes of pytest-xdist, of which one starts the others."""
    return hasattr(session.config, "workerinput")


def pytest_sessionstart(session: pytest.Session) -> None:
    if os.geteuid() == 0:
        session.config.stash[BEFORE] = _traces(everybodys=not _is_worker(session))


def _left_behind(session: pytest.Session) -> dict[str, set[object]]:
    before = session.config.stash[BEFORE]

    def now() -> dict[str, set[object]]:
        return _traces(everybodys=not _is_worker(session))

    # Programs and namespaces are freed by the kernel a moment after their last user; what somebody
    # else on this machine is using goes away, too, and what came later is not of these tests.
    left = {what: found - before[what] for what, found in now().items()}
    deadline = time.monotonic() + 30
    while any(left.values()) and time.monotonic() < deadline:
        time.sleep(0.05)
        left = {what: left[what] & found for what, found in now().items()}
    return {what: found for what, found in left.items() if found}


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """No XDP program, namespace, link or child process outlives the tests."""
    if BEFORE not in session.config.stash:
        return
    left = _left_behind(session)
    if _is_worker(session):
        session.config.workeroutput["left_behind"] = repr(left) if left else ""
        return
    told = [*session.config.stash.get(LEFT_BY_WORKERS, []), *([repr(left)] if left else [])]
    for each in told:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print(f"left behind: {each}", file=sys.__stderr__)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    if left := getattr(node, "workeroutput", {}).get("left_behind"):
        node.config.stash.setdefault(LEFT_BY_WORKERS, []).append(left)
