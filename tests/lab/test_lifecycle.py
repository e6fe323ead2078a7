"""Attach, find again, detach: killed at any step, two at once, and with somebody else about."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from netns_lab import Host
from netns_lab.fixtures import Pair
from tests.forked import forked
from tests.lab.conftest import XDPCTL, xdpctl, xdpctl_json
from tests.packets import IPV4, UDP, eth, ipv4
from xdpctl.pylibbpf import Object, Program, program_ids, xdp
from xdpctl.pylibbpf.xdp import Mode

FRAME = eth(IPV4, ipv4(17, UDP))


# Attaches, and kills itself with SIGKILL right before its nth call of libbpf.
def load_foreign(
    host: Host, path: Path, mode: Mode = Mode.DRIVER, program: str = "other", device: str = "eth0"
) -> None:
    def load() -> None:
        with Object.open(path) as obj:
            obj.load()
            xdp.attach(socket.if_nametoindex(device), obj.programs[program].fd, mode)

    host.call(load)


def programs_named(name: str) -> set[int]:
    found = set()
    for program_id in program_ids():
        try:
            with Program.from_id(program_id) as program:
                if program.info.name == name:
                    found.add(program_id)
        except OSError:
            continue  # unloaded meanwhile
    return found


class Loaded:
    """The programs of ours that were loaded since; of those that others on this machine load
    meanwhile, none stays."""

    def __init__(self) -> None:
        self._before = programs_named("xdpctl")
        self._accounted_for: set[int] = set()
        self._seen: set[int] = set()

    def should_be(self, expected: set[int]) -> None:
        now = programs_named("xdpctl") - self._before
        assert expected <= now
        self._accounted_for |= expected
        self._seen |= now

    def check_nothing_else_stayed(self, host: Host) -> None:
        xdpctl(host, "detach", "--all")  # others may be waiting for this one just so
        deadline = time.monotonic() + 60
        while left := (self._seen - self._accounted_for) & programs_named("xdpctl"):
            assert time.monotonic() < deadline, left
            time.sleep(0.05)


def test_attaching_again_says_so_and_keeps_the_counts(pair: Pair) -> None:
    first = xdpctl(pair.right, "attach", "eth0")
    assert re.fullmatch(r"eth0: attached in driver mode, program id \d+\n", first.stdout)
    pair.left.send("eth0", [FRAME] * 7)
    again = xdpctl(pair.right, "attach", "eth0")
    assert again.returncode == 0
    assert again.stdout.startswith("eth0: already attached in driver mode, program id")
    assert xdpctl_json(pair.right, "stats", "eth0")["packets"] == 7


def test_state_outlives_the_process_and_is_found_from_any_namespace_entry(pair: Pair) -> None:
    attached = xdpctl_json(pair.right, "attach", "eth0")
    pair.left.send("eth0", [FRAME] * 3)
    from_inside = xdpctl_json(pair.right, "status")
    from_outside = subprocess.run(
        [*XDPCTL, "--netns", pair.right.netns_path, "status", "--json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(from_outside.stdout) == from_inside
    (row,) = from_inside
    assert row["program_id"] == attached[0]["program_id"]
    assert (row["ours"], row["mode"], row["packets"], row["bytes"]) == (True, "driver", 3, 126)


def test_changing_the_mode_needs_force_and_keeps_the_counts(pair: Pair) -> None:
    xdpctl(pair.right, "attach", "eth0", "--mode", "skb")
    pair.left.send("eth0", [FRAME] * 5)
    refused = xdpctl(pair.right, "attach", "eth0", "--mode", "driver")
    assert refused.returncode == 3
    assert "already attached, in skb mode" in refused.stderr
    assert xdpctl(pair.right, "attach", "eth0", "-N", "--force").returncode == 0
    pair.left.send("eth0", [FRAME] * 5)
    stats = xdpctl_json(pair.right, "stats", "eth0")
    assert (stats["mode"], stats["packets"]) == ("driver", 10)


def test_automatic_mode_falls_back_to_skb_and_says_why(pair: Pair) -> None:
    done = xdpctl(pair.right, "attach", "lo")
    assert done.returncode == 0
    assert "attached in skb mode" in done.stdout
    assert "driver mode was refused: Underlying driver does not support XDP" in done.stdout
    asked = xdpctl(pair.left, "attach", "lo", "--mode", "native")
    assert asked.returncode == 3
    assert asked.stderr.startswith("xdpctl: lo: Underlying driver does not support XDP")
    assert xdpctl(pair.left, "status").stdout == "no interface has an XDP program\n"


def test_hardware_mode_is_refused_where_there_is_no_hardware(pair: Pair) -> None:
    done = xdpctl(pair.right, "attach", "eth0", "--mode", "hw")
    assert done.returncode == 3
    assert done.stderr.startswith("xdpctl: eth0: its hardware takes no XDP programs: ")
    assert "Traceback" not in done.stderr
    assert xdpctl_json(pair.right, "status") == []


@pytest.mark.parametrize("verb", ["attach", "detach"])
def test_foreign_program_is_named_and_left_alone(
    pair: Pair, compiled: dict[str, Path], verb: str
) -> None:
    load_foreign(pair.right, compiled["foreign"])
    before = xdpctl_json(pair.right, "status")
    done = xdpctl(pair.right, verb, "eth0")
    assert done.returncode == 3
    assert re.match(
        r"xdpctl: eth0: program other \(id \d+, driver mode\) is attached, and it is not ours",
        done.stderr,
    )
    assert xdpctl_json(pair.right, "status") == before
    (row,) = before
    assert (row["ours"], row["program_name"], row["packets"]) == (False, "other", None)


def test_program_with_our_name_and_our_maps_names_is_still_foreign(
    pair: Pair, compiled: dict[str, Path]
) -> None:
    load_foreign(pair.right, compiled["foreign"], program="xdpctl")
    (row,) = xdpctl_json(pair.right, "status")
    assert (row["program_name"], row["ours"]) == ("xdpctl", False)
    assert xdpctl(pair.right, "stats", "eth0").returncode == 3
    assert xdpctl(pair.right, "detach", "eth0").returncode == 3


@pytest.mark.parametrize("mode", [Mode.DRIVER, Mode.SKB], ids=lambda mode: mode.name)
@pytest.mark.parametrize("wanted", ["auto", "driver", "skb"])
def test_force_puts_ours_in_the_place_of_a_foreign_program(
    pair: Pair, compiled: dict[str, Path], mode: Mode, wanted: str
) -> None:
    load_foreign(pair.right, compiled["foreign"], mode)
    done = xdpctl(pair.right, "attach", "eth0", "--force", "--mode", wanted)
    assert done.returncode == 0, done.stderr
    (row,) = xdpctl_json(pair.right, "status")
    expected = mode.name.lower() if wanted == "auto" else wanted
    assert (row["ours"], row["mode"]) == (True, expected)
    pair.left.send("eth0", [FRAME])
    assert xdpctl_json(pair.right, "stats", "eth0")["packets"] == 1


def test_force_detaches_a_foreign_program(pair: Pair, compiled: dict[str, Path]) -> None:
    load_foreign(pair.right, compiled["foreign"])
    done = xdpctl(pair.right, "detach", "eth0", "--force")
    assert done.returncode == 0
    assert done.stdout.startswith("eth0: detached program other")
    assert xdpctl_json(pair.right, "status") == []


def test_failed_forced_mode_leaves_the_foreign_program_in_place(
    pair: Pair, compiled: dict[str, Path]
) -> None:
    load_foreign(pair.right, compiled["foreign"], Mode.SKB, device="lo")
    before = xdpctl_json(pair.right, "status")
    done = xdpctl(pair.right, "attach", "lo", "--force", "--mode", "driver")
    assert done.returncode == 3
    assert xdpctl_json(pair.right, "status") == before


def test_detaching_where_nothing_is_says_so(pair: Pair) -> None:
    done = xdpctl(pair.right, "detach", "eth0")
    assert done.returncode == 3
    assert done.stderr.startswith("xdpctl: eth0: nothing is attached")
    everywhere = xdpctl(pair.right, "detach", "--all")
    assert everywhere.returncode == 3


def test_of_several_interfaces_all_are_attached_or_none(pair: Pair) -> None:
    missing = xdpctl(pair.right, "attach", "eth0", "eth9")
    assert missing.returncode == 3
    assert "eth9: no such interface" in missing.stderr
    assert xdpctl_json(pair.right, "status") == []
    refused = xdpctl(pair.right, "attach", "eth0", "lo", "--mode", "driver")
    assert refused.returncode == 3
    assert xdpctl_json(pair.right, "status") == []
    done = xdpctl_json(pair.right, "attach", "eth0", "lo")
    assert [row["interface"] for row in done] == ["eth0", "lo"]
    assert len(xdpctl_json(pair.right, "status")) == 2
    assert len(xdpctl_json(pair.right, "stats", "--all")) == 2
    assert xdpctl(pair.right, "detach", "--all").returncode == 0
    assert xdpctl_json(pair.right, "status") == []


def test_killed_before_any_call_attach_has_happened_or_not(pair: Pair) -> None:
    loaded = Loaded()
    path = (pair.right.namespace.path,)
    for nth in range(1, 200):
        done = forked().run("attach", "eth0", namespaces=path, killed_before=nth)
        present = xdpctl_json(pair.right, "status")
        assert all(row["ours"] and row["attached_at"] for row in present)
        loaded.should_be({row["program_id"] for row in present})
        if present:
            assert xdpctl(pair.right, "stats", "eth0").returncode == 0
            assert xdpctl(pair.right, "detach", "eth0").returncode == 0
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
    assert done.returncode == 0
    assert nth > 5
    loaded.check_nothing_else_stayed(pair.right)


def test_of_many_attaching_at_once_one_attaches_and_the_others_see_it(pair: Pair) -> None:
    loaded = Loaded()
    racers = [
        pair.right.popen([*XDPCTL, "attach", "eth0", "--json"], stdout=subprocess.PIPE)
        for _ in range(6)
    ]
    results = [json.loads(racer.communicate()[0])[0] for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * 6
    assert sorted(result["was_attached"] for result in results) == [False] + [True] * 5
    assert len({result["program_id"] for result in results}) == 1
    loaded.should_be({results[0]["program_id"]})
    loaded.check_nothing_else_stayed(pair.right)


def test_attaching_and_detaching_at_once_leaves_one_program_or_none(pair: Pair) -> None:
    loaded = Loaded()
    for _ in range(3):
        racers = [
            pair.right.popen(
                [*XDPCTL, verb, "eth0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            for verb in ("attach", "detach") * 3
        ]
        for racer in racers:
            _, stderr = racer.communicate()
            assert racer.returncode in (0, 3), stderr
            assert "Traceback" not in stderr
        present = {row["program_id"] for row in xdpctl_json(pair.right, "status")}
        assert len(present) <= 1
        loaded.should_be(present)
    loaded.check_nothing_else_stayed(pair.right)


def test_renamed_interface_is_found_under_its_new_name(pair: Pair) -> None:
    xdpctl(pair.right, "attach", "eth0")
    pair.left.send("eth0", [FRAME] * 2)
    pair.right.set_down("eth0")
    pair.right.rename("eth0", "wan0")
    pair.right.set_up("wan0")
    pair.left.send("eth0", [FRAME] * 2)
    assert xdpctl_json(pair.right, "stats", "wan0")["packets"] == 4
    assert xdpctl(pair.right, "stats", "eth0").returncode == 3


def test_deleted_and_recreated_interface_starts_without_program(pair: Pair) -> None:
    loaded = Loaded()
    xdpctl(pair.right, "attach", "eth0")
    pair.right.delete("eth0")
    gone = xdpctl(pair.right, "stats", "eth0")
    assert gone.returncode == 3
    assert gone.stderr.startswith("xdpctl: eth0: no such interface")
    pair.lab.link(pair.left, pair.right)
    fresh = xdpctl(pair.right, "stats", "eth0")
    assert fresh.returncode == 3
    assert "hint: run: xdpctl attach eth0\n" in fresh.stderr
    xdpctl(pair.right, "attach", "eth0")
    pair.left.send("eth0", [FRAME])
    stats = xdpctl_json(pair.right, "stats", "eth0")
    assert stats["packets"] == 1
    loaded.should_be({stats["program_id"]})
    loaded.check_nothing_else_stayed(pair.right)


def test_hook_owned_by_a_link_is_explained(pair: Pair, compiled: dict[str, Path]) -> None:
    """A bpf_link cannot be replaced through netlink; say who holds the hook."""
    with Object.open(compiled["foreign"]) as elsewhere, Object.open(compiled["foreign"]) as obj:
        elsewhere.load()
        obj.load()
        ifindex = pair.right.ifindex("eth0")
        assert pair.left.ifindex("eth0") == ifindex, "of the same index, on another host"
        with (
            pair.left.call(elsewhere.programs.other.attach_xdp, ifindex),
            pair.right.call(obj.programs.other.attach_xdp, ifindex),
        ):
            program_id = obj.programs.other.info.id
            done = xdpctl(pair.right, "attach", "eth0", "--force")
    assert done.returncode == 3
    assert re.match(
        rf"xdpctl: eth0: program id {program_id} is held there by bpf_link (\d+)\n"
        r"hint: end its owner, or: bpftool link detach id \1\n",
        done.stderr,
    )
