"""Loaded programs: what the kernel tells of them, test runs, and ring buffers."""

from __future__ import annotations

import errno
import json
import os
import socket
import struct
import subprocess
import time

import pytest

from tests.bpf.conftest import Open, errno_of, veth_pair
from xdpctl.pylibbpf import (
    BpfError,
    Map,
    MapType,
    Object,
    Program,
    load_btf,
    map_ids,
    netns,
    program_ids,
    xdp_context,
)
from xdpctl.pylibbpf.btf import Kind

pytestmark = pytest.mark.usefixtures("nothing_leaks")

DROP, PASS, TX = 1, 2, 3  # enum xdp_action
XDP = 6  # BPF_PROG_TYPE_XDP


@pytest.fixture
def obj(loaded: Open) -> Object:
    return loaded("packets")


def frame(action: int, length: int = 64) -> bytes:
    return bytes(12) + bytes([action]) + bytes(length - 13)


def test_a_program_is_what_bpftool_says_it_is(obj: Object) -> None:
    for program in obj.programs:
        info = program.info
        command = ["bpftool", "-j", "prog", "show", "id", str(info.id)]
        shown = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)

        assert (info.name, info.tag, info.btf_id) == (shown["name"], shown["tag"], shown["btf_id"])
        assert (info.type, shown["type"], info.created_by_uid) == (XDP, "xdp", os.getuid())
        assert list(info.map_ids) == shown.get("map_ids", [])
        assert info.jited_length == shown.get("bytes_jited", 0)


def test_a_program_was_loaded_between_before_and_after(opened: Open) -> None:
    obj = opened("packets")
    before = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    obj.load()

    loaded_at = obj.programs.t_action.info.loaded_at_ns
    assert before <= loaded_at <= time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def test_equal_instructions_have_equal_tags(loaded: Open, obj: Object) -> None:
    again = loaded("packets")
    tags = [program.info.tag for program in obj.programs]

    assert tags == [program.info.tag for program in again.programs]
    assert len(set(tags)) == len(tags) == 5
    assert {len(bytes.fromhex(tag)) for tag in tags} == {8}


def test_programs_and_maps_are_listed_and_opened_by_id(obj: Object) -> None:
    ids = list(program_ids())
    assert ids == sorted(set(ids))
    for program in obj.programs:
        assert program.info.id in ids
        with Program.from_id(program.info.id) as opened:
            assert opened.info == program.info
            assert (
                opened.test_run(frame(PASS, 100)).retval
                == program.test_run(frame(PASS, 100)).retval
            )
    maps = list(map_ids())  # once: other tests make and drop some all the time
    assert maps == sorted(set(maps))
    assert {map_.info.id for map_ in obj.maps} <= set(maps)


def test_the_kernel_keeps_a_programs_types(obj: Object) -> None:
    btf = load_btf(obj.programs.t_action.info.btf_id)

    found = btf.find(Kind.STRUCT, "xdp_md")
    assert found is not None
    assert btf[found].size == 24
    assert btf.find(Kind.FUNC, "t_action") is not None


@pytest.mark.parametrize("object_id", [0, 0x7FFFFFFE, 0xFFFFFFFF])
def test_ids_that_do_not_exist_are_said_not_to(object_id: int) -> None:
    for opening in (Program.from_id, Map.from_id, load_btf):
        assert errno_of(opening, object_id) in (errno.ENOENT, errno.EINVAL)
    assert errno_of(Program.from_id, 0x7FFFFFFE) == errno.ENOENT


def test_a_bound_map_belongs_to_the_program_and_outlives_its_owner(obj: Object) -> None:
    program = obj.programs.t_action
    with Map.create(MapType.ARRAY, "bound", key_size=4, value_size=8, max_entries=1) as bound:
        bound[0] = 42
        map_id = bound.info.id
        assert map_id not in program.info.map_ids
        program.bind_map(bound.fd)
        program.bind_map(bound.fd)
    assert program.info.map_ids.count(map_id) == 1
    with Map.from_id(map_id) as found:
        assert found[0] == struct.pack("=Q", 42)


def test_only_maps_are_bound(obj: Object) -> None:
    program = obj.programs.t_action

    with open(os.devnull, "rb") as file:
        assert errno_of(program.bind_map, file.fileno()) == errno.EINVAL
    assert errno_of(program.bind_map, program.fd) == errno.EINVAL
    assert errno_of(program.bind_map, 1 << 20) == errno.EBADF


@pytest.mark.parametrize("verdict", [0, DROP, PASS, TX, 200])
def test_a_test_run_returns_the_verdict(obj: Object, verdict: int) -> None:
    run = obj.programs.t_action.test_run(frame(verdict))

    assert (run.retval, run.data) == (verdict, b"")


@pytest.mark.parametrize("repeat", [1, 2, 1000])
def test_a_test_run_is_repeated_as_asked(obj: Object, repeat: int) -> None:
    obj.programs.t_action.test_run(frame(PASS), repeat=repeat)

    assert obj.bss.runs == repeat


