"""BPF objects in the manner of a libbpf skeleton: open, adjust, load, use, tear down.

with Object.open("counter.bpf.o") as obj:
    obj.rodata.mode = 1
    obj.maps.hosts.set_max_entries(1000)
    obj.load()
    xdp.attach(ifindex, obj.programs.counter.fd, xdp.Mode.DRIVER)
    print(obj.maps.packets[6])
"""

from __future__ import annotations

import ctypes as ct
import errno
import os
import warnings
from collections.abc import Iterator
from typing import Generic, Self, TypeVar

from xdpctl.pylibbpf._lib import lib
from xdpctl.pylibbpf.btf import Btf, Kind
from xdpctl.pylibbpf.errors import BpfError, ObjectFormatError
from xdpctl.pylibbpf.fd import Owner
from xdpctl.pylibbpf.parts import Life, ObjectMap, ObjectProgram
from xdpctl.pylibbpf.sections import Section

_OBJECT_BYTES_MAX = 64 << 20
_ELF_MAGIC = b"\x7fELF"


class _OpenOptions(ct.Structure):
    """The head of struct bpf_object_open_opts."""

    _fields_ = (("sz", ct.c_size_t), ("object_name", ct.c_char_p))


Item = TypeVar("Item", bound=ObjectMap | ObjectProgram)


class Named(Generic[Item]):
    """The maps or programs of an object, as attributes, by name, or one after another."""

    def __init__(self, kind: str, items: dict[str, Item]) -> None:
        self._kind = kind
        self._items = items

    def __getitem__(self, name: str) -> Item:
        try:
            return self._items[name]
        except KeyError:
            raise KeyError(f"the object has no {self._kind} {name}") from None

    def __getattr__(self, name: str) -> Item:
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(error.args[0]) from None

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items.values())

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __len__(self) -> int:
        return len(self._items)

    def __dir__(self) -> list[str]:
        return sorted(self._items)


class Object(Owner):
    """One BPF object. A context manager: leaving it closes every descriptor that it owns; programs
    attached through netlink and maps that they use live on in the kernel.

    Attributes:
        maps, programs: what the object defines, by name.
        rodata, data, bss: its global variables (a Section each, if it has any).
        btf: its types, None where it was compiled without `-g`.
        loaded: whether `load` has succeeded.
    """

    def __init__(self, pointer: int, name: str) -> None:
        self._pointer = pointer
        self.name = name
        life = Life(name)
        self.btf = btf = self._own_btf()
        maps = [ObjectMap(each, btf, life) for each in self._each("map")]
        self.maps: Named[ObjectMap] = Named("map", {map_.name: map_ for map_ in maps})
        self._sections: dict[str, Section] = {}
        for type_ in btf.types if btf else ():
            for map_ in maps:  # such as OBJECT.rodata
                if btf and type_.kind is Kind.DATASEC and map_.name.endswith(type_.name):
                    self._sections[type_.name[1:]] = Section(map_, btf, type_.name, life)
        programs = [ObjectProgram(each, life) for each in self._each("program")]
        self.programs: Named[ObjectProgram] = Named(
            "program", {program.name: program for program in programs}
        )
        self._life = life  # from here on this object's to end

    @property
    def loaded(self) -> bool:
        return self._life.loaded

    @classmethod
    def open(cls, source: str | os.PathLike[str] | bytes, *, name: str | None = None) -> Self:
        """Parse an object; nothing of it is in the kernel yet.

        Args:
            source: a path, or the bytes of the object.
            name: the object's name; the first 8 characters go into the names of `.rodata` and the
                like. The file's name where it is not given.

        Raises:
            ObjectFormatError: not a BPF object, or cut short.
            BtfError: its types cannot be decoded.
            OSError: the file cannot be read.
            LibraryError: libbpf is missing or too old.
        """
        if isinstance(source, bytes):
            data, name = source, name or "object"
        else:
            data, name = _read(source), name or os.path.basename(source).partition(".")[0]
        if not data.startswith(_ELF_MAGIC):
            raise ObjectFormatError(f"{name}: not an ELF file")
        options = _OpenOptions(sz=ct.sizeof(_OpenOptions), object_name=name.encode())
        subject = f"object {name}"
        try:
            pointer = lib.bpf_object__open_mem(data, len(data), ct.byref(options), subject=subject)
        except BpfError as error:
            if error.errno == errno.ENOMEM:
                raise
            why = error.messages[-1] if error.messages else error.strerror
            raise ObjectFormatError(f"{name}: not a sound BPF object: {why}") from None
        try:
            return cls(pointer, name)
        except BaseException:
            lib.bpf_object__close(pointer)
            raise

    def load(self) -> None:
        """Create the maps and load the programs.

        Raises:
            VerifierError: the verifier refused a program.
            BpfError: EPERM, ENOMEM, E2BIG, ...
        """
        self._life.check()
        lib.bpf_object__load(self._pointer, subject=f"object {self.name}")
        for map_ in self.maps:
            map_._loaded()
        self._life.loaded = True

    def close(self) -> None:
        """Give everything back. Closing twice is harmless; its maps and programs are closed too."""
        if not self._life.closed:
            self._life.closed = True
            for section in self._sections.values():
                section._close()
            lib.bpf_object__close(self._pointer)

    def __getattr__(self, name: str) -> Section:
        section: Section | None = self.__dict__.get("_sections", {}).get(name)
        if section is None:
            raise AttributeError(f"{type(self).__name__} has no {name}")
        return section

    def __del__(self) -> None:
        life = self.__dict__.get("_life")
        if life and not life.closed:
            warnings.warn(f"unclosed object {self.name}", ResourceWarning, 2, source=self)
            self.close()

    def _own_btf(self) -> Btf | None:
        pointer = lib.bpf_object__btf(self._pointer)
        if not pointer:
            return None
        size = ct.c_uint32()
        raw = lib.btf__raw_data(pointer, ct.byref(size), subject=f"object {self.name}")
        return Btf(ct.string_at(raw, size.value))

    def _each(self, kind: str) -> Iterator[int]:
        following = getattr(lib, f"bpf_object__next_{kind}")
        pointer = following(self._pointer, None)
        while pointer:
            yield pointer
            pointer = following(self._pointer, pointer)


def _read(path: str | os.PathLike[str]) -> bytes:
    with open(path, "rb") as file:
        data = file.read(_OBJECT_BYTES_MAX + 1)
    if len(data) > _OBJECT_BYTES_MAX:
        raise ObjectFormatError(f"{path}: larger than {_OBJECT_BYTES_MAX} bytes")
    return data
