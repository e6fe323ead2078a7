"""`make bench`: how fast, next to others. The compared things run in turn, many rounds, on what may
be a noisy machine; what counts are the ratios of the minima and of the medians."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from netns_lab import Lab
from tests.packets import IPV4, UDP, eth, ipv4
from xdpctl.datapath.loading import loaded_program
from xdpctl.pylibbpf import Object
from xdpctl.pylibbpf.clang import compile_file

HERE = Path(__file__).parent
FRAME = eth(IPV4, ipv4(17, UDP + bytes(22)))  # 64 bytes
REPEAT = 1_000_000

Measure = Callable[[], float]


def in_turn(measures: dict[str, Measure], rounds: int) -> dict[str, dict[str, float]]:
    """Minimum and median of each, measured one after another in every round."""
    taken: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            taken[name].append(measure())
    return {name: {"min": min(all_), "median": median(all_)} for name, all_ in taken.items()}


def packet_cost(rounds: int) -> dict[str, dict[str, float]]:
    """Nanoseconds per packet under BPF_PROG_TEST_RUN."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        programs: dict[str, Any] = {}
        for name in ("drop", "minimal"):
            compile_file(HERE / f"{name}.bpf.c", folder / f"{name}.bpf.o")
            obj = stack.enter_context(Object.open(folder / f"{name}.bpf.o"))
            obj.load()
            programs[name] = obj.programs[name]
        programs["xdpctl"] = stack.enter_context(loaded_program())

        def measure(program: Any) -> Measure:
            return lambda: float(program.test_run(FRAME, repeat=REPEAT).duration_ns)

        return in_turn({name: measure(each) for name, each in programs.items()}, rounds)


def start_up(rounds: int) -> tuple[dict[str, dict[str, float]], float]:
    """Seconds of whole processes, and the most memory that `xdpctl stats` took, in MiB."""
    with Lab() as lab:
        left, right = lab.hosts("left", "right")
        lab.link(left, right)
        xdpctl = str(Path(sys.executable).with_name("xdpctl"))
        right.run([xdpctl, "attach", "eth0"])
        peak_mib = 0.0

        def timed(command: list[str]) -> Measure:
            def measure() -> float:
                nonlocal peak_mib
                start = time.perf_counter()
                process = os.posix_spawn(
                    command[0],
                    command,
                    os.environ,
                    file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
                )
                _, status, usage = os.wait4(process, 0)
                seconds = time.perf_counter() - start
                assert status == 0, f"{command} failed"
                if command[0] == xdpctl:
                    peak_mib = max(peak_mib, usage.ru_maxrss / 1024)
                return seconds

            return measure

        measures = {
            "python -c 'import click'": timed([sys.executable, "-c", "import click"]),
            "xdpctl stats eth0 --json": timed([xdpctl, "stats", "eth0", "--json"]),
        }
        return right.call(in_turn, measures, rounds), peak_mib


def show(title: str, unit: str, results: dict[str, dict[str, float]], base: str) -> None:
    print(f"\n{title}, {unit}")
    print(f"{'':28}{'min':>9}{'median':>9}   ratio to {base}: min, median")
    for name, figures in results.items():
        ratios = [figures[kind] / results[base][kind] for kind in ("min", "median")]
        print(
            f"{name:28}{figures['min']:9.3g}{figures['median']:9.3g}"
            f"{ratios[0]:12.2f}{ratios[1]:9.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()

    packets = packet_cost(options.rounds)
    show(f"packets of {len(FRAME)} bytes", "ns each", packets, "minimal")
    processes, peak_mib = start_up(options.rounds)
    show("whole processes", "s", processes, "python -c 'import click'")
    print(f"\nxdpctl stats --json: at most {peak_mib:.0f} MiB")
    if options.json:
        document = {
            "kernel": platform.release(),
            "cpus": os.cpu_count(),
            "rounds": options.rounds,
            "packet_ns": packets,
            "process_s": processes,
            "stats_peak_mib": peak_mib,
        }
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