def test_a_test_run_gives_the_packet_as_the_program_left_it(obj: Object) -> None:
    packet = bytes(range(200))

    for length in (60, 200):
        run = obj.programs.t_prepend.test_run(packet[:length], want_data=True)
        assert (run.retval, run.data) == (TX, b"\1\2\3\4" + packet[:length])
    assert obj.programs.t_prepend.test_run(packet).data == b""
    assert packet == bytes(range(200))


@pytest.mark.parametrize("length", [0, 1, 13])
def test_packets_shorter_than_an_ethernet_header_are_refused(obj: Object, length: int) -> None:
    with pytest.raises(BpfError) as refused:
        obj.programs.t_action.test_run(bytes(length))
    assert refused.value.errno == errno.EINVAL
    assert refused.value.subject == "program t_action"
    assert obj.bss.runs == 0


def test_packets_of_several_pages_come_in_fragments(obj: Object) -> None:
    run = obj.programs.t_frags.test_run(bytes(9000), want_data=True)

    assert (run.retval, run.data) == (9000, bytes(9000))
    assert 0 < obj.bss.linear_bytes < 4096
    assert errno_of(obj.programs.t_frags.test_run, bytes(1 << 20)) in (errno.EINVAL, errno.ENOMEM)


def test_what_lies_behind_data_end_goes_to_fragments(obj: Object) -> None:
    packet = bytes(range(250)) * 4

    run = obj.programs.t_frags.test_run(packet, context=xdp_context(0, 100), want_data=True)

    assert (run.retval, obj.bss.linear_bytes, run.data) == (1000, 100, packet)
    for end in (1001, 1 << 20):
        program = obj.programs.t_frags
        assert errno_of(program.test_run, packet, context=xdp_context(0, end)) == errno.EINVAL


def test_metadata_comes_before_the_packet(obj: Object) -> None:
    packet = struct.pack("=I", 0xCAFE1234) + bytes(60)

    program = obj.programs.t_metadata
    assert program.test_run(packet, context=xdp_context(4, 64)).retval == 0xCAFE1234
    assert program.test_run(packet, context=xdp_context(0, 64)).retval == 0
    for data in (2, 65, 1 << 16):
        assert errno_of(program.test_run, packet, context=xdp_context(data, 64)) == errno.EINVAL


@pytest.mark.parametrize("context", [b"", b"\xff" * 24, bytes(25) + b"\1", bytes(8192)])
def test_contexts_that_are_none_are_refused(obj: Object, context: bytes) -> None:
    with pytest.raises(BpfError):
        obj.programs.t_action.test_run(frame(PASS), context=context)


def test_a_packet_comes_from_where_the_context_says(obj: Object) -> None:
    with veth_pair() as path, netns.entered(path):
        index = socket.if_nametoindex("v0")
        origin = xdp_context(0, 64, ingress_ifindex=index, rx_queue_index=0)

        assert obj.programs.t_origin.test_run(frame(PASS), context=origin).retval == index << 8
        for wrong in ({"ingress_ifindex": 999}, {"ingress_ifindex": index, "rx_queue_index": 99}):
            context = xdp_context(0, 64, **wrong)
            program = obj.programs.t_origin
            assert errno_of(program.test_run, frame(PASS), context=context) in (
                errno.ENODEV,
                errno.EINVAL,
            )


def test_live_frames_go_where_the_verdict_says(obj: Object) -> None:
    with veth_pair() as path, netns.entered(path):
        index = socket.if_nametoindex("v0")
        context = xdp_context(0, 64, ingress_ifindex=index)
        every_protocol = socket.htons(3)  # ETH_P_ALL
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, every_protocol) as taps:
            taps.bind(("v0", 3))
            taps.settimeout(30)
            for verdict in (DROP, PASS):
                wanted = frame(verdict)
                obj.programs.t_action.test_run(
                    wanted, repeat=10, context=context, live_frames=True, batch_size=4
                )
            assert obj.bss.runs == 20
            # Dropped frames would have come first; v0 may also send frames of its own.
            seen: list[bytes] = []
            while seen.count(frame(PASS)) < 10:
                seen.append(taps.recv(2048))
            assert frame(DROP) not in seen


def test_live_frames_have_limits(obj: Object) -> None:
    program = obj.programs.t_action

    assert errno_of(program.test_run, frame(DROP), live_frames=True, batch_size=257) == errno.E2BIG
    assert errno_of(program.test_run, frame(DROP), batch_size=4) == errno.EINVAL


def test_a_closed_program_touches_no_descriptor(obj: Object) -> None:
    program = Program.from_id(obj.programs.t_action.info.id)
    program.close()
    program.close()

    with Program.from_id(obj.programs.t_prepend.info.id):  # gets the closed one's number
        for use in (
            lambda: program.fd,
            lambda: program.info,
            lambda: program.test_run(frame(PASS)),
            lambda: program.bind_map(0),
        ):
            with pytest.raises(ValueError, match="Program is closed"):
                use()
