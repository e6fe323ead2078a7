"""Samples of the real program, attached to nothing: which packets, what of them, and for whom."""

from __future__ import annotations

import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from math import sqrt
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import edges
from tests.bpf.banning import frame as frame_from
from tests.bpf.sampled import Sampled, frames_of, one_cpu, sampled
from tests.packets import ARP, IPV4, PACKETS, TCP, UDP, eth, ipv4
from xdpctl.datapath import sample_slots
from xdpctl.datapath.ban_entries import Prefix
from xdpctl.datapath.bans import BanTable, Terms
from xdpctl.datapath.interfaces import Interface
from xdpctl.datapath.program import RunningProgram
from xdpctl.datapath.sampling import BYTES_MAX, Sample, Wanted
from xdpctl.errors import KernelRefused
from xdpctl.observe.packet_filter import PacketFilter
from xdpctl.pylibbpf import xdp_context
from xdpctl.rules.frame import parse
from xdpctl.rules.model import Action, Ruleset
from xdpctl.rules.reference import holds, judge

XDP = {"aborted": 0, "drop": 1, "pass": 2}
OTHER = 0x88B5  # of local experiments (IEEE 802): no protocol of ours
Make = Callable[[Random, int], Ruleset]
IN_A_MILLION = 4.9  # standard errors, of a normal distribution, to either side
EACH_REASON = """
default: drop
malformed: drop
rules:
  - {name: web, action: pass, proto: tcp, dport: 80}
  - {name: no-dns, action: drop, proto: udp, dport: 53}
  - {name: few-pings, action: limit, proto: icmp, rate: 1/h, burst: 1}
  - {name: pings, action: pass, proto: icmp}
"""
WEB, DNS, PING = eth(IPV4, ipv4(6, TCP)), eth(IPV4, ipv4(17, UDP)), eth(IPV4, ipv4(1, bytes(8)))
ARP_FRAME, CUT = eth(ARP, bytes(28)), eth(IPV4, ipv4(6)[:-1])


