"""Writes BTF blobs by the kernel's Documentation/bpf/btf.rst, independently of the code under test.

Type ids count from 1 in the order of the calls, each of which returns the id.
"""

from __future__ import annotations

import struct

from xdpctl.pylibbpf import Btf, BtfError, Codec

SIGNED, CHAR, BOOL = 1, 2, 4
FLAG = 1 << 31


class Blob:
    def __init__(self) -> None:
        self.types = b""
        self.strings = b"\0"
        self.count = 0

    def string(self, text: str) -> int:
        if not text:
            return 0
        self.strings += text.encode() + b"\0"
        return len(self.strings) - len(text.encode()) - 1

    def add(self, kind: int, word: int, tail: bytes = b"", *, name: str = "", info: int = 0) -> int:
        """`word` is the size or the type, `info` the number of elements and the flag."""
        self.types += struct.pack("=III", self.string(name), kind << 24 | info, word) + tail
        self.count += 1
        return self.count

    def integer(self, size: int, encoding: int = 0, name: str = "int") -> int:
        return self.add(1, size, struct.pack("=I", encoding << 24 | size * 8), name=name)

    def pointer(self, to: int = 0) -> int:
        return self.add(2, to)

    def array(self, element: int, length: int) -> int:
        return self.add(3, 0, struct.pack("=III", element, element, length))

    def struct(
        self,
        size: int,
        members: list[tuple[str, int, int]],
        *,
        name: str = "s",
        union: bool = False,
        bit_fields: bool = False,
    ) -> int:
        """Members are (name, type, offset in bits); with bit fields the offset's top byte is the
        width."""
        rows = [struct.pack("=III", self.string(each), type_, at) for each, type_, at in members]
        info = len(members) | (FLAG if bit_fields else 0)
        return self.add(5 if union else 4, size, b"".join(rows), name=name, info=info)

    def enum(self, values: dict[str, int], *, signed: bool = False, name: str = "e") -> int:
        rows = [struct.pack("=II", self.string(k), v & 0xFFFFFFFF) for k, v in values.items()]
        info = len(values) | (FLAG if signed else 0)
        return self.add(6, 4, b"".join(rows), name=name, info=info)

    def enum64(self, values: dict[str, int], *, signed: bool = False, name: str = "e64") -> int:
        rows = [
            struct.pack("=III", self.string(k), v & 0xFFFFFFFF, v >> 32 & 0xFFFFFFFF)
            for k, v in values.items()
        ]
        info = len(values) | (FLAG if signed else 0)
        return self.add(19, 8, b"".join(rows), name=name, info=info)

    def floating(self, size: int) -> int:
        return self.add(16, size, name="float")

    def typedef(self, to: int, kind: int = 8, name: str = "t") -> int:
        """Kinds 8 to 11 and 18: typedef, volatile, const, restrict, type tag."""
        return self.add(kind, to, name=name if kind in (8, 18) else "")

    def variable(self, type_: int, name: str = "v") -> int:
        return self.add(14, type_, struct.pack("=I", 1), name=name)

    def section(self, size: int, variables: list[tuple[int, int, int]]) -> int:
        """Variables are (type, offset, size)."""
        rows = [struct.pack("=III", *each) for each in variables]
        return self.add(15, size, b"".join(rows), name=".data.s", info=len(variables))

    def raw(self) -> bytes:
        header = (0xEB9F, 1, 0, 24, 0, len(self.types), len(self.types), len(self.strings))
        return struct.pack("=HBBIIIII", *header) + self.types + self.strings


def codec_of(blob: Blob, type_id: int | None = None) -> Codec:
    """Of the type given, or of the last one."""
    return Codec(Btf(blob.raw()), type_id or blob.count)


def decode_everything(raw: bytes) -> None:
    """What a reader of a foreign program's maps might do; only BtfError may come of it."""
    try:
        btf = Btf(raw)
    except BtfError:
        return
    for type_id in range(min(len(btf.types), 64)):
        try:
            codec = Codec(btf, type_id)
            data = bytes(codec.size) if codec.size <= 1 << 20 else b""
            value = codec.decode(data)
            assert codec.encode(value) == data
        except BtfError:
            continue
