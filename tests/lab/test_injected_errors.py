"""Any call of libbpf's may fail: what was there stays there, whole, and a person gets one line."""

from __future__ import annotations

import json
import sys

import pytest

from netns_lab.fixtures import Pair

# Runs a command again and again on eth0; the nth call of libbpf fails with each error in turn.
# Prints for each run: n, errno, exit code, what is attached afterwards, descriptors, complaints.
SCRIPT = """
import contextlib, errno, io, json, os, sys
from xdpctl.cli.main import main
from xdpctl.datapath.hook import RequestedMode, attach, detach, occupants
from xdpctl.datapath.interfaces import find_interface
from xdpctl.errors import XdpctlError
from xdpctl.pylibbpf import BpfError, _lib

left, number = 0, 0
checked = _lib.Library._checked

def counting(self, c_function, signature):
    function = checked(self, c_function, signature)
    if signature.fails is _lib.Fails.NEVER:
        return function
    def call(*arguments, **named):
        global left
        left -= 1
        if left == 0:
            raise BpfError(number, signature.name, named.get("subject", ""))
        return function(*arguments, **named)
    return call

_lib.Library._checked = counting
command, prepared = json.loads(sys.argv[1]), json.loads(sys.argv[2])
eth0 = find_interface("eth0")

def state():
    return [[each.ours, each.mode.name] for each in occupants(eth0)]

def clear():
    for each in occupants(eth0):
        detach(eth0, force=True)

rows = []
for n in range(1, 200):
    reached = False
    for number in (errno.EPERM, errno.ENOMEM, errno.EINTR, errno.EBUSY):
        left = 0
        if state() != ([[True, prepared]] if prepared else []):
            clear()
            if prepared:
                attach(eth0, RequestedMode[prepared])
        before = state()
        fds = len(os.listdir("/proc/self/fd"))
        out, err = io.StringIO(), io.StringIO()
        left = n
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main(command)
            except SystemExit as end:
                code = end.code
        reached = reached or left <= 0
        left = 0
        rows.append([n, number, code, before, state(), len(os.listdir("/proc/self/fd")) - fds,
                     err.getvalue()])
    if not reached:
        break
left = 0
clear()
print(json.dumps(rows))
"""


@pytest.mark.parametrize(
    ("command", "prepared", "done"),
    [
        (["attach", "eth0"], None, [[[True, "DRIVER"]], [[True, "SKB"]]]),
        (["attach", "eth0", "--mode", "driver", "--force"], "SKB", [[[True, "DRIVER"]]]),
        (["detach", "eth0"], "DRIVER", [[]]),
        (["stats", "eth0", "--json"], "DRIVER", [[[True, "DRIVER"]]]),
        (["status"], "DRIVER", [[[True, "DRIVER"]]]),
    ],
    ids=["attach", "change mode", "detach", "stats", "status"],
)
def test_failing_call_leaves_what_was_there_or_what_was_wanted(
    pair: Pair, command: list[str], prepared: str | None, done: list[list[list[object]]]
) -> None:
    arguments = [json.dumps(command), json.dumps(prepared)]
    output = pair.right.run([sys.executable, "-c", SCRIPT, *arguments], timeout_s=120).stdout
    rows = json.loads(output)
    assert rows[-1][0] > 5
    for n, number, code, before, after, descriptors, complaint in rows:
        where = f"call {n}, errno {number}: {complaint}"
        assert "Traceback" not in complaint, where
        assert "defect of xdpctl" not in complaint, where
        assert descriptors == 0, where
        assert after == before or after in done, where
        if code == 0:
            assert after in done, where
        else:
            assert code in (3, 4), where
            assert len(complaint.splitlines()) in (1, 2), where
