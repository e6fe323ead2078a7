"""What has to hold on every kernel that the object is for; `make test-kernels` runs it in each.

Counts are compared, not only that the program loads: kernels differ in what the verifier makes of a
program.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

import pytest

from netns_lab import Host, Lab
from tests.bpf.counting import PASS, bench
from tests.bpf.test_classifier import agree
from tests.bpf.test_expiry import expired_ones_are_passed_over
from tests.bpf.test_limits import sixty_four_limits_are_met_in_turn
from tests.bpf.test_replay import lengths_are_as_given, replayed_as_the_model_judges
from tests.edges import deep_ruleset, frame, moments, ruleset
from tests.oracle import parse
from tests.packets import PACKETS
from xdpctl.datapath.hook import RequestedMode, attach, detach, occupants
from xdpctl.datapath.interfaces import Interface, find_interface, inside_namespace
from xdpctl.datapath.snapshot import Reader, Snapshot
from xdpctl.protocols import protocol_name
from xdpctl.pylibbpf import xdp_context
from xdpctl.replay import driver as replay_driver
from xdpctl.rules.model import Ruleset


def test_packet_table_is_counted_as_described() -> None:
    print(f"kernel {platform.release()}")
    with bench() as counter:
        for packet in PACKETS:
            for context in (None, xdp_context(0, 14)):
                if len(packet.frame) == 14 and context:
                    continue
                counted = counter.run(packet.frame, context=context)
                assert counted.run.retval == PASS, packet.name
                assert counted.protocols == {packet.protocol: (1, len(packet.frame))}, packet.name
                assert counted.malformed == ({packet.reason: 1} if packet.reason else {})


@contextmanager
def attached(mode: RequestedMode) -> Iterator[tuple[Host, Interface]]:
    """A host, and the interface at its link's other end that we are attached to and inside of."""
    with Lab() as lab:
        left, right = lab.hosts("left", "right")
        lab.link(left, right)
        with inside_namespace(right.netns_path):
            interface = find_interface("eth0")
            attach(interface, mode)
            yield left, interface


@pytest.mark.parametrize("mode", [RequestedMode.DRIVER, RequestedMode.SKB])
def test_frames_on_a_wire_are_counted_as_described(mode: RequestedMode) -> None:
    frames = [packet.frame for packet in PACKETS if len(packet.frame) <= 1514]
    with attached(mode) as (left, interface):
        left.send("eth0", frames)
        with Reader(interface) as reader:
            assert_counted(reader.snapshot(), frames)
        (gone,) = detach(interface)
        assert gone.ours and gone.mode is mode.value
        assert occupants(interface) == ()


@pytest.mark.parametrize("mode", [RequestedMode.DRIVER, RequestedMode.SKB])
def test_generated_frames_are_counted_as_described(mode: RequestedMode) -> None:
    frames = [packet.frame for packet in PACKETS if 14 <= len(packet.frame) <= 1514]
    rounds = 20
    with attached(mode) as (left, interface):
        sent = left.generate("eth0", frames, count=rounds * len(frames), vary=False)
        assert (sent.packets, sent.lost) == (rounds * len(frames), 0)
        with Reader(interface) as reader:
            assert_counted(reader.snapshot(), frames * rounds)


@pytest.mark.parametrize(
    ("make", "rules"),
    [(ruleset, 1), (ruleset, 5), (ruleset, 64), (ruleset, 1000), (deep_ruleset, 500)],
)
def test_verdicts_and_matched_rules_are_those_of_the_reference_model(
    make: Callable[[Random, int], Ruleset], rules: int
) -> None:
    """A compiler or verifier may get one wrong and load all the same."""
    random = Random(rules)
    made = make(random, rules)
    agree(made, [frame(random, made) for _ in range(250)], moments(random, 250))


def test_any_number_of_rules_may_expire() -> None:
    expired_ones_are_passed_over(4095)


def test_any_number_of_limits_may_be_met() -> None:
    sixty_four_limits_are_met_in_turn()


@pytest.fixture(params=[replay_driver.FEW, 0], ids=["one by one", "in runs"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways by which a replay's packets get into the program."""
    monkeypatch.setattr(replay_driver, "FEW", request.param)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(("make", "rules"), [(ruleset, 64), (deep_ruleset, 130)])
def test_replayed_packets_are_judged_as_by_the_reference_model(
    make: Callable[[Random, int], Ruleset], rules: int
) -> None:
    random = Random(rules)
    replayed_as_the_model_judges(random, make(random, rules))


@pytest.mark.usefixtures("way")
def test_replayed_packets_have_their_lengths() -> None:
    lengths_are_as_given()


def assert_counted(snapshot: Snapshot, frames: list[bytes]) -> None:
    expected: dict[str, tuple[int, int]] = {}
    for each in frames:
        protocol = parse(each).protocol
        name = protocol_name(int(protocol)) if protocol.isdigit() else protocol
        packets, length = expected.get(name, (0, 0))
        expected[name] = (packets + 1, length + len(each))
    counted = zip(snapshot.names.protocols, snapshot.total.protocols, strict=True)
    assert {name: tuple(tally) for name, tally in counted if tally.packets} == expected
    assert snapshot.total.total.packets == len(frames)
