"""Values of BTF types as Python objects, both ways.

| C                                  | Python                                              |
| ---------------------------------- | --------------------------------------------------- |
| integers, enums, pointers          | int (bool for _Bool)                                |
| float, double                      | float                                               |
| arrays                             | tuple; arrays of one-byte integers are bytes        |
| structs, unions                    | Record: attributes, those of anonymous members too  |
| data sections of one variable      | that variable                                       |

To write a struct or a union, give a Record, a dict or any object with attributes. Members not given
are zero; members that there are not, and members of a union that contradict each other, are errors.

A whole value is unpacked by one `struct` call and then built from the flat sequence. Bit fields and
unions, which `struct` cannot express, travel in it as raw bytes.
"""

from __future__ import annotations

import math
import operator
import struct
import sys
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from xdpctl.pylibbpf.btf import Btf, Kind, Member, Type
from xdpctl.pylibbpf.errors import BtfError

VALUE_BYTES_MAX = 16 << 20
_COST_MAX = VALUE_BYTES_MAX // 4
_DEPTH_MAX = 32
_INT_FORMATS = {1: "B", 2: "H", 4: "I", 8: "Q"}
_NO_NAMES: frozenset[str] = frozenset()
_FLOAT_FORMATS = {2: "e", 4: "f", 8: "d"}


class Record(SimpleNamespace):
    """A struct or union read from a map. A copy, and therefore read-only."""

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a copy of a value: assign the whole value instead of .{name}")


class _Codec(Protocol):
    """`format` is a `struct` format without byte order; `build` takes that many flat values.

    `names` are the members of a struct or union and of anonymous ones in it, `zero` is what stands
    for a member that is not given, `depth` is the levels of types below, `cost` is how many values
    `build` makes, eight bytes counting for one: unions can hold millions in a few bytes.
    """

    size: int
    format: str
    names: frozenset[str]
    depth: int
    cost: int

    @property
    def zero(self) -> Any: ...
    def build(self, flat: Iterator[Any]) -> Any: ...
    def flatten(self, value: Any, flat: list[Any]) -> None: ...


class Codec:
    """Encodes and decodes the values of one type.

    Attributes:
        size: bytes of a value.
        names: the members of a struct or union; none for other types.
        depth, cost: levels of types below, and about how many values they have.
    """

    def __init__(self, btf: Btf, type_id: int, depth: int = 0) -> None:
        self._codec = _compile(btf, type_id, depth)
        self.size = self._codec.size
        self.names = self._codec.names
        self.depth = self._codec.depth
        self.cost = self._codec.cost
        self._struct = struct.Struct("=" + self._codec.format)

    def decode(self, data: bytes | bytearray | memoryview, offset: int = 0) -> Any:
        """The value at `offset` of `data`. Raises BtfError when the data is too short."""
        try:
            return self._codec.build(iter(self._struct.unpack_from(data, offset)))
        except struct.error as error:
            raise BtfError(str(error)) from None

    def row(self, *names: str) -> struct.Struct:
        """What packs and unpacks these members of a struct, numbers or bytes, in their order, and
        takes the others for padding: for many values, a tenth of the time. Raises BtfError."""
        if not isinstance(self._codec, _Struct):
            raise BtfError("only structs without bit fields have members by rows")
        return struct.Struct("=" + self._codec.row_format(names))

    def encode(self, value: Any) -> bytes:
        """The bytes of `value`. Raises BtfError when it does not fit the type."""
        flat: list[Any] = []
        try:
            self._codec.flatten(value, flat)
            return self._struct.pack(*flat)
        except BtfError:
            raise
        except (struct.error, TypeError, ValueError, OverflowError) as error:
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
        if not isinstance(data, bytes | bytearray | memoryview):
            raise BtfError(f"{value!r} is neither bytes nor an integer")
        if len(data) != self.size:
            raise BtfError(f"{len(data)} bytes given where {self.size} are needed")
        return bytes(data)


class _Scalar:
    names = _NO_NAMES
    depth = 0
    cost = 1
    zero: Any = 0

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
        integer = operator.index(value)
        flat.append(integer.to_bytes(self.size, sys.byteorder, signed=self._signed))


class _Bytes(_Scalar):
    """An array of one-byte integers; a shorter value is filled up with zeros, as in C."""

    zero = b""

    def __init__(self, size: int) -> None:
        super().__init__(size, f"{size}s")
        self.cost = 1 + size // 8

    def flatten(self, value: Any, flat: list[Any]) -> None:
        data = value.encode() if isinstance(value, str) else value
        if not isinstance(data, bytes | bytearray | memoryview):
            data = bytes([*data])  # not bytes(data), for which an integer is a length
        if len(data) > self.size:
            raise BtfError(f"{len(data)} bytes given where {self.size} fit")
        flat.append(bytes(data))


