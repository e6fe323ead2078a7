"""Whole processes: wall-clock seconds and peak memory, from a file to what the kernel holds."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection
from compileall import compile_dir
from functools import partial
from pathlib import Path

import click

import xdpctl
from netns_lab import Host, Lab
from tests.bench import programs
from tests.bench.bans import BANS, bans_of
from tests.bench.dialects import SET, ipset_file, nft_file, xdpctl_file
from tests.bench.policies import random_policy
from tests.bench.prefixes import mixed_ipv4
from tests.bench.setups import XDPCTL
from tests.bench.timing import Costs, in_turn

TIMED = Path(__file__).with_name("timed.py")
RULES = 100
CLICK = "python -c 'import click'"
BAN = "xdpctl ban eth0 192.0.2.1"
BAN_FILE = f"xdpctl ban --file, {BANS:,} addresses"


class Processes:
    """Commands on a host, and the most memory that each took."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self.peak_mib: dict[str, float] = {}

    def seconds(self, name: str, command: list[str]) -> float:
        """Raises subprocess.CalledProcessError where it fails."""
        done = json.loads(self.host.run([sys.executable, "-S", str(TIMED), *command]).stdout)
        self.peak_mib[name] = max(self.peak_mib.get(name, 0.0), done["peak_mib"])
        return float(done["seconds"])


def start_up(folder: Path, rounds: int) -> tuple[Costs, dict[str, float]]:
    """Of short commands, next to what they cannot be faster than; compiled, as pip leaves them."""
    for package in (xdpctl, click):
        compile_dir(Path(package.__file__).parent, quiet=2)
    listed = folder / "banned.txt"
    listed.write_text("".join(f"{each}\n" for each in bans_of(1)), encoding="ascii")
    with Lab() as lab:
        left, right = lab.hosts("left", "right")
        lab.link(left, right)
        right.run([XDPCTL, "attach", "eth0"])
        processes = Processes(right)
        commands = {
            CLICK: [sys.executable, "-c", "import click"],
            "xdpctl stats eth0 --json": [XDPCTL, "stats", "eth0", "--json"],
            BAN: [XDPCTL, "ban", "eth0", "192.0.2.1"],
            BAN_FILE: [XDPCTL, "ban", "eth0", "--file", str(listed)],
            "xdpctl unban, the same": [XDPCTL, "unban", "eth0", "--file", str(listed)],
        }
        measures = {
            name: partial(processes.seconds, name, command) for name, command in commands.items()
        }
        return in_turn(measures, rounds), processes.peak_mib


def loading(
    folder: Path, rounds: int, prefixes: int, available: Collection[str]
) -> tuple[Costs, dict[str, float]]:
    """How long a list takes from a file to the kernel; ours with a hundred rules besides."""
    with Lab() as lab:
        host, other = lab.hosts("bench", "other")
        lab.link(host, other)
        loads = _Loads(Processes(host), folder, prefixes)
        measures: dict[str, Callable[[], float]] = {
            "xdpctl apply": loads.apply,
            "xdpctl apply, one rule changed": loads.apply_again,
        }
        if "nft" in available:
            measures["nft -f"] = loads.nft
        if "ipset" in available:
            measures["ipset restore"] = loads.ipset
        return in_turn(measures, rounds), loads.processes.peak_mib


class _Loads:
    def __init__(self, processes: Processes, folder: Path, prefixes: int) -> None:
        self.processes = processes
        self._run = processes.host.run
        self._folder = folder
        path = programs.write_prefixes(folder / "listed.txt", mixed_ipv4(prefixes))
        policy = random_policy(RULES, 4, 1)
        other = [policy.rules[0]._replace(destination_ports=(1, 1)), *policy.rules[1:]]
        self._file = self._write("rules.yaml", xdpctl_file(policy.rules, prefixes=path))
        self._changed = self._write("changed.yaml", xdpctl_file(other, prefixes=path))
        self._nft = self._write("list.nft", nft_file([], prefixes=path))
        self._ipset = self._write("list.ipset", ipset_file(path, prefixes))

    def apply(self) -> float:
        """To a counter without rules."""
        self._run([XDPCTL, "detach", "eth0"], check=False)
        self._run([XDPCTL, "attach", "eth0"])
        return self.processes.seconds("xdpctl apply", [XDPCTL, "apply", "eth0", self._file])

    def apply_again(self) -> float:
        """After `apply`."""
        name = "xdpctl apply, one rule changed"
        return self.processes.seconds(name, [XDPCTL, "apply", "eth0", self._changed])

    def nft(self) -> float:
        seconds = self.processes.seconds("nft -f", ["nft", "-f", self._nft])
        self._run(["nft", "delete", "table", "netdev", "bench"])
        return seconds

    def ipset(self) -> float:
        command = ["ipset", "restore", "-file", self._ipset]
        seconds = self.processes.seconds("ipset restore", command)
        self._run(["ipset", "destroy", SET])
        return seconds

    def _write(self, name: str, text: str) -> str:
        path = self._folder / name
        path.write_text(text, encoding="utf-8")
        return str(path)