@pytest.fixture(autouse=True, scope="module")
def long_leases() -> Iterator[None]:
    """However long a test takes on a busy machine; tests/lab knows how long they are."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample_slots, "_LEASE_NS", 3600 * 10**9)
        yield


def numbered(count: int) -> list[bytes]:
    return [eth(OTHER, struct.pack("!I", number)) for number in range(count)]


def numbers_of(samples: list[Sample]) -> list[int]:
    return [int(struct.unpack_from("!I", each.data, 14)[0]) for each in samples]


def outcome(sample: Sample) -> tuple[str, str | None, str | None]:
    return sample.verdict, sample.reason, sample.rule


def test_each_packet_comes_once_in_order_with_what_it_is() -> None:
    with sampled() as program, program.reader() as reader:
        before_ns = time.time_ns()
        verdicts = program.send(*(packet.frame for packet in PACKETS))
        after_ns = time.time_ns()
        samples = reader.read()
        assert frames_of(samples) == [packet.frame for packet in PACKETS]
        assert [(each.protocol, each.malformed) for each in samples] == [
            (packet.protocol, packet.reason) for packet in PACKETS
        ]
        assert [XDP[each.verdict] for each in samples] == verdicts == [XDP["pass"]] * len(PACKETS)
        assert {outcome(each) for each in samples} == {("pass", None, None)}
        assert [each.length for each in samples] == [len(packet.frame) for packet in PACKETS]
        times = [each.time_ns for each in samples]
        assert times == sorted(times)
        # Two clocks that are read one after the other may be off by a millisecond.
        assert before_ns - 10**6 <= times[0] <= times[-1] <= after_ns + 10**6
        assert reader.read() == []
        assert reader.lost == 0


def test_verdict_reason_and_rule_are_those_that_decided() -> None:
    with sampled(EACH_REASON) as program, program.reader() as reader:
        prefix = Prefix(4, 198 << 24 | 51 << 16 | 100 << 8 | 1, 32)
        BanTable(program.running).add(Interface("eth0", 1), {prefix: Terms()})
        program.send(WEB, DNS, PING, PING, ARP_FRAME, CUT, frame_from("198.51.100.1"))
        assert [outcome(each) for each in reader.read()] == [
            ("pass", None, "web"),
            ("drop", "rule", "no-dns"),
            ("pass", None, "pings"),
            ("drop", "limit", "few-pings"),
            ("drop", "default", None),
            ("drop", "malformed", None),
            ("drop", "ban", None),
        ]


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32), make=st.sampled_from([edges.ruleset, edges.deep_ruleset]))
def test_samples_say_what_the_reference_model_says(seed: int, make: Make) -> None:
    random = Random(seed)
    rules = make(random, 8)
    rules = replace(rules, rules=tuple(each for each in rules.rules if each.limit is None))
    frames = [edges.frame(random, rules) for _ in range(40)]
    with sampled(rules) as program, program.reader() as reader:
        program.send(*frames)
        for sample, frame in zip(reader.read(), frames, strict=True):
            verdict = judge(rules, frame, time.time())
            reason = verdict.reason if verdict.action is Action.DROP else None
            expected = (verdict.action.value, reason, verdict.rule)
            assert (sample.data, outcome(sample)) == (frame, expected)


@pytest.mark.parametrize("linear", [None, 14, 100])
def test_first_bytes_are_the_packets_whatever_their_number(linear: int | None) -> None:
    """Readers of each number of bytes, and frames whose rest is in fragments of the buffer."""
    random = Random(1)
    limits = (1, 64, 127, 128, 129, 2048, 2049, BYTES_MAX)
    lengths = [*range(14, 201), 1500, 2047, 2048, 2049, 9000]
    lengths += [16383, 16384, 16385, 65534, 65535, 65536, 73000]
    with sampled() as program, ExitStack() as stack:
        readers = [stack.enter_context(program.reader(Wanted(bytes=each))) for each in limits]
        for length in lengths if linear is None else [*lengths[::7], *lengths[-12:-1]]:
            frame = eth(OTHER, random.randbytes(length - 14))
            part = None if linear is None or length <= linear else xdp_context(0, linear)
            program.send(frame, context=part)
            for limit, reader in zip(limits, readers, strict=True):
                (sample,) = reader.read()
                assert (sample.length, sample.data) == (length, frame[:limit]), (length, limit)
        assert [reader.lost for reader in readers] == [0] * len(readers)


def test_one_in_n_is_taken_at_random_gaps() -> None:
    """Gaps are even from 1 to 2 n - 1: of mean n, and of variance n (n - 1) / 3."""
    n, count = 10, 20_000
    with one_cpu(), sampled() as program, program.reader(Wanted(one_in=n)) as reader:
        program.send(*numbered(count))
        taken = numbers_of(reader.read())
    gaps = [later - earlier for earlier, later in zip(taken, taken[1:], strict=False)]
    variance = n * (n - 1) / 3
    mean = sum(gaps) / len(gaps)
    assert abs(mean - n) < IN_A_MILLION * sqrt(variance / len(gaps))
    spread = sum((gap - n) ** 2 for gap in gaps) / len(gaps)
    # The fourth moment of an even distribution is 1.8 times the square of its variance.
    assert abs(spread - variance) < IN_A_MILLION * variance * sqrt(0.8 / len(gaps))
    assert set(gaps) == set(range(1, 2 * n))
    # Traffic with a beat of n packets: each place in the beat has its share of the samples.
    places = Counter(number % n for number in taken)
    expected = len(taken) / n
    for place in range(n):
        assert abs(places[place] - expected) < 6 * sqrt(expected)


@pytest.mark.parametrize("n", [2, 100, 1000])
def test_as_many_are_taken_as_were_asked_for(n: int) -> None:
    count = 200_000
    with sampled() as program, program.reader(Wanted(one_in=n, bytes=64)) as reader:
        taken = 0
        for _ in range(100):
            program.program.test_run(DNS, repeat=count // 100)
            taken += len(reader.read())
        assert reader.lost == 0
    # Of a renewal process: the variance of a gap, over the cube of its mean, times the count.
    error = sqrt(count * (n - 1) / (3 * n**2)) + 2
    assert abs(taken - count / n) < IN_A_MILLION * error


def test_readers_of_different_rates_do_not_disturb_each_other() -> None:
    with sampled() as program, ExitStack() as stack:
        rates = (3, 7, 50, 400)
        readers = [stack.enter_context(program.reader(Wanted(one_in=n))) for n in rates]
        filtered = stack.enter_context(program.reader(Wanted(one_in=5, verdicts=("pass",))))
        none = stack.enter_context(program.reader(Wanted(verdicts=("drop",))))
        count, taken = 40_000, Counter[int]()
        for _ in range(20):
            program.program.test_run(DNS, repeat=count // 20)
            for n, reader in zip((*rates, 5), (*readers, filtered), strict=True):
                taken[n] += len(reader.read())
        for n in (*rates, 5):
            error = sqrt(count * (n - 1) / (3 * n**2)) + 2
            assert abs(taken[n] - count / n) < IN_A_MILLION * error, n
        assert none.read() == []


def test_another_rate_holds_from_the_next_packet_on() -> None:
    with one_cpu(), sampled() as program, program.reader(Wanted(one_in=1_000_000)) as reader:
        program.send(*numbered(5))
        reader.read()
        assert reader.program is not None
        reader.wanted = Wanted()
        reader.follow(reader.program, anew=True)
        program.send(*numbered(5))
        assert numbers_of(reader.read()) == [0, 1, 2, 3, 4]


def test_filters_by_verdict_reason_and_rule() -> None:
    everything = [WEB, DNS, PING, PING, ARP_FRAME, CUT]
    expected = {
        Wanted(verdicts=("pass",)): [WEB, PING],
        Wanted(verdicts=("drop",)): [DNS, PING, ARP_FRAME, CUT],
        Wanted(verdicts=("pass", "drop")): everything,
        Wanted(verdicts=("aborted",)): [],
        Wanted(reasons=("default",)): [ARP_FRAME],
        Wanted(reasons=("malformed", "limit")): [PING, CUT],
        Wanted(rule="few-pings"): [PING],
        Wanted(rule="web", verdicts=("drop",)): [],
    }
    with sampled(EACH_REASON) as program, ExitStack() as stack:
        readers = {each: stack.enter_context(program.reader(each)) for each in expected}
        assert len(readers) == 8
        program.send(*everything)
        got = {wanted: frames_of(reader.read()) for wanted, reader in readers.items()}
        assert got == expected
        with pytest.raises(KernelRefused, match="8 readers") as refused:
            stack.enter_context(program.reader())
        assert refused.value.hint
        readers[Wanted(rule="web", verdicts=("drop",))].close()
        with program.reader() as ninth:
            program.send(WEB)
            assert frames_of(ninth.read()) == [WEB]


def test_rule_that_is_not_there_is_refused_and_takes_no_place() -> None:
    with sampled(EACH_REASON) as program:
        with (
            pytest.raises(KernelRefused, match="nobody: no such rule"),
            program.reader(Wanted(rule="nobody")),
        ):
            pass
        assert program.active == 0


@pytest.fixture(scope="module")
def bare() -> Iterator[Sampled]:
    with sampled() as program:
        yield program


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_nothing_that_conditions_accept_is_held_back(bare: Sampled, seed: int) -> None:
    """The data plane's filter is coarse; it must never be too narrow."""
    random = Random(seed)
    rules = edges.ruleset(random, 1)
    conditions = rules.rules[0].conditions
    sets = {each.name: each for each in rules.sets}
    packet_filter = PacketFilter(conditions, sets)
    frames = [edges.frame(random, rules) for _ in range(20)]
    with bare.reader(Wanted(filter=packet_filter.for_the_data_plane())) as reader:
        bare.send(*frames)
        samples = reader.read()
    wanted = [
        frame
        for frame in frames
        if all(holds(name, each, parse(frame), sets) for name, each in conditions.items())
    ]
    assert [each.data for each in samples if packet_filter.wants(each)] == wanted