class _Array:
    names = _NO_NAMES

    def __init__(self, element: _Codec, length: int) -> None:
        _check_size(element.size * length)
        self.size = element.size * length
        self._element = element
        self._length = length if element.size else 0
        self.cost = _checked_cost(element.cost * self._length)
        self.depth = element.depth + 1
        scalar = len(element.format) == 1  # "3I", which `struct` handles better than "III"
        self.format = f"{length}{element.format}" if scalar else element.format * self._length

    @property
    def zero(self) -> tuple[Any, ...]:
        return (self._element.zero,) * self._length

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

    zero: Mapping[str, Any] = {}

    def __init__(self, btf: Btf, type_: Type, depth: int) -> None:
        _check_size(type_.size)
        self.size = type_.size
        self._members: list[tuple[str, _Codec]] = []
        self._gaps: list[int] = []  # before each member
        formats: list[str] = []
        end = 0
        self.cost = 1
        for member in type_.members:
            codec = _compile(btf, member.type_id, depth)
            offset = member.offset_bits // 8
            if not codec.size or not (member.name or codec.names):
                continue  # takes no bytes, such as a flexible array, or has no name to go by
            if offset < end or offset + codec.size > type_.size:
                raise BtfError(f"BTF struct {type_.name}: member {member.name} does not fit")
            formats += [_padding(offset - end), codec.format]
            self._gaps.append(offset - end)
            end = offset + codec.size
            self.cost = _checked_cost(self.cost + codec.cost)
            self._members.append((member.name, codec))
        self.format = "".join(formats) + _padding(type_.size - end)
        self.names = _NO_NAMES.union(
            *([name] if name else codec.names for name, codec in self._members)
        )
        self.depth = 1 + max((codec.depth for _, codec in self._members), default=0)

    def build(self, flat: Iterator[Any]) -> Record:
        fields: dict[str, Any] = {}
        for name, codec in self._members:
            if name:
                fields[name] = codec.build(flat)
            else:
                fields |= vars(codec.build(flat))
        return Record(**fields)

    def row_format(self, names: tuple[str, ...]) -> str:
        formats, found = [], []
        for (name, codec), gap in zip(self._members, self._gaps, strict=True):
            formats.append(_padding(gap))
            if name in names and type(codec) in (_Scalar, _Bytes):
                found.append(name)
                formats.append(codec.format)
            else:
                formats.append(_padding(codec.size))
        if tuple(found) != names:
            raise BtfError(f"not the order of the members, or not scalars: {', '.join(names)}")
        used = sum(self._gaps) + sum(codec.size for _, codec in self._members)
        return "".join(formats) + _padding(self.size - used)

    def flatten(self, value: Any, flat: list[Any]) -> None:
        given = _given(value, self.names)
        for name, codec in self._members:
            part = given.get(name, codec.zero) if name else _only(given, codec.names)
            codec.flatten(part, flat)


class _Whole:
    """A member of a union, or of a struct with bit fields, that takes `bytes` for itself."""

    def __init__(self, codec: Codec, member: Member) -> None:
        self.names = frozenset([member.name]) if member.name else codec.names
        self.bits = codec.size * 8
        self.depth = codec.depth
        self.cost = codec.cost
        self._codec = codec
        start = member.offset_bits // 8
        self.bytes = slice(start, start + codec.size)

    def read(self, raw: bytes) -> Any:
        return self._codec.decode(raw, self.bytes.start)

    def encode(self, value: Any) -> bytes:
        return self._codec.encode(value)


