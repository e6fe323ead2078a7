"""What all tests share: privileges, and the proof that nothing is left behind."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NEED_ROOT = ("bpf", "lab", "kernels")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without root, tests of BPF and of networks are skipped, or fail where that is asked for."""
    if os.geteuid() == 0 or os.environ.get("XDPCTL_REQUIRE_ROOT") == "1":
        return
    skip = pytest.mark.skip(reason="needs root (XDPCTL_REQUIRE_ROOT=1 makes this a failure)")
    for item in items:
        if item.path.relative_to(ROOT / "tests").parts[0] in NEED_ROOT:
            item.add_marker(skip)


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


@pytest.fixture(autouse=True, scope="session")
def nothing_is_left_behind() -> Iterator[None]:
    """No XDP program, namespace, link, child process or descriptor outlives the tests."""
    if os.geteuid() != 0:
        yield
        return

    def traces() -> dict[str, set[object]]:
        netns = Path("/run/netns")
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii")
        return {
            "XDP programs": set(_program_ids()),
            "named namespaces": set(os.listdir(netns) if netns.exists() else ()),
            "links": set(socket.if_nameindex()),
            "child processes": set(children.split()),
        }

    before = traces()
    yield
    # Programs and namespaces are freed by the kernel a moment after their last user; what somebody
    # else on this machine is using goes away, too, and what came later is not of these tests.
    left = {what: now - before[what] for what, now in traces().items()}
    deadline = time.monotonic() + 30
    while any((left := {what: left[what] & now for what, now in traces().items()}).values()):
        if time.monotonic() > deadline:
            pytest.fail(f"left behind: {left}")
        time.sleep(0.05)