def test_filter_of_the_data_plane_holds_back_what_it_can(bare: Sampled) -> None:
    conditions = {
        name: edges.FIELDS[name].condition([text])
        for name, text in {"proto": "udp", "dport": "50-60", "src": "192.0.2.0/30"}.items()
    }
    others = [WEB, PING, ARP_FRAME, CUT, frame_from("192.0.2.4"), frame_from("2001:db8::1")]
    with bare.reader(Wanted(filter=PacketFilter(conditions).for_the_data_plane())) as reader:
        bare.send(*others, DNS, frame_from("192.0.2.3"))
        assert frames_of(reader.read()) == [DNS, frame_from("192.0.2.3")]


@pytest.mark.parametrize(("field", "place"), [("sport", 0), ("dport", 1)])
def test_port_ranges_are_held_to_at_both_ends_by_the_data_plane(
    bare: Sampled, field: str, place: int
) -> None:
    def frame(port: int) -> bytes:
        ports = [1000, 1000]
        ports[place] = port
        return eth(IPV4, ipv4(17, struct.pack("!HHHH", *ports, 8, 0)))

    conditions = {field: edges.FIELDS[field].condition(["500-600"])}
    with bare.reader(Wanted(filter=PacketFilter(conditions).for_the_data_plane())) as reader:
        bare.send(*map(frame, (499, 500, 600, 601)))
        assert frames_of(reader.read()) == [frame(500), frame(600)]


