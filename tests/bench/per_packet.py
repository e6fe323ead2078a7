"""Nanoseconds per packet under BPF_PROG_TEST_RUN. The kernel's loop around the program is in all
of them: `drop`, which does nothing, is what it costs."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from netns_lab import Host, Lab
from tests.bench import bans, programs
from tests.bench.dialects import frame_of
from tests.bench.policies import UDP, FiveFields, Flow, Policy, hard_policy, random_policy
from tests.bench.prefixes import Prefixes, hosts_ipv4, mixed_ipv4, mixed_ipv6
from tests.bench.timing import Costs, Taken
from tests.bench.worst import SETS, worst_frame, worst_rules
from xdpctl.datapath.loading import loaded_program
from xdpctl.pylibbpf import xdp
from xdpctl.pylibbpf.programs import ProgramAccess

RULE_COUNTS = (1, 100, 1000, 4000)
FLOWS = 16
LOADINGS = 5
DROP, PASS = 1, 2
MACS = ("02:00:00:00:00:02", "02:00:00:00:00:01")

_TURN_NS = 20_000_000
_REPEATS = (100, 1_000_000)
_LOOPBACK_IFINDEX = 1
_ORDINARY = {
    4: Flow(4, 0xC0000201, 0xC0000202, UDP, 40000, 53),
    6: Flow(6, 0x20010DB8 << 96 | 1, 0x20010DB8 << 96 | 2, UDP, 40000, 53),
}


class Case(NamedTuple):
    """A program, and packets that it gives the same verdict, in equal parts."""

    program: ProgramAccess
    frames: Sequence[bytes]
    verdict: int


def measure(case: Case, host: Host) -> float:
    """Of one turn. A test run puts its program into the kernel's XDP dispatcher and takes it out
    again, and waits for RCU both times; one that is attached somewhere is in there already."""
    fd = case.program.fd
    host.call(xdp.attach, _LOOPBACK_IFINDEX, fd, xdp.Mode.SKB)
    try:
        first = case.program.test_run(case.frames[0], repeat=_REPEATS[0]).duration_ns
        wanted = _TURN_NS // len(case.frames) // max(1, first)
        repeat = min(max(wanted, _REPEATS[0]), _REPEATS[1])
        runs = [case.program.test_run(frame, repeat=repeat) for frame in case.frames]
    finally:
        host.call(xdp.detach, _LOOPBACK_IFINDEX, xdp.Mode.SKB, expected_fd=fd)
    return sum(run.duration_ns for run in runs) / len(runs)


class Bench:
    """All cases, loaded, in a laboratory of their own."""

    def __init__(self, stack: ExitStack, folder: Path, prefixes: int) -> None:
        self.cases: dict[str, Case] = {}
        self.memory_mb: dict[str, float] = {}
        self._stack = stack
        self._folder = folder
        self._prefixes = prefixes
        lab = stack.enter_context(Lab())
        self.host, other = lab.hosts("bench", "other")
        lab.link(self.host, other)

    def add(self, name: str, program: ProgramAccess, frames: Sequence[bytes], verdict: int) -> None:
        """Raises AssertionError where the program is wrong about a packet."""
        for frame in frames:
            found = program.test_run(frame).retval
            assert found == verdict, f"{name}: {found} for {frame.hex()}"
        self.cases[name] = Case(program, frames, verdict)

    def add_counters(self) -> None:
        for name, verdict in (("drop", DROP), ("minimal", DROP)):
            program = self._stack.enter_context(programs.compiled_program(self._folder, name))
            self.add(name, program, [_frame(4)], verdict)
        counter = self._stack.enter_context(loaded_program())
        self.add("xdpctl, counter", counter, [_frame(4)], PASS)
        no_rules = self._ours([])
        for version in (4, 6):
            self.add(f"xdpctl, no rules, IPv{version}", no_rules, [_frame(version)], PASS)

    def add_bans(self) -> None:
        """Whom nothing bans is looked up for every length, and so is who is banned by the last."""
        clean = [_ORDINARY[4]._replace(source=0xC0000201 + n) for n in range(FLOWS)]
        nobody = self._stack.enter_context(loaded_program())
        without = self._stack.enter_context(bans.program_without_bans(self._folder))
        # Many frames, for a test run tells whole nanoseconds.
        self.add("xdpctl, counter, nobody banned", nobody, _frames(clean), PASS)
        self.add("xdpctl, counter that knows no bans", without, _frames(clean), PASS)
        for lengths in bans.LENGTHS:
            banned = bans.bans_of(lengths)
            program = self._stack.enter_context(bans.banning_program(banned))
            title = f"xdpctl, {bans.BANS:,} bans of {lengths} length{'s' if lengths > 1 else ''}"
            self.add(f"{title}, clean", program, _frames(clean), PASS)
            hosts = [_from(clean[0], each.network) for each in banned[-FLOWS:]]
            self.add(f"{title}, banned", program, _frames(hosts), DROP)

    def add_xdp_filter(self) -> None:
        loaded = self._stack.enter_context(programs.xdp_filter_program(self.host, "eth0"))
        for version in (4, 6):
            self.add(f"xdp-filter, no rules, IPv{version}", loaded, [_frame(version)], PASS)

    def add_rules(self) -> None:
        for version in (4, 6):
            for count in RULE_COUNTS:
                policy = random_policy(count, version, FLOWS)
                title = f"{count} rules, IPv{version}" if count > 1 else f"1 rule, IPv{version}"
                self._add_policy(f"xdpctl, {title}", self._ours(policy.rules), policy)
                if version == 4:
                    self._add_policy(f"linear, {title}", self._linear(policy), policy)

    def add_hard_shapes(self) -> None:
        policy = hard_policy(FLOWS)
        misses = _frames(policy.misses)
        self.add("xdpctl, 64 hosts x 64 ports", self._ours(policy.rules), misses, PASS)
        self.add("linear, 64 hosts x 64 ports", self._linear(policy), misses, PASS)
        worst = self._stack.enter_context(
            programs.xdpctl_program(self._folder, worst_rules(), sets=SETS)
        )
        self.add("xdpctl, worst case", worst, [worst_frame()], PASS)

    def add_sets(self) -> None:
        """Beside each set is one rule of five fields: "no set" is that rule alone."""
        six = 150_000 * self._prefixes // 1_000_000
        lists = {
            f"{self._prefixes:,} IPv4 prefixes": mixed_ipv4(self._prefixes),
            f"{self._prefixes:,} IPv4 hosts": hosts_ipv4(self._prefixes),
            f"{six:,} IPv6 prefixes": mixed_ipv6(six, lone=six * 2 // 5),
        }
        for title, prefixes in lists.items():
            version = prefixes.version
            policy = random_policy(1, version, FLOWS)
            path = programs.write_prefixes(self._folder / "list.txt", prefixes)
            program = self._stack.enter_context(
                programs.xdpctl_program(self._folder, policy.rules, prefixes=path)
            )
            self.memory_mb[title] = programs.program_mb(program)
            clean = [frame_of(_unlisted(flow, prefixes), *MACS) for flow in policy.misses]
            self.add(f"xdpctl, {title}, unlisted", program, clean, PASS)
            listed = [_from(policy.misses[0], each) for each in _some_of(prefixes)]
            self.add(f"xdpctl, {title}, listed", program, _frames(listed), DROP)

    def _add_policy(self, name: str, program: ProgramAccess, policy: Policy) -> None:
        self.add(f"{name}, no match", program, _frames(policy.misses), PASS)
        self.add(f"{name}, match", program, _frames(policy.hits), DROP)

    def _ours(self, rules: Sequence[FiveFields]) -> ProgramAccess:
        return self._stack.enter_context(programs.xdpctl_program(self._folder, rules))

    def _linear(self, policy: Policy) -> ProgramAccess:
        return self._stack.enter_context(programs.linear_program(self._folder, policy.rules))


def _frame(version: int) -> bytes:
    return frame_of(_ORDINARY[version], *MACS)


def _frames(flows: Sequence[Flow]) -> list[bytes]:
    return [frame_of(flow, *MACS) for flow in flows]


def _unlisted(flow: Flow, prefixes: Prefixes) -> Flow:
    """The flow, from the next address that is not in the list."""
    address = flow.source
    while _is_listed(address, prefixes):
        address += 1 << (0 if flow.version == 4 else 64)
    return flow._replace(source=address)


def _is_listed(address: int, prefixes: Prefixes) -> bool:
    if prefixes.version == 4:
        return bool(((prefixes.first <= address) & (address <= prefixes.last)).any())
    high, low = (np.uint64(each) for each in struct.unpack("!QQ", address.to_bytes(16, "big")))
    after = (prefixes.first[:, 0] < high) | (
        (prefixes.first[:, 0] == high) & (prefixes.first[:, 1] <= low)
    )
    before = (prefixes.last[:, 0] > high) | (
        (prefixes.last[:, 0] == high) & (prefixes.last[:, 1] >= low)
    )
    return bool((after & before).any())


def _some_of(prefixes: Prefixes) -> list[int]:
    found = prefixes.addresses(len(prefixes.lengths), np.random.default_rng(9))[:FLOWS].tolist()
    return found if prefixes.version == 4 else [high << 64 | low for high, low in found]


def _from(flow: Flow, source: int) -> Flow:
    return flow._replace(source=source)


def per_packet(
    folder: Path, rounds: int, prefixes: int, *, with_xdp_filter: bool
) -> tuple[Costs, dict[str, float]]:
    """The costs of all cases by name, and the MB of kernel memory of the sets by theirs.

    The kernel puts a program's code at a random place, which can make it a tenth faster or slower
    for as long as it is there: all are loaded anew a few times.
    """
    taken = Taken()
    memory_mb: dict[str, float] = {}
    ends = [rounds * n // LOADINGS for n in range(LOADINGS + 1)]
    for part in filter(None, (after - before for before, after in pairwise(ends))):
        with ExitStack() as stack:
            bench = Bench(stack, folder, prefixes)
            bench.add_counters()
            bench.add_bans()
            if with_xdp_filter:
                bench.add_xdp_filter()
            bench.add_rules()
            bench.add_hard_shapes()
            bench.add_sets()
            memory_mb |= bench.memory_mb
            measures = {
                name: partial(measure, case, bench.host) for name, case in bench.cases.items()
            }
            taken.add(measures, part)
    return taken.costs(), memory_mb
