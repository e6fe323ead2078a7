"""The JSON documents. Their keys are public and stay; README.md documents them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from xdpctl.cli.text import rfc3339
from xdpctl.datapath.counters import Counters, RowNames, Tally
from xdpctl.datapath.hook import Occupant
from xdpctl.datapath.interfaces import Interface
from xdpctl.datapath.snapshot import Snapshot
from xdpctl.observe.rates import Interval

Document = dict[str, Any]
Rates = Callable[[Tally], Document]

_IP_PROTOCOLS = 256


def write_json(document: Document | list[Document]) -> None:
    """On one line, at once: a reader may wait for it."""
    click.echo(json.dumps(document))


def one_or_all(documents: list[Document], *, single: bool) -> Document | list[Document]:
    """An object where one interface was named, otherwise an array."""
    return documents[0] if single else documents


def heading(interface: Interface, netns: str | None) -> Document:
    return {"interface": interface.name, "ifindex": interface.ifindex, "netns": netns}


def counted_of(occupant: Occupant) -> Document:
    counted = occupant.counted
    return counted._asdict() if counted else {"packets": None, "bytes": None}


def snapshot_heading(snapshot: Snapshot) -> Document:
    total = snapshot.total.total
    return heading(snapshot.interface, snapshot.netns) | {
        "mode": snapshot.mode_name,
        "program_id": snapshot.program_id,
        "attached_at": rfc3339(snapshot.attached_at_ns),
        "timestamp": rfc3339(snapshot.timestamp_ns),
        "packets": total.packets,
        "bytes": total.bytes,
    }


def stats(snapshot: Snapshot, *, per_cpu: bool = False) -> Document:
    document = snapshot_heading(snapshot) | counter_rows(snapshot.total, snapshot.names)
    if per_cpu:
        document["cpus"] = [
            {"cpu": cpu} | counters.total._asdict() | counter_rows(counters, snapshot.names)
            for cpu, counters in enumerate(snapshot.per_cpu)
        ]
    return document


def interval(interval_: Interval, *, per_cpu: bool = False) -> Document:
    """`stats`, and under `interval` what came in since the line before."""
    counters = interval_.counters
    rows = counter_rows(counters, interval_.snapshot.names)
    for row in rows["protocols"] + rows["verdicts"] + rows["drop_reasons"]:
        row.update(with_rates(Tally(row["packets"], row["bytes"]), interval_.per_second))
    document = stats(interval_.snapshot, per_cpu=per_cpu)
    return document | {"interval": _interval_heading(interval_) | rows}


def sizes_interval(interval_: Interval) -> Document:
    """`histogram`, and under `interval` what came in since the line before."""
    snapshot = interval_.snapshot
    document = snapshot_heading(snapshot) | {"sizes": sizes(snapshot.total, snapshot.names)}
    recent = sizes(interval_.counters, snapshot.names)
    for row in recent:
        row["packets_per_second"] = interval_.per_second(row["packets"])
    return document | {"interval": _interval_heading(interval_) | {"sizes": recent}}


def _interval_heading(interval_: Interval) -> Document:
    total = interval_.counters.total
    return {"seconds": interval_.seconds} | with_rates(total, interval_.per_second)


def with_rates(recent: Tally, per_second: Callable[[int], float]) -> Document:
    """What was counted in an interval, and its rates."""
    return recent._asdict() | {
        "packets_per_second": per_second(recent.packets),
        "bits_per_second": per_second(recent.bytes * 8),
    }


def sizes(counters: Counters, names: RowNames) -> list[Document]:
    return [
        {"from": size.first, "to": size.last, "packets": packets}
        for size, packets in zip(names.sizes, counters.sizes, strict=True)
        if packets
    ]


def counter_rows(counters: Counters, names: RowNames) -> Document:
    """What `stats` says of counters."""
    return {
        "protocols": [
            {"protocol": name, "number": row if row < _IP_PROTOCOLS else None} | tally._asdict()
            for row, (name, tally) in enumerate(
                zip(names.protocols, counters.protocols, strict=True)
            )
            if tally.packets
        ],
        "verdicts": [
            {"verdict": name} | tally._asdict()
            for name, tally in reversed([*zip(names.verdicts, counters.verdicts, strict=True)])
            if tally.packets
        ],
        "drop_reasons": [
            {"reason": name} | tally._asdict()
            for name, tally in zip(names.drop_reasons, counters.drop_reasons, strict=True)
            if tally.packets
        ],
        "malformed_reasons": [
            {"reason": name, "packets": packets}
            for name, packets in zip(names.malformed, counters.malformed, strict=True)
            if packets
        ],
        "sizes": sizes(counters, names),
    }
