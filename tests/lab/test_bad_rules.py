"""What cannot be applied leaves the running ruleset as it is, its counters included."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from netns_lab import Lab
from netns_lab.fixtures import Attached
from tests.lab.conftest import XDPCTL, xdpctl, xdpctl_json

V4 = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02") / IP(src="192.0.2.1", dst="192.0.2.2")
TELNET = bytes(V4 / TCP(dport=23))
RULES = "rules: [{name: no-telnet, action: drop, proto: tcp, dport: 23}]\n"


@pytest.fixture
def running(attached: Attached, tmp_path: Path) -> Attached:
    """A pair with a rule at its right end that has counted 3 packets."""
    (tmp_path / "edge.yaml").write_text(RULES, encoding="utf-8")
    attached.xdpctl("apply", "eth0", str(tmp_path / "edge.yaml"))
    attached.left.send("eth0", [TELNET] * 3)
    return attached


def listed(attached: Attached) -> Any:
    return xdpctl_json(attached.right, "rule", "list", "eth0")


def bad_files(directory: Path) -> dict[str, str]:
    """By file, what is said of it first."""
    for bit in range(17):
        numbers = (n for n in range(65_537) if n >> bit & 1)
        lines = (f"11.{n >> 16}.{n >> 8 & 255}.{n & 255}\n" for n in numbers)
        (directory / f"s{bit}").write_text("".join(lines), encoding="ascii")
    (directory / "list").write_text("192.0.2.1\nbad\n", encoding="ascii")
    lists = "".join(f"  s{bit}: {{file: s{bit}}}\n" for bit in range(17))
    each = "".join(f"- {{action: drop, src: '@s{bit}'}}\n" for bit in range(17))
    contents: dict[str, tuple[str | bytes, str]] = {
        "mistake": ("rules: [{action: dorp}]", "{}:1:18: action: \"dorp\" is not drop, pass or "),
        "bomb": ("a: &a [x]\nb: [*a, *a]\n", "{}:1:4: anchors and aliases are not allowed"),
        "binary": (b"\x7fELF\0\0", "{}: not a text file (it has a NUL byte)"),
        "rules": ("rules:\n" + "- {action: drop}\n" * 4097, "{}:4098:3: 4,097 rules"),
        "bad-list": ("sets: {a: {file: list}}", f"{directory}/list:2:1: \"bad\" is not an IPv4"),
        "classes": (f"sets:\n{lists}rules:\n{each}",
                    "the rules tell IPv4 addresses apart in 65,536"),
    }  # fmt: skip
    said = {}
    for name, (content, first) in contents.items():
        path = directory / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        said[str(path)] = first.format(path)
    return said | {str(directory): f"{directory}: is a directory"}


def test_file_that_cannot_be_applied_changes_nothing(running: Attached, tmp_path: Path) -> None:
    before = listed(running)
    assert before["rules"][0]["packets"] == 3
    for path, said in bad_files(tmp_path).items():
        done = xdpctl(running.right, "apply", "eth0", path)
        assert (done.returncode, done.stdout) == (2, ""), path
        assert done.stderr.startswith(f"xdpctl: {said}"), path
        assert "Traceback" not in done.stderr
    assert listed(running) == before


# Applies a file again and again; the nth call that changes something in the kernel fails with each
# error in turn. Prints n, exit code, descriptors more than before, what was said, and the rules.
SCRIPT = """
import contextlib, errno, io, json, os, re, sys
import mmap as mmap_module
from xdpctl.cli.main import main
from xdpctl.datapath.interfaces import find_interface
from xdpctl.datapath.rulesets import read_counted
from xdpctl.pylibbpf import BpfError, _lib, maps

left, number = 0, 0
checked, mapped = _lib.Library._checked, mmap_module.mmap

def fails(name):
    global left
    if number == errno.E2BIG and name != "bpf_object__load":
        return False  # only of a map that is to be made, or a program, something can be too much
    left -= 1
    return left == 0

def counting(self, c_function, signature):
    function = checked(self, c_function, signature)
    if signature.fails is _lib.Fails.NEVER or re.search("_get_|lookup|query", signature.name):
        return function
    def call(*arguments, **named):
        if fails(signature.name):
            raise BpfError(number, signature.name, named.get("subject", ""))
        return function(*arguments, **named)
    return call

class Mmap(mmap_module.mmap):
    def __new__(cls, *arguments):
        if fails("mmap"):
            raise OSError(number, os.strerror(number))
        return super().__new__(cls, *arguments)

_lib.Library._checked = counting
maps.mmap_module.mmap = Mmap
eth0 = find_interface("eth0")

def rules():
    return [[each.fields["name"], each.counted.packets] for each in read_counted(eth0).rules]

