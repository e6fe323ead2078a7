"""libbpf.so.1 from Python through ctypes, and nothing else: no other package, and no compiler but
where `compile` is called.

It knows libbpf and the kernel's BPF interface; it knows nothing of xdpctl.
"""

from xdpctl.pylibbpf import netns, xdp
from xdpctl.pylibbpf._lib import lib
from xdpctl.pylibbpf.btf import Btf
from xdpctl.pylibbpf.codec import Codec, Record
from xdpctl.pylibbpf.errors import (
    BpfError,
    BtfError,
    CompileError,
    LibraryError,
    ObjectFormatError,
    PylibbpfError,
    VerifierError,
)
from xdpctl.pylibbpf.info import (
    LinkInfo,
    MapInfo,
    ProgramInfo,
    link_ids,
    link_info,
    load_btf,
    map_ids,
    program_ids,
)
from xdpctl.pylibbpf.links import Link
from xdpctl.pylibbpf.maps import Map, MapType, possible_cpus
from xdpctl.pylibbpf.objects import Object
from xdpctl.pylibbpf.parts import ObjectMap, ObjectProgram
from xdpctl.pylibbpf.programs import Program, RunResult, xdp_context
from xdpctl.pylibbpf.ringbuf import RingBuffer

__all__ = [
    "BpfError",
    "Btf",
    "BtfError",
    "Codec",
    "CompileError",
    "LibraryError",
    "Link",
    "LinkInfo",
    "Map",
    "MapInfo",
    "MapType",
    "Object",
    "ObjectFormatError",
    "ObjectMap",
    "ObjectProgram",
    "Program",
    "ProgramInfo",
    "PylibbpfError",
    "Record",
    "RingBuffer",
    "RunResult",
    "VerifierError",
    "compile",
    "libbpf_version",
    "link_ids",
    "link_info",
    "load_btf",
    "map_ids",
    "netns",
    "possible_cpus",
    "program_ids",
    "xdp",
    "xdp_context",
]


def libbpf_version() -> tuple[int, int]:
    """Major and minor version of the libbpf in use. Raises LibraryError when there is none."""
    return lib.libbpf_major_version(), lib.libbpf_minor_version()


def compile(source: str) -> bytes:
    """BPF C as text, compiled with the local clang to an object for `Object.open`.

    No file is written; `#include "..."` looks in the working directory.

    Raises:
        CompileError: clang is missing (its `hint` says what to install), or refused the source,
            which its messages call `<source>`.
    """
    from xdpctl.pylibbpf.clang import compile_text  # noqa: PLC0415 - seldom used, 10 ms to import

    return compile_text(source)
