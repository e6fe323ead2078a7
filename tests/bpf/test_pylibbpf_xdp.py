"""The XDP hook, on interfaces of network namespaces that the tests make."""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bpf.conftest import Open, veth_pair
from xdpctl.pylibbpf import BpfError, Program, link_ids, link_info, netns, xdp
from xdpctl.pylibbpf.xdp import Attached, Mode

pytestmark = pytest.mark.usefixtures("nothing_leaks")

SOFTWARE = [Mode.DRIVER, Mode.SKB]


@pytest.fixture
def index() -> Iterator[int]:
    """That of v0; this thread is in its namespace."""
    with veth_pair() as path, netns.entered(path):
        yield socket.if_nametoindex("v0")


@pytest.fixture
def programs(loaded: Open) -> list[int]:
    """The descriptors of two programs."""
    obj = loaded("packets")
    return [obj.programs.t_action.fd, obj.programs.t_prepend.fd]


def id_of(fd: int) -> int:
    with Program(os.dup(fd), "copy") as program:
        return program.info.id


def errno_of(call: object, *arguments: object, **keywords: object) -> int | None:
    with pytest.raises(BpfError) as failed:
        call(*arguments, **keywords)  # type: ignore[operator]
    assert failed.value.subject.startswith("interface ")
    return failed.value.errno


def shown_by_ip() -> dict[str, object]:
    listing = subprocess.run(["ip", "-j", "link", "show", "v0"], check=True, capture_output=True)
    return json.loads(listing.stdout)[0].get("xdp", {})


@pytest.mark.parametrize(("mode", "number"), [(Mode.DRIVER, 1), (Mode.SKB, 2)])
def test_a_program_is_attached_seen_and_detached(
    index: int, programs: list[int], mode: Mode, number: int
) -> None:
    assert xdp.query(index) == ()
    xdp.attach(index, programs[0], mode)

    assert xdp.query(index) == (Attached(mode, id_of(programs[0])),)
    assert shown_by_ip()["mode"] == number  # XDP_ATTACHED_DRV, XDP_ATTACHED_SKB
    assert shown_by_ip()["prog"]["id"] == id_of(programs[0])  # type: ignore[index]
    assert xdp.query(socket.if_nametoindex("v1")) == ()

    xdp.detach(index, mode, expected_fd=programs[0])
    assert xdp.query(index) == ()
    assert shown_by_ip() == {}


@pytest.mark.parametrize("mode", SOFTWARE)
@pytest.mark.parametrize("there", SOFTWARE)
def test_a_hook_that_is_taken_is_not_taken_again(
    index: int, programs: list[int], there: Mode, mode: Mode
) -> None:
    xdp.attach(index, programs[0], there)

    for program in programs:
        assert errno_of(xdp.attach, index, program, mode) in (errno.EBUSY, errno.EEXIST)
    assert xdp.query(index) == (Attached(there, id_of(programs[0])),)


@pytest.mark.parametrize("mode", SOFTWARE)
def test_a_program_is_replaced_by_who_knows_it(index: int, programs: list[int], mode: Mode) -> None:
    first, second = programs
    xdp.attach(index, first, mode)

    assert errno_of(xdp.replace, index, second, mode, expected_fd=second) == errno.EEXIST
    assert xdp.query(index) == (Attached(mode, id_of(first)),)
    xdp.replace(index, second, mode, expected_fd=first)
    assert xdp.query(index) == (Attached(mode, id_of(second)),)
    assert errno_of(xdp.replace, index, second, mode, expected_fd=first) == errno.EEXIST
    assert errno_of(xdp.detach, index, mode, expected_fd=first) == errno.EEXIST
    assert xdp.query(index) == (Attached(mode, id_of(second)),)


@pytest.mark.parametrize("mode", SOFTWARE)
def test_nothing_is_not_replaced_and_not_detached(
    index: int, programs: list[int], mode: Mode
) -> None:
    assert errno_of(xdp.detach, index, mode, expected_fd=programs[0]) == errno.EEXIST
    assert errno_of(xdp.replace, index, programs[1], mode, expected_fd=programs[0]) == errno.EEXIST
    assert xdp.query(index) == ()


def test_a_program_of_another_mode_is_not_detached(index: int, programs: list[int]) -> None:
    xdp.attach(index, programs[0], Mode.DRIVER)

    errno_of(xdp.detach, index, Mode.SKB, expected_fd=programs[0])
    assert xdp.query(index) == (Attached(Mode.DRIVER, id_of(programs[0])),)


def test_the_drivers_own_words_are_told(index: int, programs: list[int]) -> None:
    assert index != 1
    with pytest.raises(BpfError) as refused:
        xdp.attach(1, programs[0], Mode.DRIVER)  # lo, whose driver has no XDP
    assert refused.value.errno in (errno.EOPNOTSUPP, errno.EINVAL)
    assert "native" in refused.value.kernel_reason
    assert refused.value.kernel_reason in str(refused.value)
    xdp.attach(1, programs[0], Mode.SKB)
    assert xdp.query(1) == (Attached(Mode.SKB, id_of(programs[0])),)


