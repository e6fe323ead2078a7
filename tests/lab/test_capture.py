"""`xdpctl capture`: what tshark and python-pcapng read of it is what was sent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import warnings
from pathlib import Path
from typing import Any

import pcapng
import pytest
from pcapng.blocks import EnhancedPacket, InterfaceStatistics

from netns_lab import traffic
from netns_lab.fixtures import Attached
from tests.lab.conftest import XDPCTL, xdpctl
from tests.lab.private_labs import until
from tests.lab.sampled import ended, readers, reading, set_leases
from tests.lab.test_trace import RULES, TCP_FRAME, UDP_FRAME, apply, in_words

FIELDS = (
    "frame.verdict.ebpf_xdp",
    "frame.comment",
    "frame.interface_name",
    "frame.len",
    "frame.cap_len",
    "frame.packet_flags_direction",
    "frame.time_epoch",
)


def tshark(path: Path, *options: str) -> list[dict[str, str]]:
    """A dictionary of FIELDS for each packet."""
    asked = [word for field in FIELDS for word in ("-e", field)]
    command = ["tshark", "-n", "-r", str(path), *options, "-T", "fields", *asked]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [dict(zip(FIELDS, line.split("\t"), strict=True)) for line in done.stdout.splitlines()]


def blocks(path: Path, kind: type) -> list[Any]:
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of its own table of options
        return [each for each in pcapng.FileScanner(file) if isinstance(each, kind)]


def frames_in(path: Path) -> list[bytes]:
    return [each.packet_data for each in blocks(path, EnhancedPacket)]


@pytest.mark.parametrize("ready", ["driver", "skb"], indirect=True)
def test_file_has_each_packet_as_it_was_sent(ready: Attached, tmp_path: Path) -> None:
    apply(ready, tmp_path, RULES)
    frames, path = [*traffic.mix().values()], tmp_path / "all.pcapng"
    before = time.time()
    limit = ("--limit", str(len(frames)))
    with reading(ready.right, "capture", "eth0", "-w", str(path), *limit) as process:
        ready.left.send("eth0", frames)
        output, errors = ended(process)
    after = time.time()
    assert output == ""
    assert errors.splitlines() == [
        "capturing from eth0; Ctrl-C ends it",
        f"{path}: {len(frames)} packets written, 0 came too fast",
    ]
    assert frames_in(path) == frames
    rows = tshark(path)
    words = [in_words(frame) for frame in frames]
    codes = {"drop": "1", "pass": "2"}  # enum xdp_action
    assert [int(row["frame.verdict.ebpf_xdp"], 0) for row in rows] == [
        int(codes[verdict]) for verdict, _ in words
    ]
    comments = ["" if why == "-" else why for _, why in words]
    assert [row["frame.comment"] for row in rows] == comments
    assert {row["frame.interface_name"] for row in rows} == {"eth0"}
    assert [row["frame.len"] for row in rows] == [str(len(frame)) for frame in frames]
    times = [float(row["frame.time_epoch"]) for row in rows]
    assert times == sorted(times)
    assert before - 0.01 <= times[0] <= times[-1] <= after + 0.01
    dropped = [row for row in tshark(path, "-Y", "frame.verdict.ebpf_xdp == 1")]
    assert len(dropped) == sum(verdict == "drop" for verdict, _ in words)
    (statistics,) = blocks(path, InterfaceStatistics)
    assert statistics.options["isb_ifdrop"] == 0
    assert statistics.options["isb_usrdeliv"] == len(frames)


def test_standard_output_is_a_pipe_for_tshark(ready: Attached, tmp_path: Path) -> None:
    out = tmp_path / "read.txt"
    words = ("capture", "eth0", "-w", "-", "--limit", "3", "--verdict", "pass")
    with (
        out.open("w") as written,
        ready.right.popen(
            ["tshark", "-n", "-r", "-", "-T", "fields", "-e", "frame.verdict.ebpf_xdp"],
            stdin=subprocess.PIPE, stdout=written, stderr=subprocess.DEVNULL,
        ) as reader,
        reading(ready.right, *words, stdout=reader.stdin) as process,
    ):  # fmt: skip
        assert reader.stdin is not None
        reader.stdin.close()
        ready.left.send("eth0", [TCP_FRAME] * 3)
        ended(process)
        assert reader.wait(60) == 0
    assert [int(line, 0) for line in out.read_text().splitlines()] == [2, 2, 2]


def test_conditions_hold_for_packets_of_which_little_is_wanted(
    ready: Attached, tmp_path: Path
) -> None:
    """20 bytes do not say that it is UDP."""
    path = tmp_path / "few.pcapng"
    options = ("--snaplen", "20", "--proto", "udp", "--dport", "53", "--limit", "2", "--json")
    with reading(ready.right, "capture", "eth0", "-w", str(path), *options) as process:
        ready.left.send("eth0", [TCP_FRAME, UDP_FRAME, TCP_FRAME, UDP_FRAME])
        output, errors = ended(process)
    assert json.loads(output) == {
        "interface": "eth0", "file": str(path), "written": 2, "lost": 0
    }  # fmt: skip
    assert errors == ""
    assert frames_in(path) == [UDP_FRAME[:20]] * 2
    assert {row["frame.len"] for row in tshark(path)} == {str(len(UDP_FRAME))}


def test_what_came_too_fast_is_counted_and_said(ready: Attached, tmp_path: Path) -> None:
    """A ring of 16 MiB has no room for 9,000 records of more than 2,048 bytes."""
    path, count = tmp_path / "flood.pcapng", 9000
    with reading(ready.right, "capture", "eth0", "-w", str(path)) as process:
        process.send_signal(signal.SIGSTOP)
        in_an_hour_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) + 3600 * 10**9
        set_leases(ready.right, in_an_hour_ns)
        ready.left.send("eth0", [UDP_FRAME + bytes(1400)] * count)
        process.send_signal(signal.SIGCONT)
        _, errors = ended(process, signal.SIGINT)
    written = len(frames_in(path))
    assert 0 < written < count
    assert errors.splitlines()[-1] == (
        f"{path}: {written:,} packets written, {count - written:,} came too fast"
    )
    (statistics,) = blocks(path, InterfaceStatistics)
    assert statistics.options["isb_ifdrop"] == count - written
    assert statistics.options["isb_usrdeliv"] == written


def test_several_read_at_once_and_one_that_is_killed_disturbs_nobody(
    ready: Attached, tmp_path: Path
) -> None:
    one, two = tmp_path / "one.pcapng", tmp_path / "two.pcapng"
    host = ready.right
    with (
        reading(host, "capture", "eth0", "-w", str(one)) as first,
        reading(host, "capture", "eth0", "-w", str(two), "--proto", "tcp", count=2) as second,
        reading(host, "top", "eth0", "--json", "--one-in", "1", count=3) as top,
        reading(host, "trace", "eth0", count=4) as killed,
    ):
        ready.left.send("eth0", [UDP_FRAME, TCP_FRAME])
        killed.kill()
        ready.left.send("eth0", [TCP_FRAME] * 5)
        assert top.stdout is not None
        while json.loads(top.stdout.readline())["packets"] == 0:
            pass
        for process in (first, second, top):
            ended(process, signal.SIGINT)
    assert frames_in(one) == [UDP_FRAME] + [TCP_FRAME] * 6
    assert frames_in(two) == [TCP_FRAME] * 6
    assert readers(host) == 1  # which the data plane will end with its lease


def test_file_that_cannot_be_written_is_a_line(ready: Attached, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    precious = tmp_path / "precious"
    precious.write_text("of root's")
    (shared / "link").symlink_to(precious)
    os.link(precious, shared / "hard")
    (shared / "others").touch()
    os.chown(shared / "others", 65534, 65534)
    expected = {
        "/dev/full": (3, "no space left on device"),
        str(tmp_path / "nowhere" / "x"): (2, "no such file or directory"),
        str(tmp_path): (2, "is a directory"),
        str(shared / "link"): (2, "is a symbolic link where everybody can write: not followed"),
        str(shared / "hard"): (
            2, "has other names (hard links), under which it would change as well",
        ),
        str(shared / "others"): (2, "is somebody else's, where everybody can write"),
    }  # fmt: skip
    for path, (code, why) in expected.items():
        done = xdpctl(ready.right, "capture", "eth0", "-w", path, "--seconds", "0.1")
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        assert done.stderr.splitlines()[-1] == f"xdpctl: {path}: {why}"
    assert precious.read_text() == "of root's"
    assert readers(ready.right) == 0
    done = xdpctl(ready.right, "capture", "eth0", "-w", "-", "--json")
    assert (done.returncode, done.stdout) == (2, "")


def test_disk_that_fills_meanwhile_ends_it_with_a_line(ready: Attached, tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = f"mount -t tmpfs -o size=16k none {folder} && exec "
    command = mount + " ".join([*XDPCTL, "capture", "eth0", "-w", f"{folder}/x"])
    unshare = ["unshare", "--mount", "--propagation", "private", "sh", "-c", command]
    with ready.right.popen(unshare, stderr=subprocess.PIPE) as process:
        until(lambda: process.poll() is not None or readers(ready.right) == 1)
        ready.left.send("eth0", [TCP_FRAME + bytes(1000)] * 40)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 3
    assert errors.splitlines()[1:] == [f"xdpctl: {folder}/x: no space left on device"]
    assert readers(ready.right) == 0
