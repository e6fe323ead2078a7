"""Metrics as Prometheus' own parser reads them, and the Grafana dashboard that is drawn of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.synthetic import SECOND_NS
from xdpctl.datapath.counters import Counters, RowNames, SizeRange, Tally
from xdpctl.datapath.interfaces import Interface
from xdpctl.datapath.rule_counts import RuleCounts
from xdpctl.datapath.snapshot import Snapshot
from xdpctl.errors import NotAttached
from xdpctl.observe.live import Taken
from xdpctl.observe.metrics import Collector
from xdpctl.pylibbpf.xdp import Mode
from xdpctl.rules.stored import StoredRuleset

ROOT = Path(__file__).parent.parent.parent
NONE = Tally(0, 0)
NAMES = RowNames(
    ("tcp", "udp", "gre"),
    ("aborted", "drop", "pass"),
    ("rule", "default"),
    ("short-ipv4",),
    (SizeRange(0, 63), SizeRange(64, 127), SizeRange(128, None)),
)


def taken(rules: Iterable[tuple[str, Tally]] = (), *, interface: str = "eth0") -> Taken:
    """12 packets: 10 of TCP passed, 2 of UDP dropped by a rule; 2 small, 7 middling, 3 large."""
    counters = Counters(
        (Tally(10, 2000), Tally(2, 120), NONE),
        (NONE, Tally(2, 120), Tally(10, 2000)),
        (Tally(2, 120), NONE),
        (0,),
        (2, 7, 3),
    )
    snapshot = Snapshot(
        Interface(interface, 2), None, Mode.DRIVER, 7, 5 * SECOND_NS, 0, 0,
        (counters,), counters, NAMES,
    )  # fmt: skip
    names, tallies = zip(*rules, strict=True) if rules else ((), ())
    fields = tuple({"name": name, "action": "drop"} for name in names)
    slots = tuple(range(1, len(names) + 1))
    stored = StoredRuleset("edge", "", 0, "pass", "drop", (), fields, slots, (), None)
    return Taken(
        snapshot, RuleCounts(stored, tuple(tallies), Tally(10, 2000), {}) if rules else None
    )


class Given:
    def __init__(self, **interfaces) -> None:
        self.interfaces = interfaces

    def take(self):
        return self.interfaces


def scrape(collector: Collector) -> dict[str, dict[tuple[str, ...], float]]:
    """Values by the metric's name and the labels' values, as Prometheus reads them."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        assert family.documentation
        for sample in family.samples:
            series = found.setdefault(sample.name, {})
            labels = tuple(sample.labels.values())
            assert labels not in series, f"{sample.name} {labels} is told twice"
            series[labels] = sample.value
    return found


def test_counts_are_told_with_zeros_for_what_may_come() -> None:
    found = scrape(Collector(Given(eth0=taken())))
    assert found["xdpctl_packets_total"] == {
        ("eth0", "aborted"): 0,
        ("eth0", "drop"): 2,
        ("eth0", "pass"): 10,
    }
    assert found["xdpctl_bytes_total"][("eth0", "pass")] == 2000
    assert found["xdpctl_protocol_packets_total"] == {("eth0", "tcp"): 10, ("eth0", "udp"): 2}
    assert found["xdpctl_protocol_bytes_total"] == {("eth0", "tcp"): 2000, ("eth0", "udp"): 120}
    assert found["xdpctl_dropped_packets_total"] == {("eth0", "rule"): 2, ("eth0", "default"): 0}
    assert found["xdpctl_malformed_packets_total"] == {("eth0", "short-ipv4"): 0}
    assert found["xdpctl_attached_timestamp_seconds"] == {("eth0",): 5}
    assert found["xdpctl_up"] == {("eth0",): 1}
    assert found["xdpctl_program_info"] == {("eth0", "driver", "", "0.1.0"): 1}
    assert "xdpctl_rule_packets_total" not in found


def test_sizes_are_a_histogram_whose_sum_is_all_bytes() -> None:
    found = scrape(Collector(Given(eth0=taken())))
    assert found["xdpctl_packet_size_bytes_bucket"] == {
        ("eth0", "63"): 2,
        ("eth0", "127"): 9,
        ("eth0", "+Inf"): 12,
    }
    assert found["xdpctl_packet_size_bytes_count"] == {("eth0",): 12}
    assert found["xdpctl_packet_size_bytes_sum"] == {("eth0",): 2120}


def test_rules_beyond_the_limit_are_summed() -> None:
    rules = [(f"r{n}", Tally(n, 100 * n)) for n in range(5)]
    found = scrape(Collector(Given(eth0=taken(rules)), rules_max=2))
    assert found["xdpctl_rule_packets_total"] == {
        ("eth0", "r0"): 0,
        ("eth0", "r1"): 1,
        ("eth0", "_other"): 2 + 3 + 4,
        ("eth0", "_default"): 10,
    }
    assert found["xdpctl_rule_bytes_total"][("eth0", "_other")] == 900


def test_rules_that_are_called_as_sums_are_do_not_tell_a_series_twice() -> None:
    rules = [("_other", Tally(1, 1)), ("_default", Tally(2, 2)), ("x", Tally(4, 4))]
    found = scrape(Collector(Given(eth0=taken(rules)), rules_max=2))
    assert found["xdpctl_rule_packets_total"] == {
        ("eth0", "_other"): 1 + 4,
        ("eth0", "_default"): 2 + 10,
    }


def test_interface_that_cannot_be_read_is_down_and_an_error() -> None:
    source = Given(eth0=taken(), eth1=NotAttached("eth1: xdpctl is not attached"))
    collector = Collector(source)
    scrape(collector)
    found = scrape(collector)
    assert found["xdpctl_up"] == {("eth0",): 1, ("eth1",): 0}
    assert found["xdpctl_collection_errors_total"] == {("eth0",): 0, ("eth1",): 2}
    assert {labels[0] for labels in found["xdpctl_packets_total"]} == {"eth0"}
    assert 0 <= found["xdpctl_collection_seconds"][()] < 60


def test_hostile_interface_names_are_labels_like_any_other() -> None:
    names = ['a"b', "a\\b", "a\nb", "\udcff"]
    found = scrape(Collector(Given(**{name: taken(interface=name) for name in names})))
    assert {labels[0] for labels in found["xdpctl_up"]} == {'a"b', "a\\b", "a\nb", "\\udcff"}


def test_grafana_dashboard_asks_for_nothing_but_metrics_that_are_told() -> None:
    dashboard = (ROOT / "examples/grafana/xdpctl.json").read_text(encoding="utf-8")
    json.loads(dashboard)
    told = scrape(Collector(Given(eth0=taken([("r", NONE)]))))
    asked = set(re.findall(r"\bxdpctl_\w+", dashboard))
    assert asked
    assert asked <= set(told)


def test_every_metric_is_documented() -> None:
    page = (ROOT / "docs/metrics.md").read_text(encoding="utf-8")
    told = scrape(Collector(Given(eth0=taken([("r", NONE)]))))
    documented = set(re.findall(r"`(xdpctl_\w+)", page))
    assert {re.sub("_(bucket|sum|count)$", "", name) for name in told} == documented
