"""What `xdpctl ban` and `xdpctl unban` share: where addresses come from, on what interfaces, and
how many they were.

A line of a file or of standard input is ADDRESS[/LEN], maybe a TIME after it, maybe a comment.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

import click

from xdpctl.cli.base import Command, InterfaceName
from xdpctl.cli.documents import heading, write_json
from xdpctl.cli.text import printable
from xdpctl.datapath.ban_entries import Prefix, parse_ban
from xdpctl.datapath.hook import occupants
from xdpctl.datapath.interfaces import (
    Interface,
    all_interfaces,
    current_namespace,
    find_interface,
)
from xdpctl.errors import NotAttached, WrongUsage
from xdpctl.rules.times import parse_duration
from xdpctl.rules.values import BadValue, quoted

STDIN = "-"
_FILE_BYTES_MAX = 256 << 20
_CHUNK_BYTES = 1 << 20
_LINE_BYTES_MAX = 4096
_SHOWN_MAX = 10
_LIFETIMES_KEPT = 1 << 16
_COMMENT = re.compile(r"[#;].*")

Lifetimes = dict[Prefix, int | None]
"""Prefixes, and the seconds that their lines give; the last line of a prefix counts."""


class BansCommand(Command):
    """`IFACE ADDRESS...`, or with --all addresses alone."""

    def invoke(self, ctx: click.Context) -> Any:
        interface = ctx.params.get("interface")
        if ctx.params.get("everywhere") and interface is not None:
            ctx.params["addresses"] = (interface, *ctx.params["addresses"])
            ctx.params["interface"] = None
        return super().invoke(ctx)


def whose_arguments(function: Callable[..., Any]) -> Callable[..., Any]:
    """IFACE or --all, the addresses, and --file."""
    for decorate in (
        click.option("--file", "file", metavar="FILE", help="A file with an address on each line."),
        click.option("--all", "everywhere", is_flag=True, help="On every interface that has it."),
        click.argument("addresses", metavar="ADDRESS[/LEN]...", nargs=-1),
        click.argument("interface", metavar="IFACE|--all", type=InterfaceName(), required=False),
    ):
        function = decorate(function)
    return function


def interfaces_of(interface: str | None, *, everywhere: bool) -> list[Interface]:
    """Raises WrongUsage, NotAttached, NoSuchInterface."""
    if everywhere:
        found = [each for each in all_interfaces() if any(one.ours for one in occupants(each))]
        if not found:
            raise NotAttached("nothing of ours is attached to any interface")
        return found
    if interface is None:
        raise WrongUsage("name an interface, or say --all", hint="xdpctl ban eth0 192.0.2.1")
    return [find_interface(interface)]


def tell_counts(
    found: Sequence[Interface], counts: Sequence[int], key: str, text: Callable[[int], str], *,
    json: bool,
) -> None:  # fmt: skip
    """What was done on each interface: as JSON the number under `key`, or what `text` says."""
    if json:
        netns = current_namespace()
        pairs = zip(found, counts, strict=True)
        write_json([heading(each, netns) | {key: count} for each, count in pairs])
        return
    for each, count in zip(found, counts, strict=True):
        click.echo(printable(f"{each.name}: {text(count)}"))


def batches(addresses: Iterable[str], file: str | None) -> Iterator[Lifetimes]:
    """Prefixes of the arguments and of the file, all at once; of standard input (`-`) as they come.

    Raises WrongUsage: some are wrong. Those of standard input that are right were given by then.
    """
    words = [each for each in addresses if each != STDIN]
    streamed = STDIN in addresses or file == STDIN
    wrong = _Wrong()
    prefixes = wrong.parsed(enumerate(words, 1), "")
    if file is not None and file != STDIN:
        prefixes |= wrong.parsed(enumerate(_lines_of(file), 1), f"{file}:")
    wrong.raise_if_any()
    if prefixes:
        yield prefixes
    if streamed:
        number = 0
        for lines in _stream():
            told = len(wrong.lines)
            yield wrong.parsed(enumerate(lines, number + 1), "<stdin>:")
            number += len(lines)
            for each in wrong.lines[told:]:
                click.echo(printable(f"xdpctl: {each}"), err=True)
        wrong.raise_count()


def _lines_of(path: str) -> list[str]:
    from xdpctl.rules.inputs import read_all  # noqa: PLC0415 - for files

    return read_all(path, _FILE_BYTES_MAX).decode(errors="replace").split("\n")


def _stream() -> Iterator[list[str]]:
    """Lines of standard input, as many as are there at a time."""
    with suppress(OSError):  # what is no pipe, or may not be larger
        # Each batch costs a lock and a look at the whole table: let more than 64 KiB gather.
        fcntl.fcntl(0, fcntl.F_SETPIPE_SZ, _CHUNK_BYTES)
    begun = b""
    while chunk := os.read(0, _CHUNK_BYTES):
        *whole, begun = (begun + chunk).split(b"\n")
        if len(begun) > _LINE_BYTES_MAX:
            raise WrongUsage(f"<stdin>: a line of more than {_LINE_BYTES_MAX:,} bytes")
        if whole:
            yield [line.decode(errors="replace") for line in whole]
    if begun:
        yield [begun.decode(errors="replace")]


class _Wrong:
    """Addresses that are none."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._count = 0

    def parsed(self, numbered: Iterable[tuple[int, str]], where: str) -> Lifetimes:
        """The others; of empty lines and comments nothing. Arguments have no `where`."""
        found: Lifetimes = {}
        for number, line in numbered:
            try:
                if not where:
                    found[parse_ban(line)] = None
                elif words := _COMMENT.sub("", line).split():
                    prefix, seconds = _parse_line(words)
                    found[prefix] = seconds
            except BadValue as error:
                self._count += 1
                if len(self.lines) < _SHOWN_MAX:
                    self.lines.append(f"{where}{number}: {error}" if where else str(error))
        return found

    def raise_if_any(self) -> None:
        if self._count > len(self.lines):
            self.lines.append(f"{self._count:,} wrong addresses, of which {_SHOWN_MAX} are named")
        if self._count:
            raise WrongUsage("\n".join(self.lines), hint="nothing was done")

    def raise_count(self) -> None:
        if self._count:
            lines = "a line" if self._count == 1 else f"{self._count:,} lines"
            raise WrongUsage(f"<stdin>: {lines} with no address; the others were taken")


def _parse_line(words: list[str]) -> tuple[Prefix, int | None]:
    """Raises BadValue."""
    match words:
        case [address]:
            return parse_ban(address), None
        case [address, lifetime]:
            return parse_ban(address), _seconds(lifetime)
        case _:
            raise BadValue(f"{quoted(' '.join(words))} is no ADDRESS, nor ADDRESS TIME")


_seconds = lru_cache(_LIFETIMES_KEPT)(parse_duration)
