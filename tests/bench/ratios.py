"""What is wanted, and what of it was got."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import product
from typing import Any, NamedTuple

from tests.bench.live import SAMPLED
from tests.bench.per_packet import RULE_COUNTS
from tests.bench.processes import BAN, BAN_FILE, CLICK
from tests.bench.replays import REPLAY, REPLAY_RULES, TSHARK

Document = dict[str, Any]


class Wanted(NamedTuple):
    """Attributes:
    value: of the document, with "best" or "median".
    limit: and whether it is the most or the least.
    """

    what: str
    limit: float
    at_most: bool
    unit: str
    value: Callable[[Document, str], float]


class Outcome(NamedTuple):
    """Attributes:
    best, median: None where what is compared with is missing.
    """

    what: str
    wanted: str
    best: float | None
    median: float | None

    @property
    def verdict(self) -> str:
        if self.best is None:
            return "not measured"
        relation, limit = self.wanted.split()[:2]
        good = self.best <= float(limit) if relation == "<=" else self.best >= float(limit)
        return "ok" if good else "SHORT"


def outcomes(document: Document) -> list[Outcome]:
    return [_outcome(each, document) for each in _wanted()]


def _outcome(wanted: Wanted, document: Document) -> Outcome:
    relation = "<=" if wanted.at_most else ">="
    text = f"{relation} {wanted.limit:g} {wanted.unit}".rstrip()
    try:
        best, median = (wanted.value(document, kind) for kind in ("best", "median"))
    except KeyError:  # of what a peer that is missing would have been
        return Outcome(wanted.what, text, None, None)
    return Outcome(wanted.what, text, best, median)


def _wanted() -> Iterator[Wanted]:
    yield from _of_bans()
    yield from _of_rules()
    yield from _of_sets()
    yield from _of_lookups()
    yield from _live()
    yield from _limits()
    yield from _of_processes()
    yield from _of_replays()


def _of_bans() -> Iterator[Wanted]:
    yield Wanted("a counter that nobody is banned on to one that knows no bans", 1.03, True, "",
        lambda d, k: _ns(d, k, "xdpctl, counter, nobody banned")
        / _ns(d, k, "xdpctl, counter that knows no bans")
    )  # fmt: skip
    yield Wanted("xdpctl ban of an address to python -c 'import click'", 2.5, True, "",
        lambda d, k: _start_up_s(d, k, BAN) / _start_up_s(d, k, CLICK)
    )  # fmt: skip
    yield Wanted("100,000 bans from a file", 1, True, "s", lambda d, k: _start_up_s(d, k, BAN_FILE))


def _of_rules() -> Iterator[Wanted]:
    for ip in ("IPv4", "IPv6"):
        yield Wanted(f"4,000 rules to 1 rule, {ip}", 1.3, True, "", lambda d, k, ip=ip: max(
            _ns(d, k, f"xdpctl, 4000 rules, {ip}, {met}")
            / _ns(d, k, f"xdpctl, 1 rule, {ip}, {met}")
            for met in ("match", "no match")
        ))  # fmt: skip
    for ip in ("IPv4", "IPv6"):
        yield Wanted(f"the dearest of all rules to xdp-filter without any, {ip}", 1, True, "",
            lambda d, k, ip=ip: max(_ns(d, k, each) for each in _cases(ip))
            / _ns(d, k, f"xdp-filter, no rules, {ip}"))  # fmt: skip
    yield Wanted("IPv6 to IPv4, as many rules", 1.5, True, "", lambda d, k: max(
        _ns(d, k, six) / _ns(d, k, four)
        for six, four in zip(_cases("IPv6"), _cases("IPv4"), strict=True)
    ))  # fmt: skip
    hard = "xdpctl, 64 hosts x 64 ports"
    yield Wanted("64 hosts x 64 ports to 1 rule", 4, True, "", lambda d, k: (
        _ns(d, k, hard) / _ns(d, k, "xdpctl, 1 rule, IPv4, no match")
    ))  # fmt: skip
    yield Wanted("64 hosts x 64 ports: linear matching to ours", 4, False, "", lambda d, k: (
        _ns(d, k, "linear, 64 hosts x 64 ports") / _ns(d, k, hard)
    ))  # fmt: skip
    yield Wanted("64 hosts x 64 ports, live: nft to ours", 4, False, "", lambda d, k: (
        _live_ns(d, k, "hosts x ports, nft") / _live_ns(d, k, "hosts x ports, xdpctl")
    ))  # fmt: skip


def _cases(ip: str) -> Iterable[str]:
    for count, met in product(RULE_COUNTS, ("match", "no match")):
        yield f"xdpctl, {count} rule{'s' if count > 1 else ''}, {ip}, {met}"


def _of_sets() -> Iterator[Wanted]:
    for ip, limit in (("IPv4", 1.2), ("IPv6", 1.5)):
        yield Wanted(f"a set of {ip} to no set, unlisted packets", limit, True, "",
            lambda d, k, ip=ip: max(_ns(d, k, f"xdpctl, {title}, unlisted")
            for title in d["set_memory_mb"] if ip in title)
            / _ns(d, k, f"xdpctl, 1 rule, {ip}, no match"))  # fmt: skip
    yield Wanted("kernel memory of a set of IPv4, mixed lengths or scattered hosts", 64, True, "MB",
        lambda d, k: max(mb for title, mb in d["set_memory_mb"].items() if "IPv4" in title)
    )  # fmt: skip


def _of_lookups() -> Iterator[Wanted]:
    for addresses in ("listed", "random"):
        yield Wanted(f"IPv4 lookup, {addresses} addresses: LPM_TRIE to ours", 5, False, "",
            lambda d, k, addresses=addresses: min(
                _trie_to_table(lookups, k, addresses)
                for title, lookups in d["lookups"].items() if "IPv4" in title
        ))  # fmt: skip
    yield Wanted("IPv6 lookup with lone /64 and /128, listed: LPM_TRIE to ours", 4, False, "",
        lambda d, k: min(_trie_to_table(lookups, k, "listed")
            for title, lookups in d["lookups"].items() if "lone" in title
    ))  # fmt: skip


def _trie_to_table(lookups: Document, kind: str, addresses: str) -> float:
    costs = lookups["lookup_ns"]
    return float(costs[f"{addresses}, trie"][kind] / costs[f"{addresses}, table"][kind])


def _live() -> Iterator[Wanted]:
    ours = "set, xdpctl"
    yield Wanted("live, from a set: packets/s to a bare drop's", 0.5, False, "", lambda d, k: (
        _live_ns(d, k, "set, bare drop") / _live_ns(d, k, ours)
    ))  # fmt: skip
    for peer in ("nft", "iptables-legacy", "iptables-nft"):
        yield Wanted(f"live, from a set: packets/s to those of {peer}", 3, False, "",
            lambda d, k, peer=peer: _live_ns(d, k, f"set, {peer}") / _live_ns(d, k, ours)
        )  # fmt: skip
    yield Wanted("live, from a set: packets/s with one in 1,000 sampled to none", 0.97, False, "",
        lambda d, k: _live_ns(d, k, ours) / _live_ns(d, k, f"set, {SAMPLED}")
    )  # fmt: skip


def _limits() -> Iterator[Wanted]:
    ours = "sources, xdpctl"
    for peer in ("nft", "iptables-legacy", "iptables-nft"):
        yield Wanted(f"live, a limit per source: packets/s to those of {peer}", 2, False, "",
            lambda d, k, peer=peer: _live_ns(d, k, f"sources, {peer}") / _live_ns(d, k, ours)
        )  # fmt: skip


def _of_processes() -> Iterator[Wanted]:
    def seconds(document: Document, kind: str, name: str) -> float:
        return float(document["loading_s"][name][kind])

    apply, again = "xdpctl apply", "xdpctl apply, one rule changed"
    yield Wanted("xdpctl apply", 2.5, True, "s", lambda d, k: seconds(d, k, apply))
    yield Wanted("nft -f to xdpctl apply", 10, False, "", lambda d, k: (
        seconds(d, k, "nft -f") / seconds(d, k, apply)
    ))  # fmt: skip
    yield Wanted("peak memory of xdpctl apply", 400, True, "MB", lambda d, k: (
        max(d["loading_peak_mib"][each] for each in (apply, again)) * 1.048576
    ))  # fmt: skip
    yield Wanted("xdpctl apply, one rule changed", 0.5, True, "s", lambda d, k: (
        seconds(d, k, again)
    ))  # fmt: skip


def _of_replays() -> Iterator[Wanted]:
    """The figures are for 1,000,000 packets, of which a quick run has fewer."""
    yield Wanted("xdpctl replay of 1,000,000 packets of 100 bytes", 3, True, "s", lambda d, k: (
        d["replay_s"][REPLAY][k]
    ))  # fmt: skip
    yield Wanted("peak memory of xdpctl replay", 200, True, "MB", lambda d, k: (
        max(d["replay_peak_mib"][each] for each in (REPLAY, REPLAY_RULES)) * 1.048576
    ))  # fmt: skip
    yield Wanted(f"{TSHARK} to xdpctl replay", 1, False, "", lambda d, k: (
        d["replay_s"][TSHARK][k] / d["replay_s"][REPLAY][k]
    ))  # fmt: skip


def _ns(document: Document, kind: str, name: str) -> float:
    return float(document["packet_ns"][name][kind])


def _live_ns(document: Document, kind: str, name: str) -> float:
    return float(document["live_ns"][name][kind])


def _start_up_s(document: Document, kind: str, name: str) -> float:
    return float(document["start_up_s"][name][kind])
