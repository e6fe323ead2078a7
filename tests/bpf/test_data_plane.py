"""The data plane on test runs: what is counted as what, once for each packet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.bpf.counting import PASS, Bench, bench
from tests.oracle import parse
from tests.packets import IPV4, PACKETS, Packet, eth, extension, ipv4, ipv6
from xdpctl.datapath import loading
from xdpctl.protocols import protocol_name
from xdpctl.pylibbpf import BpfError, Object, xdp_context

FRAME_MIN, FRAME_MAX = 14, 73_152  # what BPF_PROG_TEST_RUN takes


@pytest.fixture(scope="module")
def counter() -> Iterator[Bench]:
    with bench() as loaded:
        yield loaded


@pytest.fixture(scope="module", params=["typed", "untyped"])
def either(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """As on a kernel that tells its types, and as on one that does not."""
    with pytest.MonkeyPatch.context() as patched:
        if request.param == "untyped":
            patched.setattr(loading, "KERNEL_TYPES", "/nonexistent")
        with bench() as loaded:
            yield loaded


def test_a_jit_without_the_kernels_functions_gets_the_other_object(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def load(obj: Object) -> None:
        if "xdp_buff___ours" in {each.name for each in obj.btf.types}:  # type: ignore[union-attr]
            raise BpfError(524, "bpf_object__load")
        as_ever(obj)

    as_ever = Object.load
    monkeypatch.setattr(Object, "load", load)
    with bench() as loaded:
        assert_counted(loaded, eth(0x0806, bytes(46)), "arp", None)


def named(protocol: str) -> str:
    """The oracle speaks of numbers."""
    return protocol_name(int(protocol)) if protocol.isdigit() else protocol


def assert_counted(
    counter: Bench, frame: bytes, protocol: str, reason: str | None, context: bytes | None = None
) -> None:
    counted = counter.run(frame, context=context)
    once = (1, len(frame))
    assert counted.run.retval == PASS
    assert counted.protocols == {protocol: once}
    assert counted.verdicts == {"pass": once}
    assert counted.malformed == ({reason: 1} if reason else {})
    assert sum(counted.sizes.values()) == 1


@pytest.mark.parametrize("packet", PACKETS, ids=lambda packet: packet.name)
def test_packet_is_counted_once_as_what_it_is(either: Bench, packet: Packet) -> None:
    assert_counted(either, packet.frame, packet.protocol, packet.reason)


@pytest.mark.parametrize("packet", PACKETS, ids=lambda packet: packet.name)
def test_headers_outside_the_linear_part_are_read(either: Bench, packet: Packet) -> None:
    """A driver may put any part of a frame there; a test run takes 14 bytes or more."""
    frame = packet.frame
    for linear in {14, 15, 17, 18, 33, 34, 40, 53, 54, 61, 62, len(frame) // 2, len(frame) - 1}:
        if FRAME_MIN <= linear < len(frame) and linear <= 3520:
            context = xdp_context(0, linear)
            assert_counted(either, frame, packet.protocol, packet.reason, context)


@pytest.mark.parametrize("packet", PACKETS, ids=lambda packet: packet.name)
def test_oracle_agrees_with_the_table(packet: Packet) -> None:
    parsed = parse(packet.frame)
    assert (named(parsed.protocol), parsed.reason) == (packet.protocol, packet.reason)


@pytest.mark.parametrize("number", range(256))
def test_every_protocol_number_has_its_row(counter: Bench, number: int) -> None:
    assert_counted(counter, eth(IPV4, ipv4(number, bytes(8))), protocol_name(number), None)


@pytest.mark.parametrize(
    ("length", "first", "last"),
    [
        (14, 0, 63), (63, 0, 63), (64, 64, 127), (127, 64, 127), (128, 128, 191),
        (959, 896, 959), (960, 960, 1023), (1023, 960, 1023), (1024, 1024, 2047),
        (1514, 1024, 2047), (2047, 1024, 2047), (2048, 2048, 4095), (4096, 4096, 8191),
        (9014, 8192, 16383), (16384, 16384, 32767), (65535, 32768, 65535),
        (65536, 65536, None), (FRAME_MAX, 65536, None),
    ],
)  # fmt: skip
def test_size_goes_to_the_range_that_holds_it(
    counter: Bench, length: int, first: int, last: int | None
) -> None:
    counted = counter.run(eth(0x88B5, bytes(length - 14)))
    assert counted.sizes == {(first, last): 1}
    assert counted.protocols == {"other": (1, length)}


def test_size_ranges_touch_each_other_and_leave_no_gap(counter: Bench) -> None:
    ranges = counter.running.names.sizes
    assert ranges[0].first == 0
    assert [size.first for size in ranges[1:]] == [
        size.last + 1 for size in ranges[:-1] if size.last is not None
    ]
    assert ranges[-1].last is None


def test_repeated_runs_are_each_counted(counter: Bench) -> None:
    counted = counter.run(eth(IPV4, ipv4(6, bytes(20))), repeat=1_000_000)
    assert counted.protocols == {"tcp": (1_000_000, 54_000_000)}
    assert counted.verdicts == {"pass": (1_000_000, 54_000_000)}


def test_frame_below_14_bytes_is_refused_by_the_kernel_and_counted_nowhere(counter: Bench) -> None:
    before = counter.running.read_sum()
    with pytest.raises(BpfError, match="Invalid argument"):
        counter.program.test_run(bytes(13))
    assert counter.running.read_sum() == before


def as_oracle_says(counter: Bench, frame: bytes, linear: int | None = None) -> None:
    parsed = parse(frame)
    context = None if linear is None else xdp_context(0, linear)
    assert_counted(counter, frame, named(parsed.protocol), parsed.reason, context)


@given(frame=st.binary(min_size=FRAME_MIN, max_size=200))
@settings(max_examples=500, deadline=None)
def test_random_bytes_are_counted_as_the_oracle_says(counter: Bench, frame: bytes) -> None:
    as_oracle_says(counter, frame)


@st.composite
def mutated_packets(draw: st.DrawFn) -> bytes:
    """A packet of the table with bytes changed, cut off, or added."""
    frame = bytearray(draw(st.sampled_from(PACKETS)).frame[:400])
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(12, len(frame) - 1))
        frame[at] = draw(st.sampled_from([0, 1, 4, 6, 17, 43, 44, 51, 60, 0x45, 0x81, 0xFF]))
    end = draw(st.integers(FRAME_MIN, len(frame)))
    return bytes(frame[:end]) + draw(st.binary(max_size=8))


@given(frame=mutated_packets(), part=st.floats(0, 1))
@settings(max_examples=800, deadline=None)
@example(frame=PACKETS[0].frame, part=0)
def test_mutated_packets_are_counted_as_the_oracle_says(
    counter: Bench, frame: bytes, part: float
) -> None:
    as_oracle_says(counter, frame)
    as_oracle_says(counter, frame, FRAME_MIN + int(part * (len(frame) - FRAME_MIN)))


@st.composite
def extension_chains(draw: st.DrawFn) -> bytes:
    """IPv6 with any chain of headers, of which the last may be cut anywhere."""
    kinds = draw(st.lists(st.sampled_from([0, 43, 44, 51, 60, 59, 6]), min_size=1, max_size=11))
    chain = b""
    for following in [*kinds[1:], draw(st.integers(0, 255))]:
        length = draw(st.sampled_from([0, 0, 0, 1, 2, 31, 255]))
        offset = draw(st.sampled_from([b"\0\0", b"\0\1", b"\0\7", b"\0\x08", b"\xff\xf8"]))
        chain += (
            bytes([following, length]) + offset + bytes(4 + draw(st.sampled_from([0, 4, 8, 16])))
        )
    frame = eth(0x86DD, ipv6(kinds[0], chain))
    return frame[: draw(st.integers(54, len(frame)))]


@given(frame=extension_chains())
@settings(max_examples=800, deadline=None)
def test_extension_chains_are_counted_as_the_oracle_says(counter: Bench, frame: bytes) -> None:
    as_oracle_says(counter, frame)


def test_every_truncation_of_a_long_chain_is_counted_as_the_oracle_says(counter: Bench) -> None:
    chain = extension(60, extension(43, extension(51, bytes([6, 4]) + bytes(22) + bytes(20))))
    frame = eth(0x8100, b"\0\x0a\x86\xdd" + ipv6(0, chain))
    for end in range(FRAME_MIN, len(frame) + 1):
        as_oracle_says(counter, frame[:end])
