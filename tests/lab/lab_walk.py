"""Ends `xdpctl lab up`, or `down`, before each of its steps in turn, and says what was left.

    python lab_walk.py {kill|interrupt|kill-down} FILE

A step is a call of libc or a request to the kernel. To be run where /run/netns is one's own: it
takes everything down. Each try is a child that is forked when all is imported. Writes a JSON list
with, for each step, what `lab down --all` was needed for, and what it left; and dies with an
AssertionError where a child ends in any other way than expected.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pyroute2  # noqa: F401 - not in each child
import yaml  # noqa: F401

import xdpctl.cli.lab_down
import xdpctl.cli.lab_up  # noqa: F401
from netns_lab.netlink import Rtnl
from xdpctl.cli.main import INTERRUPTED, main
from xdpctl.pylibbpf import netns

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_MANY = 500


def before_step(number: int, act: Callable[[], None]) -> None:
    """From now on in this process, does something before that step."""
    left = number

    def step() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            act()

    call, about = netns._call, Rtnl.about

    def counting_call(*arguments: Any) -> None:
        step()
        call(*arguments)

    @contextlib.contextmanager
    def counting_about(self: Rtnl, subject: str) -> Iterator[None]:
        step()
        with about(self, subject):
            yield

    netns._call = counting_call
    Rtnl.about = counting_about  # type: ignore[method-assign]


def child(*words: str, number: int = 0, act: Callable[[], None] = lambda: None) -> int:
    """Runs `xdpctl lab` in a child: its exit code, or less the signal that ended it."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            before_step(number, act)
            main(["lab", *words])
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 98
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def traces() -> list[str]:
    """Names, mounts, links outside of labs, and processes."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        mounts = [line.split()[4] for line in file]
    found = [each for each in mounts if each.startswith("/run/netns/")]
    found += os.listdir("/run/netns")
    found += [name for _, name in socket.if_nameindex() if name not in FIRST_LINKS]
    with contextlib.suppress(ChildProcessError):
        found.append(f"child {os.waitpid(-1, os.WNOHANG)}")
    return found


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def interrupt() -> None:
    """Ctrl-C; pressed once more while what there is gets cleared away."""
    os.kill(os.getpid(), signal.SIGINT)
    before_step(2, lambda: os.kill(os.getpid(), signal.SIGINT))


def walk(how: str, path: str) -> list[dict[str, Any]]:
    steps = []
    for number in range(1, _MANY):
        words = ("up", path, "--name", "walked")
        if how == "kill-down":
            assert child(*words) == 0
            words = ("down", "walked")
        code = child(*words, number=number, act=interrupt if how == "interrupt" else kill)
        before = traces()
        if before:
            assert child("down", "--all") == 0
        steps.append({"code": code, "before": before, "after": traces()})
        if code == 0:
            return steps
        assert code == (INTERRUPTED if how == "interrupt" else -signal.SIGKILL), (number, code)
    raise AssertionError(f"it has more than {_MANY} steps")


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    FIRST_LINKS = {name for _, name in socket.if_nameindex()}
    json.dump(walk(*sys.argv[1:]), sys.stdout)
