"""What is counted as Prometheus metrics: base units, counters that only grow, bounded labels.

https://prometheus.io/docs/practices/naming/ and https://prometheus.io/docs/instrumenting/writing_exporters/
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
)
from prometheus_client.metrics_core import Metric

from xdpctl import __version__
from xdpctl.datapath.counters import Tally
from xdpctl.errors import XdpctlError
from xdpctl.observe.live import Taken

RULES_MAX_DEFAULT = 100
OTHER_RULES = "_other"
DEFAULT_RULE = "_default"

# Of 262 protocols those are told that came, and these in any case: a series that begins with its
# first packet has no rate for it.
_USUAL_PROTOCOLS = frozenset({"tcp", "udp", "icmp", "ipv6-icmp", "arp", "other", "malformed"})


class Counting(Protocol):
    """Where counts come from."""

    def take(self) -> Mapping[str, Taken | XdpctlError]:
        """Each interface by its name, or why it cannot be read."""


class Collector:
    """Reads the counters anew for each scrape, each map in one go; scrapes take turns."""

    def __init__(self, source: Counting, rules_max: int = RULES_MAX_DEFAULT) -> None:
        """`rules_max`: of how many rules each has a series of its own; the rest is summed."""
        self._source = source
        self._rules_max = rules_max
        self._errors: dict[str, int] = {}
        self._one_at_a_time = threading.Lock()

    def collect(self) -> Iterator[Metric]:
        """The metrics. Raises as the source does."""
        with self._one_at_a_time:
            began = time.monotonic()
            taken: dict[str, Taken] = {}
            up = GaugeMetricFamily(
                "xdpctl_up", "Whether the interface's counters could be read.", labels=["interface"]
            )
            for asked, each in self._source.take().items():
                name = _utf8(asked)
                failed = isinstance(each, XdpctlError)
                self._errors[name] = self._errors.get(name, 0) + failed
                up.add_metric([name], 0 if failed else 1)
                if not isinstance(each, XdpctlError):
                    taken[name] = each
            yield up
            yield from _families(taken, self._rules_max)
            errors = CounterMetricFamily(
                "xdpctl_collection_errors",
                "How often the interface's counters could not be read.",
                labels=["interface"],
            )
            for name, count in self._errors.items():
                errors.add_metric([name], count)
            yield errors
            yield GaugeMetricFamily(
                "xdpctl_collection_seconds",
                "How long reading the counters took.",
                time.monotonic() - began,
            )


def _utf8(name: str) -> str:
    """The kernel allows any bytes in an interface's name, the format only UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode()


class _Tallies:
    """A pair of counters, of packets and of bytes, with the same labels."""

    def __init__(self, prefix: str, of_what: str, label: str) -> None:
        labels = ["interface", label]
        self._packets = CounterMetricFamily(
            f"xdpctl_{prefix}packets", f"Packets {of_what}.", labels=labels
        )
        self._bytes = CounterMetricFamily(
            f"xdpctl_{prefix}bytes",
            f"Bytes {of_what}, Ethernet headers included.",
            labels=labels,
        )

    def add(self, interface: str, value: str, tally: Tally) -> None:
        self._packets.add_metric([interface, value], tally.packets)
        self._bytes.add_metric([interface, value], tally.bytes)

    @property
    def families(self) -> tuple[Metric, Metric]:
        return self._packets, self._bytes


def _families(taken: Mapping[str, Taken], rules_max: int) -> Iterator[Metric]:
    verdicts = _Tallies("", "by what became of them", "verdict")
    protocols = _Tallies("protocol_", "by protocol", "protocol")
    reasons = _Tallies("dropped_", "that were dropped, by reason", "reason")
    rules = _Tallies("rule_", "that a rule decided on", "rule")
    malformed = CounterMetricFamily(
        "xdpctl_malformed_packets", "Malformed packets, by reason.", labels=["interface", "reason"]
    )
    for name, each in taken.items():
        names, total = each.snapshot.names, each.snapshot.total
        for verdict, tally in zip(names.verdicts, total.verdicts, strict=True):
            verdicts.add(name, verdict, tally)
        for protocol, tally in zip(names.protocols, total.protocols, strict=True):
            if tally.packets or protocol in _USUAL_PROTOCOLS:
                protocols.add(name, protocol, tally)
        for reason, tally in zip(names.drop_reasons, total.drop_reasons, strict=True):
            reasons.add(name, reason, tally)
        for reason, packets in zip(names.malformed, total.malformed, strict=True):
            malformed.add_metric([name, reason], packets)
        for rule, tally in _rules(each, rules_max):
            rules.add(name, rule, tally)
    for pair in (verdicts, protocols, reasons, rules):
        yield from pair.families
    yield malformed
    yield _sizes(taken)
    yield from _programs(taken)


def _rules(taken: Taken, rules_max: int) -> Iterable[tuple[str, Tally]]:
    """The first rules each, the rest as one, and the default; a bare counter has none."""
    if taken.rules is None:
        return
    counted: dict[str, Tally] = {}
    for at, (fields, tally) in enumerate(
        zip(taken.rules.stored.rules, taken.rules.rules, strict=False)
    ):
        name = str(fields["name"]) if at < rules_max else OTHER_RULES
        # Somebody may call his rule that, and a series may be told only once.
        before = counted.get(name, Tally(0, 0))
        counted[name] = Tally(before.packets + tally.packets, before.bytes + tally.bytes)
    default = taken.rules.default
    before = counted.get(DEFAULT_RULE, Tally(0, 0))
    counted[DEFAULT_RULE] = Tally(before.packets + default.packets, before.bytes + default.bytes)
    yield from counted.items()


def _sizes(taken: Mapping[str, Taken]) -> Metric:
    family = HistogramMetricFamily(
        "xdpctl_packet_size_bytes",
        "Packets by size, Ethernet headers included.",
        labels=["interface"],
    )
    for name, each in taken.items():
        total = each.snapshot.total
        buckets = []
        cumulative = 0
        for size, packets in zip(each.snapshot.names.sizes, total.sizes, strict=True):
            cumulative += packets
            buckets.append(("+Inf" if size.last is None else f"{size.last}", cumulative))
        family.add_metric([name], buckets, total.total.bytes)
    return family


def _programs(taken: Mapping[str, Taken]) -> Iterator[Metric]:
    info = InfoMetricFamily("xdpctl_program", "The program on the interface.", labels=["interface"])
    attached = GaugeMetricFamily(
        "xdpctl_attached_timestamp_seconds",
        "Since when packets are counted, in seconds since the epoch.",
        labels=["interface"],
    )
    for name, each in taken.items():
        ruleset = each.rules.stored.name if each.rules is not None else ""
        facts = {"mode": each.snapshot.mode_name, "ruleset": ruleset, "version": __version__}
        info.add_metric([name], facts)
        attached.add_metric([name], each.snapshot.attached_at_ns / 1e9)
    yield info
    yield attached
