"""Count IPv4 packets and drop those to UDP port 7: first.py IFACE, until Ctrl-C."""

import socket
import sys
import time
from pathlib import Path

from xdpctl.pylibbpf import Object, PylibbpfError, compile


def main(interface: str) -> None:
    source = Path(__file__).with_name("first.bpf.c").read_text(encoding="utf-8")
    with Object.open(compile(source)) as obj:
        obj.load()
        with obj.programs.first.attach_xdp(socket.if_nametoindex(interface)):
            print(f"attached to {interface}; Ctrl-C detaches")
            while True:
                time.sleep(1)
                for protocol, cpus in obj.maps.counts.items():
                    passed, dropped = sum(c.passed for c in cpus), sum(c.dropped for c in cpus)
                    if passed or dropped:
                        print(f"protocol {protocol}: {passed} passed, {dropped} dropped")


if __name__ == "__main__":
    if len(sys.argv) != 2:  # noqa: PLR2004
        sys.exit(__doc__)
    sys.stdout.reconfigure(line_buffering=True)  # in a pipe, too
    try:
        main(sys.argv[1])
    except KeyboardInterrupt:
        print("detached")
    except (OSError, PylibbpfError) as error:
        sys.exit(f"first.py: {error}\n{getattr(error, 'hint', '')}".rstrip())
