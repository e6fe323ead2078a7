"""The pcapng format: sections of blocks, each section in its own byte order.

Source: draft-ietf-opsawg-pcapng.
"""

from __future__ import annotations

from struct import Struct

from xdpctl.captures import blocks
from xdpctl.captures.batches import Gathering
from xdpctl.captures.interfaces import UNREADABLE, Clock, Interface, read_interface
from xdpctl.captures.notes import CUT_SHORT, NOT_READ_ON, Notes

MAGIC = b"\x0a\x0d\x0d\x0a"

_BLOCK_BYTES_MIN, _BLOCK_BYTES_MAX = 12, 1 << 24  # the most is that of Wireshark
_SECTION_BYTES_MIN, _INTERFACE_BYTES_MIN = 28, 20
_PACKET_BYTES, _PACKET_HEAD_BYTES = 32, 28  # of a block without the packet; what is before it
_SIMPLE_BYTES, _SIMPLE_HEAD_BYTES = 16, 12
_INTERFACES_MAX = 65_536  # in a section: each takes memory
_VERSION = 1
_ORDERS = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
_PACKETS = {blocks.ENHANCED_PACKET, blocks.PACKET, blocks.SIMPLE_PACKET}
_TOO_SHORT = "in a block that is too short"
_UNDECLARED = "of an interface that was not declared"


class _Damaged(Exception):
    """Where the next block begins is not known."""

    def __init__(self, what: str, kind: int = 0) -> None:
        super().__init__(what)
        self.kind = kind


