"""Global variables: constants, initialised and zeroed ones, before load and in the program."""

from __future__ import annotations

import pytest

from tests.bpf.conftest import Open
from xdpctl.pylibbpf import Map
from xdpctl.pylibbpf.maps import F_MMAPABLE

pytestmark = pytest.mark.usefixtures("nothing_leaks")

PACKET = bytes(64)
PASS, TX = 2, 3  # enum xdp_action


def test_variables_are_what_the_source_says(opened: Open) -> None:
    obj = opened("globals")

    for _ in range(2):
        assert obj.rodata.mode == 0
        assert obj.rodata.label == b"abc\0\0\0\0\0"
        assert (obj.rodata.origin.x, obj.rodata.origin.y) == (-2, 2**64 - 1)
        assert obj.data.verdict == PASS
        assert (obj.data.step.x, obj.data.step.y) == (3, 5)
        assert obj.bss.hits == obj.bss.hidden == obj.bss.last.x == 0
        if not obj.loaded:
            obj.load()


def test_what_is_written_before_load_is_what_the_program_starts_with(opened: Open) -> None:
    obj = opened("globals")
    obj.data.verdict = 41
    obj.data.step = {"x": -1, "y": 2**63}
    obj.bss.hits = 2**64 - 2
    obj.bss.hidden = 7
    obj.load()

    assert obj.programs.t_globals.test_run(PACKET).retval == 41
    assert obj.bss.hits == 2**64 - 1
    assert obj.bss.hidden == 8
    assert (obj.bss.last.x, obj.bss.last.y) == (-1, 2**63)


def test_variables_are_shared_with_the_running_program(loaded: Open) -> None:
    obj = loaded("globals")
    program = obj.programs.t_globals

    for runs in (1, 2, 3):
        assert program.test_run(PACKET).retval == PASS
        assert obj.bss.hits == obj.bss.hidden == runs
    obj.data.verdict = -1
    obj.bss.hits = 100
    assert program.test_run(PACKET).retval == 2**32 - 1
    assert obj.bss.hits == 101
    assert (obj.bss.last.x, obj.bss.last.y) == (12, 20)


def test_variables_are_those_that_others_see_in_the_map(loaded: Open) -> None:
    obj = loaded("globals")
    obj.programs.t_globals.test_run(PACKET, repeat=300)

    with Map.from_id(obj.maps["globals.bss"].info.id) as bss:
        [(_, raw)] = bss.items()
    assert (300).to_bytes(8, "little") in raw


def test_a_constant_switches_code_off_and_on(opened: Open) -> None:
    with pytest.raises(OSError, match="invalid mem access") as refused:
        broken = opened("globals")
        broken.rodata.mode = 13
        broken.load()
    assert not broken.loaded
    assert "t_globals" in str(refused.value)

    obj = opened("globals")
    obj.rodata.mode = 7
    obj.load()
    assert obj.programs.t_globals.test_run(PACKET).retval == TX


def test_a_constant_cannot_be_written_after_load(loaded: Open) -> None:
    obj = loaded("globals")

    with pytest.raises(AttributeError, match="fixed"):
        obj.rodata.mode = 7
    assert obj.rodata.mode == 0
    assert obj.programs.t_globals.test_run(PACKET).retval == PASS


def test_static_variables_alone_can_be_read_and_not_written_after_load(opened: Open) -> None:
    obj = opened("statics")
    obj.bss.calls = 5
    obj.load()
    obj.programs.t_statics.test_run(PACKET, repeat=3)

    assert not obj.maps["statics.bss"].info.flags & F_MMAPABLE
    assert obj.bss.calls == 8
    with pytest.raises(AttributeError, match="fixed"):
        obj.bss.calls = 0


@pytest.mark.parametrize("is_loaded", [False, True])
def test_values_that_do_not_fit_a_variable_change_nothing(opened: Open, is_loaded: bool) -> None:
    obj = opened("globals")
    if is_loaded:
        obj.load()

    for wrong in (1 << 31, "1", None, {}):
        with pytest.raises(ValueError, match=r"fit|member"):
            obj.data.verdict = wrong
    with pytest.raises(AttributeError, match="no variable nothing"):
        obj.data.nothing = 1
    with pytest.raises(AttributeError, match="no variable nothing"):
        _ = obj.data.nothing
    assert obj.data.verdict == PASS
    assert dir(obj.data) == ["step", "verdict"]
