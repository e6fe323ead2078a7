"""Objects from opening to closing: what can be adjusted, what is there, and when."""

from __future__ import annotations

import errno
import gc
import os
import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.bpf.conftest import Open
from tests.interrupting import signal_at_instruction
from xdpctl.pylibbpf import BpfError, Map, MapType, Object, map_ids
from xdpctl.pylibbpf._lib import lib
from xdpctl.pylibbpf.callbacks import Callback
from xdpctl.pylibbpf.maps import F_MMAPABLE

pytestmark = pytest.mark.usefixtures("nothing_leaks")

PACKET = bytes(64)
PASS, TX = 2, 3  # enum xdp_action


@pytest.mark.parametrize("kind", ["path", "text", "bytes"])
def test_an_object_is_opened_from_a_file_or_from_bytes(
    compiled: Callable[[str], Path], kind: str
) -> None:
    path = compiled("globals")
    source: Any = {"path": path, "text": str(path), "bytes": path.read_bytes()}[kind]

    with Object.open(source) as obj:
        assert obj.name == ("object" if kind == "bytes" else "globals")
        assert [program.name for program in obj.programs] == ["t_globals"]
        assert obj.programs.t_globals.section == "xdp"
        obj.load()
        assert obj.programs.t_globals.test_run(PACKET).retval == PASS


@pytest.mark.parametrize("name", ["x", "a.b", "a_name_that_is_much_too_long", "ü", "..."])
def test_sections_are_found_whatever_the_object_is_called(
    compiled: Callable[[str], Path], name: str
) -> None:
    with Object.open(compiled("globals"), name=name) as obj:
        obj.load()
        assert obj.data.verdict == PASS
        assert obj.rodata.mode == 0
        assert obj.bss.hits == 0


def test_maps_and_programs_go_by_attribute_by_name_and_one_after_another(opened: Open) -> None:
    obj = opened("maps")
    names = ["array", "cpu_array", "cpu_hash", "hash", "large", "routes", "shared"]

    assert sorted(map_.name for map_ in obj.maps) == names
    assert len(obj.maps) == 7
    assert dir(obj.maps) == names
    assert obj.maps.hash is obj.maps["hash"]
    assert "hash" in obj.maps
    assert "t_maps" in obj.programs
    assert "nothing" not in obj.maps
    with pytest.raises(KeyError, match="no map nothing"):
        obj.maps["nothing"]
    with pytest.raises(AttributeError, match="no program nothing"):
        _ = obj.programs.nothing
    for name in ("rodata", "bss", "nothing"):
        with pytest.raises(AttributeError, match=name):
            getattr(obj, name)


def test_maps_are_described_before_and_after_load(opened: Open) -> None:
    obj = opened("maps")
    for is_loaded in (False, True):
        shared, trie = obj.maps.shared.info, obj.maps.routes.info
        assert (shared.type, shared.max_entries) == (MapType.ARRAY, 1000)
        assert (shared.key_size, shared.value_size) == (4, 11)
        assert shared.flags & F_MMAPABLE
        assert (trie.type, trie.key_size, trie.value_size) == (MapType.LPM_TRIE, 8, 4)
        assert bool(shared.id) == is_loaded
        if not is_loaded:
            obj.load()
    assert {map_.info.id for map_ in obj.maps} <= set(map_ids())


def test_the_number_of_entries_is_set_before_load_and_not_after(opened: Open) -> None:
    obj = opened("maps")
    obj.maps.hash.set_max_entries(2)
    obj.load()

    assert obj.maps.hash.info.max_entries == 2
    obj.maps.hash[1] = obj.maps.hash[2] = 0
    with pytest.raises(BpfError) as full:
        obj.maps.hash[3] = 0
    assert full.value.errno == errno.E2BIG
    with pytest.raises(BpfError) as late:
        obj.maps.hash.set_max_entries(3)
    assert late.value.errno == errno.EBUSY


def test_values_of_another_size_than_the_type_are_bytes(opened: Open) -> None:
    obj = opened("maps")
    obj.maps.array.set_value_size(24)
    obj.load()

    obj.maps.array[0] = bytes(range(24))
    assert obj.maps.array[0] == bytes(range(24))
    with pytest.raises(ValueError, match="24"):
        obj.maps.array[0] = bytes(8)


def test_a_map_can_be_taken_over_from_another_object(
    opened: Open, compiled: Callable[[str], Path]
) -> None:
    second = opened("maps")
    with Object.open(compiled("maps")) as first:
        first.load()
        first.programs.t_maps.test_run(PACKET, repeat=3)
        second.maps.hash.reuse_fd(first.maps.hash.fd)
        second.load()
        assert second.maps.hash.info.id == first.maps.hash.info.id
        assert second.maps.array.info.id != first.maps.array.info.id
    second.programs.t_maps.test_run(PACKET, repeat=2)

    assert second.maps.hash[1] == 5
    assert second.maps.array[1] == 2


def test_a_map_taken_over_keeps_its_own_shape(opened: Open) -> None:
    obj = opened("maps")
    with Map.create(MapType.ARRAY, "other", key_size=4, value_size=16, max_entries=9) as other:
        obj.maps.array.reuse_fd(other.fd)
        obj.load()
        assert obj.maps.array.info.id == other.info.id
    assert obj.maps.array.info.max_entries == 9
    assert obj.maps.array[8] == bytes(16)


