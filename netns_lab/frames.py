"""Whatever a person may want to send, as frames."""

import gzip
import os
import struct
import sys
import zlib
from collections.abc import Iterable, Iterator
from typing import IO, Any, SupportsBytes, cast

from netns_lab.errors import InvalidValueError

Frame = bytes | bytearray | memoryview | SupportsBytes
"""One frame from its destination MAC address on, without checksum: bytes, or a scapy packet."""

_LINKTYPE_ETHERNET = 1  # https://www.tcpdump.org/linktypes.html
_GZIP_MAGIC = b"\x1f\x8b"
_READ_BYTES_MAX = 1 << 20  # of one record, or of one block of a pcapng file


def to_frames(
    packets: Frame | Iterable[Frame], *, source_mac: str, destination_mac: str | None
) -> Iterator[bytes]:
    """The frames of one packet or of many, one at a time.

    MAC addresses that a scapy packet leaves open become those given. Scapy itself would ask for
    the destination with ARP, on an interface of the *machine* that its own routes suggest.
    Raises InvalidValueError where there is no MAC address to give.
    """
    # A scapy packet is an Iterable too, of itself; its __bytes__ tells it from a list.
    if isinstance(packets, (bytes, bytearray, memoryview)) or hasattr(packets, "__bytes__"):
        packets = (cast(Frame, packets),)
    for packet in packets:
        if _leaves_macs_open(packet):
            if destination_mac is None:
                # Not its repr: some releases of scapy ask for the address to show it.
                kind = type(packet).__name__
                raise InvalidValueError(f"{kind} without src or dst: the interface has no peer")
            yield bytes(_addressed(packet, source_mac, destination_mac))
        else:
            yield bytes(packet)


def pcap_frames(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """The frames of a pcap or pcapng file, gzipped or not, read as they are asked for.

    A frame that was cut short when it was recorded comes as it was recorded.
    Raises InvalidValueError where the file is of another format or not of Ethernet, OSError where
    it cannot be read.
    """
    # Here because scapy takes 0.1 s, and most senders have no file to read.
    from scapy.error import Scapy_Exception  # noqa: PLC0415
    from scapy.utils import RawPcapReader  # noqa: PLC0415

    with open(path, "rb") as file:  # by scapy it would stay open where it is no capture
        compressed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        file.seek(0)
        content = cast(IO[bytes], gzip.GzipFile(fileobj=file)) if compressed else file
        try:
            reader = cast(Any, RawPcapReader)(
                _Bounded(path, content)
            )  # its annotation knows paths alone
        except (Scapy_Exception, EOFError, OSError, zlib.error, struct.error) as error:
            raise InvalidValueError(f"{path}: not a pcap or pcapng file") from error
        frames = iter(reader)
        while True:
            try:
                frame, metadata = next(frames)
            except StopIteration:
                return
            except (Scapy_Exception, EOFError, OSError, zlib.error, struct.error) as error:
                raise InvalidValueError(f"{path}: damaged: {error}") from error
            # A pcapng file has a link type for each interface, a pcap file has one for all.
            link_type = (metadata if hasattr(metadata, "linktype") else reader).linktype
            if link_type != _LINKTYPE_ETHERNET:
                raise InvalidValueError(f"{path}: of link type {link_type}, not Ethernet")
            yield frame


class PcapFile:
    """The frames of a capture file, read anew whenever they are iterated over."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path

    def __iter__(self) -> Iterator[bytes]:
        return pcap_frames(self.path)


class _Bounded:
    """A file to be read in small pieces: a damaged one may tell of a block of 4 GiB, and a
    compressed one have it."""

    def __init__(self, path: str | os.PathLike[str], file: IO[bytes]) -> None:
        self._path = path
        self._file = file

    def read(self, size: int) -> bytes:
        if size > _READ_BYTES_MAX:
            raise InvalidValueError(f"{self._path}: damaged: a block of {size} bytes")
        return self._file.read(size)

    def close(self) -> None:
        self._file.close()


def _leaves_macs_open(packet: Any) -> bool:
    """Whether this is a scapy frame without addresses; if it is, scapy is loaded already."""
    ethernet = sys.modules.get("scapy.layers.l2")
    return (
        ethernet is not None
        and isinstance(packet, (ethernet.Ether, ethernet.Dot3))
        and not {"src", "dst"} <= packet.fields.keys() | packet.overloaded_fields.keys()
    )


def _addressed(packet: Any, source_mac: str, destination_mac: str) -> Any:
    packet = packet.copy()
    for field, mac in (("src", source_mac), ("dst", destination_mac)):
        if field not in packet.fields.keys() | packet.overloaded_fields.keys():
            packet.setfieldval(field, mac)
    return packet
