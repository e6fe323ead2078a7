"""The pcap format: a header, and then record after record.

Source: draft-ietf-opsawg-pcap, pcap-savefile(5).
"""

from __future__ import annotations

from struct import Struct

from xdpctl.captures.batches import Gathering
from xdpctl.captures.linktypes import adapter, refusal
from xdpctl.captures.notes import CUT_SHORT, NOT_READ_ON, Notes
from xdpctl.errors import WrongUsage

HEADER_BYTES = 24
PACKET_BYTES_MAX = 262_144  # what libpcap captures at most; beyond it, a length is damaged

_NS_PER_TICK = {
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\x3c\x4d": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
}
MAGICS = frozenset(_NS_PER_TICK)
_MODIFIED = {b"\xa1\xb2\xcd\x34", b"\x34\xcd\xb2\xa1"}
_VERSION = (2, 4)
_RECORD_BYTES = 16
_NS_PER_SECOND = 1_000_000_000
_FCS_IS_KNOWN = 0x04000000


def is_modified(magic: bytes) -> bool:
    """Whether it is of Alexey Kuznetzov's variant, of which there were several."""
    return magic in _MODIFIED


class PcapParser:
    """See batches.Parser."""

    def __init__(self, header: bytes, notes: Notes) -> None:
        """`header`: the first 24 bytes of the file.  Raises WrongUsage: cannot be read."""
        order, self._ns_per_tick = _NS_PER_TICK[header[:4]]
        major, minor, network = Struct(order + "4xHH12xI").unpack(header)
        if (major, minor) != _VERSION:
            raise WrongUsage(
                f"{notes.name}: is pcap of version {major}.{minor}, not 2.4",
                hint="editcap -F pcapng converts what Wireshark can read",
            )
        link_type = network & 0x03FFFFFF
        if reason := refusal(link_type):
            raise WrongUsage(f"{notes.name}: {reason} cannot be made Ethernet of")
        fcs_bytes = 2 * (network >> 28) if network & _FCS_IS_KNOWN else 0
        self._adapt = adapter(link_type, fcs_bytes)
        self._unpack = Struct(order + "4I").unpack_from
        self._notes = notes
        self.stopped = False

    def parse(self, buffer: bytearray, gathering: Gathering) -> int:
        add_offset = gathering.offsets.append
        add_length = gathering.lengths.append
        add_original = gathering.originals.append
        add_time = gathering.times_ns.append
        unpack, adapt, ns_per_tick = self._unpack, self._adapt, self._ns_per_tick
        end = len(buffer)
        last = end - _RECORD_BYTES
        offset = 0
        while offset <= last:
            seconds, ticks, captured, original = unpack(buffer, offset)
            if not 0 < captured <= PACKET_BYTES_MAX and self._is_damaged(
                seconds or original, captured, gathering.number
            ):
                break
            start = offset + _RECORD_BYTES
            after = start + captured
            if after > end:
                break
            offset = after
            if captured > original:  # noqa: PLR1730 # max() takes three times as long
                original = captured
            if adapt is not None:
                adapted = adapt(buffer, start, captured, original)
                if isinstance(adapted, str):
                    self._notes.leave_out(adapted)
                    gathering.leave_out()
                    continue
                start, captured, original = adapted
            add_offset(start)
            add_length(captured)
            add_original(original)
            add_time(seconds * _NS_PER_SECOND + ticks * ns_per_tick)
        return offset

    def _is_damaged(self, has_more: int, captured: int, number: int) -> bool:
        """A packet may be empty, but then the rest of its record is not."""
        if captured:
            self._notes.leave_out("of an impossible length")
            why = f"packet {number:,} would be {captured:,} bytes long"
        elif not has_more:
            why = f"packet {number:,} would be zeros only"
        else:
            return False
        self._notes.problem(f"{why}: {NOT_READ_ON}")
        self.stopped = True
        return True

    def finish(self, rest: bytearray, number: int) -> None:
        if rest and not self.stopped:
            self._notes.leave_out(CUT_SHORT)
            self._notes.problem(f"ends within packet {number:,}")
