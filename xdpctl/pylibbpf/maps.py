"""Maps: keys and values by their BTF types, one at a time or in batches.

A per-CPU map's value is a tuple with one value for each possible CPU.
"""

from __future__ import annotations

import ctypes as ct
import errno
import mmap as mmap_module
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from functools import cache
from typing import Any, Self

from xdpctl.pylibbpf._lib import lib
from xdpctl.pylibbpf.btf import Btf
from xdpctl.pylibbpf.codec import BytesCodec, Codec
from xdpctl.pylibbpf.errors import BpfError, BtfError
from xdpctl.pylibbpf.fd import Fd
from xdpctl.pylibbpf.info import MapInfo, load_btf, map_info


class MapType(IntEnum):
    """`enum bpf_map_type`: those that this package treats specially, and common ones."""

    HASH = 1
    ARRAY = 2
    PROG_ARRAY = 3
    PERCPU_HASH = 5
    PERCPU_ARRAY = 6
    LRU_HASH = 9
    LRU_PERCPU_HASH = 10
    LPM_TRIE = 11
    ARRAY_OF_MAPS = 12
    DEVMAP = 14
    RINGBUF = 27


ANY, NOEXIST, EXIST = 0, 1, 2
"""Flags of an update: create or replace, create only, replace only (BPF_ANY, ...)."""

F_NO_PREALLOC = 1 << 0
F_RDONLY_PROG = 1 << 7
F_MMAPABLE = 1 << 10

_PER_CPU = {MapType.PERCPU_HASH, MapType.PERCPU_ARRAY, MapType.LRU_PERCPU_HASH}
_BATCH_DEFAULT = 4096
_BATCH_BYTES_MAX = 4 << 20


@cache
def possible_cpus() -> int:
    """How many values a per-CPU map keeps for each key. Raises BpfError."""
    return int(lib.libbpf_num_possible_cpus())


class _BatchOptions(ct.Structure):
    _fields_ = (("sz", ct.c_size_t), ("elem_flags", ct.c_uint64), ("flags", ct.c_uint64))


class _CreateOptions(ct.Structure):
    """The head of struct bpf_map_create_opts, as far as `Map.create` sets it."""

    _fields_ = (
        ("sz", ct.c_size_t),
        ("btf_fd", ct.c_uint32),
        ("btf_key_type_id", ct.c_uint32),
        ("btf_value_type_id", ct.c_uint32),
        ("btf_vmlinux_value_type_id", ct.c_uint32),
        ("inner_map_fd", ct.c_uint32),
        ("map_flags", ct.c_uint32),
    )


class ArrayValues(Sequence[Any]):
    """Values of an array map that were read together."""

    def __init__(
        self, decode: Callable[[bytes, int], Any], content: bytes, value_bytes: int
    ) -> None:
        self._decode = decode
        self._content = content
        self._value_bytes = value_bytes

    def __len__(self) -> int:
        return len(self._content) // self._value_bytes

    def __getitem__(self, index: Any) -> Any:
        return self._decode(self._content, range(len(self))[index] * self._value_bytes)


