"""`xdpctl top` on traffic whose shares are known."""

from __future__ import annotations

import json
import signal
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from math import sqrt
from pathlib import Path
from random import Random
from typing import Any

import pytest

from netns_lab.fixtures import Attached
from tests.lab.conftest import xdpctl_here
from tests.lab.sampled import ended, readers, reading
from tests.lab.test_trace import apply
from tests.packets import ARP, IPV4, eth

SENDERS = [512, 256, 128, 64, 32, 17, 15]
"""Packets of each in 1,024: 50 %, 25 %, 12.5 % and so on."""

FIRST = int(ip_address("198.51.100.0"))
NAMES = [f"from-{number}" for number in range(len(SENDERS))]
RULES = "rules:\n" + "".join(
    f"  - {{name: {name}, action: drop, src: {ip_address(FIRST + number)}}}\n"
    for number, name in enumerate(NAMES)
)


def frame(number: int) -> bytes:
    """A sender has an address, a destination, a port and a rule of its own."""
    udp = struct.pack("!HHHH", 40000 + number, 1000 + number, 8, 0)
    ip = struct.pack(
        "!BBHHHBBHII", 0x45, 0, 28, 0, 0, 64, 17, 0, FIRST + number, FIRST + 100 + number
    )  # fmt: skip
    return eth(IPV4, ip + udp)


def batch() -> list[bytes]:
    frames = [frame(number) for number, count in enumerate(SENDERS) for _ in range(count)]
    Random(1).shuffle(frames)
    return frames


def key_of(number: int) -> dict[str, dict[str, Any]]:
    """By what packets are put together, as the JSON has it."""
    source, destination = str(ip_address(FIRST + number)), str(ip_address(FIRST + 100 + number))
    ports = {"sport": 40000 + number, "dport": 1000 + number}
    return {
        "src": {"src": source, "protocol": None},
        "dst": {"dst": destination, "protocol": None},
        "flow": {"src": source, "dst": destination, "proto": "udp", **ports},
        "port": {"proto": "udp", "dport": 1000 + number},
        "rule": {"rule": NAMES[number], "reason": "rule"},
    }


@contextmanager
def sending(ready: Attached) -> Iterator[None]:
    """The batch, again and again, until the end."""
    done, frames = threading.Event(), batch()

    def send() -> None:
        while not done.wait(0.01):
            ready.left.send("eth0", frames)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def talkers(document: Any, by: str) -> dict[int, Any]:
    """By the senders' numbers."""
    found = {}
    for each in document["talkers"]:
        key = {name: each[name] for name in key_of(0)[by]}
        (number,) = [n for n in range(len(SENDERS)) if key_of(n)[by] == key]
        found[number] = each
    return found


def test_estimates_are_near_what_was_sent(ready: Attached, tmp_path: Path) -> None:
    """Within six standard errors of what the known share gives, in samples. (Those of the estimate
    itself would do for many samples only: who has few by chance is said to have a small error.)

    Of a Poisson distribution of mean 31, the least here, one in ten million is further off.
    """
    apply(ready, tmp_path, RULES)
    options = ("--json", "--once", "--interval", "1", "--one-in", "10")
    with sending(ready), ExitStack() as stack:
        started = {
            by: stack.enter_context(
                reading(ready.right, "top", "eth0", "--by", by, *options, count=0)
            )
            for by in key_of(0)
        }
        documents = {by: json.loads(ended(process)[0]) for by, process in started.items()}
    for by, document in documents.items():
        assert (document["by"], document["one_in"], document["lost"]) == (by, 10, 0)
        rate = document["packets"] / document["seconds"]
        estimates = talkers(document, by)
        assert len(estimates) == len(SENDERS)
        for number, each in estimates.items():
            share = SENDERS[number] / sum(SENDERS)
            expected = document["sampled"] * share
            found = document["sampled"] * each["share"]
            assert abs(found - expected) < 6 * sqrt(expected * (1 - share)), (by, number)
            error = 1.96 * rate * sqrt(share * (1 - share) / document["sampled"])
            assert error / 2 < each["error"] < 2 * error, (by, number)
            assert each["packets_per_second"] == pytest.approx(rate * each["share"])
            bits = each["packets_per_second"] * 8 * len(frame(0))
            assert each["bits_per_second"] == pytest.approx(bits)
    assert readers(ready.right) == 0


def test_every_packet_gives_exact_numbers(ready: Attached, tmp_path: Path) -> None:
    apply(ready, tmp_path, RULES)
    options = ("--json", "--one-in", "1", "--interval", "0.3")
    with reading(ready.right, "top", "eth0", *options) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["talkers"] == []
        ready.left.send("eth0", batch())
        ready.left.send("eth0", eth(ARP, bytes(28)))
        while (document := json.loads(process.stdout.readline()))["packets"] <= sum(SENDERS):
            pass
        ended(process, signal.SIGINT)
    total = sum(SENDERS) + 1
    assert (document["packets"], document["sampled"]) == (total, total)
    assert document["bytes"] == sum(SENDERS) * len(frame(0)) + 42
    arp = document["talkers"].pop()
    assert (arp["src"], arp["protocol"], arp["share"]) == (None, "arp", 1 / total)
    found = talkers(document, "src")
    assert [*found] == [*range(len(SENDERS))]
    for number, each in found.items():
        assert round(each["packets_per_second"] * document["seconds"], 6) == SENDERS[number]
        assert (each["error"], each["share"]) == (0, SENDERS[number] / total)


def test_people_see_a_table(ready: Attached) -> None:
    arp = eth(ARP, bytes(28))
    with reading(ready.right, "top", "eth0", "--one-in", "1", "--interval", "0.3") as process:
        assert process.stdout is not None
        while "0 packets" not in process.stdout.readline():
            pass
        ready.left.send("eth0", [frame(0)] * 3 + [arp])
        rows: dict[str, list[str]] = {}
        while not {"198.51.100.0", "arp"} <= rows.keys():
            words = process.stdout.readline().split()
            rows |= {words[0]: words} if words else {}
        ended(process, signal.SIGINT)
    assert rows["source"][:2] == ["source", "share"]
    assert (rows["198.51.100.0"][1], rows["arp"][1]) == ("75.0%", "25.0%")


def test_end_of_the_program_ends_it(ready: Attached) -> None:
    with reading(ready.right, "top", "eth0", "--interval", "0.3") as process:
        assert process.stdout is not None
        process.stdout.readline()
        xdpctl_here(ready.right, "detach", "eth0")
        _, errors = ended(process)
    assert errors == "xdpctl: eth0: xdpctl is not attached any more\n"
