"""Compiles the BPF programs into the packages: when a wheel is built, and when run by `make`."""

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
OBJECTS = {
    "bpf/xdpctl.bpf.c": "xdpctl/data/xdpctl.bpf.o",
    "bpf/xdpctl_untyped.bpf.c": "xdpctl/data/xdpctl_untyped.bpf.o",
    "bpf/replay.bpf.c": "xdpctl/data/replay.bpf.o",
    "bpf/generator.bpf.c": "netns_lab/data/generator.bpf.o",
}


def compile_programs() -> None:
    """Leaves OBJECTS behind, or exits with one line that says what is missing."""
    sys.path.insert(0, str(ROOT))
    from xdpctl.pylibbpf.clang import compile_file  # noqa: PLC0415 - needs the path
    from xdpctl.pylibbpf.errors import CompileError  # noqa: PLC0415

    for source, output in OBJECTS.items():
        try:
            compile_file(ROOT / source, ROOT / output)
        except CompileError as error:
            hint = f"\nhint: {error.hint}" if error.hint else ""
            sys.exit(f"xdpctl: cannot compile {source}: {error}{hint}")


if __name__ == "__main__":
    compile_programs()
else:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface

    class Programs(BuildHookInterface):  # type: ignore[type-arg]
        """Called by the build backend before the files of a wheel are collected."""

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            compile_programs()
