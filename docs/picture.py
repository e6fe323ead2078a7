"""Draws docs/stats.svg from what the commands really print in a lab (`make picture`, as root)."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from netns_lab import Lab, traffic

COMMANDS = (
    ["attach", "eth0"],
    ["stats", "eth0", "--watch", "1", "--count", "1"],
    ["histogram", "eth0"],
)


def main() -> None:
    with Lab() as lab, open(os.devnull, "w", encoding="utf-8") as nowhere:
        left, right = lab.hosts("left", "right")
        lab.link(left, right)
        frames = [*traffic.mix().values(), *sizes()]
        screen = Console(record=True, width=80, file=nowhere)
        environment = os.environ | {"FORCE_COLOR": "1", "COLUMNS": "80", "TERM": "xterm-256color"}
        for command in COMMANDS:
            process = right.popen(
                [sys.executable, "-m", "xdpctl", *command], stdout=-1, env=environment
            )
            while process.poll() is None:
                if command[0] == "stats":
                    left.send("eth0", frames)
            output = process.communicate()[0].strip("\n")
            screen.print(Text.assemble(("# ", "bold green"), f"xdpctl {' '.join(command)}"))
            screen.print(Text.from_ansi(output))
            screen.print()
        svg = screen.export_svg(title="xdpctl")
    # No fonts from elsewhere: whoever looks at the picture should not be seen by others.
    svg = re.sub(r"@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    Path(__file__).with_name("stats.svg").write_text(svg, encoding="utf-8")


def sizes() -> list[bytes]:
    """TCP with payloads as a web server sends them: few small ones, many full ones."""
    from scapy.layers.inet import IP, TCP  # noqa: PLC0415
    from scapy.layers.l2 import Ether  # noqa: PLC0415

    ends = {"src": "192.0.2.1", "dst": "192.0.2.2"}
    head = Ether(src=traffic.LEFT_MAC, dst=traffic.RIGHT_MAC) / IP(**ends) / TCP(dport=80)
    lengths = [0] * 9 + [200, 300, 300, 450, 600, 700, 900, 1000] + [1460] * 20
    return [bytes(head / bytes(length)) for length in lengths]


if __name__ == "__main__":
    main()
