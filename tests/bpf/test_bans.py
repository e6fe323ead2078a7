"""Bans in the real program, attached to nothing, against what `ipaddress` says they cover."""

from __future__ import annotations

import time
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.l2 import ARP, Ether

from tests.bpf.banning import DROP, MACS, PASS, Banning, banning, frame, prefix
from xdpctl.datapath.bans import Terms
from xdpctl.datapath.counters import Tally
from xdpctl.datapath.loading import loaded_program
from xdpctl.datapath.program import BAN_INDEX, RunningProgram
from xdpctl.errors import KernelRefused
from xdpctl.rules.model import Action, Rule, Ruleset

Network = IPv4Network | IPv6Network


def networks(version: int) -> st.SearchStrategy[Network]:
    """Of all lengths, often of the same first bits, so that some are inside of others."""
    bits = 32 if version == 4 else 128
    numbers = st.one_of(
        st.integers(0, 2**bits - 1),
        st.sampled_from([0, 2**bits - 1, 1 << bits - 1]),
        st.integers(0, 255).map(lambda low: (0x20010DB8 << bits - 32) | low),
    )
    return st.tuples(numbers, st.integers(0, bits)).map(
        lambda pair: ip_network((pair[0] >> (bits - pair[1]) << (bits - pair[1]), pair[1]))
    )


@pytest.mark.parametrize("version", [4, 6])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_source_is_dropped_if_any_ban_covers_it(version: int, data: st.DataObject) -> None:
    banned = data.draw(st.lists(networks(version), min_size=1, max_size=20))
    random = Random(data.draw(st.integers(0, 2**32)))
    with banning() as bans:
        bans.ban(*map(str, banned))
        for _ in range(60):
            near = random.choice(banned)
            number = int(near.network_address) + random.choice(
                [0, -1, near.num_addresses - 1, near.num_addresses, random.getrandbits(16)]
            )
            bits = 32 if version == 4 else 128
            source = ip_address((number % 2**bits).to_bytes(bits // 8, "big"))
            covered = any(source in each for each in banned)
            assert bans.verdict(str(source)) == (DROP if covered else PASS), source


def test_bans_decide_before_rules_and_count_as_bans() -> None:
    everything = Ruleset("r", malformed=Action.PASS, rules=(Rule("all", Action.PASS),))
    for ruleset in (None, everything):
        with banning(ruleset) as bans:
            assert bans.verdict("192.0.2.7") == PASS
            bans.ban("192.0.2.0/29")
            assert [bans.verdict(f"192.0.2.{n}") for n in (0, 7, 8)] == [DROP, DROP, PASS]
            assert bans.drop_reasons() == {"ban": 2}
            (ban,) = bans.table
            assert ban.hits == Tally(2, 2 * len(frame("192.0.2.0")))
            total = bans.running.read_sum()
            assert total.total.packets == 4


def test_what_is_no_ip_packet_and_what_is_malformed_meets_no_ban() -> None:
    with banning() as bans:
        bans.ban("0.0.0.0/0", "::/0")
        arp = bytes(Ether(**MACS) / ARP(psrc="192.0.2.1", pdst="192.0.2.2"))
        assert bans.program.test_run(arp).retval == PASS
        assert bans.program.test_run(frame("192.0.2.1")[:30]).retval == PASS
        assert bans.verdict("192.0.2.1") == bans.verdict("2001:db8::1") == DROP


def test_a_ban_ends_at_its_time_and_another_ban_sets_a_new_end() -> None:
    with banning() as bans:
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        entries = bans.running.map("bans")
        bans.ban("192.0.2.1", "192.0.2.2", terms=Terms(3600, "one"))
        assert bans.verdict("192.0.2.1") == DROP
        for key, entry in list(entries.lookup_batch()):
            entries[vars(key)] = {**vars(entry), "expires_ns": now - 1}
        assert bans.verdict("192.0.2.1") == bans.verdict("192.0.2.2") == PASS
        assert list(bans.table) == []
        bans.ban("192.0.2.1", terms=Terms(60, "two"))
        assert [bans.verdict(f"192.0.2.{n}") for n in (1, 2)] == [DROP, PASS]
        (ban,) = bans.table
        assert (str(ban.prefix), ban.tag, ban.hits.packets) == ("192.0.2.1", "two", 2)
        assert ban.remaining_ns is not None
        assert 59 * 10**9 < ban.remaining_ns <= 60 * 10**9


def test_a_full_table_takes_new_bans_when_old_ones_have_expired() -> None:
    with banning(max_bans=3) as bans:
        bans.ban("192.0.2.1", "192.0.2.2", terms=Terms(3600))
        with pytest.raises(KernelRefused, match=r"3 bans is full: 1 of 2 went in"):
            bans.ban("198.51.100.1", "198.51.100.2", terms=Terms(3600))
        entries, index = bans.running.map("bans"), bans.running.map(BAN_INDEX)
        long_ago = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - 10**9
        for key, entry in list(entries.lookup_batch()):
            entries[vars(key)] = {**vars(entry), "expires_ns": long_ago}
        index[0] = {**vars(index[0]), "earliest_ns": long_ago}
        table = bans.table
        table.clear_expired()
        assert list(entries.lookup_batch()) == []
        assert index[0].any == 0
        bans.ban("2001:db8::/64", "203.0.113.1", "203.0.113.2")
        assert bans.verdict("2001:db8::9") == DROP


def test_lengths_no_longer_in_use_are_not_looked_up() -> None:
    with banning() as bans:
        bans.ban("10.0.0.0/8", "192.0.2.1", "::/0", "2001:db8::/64", "2001:db8::1")
        index = bans.running.map(BAN_INDEX)[0]
        assert (index.ipv4, index.ipv6) == (1 << 8 | 1 << 32, (1, 1, 1))
        removed = bans.table.remove(map(prefix, ("10.0.0.0/8", "2001:db8::1", "192.0.2.9")))
        assert [str(each) for each in removed] == ["10.0.0.0/8", "2001:db8::1"]
        index = bans.running.map(BAN_INDEX)[0]
        assert (index.ipv4, index.ipv6) == (1 << 32, (1, 1, 0))
        bans.table.remove(map(prefix, ("192.0.2.1", "::/0", "2001:db8::/64")))
        assert bans.running.map(BAN_INDEX)[0].any == 0


def test_bans_are_handed_on() -> None:
    with banning() as bans:
        bans.ban("192.0.2.1")
        with (
            loaded_program(successor_of=bans.running) as program,
            RunningProgram(program.info.id) as running,
        ):
            after = Banning(program, running)
            assert after.verdict("192.0.2.1") == DROP
            after.ban("192.0.2.2")
            assert bans.verdict("192.0.2.2") == DROP