def test_full_ring_loses_and_counts_each_packet() -> None:
    """A record is a header of eight bytes (Linux, ringbuf.rst) and what is in it."""
    with one_cpu(), sampled() as program, program.reader(ring_bytes=4096) as reader:
        frames = numbered(100)
        program.send(*frames)
        found = numbers_of(reader.read())
        assert found == [*range(len(found))]
        assert 0 < len(found) < 4096 // (128 + 8)
        assert reader.lost == 100 - len(found)
        program.send(*frames[: len(found)])
        assert len(reader.read()) == len(found)
        assert reader.lost == 100 - len(found)
        program.send(eth(OTHER, bytes(5000)))  # never has room
        assert reader.lost == 101 - len(found)
    assert reader.lost == 101 - len(found)


def test_reading_ends_however_fast_packets_come() -> None:
    """Even if as many come while they are read."""
    with sampled() as program, program.reader(ring_bytes=1 << 16) as reader:
        keep = reader._found.append
        program.program.test_run(DNS, repeat=200)

        class Refilling(list[bytes]):
            def append(self, raw: bytes) -> None:
                keep(raw)
                super().append(raw)
                program.program.test_run(DNS, repeat=1)

        reader._found = Refilling()
        assert 200 <= len(reader.read()) <= (1 << 16) // 128


def test_nobody_reads_at_first_and_nobody_after_the_last_one_left() -> None:
    with sampled() as program:
        assert program.active == 0
        with program.reader() as one:
            with program.reader() as two:
                assert program.active == 0b11
                program.send(WEB)
                assert frames_of(one.read()) == frames_of(two.read()) == [WEB]
            assert program.active == 0b01
            program.send(DNS)
            assert frames_of(one.read()) == [DNS]
        assert program.active == 0
        readers = program.running.map("sample_readers").lookup_batch()
        assert {each.lease_ns for _, each in readers} == {0}


def test_reader_that_was_killed_is_ended_by_the_data_plane_and_others_go_on() -> None:
    with one_cpu(), sampled() as program, program.reader() as other, program.reader() as killed:
        program.expire(1)
        assert program.active == 0b11
        program.send(WEB)
        assert program.active == 0b01
        assert killed.read() == []
        program.send(DNS)
        assert frames_of(other.read()) == [WEB, DNS]


