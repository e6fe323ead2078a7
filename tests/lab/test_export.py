"""Metrics of a lab: scraped by Debian's Prometheus, and written for node_exporter."""

from __future__ import annotations

import json
import signal
import stat
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from prometheus_client.parser import text_string_to_metric_families

from netns_lab import Host
from netns_lab.fixtures import Attached
from tests.lab.conftest import XDPCTL, xdpctl, xdpctl_json
from tests.lab.private_labs import until
from tests.packets import IPV4, TCP, UDP, eth, ipv4

UDP_FRAME, TCP_FRAME = eth(IPV4, ipv4(17, UDP)), eth(IPV4, ipv4(6, TCP))
CONFIG = """
global: {scrape_interval: 200ms, scrape_timeout: 200ms}
scrape_configs: [{job_name: xdpctl, static_configs: [{targets: ["127.0.0.1:9417"]}]}]
"""


@contextmanager
def listening(host: Host, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`xdpctl export --listen`, ready to be asked; it is told to end, and does."""
    command = [*XDPCTL, "export", "--listen", "127.0.0.1:9417", *arguments]
    with host.popen(command, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "listening on http://127.0.0.1:9417/metrics\n"
        yield process
        process.send_signal(signal.SIGTERM)
        assert (process.wait(30), process.stderr.read()) == (0, "")


def get(host: Host, url: str) -> str:
    with host.call(urllib.request.urlopen, url, timeout=30) as answer:
        return answer.read().decode()


def values(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_prometheus_scrapes_a_lab_and_answers_a_query(attached: Attached, tmp_path: Path) -> None:
    (tmp_path / "prometheus.yml").write_text(CONFIG, encoding="utf-8")
    right = attached.right
    assert xdpctl(right, "rule", "add", "eth0", "drop", "--proto", "udp", "--name", "no-udp")
    attached.left.send("eth0", [UDP_FRAME] * 20 + [TCP_FRAME] * 30)
    prometheus = [
        "prometheus",
        f"--config.file={tmp_path}/prometheus.yml",
        f"--storage.tsdb.path={tmp_path}/data",
        "--web.listen-address=127.0.0.1:9090",
    ]

    def answer(query: str) -> dict[str, str]:
        try:
            text = get(right, f"http://127.0.0.1:9090/api/v1/query?query={quote(query)}")
        except OSError as error:  # it is not there, or not ready yet
            if isinstance(error, urllib.error.HTTPError):
                error.close()
            return {}
        result = json.loads(text)["data"]["result"]
        return {",".join(sorted(each["metric"].values())): each["value"][1] for each in result}

    with (
        listening(right),
        right.popen(prometheus, stderr=subprocess.DEVNULL) as process,
    ):
        until(lambda: answer("sum by (verdict) (xdpctl_packets_total)") != {})
        assert answer("sum by (verdict) (xdpctl_packets_total)") == {
            "aborted": "0",
            "drop": "20",
            "pass": "30",
        }
        assert answer('sum by (rule) (xdpctl_rule_packets_total{rule="no-udp"})') == {
            "no-udp": "20"
        }
        bytes_ = 20 * len(UDP_FRAME) + 30 * len(TCP_FRAME)
        assert answer("sum(xdpctl_packet_size_bytes_sum)") == {"": str(bytes_)}
        attached.left.send("eth0", [TCP_FRAME] * 5)
        until(lambda: answer('sum(xdpctl_protocol_packets_total{protocol="tcp"})') == {"": "35"})
        process.terminate()


def test_scrape_has_what_stats_has(attached: Attached) -> None:
    attached.left.send("eth0", [UDP_FRAME] * 20 + [TCP_FRAME] * 30 + [eth(IPV4)])
    stats = xdpctl_json(attached.right, "stats", "eth0")
    with listening(attached.right, "eth0"):
        found = values(get(attached.right, "http://127.0.0.1:9417/metrics"))
    for row in stats["protocols"]:
        key = ("eth0", row["protocol"])
        assert found["xdpctl_protocol_packets_total", *key] == row["packets"]
        assert found["xdpctl_protocol_bytes_total", *key] == row["bytes"]
    assert found["xdpctl_malformed_packets_total", "eth0", "short-ipv4"] == 1
    assert found["xdpctl_packet_size_bytes_count", "eth0"] == stats["packets"] == 51


def test_interfaces_come_and_go_between_scrapes(attached: Attached) -> None:
    def up() -> dict[str, float]:
        found = values(get(attached.right, "http://127.0.0.1:9417/metrics"))
        return {key[1]: value for key, value in found.items() if key[0] == "xdpctl_up"}

    with listening(attached.right):
        assert up() == {"eth0": 1}
        xdpctl(attached.right, "attach", "lo")
        assert up() == {"eth0": 1, "lo": 1}
        attached.right.delete("eth0")
        assert up() == {"lo": 1}
        xdpctl(attached.right, "detach", "lo")
        assert up() == {}


def test_interface_that_was_named_is_waited_for(attached: Attached) -> None:
    def up() -> float:
        return values(get(attached.right, "http://127.0.0.1:9417/metrics"))["xdpctl_up", "eth0"]

    with listening(attached.right, "eth0"):
        assert up() == 1
        xdpctl(attached.right, "detach", "eth0")
        assert up() == 0
        xdpctl(attached.right, "attach", "eth0")
        assert up() == 1


def test_textfile_is_replaced_whole_and_readable_by_others(
    attached: Attached, tmp_path: Path
) -> None:
    path = tmp_path / "xdpctl.prom"
    path.write_text("old", encoding="utf-8")
    attached.left.send("eth0", [UDP_FRAME] * 7)
    assert xdpctl(attached.right, "export", "--textfile", str(path)).returncode == 0
    found = values(path.read_text(encoding="utf-8"))
    assert found["xdpctl_protocol_packets_total", "eth0", "udp"] == 7
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert [each.name for each in tmp_path.iterdir()] == ["xdpctl.prom"]
    printed = xdpctl(attached.right, "export").stdout
    assert values(printed)["xdpctl_protocol_packets_total", "eth0", "udp"] == 7


def test_textfile_is_written_again_and_again(attached: Attached, tmp_path: Path) -> None:
    path = tmp_path / "xdpctl.prom"

    def udp() -> float:
        known = values(path.read_text(encoding="utf-8")) if path.exists() else {}
        return known.get(("xdpctl_protocol_packets_total", "eth0", "udp"), -1)

    command = [*XDPCTL, "export", "eth0", "--textfile", str(path), "--watch", "0.1"]
    with attached.right.popen(command) as process:
        until(lambda: udp() == 0)
        attached.left.send("eth0", [UDP_FRAME] * 7)
        until(lambda: udp() == 7)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--listen", "nonsense"), 2, "nonsense: no ADDRESS:PORT"),
        (("--listen", "127.0.0.1:0"), 2, "127.0.0.1:0: no ADDRESS:PORT"),
        (("--listen", "127.0.0.1:65536"), 2, "127.0.0.1:65536: no ADDRESS:PORT"),
        (("--listen", "198.51.100.1:9"), 3, "198.51.100.1:9: Cannot assign requested address"),
        (("--listen", ":9", "--textfile", "x"), 2, "--listen or --textfile, not both"),
        (("--watch",), 2, "--watch is for --textfile"),
        (("--textfile", "/no/such/x"), 3, "/no/such/x: No such file or directory"),
        (("--json",), 2, "metrics have a format of their own"),
        (("eth9",), 3, "eth9: no such interface"),
    ],
)
def test_mistake_is_one_line(
    attached: Attached, arguments: tuple[str, ...], code: int, message: str
) -> None:
    done = xdpctl(attached.right, "export", *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr.splitlines()[0]
    assert len(done.stderr.splitlines()) <= 2
