"""Capture files built by hand, field by field, from draft-ietf-opsawg-pcap and -pcapng."""

from __future__ import annotations

import io
from collections.abc import Iterable
from struct import pack

from xdpctl.captures.batches import Packet, packets
from xdpctl.captures.reading import CaptureReader

ETHERNET = 1
FRAME = bytes.fromhex("0200000000020200000000010800") + bytes(range(50))
SECOND = 1_700_000_000


def pcap_header(
    *, order: str = "<", magic: int = 0xA1B2C3D4, link_type: int = ETHERNET, version: int = 4
) -> bytes:
    return pack(order + "IHHiIII", magic, 2, version, 0, 0, 262_144, link_type)


def record(
    data: bytes,
    *,
    seconds: int = SECOND,
    ticks: int = 0,
    original: int | None = None,
    order: str = "<",
) -> bytes:
    whole = len(data) if original is None else original
    return pack(order + "IIII", seconds, ticks, len(data), whole) + data


def pcap(frames: Iterable[bytes], *, link_type: int = ETHERNET) -> bytes:
    return pcap_header(link_type=link_type) + b"".join(map(record, frames))


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def block(kind: int, body: bytes, *, order: str = "<") -> bytes:
    total = 12 + len(padded(body))
    return pack(order + "II", kind, total) + padded(body) + pack(order + "I", total)


def section(*, order: str = "<", version: int = 1) -> bytes:
    return block(0x0A0D0D0A, pack(order + "IHHq", 0x1A2B3C4D, version, 0, -1), order=order)


def interface(
    *options: tuple[int, bytes], link_type: int = ETHERNET, snaplen: int = 0, order: str = "<"
) -> bytes:
    listed = b"".join(pack(order + "HH", code, len(v)) + padded(v) for code, v in options)
    end = pack(order + "HH", 0, 0) if options else b""
    return block(1, pack(order + "HHI", link_type, 0, snaplen) + listed + end, order=order)


def enhanced(
    data: bytes,
    *,
    ticks: int = SECOND * 1_000_000,
    number: int = 0,
    original: int | None = None,
    order: str = "<",
    options: bytes = b"",
) -> bytes:
    whole = len(data) if original is None else original
    fields = (number, ticks >> 32, ticks & 0xFFFFFFFF, len(data), whole)
    return block(6, pack(order + "5I", *fields) + padded(data) + options, order=order)


def obsolete(data: bytes, *, ticks: int, number: int = 0, order: str = "<") -> bytes:
    fields = (number, 3, ticks >> 32, ticks & 0xFFFFFFFF, len(data), len(data))
    return block(2, pack(order + "HH4I", *fields) + data, order=order)


def simple(data: bytes, *, original: int | None = None, order: str = "<") -> bytes:
    whole = len(data) if original is None else original
    return block(3, pack(order + "I", whole) + data, order=order)


def pcapng(frames: Iterable[bytes], *, link_type: int = ETHERNET) -> bytes:
    return section() + interface(link_type=link_type) + b"".join(map(enhanced, frames))


def reader(content: bytes) -> CaptureReader:
    return CaptureReader(io.BytesIO(content))


def read(content: bytes) -> list[Packet]:
    """The packets of a file that has nothing wrong with it."""
    capture = reader(content)
    found = list(packets(capture))
    assert (capture.problems, capture.left_out) == ([], {})
    return found


def read_damaged(content: bytes) -> tuple[list[bytes], list[str], dict[str, int]]:
    """The frames that can be read, what is wrong, and what is left out."""
    capture = reader(content)
    frames = [packet.data for packet in packets(capture)]
    return frames, capture.problems, capture.left_out
