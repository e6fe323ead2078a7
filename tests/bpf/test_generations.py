"""A program in the place of another one: what it takes over from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from ipaddress import IPv4Address

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from xdpctl.datapath.contents import content_of
from xdpctl.datapath.loading import loaded_program
from xdpctl.datapath.program import RunningProgram
from xdpctl.datapath.slots import choose_slots, read_stored
from xdpctl.pylibbpf import ObjectProgram
from xdpctl.rules.model import NamedSet, Rule, Ruleset
from xdpctl.rules.reading import read_rules_from
from xdpctl.rules.sets import set_of
from xdpctl.rules.values import parse_address

DROP, PASS = 1, 2


class Generations:
    """Programs one after another, attached to nothing."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.running: RunningProgram | None = None

    def put(self, ruleset: Ruleset) -> ObjectProgram:
        content = content_of(ruleset, self.running)
        program = self._stack.enter_context(
            loaded_program(content=content, successor_of=self.running)
        )
        self.running = self._stack.enter_context(RunningProgram(program.info.id))
        return program

    def table(self, name: str) -> int:
        assert self.running is not None
        return self.running.map(name).info.id


@pytest.fixture
def generations() -> Iterator[Generations]:
    with ExitStack() as stack:
        yield Generations(stack)


def rules(*documents: dict[str, object], sets: Sequence[NamedSet] = ()) -> tuple[Rule, ...]:
    return read_rules_from(documents, {each.name for each in sets}, 0)


def listed(name: str, *prefixes: str) -> NamedSet:
    return set_of(name, map(parse_address, prefixes))


def frame(source: str) -> bytes:
    macs = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}
    return bytes(Ether(**macs) / IP(src=source, dst="203.0.113.1") / UDP(dport=53))


def test_three_full_rulesets_of_other_names_each_have_slots_of_their_own(
    generations: Generations,
) -> None:
    def full(letter: str) -> Ruleset:
        return Ruleset(
            letter,
            rules=rules(
                *({"name": f"{letter}{i}", "action": "pass", "dport": 9} for i in range(4096))
            ),
        )

    for letter in "abc":
        generations.put(full(letter))
        assert generations.running is not None
        now, before = (read_stored(generations.running, which) for which in ("ruleset", "previous"))
        assert now is not None
        slots = [*now.slots, *(before.slots if before else ()), 0]
        assert len(set(slots)) == len(slots) == 4096 * (2 if before else 1) + 1
    again = choose_slots(["b7", "c9"], generations.running)
    assert before is not None
    assert again.of_rules == [before.slots[7], now.slots[9]]


def test_tables_of_sets_are_taken_over_by_a_program_of_the_same_sets(
    generations: Generations,
) -> None:
    a, b = listed("a", "192.0.2.0/25", "2001:db8::/33"), listed("b", "192.0.2.64/26")
    first = (
        {"name": "a", "action": "drop", "src": "@a"},
        {"name": "b", "action": "drop", "dst": "@b"},
    )
    generations.put(Ruleset("one", sets=(a, b), rules=rules(*first, sets=(a, b))))
    before = [generations.table(name) for name in ("sets_ipv4", "sets_ipv6", "own_ipv4")]

    more = {"name": "b", "action": "pass", "src": ["@b", "192.0.2.1"]}
    second = rules(more, *first[:1], {"name": "c", "action": "drop", "dst": "@b"}, sets=(a, b))
    # The lists are in another order now: of the rules the one that comes first asks for b.
    generations.put(Ruleset("two", sets=(a, b), rules=second))
    assert generations.table("sets_ipv4") != before[0]
    kept = [generations.table(name) for name in ("sets_ipv4", "sets_ipv6", "own_ipv4")]

    third = rules(more, {"name": "a", "action": "drop", "src": "@a", "proto": "udp"}, sets=(a, b))
    program = generations.put(Ruleset("three", sets=(a, b), rules=third))
    now = [generations.table(name) for name in ("sets_ipv4", "sets_ipv6", "own_ipv4")]
    assert now[:2] == kept[:2]
    assert now[2] != kept[2]
    verdicts = {
        address: program.test_run(frame(address)).retval
        for address in ("192.0.2.0", "192.0.2.1", "192.0.2.2", "192.0.2.64", "192.0.2.128")
    }
    assert verdicts == {
        "192.0.2.0": DROP,  # a
        "192.0.2.1": PASS,  # b, by what it writes
        "192.0.2.2": DROP,
        "192.0.2.64": PASS,  # b, by its set
        "192.0.2.128": PASS,  # the default
    }


def test_a_set_that_changed_has_a_table_of_its_own(generations: Generations) -> None:
    for last in (5, 6):
        a = listed("a", f"192.0.2.0-192.0.2.{last}")
        program = generations.put(
            Ruleset(
                "x", sets=(a,), rules=rules({"name": "a", "action": "drop", "src": "@a"}, sets=(a,))
            )
        )
        for number in range(5, 8):
            wanted = DROP if number <= last else PASS
            address = str(IPv4Address("192.0.2.0") + number)
            assert program.test_run(frame(address)).retval == wanted
