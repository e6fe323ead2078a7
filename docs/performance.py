"""Writes docs/performance.md from the figures of a benchmark: `make bench`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.bench.ratios import outcomes
from tests.bench.report import Table, figure_tables, ratios_table

PAGE = Path(__file__).with_name("performance.md")

_HOW = """\
Written by `make bench` from what it measured; no figure here is typed by hand.

The same policy is built for every program. A packet that gets another verdict than it should, or
that is lost, ends the run. The programs run in turn, round after round, so that whatever else the
machine does meets all alike. Figures are the best of all rounds unless they are called medians;
`bench.json` has both. Everything happens in network namespaces that end with the run.

- **BPF_PROG_TEST_RUN**: the program alone, 64-byte UDP or short TCP packets, {flows} of each kind
  in equal parts, each again and again: tables are in the CPU's cache. The kernel's loop around the
  program is in all figures; it is what `drop` takes. `minimal` counts by protocol as the kernel's
  xdp1 sample does, and drops. xdp-filter has all its features on. All are loaded {loadings} times,
  since the kernel puts code at a random place, which makes it faster or slower by a tenth.
- **Rules** have five fields: two prefixes of random length, protocol, source ports, destination
  ports. A packet that matches none has each field from some rule. "64 hosts x 64 ports" are rules
  for pairs, shuffled, and packets whose host and whose port are listed, but not their pair. "Worst
  case" is the most expensive ruleset and packet that we found: 4,096 rules of eleven fields, where
  every word of every bit row has to be read, for nothing.
- **Bans**: what an empty table costs is the difference to the same program compiled without it.
  {bans:,} bans are of /32 alone, or of 4 or 16 different lengths: a clean packet is looked up for
  each of them, and a banned one is found by the last.
- **linear** is a BPF program of ours that walks the rules one by one and does nothing else, not
  even count. It stands for bpfilter, which does likewise and which Debian does not have.
- **Over veth**: driver mode, up to {frames:,} different packets, all dropped, counted at the
  receiver. Sender and receiver share a CPU, and the kernel times the whole way, without what it
  spent on others; a bare drop is mostly the sender's work. "By a set" is 1,000 rules of which the
  first, of {prefixes:,} prefixes, drops the packet; "by a rule" are packets for the other 999.
  nft has its chain at the ingress hook, iptables in `raw`, with an ipset.
- **Lookups** wait for one another. Listed addresses are in one of the prefixes, random ones
  anywhere (IPv6: in 2a00::/12), different each time. What the program does besides looking up is
  taken off.
- **Whole processes** are timed from start to end, with the file in the page cache; xdpctl's names a
  list of prefixes and has {rules} rules besides.
- **Replays** are whole processes, too, of a capture of TCP and UDP over IPv4 and IPv6 in equal
  parts; counts only. tshark counts protocols, and takes every packet apart to the end."""

_FULL_PREFIXES = 1_000_000


def page(document: dict[str, Any]) -> str:
    """docs/performance.md."""
    return "\n\n".join(
        [
            "# Performance",
            _summary(document),
            _as_markdown(ratios_table(document)),
            _shortcomings(document),
            "## What was compared, and how",
            _how(document),
            "## On what",
            _machine(document),
            "## Figures",
            *(_as_markdown(table, "###") for table in figure_tables(document)),
        ]
    ) + "\n"  # fmt: skip


def _summary(document: dict[str, Any]) -> str:
    verdicts = [each.verdict for each in outcomes(document)]
    text = (
        f"Of {len(verdicts)} ratios that we want, {verdicts.count('ok')} are reached, "
        f"{verdicts.count('SHORT')} are not, and {verdicts.count('not measured')} could not be "
        "measured."
    )
    if document["settings"]["prefixes"] < _FULL_PREFIXES:
        text += (
            "\n\n**This was a quick run, with few rounds and small sets**: good for a look, and "
            "not for a claim."
        )
    return text


def _shortcomings(document: dict[str, Any]) -> str:
    short = [each for each in outcomes(document) if each.verdict == "SHORT"]
    if not short:
        return "Nothing that was measured falls short."
    lines = [
        f"- {each.what}: {each.best:.2f} instead of {each.wanted}"
        + ("" if _also_short(each.median, each.wanted) else " (but not by the medians)")
        for each in short
    ]
    return "\n".join(["## What falls short", "", *lines])


def _also_short(median: float | None, wanted: str) -> bool:
    relation, limit = wanted.split()[:2]
    assert median is not None
    return median > float(limit) if relation == "<=" else median < float(limit)


def _how(document: dict[str, Any]) -> str:
    return _HOW.format(prefixes=document["settings"]["prefixes"], **document["method"])


def _machine(document: dict[str, Any]) -> str:
    facts, settings = document["machine"], document["settings"]
    changed = " and uncommitted changes" if facts["changed"] else ""
    lines = [
        f"- {facts['date']}, commit {facts['commit']}{changed}; {document['minutes']} minutes",
        f"- Linux {facts['kernel']}, {facts['cpus']} CPUs: {facts['cpu']}; load {facts['load']} "
        "when it began",
        f"- {facts['clang']}; Python {facts['python']}",
        "- rounds: "
        + ", ".join(
            f"{count} of {name.removesuffix('_rounds').replace('_', '-')}"
            for name, count in settings.items()
            if name.endswith("_rounds")
        ),
    ]
    for peer in document["peers"]:
        version = peer["version"] or f"not measured: not on this machine ({peer['package']})"
        lines.append(f"- {peer['command']}: {version}")
    return "\n".join(lines)


def _as_markdown(table: Table, heading: str = "##") -> str:
    ruler = ["---", *["---:"] * (len(table.header) - 1)]
    lines = [table.header, ruler, *table.rows]
    return "\n".join(
        [f"{heading} {table.title}", "", *(f"| {' | '.join(line)} |" for line in lines)]
    )


if __name__ == "__main__":
    PAGE.write_text(page(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))), "utf-8")
