"""`xdpctl check` of files that are no rules files, or bombs: one clear error, in little memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import pytest

from xdpctl.cli.main import main

GIGABYTE = 1 << 30
VALUES_MAX = 2_000_000


class Ended(NamedTuple):
    code: int
    stdout: str
    stderr: str
    peak_bytes: int


# Forks for each command: loading Python and numpy anew takes longer than most of these do.
CHECKER = """
import contextlib, json, os, signal, sys
from xdpctl.cli.main import main

with contextlib.suppress(SystemExit), contextlib.redirect_stdout(sys.stderr):
    main(["check", sys.argv[1]])  # to have everything loaded
for line in sys.stdin:
    directory, path = json.loads(line)
    child = os.fork()
    if not child:
        signal.alarm(300)
        os.chdir(directory)
        for number, name in enumerate(("/dev/null", "stdout", "stderr")):
            os.dup2(os.open(name, (os.O_WRONLY | os.O_CREAT) if number else os.O_RDONLY), number)
        main(["check", path])
    _, status, usage = os.wait4(child, 0)
    print(json.dumps([os.waitstatus_to_exitcode(status), usage.ru_maxrss]), flush=True)
"""

Check = Callable[[str, Path], Ended]


@pytest.fixture(scope="module")
def check(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Check]:
    """`xdpctl check` in a process of its own, and the most memory that it had (getrusage(2))."""
    usual = tmp_path_factory.mktemp("usual") / "f"
    usual.write_text("rules: [{action: drop, src: 192.0.2.1, dport: 53, proto: udp}]\n")
    command = [sys.executable, "-c", CHECKER, str(usual)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as checker:
        stdin, stdout = checker.stdin, checker.stdout
        assert stdin is not None and stdout is not None

        def run(path: str, directory: Path) -> Ended:
            stdin.write(f"{json.dumps([str(directory), path])}\n")
            stdin.flush()
            code, kibibytes = json.loads(stdout.readline())
            said = ((directory / name).read_text() for name in ("stdout", "stderr"))
            return Ended(code, *said, kibibytes << 10)

        yield run
        stdin.close()


def sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, GIGABYTE)


def spaces(path: Path) -> None:
    """64 MiB and a byte, more than a rules file may have."""
    path.write_bytes(b" " * ((64 << 20) + 1))


def text(content: str | bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content.encode() if isinstance(content, str) else content)


FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "directory": (Path.mkdir, "f: is a directory"),
    "nothing": (lambda path: None, "f: no such file or directory"),
    "FIFO": (os.mkfifo, "f: is a FIFO, not a regular file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "f: is a device, not a regular file"),
    "loop": (lambda path: path.symlink_to("f"), "f: too many levels of symbolic links"),
    "1 GB": (sparse, "f: not a text file (it has a NUL byte)"),
    "too large": (spaces, "f: larger than 64 MiB"),
    "binary": (lambda path: path.write_bytes(Path(sys.executable).read_bytes()[:1 << 20]),
               "f: not a text file (it has a NUL byte)"),
    "NUL": (text("name: a\0\n"), "f: not a text file (it has a NUL byte)"),
    "Latin-1": (text(b"name: a\n# caf\xe9\n"), "f:2:6: not UTF-8"),
    "surrogate": (text(b"name: a\xed\xa0\x80\n"), "f:1:8: not UTF-8"),
    "UTF-16": (text("name: a".encode("utf-16")), "f: not a text file (it has a NUL byte)"),
    "nothing in it": (text(""), "f:1:1: the file is empty"),
    "CR only": (text("name: a\rrules:\r- {action: drop}\r- {action: dorp}\r"),
                'f:4:12: action: "dorp" is not drop, pass or limit: did you mean "drop"?'),
    "duplicate keys": (text("rules: []\nname: a\nrules: []\n"),
                       'f:3:1: "rules" is here twice, first in line 1'),
    "tag": (text("name: !!python/object/apply:os.system [id]\n"),
            "f:1:7: tags are not allowed: tag:yaml.org,2002:python/object/apply:os.system"),
    "aliases": (text("a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"),
                "f:1:4: anchors and aliases are not allowed; "
                "quote a value that begins with & or *"),
    "depth": (text("[" * (5 << 20)), "f:1:9: nested deeper than 8 levels"),
    "depth of mappings": (text("{a: " * (1 << 20)), "f:1:30: nested deeper than 8 levels"),
    "depth of keys": (text("? " * (1 << 20)), "f:1:17: nested deeper than 8 levels"),
    "flow of 10 MB": (text("[" + "a," * (5 << 20) + "]"),
                      f"f:1:{2 * VALUES_MAX}: more than 2,000,000 values: "
                      "put long lists of addresses into files"),
    "value of 60 MB": (text("name: " + "a" * 60_000_000 + "\n"),
                       f'f:1:7: "{"a" * 59}…" is no name: 1 to 63 of letters, digits and ._-'),
}  # fmt: skip


@pytest.mark.parametrize("kind", FILES)
def test_what_is_no_rules_file_is_one_clear_error(check: Check, kind: str, tmp_path: Path) -> None:
    make, said = FILES[kind]
    make(tmp_path / "f")
    ended = check("f", tmp_path)
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr.splitlines()[0] == f"xdpctl: {said}"
    assert len(ended.stderr.splitlines()) == 1
    assert ended.peak_bytes < GIGABYTE


LISTS: dict[str, tuple[Callable[[Path], object], str]] = {
    name: (FILES[name][0], FILES[name][1].replace("f: ", "f:1:18: file: {path}: ", 1))
    for name in ("directory", "nothing", "FIFO", "device", "1 GB", "NUL", "UTF-16")
} | {
    "one line": (text("1" * 100_000), "{path}: has a line of more than 64 KiB: not a list"),
    "HTML": (text("<html>\n"), '{path}:1:1: "<html>" is not an IPv4 or IPv6 address'),
    "CR only": (text("192.0.2.1\r192.0.2.2\r"),
                '{path}:1:1: "192.0.2.1\\r192.0.2.2" is not an IPv4 or IPv6 address'),
    "Latin-1": (text(b"192.0.2.1\ncaf\xe9\n"),
                '{path}:2:1: "café" is not an IPv4 or IPv6 address'),
}  # fmt: skip


@pytest.mark.parametrize("kind", LISTS)
def test_what_is_no_list_is_one_clear_error(check: Check, kind: str, tmp_path: Path) -> None:
    make, said = LISTS[kind]
    (tmp_path / "f").write_text("sets: {a: {file: list}}\nrules: [{action: drop, src: '@a'}]\n")
    make(tmp_path / "list")
    ended = check("f", tmp_path)
    assert (ended.code, ended.stdout) == (2, "")
    assert ended.stderr == f"xdpctl: {said.format(path=tmp_path / 'list')}\n"
    assert ended.peak_bytes < GIGABYTE


def test_every_mistake_is_told_with_its_place_and_a_suggestion(
    check: Check, tmp_path: Path
) -> None:
    (tmp_path / "list").write_text("".join(f"bad{n}\n192.0.2.{n}\n" for n in range(25)))
    (tmp_path / "f").write_text(
        "polcy: drop\n"
        "sets: {office: [192.0.2.1/24], listed: {file: list}}\n"
        "rules:\n"
        "- {action: drop, prot: tcp, dport: 70000}\n"
        '- {action: drop, src: "@ofice"}\n'
    )
    ended = check("f", tmp_path)
    path = tmp_path / "list"
    assert ended.code == 2
    assert ended.stderr.splitlines() == [
        f"xdpctl: {path}: 25 bad lines, of which the first 10 are named",
        *(f'{path}:{2 * n + 1}:1: "bad{n}" is not an IPv4 or IPv6 address' for n in range(10)),
        'f:1:1: unknown key "polcy"',
        'f:2:17: "192.0.2.1/24" has host bits set: did you mean 192.0.2.0/24?',
        'f:4:18: unknown key "prot": did you mean "proto"?',
        'f:4:36: dport: "70000" is outside 0-65535',
        'f:5:23: src: there is no set "ofice": did you mean "office"?',
    ]


def test_a_list_that_covers_special_space_says_which(check: Check, tmp_path: Path) -> None:
    """8000::/1 has been in published lists; it holds neighbour discovery's addresses."""
    (tmp_path / "list").write_text("8000::/1\n192.168.7.0/24\n233.252.0.0/24\n8.8.8.8\n")
    (tmp_path / "f").write_text("sets: {a: {file: list}}\nrules: [{action: drop, src: '@a'}]\n")
    ended = check("f", tmp_path)
    assert ended.code == 0
    what = 'warning: f:1:8: set "a" of a drop rule has a part of: '
    assert [line.removeprefix(what) for line in ended.stderr.splitlines()] == [
        "private addresses (192.168.0.0/16)",
        "multicast (224.0.0.0/4)",
        "private addresses (fc00::/7)",
        "link-local, neighbour discovery (fe80::/10)",
        "multicast, ff02::/16 neighbour discovery (ff00::/8)",
    ]


