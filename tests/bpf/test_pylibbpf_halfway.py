"""What fails half-way, or is forgotten, leaves nothing behind."""

from __future__ import annotations

import errno
import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.bpf.conftest import Open
from xdpctl.pylibbpf import BpfError, Map, MapType, Object, RingBuffer
from xdpctl.pylibbpf._lib import lib

pytestmark = pytest.mark.usefixtures("nothing_leaks")

Compiled = Callable[[str], Path]


def failing(name: str, monkeypatch: pytest.MonkeyPatch, *, after: int = 0) -> None:
    """That call of libbpf's fails with ENOMEM, but not the first `after` times."""
    real = getattr(lib, name)
    calls = 0

    def call(*arguments: Any, **keywords: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > after:
            raise BpfError(errno.ENOMEM, name)
        return real(*arguments, **keywords)

    monkeypatch.setattr(lib, name, call)


@pytest.mark.parametrize("after", range(4))
def test_a_map_that_cannot_be_described_is_closed(
    loaded: Open, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    map_id = loaded("maps").maps.shared.info.id
    with Map.create(MapType.ARRAY, "m", key_size=4, value_size=4, max_entries=1):
        failing("bpf_obj_get_info_by_fd", monkeypatch, after=after)
        if after < 3:  # of the map, of its types: their length, and themselves
            with pytest.raises(BpfError, match="bpf_obj_get_info_by_fd"):
                Map.from_id(map_id)
        else:
            Map.from_id(map_id).close()


def test_a_map_whose_types_cannot_be_had_is_closed(
    loaded: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    map_id = loaded("maps").maps.shared.info.id
    failing("bpf_btf_get_fd_by_id", monkeypatch)

    with pytest.raises(BpfError):
        Map.from_id(map_id)


def test_a_descriptor_that_is_no_map_is_closed_all_the_same() -> None:
    fd = os.open(os.devnull, os.O_RDONLY)

    with pytest.raises(BpfError) as refused:
        Map(fd)
    assert refused.value.errno == errno.EINVAL
    with pytest.raises(OSError):
        os.fstat(fd)


@pytest.mark.parametrize("after", [0, 1, 3])
def test_an_object_whose_maps_cannot_be_described_is_not_loaded(
    compiled: Compiled, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    with Object.open(compiled("maps")) as obj:
        failing("bpf_obj_get_info_by_fd", monkeypatch, after=after)
        with pytest.raises(BpfError):
            obj.load()
        assert not obj.loaded


@pytest.mark.parametrize("call", ["btf__raw_data", "bpf_object__open_mem"])
def test_an_object_that_cannot_be_opened_is_given_back(
    compiled: Compiled, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    failing(call, monkeypatch)

    with pytest.raises(BpfError) as failed:
        Object.open(compiled("maps"))
    assert failed.value.errno == errno.ENOMEM


def test_a_refused_ring_buffer_leaves_nothing(loaded: Open) -> None:
    for _ in range(3):
        with pytest.raises(BpfError):
            RingBuffer(loaded("maps").maps.hash.fd, print)


def test_what_is_forgotten_warns_and_is_closed() -> None:
    forgotten = Map.create(MapType.ARRAY, "m", key_size=4, value_size=4, max_entries=1)

    with pytest.warns(ResourceWarning, match="unclosed <Map m id="):
        del forgotten
        gc.collect()


def test_an_object_of_which_a_map_cannot_be_made_is_not_loaded(
    compiled: Compiled, capfd: pytest.CaptureFixture[str]
) -> None:
    with Object.open(compiled("maps")) as obj:
        obj.maps.cpu_array.set_max_entries(0xFFFFFFFF)
        with pytest.raises(BpfError) as failed:
            obj.load()
        assert not obj.loaded
    assert failed.value.errno in (errno.ENOMEM, errno.E2BIG, errno.EINVAL)
    assert any("cpu_array" in message for message in failed.value.messages)
    assert capfd.readouterr() == ("", "")
