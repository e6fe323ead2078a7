"""Runs first.py on a host of a lab and sends it packets: `make example`, as root."""

import re
import signal
import subprocess
import sys
from pathlib import Path

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Ether

from netns_lab import Lab

SENT = 40
ENDS = {"src": "192.0.2.1", "dst": "192.0.2.2"}


def main() -> None:
    with Lab() as lab:
        left, right = lab.hosts("left", "right")
        lab.link(left, right)
        # Whoever runs us may ignore Ctrl-C, as shells do for what runs in the background.
        program = ["env", "--default-signal=INT", sys.executable]
        script = Path(__file__).with_name("first.py")
        with right.popen([*program, script, "eth0"], stdout=subprocess.PIPE) as first:
            assert first.stdout is not None
            print(first.stdout.readline(), end="")
            for layer in (TCP(dport=80), UDP(dport=53), UDP(dport=7), ICMP()):
                left.send("eth0", [Ether() / IP(**ENDS) / layer] * 10)
            print("sent 10 each of TCP, UDP to port 53, UDP to port 7 and ICMP")
            counts: dict[str, str] = {}  # the latest line of each protocol
            while sum(map(int, re.findall(r"(\d+) (?:pass|dropp)ed", str(counts)))) < SENT:
                line = first.stdout.readline()
                counts[line.partition(":")[0]] = line
            print(*counts.values(), sep="", end="")
            first.send_signal(signal.SIGINT)
            print(first.communicate()[0].splitlines()[-1])


if __name__ == "__main__":
    main()
