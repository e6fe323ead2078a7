"""XDP programs under comparison, loaded; and the files that they are made from."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from netns_lab import Host
from tests.bench.dialects import linear_rules, xdpctl_file
from tests.bench.policies import FiveFields
from tests.bench.prefixes import Prefixes
from xdpctl.datapath.contents import content_of
from xdpctl.datapath.loading import loaded_program
from xdpctl.pylibbpf import Map, Object, Program, xdp
from xdpctl.pylibbpf.clang import compile_file
from xdpctl.pylibbpf.programs import ProgramAccess
from xdpctl.rules.reading import read_ruleset

HERE = Path(__file__).parent
MB = 1_000_000


def write_prefixes(path: Path, prefixes: Prefixes) -> Path:
    """A list as lists are published."""
    path.write_text("".join(f"{each}\n" for each in prefixes.texts()), encoding="ascii")
    return path


@contextmanager
def xdpctl_program(
    folder: Path,
    rules: Sequence[FiveFields | dict[str, Any]],
    *,
    prefixes: Path | None = None,
    **keys: Any,
) -> Iterator[ProgramAccess]:
    """Ours with rules, made from a file by all the steps of `xdpctl attach --rules`."""
    path = folder / "rules.yaml"
    path.write_text(xdpctl_file(rules, prefixes=prefixes, **keys), encoding="utf-8")
    ruleset = read_ruleset(str(path), time.time()).ruleset
    with loaded_program(content=content_of(ruleset)) as program:
        yield program


def compile_object(folder: Path, name: str) -> Path:
    """The object of NAME.bpf.c."""
    path = folder / f"{name}.bpf.o"
    compile_file(HERE / f"{name}.bpf.c", path)
    return path


@contextmanager
def compiled_program(folder: Path, name: str) -> Iterator[ProgramAccess]:
    """The program NAME of NAME.bpf.c."""
    with Object.open(compile_object(folder, name)) as obj:
        obj.load()
        yield obj.programs[name]


@contextmanager
def linear_program(folder: Path, rules: Sequence[FiveFields]) -> Iterator[ProgramAccess]:
    """Rules that are walked one by one."""
    with Object.open(compile_object(folder, "linear")) as obj:
        obj.rodata.rule_count = len(rules)
        obj.load()
        packed = linear_rules(rules)
        with obj.maps.tables.mmap(writable=True) as memory:
            memory[: len(packed)] = packed
        yield obj.programs.linear


def load_xdp_filter(host: Host, device: str, policy: str) -> None:
    """`xdp-filter load` with all features and no rules; `policy` is allow or deny.

    It pins what it loads: in a file system that is gone with the command.
    """
    script = f"mount -t bpf bpf /sys/fs/bpf && exec xdp-filter load -m native -p {policy} {device}"
    host.run(["unshare", "--mount", "sh", "-c", script])


@contextmanager
def xdp_filter_program(host: Host, device: str) -> Iterator[ProgramAccess]:
    """The program that xdp-filter loads, no longer attached."""
    load_xdp_filter(host, device, "allow")
    [attached] = host.call(xdp.query, host.ifindex(device))
    with Program.from_id(attached.program_id) as program:
        host.call(xdp.detach, host.ifindex(device), attached.mode, expected_fd=program.fd)
        yield program


def map_mb(fd: int) -> float:
    """What `bpftool map` calls memlock."""
    lines = Path(f"/proc/self/fdinfo/{fd}").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("memlock")) / MB


def program_mb(program: ProgramAccess) -> float:
    """All maps of a program."""
    total = 0.0
    for map_id in program.info.map_ids:
        with Map.from_id(map_id) as found:
            total += map_mb(found.fd)
    return total
