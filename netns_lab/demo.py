"""`make demo`: two hosts joined by a veth pair, real packets, what xdpctl counts and drops."""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from netns_lab import Host, Lab, LabError, traffic
from netns_lab.headers import headers_of

_ROUNDS = 100
_UDP = 17
_FRAMES_PER_SECOND = 2000
_XDPCTL = [sys.executable, "-m", "xdpctl"]


def main() -> int:
    """Show driver mode, then SKB mode. Returns the exit status."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    frames = list(traffic.mix().values())
    try:
        with Lab() as lab:
            left, right = lab.hosts("left", "right")
            lab.link(left, right)
            _say("two hosts, joined by a veth pair whose ends are both called eth0")
            return max(_show(left, right, mode, frames) for mode in ("driver", "skb"))
    except KeyboardInterrupt:
        print("interrupted; nothing is left", file=sys.stderr)
        return 130
    except LabError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 3
    except subprocess.CalledProcessError as error:
        return error.returncode


def _show(left: Host, right: Host, mode: str, frames: Sequence[bytes]) -> int:
    _say(f"{mode} mode: {len(frames) * _ROUNDS:,} frames of {len(frames)} kinds")
    _xdpctl(right, "attach", "eth0", "--mode", mode)
    sender = threading.Thread(target=_send, args=(left, frames))
    sender.start()
    try:
        _xdpctl(right, "stats", "eth0", "--watch", "1", "--count", "1")
    finally:
        sender.join()
    _xdpctl(right, "histogram", "eth0")
    _xdpctl(right, "status")
    counted = right.run([*_XDPCTL, "stats", "eth0", "--json"]).stdout
    status = max(_compare(counted, len(frames) * _ROUNDS), _filter(left, right, frames))
    _xdpctl(right, "detach", "eth0")
    return status


def _filter(left: Host, right: Host, frames: Sequence[bytes]) -> int:
    """A rule drops its packets, and the rest arrives."""
    _xdpctl(right, "rule", "add", "eth0", "drop", "--proto", "udp", "--name", "no-udp")
    passed = sorted(frame for frame in frames if headers_of(frame).protocol != _UDP)
    with right.capture("eth0") as capture:
        left.send("eth0", frames)
        arrived = sorted(capture.wait(len(passed)))
    _xdpctl(right, "rule", "list", "eth0")
    dropped = len(frames) - len(passed)
    _say(f"sent {len(frames)} frames, {dropped} of them UDP: {len(arrived)} arrived")
    return 0 if arrived == passed else 1


def _send(host: Host, frames: Sequence[bytes]) -> None:
    """All kinds again and again, at a pace that gives the rates something to show."""
    start = time.monotonic()
    for round_ in range(_ROUNDS):
        host.send("eth0", frames)
        due = start + (round_ + 1) * len(frames) / _FRAMES_PER_SECOND
        time.sleep(max(0.0, due - time.monotonic()))


def _compare(stats: str, sent: int) -> int:
    import json  # noqa: PLC0415

    counted = json.loads(stats)["packets"]
    _say(f"sent {sent:,} frames, counted {counted:,}")
    return 0 if counted == sent else 1


def _xdpctl(host: Host, *arguments: str) -> None:
    print(f"\n{host.name}$ xdpctl {shlex.join(arguments)}", flush=True)
    # No pipe: on a terminal it may show what it shows on terminals.
    host.popen([*_XDPCTL, *arguments]).wait()


def _say(text: str) -> None:
    print(f"\n=== {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
