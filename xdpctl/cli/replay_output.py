"""What `xdpctl replay` shows: packets line by line, and the summary."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from operator import lt
from typing import TYPE_CHECKING

import click

from xdpctl.cli.documents import Document, counter_rows, write_json
from xdpctl.cli.replay_writing import decider
from xdpctl.cli.text import counted, local_time, printable, rfc3339_ns, time_left

if TYPE_CHECKING:
    from xdpctl.captures.batches import Batch
    from xdpctl.captures.reading import CaptureReader
    from xdpctl.replay import Summary, Verdict

_NAMES_SHOWN = 20
_SECOND_NS = 10**9


class Output:
    """Attributes: verdicts: whether each packet is shown."""

    def __init__(self, capture: str, *, json: bool, verdicts: bool) -> None:
        self.verdicts = verdicts
        self._capture = capture
        self._json = json
        self._cut = 0

    def note(self, packets: Batch) -> None:
        """Of which packets less was captured than there was."""
        if packets.lengths != packets.originals:
            self._cut += sum(map(lt, packets.lengths, packets.originals))

    def tell(self, verdicts: Sequence[Verdict]) -> None:
        """A line for each."""
        line = _json_line if self._json else _line
        sys.stdout.write("".join(map(line, verdicts)))
        sys.stdout.flush()

    def summary(self, summary: Summary, reader: CaptureReader) -> None:
        for problem in reader.problems:
            click.echo(printable(f"warning: {reader.name}: {problem}"), err=True)
        if self._cut:
            number = counted(self._cut, "packet")
            was = "was" if self._cut == 1 else "were"
            click.echo(
                f"note: {number} {was} cut by the capture's snaplen: judged by the bytes that are"
                " there",
                err=True,
            )
        not_replayed = dict(Counter(summary.not_replayed) + Counter(reader.left_out))
        if self._json:
            document = _document(self._capture, summary, not_replayed)
            write_json({"summary": document} if self.verdicts else document)
        else:
            _print(reader.name, summary, not_replayed, after_lines=self.verdicts)


def _json_line(verdict: Verdict) -> str:
    document = {
        "number": verdict.number,
        "time": rfc3339_ns(verdict.time_ns),
        "verdict": verdict.verdict,
        "reason": verdict.reason,
        "rule": verdict.rule,
        "protocol": verdict.protocol,
        "length": verdict.length,
    }
    return json.dumps(document) + "\n"


def _line(verdict: Verdict) -> str:
    return (
        f"{verdict.number:>9} {rfc3339_ns(verdict.time_ns)} {verdict.verdict or '-':<5}"
        f"{verdict.protocol or '-':<12}{verdict.length:>6}  {decider(verdict)}\n"
    )


def _document(capture: str, summary: Summary, not_replayed: dict[str, int]) -> Document:
    rows = counter_rows(summary.counters, summary.names)
    sizes = rows.pop("sizes")
    rules = summary.ruleset.rules if summary.ruleset else ()
    return {
        "capture": capture,
        **summary.counters.total._asdict(),
        **rows,
        "rules": [
            {"name": each.fields["name"], "action": each.fields["action"]} | each.counted._asdict()
            for each in rules
        ],
        "sizes": sizes,
        "not_replayed": [
            {"reason": reason, "packets": packets} for reason, packets in not_replayed.items()
        ],
    }


def _print(name: str, summary: Summary, not_replayed: dict[str, int], *, after_lines: bool) -> None:
    from xdpctl.cli import tables  # noqa: PLC0415 - rich, for people only
    from xdpctl.cli.rule_tables import rules_table  # noqa: PLC0415

    out = tables.console()
    if after_lines:
        out.print()
    out.print(_heading(name, summary), style="bold")
    tables.print_counters(out, summary.names, summary.counters)
    if summary.ruleset is not None:
        out.print()
        out.print(rules_table(summary.ruleset, (summary.last_ns or 0) // _SECOND_NS))
        if unmatched := _unmatched(summary):
            out.print()
            out.print(unmatched)
    out.print()
    tables.print_sizes(out, summary.names, summary.counters)
    if not_replayed:
        out.print()
        out.print(tables.packets_table("not replayed", not_replayed.items()))
    if summary.ns_per_packet is not None:
        out.print()
        out.print(
            f"{summary.ns_per_packet:,.0f} ns per packet in the kernel, with what it takes to put"
            " it there"
        )


def _heading(name: str, summary: Summary) -> str:
    text = f"{name}: {counted(summary.counters.total.packets, 'packet')}"
    if summary.first_ns is not None and summary.last_ns is not None:
        text += f", from {local_time(summary.first_ns)}, {_span(summary)}"
    stored = summary.ruleset.stored if summary.ruleset else None
    judged = "no rules" if stored is None else f"ruleset {stored.name}"
    policy = "" if stored is None else f", malformed {stored.malformed}"
    return printable(f"{text}; {judged}{policy}")


def _span(summary: Summary) -> str:
    span_ns = (summary.last_ns or 0) - (summary.first_ns or 0)
    if span_ns < 60 * _SECOND_NS:  # noqa: PLR2004
        return f"{span_ns / _SECOND_NS:.3g} s long"
    return f"{time_left(span_ns)} long"


def _unmatched(summary: Summary) -> str:
    """Rules that no packet met, by name."""
    rules = summary.ruleset.rules if summary.ruleset else ()
    names = [str(each.fields["name"]) for each in rules if not each.counted.packets]
    if not names:
        return ""
    more = f" and {len(names) - _NAMES_SHOWN:,} more" if len(names) > _NAMES_SHOWN else ""
    return printable(f"never matched: {', '.join(names[:_NAMES_SHOWN])}{more}")
