"""`xdpctl` in children of one process that has it loaded: a tenth of what a process for each takes.

What a person would see is the same: exit code, output, and what happens in a host's namespace.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

_PATIENCE_S = 120.0

# Reads requests, a JSON object on a line each; answers with the exit code, or less the signal that
# ended the child, and what that wrote.
_SERVER = """
import atexit, contextlib, ctypes, gc, json, os, re, signal, sys, traceback
import xdpctl
import netns_lab.generate, netns_lab.persistent, netns_lab.topology_file, netns_lab.traffic
import xdpctl.datapath.contents, xdpctl.datapath.lockout, xdpctl.rules.compiler
import xdpctl.rules.reading, xdpctl.cli.tables
from xdpctl.cli.base import COMMANDS
from xdpctl.cli.main import main
from xdpctl.cli.main import xdpctl as group
from xdpctl.pylibbpf import _lib

for names in COMMANDS.values():
    for name in names:
        group.get_command(None, name)
libc = ctypes.CDLL(None, use_errno=True)
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

def end():
    "Runs the command, and ends without taking all apart that is loaded."
    code = 1
    try:
        main()
    except SystemExit as error:
        code = error.code
    except BaseException:
        traceback.print_exc()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    atexit._run_exitfuncs()
    os._exit(code or 0)

_lib.Library._checked = counting
gc.collect()
gc.freeze()
for line in sys.stdin:
    request = json.loads(line)
    files = [os.memfd_create("output"), os.memfd_create("errors")]
    child = os.fork()
    if child == 0:
        for path in request["namespaces"]:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            if libc.setns(descriptor, 0):
                raise OSError(ctypes.get_errno(), path)
            os.close(descriptor)
        os.chdir(request["directory"])
        os.environ.clear()
        os.environ.update(request["environment"])
        for number, file in enumerate([os.open(os.devnull, os.O_RDONLY), *files]):
            os.dup2(file, number)
            os.close(file)
        left = request["killed_before"]
        sys.argv = [f"{os.path.dirname(xdpctl.__file__)}/__main__.py", *request["words"]]
        end()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    said = []
    for file in files:
        with open(file, errors="surrogateescape") as stream:
            stream.seek(0)
            said.append(stream.read())
    print(json.dumps([code, *said]), flush=True)
"""


class Forked:
    """The process. Commands run one at a time."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def run(
        self,
        *words: str,
        namespaces: tuple[str, ...] = (),
        directory: Path = ROOT,
        killed_before: int = 0,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """
        Args:
            namespaces: paths of those to be entered.
            environment: that of this process where it is not given.
            killed_before: its nth call of libbpf that can change something; 0 is never.
        """
        request = {
            "words": words,
            "namespaces": namespaces,
            "directory": str(directory),
            "environment": dict(os.environ if environment is None else environment),
            "killed_before": killed_before,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        ready, _, _ = select.select([self._process.stdout], [], [], _PATIENCE_S)
        assert ready, f"xdpctl {' '.join(words)}: no end after {_PATIENCE_S:.0f} s"
        code, output, errors = json.loads(self._process.stdout.readline())
        return subprocess.CompletedProcess(words, code, output, errors)

    def close(self) -> None:
        self._process.communicate(timeout=30)


_forked: list[Forked] = []


@contextmanager
def forking() -> Iterator[None]:
    """For as long as `forked()` may be asked for."""
    try:
        yield
    finally:
        while _forked:
            _forked.pop().close()


def forked() -> Forked:
    """The one of this process."""
    if not _forked:
        _forked.append(Forked())
    return _forked[0]


def json_of(done: subprocess.CompletedProcess[str]) -> Any:
    """What a command that succeeded has written with --json."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
