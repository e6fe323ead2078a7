"""docs/tutorial.md, typed in as it stands: every step does what the page shows."""

from __future__ import annotations

import fnmatch
import os
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PAGE = (Path(__file__).parent.parent.parent / "docs/tutorial.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(sh|text)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
DEADLINE_S = 60


class Shell:
    """A shell that is typed into, and what it and its programs print."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: queue.Queue[str] = queue.Queue()
        self._skip = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            self._lines.put(line.rstrip())

    def close(self) -> None:
        self._process.kill()
        self._reader.join()

    def type(self, text: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(text)
        self._process.stdin.flush()

    def see(self, expected: str) -> None:
        """Each line comes, in this order; `...` is for anything, alone for any lines. Empty lines
        and what drop.py says every second may come in between. Columns are as wide as the numbers
        in them, which differ."""
        for pattern in expected.splitlines():
            if pattern == "...":
                self._skip = True
                continue
            wanted = re.escape(columns(pattern)).replace(re.escape("..."), ".*")
            seen = []
            while not re.fullmatch(wanted, line := columns(self._lines.get(timeout=DEADLINE_S))):
                seen.append(line)
                said_again = line.startswith("dropped ")
                assert self._skip or not line or said_again, f"not {pattern!r} but {seen}"
            self._skip = False


def columns(line: str) -> str:
    return re.sub("  +", "  ", line)


@contextmanager
def shell(directory: Path) -> Iterator[Shell]:
    """Where `.venv/bin/activate` was read, and /run/netns is nobody else's."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    private = "mkdir -p /run/netns && mount -t tmpfs none /run/netns && exec bash"
    with subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "bash", "-c", private],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=directory,
        env={**os.environ, "PATH": path},
    ) as process:
        typed_into = Shell(process)
        try:
            yield typed_into
        finally:
            typed_into.close()


def test_each_step_prints_what_the_page_shows(tmp_path: Path) -> None:
    with shell(tmp_path) as tutorial:
        for kind, text in BLOCKS:
            if kind == "sh":
                tutorial.type(text)
            else:
                tutorial.see(text)


def test_every_command_of_the_page_is_a_step() -> None:
    typed = "".join(text for kind, text in BLOCKS if kind == "sh")
    for command in ("lab up", "attach", "lab send", "stats", "histogram", "detach", "lab exec"):
        assert fnmatch.fnmatch(typed, f"*xdpctl {command} *")
