"""What goes wrong: what is raised, what it tells, and that nothing stays behind."""

from __future__ import annotations

import ctypes
import errno
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.bpf.conftest import Open
from xdpctl.pylibbpf import (
    BpfError,
    LibraryError,
    Map,
    Object,
    ObjectFormatError,
    Program,
    PylibbpfError,
    VerifierError,
    _lib,
    libbpf_version,
    load_btf,
)
from xdpctl.pylibbpf._lib import Library, lib
from xdpctl.pylibbpf.clang import compile_file
from xdpctl.pylibbpf.errors import last_meaningful_line

pytestmark = pytest.mark.usefixtures("nothing_leaks")

Compiled = Callable[[str], Path]


# the verifier


@pytest.mark.parametrize(
    ("program", "line", "register"),
    [
        ("t_null", "R0 invalid mem access 'map_value_or_null'", "R0"),
        ("t_packet", "R1 offset is outside of the packet", "R1"),
    ],
)
def test_a_refused_program_is_named_with_the_verifiers_last_word_and_its_whole_log(
    opened: Open, capfd: pytest.CaptureFixture[str], program: str, line: str, register: str
) -> None:
    obj = opened("rejected")
    for other in obj.programs:
        other.set_autoload(other.name in (program, "t_sound"))

    with pytest.raises(VerifierError) as refused:
        obj.load()

    error = refused.value
    assert error.line == line
    assert str(error) == f"program {program}: refused by the verifier: {line}"
    assert error.errno == errno.EACCES
    lines = error.log.splitlines()
    assert lines[0].startswith(("0:", "reg type", "func#0", "; "))
    assert any(each.startswith("0: (") for each in lines)
    assert lines.index(line) == len(lines) - 2
    assert lines[-1].startswith("processed ")
    assert capfd.readouterr() == ("", "")


def test_an_object_of_which_a_program_is_refused_can_be_closed(compiled: Compiled) -> None:
    with Object.open(compiled("rejected")) as obj:
        with pytest.raises(VerifierError):
            obj.load()
        assert not obj.loaded
        with pytest.raises(BpfError):
            obj.load()


@pytest.mark.parametrize(
    ("log", "line"),
    [
        ("", ""),
        ("\n\n", ""),
        ("processed 3 insns (limit 1000000)", ""),
        ("0: (b7) r0 = 0\nR1 !read_ok\nprocessed 1 insns\n", "R1 !read_ok"),
        ("bad\nverification time 20 usec\nstack depth 0\nprocessed 9 insns\n\n", "bad"),
        ("BPF program is too large. Processed 1000001 insn\nprocessed 1000001 insns",
         "BPF program is too large. Processed 1000001 insn"),
    ],
)  # fmt: skip
def test_statistics_are_no_reason(log: str, line: str) -> None:
    assert last_meaningful_line(log) == line


# objects


def without_types(path: Path, output: Path) -> bytes:
    command = ["llvm-objcopy", "--remove-section=.BTF", "--remove-section=.BTF.ext"]
    subprocess.run([*command, str(path), str(output)], check=True)
    return output.read_bytes()


def damaged(kind: str, compiled: Compiled, tmp_path: Path) -> bytes:
    raw = compiled("maps").read_bytes()
    return {
        "empty": lambda: b"",
        "text": lambda: b"#!/bin/sh\n",
        "magic alone": lambda: b"\x7fELF",
        "zeros behind the magic": lambda: b"\x7fELF" + bytes(1000),
        "another machine's": lambda: Path(sys.executable).resolve().read_bytes(),
        "the other byte order": lambda: raw[:5] + b"\x02" + raw[6:],
        "32 bits": lambda: raw[:4] + b"\x01" + raw[5:],
        "no types for its maps": lambda: without_types(compiled("maps"), tmp_path / "o"),
    }[kind]()


@pytest.mark.parametrize(
    "kind",
    ["empty", "text", "magic alone", "zeros behind the magic", "another machine's",
     "the other byte order", "32 bits", "no types for its maps"],
)  # fmt: skip
@pytest.mark.parametrize("from_file", [False, True])
def test_what_is_no_object_is_refused_in_silence(
    compiled: Compiled, tmp_path: Path, capfd: pytest.CaptureFixture[str], kind: str,
    from_file: bool,
) -> None:  # fmt: skip
    data = damaged(kind, compiled, tmp_path)
    path = tmp_path / "broken.bpf.o"
    path.write_bytes(data)

    with pytest.raises(ObjectFormatError, match="broken" if from_file else "object"):
        Object.open(path if from_file else data)
    assert capfd.readouterr() == ("", "")


