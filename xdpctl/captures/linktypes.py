"""Link types of capture files, and how a packet of each becomes an Ethernet frame.

What has no Ethernet header is given one of zero addresses, or of the sender's where it is known.
It is written over the header that was there and over what precedes the packet in the file, so
that no packet is copied: `ROOM_BYTES` before a packet have to be free.

Sources: https://www.tcpdump.org/linktypes.html, LINKTYPE_LINUX_SLL.html and
LINKTYPE_LINUX_SLL2.html there.
"""

from __future__ import annotations

from collections.abc import Callable

Adapted = tuple[int, int, int]
Adapter = Callable[[bytearray, int, int, int], Adapted | str]
"""Of a buffer, where in it a packet begins, its captured and its original length: the same of the
Ethernet frame, or why there is none."""

ETHERNET = 1
ROOM_BYTES = 14

_NAMES = {
    6: "Token Ring",
    9: "PPP",
    10: "FDDI",
    50: "PPP",
    51: "PPPoE",
    104: "Cisco HDLC",
    105: "IEEE 802.11",
    107: "Frame Relay",
    109: "OpenBSD IPsec",
    117: "OpenBSD pflog",
    119: "IEEE 802.11 with Prism header",
    127: "IEEE 802.11 with radiotap header",
    147: "reserved for private use",
    163: "IEEE 802.11 with AVS header",
    187: "Bluetooth HCI",
    189: "Linux USB",
    192: "Per-Packet Information",
    195: "IEEE 802.15.4",
    201: "Bluetooth HCI",
    220: "Linux USB",
    227: "SocketCAN",
    239: "Linux netfilter log",
    247: "InfiniBand",
    249: "USBPcap",
    252: "Wireshark Upper PDU",
    253: "Linux netlink",
}

_ORIGINAL_MAX = 0xFFFFFFFF - ROOM_BYTES  # what a file says may be anything; ours are uint32
_IPV4, _IPV6 = bytes(12) + b"\x08\x00", bytes(12) + b"\x86\xdd"
_BY_VERSION = {4: _IPV4, 6: _IPV6}
_BY_FAMILY = {2: _IPV4, 10: _IPV6, 24: _IPV6, 28: _IPV6, 30: _IPV6}  # of Linux and of the BSDs
_FAMILY_MAX = 0xFFFF
_MAC_BYTES = 6
_ETHERTYPE_MIN = b"\x06\x00"
# Frame Relay, IEEE 802.11 in three ways, netlink: their protocol field is no Ethernet type.
_ODD_DEVICES = {arphrd.to_bytes(2, "big") for arphrd in (770, 801, 802, 803, 824)}


def adapter(link_type: int, fcs_bytes: int = 0) -> Adapter | None:
    """What makes an Ethernet frame of a packet; None if it is one as it is.

    Of a link type that there is no way for, every packet is refused.

    Args:
        fcs_bytes: of the frame check sequence that ends each packet, and is cut off.
    """
    reason = refusal(link_type)
    adapt = _refused(reason) if reason else _ADAPTERS[link_type]
    return _without_fcs(adapt, fcs_bytes) if fcs_bytes else adapt


def refusal(link_type: int) -> str:
    """Why no packet of this link type can be used; empty if they can."""
    if link_type in _ADAPTERS:
        return ""
    return f"link type {link_type} ({_NAMES.get(link_type, 'not Ethernet')})"


def _refused(reason: str) -> Adapter:
    return lambda buffer, start, captured, original: reason


def _without_fcs(adapt: Adapter | None, fcs_bytes: int) -> Adapter:
    def cut(buffer: bytearray, start: int, captured: int, original: int) -> Adapted | str:
        original = max(original - fcs_bytes, 0)
        captured = min(captured, original)
        if adapt is None:
            return start, captured, original
        return adapt(buffer, start, captured, original)

    return cut


def _ip(header: bytes) -> Adapter:
    def adapt(buffer: bytearray, start: int, captured: int, original: int) -> Adapted:
        buffer[start - 14 : start] = header
        return start - 14, captured + 14, min(original, _ORIGINAL_MAX) + 14

    return adapt


def _raw_ip(buffer: bytearray, start: int, captured: int, original: int) -> Adapted | str:
    header = _BY_VERSION.get(buffer[start] >> 4) if captured else None
    if header is None:
        return "raw IP, but neither IPv4 nor IPv6"
    buffer[start - 14 : start] = header
    return start - 14, captured + 14, min(original, _ORIGINAL_MAX) + 14


def _bsd_loopback(buffer: bytearray, start: int, captured: int, original: int) -> Adapted | str:
    """The address family of the machine that captured, in its byte order: either is tried."""
    head = buffer[start : start + 4] if captured >= 4 else bytes(4)  # noqa: PLR2004
    family = int.from_bytes(head, "little")
    if family > _FAMILY_MAX:
        family = int.from_bytes(head, "big")
    header = _BY_FAMILY.get(family)
    if header is None:
        return "BSD loopback, but neither IPv4 nor IPv6"
    buffer[start - 10 : start + 4] = header
    return start - 10, captured + 10, min(original, _ORIGINAL_MAX) + 10


def _cooked(
    header_bytes: int, *, protocol_at: int, device_at: int, address_length: slice, address_at: int
) -> Adapter:
    """Linux cooked, version 1 or 2: the fields' places within the header, of big-endian numbers.

    A protocol number that is no Ethernet type stands for IEEE 802.3 frames with a length in
    that place, which is not known any more; or for what Ethernet does not carry.
    """
    spare = header_bytes - 14

    def adapt(buffer: bytearray, start: int, captured: int, original: int) -> Adapted | str:
        if captured < header_bytes:
            return "cut short within the Linux cooked header"
        header = bytes(buffer[start : start + header_bytes])
        protocol = header[protocol_at : protocol_at + 2]
        if protocol < _ETHERTYPE_MIN or header[device_at : device_at + 2] in _ODD_DEVICES:
            return "Linux cooked, but of no Ethernet type"
        is_mac = int.from_bytes(header[address_length], "big") == _MAC_BYTES
        source = header[address_at : address_at + 6] if is_mac else bytes(6)
        buffer[start + spare : start + header_bytes] = bytes(6) + source + protocol
        return start + spare, captured - spare, original - spare

    return adapt


_ADAPTERS: dict[int, Adapter | None] = {
    ETHERNET: None,
    0: _bsd_loopback,
    108: _bsd_loopback,
    12: _raw_ip,
    14: _raw_ip,
    101: _raw_ip,
    228: _ip(_IPV4),
    229: _ip(_IPV6),
    113: _cooked(16, protocol_at=14, device_at=2, address_length=slice(4, 6), address_at=6),
    276: _cooked(20, protocol_at=0, device_at=8, address_length=slice(11, 12), address_at=12),
}
