"""examples/crowdsec with a server that speaks CrowdSec's stream of decisions."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from netns_lab.fixtures import Attached
from tests.lab.conftest import XDPCTL
from tests.lab.test_bans import packet, until

SCRIPT = Path(__file__).parent.parent.parent / "examples/crowdsec/crowdsec_bans.py"
KEY = "0123456789abcdef"
COUNT = 120_000


def decision(value: str, duration: str = "3h59m41.5s", **others: str) -> dict[str, Any]:
    """As https://docs.crowdsec.net has it."""
    return {
        "duration": duration,
        "id": 1,
        "origin": "CAPI",
        "scenario": "crowdsecurity/ssh-bf",
        "scope": "Range" if "/" in value else "Ip",
        "type": "ban",
        "value": value,
    } | others


class LocalApi:
    """Answers to polls: `all` to those at the start, and `stream`, once, to the others."""

    def __init__(self) -> None:
        self._polls_wanted = 0
        self.all: list[dict[str, Any]] = []
        self.stream: dict[str, list[dict[str, Any]] | None] = {"new": None, "deleted": None}
        self.polls: list[str] = []

    def answer(self, path: str) -> dict[str, Any]:
        self.polls.append(path)
        if path.endswith("?startup=true"):
            return {"new": self.all, "deleted": None}
        stream, self.stream = self.stream, {"new": None, "deleted": None}
        return stream

    def caught_up(self) -> bool:
        """Whether what the stream has held was asked for, and dealt with: it has polled again."""
        return not any(self.stream.values()) and len(self.polls) >= self._polls_wanted

    def next(self, **stream: list[dict[str, Any]]) -> None:
        self.stream = {"new": None, "deleted": None} | stream
        self._polls_wanted = len(self.polls) + 3


@pytest.fixture
def api(attached: Attached) -> Iterator[tuple[LocalApi, str]]:
    api = LocalApi()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers["X-Api-Key"] != KEY or "/v1/decisions/stream?" not in self.path:
                self.send_error(403)
                return
            body = json.dumps(api.answer(self.path)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    attached.right.run(["ip", "link", "set", "lo", "up"])
    server = attached.right.call(ThreadingHTTPServer, ("127.0.0.1", 0), Handler)
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield api, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def follow(attached: Attached, api: tuple[LocalApi, str], tmp_path: Path) -> Any:
    """Starts the script."""
    command = tmp_path / "xdpctl"
    command.write_text(f'#!/bin/sh\nexec {shlex.join(XDPCTL)} "$@"\n')
    command.chmod(0o755)
    env = os.environ | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "CROWDSEC_KEY": KEY,
        "CROWDSEC_URL": api[1],
        "CROWDSEC_POLL_S": "0.05",
    }
    arguments = [XDPCTL[0], str(SCRIPT), "eth0"]
    return lambda: attached.right.popen(arguments, env=env, stdout=subprocess.DEVNULL)


def tagged(attached: Attached) -> dict[str, dict[str, Any]]:
    listed = json.loads(attached.xdpctl("bans", "eth0", "--tag", "crowdsec", "--json"))
    return {f"{each['address']}/{each['prefix_length']}": each for each in listed}


def test_120_000_decisions_become_bans_and_end_with_them(
    attached: Attached, api: tuple[LocalApi, str], follow: Any
) -> None:
    """Their times differ by the second, over four hours."""
    addresses = [str(ip_address(0x0B000000 + 37 * n)) for n in range(COUNT)]
    server, _ = api
    server.all = [
        decision(each, f"{n // 3600 % 4}h{n // 60 % 60}m{n % 60 + 30}.25s")
        for n, each in enumerate(addresses, 3600)
    ]
    with follow() as script:
        until(lambda: len(server.polls) >= 2)
        listed = tagged(attached)
        assert listed.keys() == {f"{each}/32" for each in addresses}
        for n, each in enumerate(addresses[:10_000], 3600):
            left = listed[f"{each}/32"]["remaining"]
            assert n % 14400 - 60 < left <= n % 14400 + 30

        gone = server.all[: COUNT // 2]
        kept = decision(addresses[0], "10h")
        server.next(deleted=gone, new=[kept, decision("2001:db8::/32"), decision("192.0.2.9/24")])
        until(server.caught_up)
        listed = tagged(attached)
        assert len(listed) == COUNT // 2 + 3
        assert {"2001:db8::/32", "192.0.2.0/24"} < listed.keys()
        assert 35_000 < listed[f"{addresses[0]}/32"]["remaining"] <= 36_000
        assert f"{addresses[1]}/32" not in listed
        assert f"{addresses[-1]}/32" in listed
        script.terminate()
    sent = [packet(each) for each in ("192.0.2.77", "2001:db8::9", addresses[-1], addresses[1])]
    with attached.right.capture("eth0") as capture:
        attached.left.send("eth0", sent)
        assert capture.wait(1) == sent[-1:]


def test_when_it_starts_bans_become_what_is_decided_by_then(
    attached: Attached, api: tuple[LocalApi, str], follow: Any
) -> None:
    attached.xdpctl("ban", "eth0", "198.51.100.1", "198.51.100.2", "--tag", "crowdsec")
    attached.xdpctl("ban", "eth0", "198.51.100.3", "--tag", "mine")
    server, _ = api
    server.all = [
        decision("198.51.100.2", "1h0m0.2s"),
        decision("198.51.100.2", "30m"),
        decision("198.51.100.4", type="captcha"),
        decision("64500", scope="AS"),
        decision("fe80::1", "1h"),
        decision("198.51.100.5", "900ms"),
        decision("198.51.100.6", "1h"),
    ]
    with follow() as script:
        until(lambda: len(server.polls) >= 2)
        listed = tagged(attached)
        assert listed.keys() - {"198.51.100.5/32"} == {
            "198.51.100.2/32", "198.51.100.6/32", "fe80::1/128",
        }  # fmt: skip
        assert 3500 < listed["198.51.100.2/32"]["remaining"] <= 3600
        server.next(deleted=[decision("198.51.100.3"), decision("198.51.100.6", "-5m3s")])
        until(server.caught_up)
        assert "198.51.100.6/32" not in tagged(attached)
        script.terminate()
    everyone = json.loads(attached.xdpctl("bans", "eth0", "--json"))
    assert "198.51.100.3" in [each["address"] for each in everyone]


def test_what_was_detached_gets_everything_again(
    attached: Attached, api: tuple[LocalApi, str], follow: Any
) -> None:
    server, _ = api
    server.all = [decision("198.51.100.1")]
    with follow() as script:
        until(lambda: len(server.polls) >= 2)
        attached.xdpctl("detach", "eth0")
        server.next(new=[decision("198.51.100.2")])
        server.all.append(decision("198.51.100.2"))
        until(lambda: server.polls[-1].endswith("true") and len(server.polls) > 3)
        attached.xdpctl("attach", "eth0")
        until(lambda: len(tagged(attached)) == 2)
        script.terminate()
