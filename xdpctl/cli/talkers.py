"""Who sends most, as a table and as JSON."""

from __future__ import annotations

from typing import Any

from xdpctl.cli.documents import Document
from xdpctl.cli.text import count, counted, duration, printable, rate
from xdpctl.observe.talkers import By, Key, Talker, key_text
from xdpctl.observe.top import TopInterval
from xdpctl.rules.frame import Address

_TITLES = {
    By.SRC: "source",
    By.DST: "destination",
    By.FLOW: "flow",
    By.PORT: "destination port",
    By.RULE: "rule",
}
_FLOW_FIELDS = ("src", "dst", "proto", "sport", "dport")


def key_fields(key: Key, by: By) -> dict[str, Any]:
    """What a key says, by the names that rules have for it; None for what packets lack."""
    match by:
        case By.SRC | By.DST:
            address = _address(key[0])
            return {by.value: address, "protocol": key[0] if address is None else None}
        case By.FLOW:
            return dict(
                zip(_FLOW_FIELDS, (_address(key[0]), _address(key[1]), *key[2:]), strict=True)
            )
        case By.PORT:
            return {"proto": key[0], "dport": key[1]}
        case By.RULE:
            return {"rule": key[0], "reason": key[1]}


def document_of(talker: Talker, by: By) -> Document:
    document: Document = key_fields(talker.key, by)
    return document | {
        "share": talker.share,
        "packets_per_second": talker.packets_per_second,
        "error": talker.error,
        "bits_per_second": talker.bits_per_second,
    }


def print_top(interval: TopInterval, *, by: By, redraw: bool) -> None:
    from xdpctl.cli.tables import next_frame, print_talkers  # noqa: PLC0415 - rich

    ranking = interval.ranking
    if redraw:
        next_frame()
    how = "every packet" if interval.one_in == 1 else f"one packet in {interval.one_in:,}"
    lost = f", {interval.lost:,} lost" if interval.lost else ""
    of = counted(ranking.total.packets, "packet")
    print(printable(
        f"{interval.snapshot.interface.name}: {of} in {duration(round(ranking.seconds))}, "
        f"{count(ranking.sampled)} looked at ({how}{lost})\n"
    ))  # fmt: skip
    print_talkers(
        _TITLES[by],
        (
            (
                key_text(each.key, by),
                f"{each.share:.1%}",
                rate(each.packets_per_second),
                f"± {rate(each.error)}",
                rate(each.bits_per_second),
            )
            for each in ranking.talkers
        ),
    )


def _address(value: object) -> str | None:
    """None for what stands where an address is not."""
    return str(value) if isinstance(value, Address) else None