class MapAccess(ABC):
    """What can be done with any map whose descriptor, shape and codecs are known."""

    def __init__(self, info: MapInfo, key: Codec | BytesCodec, value: Codec | BytesCodec) -> None:
        self.info = info
        self._key = key
        self._value = value
        self._per_cpu = info.type in _PER_CPU
        # The kernel copies each CPU's value at a stride of 8 bytes.
        self._stride = (info.value_size + 7) & ~7 if self._per_cpu else info.value_size
        self._value_bytes = self._stride * (possible_cpus() if self._per_cpu else 1)
        self._subject = f"map {info.name}"

    @property
    @abstractmethod
    def fd(self) -> int:
        """Asked for at each call: a number kept longer than its file might be another file's."""

    # one at a time

    def __getitem__(self, key: Any) -> Any:
        """The value. Raises KeyError when there is none, BpfError, BtfError."""
        value = ct.create_string_buffer(self._value_bytes)
        try:
            lib.bpf_map_lookup_elem(self.fd, self._key.encode(key), value, subject=self._subject)
        except BpfError as error:
            raise self._key_error(error, key) from None
        return self._decode(value.raw)

    def get(self, key: Any, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default

    def __contains__(self, key: Any) -> bool:
        return self.get(key) is not None

    def __setitem__(self, key: Any, value: Any) -> None:
        self.update(key, value)

    def update(self, key: Any, value: Any, flags: int = ANY) -> None:
        """Store a value. Raises BpfError (EEXIST, ENOENT by `flags`; E2BIG: full), BtfError."""
        encoded = self._encode(value)
        lib.bpf_map_update_elem(
            self.fd, self._key.encode(key), encoded, flags, subject=self._subject
        )

    def __delitem__(self, key: Any) -> None:
        """Raises KeyError when there is none, BpfError."""
        try:
            lib.bpf_map_delete_elem(self.fd, self._key.encode(key), subject=self._subject)
        except BpfError as error:
            raise self._key_error(error, key) from None

    def __iter__(self) -> Iterator[Any]:
        """The keys. A key that is deleted meanwhile may send a hash map's walk to its beginning."""
        key: bytes | None = None
        following = ct.create_string_buffer(self.info.key_size)
        while True:
            try:
                lib.bpf_map_get_next_key(self.fd, key, following, subject=self._subject)
            except BpfError as error:
                if error.errno == errno.ENOENT:
                    return
                raise
            key = following.raw
            yield self._key.decode(key)

    def items(self) -> Iterator[tuple[Any, Any]]:
        """Keys with their values; keys deleted meanwhile are left out."""
        for key in self:
            try:
                yield key, self[key]
            except KeyError:
                continue

    # in batches

    def lookup_batch(
        self, batch: int = _BATCH_DEFAULT, *, raw: bool = False
    ) -> Iterator[tuple[Any, Any]]:
        """All keys with their values, `batch` at a system call; `raw` ones are bytes, of which
        `decode()` makes what they stand for. Raises BpfError."""
        for keys, values, count in self._batches(batch):
            for i in range(count):
                key = self._key.decode(keys, i * self.info.key_size)
                at = i * self._value_bytes
                yield key, values[at : at + self._value_bytes] if raw else self._decode(values, at)

    def lookup_rows(
        self, key_names: tuple[str, ...], value_names: tuple[str, ...]
    ) -> Iterator[tuple[tuple[Any, ...], tuple[Any, ...]]]:
        """Of all keys and their values these members, as `Codec.row` has them. Raises BpfError,
        BtfError; of a per-CPU map too."""
        key, value = self.key_row(*key_names), self.value_row(*value_names)
        for keys, values, count in self._batches(_BATCH_DEFAULT):
            yield from zip(
                key.iter_unpack(keys[: count * key.size]),
                value.iter_unpack(values[: count * value.size]),
                strict=True,
            )

    def lookup_some(
        self, keys: Iterable[bytes], value_names: tuple[str, ...]
    ) -> Iterator[tuple[Any, ...] | None]:
        """Of the values of these keys these members, as `Codec.row` has them; None where there is
        no such key. For a few keys of a large map. Raises BpfError, BtfError; of a per-CPU map
        too."""
        row = self.value_row(*value_names)
        value = ct.create_string_buffer(row.size)
        for key in keys:
            if len(key) != self.info.key_size:
                raise ValueError(f"a key of {len(key)} bytes, and not {self.info.key_size}")
            try:
                lib.bpf_map_lookup_elem(self.fd, key, value, subject=self._subject)
            except BpfError as error:
                if error.errno != errno.ENOENT:
                    raise
                yield None
            else:
                yield row.unpack_from(value)

    def key_row(self, *names: str) -> struct.Struct:
        """What packs these members into the bytes of a key, as `Codec.row`. Raises BtfError."""
        return _typed(self._key).row(*names)

    def value_row(self, *names: str) -> struct.Struct:
        """The same of a value. Raises BtfError; of a per-CPU map too."""
        if self._per_cpu:
            raise BtfError("a per-CPU map has many values for a key")
        return _typed(self._value).row(*names)

    def array_values(self) -> ArrayValues:
        """The values of an array map at about one moment, each decoded when it is asked for: of
        a large map that costs a fraction of decoding them all. Raises BpfError."""
        every = (
            values[: count * self._value_bytes]
            for _, values, count in self._batches(self.info.max_entries)
        )
        return ArrayValues(self._decode, b"".join(every), self._value_bytes)

    def _batches(self, batch: int) -> Iterator[tuple[bytes, bytes, int]]:
        """Keys, values, and how many they are; behind those may be old ones. Raises BpfError."""
        fitting = _BATCH_BYTES_MAX // max(1, self._value_bytes)
        size = max(1, min(batch, self.info.max_entries, fitting))
        keys = ct.create_string_buffer(size * self.info.key_size)
        values = ct.create_string_buffer(size * self._value_bytes)
        # Where the kernel goes on: a key, or a bucket number of 4 bytes in hash maps.
        position = ct.create_string_buffer(max(4, self.info.key_size))
        started = False
        more = True
        while more:
            count = ct.c_uint32(size)
            try:
                lib.bpf_map_lookup_batch(
                    self.fd, position if started else None, position, keys, values,
                    ct.byref(count), None, subject=self._subject,
                )  # fmt: skip
            except BpfError as error:
                if error.errno == errno.ENOSPC and size < self.info.max_entries:
                    # One bucket of a hash map holds more than fits.
                    size = min(size * 2, self.info.max_entries)
                    keys = ct.create_string_buffer(size * self.info.key_size)
                    values = ct.create_string_buffer(size * self._value_bytes)
                    continue
                if error.errno != errno.ENOENT:
                    raise
                more = False
            started = True
            yield keys.raw, values.raw, count.value

    def update_batch(self, items: Mapping[Any, Any] | Iterable[tuple[Any, Any]]) -> int:
        """Store many values; returns how many. Keys may be bytes. Raises BpfError, whose `done` are
        stored."""
        pairs = list(items.items() if isinstance(items, Mapping) else items)
        if not pairs:
            return 0
        keys = b"".join(self._key_bytes(key) for key, _ in pairs)
        values = b"".join(self._encoded_values(pairs))
        count = ct.c_uint32(len(pairs))
        options = _BatchOptions(sz=ct.sizeof(_BatchOptions))
        try:
            lib.bpf_map_update_batch(
                self.fd, keys, values, ct.byref(count), ct.byref(options), subject=self._subject
            )
        except BpfError as error:
            error.done = count.value if count.value < len(pairs) else 0
            raise
        return count.value

    def _key_bytes(self, key: Any) -> bytes:
        if isinstance(key, bytes) and len(key) == self.info.key_size:
            return key
        return self._key.encode(key)

    def _encoded_values(self, pairs: list[tuple[Any, Any]]) -> Iterator[bytes]:
        """One object for many keys is encoded once."""
        encoded: dict[int, bytes] = {}
        for _, value in pairs:
            if id(value) not in encoded:
                encoded[id(value)] = self._encode(value)
            yield encoded[id(value)]

    def delete_batch(self, keys: Iterable[Any]) -> int:
        """Delete many keys; returns how many. Raises BpfError (ENOENT at the first missing one)."""
        encoded = [self._key.encode(key) for key in keys]
        if not encoded:
            return 0
        count = ct.c_uint32(len(encoded))
        options = _BatchOptions(sz=ct.sizeof(_BatchOptions))
        lib.bpf_map_delete_batch(
            self.fd, b"".join(encoded), ct.byref(count), ct.byref(options),
            subject=self._subject,
        )  # fmt: skip
        return count.value

    def discard_batch(self, keys: Iterable[Any]) -> list[bool]:
        """Delete those that there are; says of each whether it was there. Keys may be bytes. Raises
        BpfError."""
        encoded = [self._key_bytes(key) for key in keys]
        memory = ct.create_string_buffer(b"".join(encoded))
        options = _BatchOptions(sz=ct.sizeof(_BatchOptions))
        there: list[bool] = []
        while left := len(encoded) - len(there):
            count = ct.c_uint32(left)
            try:
                lib.bpf_map_delete_batch(
                    self.fd, ct.byref(memory, len(there) * self.info.key_size), ct.byref(count),
                    ct.byref(options), subject=self._subject,
                )  # fmt: skip
                there += [True] * left
            except BpfError as error:
                if error.errno != errno.ENOENT:
                    raise
                there += [True] * count.value + [False]
        return there

    # the memory itself

    def mmap(self, *, writable: bool = False) -> mmap_module.mmap:
        """The values of an array map made with F_MMAPABLE, shared with the kernel: a context
        manager. Elements are value_size bytes rounded up to 8 apart. Raises BpfError."""
        length = ((self.info.value_size + 7) & ~7) * self.info.max_entries
        pages = -(-length // mmap_module.PAGESIZE) * mmap_module.PAGESIZE
        access = mmap_module.PROT_READ | (mmap_module.PROT_WRITE if writable else 0)
        try:
            return mmap_module.mmap(self.fd, pages, mmap_module.MAP_SHARED, access)
        except OSError as error:
            raise BpfError(error.errno or errno.ENOMEM, "mmap", self._subject) from error

    def freeze(self) -> None:
        """Make the map read-only for all of user space, for good. Raises BpfError."""
        lib.bpf_map_freeze(self.fd, subject=self._subject)

    def _decode(self, data: bytes, offset: int = 0) -> Any:
        if not self._per_cpu:
            return self._value.decode(data, offset)
        ends = range(offset, offset + self._value_bytes, self._stride)
        return tuple(self._value.decode(data, start) for start in ends)

    def _encode(self, value: Any) -> bytes:
        if not self._per_cpu:
            return self._value.encode(value)
        if len(value) != possible_cpus():
            raise ValueError(f"{len(value)} values given for {possible_cpus()} possible CPUs")
        return b"".join(self._value.encode(each).ljust(self._stride, b"\0") for each in value)

    def decode(self, value: bytes) -> Any:
        """What the bytes of a value stand for. Raises BtfError."""
        return self._decode(value)

    @staticmethod
    def _key_error(error: BpfError, key: Any) -> Exception:
        return KeyError(key) if error.errno == errno.ENOENT else error


class Map(Fd, MapAccess):
    """A map that this object holds a descriptor of, and closes."""

    def __init__(self, fd: int, btf: Btf | None = None) -> None:
        """Takes the descriptor over. `btf` saves loading it again for each map of a program."""
        Fd.__init__(self, fd)
        try:
            info = map_info(fd)
            if info.btf_id and btf is None:
                btf = load_btf(info.btf_id)
            MapAccess.__init__(self, info, *codecs_of(info, btf))
        except BaseException:
            self.close()
            raise

    @classmethod
    def from_id(cls, map_id: int, btf: Btf | None = None) -> Self:
        """Open a map by its id. Raises BpfError (ENOENT: no such map; EPERM: CAP_SYS_ADMIN)."""
        return cls(lib.bpf_map_get_fd_by_id(map_id, subject=f"map {map_id}"), btf)

    @classmethod
    def create(
        cls, type_: int, name: str, *, key_size: int, value_size: int, max_entries: int,
        flags: int = 0,
    ) -> Self:  # fmt: skip
        """A new map without BTF: keys and values are bytes. Raises BpfError."""
        options = _CreateOptions(sz=ct.sizeof(_CreateOptions), map_flags=flags)
        return cls(
            lib.bpf_map_create(
                type_, name.encode(), key_size, value_size, max_entries, ct.byref(options),
                subject=f"map {name}",
            )
        )  # fmt: skip

    def __repr__(self) -> str:
        return f"<Map {self.info.name} id={self.info.id}>" if hasattr(self, "info") else "<Map>"


def _typed(codec: Codec | BytesCodec) -> Codec:
    if isinstance(codec, Codec):
        return codec
    raise BtfError("the map has no BTF that names members")


def codecs_of(info: MapInfo, btf: Btf | None) -> tuple[Codec | BytesCodec, Codec | BytesCodec]:
    """The codecs of a map's keys and values: by BTF where it has values that `codec` knows, of that
    size, otherwise bytes."""

    def codec(type_id: int, size: int) -> Codec | BytesCodec:
        if btf is None or not type_id:
            return BytesCodec(size)
        try:
            by_type = Codec(btf, type_id)
        except BtfError:  # a data section of many variables, for one
            return BytesCodec(size)
        return by_type if by_type.size == size else BytesCodec(size)

    return codec(info.btf_key_type_id, info.key_size), codec(
        info.btf_value_type_id, info.value_size
    )
