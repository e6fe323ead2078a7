"""The examples do what they say, on real packets."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from netns_lab import Lab
from netns_lab.fixtures import Pair
from tests.packets import IPV4, TCP, eth, ipv4

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
DNS, ECHO = b"\x9c\x40\x00\x35\x00\x08\x00\x00", b"\x9c\x40\x00\x07\x00\x08\x00\x00"  # RFC 768


def test_first_xdp_counts_by_protocol_and_drops_echo(pair: Pair) -> None:
    passing = [eth(IPV4, ipv4(6, TCP)), eth(IPV4, ipv4(17, DNS))]
    dropped = eth(IPV4, ipv4(17, ECHO))
    # Whoever runs the tests may ignore SIGINT, as shells do for what runs in the background.
    program = ["env", "--default-signal=INT", sys.executable]
    with pair.right.popen(
        [*program, EXAMPLES / "first_xdp" / "first.py", "eth0"], stdout=subprocess.PIPE
    ) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "attached to eth0; Ctrl-C detaches\n"
        with pair.right.capture("eth0") as capture:
            pair.left.send("eth0", [dropped, *passing, dropped] * 10)
            assert sorted(capture.wait(20)) == sorted(passing * 10)
        while (line := first.stdout.readline()) != "protocol 17: 10 passed, 20 dropped\n":
            assert re.match(r"protocol \d+: \d+ passed, \d+ dropped\n", line)
        first.send_signal(signal.SIGINT)
        assert first.communicate(timeout=30)[0].endswith("detached\n")
    assert first.returncode == 0


def test_first_xdp_in_a_lab_shows_what_was_counted() -> None:
    command = [sys.executable, str(EXAMPLES / "first_xdp" / "in_a_lab.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.splitlines()[2:] == [
        "protocol 1: 10 passed, 0 dropped",
        "protocol 6: 10 passed, 0 dropped",
        "protocol 17: 10 passed, 10 dropped",
        "detached",
    ]


@pytest.mark.parametrize(
    ("arguments", "path", "expected"),
    [
        (
            [],
            None,
            "Count IPv4 packets and drop those to UDP port 7: first.py IFACE, until Ctrl-C.",
        ),
        (["nowhere"], None, "first.py: no interface with this name\n"),
        (["lo"], "/nowhere", "first.py: clang is not installed\napt install clang llvm libbpf-dev"),
    ],
)
def test_first_xdp_says_in_a_line_what_is_wrong(
    lab: Lab, arguments: list[str], path: str | None, expected: str
) -> None:
    command = [sys.executable, EXAMPLES / "first_xdp" / "first.py", *arguments]
    setting = ["env", f"PATH={path}"] if path else []
    done = lab.host("a").run([*setting, *command], check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(expected)
    assert done.stderr.count("\n") <= 2