def test_lease_is_looked_at_after_1024_packets_at_the_latest() -> None:
    with one_cpu(), sampled() as program, program.reader(Wanted(one_in=1_000_000)) as reader:
        program.send(WEB)
        program.expire(0)
        program.program.test_run(WEB, repeat=1025)
        assert program.active == 0
        program.program.test_run(WEB, repeat=3000)
        assert (reader.read(), reader.lost) == ([], 0)


def test_reader_that_was_away_for_longer_than_its_lease_comes_back() -> None:
    """It was stopped, or the machine slept; meanwhile nobody, or somebody, took its place."""
    with sampled() as program, program.reader() as reader:
        assert reader.program is not None
        program.expire(0)
        program.send(WEB)
        assert program.active == 0
        reader.follow(reader.program)
        program.send(DNS)
        assert frames_of(reader.read()) == [DNS]
        program.expire(0)
        with program.reader() as newcomer:
            reader.follow(reader.program)
            assert program.active == 0b11
            program.send(WEB, DNS)
            newcomer.follow(newcomer.program)  # type: ignore[arg-type]
            assert frames_of(reader.read()) == frames_of(newcomer.read()) == [WEB, DNS]
        program.send(PING)
        assert frames_of(reader.read()) == [PING]


def test_what_was_lost_before_it_was_away_for_too_long_is_counted() -> None:
    with sampled() as program, program.reader(ring_bytes=4096) as reader:
        assert reader.program is not None
        program.send(*[WEB] * 50)
        program.expire(0)
        program.send(WEB)  # it is let go
        reader.follow(reader.program)
        kept = len(reader.read())
        assert (0 < kept < 50, reader.lost) == (True, 50 - kept)


def test_place_of_a_reader_that_was_killed_is_free_again() -> None:
    with sampled() as program, ExitStack() as stack:
        for _ in range(8):
            stack.enter_context(program.reader())
        program.expire(5)
        with program.reader() as newcomer:
            program.send(WEB)
            assert frames_of(newcomer.read()) == [WEB]


def test_new_rulesets_keep_readers_what_they_lost_and_name_the_right_rules() -> None:
    first = "rules: [{name: one, action: drop, proto: udp}, {name: two, action: drop, proto: tcp}]"
    second = "rules: [{name: three, action: drop, proto: udp}, {name: two, action: pass}]"
    with one_cpu(), sampled(first) as old, old.reader(ring_bytes=4096) as reader:
        old.send(*[DNS] * 50)
        kept = len(reader.read())
        assert (0 < kept < 50, reader.lost) == (True, 50 - kept)
        with sampled(second, successor_of=old.running) as new:
            reader.catch_up = lambda: reader.follow(RunningProgram(new.running.program_id))
            old.send(DNS, WEB)
            new.send(DNS, WEB)
            old.send(DNS)
            assert [outcome(each) for each in reader.read()] == [
                ("drop", "rule", "one"),
                ("drop", "rule", "two"),
                ("drop", "rule", "three"),
                ("pass", None, "two"),
                ("drop", "rule", "one"),
            ]
            assert new.active == 1
            assert reader.lost == 50 - kept
        with sampled(first) as another:  # detached, and attached again
            reader.follow(RunningProgram(another.running.program_id))
            another.send(*[DNS] * 50)
            assert (len(reader.read()), reader.lost) == (kept, 2 * (50 - kept))


def test_rules_of_a_ruleset_that_nobody_asked_about_in_time_have_no_name() -> None:
    text = "rules: [{name: one, action: drop, proto: udp}]"
    with (
        sampled(text) as first,
        first.reader() as reader,
        sampled(text.replace("one", "two"), successor_of=first.running) as second,
        sampled(text.replace("one", "three"), successor_of=second.running) as third,
    ):
        reader.catch_up = lambda: reader.follow(RunningProgram(third.running.program_id))
        second.send(DNS)
        third.send(DNS)
        assert [each.rule for each in reader.read()] == ["?", "three"]
