"""`make bench`: how fast, next to others. The compared things run in turn, many rounds, on what may
be a noisy machine; what counts are the ratios of the best figures, and of the medians."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from tests.bench.addresses import lookups
from tests.bench.bans import BANS
from tests.bench.flood import FRAMES
from tests.bench.live import live
from tests.bench.machine import machine
from tests.bench.peers import find_peers
from tests.bench.per_packet import FLOWS, LOADINGS, per_packet
from tests.bench.processes import RULES, loading, start_up
from tests.bench.ratios import Document
from tests.bench.replays import replays
from tests.bench.report import as_text, figure_tables, ratios_table
from tests.bench.timing import Costs


class Settings(NamedTuple):
    """How many rounds of each kind of measurement; `prefixes` of IPv4, `replayed_packets` of a
    capture."""

    packet_rounds: int
    live_rounds: int
    lookup_rounds: int
    loading_rounds: int
    start_up_rounds: int
    prefixes: int
    replay_rounds: int
    replayed_packets: int


FULL = Settings(20, 14, 5, 6, 30, 1_000_000, 3, 1_000_000)
QUICK = Settings(3, 2, 2, 1, 5, 100_000, 2, 100_000)


def measure(settings: Settings, folder: Path) -> Document:
    peers = find_peers()
    available = [peer.command for peer in peers if peer.version]
    prefixes = settings.prefixes
    document: Document = {
        "machine": machine(),
        "peers": [peer._asdict() for peer in peers],
        "settings": settings._asdict(),
        "method": {
            "flows": FLOWS,
            "loadings": min(LOADINGS, settings.packet_rounds),
            "frames": FRAMES,
            "rules": RULES,
            "bans": BANS,
        },
    }
    for peer in peers:
        _say(f"{peer.command}: {peer.version or 'not here, and so not measured'}")
    _say("short commands ...")
    table, document["start_up_peak_mib"] = start_up(folder, settings.start_up_rounds)
    document["start_up_s"] = _plain(table)
    _say("packets under BPF_PROG_TEST_RUN ...")
    table, document["set_memory_mb"] = per_packet(
        folder, settings.packet_rounds, prefixes, with_xdp_filter="xdp-filter" in available
    )
    document["packet_ns"] = _plain(table)
    _say("packets over veth ...")
    document["live_ns"] = _plain(live(folder, settings.live_rounds, prefixes, available))
    _say("lookups of addresses ...")
    document["lookups"] = {
        title: {**each._asdict(), "lookup_ns": _plain(each.lookup_ns)}
        for title, each in lookups(folder, settings.lookup_rounds, prefixes).items()
    }
    _say("from a file to the kernel ...")
    table, document["loading_peak_mib"] = loading(
        folder, settings.loading_rounds, prefixes, available
    )
    document["loading_s"] = _plain(table)
    _say("replays of a capture ...")
    table, document["replay_peak_mib"] = replays(
        folder, settings.replay_rounds, settings.replayed_packets, available
    )
    document["replay_s"] = _plain(table)
    return document


def _plain(table: Costs) -> dict[str, Any]:
    return {name: figures._asdict() for name, figures in table.items()}


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    parser.add_argument("--quick", action="store_true", help="few rounds and small sets, to try it")
    options = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):  # on which everything is taken away
        signal.signal(number, signal.default_int_handler)

    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="xdpctl-bench-") as folder:
        document = measure(QUICK if options.quick else FULL, Path(folder))
    ratios = ratios_table(document)
    document["ratios"] = [dict(zip(ratios.header, row, strict=True)) for row in ratios.rows]
    document["minutes"] = round((time.monotonic() - start) / 60, 1)
    for table in (*figure_tables(document), ratios):
        print(f"\n{as_text(table)}", end="")
    if options.json:
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
