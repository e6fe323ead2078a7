"""Labs come and go whole: killed at any step, two commands at once, and with somebody inside."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from tests.lab.private_labs import PrivateLabs, one_line, reaches, until

# Every kind of step, and few of each.
SMALL = """\
hosts:
  a: {forward: true, gateways: [192.0.2.254]}
  s: {bridge: true}
links:
  - ends: {a: [192.0.2.1/24], s: }
"""

STUBBORN = "trap '' TERM; echo ready; while :; do sleep 1000 & wait; done"
PATIENT = "echo ready; exec sleep 1000"


def walked(labs: PrivateLabs, tmp_path: Path, how: str) -> list[dict[str, Any]]:
    (tmp_path / "small.yaml").write_text(SMALL)
    driver = str(Path(__file__).with_name("lab_walk.py"))
    done = subprocess.run(
        labs.command(sys.executable, driver, how, str(tmp_path / "small.yaml")),
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    steps: list[dict[str, Any]] = json.loads(done.stdout)
    assert [each["after"] for each in steps] == [[]] * len(steps)
    return steps


def test_killed_before_any_step_up_leaves_what_down_clears(
    labs: PrivateLabs, tmp_path: Path
) -> None:
    steps = walked(labs, tmp_path, "kill")
    assert len(steps) > 40
    assert steps[0]["before"] == []
    assert any("xdpctl-lab.walked.a" in each["before"] for each in steps)
    expected = {"xdpctl-lab.walked.a", "xdpctl-lab.walked.s"}
    assert {Path(each).name for each in steps[-1]["before"]} == expected


def test_interrupted_before_any_step_up_leaves_nothing(labs: PrivateLabs, tmp_path: Path) -> None:
    """Not even after a second Ctrl-C, while it clears away what there is."""
    steps = walked(labs, tmp_path, "interrupt")
    assert len(steps) > 40
    assert [each["before"] for each in steps[:-1]] == [[]] * (len(steps) - 1)


def test_killed_before_any_step_down_leaves_what_another_clears(
    labs: PrivateLabs, tmp_path: Path
) -> None:
    steps = walked(labs, tmp_path, "kill-down")
    assert len(steps) > 8
    assert steps[-1]["before"] == []
    assert all(each["before"] for each in steps[:-1])


def test_of_many_labs_of_a_name_at_once_one_is_made(labs: PrivateLabs) -> None:
    with ExitStack() as stack:
        racers = [
            stack.enter_context(labs.start("lab", "up", what, "--name", "x"))
            for what in ("pair", "bridge") * 2
        ]
        results = [racer.communicate(timeout=60) for racer in racers]
    assert sorted(racer.returncode for racer in racers) == [0, 3, 3, 3]
    for racer, (output, errors) in zip(racers, results, strict=True):
        if racer.returncode == 3:
            assert (output, errors.splitlines()[0]) == ("", "xdpctl: x: a lab of that name is up")
    assert reaches(labs.host("x/a"), labs.host("x/b"), "192.0.2.2")
    labs.lab("down", "x")
    assert labs.names == labs.mounts == []


def waits_for_a_lock(pid: int) -> bool:
    return re.search(rf"-> FLOCK .* {pid} ", Path("/proc/locks").read_text()) is not None


def test_up_and_down_wait_for_each_other(labs: PrivateLabs) -> None:
    """By the lock that `ip netns add` takes, too."""
    for words, before, after in ((("up",), 0, 2), (("down",), 2, 0)):
        directory = os.open(labs.directory, os.O_RDONLY)
        try:
            fcntl.flock(directory, fcntl.LOCK_EX)
            with labs.start("lab", *words) as process:
                until(partial(waits_for_a_lock, process.pid))
                assert len(labs.names) == before
                fcntl.flock(directory, fcntl.LOCK_UN)
                assert process.wait(30) == 0
        finally:
            os.close(directory)
        assert len(labs.names) == after


def test_up_down_and_list_at_once_leave_a_whole_lab_or_none(labs: PrivateLabs) -> None:
    for _ in range(2):
        with ExitStack() as stack:
            words = (["up", "bridge"], ["down", "--all"], ["list"], ["up", "bridge"], ["down"])
            racers = [stack.enter_context(labs.start("lab", *each)) for each in words]
            for racer in racers:
                _, errors = racer.communicate(timeout=60)
                assert racer.returncode in (0, 3)
                assert re.sub("(xdpctl|hint): .*\n", "", errors) == ""
                assert "defect" not in errors
        assert len(labs.names) in (0, 4)
        if labs.names:
            assert reaches(labs.host("bridge/a"), labs.host("bridge/c"), "192.0.2.3")
            labs.lab("down")
        assert labs.names == labs.mounts == []


def running(labs: PrivateLabs, stack: ExitStack, host: str, script: str) -> subprocess.Popen[str]:
    """A shell on a host, once it runs."""
    words = ("lab", "exec", host, "--", "sh", "-c", script)
    process = stack.enter_context(labs.start(*words))
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_lab_in_use_stays_unless_its_processes_are_to_end(labs: PrivateLabs) -> None:
    for name in ("one", "two"):
        labs.lab("up", "--name", name)
    with ExitStack() as stack:
        patient = running(labs, stack, "one/a", PATIENT)
        other = running(labs, stack, "two/a", PATIENT)
        refused = one_line(labs.run("lab", "down", "one"), 3)
        assert refused == f"one: still in use by process {patient.pid} (sleep) on a"
        refused = labs.run("lab", "down", "--all")
        assert refused.stderr == (
            f"xdpctl: one: still in use by process {patient.pid} (sleep) on a\n"
            f"two: still in use by process {other.pid} (sleep) on a\n"
            "hint: end it, or let `xdpctl lab down --kill` do so\n"
        )
        (listed, _) = labs.json("lab", "list")
        assert listed["hosts"][0]["processes"] == [{"pid": patient.pid, "command": "sleep"}]
        assert len(labs.names) == 4
        (done,) = labs.json("lab", "down", "one", "--kill")
        assert done["ended"] == [{"pid": patient.pid, "command": "sleep"}]
        assert patient.wait(30) == -signal.SIGTERM
        assert other.poll() is None
        labs.lab("down", "--all", "--kill")
        assert other.wait(30) == -signal.SIGTERM


def test_processes_that_ignore_sigterm_and_start_others_end_too(labs: PrivateLabs) -> None:
    labs.lab("up")
    namespace = os.stat(labs.directory / "xdpctl-lab.pair.b")
    with ExitStack() as stack:
        stubborn = running(labs, stack, "b", STUBBORN)
        labs.lab("down", "--kill")
        assert stubborn.wait(30) == -signal.SIGKILL
    inside = []
    for path in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            found = os.stat(path)
        except OSError:
            continue
        if (found.st_dev, found.st_ino) == (namespace.st_dev, namespace.st_ino):
            inside.append(path)
    assert inside == []
    assert labs.names == labs.mounts == []


def test_what_is_not_marked_survives(labs: PrivateLabs) -> None:
    labs.lab("up")
    for name in ("mine", "xdpctl-lab", "xdpctl-labx.a.b", "xdpctl-lab.-.a", "xdpctl-lab.a.b.c"):
        subprocess.run(labs.command("ip", "netns", "add", name), check=True)
    kept = sorted(set(labs.names) - {"xdpctl-lab.pair.a", "xdpctl-lab.pair.b"})
    assert len(kept) == 5
    assert labs.lab("down", "--all").stdout == "lab pair: down\n"
    assert labs.names == kept
    assert len(labs.mounts) == 5
    assert labs.lab("down", "--all").stdout == labs.lab("list").stdout == "no lab is up\n"


def test_what_has_a_hosts_name_and_is_none_is_left_and_told(labs: PrivateLabs) -> None:
    labs.lab("up")
    kinds = ("directory", "fifo", "file", "link", "uts")
    paths = {kind: labs.directory / f"xdpctl-lab.{kind}.c-{kind}" for kind in kinds}
    paths["directory"].mkdir()
    os.mkfifo(paths["fifo"])
    paths["file"].write_text("precious")
    paths["link"].symlink_to("/proc/1/ns/net")
    paths["uts"].touch()
    target = f"/run/netns/{paths['uts'].name}"
    subprocess.run(labs.command("mount", "--bind", "/proc/self/ns/uts", target), check=True)
    before = {kind: os.lstat(path) for kind, path in paths.items()}
    results = labs.run_each(("lab", "exec", f"c-{kind}", "--", "true") for kind in kinds)
    for kind, done in zip(kinds, results, strict=True):
        assert one_line(done, 3) == f"{kind}/c-{kind}: has no network namespace"
    refused = [
        f"/run/netns/{each.name}: no network namespace; left as it is" for each in paths.values()
    ]
    assert one_line(labs.run("lab", "down", "uts", "--kill"), 3) == refused[-1]
    done = labs.run("lab", "down", "--all")
    assert (done.returncode, done.stdout) == (3, "lab pair: down\n")
    assert done.stderr.removeprefix("xdpctl: ").splitlines() == refused
    assert labs.names == [path.name for path in paths.values()]
    for kind, path in paths.items():
        assert os.path.samestat(os.lstat(path), before[kind])
    assert len(labs.lab("list").stdout.splitlines()) == 2 * len(kinds)


def test_links_of_any_kind_and_name_go_with_the_lab(labs: PrivateLabs) -> None:
    labs.lab("up")
    subprocess.run(labs.command("ip", "netns", "add", "mine"), check=True)
    a = labs.host("pair/a")
    a.run(["ip", "link", "add", os.fsdecode(b"\xff\xfe"), "type", "ifb"])
    a.run(["ip", "link", "add", "macvlan0", "link", "eth0", "type", "macvlan"])
    mine = f"--net={labs.directory / 'mine'}"
    peer = ["peer", "name", "out0", "netns", "mine"]
    subprocess.run(
        labs.command("ip", "-n", "xdpctl-lab.pair.a", "link", "add", "in0", "type", "veth", *peer),
        check=True,
    )
    show = ["nsenter", mine, "--", "ip", "-json", "link"]
    assert "out0" in subprocess.run(show, check=True, capture_output=True, text=True).stdout
    labs.lab("down")
    assert "out0" not in subprocess.run(show, check=True, capture_output=True, text=True).stdout
    assert labs.names == ["mine"]
