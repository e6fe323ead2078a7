"""Compiles the data plane into the package when a wheel is built."""

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class DataPlane(BuildHookInterface):  # type: ignore[type-arg]
    """Leaves xdpctl/data/xdpctl.bpf.o behind, in the wheel and in the checkout alike."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        sys.path.insert(0, str(root))
        from xdpctl.pylibbpf.clang import compile_file  # noqa: PLC0415 - needs the path
        from xdpctl.pylibbpf.errors import CompileError  # noqa: PLC0415

        try:
            compile_file(root / "bpf/xdpctl.bpf.c", root / "xdpctl/data/xdpctl.bpf.o")
        except CompileError as error:
            hint = f"; {error.hint}" if error.hint else ""
            sys.exit(f"xdpctl: cannot compile bpf/xdpctl.bpf.c: {error}{hint}")
