"""BPF C compiled with the local clang: the one place that knows its flags.

Needs nothing but the standard library, so that the package's own build can use it.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from xdpctl.pylibbpf.errors import CompileError

INSTALL_HINT = "apt install clang llvm libbpf-dev (Fedora: clang llvm libbpf-devel)"

# -mcpu=v3: 32-bit registers and atomics, which every kernel since 5.12 has; without it the default
# changes with clang's version, and with it what the verifier sees.
_FLAGS = (
    "-O2",
    "-g",
    "-target",
    "bpf",
    "-mcpu=v3",
    "-Wall",
    "-Wextra",
    "-Wno-unused-parameter",
    "-Werror",
)
_TIMEOUT_S = 120

TEXT_NAME = "<source>"
"""What clang calls a source that has no file."""


def compile_file(source: Path, output: Path) -> None:
    """Compile a BPF C file to an object with BTF and without DWARF.

    Raises:
        CompileError: clang or llvm-strip is missing, or clang refused the source.
    """
    clang, strip = _command("clang"), _tool("llvm-strip")
    output.parent.mkdir(parents=True, exist_ok=True)
    _run([*clang, "-c", str(source), "-o", str(output)])
    _run([strip, "--strip-debug", str(output)])


def compile_text(source: str) -> bytes:
    """The object that a text in BPF C compiles to, with BTF and without DWARF; no file is written.

    `#include "..."` looks in the working directory.

    Raises:
        CompileError: clang or llvm-strip is missing, or clang refused the source, which its
            messages call `<source>`.
    """
    clang, strip = _command("clang"), _tool("llvm-strip")
    named = f'#line 1 "{TEXT_NAME}"\n{source}\n'.encode(errors="surrogateescape")
    compiled = _run([*clang, "-c", "-x", "c", "-", "-o", "-"], named).stdout
    return _run([strip, "--strip-debug", "-", "-o", "-"], compiled).stdout


def _command(name: str) -> list[str]:
    """The compiler with its flags."""
    clang = _tool(name)
    includes = [flag for path in _system_includes(clang) for flag in ("-idirafter", path)]
    return [clang, *_FLAGS, *includes]


def _tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise CompileError(f"{name} is not installed", INSTALL_HINT)
    return path


def _system_includes(clang: str) -> list[str]:
    """Where this machine's clang finds <asm/types.h>, which it does not with `-target bpf`."""
    listing = _text(_run([clang, "-v", "-E", "-x", "c", "/dev/null"]).stderr)
    _, _, rest = listing.partition("#include <...> search starts here:\n")
    paths, _, _ = rest.partition("End of search list.")
    return [line.strip() for line in paths.splitlines()]


def _run(command: list[str], data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Runs a command on `data`; what it says where it fails is the error."""
    try:
        done = subprocess.run(
            command, input=data, capture_output=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CompileError(f"{command[0]}: {error}") from None
    if done.returncode != 0:
        said = _text(done.stderr).strip()
        missing = "bpf_helpers.h" in said or "file not found" in said
        raise CompileError(said, INSTALL_HINT if missing else "")
    return done


def _text(output: bytes) -> str:
    return output.decode(errors="backslashreplace")
