"""Bans in the real program, which is attached to nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from typing import NamedTuple

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from tests.bpf.judging import generation_of
from xdpctl.datapath.ban_entries import Prefix
from xdpctl.datapath.bans import BanTable, Terms
from xdpctl.datapath.counters import Tally
from xdpctl.datapath.interfaces import Interface
from xdpctl.datapath.loading import Content, loaded_program
from xdpctl.datapath.program import RunningProgram
from xdpctl.pylibbpf import ObjectProgram
from xdpctl.rules.model import Ruleset

DROP, PASS = 1, 2
FOR_EVER = Terms()
NOWHERE = Interface("eth0", 1)
MACS = {"src": "02:00:00:00:00:01", "dst": "02:00:00:00:00:02"}


class Banning(NamedTuple):
    program: ObjectProgram
    running: RunningProgram

    @property
    def table(self) -> BanTable:
        return BanTable(self.running)

    def ban(self, *prefixes: str, terms: Terms = FOR_EVER) -> None:
        self.table.add(NOWHERE, dict.fromkeys(map(prefix, prefixes), terms))

    def verdict(self, source: str) -> int:
        return self.program.test_run(frame(source)).retval

    def drop_reasons(self) -> dict[str, int]:
        names, counted = self.running.names.drop_reasons, self.running.read_sum().drop_reasons
        return {n: t.packets for n, t in zip(names, counted, strict=True) if t.packets}


@contextmanager
def banning(ruleset: Ruleset | None = None, max_bans: int | None = None) -> Iterator[Banning]:
    content = None
    if ruleset is not None:
        content = Content(generation_of(ruleset), b"{}", b"", Tally(0, 0))
    with (
        loaded_program(content=content, max_bans=max_bans) as program,
        RunningProgram(program.info.id) as running,
    ):
        yield Banning(program, running)


def prefix(text: str) -> Prefix:
    network = ip_network(text)
    return Prefix(network.version, int(network.network_address), network.prefixlen)


def frame(source: str) -> bytes:
    if ":" in source:
        return bytes(Ether(**MACS) / IPv6(src=source, dst="2001:db8::2") / UDP(dport=53))
    return bytes(Ether(**MACS) / IP(src=source, dst="192.0.2.2") / UDP(dport=53))
