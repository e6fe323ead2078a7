"""The global variables of an object."""

from __future__ import annotations

import ctypes as ct
import mmap
from typing import Any

from xdpctl.pylibbpf._lib import lib
from xdpctl.pylibbpf.btf import Btf, Kind
from xdpctl.pylibbpf.codec import Codec
from xdpctl.pylibbpf.maps import F_MMAPABLE, F_RDONLY_PROG
from xdpctl.pylibbpf.parts import Life, ObjectMap


class Section:
    """The global variables of a data section as attributes.

    `.rodata` can be written until load and is fixed from then on: the verifier takes its values for
    constants and drops the code that they make unreachable. `.bss` and `.data` stay writable and
    are then the kernel's own memory, except where all variables are static: libbpf does not share
    those. What is read is a copy.
    """

    _map: ObjectMap
    _life: Life
    _memory: mmap.mmap | None

    def __init__(self, map_: ObjectMap, btf: Btf, name: str, life: Life) -> None:
        section = btf[btf.find(Kind.DATASEC, name) or 0]
        variables = {}
        for member in section.members:
            variable = btf[member.type_id]
            variables[variable.name] = (member.offset_bits // 8, variable.type_id)
        self.__dict__.update(
            _map=map_, _btf=btf, _name=name, _variables=variables, _life=life, _memory=None
        )

    def __dir__(self) -> list[str]:
        return sorted(self._variables)

    def _variable(self, name: str) -> tuple[int, Codec]:
        """The offset and the codec of a variable."""
        if name not in self._variables:
            raise AttributeError(f"{self._name} has no variable {name}")
        self._life.check()
        offset, type_id = self._variables[name]
        return offset, Codec(self._btf, type_id)

    def _initial(self, offset: int, size: int) -> int:
        """The address of a variable in what will be, or was, copied into the map at load."""
        length = ct.c_size_t()
        start: int = lib.bpf_map__initial_value(
            self._map._pointer, ct.byref(length), subject=self._name
        )
        if offset + size > length.value:
            raise AttributeError(f"{self._name} ends before its variable")
        return start + offset

    def _shared(self) -> mmap.mmap | None:
        """The map's own memory, once it is loaded. Not every libbpf 1.x puts it where the initial
        value was."""
        info = self._map.info
        if not self._life.loaded or not info.flags & F_MMAPABLE:
            return None
        if self._memory is None:
            self.__dict__["_memory"] = self._map.mmap(writable=not info.flags & F_RDONLY_PROG)
        return self._memory

    def __getattr__(self, name: str) -> Any:
        offset, codec = self._variable(name)
        memory = self._shared()
        if memory is not None:
            return codec.decode(memory[offset : offset + codec.size])
        if self._life.loaded:
            ((_, value),) = self._map.lookup_batch(raw=True)
            return codec.decode(value, offset)
        return codec.decode(ct.string_at(self._initial(offset, codec.size), codec.size))

    def __setattr__(self, name: str, value: Any) -> None:
        offset, codec = self._variable(name)
        data = codec.encode(value)
        if not self._life.loaded:
            ct.memmove(self._initial(offset, codec.size), data, len(data))
            return
        memory = self._shared()
        if memory is None or self._map.info.flags & F_RDONLY_PROG:
            raise AttributeError(f"{self._name}.{name} is fixed since the object was loaded")
        memory[offset : offset + len(data)] = data

    def _close(self) -> None:
        memory, self.__dict__["_memory"] = self._memory, None
        if memory is not None:
            memory.close()
