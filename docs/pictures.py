"""Draws docs/stats.svg and docs/dashboard.svg from what is really to be seen in a lab (`make
pictures`, as root)."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.text import Text

from netns_lab import Host, Lab, traffic
from netns_lab.namespace import Namespace
from xdpctl.cli.screen.app import Dashboard
from xdpctl.observe.live import LiveInterfaces
from xdpctl.observe.monitor import Monitor

DOCS = Path(__file__).parent
XDPCTL = [sys.executable, "-m", "xdpctl"]
COMMANDS = (
    ["attach", "eth0"],
    ["stats", "eth0", "--watch", "1", "--count", "1"],
    ["histogram", "eth0"],
)
RULES = """
name: edge
rules:
  - {name: no-telnet, action: drop, proto: tcp, dport: [23, 2323]}
  - {name: udp-flood, action: limit, proto: udp, rate: 600/s}
  - {name: dns-answers, action: drop, proto: udp, dport: 53}
  - {name: web, action: pass, proto: tcp, dport: [80, 443]}
"""
BANS = (
    ("192.0.2.96", "--for", "30m", "--tag", "sshd"),
    ("198.51.100.0/24", "2001:db8:bad::/48", "--tag", "scan"),
)
DASHBOARD_SIZE = (160, 50)
DASHBOARD_SECONDS = 45


def main() -> None:
    with Lab() as lab, open(os.devnull, "w", encoding="utf-8") as nowhere:
        left, right = lab.hosts("left", "right")
        lab.link(left, right)
        draw_stats(left, right, Console(record=True, width=80, file=nowhere))
        right.run([*XDPCTL, "apply", "eth0", "-"], input=RULES)
        for ban in BANS:
            right.run([*XDPCTL, "ban", "eth0", *ban])
        draw_dashboard(left, right)


def draw_stats(left: Host, right: Host, screen: Console) -> None:
    frames = [*traffic.mix().values(), *sizes()]
    environment = os.environ | {"FORCE_COLOR": "1", "COLUMNS": "80", "TERM": "xterm-256color"}
    for command in COMMANDS:
        process = right.popen([*XDPCTL, *command], stdout=-1, env=environment)
        while process.poll() is None:
            if command[0] == "stats":
                left.send("eth0", frames)
        output = process.communicate()[0].strip("\n")
        screen.print(Text.assemble(("# ", "bold green"), f"xdpctl {' '.join(command)}"))
        screen.print(Text.from_ansi(output))
        screen.print()
    write("stats.svg", screen.export_svg(title="xdpctl"))


def draw_dashboard(left: Host, right: Host) -> None:
    """As a terminal on the right host has it after a while of traffic."""

    async def run() -> str:
        with LiveInterfaces(["eth0"]) as live:
            app = Dashboard(Monitor(Inside(right.namespace, live)), interval_s=1)
            async with app.run_test(size=DASHBOARD_SIZE) as pilot:
                await pilot.pause(DASHBOARD_SECONDS)
                return app.export_screenshot(title="xdpctl dashboard eth0")

    with waves(left):
        write("dashboard.svg", asyncio.run(run()))


class Inside:
    """The interfaces of a host, read from without: Textual wants the main thread."""

    def __init__(self, namespace: Namespace, live: LiveInterfaces) -> None:
        self._namespace, self._live = namespace, live

    def read(self):
        return self._namespace.call(self._live.read)


@contextmanager
def waves(host: Host) -> Iterator[None]:
    """Traffic that rises and falls, some of it faster."""
    mix, stop = traffic.mix(), threading.Event()
    web, banned = sizes(), [syn("192.0.2.96"), syn("198.51.100.7"), syn("198.51.100.8")]

    def send() -> None:
        turn = 0
        while not stop.wait(0.1):
            turn += 1
            host.send("eth0", [*mix.values()] * (2 + turn % 7))
            host.send("eth0", web * (3 + abs(60 - turn % 120) // 4))
            host.send("eth0", banned * (1 + turn // 40))
            host.send("eth0", [mix["UDP"]] * (40 * (1 + (turn // 90) % 2) + turn % 31))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def syn(source: str) -> bytes:
    """As whoever tries passwords sends it."""
    from scapy.layers.inet import IP, TCP  # noqa: PLC0415
    from scapy.layers.l2 import Ether  # noqa: PLC0415

    head = Ether(src=traffic.LEFT_MAC, dst=traffic.RIGHT_MAC) / IP(src=source, dst="192.0.2.2")
    return bytes(head / TCP(dport=22))


def sizes() -> list[bytes]:
    """TCP with payloads as a web server sends them: few small ones, many full ones."""
    from scapy.layers.inet import IP, TCP  # noqa: PLC0415
    from scapy.layers.l2 import Ether  # noqa: PLC0415

    ends = {"src": "192.0.2.1", "dst": "192.0.2.2"}
    head = Ether(src=traffic.LEFT_MAC, dst=traffic.RIGHT_MAC) / IP(**ends) / TCP(dport=80)
    lengths = [0] * 9 + [200, 300, 300, 450, 600, 700, 900, 1000] + [1460] * 20
    return [bytes(head / bytes(length)) for length in lengths]


def write(name: str, svg: str) -> None:
    # No fonts from elsewhere: whoever looks at the picture should not be seen by others.
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    (DOCS / name).write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
