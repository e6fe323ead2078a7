"""The figures as tables: for the terminal, and for docs/performance.md."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple

from tests.bench.per_packet import RULE_COUNTS
from tests.bench.ratios import Document, outcomes


class Table(NamedTuple):
    """Attributes:
    rows: as wide as the header; the first column is text, the others are numbers.
    """

    title: str
    header: list[str]
    rows: list[list[str]]


def ratios_table(document: Document) -> Table:
    rows = [
        [each.what, each.wanted, _number(each.best), _number(each.median), each.verdict]
        for each in outcomes(document)
    ]
    header = ["what", "wanted", "got", "of medians", "verdict"]
    return Table("Wanted and got", header, rows)


def figure_tables(document: Document) -> Iterator[Table]:
    """Of the best figures."""
    yield from _packet_tables(document["packet_ns"])
    yield _live_table(document["live_ns"])
    yield Table(
        "Lookups of an address alone, ns",
        ["", "addresses", "xdpctl", "LPM_TRIE", "HASH"],
        [row for title, each in document["lookups"].items() for row in _lookup_rows(title, each)],
    )
    yield Table(
        "Kernel memory, MB",
        ["", "xdpctl", "LPM_TRIE", "HASH", "all maps of xdpctl with a rule"],
        list(_memory_rows(document)),
    )
    yield _process_table(
        f"From a file of {document['settings']['prefixes']:,} IPv4 prefixes to the kernel",
        document["loading_s"],
        document["loading_peak_mib"],
        "xdpctl apply",
    )
    yield _process_table(
        f"Replays of {document['settings']['replayed_packets']:,} packets of 100 bytes",
        document["replay_s"],
        document["replay_peak_mib"],
        "xdpctl replay",
    )
    yield _process_table(
        "Short commands",
        document["start_up_s"],
        document["start_up_peak_mib"],
        "python -c 'import click'",
    )


def _packet_tables(costs: Document) -> Iterator[Table]:
    alone = [name for name in costs if not name.endswith(("match", "listed"))]
    rows = [
        [name, *_figures(costs[name]), f"{costs[name]['best'] / costs['minimal']['best']:.2f}"]
        for name in alone
    ]
    yield Table("Packets, ns", ["", "best", "median", "to minimal"], rows)
    ways = ("xdpctl, {}, IPv4", "xdpctl, {}, IPv6", "linear, {}, IPv4")
    columns = [f"{way}, {met}" for way in ways for met in ("no match", "match")]
    rows = []
    for count in RULE_COUNTS:
        rules = "1 rule" if count == 1 else f"{count} rules"
        rows.append([rules, *(_best(costs, each.format(rules)) for each in columns)])
    header = [each.replace(" {},", "") for each in columns]
    yield Table("Packets and rules of five fields, ns", ["", *header], rows)
    sets = dict.fromkeys(name.rpartition(", ")[0] for name in costs if name.endswith("listed"))
    rows = [
        [name, *(_best(costs, f"{name}, {which}") for which in ("unlisted", "listed"))]
        for name in sets
    ]
    yield Table("Packets, a rule and a set, ns", ["", "unlisted", "listed"], rows)


def _live_table(costs: Document) -> Table:
    traffics = {
        "set": "by a set",
        "rules": "by a rule",
        "hosts x ports": "64 hosts x 64 ports",
        "sources": "a limit per source",
    }
    header = [f"{title}, {unit}" for title in traffics.values() for unit in ("ns", "Mpps")]
    rows = []
    for setup in dict.fromkeys(name.split(", ", 1)[1] for name in costs):
        found = [costs.get(f"{traffic}, {setup}") for traffic in traffics]
        cells = [(_number(each["best"]), f"{1000 / each['best']:.3g}") if each else ("", "")
                 for each in found]  # fmt: skip
        rows.append([setup, *chain.from_iterable(cells)])
    return Table("Packets over veth, all dropped", ["", *header], rows)


def _process_table(title: str, seconds: Document, peaks: Document, base: str) -> Table:
    rows = [
        [name, *_figures(each), f"{each['best'] / seconds[base]['best']:.2f}", _number(peaks[name])]
        for name, each in seconds.items()
    ]
    return Table(title, ["", "best, s", "median, s", f"to {base}", "peak MiB"], rows)


def _lookup_rows(title: str, lookups: dict[str, Any]) -> Iterator[list[str]]:
    costs = lookups["lookup_ns"]
    for addresses in ("listed", "random", "the same"):
        ways = [costs.get(f"{addresses}, {way}", {}) for way in ("table", "trie", "hash")]
        yield [title, addresses, *(_number(each.get("best")) for each in ways)]


def _memory_rows(document: Document) -> Iterator[list[str]]:
    for title, lookups in document["lookups"].items():
        sizes = lookups["memory_mb"]
        yield [title, *(_number(sizes.get(way)) for way in ("table", "trie", "hash")), ""]
    for title, size in document["set_memory_mb"].items():
        yield [f"a set of {title}", "", "", "", _number(size)]


def _best(costs: Document, name: str) -> str:
    return _number(costs.get(name, {}).get("best"))


def _figures(each: dict[str, float]) -> list[str]:
    return [_number(each["best"]), _number(each["median"])]


def _number(value: float | None) -> str:
    """Three digits."""
    if value is None:
        return ""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def as_text(table: Table) -> str:
    """For a terminal."""
    lines = [table.header, *table.rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.header))]
    text = [table.title]
    for first, *others in lines:
        cells = (each.rjust(width) for each, width in zip(others, widths[1:], strict=True))
        text.append("  ".join([first.ljust(widths[0]), *cells]))
    return "\n".join(text) + "\n"
