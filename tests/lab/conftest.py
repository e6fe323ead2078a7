"""Programs that are not ours, and xdpctl as a person runs it on a host."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from netns_lab import Host
from xdpctl.pylibbpf.clang import compile_file

OBJECTS = Path(__file__).parent / "objects"
XDPCTL = [sys.executable, "-m", "xdpctl"]


def xdpctl(host: Host, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command on a host; whatever its exit code."""
    return host.run([*XDPCTL, *arguments], check=False, timeout_s=60)


def xdpctl_json(host: Host, *arguments: str) -> Any:
    """What a command that succeeds writes with --json."""
    done = xdpctl(host, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


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
