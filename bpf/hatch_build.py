"""Compiles the data plane into the package: when a wheel is built, and when run by `make`."""

import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def compile_data_plane() -> None:
    """Leaves xdpctl/data/xdpctl.bpf.o behind, or exits with one line that says what is missing."""
    sys.path.insert(0, str(ROOT))
    from xdpctl.pylibbpf.clang import compile_file  # noqa: PLC0415 - needs the path
    from xdpctl.pylibbpf.errors import CompileError  # noqa: PLC0415

    try:
        compile_file(ROOT / "bpf/xdpctl.bpf.c", ROOT / "xdpctl/data/xdpctl.bpf.o")
    except CompileError as error:
        hint = f"\nhint: {error.hint}" if error.hint else ""
        sys.exit(f"xdpctl: cannot compile bpf/xdpctl.bpf.c: {error}{hint}")


if __name__ == "__main__":
    compile_data_plane()
else:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface

    class DataPlane(BuildHookInterface):  # type: ignore[type-arg]
        """Called by the build backend before the files of a wheel are collected."""

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            compile_data_plane()
