"""The commands as a person meets them: what they print, how they end, what they refuse."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from netns_lab import traffic
from netns_lab.fixtures import Pair
from tests.lab.conftest import XDPCTL, line, start, xdpctl, xdpctl_json
from tests.packets import IPV4, UDP, eth, ipv4

FRAME = eth(IPV4, ipv4(17, UDP))
STATS_KEYS = {
    "interface", "ifindex", "netns", "mode", "program_id", "attached_at", "timestamp", "packets",
    "bytes", "protocols", "verdicts", "drop_reasons", "malformed_reasons", "sizes",
}  # fmt: skip
STATUS_KEYS = {
    "interface", "ifindex", "netns", "mode", "ours", "program_id", "program_name", "attached_at",
    "packets", "bytes",
}  # fmt: skip


@pytest.fixture
def counted(pair: Pair) -> Pair:
    """A pair on whose right host 21 packets were counted."""
    assert xdpctl(pair.right, "attach", "eth0").returncode == 0
    pair.left.send("eth0", [FRAME] * 20 + [eth(IPV4)])
    return pair


def test_stats_json_has_the_documented_keys(counted: Pair) -> None:
    stats = xdpctl_json(counted.right, "stats", "eth0")
    assert stats.keys() == STATS_KEYS
    assert stats["interface"] == "eth0"
    assert stats["ifindex"] == counted.right.ifindex("eth0")
    assert stats["netns"] is None
    assert stats["protocols"] == [
        {"protocol": "udp", "number": 17, "packets": 20, "bytes": 20 * 42},
        {"protocol": "malformed", "number": None, "packets": 1, "bytes": 14},
    ]
    assert stats["verdicts"] == [{"verdict": "pass", "packets": 21, "bytes": 20 * 42 + 14}]
    assert stats["malformed_reasons"] == [{"reason": "short-ipv4", "packets": 1}]
    assert stats["sizes"] == [{"from": 0, "to": 63, "packets": 21}]
    assert stats["attached_at"] < stats["timestamp"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", stats["timestamp"])


def test_status_json_has_the_documented_keys(counted: Pair) -> None:
    (row,) = xdpctl_json(counted.right, "status")
    assert row.keys() == STATUS_KEYS
    assert (row["program_name"], row["packets"], row["bytes"]) == ("xdpctl", 21, 854)


def test_several_interfaces_are_an_array_and_one_is_an_object(counted: Pair) -> None:
    xdpctl(counted.right, "attach", "lo")
    both = xdpctl_json(counted.right, "stats", "eth0", "lo")
    assert [each["interface"] for each in both] == ["eth0", "lo"]
    assert [each["interface"] for each in xdpctl_json(counted.right, "stats", "--all")] == [
        "lo",
        "eth0",
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        ("stats", "eth0"),
        ("stats", "eth0", "--watch", "0.1", "--count", "1"),
        ("stats", "eth0", "--per-cpu"),
        ("histogram", "eth0"),
        ("status",),
    ],
)
def test_tables_fit_80_columns(counted: Pair, arguments: tuple[str, ...]) -> None:
    counted.left.send("eth0", list(traffic.mix().values()))
    done = xdpctl(counted.right, *arguments)
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "\x1b" not in done.stdout


def test_stats_table_shows_every_row_and_their_sum(counted: Pair) -> None:
    table = xdpctl(counted.right, "stats", "eth0").stdout
    assert re.search(r"^udp +20 +840$", table, re.MULTILINE)
    assert re.search(r"^malformed +1 +14$", table, re.MULTILINE)
    assert re.search(r"^all +21 +854$", table, re.MULTILINE)
    assert re.search(r"^pass +21 +854$", table, re.MULTILINE)
    assert re.search(r"^short-ipv4 +1$", table, re.MULTILINE)


def test_histogram_draws_the_largest_bar_full_and_none_empty(counted: Pair) -> None:
    counted.left.send("eth0", [eth(0x88B5, bytes(1000))] * 2)
    table = xdpctl(counted.right, "histogram", "eth0").stdout
    small = re.search(r"^0 - 63 +21 +91\.3% +(█+) *$", table, re.MULTILINE)
    large = re.search(r"^960 - 1,023 +2 +8\.7% +(\S+) *$", table, re.MULTILINE)
    assert small and len(small[1]) == 34
    assert large and len(large[1]) == 4  # 2 / 21 of 34 cells: 3 and 2/8


def test_watch_prints_rates_of_what_came_in_between(counted: Pair) -> None:
    with start(counted.right, "stats", "eth0", "--watch", "0.2", "--json") as watching:
        first = json.loads(line(watching.stdout))
        assert first["interval"]["packets"] == 0
        counted.left.send("eth0", [FRAME] * 1000)
        seen = 0
        while not seen:
            interval = json.loads(line(watching.stdout))["interval"]
            seen = interval["packets"]
        (row,) = interval["protocols"]
        assert row["packets_per_second"] == pytest.approx(row["packets"] / interval["seconds"])
        assert row["bits_per_second"] == pytest.approx(
            row["packets"] * 42 * 8 / interval["seconds"]
        )
        watching.send_signal(signal.SIGINT)
        _, stderr = watching.communicate(timeout=30)
    assert (watching.returncode, stderr) == (0, "")


def test_histogram_watch_tells_totals_and_rates(counted: Pair) -> None:
    with start(counted.right, "histogram", "eth0", "--watch", "0.2", "--json") as watching:
        document = json.loads(line(watching.stdout))
        assert document["sizes"] == [{"from": 0, "to": 63, "packets": 21}]
        counted.left.send("eth0", [FRAME] * 1000)
        while not document["interval"]["sizes"]:
            document = json.loads(line(watching.stdout))
        (row,), seconds = document["interval"]["sizes"], document["interval"]["seconds"]
        assert row["packets_per_second"] == pytest.approx(row["packets"] / seconds)
        assert document["interval"]["packets_per_second"] == row["packets_per_second"]
        assert document["interval"]["bits_per_second"] == pytest.approx(
            row["packets"] * 42 * 8 / seconds
        )
        watching.send_signal(signal.SIGINT)
        watching.communicate(timeout=30)


def test_watch_ends_cleanly_when_the_interface_goes_away(counted: Pair) -> None:
    with start(counted.right, "stats", "eth0", "--watch", "0.1", "--json") as watching:
        line(watching.stdout)
        counted.right.delete("eth0")
        _, stderr = watching.communicate(timeout=30)
    assert watching.returncode == 0
    assert stderr == "xdpctl: eth0: no such interface any more\n"


def test_watch_ends_cleanly_when_the_program_is_detached(counted: Pair) -> None:
    with start(counted.right, "histogram", "eth0", "--watch", "0.1", "--json") as watching:
        line(watching.stdout)
        xdpctl(counted.right, "detach", "eth0")
        _, stderr = watching.communicate(timeout=30)
    assert watching.returncode == 0
    assert stderr == "xdpctl: eth0: xdpctl is not attached any more\n"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_attach_watch_detaches_when_it_is_told_to_end(pair: Pair, number: signal.Signals) -> None:
    with start(pair.right, "attach", "--watch", "0.1", "eth0") as watching:
        assert "attached in driver mode" in line(watching.stdout)
        assert len(xdpctl_json(pair.right, "status")) == 1
        watching.send_signal(number)
        stdout, stderr = watching.communicate(timeout=30)
    assert (watching.returncode, stderr) == (0, "")
    assert stdout.endswith("eth0: detached\n")
    assert xdpctl_json(pair.right, "status") == []


def test_attach_watch_without_seconds_takes_the_interface_for_what_it_is(pair: Pair) -> None:
    with start(pair.right, "attach", "--watch", "eth0") as watching:
        assert line(watching.stdout).startswith("eth0: attached")
        watching.send_signal(signal.SIGINT)
        watching.communicate(timeout=30)
    assert watching.returncode == 0


def test_attach_watch_leaves_what_was_attached_before(counted: Pair) -> None:
    with start(counted.right, "attach", "eth0", "--watch", "0.1") as watching:
        assert "already attached" in line(watching.stdout)
        watching.send_signal(signal.SIGINT)
        stdout, _ = watching.communicate(timeout=30)
    assert stdout.endswith("eth0: left attached, as it was before\n")
    assert xdpctl_json(counted.right, "stats", "eth0")["packets"] == 21


def test_reader_that_leaves_early_is_no_error(counted: Pair) -> None:
    with start(counted.right, "stats", "eth0", "--watch", "0.1", "--json") as watching:
        line(watching.stdout)
        assert watching.stdout is not None
        watching.stdout.close()
        assert watching.stderr is not None
        assert watching.stderr.read() == ""
    assert watching.returncode == 0


@pytest.mark.parametrize("verb", ["stats", "histogram", "status"])
def test_where_nothing_is_attached_the_command_that_attaches_is_shown(
    pair: Pair, verb: str
) -> None:
    inside = xdpctl(pair.right, verb, "eth0")
    assert inside.returncode == 3
    assert inside.stderr == (
        "xdpctl: eth0: xdpctl is not attached\nhint: run: xdpctl attach eth0\n"
    )
    path = pair.right.netns_path
    outside = subprocess.run(
        [*XDPCTL, verb, "eth0", "-n", path], capture_output=True, text=True, check=False
    )
    assert f"hint: run: xdpctl attach eth0 --netns {path}\n" in outside.stderr


def test_errors_are_json_objects_under_json(pair: Pair) -> None:
    done = xdpctl(pair.right, "stats", "eth9", "--json")
    assert done.returncode == 3
    assert done.stdout == ""
    assert json.loads(done.stderr) == {
        "error": "eth9: no such interface",
        "exit_code": 3,
        "hint": "did you mean eth0?",
    }
    usage = xdpctl(pair.right, "stats", "--json", "--colour")
    assert usage.returncode == 2
    assert json.loads(usage.stderr)["exit_code"] == 2


def test_no_such_namespace_is_one_line_with_a_hint(pair: Pair) -> None:
    done = xdpctl(pair.right, "stats", "eth0", "--netns", "nowhere")
    assert done.returncode == 3
    assert done.stderr.startswith("xdpctl: nowhere: no such network namespace\nhint: ")
    no_namespace = xdpctl(pair.right, "stats", "eth0", "--netns", "/etc/passwd")
    assert no_namespace.returncode == 3
    assert "Traceback" not in no_namespace.stderr


@pytest.mark.parametrize("verb", ["attach", "detach", "stats", "status"])
def test_missing_privileges_are_named_with_the_command_that_has_them(pair: Pair, verb: str) -> None:
    script = (
        "import sys; from xdpctl.cli.main import main;"
        f"sys.argv = ['/opt/x y/xdpctl', {verb!r}, 'eth0']; main()"
    )
    without = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--"]
    done = pair.right.run([*without, sys.executable, "-c", script], check=False)
    assert done.returncode == 4
    assert done.stderr == (
        "xdpctl: CAP_SYS_ADMIN and CAP_NET_ADMIN are missing\n"
        f"hint: run: sudo '/opt/x y/xdpctl' {verb} eth0\n"
    )


def test_bpf_refused_although_privileged_is_told_apart(pair: Pair) -> None:
    """In a user namespace all capabilities are held, and count for nothing with bpf()."""
    done = pair.right.run(
        ["unshare", "--user", "--map-root-user", "--net", "--", *XDPCTL, "attach", "lo"],
        check=False,
    )
    assert done.returncode == 4
    assert "although no capability is missing" in done.stderr
    assert "Traceback" not in done.stderr


BROKEN = {
    "libbpf missing": (
        "from xdpctl.pylibbpf import _lib; _lib.SONAME = 'libnothere.so.1'",
        "hint: install libbpf 1.0 or newer: apt install libbpf1",
    ),
    "object missing": (
        "from xdpctl.datapath import loading; from pathlib import Path;"
        "loading.BPF_OBJECT = '/nonexistent/xdpctl.bpf.o'",
        "xdpctl: the BPF object is missing: /nonexistent/xdpctl.bpf.o",
    ),
    "object truncated": (
        "from xdpctl.datapath import loading; import tempfile; from pathlib import Path;"
        "f = tempfile.NamedTemporaryFile(); f.write(Path(loading.BPF_OBJECT).read_bytes()[:3000]);"
        "f.flush(); loading.BPF_OBJECT = f.name",
        "xdpctl: the BPF object of this installation is unusable",
    ),
    "object not ELF": (
        "from xdpctl.datapath import loading; from pathlib import Path;"
        "loading.BPF_OBJECT = '/etc/passwd'",
        "not an ELF file",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken_installation_is_one_line_and_attaches_nothing(pair: Pair, what: str) -> None:
    breakage, expected = BROKEN[what]
    script = f"{breakage}\nfrom xdpctl.cli.main import main\nmain(['attach', 'eth0'])"
    done = pair.right.run([sys.executable, "-c", script], check=False)
    assert done.returncode == 3, done.stderr
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 2
    assert xdpctl_json(pair.right, "status") == []


def test_a_kernel_that_does_not_tell_its_types_counts_as_well(pair: Pair) -> None:
    hidden = "mount -t tmpfs none /sys/kernel/btf && exec python3 -m xdpctl attach eth0"
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    shell = ["unshare", "--mount", "env", f"PATH={path}", "sh", "-c", hidden]
    assert pair.right.run(shell).stdout.startswith("eth0: attached in driver mode")
    pair.left.send("eth0", [eth(0x9999) + bytes(100)] * 3)
    assert xdpctl_json(pair.right, "stats", "eth0")["packets"] == 3


def test_object_without_btf_is_refused_for_nobody_could_find_it_again(
    pair: Pair, tmp_path: Path
) -> None:
    from xdpctl.datapath.loading import BPF_OBJECT  # noqa: PLC0415

    stripped = tmp_path / "xdpctl.bpf.o"
    subprocess.run(["llvm-objcopy", "--remove-section=.BTF*", BPF_OBJECT, stripped], check=True)
    script = (
        "from xdpctl.datapath import loading; from pathlib import Path;"
        f"loading.BPF_OBJECT = {str(stripped)!r}\n"
        "from xdpctl.cli.main import main\nmain(['attach', 'eth0'])"
    )
    done = pair.right.run([sys.executable, "-c", script], check=False)
    assert done.returncode == 3
    assert "BTF" in done.stderr
    assert "Traceback" not in done.stderr
    assert xdpctl_json(pair.right, "status") == []


def test_control_characters_in_an_interface_name_do_not_reach_the_terminal(pair: Pair) -> None:
    pair.right.set_down("eth0")
    name = "e\x1b[31m\x07"
    pair.right.call(lambda: subprocess.run(["ip", "link", "set", "eth0", "name", name], check=True))
    pair.right.run(["ip", "link", "set", name, "up"])
    for verb in ("attach", "stats", "status", "histogram", "detach"):
        done = xdpctl(pair.right, verb, name)
        assert done.returncode == 0, done.stderr
        assert "\x1b" not in done.stdout + done.stderr
        assert "\x07" not in done.stdout + done.stderr


def test_colour_is_for_terminals_and_for_those_who_ask(counted: Pair) -> None:
    environment = {"PATH": os.environ["PATH"], "TERM": "xterm-256color"}

    def output(**more: str) -> str:
        command = [*XDPCTL, "stats", "eth0"]
        return counted.right.run(command, env=environment | more).stdout

    assert "\x1b[" not in output()
    assert "\x1b[" in output(FORCE_COLOR="1")
    assert "\x1b[" not in output(FORCE_COLOR="")
