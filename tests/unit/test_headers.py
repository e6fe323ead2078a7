"""netns_lab's walk over headers, judged by the tests' oracle and by scapy."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Dot1Q, Ether

from netns_lab import traffic
from netns_lab.edits import edits_of
from netns_lab.headers import headers_of
from netns_lab.profiles import PROFILES, frames_of
from tests.oracle import parse
from tests.packets import PACKETS
from xdpctl.cli import lab_send


@pytest.mark.parametrize("packet", PACKETS, ids=lambda packet: packet.name)
def test_every_described_packet_is_named_as_described(packet: object) -> None:
    assert lab_send.protocol_of(packet.frame) == packet.protocol  # type: ignore[attr-defined]


@given(
    start=st.sampled_from([*traffic.mix().values()]),
    edits=st.lists(st.tuples(st.integers(0, 90), st.integers(0, 255)), max_size=4),
    length=st.integers(0, 200),
)
def test_a_damaged_frame_is_named_as_the_oracle_does(
    start: bytes, edits: list[tuple[int, int]], length: int
) -> None:
    frame = bytearray(start)
    for offset, value in edits:
        if offset < len(frame):
            frame[offset] = value
    damaged = bytes(frame[:length])
    assert str(headers_of(damaged).protocol) == parse(damaged).protocol
    assert_edits_lie_inside(damaged)


def assert_edits_lie_inside(frame: bytes) -> None:
    for edit in edits_of(frame):
        assert max(edit.offset, edit.header_checksum, edit.upper_checksum) + 2 <= len(frame)


@pytest.mark.parametrize("name", PROFILES)
def test_a_frame_cut_anywhere_is_edited_inside_of_what_is_left(name: str) -> None:
    for frame in frames_of(name, traffic.ENDS, 1500):
        for length in range(min(len(frame), 200)):
            assert_edits_lie_inside(frame[:length])


def test_flows_vary_by_address_and_port_behind_a_tag() -> None:
    frame = bytes(Ether() / Dot1Q(vlan=5) / IP(src="198.18.0.0") / UDP(sport=40000, dport=9))
    address, port = edits_of(frame)
    assert (address.offset, address.mask) == (14 + 4 + 14, 0xFFFF)
    assert (address.header_checksum, address.upper_checksum) == (14 + 4 + 10, 14 + 4 + 20 + 6)
    assert (port.offset, port.header_checksum, port.upper_checksum) == (38, 0, 44)


def test_profiles_are_those_of_the_command() -> None:
    assert tuple(PROFILES) == lab_send.PROFILES


def test_sizes_go_from_the_shortest_to_the_longest() -> None:
    lengths = [len(frame) for frame in frames_of("sizes", traffic.ENDS, 1500)]
    assert (lengths[0], lengths[-1]) == (60, 1514)
    assert len(set(lengths)) == len(lengths)