rows = []
for number in (errno.ENOMEM, errno.E2BIG):
    for n in range(1, 200):
        descriptors = len(os.listdir("/proc/self/fd"))
        out, err = io.StringIO(), io.StringIO()
        left = n
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main(["apply", "eth0", sys.argv[1], "--force"])
            except SystemExit as end:
                code = end.code
        reached, left = left <= 0, 0
        more = len(os.listdir("/proc/self/fd")) - descriptors
        if not reached:
            break
        rows.append([n, code, more, err.getvalue(), rules()])
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        main(["rollback", "eth0", "--force"])
print(json.dumps(rows))
"""


def test_kernel_without_memory_is_one_clear_error(running: Attached, tmp_path: Path) -> None:
    """At whatever call it has none left."""
    (tmp_path / "new.yaml").write_text(
        "sets: {a: [192.0.2.0/24, '2001:db8::/32']}\n"
        "rules:\n"
        "- {name: listed, action: drop, src: '@a', src_mac: {not: '02:00:00:00:00:09'}}\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "new.yaml")]
    rows = json.loads(running.right.run(command, timeout_s=300).stdout)
    assert len(rows) > 20
    for n, code, descriptors, said, rules in rows:
        assert code == 3, f"call {n}: {said}"
        assert said.startswith("xdpctl: eth0: the kernel has no memory for it: "), f"call {n}"
        assert said.splitlines()[1].startswith("hint: fewer rules or smaller sets"), f"call {n}"
        assert len(said.splitlines()) == 2, f"call {n}"
        assert (descriptors, rules) == (0, [["no-telnet", 3]]), f"call {n}"


def test_process_without_memory_is_one_clear_error(running: Attached, tmp_path: Path) -> None:
    """2,500,000 scattered addresses take more than 400 MiB, libraries included."""
    lines = (f"11.{n >> 15}.{n >> 7 & 255}.{n % 128 * 2}\n" for n in range(2_500_000))
    (tmp_path / "list").write_text("".join(lines), encoding="ascii")
    (tmp_path / "big.yaml").write_text(
        "sets: {a: {file: list}}\nrules: [{action: drop, src: '@a'}]\n", encoding="utf-8"
    )
    before = listed(running)
    command = ["prlimit", f"--as={400 << 20}", *XDPCTL, "apply", "eth0", str(tmp_path / "big.yaml")]
    done = running.right.run(command, check=False, timeout_s=120, env={"OPENBLAS_NUM_THREADS": "1"})
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.splitlines()[-1].startswith("xdpctl: out of memory; nothing was changed")
    assert listed(running) == before


@pytest.fixture
def addressed(lab: Lab) -> Attached:
    left, right = lab.hosts("left", "right")
    link = lab.link(left, right, addresses=([], ["192.0.2.2/24", "2001:db8::2/64"]))
    made = Attached(lab, left, right, link)
    made.xdpctl("attach", "eth0")
    return made


FROM_OWN = "warning: rule {} drops packets from this interface's own address {}, which is in set {}"


def test_list_that_covers_the_own_addresses_says_so_once(
    addressed: Attached, tmp_path: Path
) -> None:
    (tmp_path / "list").write_text("198.51.100.0/24\n192.0.2.0/30\n", encoding="ascii")
    path = tmp_path / "edge.yaml"
    path.write_text(
        "sets: {listed: {file: list}, others: ['2001:db8::1']}\n"
        "rules:\n"
        "- {name: ours, action: pass, src: '@listed', proto: tcp}\n"
        "- {name: listed, action: drop, src: '@listed', proto: udp}\n"
        "- {name: others, action: drop, src: ['@others', 203.0.113.1]}\n"
        "- {name: not-ours, action: drop, dst: {not: 192.0.2.2}, vlan: 7}\n"
        "- {name: web, action: drop, dst: 192.0.2.2, proto: tcp, dport: 80}\n",
        encoding="utf-8",
    )

    def said(*arguments: str) -> list[str]:
        done = xdpctl(addressed.right, *arguments)
        assert done.returncode == 0, done.stderr
        return [line for line in done.stderr.splitlines() if line.startswith("warning")]

    assert said("apply", "eth0", str(path)) == [FROM_OWN.format("listed", "192.0.2.2", "listed")]
    assert said("apply", "eth0", str(path)) == []  # it was said
    added = said("set", "add", "eth0", "others", "2001:db8::/64", "10.1.2.3")
    assert added == [
        "warning: set others of a drop rule has a part of: private addresses (10.0.0.0/8)",
        FROM_OWN.format("others", "2001:db8::2", "others"),
    ]
    to_own = ["rule", "add", "eth0", "drop", "--dst", "192.0.2.2", "--name", "all", "--force"]
    assert said(*to_own) == [
        "warning: rule all drops everything that is sent to this interface's own address 192.0.2.2"
    ]
    addressed.xdpctl("detach", "eth0")
    attached = said("attach", "eth0", "--rules", str(path))
    assert attached == [FROM_OWN.format("listed", "192.0.2.2", "listed")]


def test_own_addresses_are_warnings_in_json(addressed: Attached) -> None:
    done = xdpctl_json(
        addressed.right, "rule", "add", "eth0", "drop", "--src", "192.0.2.0/24", "--name", "net"
    )
    assert [each["text"] for each in done["warnings"]] == [
        "rule net drops packets from this interface's own address 192.0.2.2"
    ]
