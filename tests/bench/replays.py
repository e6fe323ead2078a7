"""Whole replays of a capture, beside tshark's count of the protocols in the same file."""

from __future__ import annotations

import struct
from collections.abc import Collection
from functools import partial
from pathlib import Path

from netns_lab import Lab
from tests.bench.dialects import xdpctl_file
from tests.bench.policies import random_policy
from tests.bench.processes import RULES, Processes
from tests.bench.setups import XDPCTL
from tests.bench.timing import Costs, in_turn
from tests.packets import IPV4, IPV6, TCP, UDP, eth, ipv4, ipv6

PACKET_BYTES = 100
REPLAY = "xdpctl replay"
REPLAY_RULES = f"xdpctl replay, {RULES} rules"
TSHARK = "tshark -q -z io,phs"


def replays(
    folder: Path, rounds: int, packets: int, available: Collection[str]
) -> tuple[Costs, dict[str, float]]:
    """Of a file that is in the page cache; counts only."""
    capture = folder / "replayed.pcap"
    write_capture(capture, packets)
    rules = folder / "replayed.yaml"
    rules.write_text(xdpctl_file(random_policy(RULES, 4, 1).rules), encoding="utf-8")
    with Lab() as lab:
        processes = Processes(lab.host("bench"))
        replay = [XDPCTL, "replay", str(capture), "--json"]
        commands = {REPLAY: replay, REPLAY_RULES: [*replay, "--rules", str(rules)]}
        if "tshark" in available:
            commands[TSHARK] = ["tshark", "-q", "-z", "io,phs", "-r", str(capture)]
        measures = {
            name: partial(processes.seconds, name, command) for name, command in commands.items()
        }
        return in_turn(measures, rounds), processes.peak_mib


def write_capture(path: Path, packets: int) -> None:
    """Four kinds of packet in turn, ten microseconds apart."""
    frames = [
        each.ljust(PACKET_BYTES, b"\0")
        for each in (
            eth(IPV4, ipv4(6, TCP)),
            eth(IPV4, ipv4(17, UDP)),
            eth(IPV6, ipv6(6, TCP)),
            eth(IPV6, ipv6(17, UDP)),
        )
    ]
    record = struct.Struct(f"<IIII{PACKET_BYTES}s")
    with path.open("wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for number in range(packets):
            seconds, rest = divmod(number, 100_000)
            file.write(
                record.pack(
                    1_800_000_000 + seconds, rest * 10, PACKET_BYTES, PACKET_BYTES,
                    frames[number % len(frames)],
                )
            )  # fmt: skip
