"""Replays: each packet is judged once, in its order, as the reference model judges it."""

from __future__ import annotations

import signal
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from random import Random
from types import FrameType

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

from tests.bpf.cells import cells_by
from tests.edges import NOW, deep_ruleset, frame, moments, ruleset
from tests.oracle import parse as expected_of
from tests.packets import IPV4, PACKETS, eth, ipv4
from xdpctl.datapath.bans import Prefix
from xdpctl.datapath.limits import known_keys
from xdpctl.datapath.loading import loaded_program
from xdpctl.protocols import protocol_name
from xdpctl.pylibbpf import Map
from xdpctl.replay import Replay, Verdict, driver
from xdpctl.replay.packets import Frames
from xdpctl.rules.frame import parse
from xdpctl.rules.limitplan import limits_of
from xdpctl.rules.mistakes import BadRuleset
from xdpctl.rules.model import Action, Rule, Ruleset
from xdpctl.rules.reading import read_text
from xdpctl.rules.reference import Banned, Buckets, judge

SECOND = 10**9
TINY = eth(IPV4, ipv4(17, bytes(8)))

pytestmark = pytest.mark.usefixtures("nothing_leaks")


@pytest.fixture(params=["one by one", "in runs"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways by which packets get into the program."""
    if request.param == "in runs":
        monkeypatch.setattr(driver, "FEW", 0)


def rules_of(text: str) -> Ruleset:
    return read_text(text, "test", NOW).ruleset


def limit_of(burst: int) -> Ruleset:
    """What comes at once gets no more than this through."""
    return rules_of(f"rules: [{{name: few, action: limit, rate: 1000/s, burst: {burst}}}]")


def protocol_of(frame_: bytes) -> str:
    protocol = expected_of(frame_).protocol
    return protocol_name(int(protocol)) if protocol.isdigit() else protocol


@pytest.mark.usefixtures("way")
def test_packets_are_what_they_are_described_as() -> None:
    verdicts = list(Replay().run(packet.frame for packet in PACKETS))
    assert [each.number for each in verdicts] == list(range(1, len(PACKETS) + 1))
    for packet, verdict in zip(PACKETS, verdicts, strict=True):
        if len(packet.frame) < 14:
            assert (verdict.verdict, verdict.reason) == (None, "under 14 bytes"), packet.name
            continue
        assert verdict[2:] == (
            "pass", "default", None, packet.protocol, packet.reason, len(packet.frame)
        ), packet.name  # fmt: skip


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize(
    ("make", "count"),
    [(ruleset, 1), (ruleset, 5), (ruleset, 64), (deep_ruleset, 65), (deep_ruleset, 500)],
)
def test_verdicts_rules_and_reasons_are_those_of_the_reference_model(
    make: Callable[[Random, int], Ruleset], count: int, request: pytest.FixtureRequest
) -> None:
    """Of limits, bans and rules that expire as well, all by the times of the packets."""
    random = Random(f"{count} {request.config.getoption('--hypothesis-seed')}")
    replayed_as_the_model_judges(random, make(random, count))


def replayed_as_the_model_judges(random: Random, rules: Ruleset) -> None:
    """Generated frames, some of them from banned sources."""
    frames = [frame(random, rules) for _ in range(250)]
    moments_ns = [NOW * SECOND + each for each in moments(random, len(frames))]
    banned = bans_among(random, frames)
    limits = limits_of(rules.rules)
    buckets = Buckets(cells_by({name: known_keys(name) for name in limits}, limits))
    given = [(Fraction(t, SECOND), f) for t, f in zip(moments_ns, frames, strict=True)]
    counted: Counter[str] = Counter()
    replay = Replay(rules, bans=prefixes(banned))
    for (moment, each), time_ns, verdict in zip(given, moments_ns, replay.run(given), strict=True):
        expected = judge(rules, each, moment, buckets, banned)
        got = (verdict.verdict, verdict.reason, verdict.rule, verdict.protocol, verdict.length)
        wanted = (expected.action, expected.reason, expected.rule, protocol_of(each), len(each))
        assert got == wanted, each.hex()
        assert verdict.time_ns == time_ns
        counted[verdict.verdict or ""] += 1
    summary = replay.summary
    tallies = zip(summary.names.verdicts, summary.counters.verdicts, strict=True)
    assert {name: each.packets for name, each in tallies if each.packets} == counted
    assert (summary.first_ns, summary.last_ns) == (moments_ns[0], moments_ns[-1])
    assert summary.not_replayed == {}


def bans_among(random: Random, frames: Sequence[bytes]) -> list[Banned]:
    sources = [packet.src for packet in map(parse, frames) if packet.src is not None]
    bans = {}
    for source in random.sample(sources, 4):
        bits = 32 if source.version == 4 else 128
        size = 1 << random.randint(0, bits // 2)
        first = source.number // size * size
        expires = random.choice([None, NOW - 60, NOW, NOW + 1])
        bans[source.version, first, size] = Banned(source.version, first, first + size - 1, expires)
    return [*bans.values()]


def prefixes(bans: Sequence[Banned]) -> dict[Prefix, int | None]:
    return {
        Prefix(
            each.version,
            each.first,
            (32 if each.version == 4 else 128) + 1 - (each.last - each.first + 1).bit_length(),
        ): None if each.expires is None else int(each.expires) * SECOND
        for each in bans
    }


@pytest.mark.usefixtures("way")
def test_lengths_from_one_byte_to_the_most_that_the_kernel_takes() -> None:
    """In a mixed order, so that no packet sees what another one has left."""
    lengths_are_as_given()


def lengths_are_as_given() -> None:
    lengths = [*range(1, 81), 1500, *range(3050, 3100), *range(3400, 3600), 9000, 65535]
    lengths += [73152, 73153, 80000]
    Random(7).shuffle(lengths)
    payload = bytes(range(256)) * 320
    frames = [(PACKETS[i % 40].frame + payload)[:length] for i, length in enumerate(lengths)]
    replay = Replay()
    for each, verdict in zip(frames, replay.run(frames), strict=True):
        assert verdict.length == len(each)
        if 14 <= len(each) <= 73152:
            assert (verdict.protocol, verdict.malformed) == (
                protocol_of(each),
                expected_of(each).reason,
            )
        else:
            assert (verdict.verdict, verdict.protocol) == (None, None)
    assert replay.summary.not_replayed == {"under 14 bytes": 13, "over 73152 bytes": 2}
    total = replay.summary.counters.total
    assert total == (len(lengths) - 15, sum(each for each in lengths if 14 <= each <= 73152))


@pytest.mark.parametrize("long_ones", [(), (4990, 5000, 5010), (0, 9999), tuple(range(2, 9990, 7))])
def test_order_is_kept_around_packets_that_are_too_long_for_a_page(long_ones: tuple[int]) -> None:
    frames = [TINY] * 10_000
    for number in long_ones:
        frames[number] = TINY.ljust(4000, b"\0")
    verdicts = [each.verdict for each in Replay(limit_of(5000)).run((NOW, f) for f in frames)]
    assert verdicts == ["pass"] * 5000 + ["drop"] * 5000


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("sizes", [[200_000], [9000] * 20, [1] * 40 + [5000] * 4, [0, 3, 0, 0, 5]])
def test_packets_of_batches_of_any_size_are_judged_once_each_and_in_order(sizes: list[int]) -> None:
    total = sum(sizes)
    passing = total * 2 // 3
    batches = [repeated(TINY, size) for size in sizes]
    with Replay(limit_of(passing)) as replay:
        verdicts: list[int] = []
        for batch, outcome in zip(batches, replay.judge(batches, records=True), strict=True):
            assert outcome.packets is batch
            assert len(outcome.judged) == len(batch.lengths)
            verdicts += [each.verdict for each in outcome.judged if each]
        assert verdicts == [2] * passing + [1] * (total - passing)
        assert replay.summary.counters.total == (total, total * len(TINY))


def repeated(frame_: bytes, count: int) -> Frames:
    size = len(frame_)
    return Frames(
        frame_ * count,
        array("I", range(0, size * count, size)),
        array("I", [size] * count),
        array("q", [NOW * SECOND] * count),
    )


def test_batch_larger_than_what_is_shared_with_the_kernel() -> None:
    frames = [TINY.ljust(length, b"\0") for length in (60, 70_000, 3000, 1500, 90_000) * 30]
    offsets = [sum(map(len, frames[:i])) for i in range(len(frames))]
    batch = Frames(b"".join(frames), offsets, [*map(len, frames)], [NOW * SECOND] * len(frames))
    with Replay() as replay:
        (outcome,) = replay.judge([batch], records=True)
        assert [each and each.length for each in outcome.judged] == [
            len(each) if len(each) < 90_000 else None for each in frames
        ]


def test_nothing_is_recorded_unless_asked_for() -> None:
    with Replay() as replay:
        assert [each.judged for each in replay.judge([repeated(TINY, 5000)], records=False)] == [[]]
        assert replay.summary.counters.total.packets == 5000


def test_signals_neither_lose_packets_nor_judge_them_twice() -> None:
    came = []

    def count(number: int, _frame: FrameType | None) -> None:
        came.append(number)

    def batches() -> Iterator[Frames]:
        yield repeated(TINY, 10_000)
        signal.setitimer(signal.ITIMER_REAL, 0.03, 0.04)  # the program is loaded
        for _ in range(29):
            yield repeated(TINY, 10_000)

    before = signal.signal(signal.SIGALRM, count)
    try:
        with Replay(limit_of(150_000)) as replay:
            verdicts: list[int] = []
            for outcome in replay.judge(batches(), records=True):
                verdicts += [each.verdict for each in outcome.judged if each]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert came
    assert verdicts == [2] * 150_000 + [1] * 150_000


@pytest.mark.usefixtures("way")
def test_two_replays_are_equal() -> None:
    """Though sources share the cells of a limit by a hash."""
    random = Random(3)
    frames = [
        (NOW + Fraction(i, 1000), TINY[:26] + random.randbytes(4) + TINY[30:]) for i in range(2000)
    ]
    rules = rules_of(
        "rules: [{name: few, action: limit, rate: 1/s, burst: 1, per: src, cells: 512}]"
    )
    first, second = (list(Replay(rules).run(frames)) for _ in range(2))
    assert first == second
    assert {each.verdict for each in first} == {"pass", "drop"}


def test_limits_are_remembered_inside_of_with_and_not_without() -> None:
    packets = [(NOW, TINY)] * 3
    rules = limit_of(4)
    apart = Replay(rules)
    assert [each.verdict for _ in range(2) for each in apart.run(packets)] == ["pass"] * 6
    with Replay(rules) as replay:
        verdicts = [each.verdict for _ in range(2) for each in replay.run(packets)]
        assert replay.summary.counters.total.packets == 6
    assert verdicts == ["pass"] * 4 + ["drop"] * 2
    assert replay.summary.counters.total.packets == 6


@pytest.mark.usefixtures("way")
def test_times_that_go_back_are_judged_as_they_come() -> None:
    random = Random(5)
    packets = [(NOW + Fraction(random.randrange(3000), 1000), TINY) for _ in range(300)]
    rules = rules_of("rules: [{name: few, action: limit, rate: 50/s, burst: 3}]")
    buckets = Buckets()
    expected = [judge(rules, TINY, moment, buckets).action for moment, _ in packets]
    assert [each.verdict for each in Replay(rules).run(packets)] == expected
    assert len(set(expected)) == 2


@pytest.mark.usefixtures("way")
def test_times_beyond_what_the_clock_can_tell_do_no_harm() -> None:
    rules = rules_of(
        "rules: [{name: few, action: limit, rate: 1/s, burst: 1},"
        " {name: old, action: drop, expires: '1971-01-01T00:00:00Z'},"
        " {name: late, action: drop, expires: '9999-12-31T00:00:00Z'}]"
    )
    for first in (-(2**63), 0, 2**63 - 1):
        times = [first, -(2**63), 2**63 - 1, 0, NOW * SECOND]
        batch = Frames(TINY * 5, [len(TINY) * i for i in range(5)], [len(TINY)] * 5, times)
        with Replay(rules) as replay:
            (outcome,) = replay.judge([batch], records=True)
        assert [each and each.length for each in outcome.judged] == [len(TINY)] * 5


def test_rules_of_a_file_expire_by_the_times_of_packets(tmp_path: Path) -> None:
    """A duration counts from the first of them."""
    file = tmp_path / "rules.yaml"
    file.write_text(
        "rules:\n"
        "- {name: short, action: drop, proto: udp, expires: 10s}\n"
        "- {name: until, action: drop, proto: udp, expires: '2020-01-01T00:01:00Z'}\n"
    )
    start = 1_577_836_800  # 2020-01-01T00:00:00Z
    moments_s = [0, Fraction(9_999, 1000), 10, 59, 60]
    replay = Replay(file)
    verdicts = replay.run((start + each, TINY) for each in moments_s)
    assert [each.rule for each in verdicts] == ["short", "short", "until", "until", None]
    ruleset_ = replay.summary.ruleset
    assert ruleset_ is not None
    assert [each.counted.packets for each in ruleset_.rules] == [2, 2]


def test_mistakes_of_a_file_are_told_before_any_packet_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text("rules: [{action: explode}]\n")
    with pytest.raises(BadRuleset):
        Replay(str(file))


def test_packets_of_scapy_are_taken_with_their_times() -> None:
    packets = [Ether() / IP(src="192.0.2.1") / UDP(dport=port) for port in (53, 80)]
    packets.append(Ether() / IP(src="192.0.2.1") / TCP(dport=53))
    for second, packet in enumerate(packets):
        packet.time = NOW + second
    rules = rules_of("rules: [{name: dns, action: drop, proto: udp, dport: 53}]")
    verdicts = list(Replay(rules).run(packets))
    assert verdicts[0] == Verdict(
        1, NOW * SECOND, "drop", "rule", "dns", "udp", None, len(bytes(packets[0]))
    )
    assert [(each.verdict, each.protocol) for each in verdicts[1:]] == [
        ("pass", "udp"),
        ("pass", "tcp"),
    ]
    assert [each.time_ns for each in verdicts] == [(NOW + i) * SECOND for i in range(3)]


def test_bytes_without_a_time_come_now() -> None:
    before = time.time_ns()
    ended = Ruleset("test", rules=(Rule("ended", Action.DROP, expires=before // SECOND - 60),))
    (verdict,) = Replay(ended).run([bytearray(TINY)])
    assert verdict.verdict == "pass"
    assert before <= verdict.time_ns <= time.time_ns()


def test_nothing_is_left_of_a_replay_that_is_given_up() -> None:
    verdicts = Replay().run(iter([TINY] * 10_000))
    next(verdicts)
    verdicts.close()

    def broken() -> Iterator[bytes]:
        yield from [TINY] * 5000
        raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        list(Replay().run(broken()))


def test_summary_of_no_packets() -> None:
    replay = Replay(limit_of(1))
    with pytest.raises(ValueError, match="nothing was replayed"):
        _ = replay.summary
    assert list(replay.run([])) == []
    summary = replay.summary
    assert summary.counters.total == (0, 0)
    assert (summary.first_ns, summary.last_ns, summary.ns_per_packet) == (None, None, None)
    assert summary.ruleset is not None


def test_packets_that_the_driver_cannot_make_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if a page had room for more than there is."""
    monkeypatch.setattr(driver, "FEW", 0)
    monkeypatch.setattr(driver, "_LINEAR_MAX", 3073)
    frames = [TINY, TINY.ljust(3073, b"\0"), TINY]
    replay = Replay()
    assert [(each.verdict, each.reason) for each in replay.run(frames)] == [
        ("pass", "default"),
        (None, "refused by the kernel"),
        ("pass", "default"),
    ]
    assert replay.summary.not_replayed == {"refused by the kernel": 1}
    assert replay.summary.counters.total.packets == 2


def test_program_for_an_interface_has_no_trace_of_replays() -> None:
    with loaded_program() as program:
        names = set()
        for map_id in program.info.map_ids:
            with Map.from_id(map_id) as found:
                names.add(found.info.name)
    assert {"counters", "meta"} <= names
    assert not names & {"clock", "begun", "judged"}
