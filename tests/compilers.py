"""BPF objects as each installed clang makes them: `python -m tests.compilers` builds all of them.

They are kept in .cache/objects, so that an emulated kernel need not run a compiler.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
from pathlib import Path

from xdpctl.pylibbpf.clang import compile_file

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "objects"
XDPCTL = ROOT / "bpf/xdpctl.bpf.c"
UNTYPED = ROOT / "bpf/xdpctl_untyped.bpf.c"
REPLAY = ROOT / "bpf/replay.bpf.c"
ADDRESSES = ROOT / "tests/bpf/objects/addresses.bpf.c"


def installed_compilers() -> list[str]:
    """Those with a version in their name, the newest last, and `clang` where that is another."""
    found = {
        path.name: int(path.name.removeprefix("clang-"))
        for folder in os.get_exec_path()
        for path in Path(folder).glob("clang-[0-9]*")
        if path.name.removeprefix("clang-").isdigit()
    }
    names = sorted(found, key=lambda name: found[name])
    return names if _program("clang") in map(_program, names) else ["clang", *names]


def built_by(compiler: str, source: Path) -> Path:
    """The object that the compiler of that name makes of a source; made unless it is there."""
    program = _program(compiler)
    digest = hashlib.sha256(f"{program} {program.stat().st_mtime_ns} {source}".encode())
    for each in sorted([source, *ROOT.glob("bpf/*.[ch]"), ROOT / "xdpctl/pylibbpf/clang.py"]):
        digest.update(each.read_bytes())
    output = CACHE / f"{compiler}-{digest.hexdigest()[:16]}" / f"{source.name.split('.')[0]}.bpf.o"
    if not output.exists():
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=output.parent) as folder:
            _compile(program, source, Path(folder, output.name)).rename(output)
    return output


def _compile(program: Path, source: Path, output: Path) -> Path:
    """As `clang` is called by whoever builds the package, with another one in its place."""
    (output.parent / "clang").symlink_to(program)
    path = os.environ["PATH"]
    os.environ["PATH"] = f"{output.parent}:{path}"
    try:
        compile_file(source, output)
    finally:
        os.environ["PATH"] = path
    return output


def _program(compiler: str) -> Path:
    command = shutil.which(compiler)
    assert command, compiler
    return Path(command).resolve()


def main() -> None:
    for compiler in installed_compilers():
        for source in (XDPCTL, UNTYPED, REPLAY, ADDRESSES):
            print(f"{compiler}: {built_by(compiler, source).relative_to(ROOT)}")


if __name__ == "__main__":
    sys.exit(main())