def test_what_is_no_map_cannot_be_taken_over(opened: Open) -> None:
    obj = opened("maps")

    with open(os.devnull, "rb") as file, pytest.raises(BpfError) as refused:
        obj.maps.hash.reuse_fd(file.fileno())
    assert refused.value.errno == errno.EINVAL


def test_a_map_that_is_not_created_is_not_there(opened: Open) -> None:
    obj = opened("packets")
    obj.maps.unused.set_autocreate(False)
    obj.load()

    for use in (lambda: obj.maps.unused.fd, lambda: obj.maps.unused[0], obj.maps.unused.freeze):
        with pytest.raises(BpfError) as missing:
            use()
        assert (missing.value.errno, missing.value.subject) == (errno.EBADF, "map unused")
    assert obj.programs.t_action.test_run(PACKET).retval == 0


def test_a_program_without_a_map_that_it_needs_is_refused(opened: Open) -> None:
    obj = opened("maps")
    obj.maps.hash.set_autocreate(False)

    with pytest.raises(BpfError, match="t_maps"):
        obj.load()
    assert not obj.loaded


def test_a_program_can_be_left_out(compiled: Callable[[str], Path]) -> None:
    with Object.open(compiled("rejected")) as obj:
        obj.programs.t_null.set_autoload(False)
        obj.programs.t_packet.set_autoload(False)
        obj.load()

        assert obj.loaded
        assert obj.programs.t_sound.test_run(PACKET).retval == PASS
        for use in (lambda: obj.programs.t_null.fd, lambda: obj.programs.t_null.info):
            with pytest.raises(BpfError) as missing:
                use()
            assert (missing.value.errno, missing.value.subject) == (errno.EBADF, "program t_null")


def test_before_load_nothing_is_in_the_kernel(opened: Open) -> None:
    obj = opened("maps")

    assert not obj.loaded
    for use in (
        lambda: obj.maps.hash.fd,
        lambda: obj.maps.hash[1],
        lambda: list(obj.maps.hash),
        lambda: list(obj.maps.hash.lookup_batch()),
        lambda: obj.maps.hash.update(1, 1),
        obj.maps.shared.mmap,
        lambda: obj.programs.t_maps.fd,
        lambda: obj.programs.t_maps.info,
        lambda: obj.programs.t_maps.test_run(PACKET),
    ):
        with pytest.raises(BpfError) as missing:
            use()
        assert missing.value.errno == errno.EBADF


def test_loading_twice_is_refused_and_harmless(loaded: Open) -> None:
    obj = loaded("globals")

    with pytest.raises(BpfError):
        obj.load()
    assert obj.loaded
    assert obj.programs.t_globals.test_run(PACKET).retval == PASS


def test_closing_twice_is_harmless(compiled: Callable[[str], Path]) -> None:
    obj = Object.open(compiled("globals"))
    obj.close()
    obj.close()
    with Object.open(compiled("globals")) as obj:
        obj.load()
        obj.close()


@pytest.mark.parametrize("is_loaded", [False, True])
def test_parts_of_a_closed_object_say_so(compiled: Callable[[str], Path], is_loaded: bool) -> None:
    with Object.open(compiled("globals")) as obj:
        if is_loaded:
            obj.load()
            assert obj.bss.hits == 0
        program, bss, section = obj.programs.t_globals, obj.maps["globals.bss"], obj.bss

    # What the numbers of its descriptors might mean by now.
    with ExitStack() as stack:
        shape = {"key_size": 4, "value_size": 8, "max_entries": 1}
        maps = [Map.create(MapType.ARRAY, "bystander", **shape) for _ in range(8)]
        for map_ in maps:
            stack.enter_context(map_)
        for use in (
            lambda: bss.fd,
            lambda: bss[0],
            lambda: bss.update(0, bytes(bss.info.value_size)),
            lambda: bss.set_max_entries(1),
            lambda: bss.reuse_fd(maps[0].fd),
            lambda: program.fd,
            lambda: program.info,
            lambda: program.test_run(PACKET),
            lambda: program.set_autoload(False),
            lambda: section.hits,
            lambda: setattr(section, "hits", 1),
            lambda: obj.bss.hits,
            obj.load,
        ):
            with pytest.raises(ValueError, match="globals is closed"):
                use()


def test_an_object_that_is_forgotten_warns_and_is_closed(compiled: Callable[[str], Path]) -> None:
    obj = Object.open(compiled("globals"))
    obj.load()

    with pytest.warns(ResourceWarning, match="unclosed object globals"):
        del obj
        gc.collect()


@pytest.mark.parametrize("way", ["open", "load"])
def test_ctrl_c_while_libbpf_tells_of_its_work_is_raised(
    compiled: Callable[[str], Path],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    callback, instructions = Callback._call.__code__, range(1, 60)
    closed: list[int] = []
    close = lib.bpf_object__close
    monkeypatch.setattr(lib, "bpf_object__close", lambda each: (closed.append(each), close(each)))
    for instruction in instructions:
        with ExitStack() as stack:
            if way == "load":
                obj = stack.enter_context(Object.open(compiled("maps")))
            stack.enter_context(pytest.raises(KeyboardInterrupt))
            sent = stack.enter_context(signal_at_instruction(signal.SIGINT, instruction, callback))
            if way == "load":
                obj.load()
            else:
                Object.open(compiled("maps"))
        assert sent.came
    assert len(closed) == len(instructions)
    assert capfd.readouterr().err == ""