class PcapngParser:
    """See batches.Parser."""

    def __init__(self, notes: Notes, fitting_max: int) -> None:
        """`fitting_max`: blocks with more bytes than that fit into no buffer, and are skipped."""
        self._notes = notes
        self._fitting_max = fitting_max
        self._skip = 0  # bytes of such a block that are still to come
        self._untimed = 0
        self._time_ns = 0
        self._interfaces: list[Interface] = []
        self._clocks: list[Clock] = []
        self.stopped = False
        self._use_order("<")

    def _use_order(self, order: str) -> None:
        self._order = order
        self._unpack_u32 = Struct(order + "I").unpack_from
        self._unpack_u16 = Struct(order + "H").unpack_from
        self._unpack_enhanced = Struct(order + "7I").unpack_from
        self._unpack_obsolete = Struct(order + "2IHxx4I").unpack_from

    def parse(self, buffer: bytearray, gathering: Gathering) -> int:
        offset = min(self._skip, len(buffer))
        self._skip -= offset
        while not self._skip:
            offset = self._enhanced_packets(buffer, offset, gathering)
            try:
                after = self._block(buffer, offset, gathering)
            except _Damaged as damage:
                self._stop(damage, gathering.number)
                break
            if after is None:
                break
            offset = after
        if gathering.times_ns:
            self._time_ns = gathering.times_ns[-1]
        return offset

    def _stop(self, damage: _Damaged, number: int) -> None:
        self.stopped = True
        self._notes.problem(f"has {damage}, {_after(number)}: {NOT_READ_ON}")
        if damage.kind in _PACKETS:
            self._notes.leave_out("in a damaged block")

    def finish(self, rest: bytearray, number: int) -> None:
        if self._untimed:
            without = "packets without a time, which are given that of the one before"
            self._notes.problem(f"has {without}: {self._untimed:,}")
        if self.stopped or not (rest or self._skip):
            return
        self._notes.problem(f"ends within a block, {_after(number)}")
        if len(rest) >= 4 and self._unpack_u32(rest)[0] in _PACKETS:  # noqa: PLR2004
            self._notes.leave_out(CUT_SHORT)

    def _enhanced_packets(self, buffer: bytearray, offset: int, gathering: Gathering) -> int:
        """Enhanced Packet Blocks, up to the first thing that needs more care."""
        add_offset = gathering.offsets.append
        add_length = gathering.lengths.append
        add_original = gathering.originals.append
        add_time = gathering.times_ns.append
        unpack, unpack_u32, clocks = self._unpack_enhanced, self._unpack_u32, self._clocks
        enhanced, known, current = blocks.ENHANCED_PACKET, len(clocks), -1
        adapt, factor, high_max, base_ns = None, 0, -1, 0
        end = len(buffer)
        last = end - _PACKET_BYTES
        while offset <= last:
            kind, total, interface, high, low, captured, original = unpack(buffer, offset)
            after = offset + total
            if (
                kind != enhanced
                or total & 3
                or after > end
                or captured > total - _PACKET_BYTES
                or unpack_u32(buffer, after - 4)[0] != total
            ):
                break
            if interface != current:
                if interface >= known:
                    break
                adapt, factor, high_max, base_ns = clocks[interface]
                current = interface
            if high > high_max:
                break
            start = offset + _PACKET_HEAD_BYTES
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
            add_time((high << 32 | low) * factor + base_ns)
        return offset

    def _block(self, buffer: bytearray, offset: int, gathering: Gathering) -> int | None:
        """Any block, with care: where it ends, or None if that is not there yet."""
        there = len(buffer) - offset
        if there < _BLOCK_BYTES_MIN:
            return None
        kind: int = self._unpack_u32(buffer, offset)[0]
        if kind == blocks.SECTION_HEADER:
            order = _ORDERS.get(bytes(buffer[offset + 8 : offset + 12]))
            if order is None:
                raise _Damaged("a section header of no byte order")
            self._use_order(order)
        total: int = self._unpack_u32(buffer, offset + 4)[0]
        if not _BLOCK_BYTES_MIN <= total <= _BLOCK_BYTES_MAX or total & 3:
            raise _Damaged(f"a block of {total:,} bytes", kind)
        if total > self._fitting_max:
            self._pass_over(kind, gathering)
            self._skip = max(total - there, 0)
            return offset + min(total, there)
        if total > there:
            return None
        if self._unpack_u32(buffer, offset + total - 4)[0] != total:
            raise _Damaged("a block that ends with another length than it begins with", kind)
        self._read_block(kind, total, buffer, offset, gathering)
        return offset + total

    def _read_block(
        self, kind: int, total: int, buffer: bytearray, offset: int, gathering: Gathering
    ) -> None:
        if kind == blocks.SECTION_HEADER:
            if total < _SECTION_BYTES_MIN:
                raise _Damaged(f"a section header of {total} bytes")
            version = self._unpack_u16(buffer, offset + 12)[0]
            if version != _VERSION:
                raise _Damaged(f"a section of version {version}, not {_VERSION}")
            self._interfaces, self._clocks = [], []
        elif kind == blocks.INTERFACE_DESCRIPTION:
            whole = total >= _INTERFACE_BYTES_MIN
            body = bytes(buffer[offset + 8 : offset + total - 4])
            self._add(read_interface(body, self._order) if whole else UNREADABLE)
        elif kind in _PACKETS:
            read = self._simple_packet if kind == blocks.SIMPLE_PACKET else self._packet
            if reason := read(total, buffer, offset, gathering):
                self._notes.leave_out(reason)
                gathering.leave_out()

    def _pass_over(self, kind: int, gathering: Gathering) -> None:
        """A block that no buffer holds."""
        if kind in _PACKETS:
            self._notes.leave_out(f"in a block of more than {self._fitting_max:,} bytes")
            gathering.leave_out()
        elif kind == blocks.INTERFACE_DESCRIPTION:
            self._add(UNREADABLE)

    def _add(self, interface: Interface) -> None:
        if len(self._interfaces) < _INTERFACES_MAX:
            self._interfaces.append(interface)
            self._clocks.append(interface.clock)

    def _packet(self, total: int, buffer: bytearray, offset: int, gathering: Gathering) -> str:
        """Add the packet of a block, an enhanced or an obsolete one; or why not."""
        if total < _PACKET_BYTES:
            return _TOO_SHORT
        is_enhanced = self._unpack_u32(buffer, offset)[0] == blocks.ENHANCED_PACKET
        unpack = self._unpack_enhanced if is_enhanced else self._unpack_obsolete
        _, _, number, high, low, captured, original = unpack(buffer, offset)
        if captured > total - _PACKET_BYTES:
            return "longer than its block"
        if number >= len(self._interfaces):
            return _UNDECLARED
        interface = self._interfaces[number]
        start = offset + _PACKET_HEAD_BYTES
        time_ns = interface.time_ns(high << 32 | low)
        return _place(interface, buffer, (start, captured, original), time_ns, gathering)

    def _simple_packet(
        self, total: int, buffer: bytearray, offset: int, gathering: Gathering
    ) -> str:
        """Of the section's first interface; as much as its snaplen was captured."""
        if total < _SIMPLE_BYTES:
            return _TOO_SHORT
        if not self._interfaces:
            return _UNDECLARED
        interface = self._interfaces[0]
        original = self._unpack_u32(buffer, offset + 8)[0]
        captured = min(original, total - _SIMPLE_BYTES, interface.snaplen or original)
        start = offset + _SIMPLE_HEAD_BYTES
        if interface.adapt is not None:  # it is to have 14 bytes before it, and here has 12
            buffer[start + 2 : start + 2 + captured] = buffer[start : start + captured]
            start += 2
        time_ns = gathering.times_ns[-1] if gathering.times_ns else self._time_ns
        reason = _place(interface, buffer, (start, captured, original), time_ns, gathering)
        if not reason:
            self._untimed += 1
        return reason


def _place(
    interface: Interface,
    buffer: bytearray,
    where: tuple[int, int, int],
    time_ns: int,
    gathering: Gathering,
) -> str:
    start, captured, original = where
    original = max(captured, original)
    if interface.adapt is not None:
        adapted = interface.adapt(buffer, start, captured, original)
        if isinstance(adapted, str):
            return adapted
        start, captured, original = adapted
    gathering.add(start, captured, original, time_ns)
    return ""


def _after(number: int) -> str:
    return f"after packet {number - 1:,}" if number > 1 else "before the first packet"
