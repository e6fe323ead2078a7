"""`xdpctl lab exec`, `shell` and `capture`: what a person does on a host, and who may not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.l2 import Ether
from scapy.utils import RawPcapReader, rdpcap

from tests.lab.private_labs import Done, PrivateLabs, one_line
from tests.packets import IPV4, UDP, eth, ipv4

FRAMES = [eth(IPV4, ipv4(17, UDP + n.to_bytes(22))) for n in range(50)]
SHOW = "import json, sys; json.dump(sys.argv[1:], sys.stdout)"


@pytest.fixture(scope="module")
def up() -> Iterator[PrivateLabs]:
    """A lab `pair`, for tests that leave it as it is."""
    with closing(PrivateLabs()) as labs:
        labs.lab("up")
        yield labs


# exec


def test_arguments_arrive_as_they_were_given(up: PrivateLabs) -> None:
    words = ["a b", "", "--", "-h", "--json", "-n", "$HOME", "*", "'\"\\", "\n", "-", "ä"]
    for dashes in (["--"], []):
        done = up.lab("exec", "a", *dashes, sys.executable, "-c", SHOW, *words)
        assert done.stdout == up.lab("exec", "--", "a", sys.executable, "-c", SHOW, *words).stdout
        assert json.loads(done.stdout) == words


def test_the_exit_status_is_that_of_the_command(up: PrivateLabs, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program\n")
    assert up.run("lab", "exec", "a", "--", "sh", "-c", "exit 7").returncode == 7
    assert up.run("lab", "exec", "a", "--", "sh", "-c", "kill -KILL $$").returncode == -9
    for word, code, expected in (
        ("no-such-command", 127, "no-such-command: no such command"),
        ("./missing", 127, "./missing: no such command"),
        ("", 127, ": no such command"),
        ("./text", 126, "./text: is not executable"),
        ("./", 126, "./: is a directory"),
    ):
        assert one_line(up.run("lab", "exec", "a", "--", word, cwd=tmp_path), code) == expected
    for words in (["a"], ["a", "--"], []):
        assert one_line(up.run("lab", "exec", *words), 2).startswith("Missing argument")


def test_a_command_has_the_hosts_network_and_the_callers_all_else(
    up: PrivateLabs, tmp_path: Path
) -> None:
    script = "pwd; echo $COLOUR; cat; ls -x /sys/class/net; grep SigIgn /proc/self/status"
    with up.start(
        "lab", "exec", "a", "--", "sh", "-c", script,
        cwd=tmp_path, env=os.environ | {"COLOUR": "sea green"}, stdin=subprocess.PIPE,
    ) as process:  # fmt: skip
        output, errors = process.communicate("from outside\n", timeout=60)
    where, colour, through, network, ignored = output.splitlines()
    assert (where, colour, through, errors) == (str(tmp_path), "sea green", "from outside", "")
    assert network.split() == ["eth0", "lo"]
    assert int(ignored.split()[1], 16) & (1 << signal.SIGPIPE - 1) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_meets_the_command_itself(up: PrivateLabs, number: signal.Signals) -> None:
    script = f"import signal, sys; signal.signal({number:d}, lambda *_: sys.exit(42))\n"
    script += "print('ready', flush=True); signal.pause()"
    with up.start("lab", "exec", "b", "--", sys.executable, "-c", script) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.wait(30) == 42


# shell


def on_a_terminal(
    labs: PrivateLabs, typed: str, *words: str, **environment: str
) -> tuple[int, str]:
    """Runs xdpctl on a terminal: its exit code, and what appears there."""
    controller, terminal = os.openpty()
    with os.fdopen(controller, "r+b", buffering=0) as screen, labs.start(
        *words, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
        env=os.environ | {"TERM": "dumb", "HOME": "/nonexistent"} | environment,
    ) as process:  # fmt: skip
        os.close(terminal)
        screen.write(typed.encode())
        shown = b""
        with suppress(OSError):  # EIO: the other side is closed
            while part := screen.read(4096):
                shown += part
        return process.wait(30), shown.decode()


@pytest.mark.parametrize("shell", ["/bin/bash", "/bin/sh", "/nonexistent", ""])
def test_a_shell_runs_on_the_host_and_says_which(up: PrivateLabs, shell: str) -> None:
    typed = "ip -brief address; tty; exit 5\n"
    code, shown = on_a_terminal(up, typed, "lab", "shell", "b", SHELL=shell)
    assert code == 5
    assert "host b of lab pair; leave with: exit" in shown
    assert "(pair/b) " in shown
    assert "192.0.2.2/24" in shown
    assert "/dev/pts/" in shown


def test_the_shell_is_ones_own(up: PrivateLabs, tmp_path: Path) -> None:
    own = tmp_path / "own shell"
    own.write_text("#!/bin/sh\necho mine: $#\nexit 6\n")
    own.chmod(0o755)
    done = up.run("lab", "shell", "a", env=os.environ | {"SHELL": str(own)})
    assert (done.returncode, done.stdout, done.stderr) == (6, "mine: 0\n", "")


def test_a_shell_inside_a_lab_takes_down_others_but_not_its_own_and_makes_none(
    labs: PrivateLabs,
) -> None:
    labs.lab("up")
    labs.lab("up", "--name", "other")
    xdpctl = f"{sys.executable} -m xdpctl lab"
    script = (
        f"{xdpctl} down pair; {xdpctl} down pair --kill; {xdpctl} up bridge; {xdpctl} down other"
    )
    done = labs.run("lab", "exec", "pair/a", "--", "sh", "-c", f"{script}; ip link show eth0 >&2")
    refused = "xdpctl: pair: this command runs on its host a\nhint: leave its shell first: exit\n"
    inside = "xdpctl: this command runs on host pair/a; a lab is made outside of others\n"
    assert (
        done.stderr
        == 2 * refused
        + inside
        + "hint: leave its shell first: exit\n"
        + (done.stderr.partition(inside)[2].partition("\n")[2])
    )
    assert (done.returncode, done.stdout) == (0, "lab other: down\n")
    assert labs.names == ["xdpctl-lab.pair.a", "xdpctl-lab.pair.b"]
    assert [os.path.basename(path) for path in labs.mounts] == labs.names


# capture


@contextmanager
def recording(
    labs: PrivateLabs, host: str, *words: str, **options: Any
) -> Iterator[subprocess.Popen[str]]:
    """A capture that listens already."""
    with labs.start("lab", "capture", host, *words, **options) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == f"recording pair/{host}:eth0; Ctrl-C ends it\n"
        yield process


def frames_in(path: Path) -> list[bytes]:
    with RawPcapReader(str(path)) as reader:
        return [frame for frame, _ in reader]


def test_a_capture_has_what_came_and_what_left_until_ctrl_c(
    up: PrivateLabs, tmp_path: Path
) -> None:
    path = tmp_path / "a.pcap"
    with recording(up, "a", "eth0", "-w", str(path)) as process:
        up.host("pair/b").send("eth0", FRAMES[:30])
        process.send_signal(signal.SIGSTOP)  # the rest waits in the kernel
        up.host("pair/a").send("eth0", FRAMES[30:])
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGCONT)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, f"{path}: 50 frames written\n")
    assert frames_in(path) == FRAMES
    assert [bytes(packet) for packet in rdpcap(str(path))] == FRAMES
    assert isinstance(rdpcap(str(path))[0], Ether)
    assert path.stat().st_size == 24 + sum(16 + len(frame) for frame in FRAMES)


def test_a_capture_ends_after_so_many_frames_or_seconds(up: PrivateLabs, tmp_path: Path) -> None:
    path = tmp_path / "b.pcap"
    with recording(up, "b", "eth0", "-w", str(path), "--count", "7") as process:
        up.host("pair/a").send("eth0", FRAMES)
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (0, f"{path}: 7 frames written\n")
    assert frames_in(path) == FRAMES[:7]
    empty = up.json("lab", "capture", "b", "eth0", "-w", str(path), "--seconds", "0.01")
    assert empty == {
        "host": "pair/b", "interface": "eth0", "file": str(path), "written": 0, "lost": 0,
    }  # fmt: skip
    assert path.stat().st_size == 24


def test_a_capture_goes_to_standard_output_but_not_to_a_terminal(
    up: PrivateLabs, tmp_path: Path
) -> None:
    path = tmp_path / "stdout.pcap"
    with path.open("wb") as file:
        words = ("a", "eth0", "-w", "-", "--count", "50")
        with recording(up, *words, stdout=file) as process:
            up.host("pair/b").send("eth0", FRAMES)
            assert process.wait(30) == 0
    assert frames_in(path) == FRAMES
    code, shown = on_a_terminal(up, "", "lab", "capture", "a", "eth0", "-w", "-")
    assert (code, shown) == (2, "xdpctl: -: packets do not go with a terminal\r\nhint: -w FILE\r\n")
    done = up.run("lab", "capture", "a", "eth0", "-w", "-", "--json")
    assert (done.returncode, done.stdout) == (2, "")


def test_a_capture_ends_with_its_interface(labs: PrivateLabs, tmp_path: Path) -> None:
    labs.lab("up")
    path = tmp_path / "a.pcap"
    with recording(labs, "a", "eth0", "-w", str(path)) as process:
        labs.host("pair/b").send("eth0", FRAMES)
        labs.lab("down")
        _, errors = process.communicate(timeout=30)
    assert (process.returncode, frames_in(path)) == (0, FRAMES)
    assert errors == f"{path}: 50 frames written; the interface is gone\n"


def test_a_file_that_cannot_be_written_is_told(up: PrivateLabs, tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere" / "x")
    for path, reason in (
        (tmp_path, "is a directory"),
        (tmp_path / "nowhere" / "x", "no such file or directory"),
        (tmp_path / "dangling", "no such file or directory"),
    ):
        done = up.run("lab", "capture", "a", "eth0", "-w", str(path))
        assert one_line(done, 2) == f"{path}: {reason}"
    full = up.run("lab", "capture", "a", "eth0", "-w", "/dev/full")
    assert (full.returncode, full.stdout) == (3, "")
    assert full.stderr.splitlines()[1:] == ["xdpctl: /dev/full: no space left on device"]


def test_a_file_is_written_anew_or_through_a_link_but_not_for_a_wrong_name(
    up: PrivateLabs, tmp_path: Path
) -> None:
    precious, link = tmp_path / "precious", tmp_path / "link"
    precious.write_text("x" * 10_000)
    link.symlink_to(precious)
    for name in ("eth9", os.fsdecode(b"\xff")):
        refused = up.run("lab", "capture", "a", name, "-w", str(precious))
        assert one_line(refused, 3).endswith(": no such interface")
    assert precious.read_text() == "x" * 10_000
    with recording(up, "a", "eth0", "-w", str(link), "--count", "1") as process:
        up.host("pair/b").send("eth0", FRAMES[:1])
        assert process.wait(30) == 0
    assert link.is_symlink()
    assert frames_in(precious) == FRAMES[:1]


# privileges


LAB_COMMANDS = (
    ("up", "routed"), ("down",), ("down", "--all"), ("list",), ("exec", "a", "--", "true"),
    ("shell", "a"), ("send", "a", "udp"), ("capture", "a", "eth0", "-w", "/dev/null"),
)  # fmt: skip


def test_missing_privileges_are_told_in_a_line_with_the_command_that_has_them(
    up: PrivateLabs,
) -> None:
    before = up.names

    def attempt(prefix: list[str], words: tuple[str, ...]) -> Done:
        command = up.command(*prefix, "-m", "xdpctl", "lab", *words)
        return subprocess.run(command, capture_output=True, text=True, check=False)

    for prefix in filter(None, (WITHOUT_CAPABILITIES, nobody())):
        with ThreadPoolExecutor(2) as pool:
            results = [*pool.map(partial(attempt, prefix), LAB_COMMANDS)]
        for words, done in zip(LAB_COMMANDS, results, strict=True):
            assert one_line(done, 4).startswith("making network namespaces needs ")
            assert done.stderr.splitlines()[1].startswith("hint: run: sudo ")
            assert done.stderr.rstrip().endswith(f"lab {' '.join(words)}")
    assert up.names == before


WITHOUT_CAPABILITIES = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--", sys.executable]


def nobody() -> list[str]:
    """Python as another user; nothing where that one may not read it, or our packages."""
    paths = os.pathsep.join(path for path in sys.path if path)
    identity = ["--reuid", "65534", "--regid", "65534", "--clear-groups"]
    for python in (sys.executable, "/usr/bin/python3"):
        prefix = ["setpriv", *identity, "--", "env", f"PYTHONPATH={paths}", python]
        trial = [
            *prefix,
            "-c",
            "import xdpctl.cli.main, yaml, sys; assert sys.version_info[1] > 10",
        ]
        if subprocess.run(trial, capture_output=True, check=False).returncode == 0:
            return prefix
    return []