class _BitField:
    """A member that takes some of the bits of `bytes`."""

    depth = 0
    cost = 1

    def __init__(self, type_: Type, member: Member) -> None:
        self.names = frozenset([member.name]) if member.name else _NO_NAMES
        self.bits = member.width_bits
        self._type = type_
        self._mask = (1 << self.bits) - 1
        first, skipped = divmod(member.offset_bits, 8)
        last = -(-(member.offset_bits + self.bits) // 8)
        self.bytes = slice(first, last)
        from_the_end = (last - first) * 8 - skipped - self.bits
        self._shift = skipped if sys.byteorder == "little" else from_the_end

    def read(self, raw: bytes) -> int:
        value = int.from_bytes(raw[self.bytes], sys.byteorder) >> self._shift & self._mask
        if self._type.signed and value >> (self.bits - 1):
            value -= 1 << self.bits
        return bool(value) if self._type.boolean else value

    def encode(self, value: Any) -> bytes:
        integer = operator.index(value)
        signed = self._type.signed
        lowest, highest = (~(self._mask >> 1), self._mask >> 1) if signed else (0, self._mask)
        if not lowest <= integer <= highest:
            raise BtfError(f"{value} does not fit {self.bits} bits")
        length: int = self.bytes.stop - self.bytes.start
        return ((integer & self._mask) << self._shift).to_bytes(length, sys.byteorder)


class _Overlaid:
    """A union, or a struct with bit fields: members read from and written to the same bytes."""

    zero: Mapping[str, Any] = {}

    def __init__(self, btf: Btf, type_: Type, depth: int) -> None:
        _check_size(type_.size)
        self.size = type_.size
        self.format = f"{type_.size}s"
        self._is_union = type_.kind is Kind.UNION
        self.cost = 1 + type_.size // 8
        self._members: list[tuple[str, _Whole | _BitField]] = []
        for member in type_.members:
            part = (
                _BitField(btf.resolve(member.type_id), member)
                if member.width_bits
                else _Whole(Codec(btf, member.type_id, depth), member)
            )
            if not part.bits or not part.names:
                continue
            if member.offset_bits + part.bits > type_.size * 8:
                raise BtfError(f"BTF type {type_.name}: member {member.name} does not fit")
            self.cost = _checked_cost(self.cost + part.cost)
            self._members.append((member.name, part))
        self.names = _NO_NAMES.union(*(part.names for _, part in self._members))
        self.depth = 1 + max((part.depth for _, part in self._members), default=0)

    def build(self, flat: Iterator[Any]) -> Record:
        raw = next(flat)
        fields: dict[str, Any] = {}
        for name, part in self._members:
            value = part.read(raw)
            fields |= {name: value} if name else vars(value)
        return Record(**fields)

    def flatten(self, value: Any, flat: list[Any]) -> None:
        if isinstance(value, bytes):
            if len(value) != self.size:
                raise BtfError(f"{len(value)} bytes given where {self.size} are needed")
            flat.append(value)
            return
        given = _given(value, self.names)
        raw = bytearray(self.size)
        written: list[tuple[_Whole | _BitField, bytes]] = []
        members = [each for each in self._members if given.keys() & each[1].names]
        # Which NaN it was, Python does not tell: another member of the union does.
        tell = [name for name, _ in members if not (self._is_union and _is_nan(given.get(name)))]
        for name, part in members:
            encoded = part.encode(given[name] if name else _only(given, part.names))
            if name in tell or not tell:
                # What one member of a union leaves out as padding may be another's.
                raw[part.bytes] = _or(raw[part.bytes], encoded)
            written.append((part, encoded))
        if self._is_union and len(written) > 1:
            self._check_agreement(bytes(raw), written)
        flat.append(bytes(raw))

    def _check_agreement(self, raw: bytes, written: list[tuple[_Whole | _BitField, bytes]]) -> None:
        for part, encoded in written:
            alone = bytearray(self.size)
            alone[part.bytes] = encoded
            # As text, because NaN is not equal to itself.
            if repr(part.read(bytes(alone))) != repr(part.read(raw)):
                raise BtfError(f"members of a union contradict each other: {sorted(part.names)}")


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _or(left: bytearray, right: bytes) -> bytes:
    both = int.from_bytes(left, sys.byteorder) | int.from_bytes(right, sys.byteorder)
    return both.to_bytes(len(left), sys.byteorder)


def _given(value: Any, names: frozenset[str]) -> Mapping[str, Any]:
    """The members that a mapping or an object gives for a struct or union of these names."""
    if isinstance(value, Mapping):
        given = value
    elif isinstance(value, SimpleNamespace):
        given = vars(value)
    else:
        given = {name: getattr(value, name) for name in names if hasattr(value, name)}
        if not given or isinstance(value, int | float):  # whose .real and .imag are no members
            raise BtfError(f"{value!r} has none of the members of a struct or union")
    unknown = given.keys() - names
    if unknown:
        raise BtfError(f"there is no member {', '.join(map(str, unknown))}")
    return given


def _only(given: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name in names}


def _check_size(size: int) -> None:
    if size > VALUE_BYTES_MAX:
        raise BtfError(f"a value of {size} bytes is too large to decode")


def _checked_cost(cost: int) -> int:
    if cost > _COST_MAX:
        raise BtfError("a value of so many members is too large to decode")
    return cost


def _padding(size: int) -> str:
    return f"{size}x" if size else ""


# One for each type of each BTF: types that share members would otherwise be compiled anew at
# every mention, exponentially often in a hostile blob.
_compiled: WeakKeyDictionary[Btf, dict[int, _Codec]] = WeakKeyDictionary()


def _compile(btf: Btf, type_id: int, depth: int) -> _Codec:
    known = _compiled.setdefault(btf, {})
    if type_id not in known:
        known[type_id] = _compile_new(btf, type_id, depth)
    codec = known[type_id]
    if depth + codec.depth > _DEPTH_MAX:
        raise BtfError("BTF types are nested too deeply")
    return codec


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
        case Kind.DATASEC if len(type_.members) == 1 and not type_.members[0].offset_bits:
            return _compile(btf, type_.members[0].type_id, depth + 1)
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
