"""Values of BTF types as Python objects, both ways.

| C                                  | Python                                              |
| ---------------------------------- | --------------------------------------------------- |
| integers, enums, pointers          | int (bool for _Bool)                                |
| float, double                      | float                                               |
| arrays                             | tuple; arrays of one-byte integers are bytes        |
| structs, unions                    | Record: attributes, those of anonymous members too  |

A whole value is unpacked by one `struct` call and then built from the flat sequence. Bit fields and
unions, which `struct` cannot express, travel in it as raw bytes.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from xdpctl.pylibbpf.btf import Btf, Kind, Member, Type
from xdpctl.pylibbpf.errors import BtfError

VALUE_BYTES_MAX = 16 << 20
_DEPTH_MAX = 32
_INT_FORMATS = {1: "B", 2: "H", 4: "I", 8: "Q"}
_FLOAT_FORMATS = {2: "e", 4: "f", 8: "d"}


class Record(SimpleNamespace):
    """A struct or union read from a map. A copy, and therefore read-only."""

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a copy of a value: assign the whole value instead of .{name}")


class _Codec(Protocol):
    """`format` is a `struct` format without byte order; `build` takes that many flat values."""

    size: int
    format: str

    def build(self, flat: Iterator[Any]) -> Any: ...
    def flatten(self, value: Any, flat: list[Any]) -> None: ...


class Codec:
    """Encodes and decodes the values of one type.

    Attributes:
        size: bytes of a value.
    """

    def __init__(self, btf: Btf, type_id: int, depth: int = 0) -> None:
        self._codec = _compile(btf, type_id, depth)
        self.size = self._codec.size
        self._struct = struct.Struct("=" + self._codec.format)

    def decode(self, data: bytes | bytearray | memoryview, offset: int = 0) -> Any:
        """The value at `offset` of `data`. Raises BtfError when the data is too short."""
        try:
            return self._codec.build(iter(self._struct.unpack_from(data, offset)))
        except struct.error as error:
            raise BtfError(str(error)) from None

    def encode(self, value: Any) -> bytes:
        """The bytes of `value`. Raises BtfError when it does not fit the type."""
        flat: list[Any] = []
        try:
            self._codec.flatten(value, flat)
            return self._struct.pack(*flat)
        except (struct.error, TypeError) as error:
            raise BtfError(f"{value!r} does not fit the type: {error}") from None


class BytesCodec:
    """For keys and values without BTF: bytes as they are, and plain integers in host order."""

    def __init__(self, size: int) -> None:
        self.size = size

    def decode(self, data: bytes | bytearray | memoryview, offset: int = 0) -> bytes:
        return bytes(data[offset : offset + self.size])

    def encode(self, value: bytes | int) -> bytes:
        try:
            data = value.to_bytes(self.size, sys.byteorder) if isinstance(value, int) else value
        except OverflowError as error:
            raise BtfError(f"{value!r} does not fit {self.size} bytes: {error}") from None
        if len(data) != self.size:
            raise BtfError(f"{len(data)} bytes given where {self.size} are needed")
        return bytes(data)


class _Scalar:
    def __init__(self, size: int, format_: str) -> None:
        self.size = size
        self.format = format_

    def build(self, flat: Iterator[Any]) -> Any:
        return next(flat)

    def flatten(self, value: Any, flat: list[Any]) -> None:
        flat.append(value)


class _WideInt(_Scalar):
    """__int128, which `struct` does not know."""

    def __init__(self, size: int, signed: bool) -> None:
        super().__init__(size, f"{size}s")
        self._signed = signed

    def build(self, flat: Iterator[Any]) -> int:
        return int.from_bytes(next(flat), sys.byteorder, signed=self._signed)

    def flatten(self, value: Any, flat: list[Any]) -> None:
        try:
            flat.append(int(value).to_bytes(self.size, sys.byteorder, signed=self._signed))
        except OverflowError as error:
            raise BtfError(f"{value!r} does not fit {self.size} bytes: {error}") from None


class _Bytes(_Scalar):
    """An array of one-byte integers; a shorter value is filled up with zeros, as in C."""

    def __init__(self, size: int) -> None:
        super().__init__(size, f"{size}s")

    def flatten(self, value: Any, flat: list[Any]) -> None:
        data = value.encode() if isinstance(value, str) else bytes(value)
        if len(data) > self.size:
            raise BtfError(f"{len(data)} bytes given where {self.size} fit")
        flat.append(data)


class _Array:
    def __init__(self, element: _Codec, length: int) -> None:
        _check_size(element.size * length)
        self.size = element.size * length
        self.format = element.format * length
        self._element = element
        self._length = length if element.size else 0

    def build(self, flat: Iterator[Any]) -> tuple[Any, ...]:
        build = self._element.build
        return tuple(build(flat) for _ in range(self._length))

    def flatten(self, value: Any, flat: list[Any]) -> None:
        if len(value) != self._length:
            raise BtfError(f"{len(value)} elements given where {self._length} are needed")
        for element in value:
            self._element.flatten(element, flat)


class _Struct:
    """A struct without bit fields, padding included."""

    def __init__(self, btf: Btf, type_: Type, depth: int) -> None:
        _check_size(type_.size)
        self.size = type_.size
        self._members: list[tuple[str, _Codec]] = []
        formats: list[str] = []
        end = 0
        for member in type_.members:
            codec = _compile(btf, member.type_id, depth)
            offset = member.offset_bits // 8
            if not codec.size:
                continue  # takes no bytes: a flexible array, a struct without members
            if offset < end or offset + codec.size > type_.size:
                raise BtfError(f"BTF struct {type_.name}: member {member.name} does not fit")
            formats += [f"{offset - end}x", codec.format]
            end = offset + codec.size
            self._members.append((member.name, codec))
        self.format = "".join(formats) + f"{type_.size - end}x"

    def build(self, flat: Iterator[Any]) -> Record:
        fields: dict[str, Any] = {}
        for name, codec in self._members:
            if name:
                fields[name] = codec.build(flat)
            else:
                fields |= vars(codec.build(flat))
        return Record(**fields)

    def flatten(self, value: Any, flat: list[Any]) -> None:
        for name, codec in self._members:
            codec.flatten(_part(value, name) if name else value, flat)


class _Overlaid:
    """A union, or a struct with bit fields: members read from and written to the same bytes."""

    def __init__(self, btf: Btf, type_: Type, depth: int) -> None:
        _check_size(type_.size)
        self.size = type_.size
        self.format = f"{type_.size}s"
        self._is_union = type_.kind is Kind.UNION
        self._members: list[tuple[Member, Codec | None, bool]] = []
        for member in type_.members:
            resolved = btf.resolve(member.type_id)
            width = member.width_bits
            codec = None if width else Codec(btf, member.type_id, depth)
            bits = width or (codec.size * 8 if codec else 0)
            if not bits:
                continue
            if member.offset_bits + bits > type_.size * 8:
                raise BtfError(f"BTF type {type_.name}: member {member.name} does not fit")
            self._members.append((member, codec, resolved.signed))

    def _shift(self, member: Member) -> int:
        if sys.byteorder == "little":
            return member.offset_bits
        return self.size * 8 - member.offset_bits - member.width_bits

    def build(self, flat: Iterator[Any]) -> Record:
        raw = next(flat)
        fields: dict[str, Any] = {}
        for member, codec, signed in self._members:
            if codec:
                value = codec.decode(raw, member.offset_bits // 8)
            else:
                value = int.from_bytes(raw, sys.byteorder) >> self._shift(member)
                value &= (1 << member.width_bits) - 1
                if signed and value >> (member.width_bits - 1):
                    value -= 1 << member.width_bits
            fields |= {member.name: value} if member.name else vars(value)
        return Record(**fields)

    def flatten(self, value: Any, flat: list[Any]) -> None:
        if isinstance(value, bytes):
            flat.append(value)
            return
        raw = bytearray(self.size)
        for member, codec, _ in self._members:
            part = _part(value, member.name, None) if member.name else value
            if part is None:
                continue
            if codec:
                start = member.offset_bits // 8
                raw[start : start + codec.size] = codec.encode(part)
            else:
                self._insert(raw, member, part)
            if self._is_union and member.name:
                break
        flat.append(bytes(raw))

    def _insert(self, raw: bytearray, member: Member, value: int) -> None:
        mask = (1 << member.width_bits) - 1
        if not -(mask + 1) // 2 <= value <= mask:
            raise BtfError(f"{value} does not fit the {member.width_bits} bits of {member.name}")
        whole = int.from_bytes(raw, sys.byteorder) & ~(mask << self._shift(member))
        whole |= (value & mask) << self._shift(member)
        raw[:] = whole.to_bytes(self.size, sys.byteorder)


def _part(value: Any, name: str, default: Any = 0) -> Any:
    """A member out of a mapping or an object. One that is not given is zero, as in C."""
    if isinstance(value, dict):
        return value.get(name, default)
    return getattr(value, name, default)


def _check_size(size: int) -> None:
    if size > VALUE_BYTES_MAX:
        raise BtfError(f"a value of {size} bytes is too large to decode")


# One for each type of each BTF: types that share members would otherwise be compiled anew at
# every mention, exponentially often in a hostile blob.
_compiled: WeakKeyDictionary[Btf, dict[int, _Codec]] = WeakKeyDictionary()


def _compile(btf: Btf, type_id: int, depth: int) -> _Codec:
    known = _compiled.setdefault(btf, {})
    if type_id not in known:
        known[type_id] = _compile_new(btf, type_id, depth)
    return known[type_id]


def _compile_new(btf: Btf, type_id: int, depth: int) -> _Codec:
    if depth > _DEPTH_MAX:
        raise BtfError("BTF types are nested too deeply")
    type_ = btf.resolve(type_id)
    match type_.kind:
        case Kind.INT | Kind.ENUM | Kind.ENUM64:
            return _integer(type_)
        case Kind.PTR:
            return _Scalar(8, "Q")
        case Kind.FLOAT if type_.size in _FLOAT_FORMATS:
            return _Scalar(type_.size, _FLOAT_FORMATS[type_.size])
        case Kind.ARRAY:
            element = btf.resolve(type_.type_id)
            _check_size(type_.length)
            if element.kind is Kind.INT and element.size == 1 and not element.boolean:
                return _Bytes(type_.length)
            return _Array(_compile(btf, type_.type_id, depth + 1), type_.length)
        case Kind.STRUCT if not any(member.width_bits for member in type_.members):
            return _Struct(btf, type_, depth + 1)
        case Kind.STRUCT | Kind.UNION:
            return _Overlaid(btf, type_, depth + 1)
        case Kind.VAR:
            return _compile(btf, type_.type_id, depth + 1)
    raise BtfError(f"BTF type {type_id} ({type_.kind.name.lower()}) has no values")


def _integer(type_: Type) -> _Codec:
    if type_.boolean and type_.size == 1:
        return _Scalar(1, "?")
    if type_.size == 16:  # noqa: PLR2004 - __int128
        return _WideInt(16, type_.signed)
    if type_.size not in _INT_FORMATS:
        raise BtfError(f"BTF integer {type_.name} of {type_.size} bytes is not understood")
    format_ = _INT_FORMATS[type_.size]
    return _Scalar(type_.size, format_.lower() if type_.signed else format_)
