"""The packet that somebody wants explained: from a capture, in hexadecimal, or by its fields."""

from __future__ import annotations

import os
import re
import time
from bisect import bisect_left
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import click

from xdpctl.cli.field_options import value_of
from xdpctl.cli.text import printable
from xdpctl.errors import WrongUsage
from xdpctl.rules.inputs import STDIN

if TYPE_CHECKING:
    from xdpctl.captures.reading import CaptureReader
    from xdpctl.replay.packets import Packets

_IN_CAPTURE = re.compile(r"(.+):([0-9]{1,18})", re.DOTALL)
_HEX = re.compile(r"(?:0x)?[0-9a-f]*(?:[\s:]+(?:0x)?[0-9a-f]+)*[\s:]*", re.IGNORECASE)


class Chosen(NamedTuple):
    """Attributes:
    what: to call the packet by.
    number: in its capture; 1 elsewhere.
    batches: the last one is of the packet alone; those before have what came before it.
    """

    what: str
    number: int
    batches: Iterator[Packets]


@contextmanager
def chosen_packet(packet: str | None, fields: dict[str, tuple[str, ...]]) -> Iterator[Chosen]:
    """What an argument, or the options of `field_options`, say.

    Raises WrongUsage: there is no such packet; also while the batches are taken.
    """
    given = {name: value_of(name, values) for name, values in fields.items() if values}
    if (packet is None) != bool(given):
        raise WrongUsage(
            "one packet is wanted: CAPTURE:NUMBER, hexadecimal digits, or its fields as options",
            hint="xdpctl explain --proto tcp --dport 22",
        )
    if packet is None:
        yield Chosen("a packet with these fields", 1, _alone(_frame_with(given)))
        return
    found = _IN_CAPTURE.fullmatch(packet)
    is_hex = _HEX.fullmatch(packet) is not None
    if found is None or (is_hex and not os.path.exists(found[1])):
        yield Chosen("this packet", 1, _alone(_frame_of_hex(packet)))
        return
    from xdpctl.captures.reading import CaptureReader  # noqa: PLC0415

    number = int(found[2])
    if number == 0:
        raise WrongUsage(f"{packet}: packets are counted from 1")
    with CaptureReader(found[1]) as reader:
        name = "standard input" if found[1] == STDIN else reader.name
        yield Chosen(f"packet {number:,} of {name}", number, _until(reader, number))
        for problem in reader.problems:
            click.echo(printable(f"warning: {reader.name}: {problem}"), err=True)


def _alone(frame: bytes) -> Iterator[Packets]:
    from xdpctl.replay.packets import Frames  # noqa: PLC0415

    yield Frames(frame, [0], [len(frame)], [time.time_ns()])


def _frame_with(given: dict[str, object]) -> bytes:
    from xdpctl.replay.build import NoSuchPacket, condition_of, frame_of  # noqa: PLC0415

    try:
        return frame_of({name: condition_of(name, value) for name, value in given.items()})
    except NoSuchPacket as error:
        raise WrongUsage(f"{error.field}: {error}") from error


def _frame_of_hex(text: str) -> bytes:
    from xdpctl.replay.build import NoSuchPacket, frame_of_hex  # noqa: PLC0415

    if not _HEX.fullmatch(text):
        raise WrongUsage(
            "neither CAPTURE:NUMBER nor hexadecimal digits",
            hint="xdpctl explain night.pcap:17, or the packet's fields: --proto tcp --dport 22",
        )
    try:
        return frame_of_hex(text)
    except NoSuchPacket as error:
        raise WrongUsage(str(error)) from error


def _until(reader: CaptureReader, number: int) -> Iterator[Packets]:
    """The packets before a number, and then the one with it."""
    from xdpctl.replay.packets import Frames  # noqa: PLC0415

    last = 0
    for batch in reader:
        at = bisect_left(batch.numbers, number)
        if at == len(batch.numbers):
            last = batch.numbers[-1]
            yield batch
            continue
        if batch.numbers[at] != number:
            raise WrongUsage(f"{reader.name}: packet {number:,} cannot be used: {_why(reader)}")
        if at:
            head = (each[:at] for each in (batch.offsets, batch.lengths, batch.times_ns))
            yield Frames(batch.data, *head)
        offset, length = batch.offsets[at], batch.lengths[at]
        if length < batch.originals[at]:
            click.echo("note: cut by the capture's snaplen: judged by what is there", err=True)
        frame = bytes(memoryview(batch.data)[offset : offset + length])
        yield Frames(frame, [0], [length], [batch.times_ns[at]])
        return
    message = f"{reader.name}: has no packet {number:,}; the last is {last:,}"
    raise WrongUsage(message, hint="; ".join(reader.problems))


def _why(reader: CaptureReader) -> str:
    return ", ".join(reader.left_out)
