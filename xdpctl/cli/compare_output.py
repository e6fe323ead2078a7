"""What `xdpctl compare` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from xdpctl.cli.documents import Document, write_json
from xdpctl.cli.packet_text import mac_text
from xdpctl.cli.text import count, counted, printable

if TYPE_CHECKING:
    from xdpctl.replay.comparing import Comparison, Decision, Flow, Group

_GROUPS_SHOWN = 20


def write(found: Comparison, capture: str, left_out: int) -> None:
    write_json(
        {
            "capture": capture,
            "packets": found.packets,
            "changed": found.changed,
            "decided_otherwise": found.decided_otherwise,
            "not_replayed": left_out,
            "verdicts": [
                {"before": before, "after": after, "packets": packets}
                for (before, after), packets in found.changes.most_common()
            ],
            "groups": [_group_document(each) for each in found.groups()],
        }
    )


def _group_document(group: Group) -> Document:
    return {
        "flow": None if group.flow is None else _flow_document(group.flow),
        "before": None if group.before is None else group.before._asdict(),
        "after": None if group.after is None else group.after._asdict(),
        "packets": group.packets,
        "bytes": group.bytes,
        "first": group.first,
    }


def _flow_document(flow: Flow) -> Document:
    texts: dict[str, Any] = {
        "src": None if flow.src is None else str(flow.src),
        "dst": None if flow.dst is None else str(flow.dst),
        "src_mac": mac_text(flow.src_mac),
        "dst_mac": mac_text(flow.dst_mac),
    }
    return flow._asdict() | texts


def show(found: Comparison, name: str, left_out: int, *, shows_all: bool) -> None:
    lines = [_heading(found, name)]
    if found.decided_otherwise:
        number = counted(found.decided_otherwise, "packet")
        lines.append(f"{number} with the same verdict by another rule, or for another reason")
    if left_out:
        lines.append(f"{counted(left_out, 'packet')} not replayed")
    groups = list(found.groups())
    if groups:
        lines += ["", f"{'packets':>11} {'bytes':>15} {'first':>9}  flow, and what decided"]
    shown = groups if shows_all else groups[:_GROUPS_SHOWN]
    lines += [line for each in shown for line in _group_lines(each)]
    if len(shown) < len(groups):
        packets = sum(each.packets for each in groups[len(shown) :])
        more = counted(len(groups) - len(shown), "group")
        lines.append(f"{count(packets):>11} in {more} more; --all shows them")
    click.echo(printable("\n".join(lines)))


def _heading(found: Comparison, name: str) -> str:
    text = f"{name}: {found.changed:,} of {counted(found.packets, 'packet')} change verdict"
    changes = [f"{n:,} {old} -> {new}" for (old, new), n in found.changes.most_common()]
    return f"{text}: {', '.join(changes)}" if changes else text


def _group_lines(group: Group) -> list[str]:
    numbers = f"{count(group.packets):>11} {count(group.bytes):>15} {group.first:>9}"
    if group.flow is None or group.before is None or group.after is None:
        return [f"{numbers}  other flows"]
    return [
        f"{numbers}  {_flow_text(group.flow)}",
        f"{'':37}  {_decision_text(group.before)} -> {_decision_text(group.after)}",
    ]


def _flow_text(flow: Flow) -> str:
    if flow.src is not None and flow.dst is not None:
        ends = f"{flow.src.with_port(flow.sport)} > {flow.dst.with_port(flow.dport)}"
    else:
        ends = f"{mac_text(flow.src_mac) or '?'} > {mac_text(flow.dst_mac) or '?'}"
    return f"{ends} {flow.protocol}"


def _decision_text(decision: Decision) -> str:
    if decision.malformed is not None:
        why = f"malformed: {decision.malformed}"
    else:
        why = decision.reason if decision.rule is None else f"{decision.reason} {decision.rule}"
    return f"{decision.verdict} ({why})"