def test_an_object_cut_anywhere_is_refused(compiled: Compiled) -> None:
    raw = compiled("globals").read_bytes()

    for length in range(0, len(raw), 97):
        with pytest.raises(ObjectFormatError):
            Object.open(raw[:length])


def test_an_object_without_types_or_maps_is_usable(compiled: Compiled, tmp_path: Path) -> None:
    source = tmp_path / "bare.bpf.c"
    source.write_text(
        "#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\n"
        'SEC("xdp") int t_bare(struct xdp_md *ctx) { return XDP_PASS; }\n'
    )
    compile_file(source, tmp_path / "bare.o")

    with Object.open(without_types(tmp_path / "bare.o", tmp_path / "o")) as obj:
        assert obj.btf is None
        assert len(obj.maps) == 0
        obj.load()
        assert obj.programs.t_bare.test_run(bytes(64)).retval == 2
        assert obj.programs.t_bare.info.btf_id == 0


def test_files_that_cannot_be_read_are_the_systems_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Object.open(tmp_path / "nothing.o")
    with pytest.raises(IsADirectoryError):
        Object.open(tmp_path)


def test_a_file_too_large_for_an_object_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "large.o"
    with path.open("wb") as file:
        file.truncate(1 << 40)

    with pytest.raises(ObjectFormatError, match="larger"):
        Object.open(path)


# libbpf


def test_a_machine_without_libbpf_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_lib, "SONAME", "libnothing.so.1")
    library = Library()

    with pytest.raises(LibraryError, match=r"libnothing\.so\.1") as missing:
        library.libbpf_major_version()
    assert "apt install libbpf1" in missing.value.hint
    with pytest.raises(LibraryError):
        library.has("bpf_object__load")


def test_an_old_libbpf_is_told_from_none(monkeypatch: pytest.MonkeyPatch) -> None:
    real = ctypes.CDLL

    def only_the_old(name: str, **options: Any) -> ctypes.CDLL:
        if name == _lib.SONAME:
            raise OSError("cannot open shared object file")
        return real(None, **options)

    monkeypatch.setattr(ctypes, "CDLL", only_the_old)
    with pytest.raises(LibraryError, match=r"0\.x") as old:
        Library().libbpf_major_version()
    assert "1.0 or newer" in old.value.hint


def test_a_call_that_this_libbpf_lacks_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    future = _lib.Signature("bpf_of_the_future", ctypes.c_int, (), _lib.Fails.NEGATIVE)
    monkeypatch.setitem(lib._signatures, future.name, future)

    assert lib.has("bpf_object__load")
    assert not lib.has("bpf_of_the_future")
    assert not lib.has("unheard_of")
    with pytest.raises(LibraryError, match="bpf_of_the_future"):
        lib.bpf_of_the_future()
    with pytest.raises(AttributeError):
        lib.unheard_of()


def test_every_call_that_is_declared_is_there() -> None:
    assert libbpf_version() >= (1, 0)
    assert [each.name for each in _lib._SIGNATURES if not lib.has(each.name)] == []


# privileges


@pytest.mark.parametrize(
    "statement",
    [
        "Object.open(sys.stdin.buffer.read()).load()",
        "Map.create(1, 'm', key_size=4, value_size=4, max_entries=1)",
        "Map.from_id(1)",
        "Program.from_id(1)",
        "load_btf(1)",
        "list(program_ids())",
        "list(link_ids())",
    ],
)
def test_a_user_without_privileges_is_told_eperm(compiled: Compiled, statement: str) -> None:
    script = (
        "import sys, warnings; warnings.simplefilter('ignore')\n"
        "from xdpctl.pylibbpf import *\n"
        f"try: {statement}\n"
        "except BpfError as error: print(type(error).__name__, error.errno)\n"
    )
    # Still root by its number: the interpreter may lie where nobody else can read it.
    without = ["setpriv", "--inh-caps=-all", "--bounding-set=-all", "--"]
    command = [*without, sys.executable, "-c", script]
    data = compiled("maps").read_bytes()

    done = subprocess.run(command, input=data, check=True, capture_output=True)

    assert (done.stdout.decode(), done.stderr) == (f"BpfError {errno.EPERM}\n", b"")


def test_all_errors_are_one_family_and_bpf_errors_are_the_systems() -> None:
    for opening in (Program.from_id, Map.from_id, load_btf):
        with pytest.raises(PylibbpfError) as raised:
            opening(0x7FFFFFFE)
        assert isinstance(raised.value, OSError)
        assert raised.value.strerror in str(raised.value)