def with_bit(numbers: int, bit: int) -> Iterator[int]:
    return (n for n in range(numbers) if n >> bit & 1)


def test_too_many_rules_are_one_clear_error(check: Check, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("rules:\n" + "- {action: drop}\n" * 4097)
    ended = check("f", tmp_path)
    assert (ended.code, ended.stderr) == (2, "xdpctl: f:4098:3: 4,097 rules: there can be 4,096\n")


def test_too_many_values_in_rules_are_one_clear_error(check: Check, tmp_path: Path) -> None:
    values = ", ".join(f"'2001:db8:{n >> 16:x}:{n & 0xFFFF:x}::/80'" for n in range(100_001))
    (tmp_path / "f").write_text("rules:\n" + f"- {{action: drop, src: [{values}]}}\n" * 4)
    ended = check("f", tmp_path)
    said = "xdpctl: f:5:3: the rules have more than 400,000 values: put addresses into sets\n"
    assert (ended.code, ended.stderr) == (2, said)
    assert ended.peak_bytes < GIGABYTE


APART = "there can be 65,535\nhint: fewer lists that overlap, or one set of those that are "
APART += "named in the same rules\n"


def test_too_many_classes_of_addresses_are_one_clear_error(check: Check, tmp_path: Path) -> None:
    """Each of 17 lists has the addresses with one of 17 bits set: each is in other lists."""
    numbers = 65_537
    for bit in range(17):
        lines = (f"11.{n >> 16}.{n >> 8 & 255}.{n & 255}\n" for n in with_bit(numbers, bit))
        (tmp_path / f"s{bit}").write_text("".join(lines))
    sets = "".join(f"  s{bit}: {{file: s{bit}}}\n" for bit in range(17))
    rules = "".join(f"- {{action: drop, src: '@s{bit}'}}\n" for bit in range(17))
    (tmp_path / "f").write_text(f"sets:\n{sets}rules:\n{rules}")
    ended = check("f", tmp_path)
    said = f"xdpctl: the rules tell IPv4 addresses apart in 65,536 ways: {APART}"
    assert (ended.code, ended.stderr) == (2, said)
    assert ended.peak_bytes < GIGABYTE


@pytest.mark.parametrize(
    ("field", "ways"),
    [("dport", "the values of dport apart in 65,536"),
     ("src_mac", "the addresses of src_mac apart in 65,704")],
)  # fmt: skip
def test_too_many_classes_of_values_are_one_clear_error(
    check: Check, tmp_path: Path, field: str, ways: str
) -> None:
    """Ports as above, as ranges, and a rule of its own for 0. MAC addresses, of which there are
    others, each in another pair of 363 rules: 65,703 pairs."""
    if field == "dport":
        rules = [
            [f'"{first}-{first + (1 << bit) - 1}"' for first in range(1 << bit, 1 << 16, 2 << bit)]
            for bit in range(16)
        ]
        rules.append(["0"])
    else:
        rules = [[] for _ in range(363)]
        for n, pair in enumerate(combinations(rules, 2)):
            for rule in pair:
                rule.append(f'"02:00:00:{n >> 16:02x}:{n >> 8 & 255:02x}:{n & 255:02x}"')
    lines = (f"- {{action: drop, {field}: [{', '.join(each)}]}}\n" for each in rules)
    (tmp_path / "f").write_text("rules:\n" + "".join(lines))
    ended = check("f", tmp_path)
    assert (ended.code, ended.stderr) == (2, f"xdpctl: the rules tell {ways} ways: {APART}")
    assert ended.peak_bytes < GIGABYTE


def test_sets_in_many_negated_rules_are_one_clear_error(check: Check, tmp_path: Path) -> None:
    """A file of 200 kB that would have the memory of a thousand sets of 100,000 prefixes."""
    lines = (f"11.{n >> 15}.{n >> 7 & 255}.{n % 128 * 2}\n" for n in range(100_000))
    (tmp_path / "list").write_text("".join(lines))
    rules = (f"- {{action: drop, src: {{not: ['@a', 10.0.{n >> 8}.{n & 255}]}}}}\n"
             for n in range(1000))  # fmt: skip
    (tmp_path / "f").write_text("sets: {a: {file: list}}\nrules:\n" + "".join(rules))
    ended = check("f", tmp_path)
    assert ended.code == 2
    assert ended.stderr.startswith("xdpctl: rules that negate sets together with addresses need ")
    assert len(ended.stderr.splitlines()) == 2
    assert ended.peak_bytes < GIGABYTE


def test_the_most_classes_of_several_fields_fit_into_the_memory(
    check: Check, tmp_path: Path
) -> None:
    """4,096 rules that tell tens of thousands of ports, lengths and addresses apart: no bool each
    for class and rule, of which a field would have 268 MB."""
    rules = []
    for n in range(4096):
        ranges = ", ".join(f'"{n + 8191 * i % 57_000}-{n + 8191 * i % 57_000 + 3 * i}"'
                           for i in range(1, 8))  # fmt: skip
        addresses = ", ".join(f"11.{i}.{n >> 4}.{(n & 15) << 4}/28" for i in range(8))
        rules.append(
            f"- {{action: drop, proto: udp, sport: [{ranges}], dport: [{ranges}], "
            f"length: [{ranges}], src: [{addresses}], dst: [{addresses}]}}\n"
        )
    (tmp_path / "f").write_text("rules:\n" + "".join(rules))
    ended = check("f", tmp_path)
    assert ended.code == 0, ended.stderr
    assert ended.peak_bytes < GIGABYTE


@pytest.mark.parametrize("change", ["truncated", "appended to", "replaced in place"])
@pytest.mark.parametrize("which", ["f", "list"])
def test_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    change: str,
    which: str,
) -> None:
    """It is changed after the first read of its content."""
    (tmp_path / "f").write_text("sets: {a: {file: list}}\nrules: [{action: drop, src: '@a'}]\n")
    (tmp_path / "list").write_text("192.0.2.1\n" * 300_000)
    path = tmp_path / which
    read, changed = os.read, False
    inode = path.stat().st_ino

    def read_and_change(descriptor: int, size: int) -> bytes:
        nonlocal changed
        content = read(descriptor, size)
        if not changed and os.fstat(descriptor).st_ino == inode:
            changed = True
            if change == "truncated":
                os.truncate(path, 10)
            else:
                with path.open("r+b" if change == "replaced in place" else "ab") as file:
                    file.write(b"# changed\n")
        return content

    monkeypatch.setattr(os, "read", read_and_change)
    with pytest.raises(SystemExit) as ended:
        main(["check", str(tmp_path / "f")])
    assert (changed, ended.value.code) == (True, 2)
    stderr = capfd.readouterr().err
    where = "" if which == "f" else f"{tmp_path / 'f'}:1:18: file: "
    assert stderr.splitlines()[0] == f"xdpctl: {where}{path}: changed while it was read"
