"""What the figures were taken on."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from pathlib import Path


def machine() -> dict[str, str | int]:
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "commit": _output(["git", "rev-parse", "--short=12", "HEAD"]) or "unknown",
        "changed": int(bool(_output(["git", "status", "--porcelain", "--untracked-files=no"]))),
        "kernel": platform.release(),
        "cpu": _cpu_model(),
        "cpus": os.cpu_count() or 0,
        "clang": _output(["clang", "--version"]).partition("\n")[0] or "unknown",
        "python": platform.python_version(),
        "load": f"{os.getloadavg()[0]:.1f}",
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.machine()


def _output(command: list[str]) -> str:
    if shutil.which(command[0]) is None:
        return ""
    # The checkout may be somebody else's than root's, which git takes for a danger.
    command = (
        [*command[:1], "-c", "safe.directory=*", *command[1:]] if command[0] == "git" else command
    )
    return subprocess.run(command, check=False, capture_output=True, text=True).stdout.strip()
