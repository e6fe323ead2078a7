"""Limits in the kernel: exact over time, shared by CPUs, and kept from one program to the next."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.bpf.judging import Kernel, judging
from tests.bpf.test_generations import Generations, frame, rules
from tests.packets import IPV4, eth, ipv4
from xdpctl.datapath.slots import read_totals
from xdpctl.pylibbpf import Map, ObjectProgram
from xdpctl.rules.model import Ruleset

DROP, PASS = 1, 2
SECOND_NS = 10**9
FRAME = eth(IPV4, ipv4(17, bytes(8))).ljust(125, b"\0")  # 1,000 bits


def limiting(*limits: dict[str, object], **keys: object) -> Ruleset:
    """Without names they are r0, r1 and so on."""
    named = [{"name": f"r{i}", "action": "limit"} | each for i, each in enumerate(limits)]
    return Ruleset("test", rules=rules(*named), **keys)  # type: ignore[arg-type]


@pytest.mark.parametrize("sent", [500, 1000, 2000, 20_000])
@pytest.mark.parametrize("rate", ["100/s", "6000/m", "100kbit/s"])
def test_what_gets_through_in_ten_seconds(rate: str, sent: int) -> None:
    """At half the rate, at it, and at two and twenty times; of what a bucket holds nothing."""
    burst = {"burst": "125B" if "bit" in rate else 1}
    with judging(limiting({"rate": rate, **burst}), injected_clock=True) as kernel:
        passed = 0
        for i in range(sent):
            kernel.set_clock(SECOND_NS + i * 10 * SECOND_NS // sent)
            passed += kernel.run(FRAME) == PASS
        assert passed == pytest.approx(min(sent, 1000), rel=0.05)
        assert kernel.packets_by_rule() == {"r0": sent, "default": passed}
        assert kernel.dropped_by_limit()["r0"] == sent - passed


def send_from_two_cpus(kernel: Kernel, count: int) -> None:
    """`count` packets from each, at the same time."""

    def send(cpu: int) -> None:
        os.sched_setaffinity(0, {cpu})  # of this thread
        kernel.run_often(FRAME, count)

    cpus = sorted(os.sched_getaffinity(0))[:2]
    senders = [threading.Thread(target=send, args=(cpu,)) for cpu in cpus]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()


@pytest.mark.parametrize("sent", [5000, 10_000, 20_000, 200_000])
@pytest.mark.parametrize(
    "limit",
    [
        {"rate": "10000/s", "burst": 10_000},
        {"rate": "10Mbit/s", "burst": "1250kB"},
        {"rate": "10000/s", "burst": 10_000, "per": "src"},
    ],
    ids=str,
)
def test_two_cpus_share_a_limit(limit: dict[str, object], sent: int) -> None:
    """They send all of a second's packets at once, ten times, at half the rate to twenty times."""
    with judging(limiting(limit), injected_clock=True) as kernel:
        for second in range(1, 11):
            kernel.set_clock(second * SECOND_NS)
            send_from_two_cpus(kernel, sent // 2)
        counted, dropped = kernel.packets_by_rule(), kernel.dropped_by_limit()
        assert counted["r0"] == 10 * sent
        assert counted["default"] + dropped["r0"] == 10 * sent
        assert counted["default"] == pytest.approx(10 * min(sent, 10_000), rel=0.001)


def test_two_cpus_share_a_limit_by_the_real_clock() -> None:
    """At many times the rate; the bucket is so large that they may pause for a second."""
    with judging(limiting({"rate": "200000/s", "burst": 200_000})) as kernel:
        start = time.monotonic()
        send_from_two_cpus(kernel, 4_000_000)
        seconds = time.monotonic() - start
        passed = kernel.packets_by_rule()["default"]
        assert kernel.dropped_by_limit()["r0"] == 8_000_000 - passed
        assert passed == pytest.approx(200_000 * (1 + seconds), rel=0.05)


def test_a_packet_meets_all_sixty_four_limits_in_turn() -> None:
    sixty_four_limits_are_met_in_turn()


def sixty_four_limits_are_met_in_turn() -> None:
    """The last one, with the smallest bucket, is over first, and then the one before it."""
    limits: list[dict[str, object]] = [{"rate": "1/h", "burst": 65 - i} for i in range(64)]
    with judging(limiting(*limits), injected_clock=True) as kernel:
        kernel.set_clock(SECOND_NS)
        assert [kernel.run(FRAME) for _ in range(4)] == [PASS, PASS, DROP, DROP]
        counted = kernel.packets_by_rule()
        assert (counted["r0"], counted["r62"], counted["r63"], counted["default"]) == (4, 4, 3, 2)
        assert kernel.dropped_by_limit() == {"r62": 1, "r63": 1}
        assert kernel.drop_reasons() == {"limit": 2}


@pytest.mark.parametrize(("cells", "expected"), [(1, [PASS, DROP]), (65536, [PASS, PASS])])
def test_addresses_in_one_cell_share_its_rate(cells: int, expected: list[int]) -> None:
    limit = {"rate": "1/h", "burst": 1, "per": "src", "cells": cells}
    with judging(limiting(limit), injected_clock=True) as kernel:
        kernel.set_clock(SECOND_NS)
        assert [kernel.run(frame(f"192.0.2.{host}")) for host in (1, 2)] == expected


@pytest.fixture
def generations() -> Iterator[Generations]:
    with ExitStack() as stack:
        yield Generations(stack)


HOURLY: dict[str, object] = {"name": "h", "action": "limit", "rate": "1/h", "burst": 2}
OTHER: dict[str, object] = {"name": "a", "action": "limit", "rate": "1/m", "per": "dst"}
BEFORE: dict[str, object] = {"name": "x", "action": "drop", "dport": 9}


def verdicts(program: ObjectProgram, count: int) -> list[int]:
    return [program.test_run(frame("192.0.2.1")).retval for _ in range(count)]


def test_a_limit_that_stays_keeps_what_it_knows_and_where(generations: Generations) -> None:
    first = generations.put(Ruleset("one", rules=rules(HOURLY)))
    assert verdicts(first, 1) == [PASS]
    cells = generations.table("cells")
    second = generations.put(Ruleset("two", rules=rules(BEFORE, HOURLY)))
    assert generations.table("cells") == cells
    assert verdicts(second, 2) == [PASS, DROP]
    assert verdicts(first, 1) == [DROP]


def test_a_limit_that_stays_keeps_what_it_knows_when_another_comes(
    generations: Generations,
) -> None:
    assert verdicts(generations.put(Ruleset("one", rules=rules(HOURLY))), 1) == [PASS]
    cells = generations.table("cells")
    second = generations.put(Ruleset("two", rules=rules(HOURLY, OTHER)))
    assert generations.table("cells") != cells
    assert verdicts(second, 2) == [PASS, DROP]
    third = generations.put(Ruleset("three", rules=rules(HOURLY)))
    assert verdicts(third, 1) == [DROP]


def test_addresses_keep_their_cells_when_another_limit_comes(generations: Generations) -> None:
    per_source = HOURLY | {"per": "src", "burst": 1}
    sources = [frame(f"192.0.2.{host}") for host in range(40)]
    first = generations.put(Ruleset("one", rules=rules(per_source)))
    for each in sources:
        first.test_run(each)
    second = generations.put(Ruleset("two", rules=rules(OTHER | {"rate": "99/s"}, per_source)))
    assert {second.test_run(each).retval for each in sources} == {DROP}


@pytest.mark.parametrize("change", [{"burst": 1}, {"rate": "2/h"}, {"name": "other"}], ids=str)
def test_a_limit_that_changes_begins_anew(
    generations: Generations, change: dict[str, object]
) -> None:
    assert verdicts(generations.put(Ruleset("one", rules=rules(HOURLY))), 3) == [PASS, PASS, DROP]
    second = generations.put(Ruleset("two", rules=rules(HOURLY | change)))
    assert verdicts(second, 1) == [PASS]


def test_what_a_limit_has_dropped_is_known_for_as_long_as_its_name(
    generations: Generations,
) -> None:
    verdicts(generations.put(Ruleset("one", rules=rules(HOURLY))), 5)
    program = generations.put(Ruleset("two", rules=rules(BEFORE, OTHER, HOURLY | {"burst": 1})))
    assert verdicts(program, 2) == [PASS, DROP]
    assert generations.running is not None
    [entry] = [
        each
        for _, each in generations.running.map("limits").lookup_batch()
        if each.ticks == 3600 * 16 * SECOND_NS
    ]
    totals = read_totals(generations.running)
    assert (totals[entry.slot].packets, totals[entry.dropped_slot].packets) == (7, 3 + 1)


def test_a_program_without_limits_has_no_maps_for_them(generations: Generations) -> None:
    program = generations.put(Ruleset("one", rules=rules(BEFORE)))
    names = set()
    for map_id in program.info.map_ids:
        with Map.from_id(map_id) as found:
            names.add(found.info.name)
    assert not names & {"limits", "cells", "clock"}