def test_a_refusal_for_which_there_are_no_words_has_none(index: int, programs: list[int]) -> None:
    with pytest.raises(BpfError) as refused:
        xdp.attach(index, 1 << 20, Mode.SKB)
    assert (refused.value.errno, refused.value.kernel_reason) == (errno.EBADF, "")
    assert xdp.query(index) == ()


@pytest.mark.parametrize("index_of_none", [0, -1, 999_999, 1 << 31, 1 << 40])
def test_an_interface_that_is_not_there_is_no_device(
    index: int, programs: list[int], index_of_none: int
) -> None:
    xdp.attach(index, programs[0], Mode.SKB)

    assert errno_of(xdp.query, index_of_none) == errno.ENODEV
    for call in (
        lambda: xdp.attach(index_of_none, programs[1], Mode.SKB),
        lambda: xdp.detach(index_of_none, Mode.SKB, expected_fd=programs[0]),
    ):
        assert errno_of(call) in (errno.ENODEV, errno.EINVAL)
    assert xdp.query(index) == (Attached(Mode.SKB, id_of(programs[0])),)


def test_what_is_attached_outlives_its_object(index: int, opened: Open) -> None:
    obj = opened("packets")
    obj.load()
    xdp.attach(index, obj.programs.t_action.fd, Mode.DRIVER)
    program_id = obj.programs.t_action.info.id
    obj.close()

    assert xdp.query(index) == (Attached(Mode.DRIVER, program_id),)
    with Program.from_id(program_id) as program:
        assert program.info.name == "t_action"
        xdp.detach(index, Mode.DRIVER, expected_fd=program.fd)
    assert xdp.query(index) == ()


def test_a_link_owns_the_hook_and_is_listed(index: int, loaded: Open) -> None:
    program = loaded("packets").programs.t_action
    there = (Attached(Mode.DRIVER, program.info.id),)
    with program.attach_xdp(index) as link:
        assert xdp.query(index) == there
        fdinfo = Path(f"/proc/self/fdinfo/{link.fd}").read_text(encoding="ascii")
        link_id = int(re.findall(r"link_id:\s*(\d+)", fdinfo)[0])
        assert link_id in set(link_ids())
        info = link_info(link_id)
        assert (info.type, info.ifindex, info.program_id) == (6, index, program.info.id)

        assert errno_of(xdp.attach, index, program.fd, Mode.DRIVER) == errno.EBUSY
        errno_of(xdp.replace, index, program.fd, Mode.DRIVER, expected_fd=program.fd)
        errno_of(xdp.detach, index, Mode.DRIVER, expected_fd=program.fd)
        assert xdp.query(index) == there
        with pytest.raises(BpfError) as taken:
            program.attach_xdp(index)
        assert taken.value.errno == errno.EBUSY
    link.close()
    assert xdp.query(index) == ()
    with pytest.raises(ValueError, match="closed"):
        _ = link.fd
    with pytest.raises(BpfError) as gone:
        link_info(link_id)
    assert gone.value.errno == errno.ENOENT


def test_a_link_ends_with_the_interface(loaded: Open) -> None:
    program = loaded("packets").programs.t_action
    with veth_pair() as path, netns.entered(path):
        with program.attach_xdp(socket.if_nametoindex("v0")) as link:
            subprocess.run(["ip", "link", "delete", "v0"], check=True)
            assert link.fd >= 0
        with pytest.raises(BpfError) as missing:
            program.attach_xdp(999_999)
        assert missing.value.errno in (errno.ENODEV, errno.EINVAL)


def test_only_the_calling_thread_enters_a_namespace() -> None:
    def current() -> int:
        return os.stat("/proc/thread-self/ns/net").st_ino

    home = current()
    seen: list[int] = []
    with veth_pair() as path, veth_pair() as second:
        with pytest.raises(ZeroDivisionError), netns.entered(path):
            inside = current()
            assert inside == os.stat(path).st_ino != home
            other = threading.Thread(target=lambda: seen.append(current()))
            with netns.entered(second):
                assert current() == os.stat(second).st_ino != inside
            assert current() == inside
            _ = 1 // 0
        assert current() == home
        other.start()
        other.join()
    assert seen == [home]


def test_what_is_no_namespace_is_not_entered() -> None:
    home = os.stat("/proc/thread-self/ns/net").st_ino

    for path, number in (("/run/netns/nothing", errno.ENOENT), ("/dev/null", errno.EINVAL),
                         ("/proc/self/ns/mnt", errno.EINVAL)):  # fmt: skip
        with pytest.raises(OSError) as refused, netns.entered(path):
            pytest.fail("entered")
        assert refused.value.errno == number
    assert os.stat("/proc/thread-self/ns/net").st_ino == home
