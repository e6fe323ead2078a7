"""Writing pcapng, as it comes: nothing is held back, and nothing written is gone back to.

Source: draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import lru_cache
from struct import Struct
from typing import BinaryIO

from xdpctl.captures import blocks
from xdpctl.captures.linktypes import ETHERNET

_NANOSECONDS = 9  # if_tsresol: ten to the minus ninth
_INBOUND, _OUTBOUND = 1, 2  # epb_flags
_LINUX_EBPF_XDP = 2  # epb_verdict
_TEXT_MAX = 0xFFFF
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")  # for lengths of 0, 1, 2, 3 above a multiple of four

_u32 = Struct("<I")
_option_head = Struct("<HH")
_u32_pair = Struct("<II")
_section = Struct("<IHHq")
_interface = Struct("<HHI")
_packet = Struct("<7I")
_statistics = Struct("<3I")
_verdict = Struct("<BQ")

_EPB_BYTES = _packet.size + _u32.size


class CaptureWriter:
    """A pcapng file, little-endian, with times in nanoseconds.

    The file is the caller's to flush and to close, and has to be a buffered one.  OSError comes
    through as `file.write()` raises it.
    """

    def __init__(self, file: BinaryIO, *, application: str = "xdpctl") -> None:
        """Writes the Section Header Block."""
        self._write = file.write
        self._interfaces = 0
        system = os.uname()
        options = _options(
            (blocks.SHB_OS, _text(f"{system.sysname} {system.release}")),
            (blocks.SHB_USERAPPL, _text(application)),
        )
        self._write_block(
            blocks.SECTION_HEADER, _section.pack(blocks.BYTE_ORDER_MAGIC, 1, 0, -1) + options
        )

    def add_interface(
        self,
        name: str,
        *,
        snaplen: int = 0,
        description: str | None = None,
        link_type: int = ETHERNET,
    ) -> int:
        """Write an Interface Description Block, and return the number of the interface.

        Args:
            snaplen: the most bytes that are kept of a packet; 0 is no limit.
            link_type: of the LINKTYPE registry.
        """
        described = () if description is None else ((blocks.IF_DESCRIPTION, _text(description)),)
        options = _options(
            (blocks.IF_NAME, _text(name)),
            *described,
            (blocks.IF_TSRESOL, bytes([_NANOSECONDS])),
        )
        self._write_block(
            blocks.INTERFACE_DESCRIPTION, _interface.pack(link_type, 0, snaplen) + options
        )
        self._interfaces += 1
        return self._interfaces - 1

    def write(
        self,
        interface: int,
        time_ns: int,
        data: bytes | bytearray | memoryview,
        original_length: int,
        *,
        verdict: int | None = None,
        comment: str | None = None,
        inbound: bool = True,
        queue: int | None = None,
    ) -> None:
        """Write a packet: an Enhanced Packet Block.

        Args:
            interface: what `add_interface()` returned.
            time_ns: since 1970-01-01 UTC, 0 or more.
            data: what was captured of the packet.
            original_length: bytes that it had on the wire.
            verdict: the XDP action, a number of `enum xdp_action`.
            comment: cut after 65,535 bytes of UTF-8.
            queue: that it was received on.
        """
        if not 0 <= interface < self._interfaces:
            raise ValueError(f"there is no interface {interface}")
        length = len(data)
        padding = _PADDING[length & 3]
        options = _packet_options(verdict, comment, inbound, queue)
        total = _EPB_BYTES + length + len(padding) + len(options)
        head = _packet.pack(
            blocks.ENHANCED_PACKET,
            total,
            interface,
            time_ns >> 32,
            time_ns & 0xFFFFFFFF,
            length,
            original_length,
        )
        self._write(b"".join((head, data, padding, options, _u32.pack(total))))

    def statistics(
        self,
        interface: int,
        *,
        start_ns: int,
        end_ns: int,
        received: int | None = None,
        dropped: int | None = None,
        filter_accepted: int | None = None,
        os_dropped: int | None = None,
        delivered: int | None = None,
    ) -> None:
        """Write an Interface Statistics Block; counts that are None are left out.

        Args:
            start_ns, end_ns: of the capture, since 1970-01-01 UTC.
            received: packets that came in on the interface (isb_ifrecv).
            dropped: by the interface, for lack of resources (isb_ifdrop).
            filter_accepted: packets that the filter let through (isb_filteraccept).
            os_dropped: by the operating system, after the filter (isb_osdrop).
            delivered: packets that reached who captured (isb_usrdeliv).
        """
        if not 0 <= interface < self._interfaces:
            raise ValueError(f"there is no interface {interface}")
        counts = {
            blocks.ISB_IFRECV: received,
            blocks.ISB_IFDROP: dropped,
            blocks.ISB_FILTERACCEPT: filter_accepted,
            blocks.ISB_OSDROP: os_dropped,
            blocks.ISB_USRDELIV: delivered,
        }
        options = _options(
            (blocks.ISB_STARTTIME, _time(start_ns)),
            (blocks.ISB_ENDTIME, _time(end_ns)),
            *((code, n.to_bytes(8, "little")) for code, n in counts.items() if n is not None),
        )
        head = _statistics.pack(interface, end_ns >> 32, end_ns & 0xFFFFFFFF)
        self._write_block(blocks.INTERFACE_STATISTICS, head + options)

    def _write_block(self, block_type: int, body: bytes) -> None:
        total = _u32_pair.size + len(body) + _u32.size
        self._write(_u32_pair.pack(block_type, total) + body + _u32.pack(total))


@lru_cache(maxsize=4096)
def _packet_options(
    verdict: int | None, comment: str | None, inbound: bool, queue: int | None
) -> bytes:
    """Few combinations make up most of a file: a rule has one comment and one verdict."""
    options = []
    if comment is not None:
        options.append((blocks.COMMENT, _text(comment)))
    options.append((blocks.EPB_FLAGS, _u32.pack(_INBOUND if inbound else _OUTBOUND)))
    if queue is not None:
        options.append((blocks.EPB_QUEUE, _u32.pack(queue)))
    if verdict is not None:
        options.append((blocks.EPB_VERDICT, _verdict.pack(_LINUX_EBPF_XDP, verdict)))
    return _options(*options)


def _options(*options: tuple[int, bytes]) -> bytes:
    return b"".join(_padded_options(options))


def _padded_options(options: Iterable[tuple[int, bytes]]) -> Iterable[bytes]:
    for code, value in options:
        yield _option_head.pack(code, len(value))
        yield value
        yield _PADDING[len(value) & 3]
    yield _option_head.pack(blocks.END_OF_OPTIONS, 0)


def _text(text: str) -> bytes:
    """UTF-8 that an option has room for, cut between characters; a lone surrogate becomes a `?`."""
    encoded = text.encode("utf-8", "replace")[:_TEXT_MAX]
    return encoded.decode("utf-8", "ignore").encode()


def _time(ns: int) -> bytes:
    """Its upper 32 bits come first, whatever the byte order."""
    return _u32_pair.pack(ns >> 32, ns & 0xFFFFFFFF)
