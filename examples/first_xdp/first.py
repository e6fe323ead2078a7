"""Count IPv4 packets and drop those to UDP port 7: first.py IFACE, until Ctrl-C."""

import contextlib
import socket
import sys
import time
from pathlib import Path

from xdpctl.pylibbpf import Object, compile

source = Path(__file__).with_name("first.bpf.c").read_text(encoding="utf-8")
with Object.open(compile(source)) as obj, contextlib.suppress(KeyboardInterrupt):
    obj.load()
    with obj.programs.first.attach_xdp(socket.if_nametoindex(sys.argv[1])):
        print(f"attached to {sys.argv[1]}; Ctrl-C detaches", flush=True)
        while True:
            time.sleep(1)
            for protocol, cpus in obj.maps.counts.items():
                passed, dropped = sum(c.passed for c in cpus), sum(c.dropped for c in cpus)
                if passed or dropped:
                    print(f"protocol {protocol}: {passed} passed, {dropped} dropped", flush=True)
print("detached")
