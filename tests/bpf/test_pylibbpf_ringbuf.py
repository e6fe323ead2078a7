"""Ring buffers: the program sends a number, one more than the last, and that many zero bytes."""

from __future__ import annotations

import errno
import signal
import struct
import sys
from collections.abc import Callable
from itertools import count

import pytest

from tests.bpf.conftest import Open
from tests.interrupting import signal_at_instruction
from xdpctl.pylibbpf import BpfError, Object, RingBuffer
from xdpctl.pylibbpf.callbacks import Callback

pytestmark = pytest.mark.usefixtures("nothing_leaks")


class _Stop(BaseException):
    """Not an Exception, as KeyboardInterrupt is not."""


@pytest.fixture
def obj(loaded: Open) -> Object:
    return loaded("ring")


def send(obj: Object, count: int) -> None:
    obj.programs.t_ring.test_run(bytes(64), repeat=count)


def expected(first: int, last: int) -> list[bytes]:
    return [struct.pack("=Q", number) + bytes(number % 256) for number in range(first, last)]


@pytest.mark.parametrize("way", ["poll", "consume"])
def test_samples_come_whole_and_in_order(obj: Object, way: str) -> None:
    received: list[bytes] = []
    with RingBuffer(obj.maps.samples.fd, received.append) as ring:
        take = ring.poll if way == "poll" else ring.consume
        for first, last in ((0, 1), (1, 20), (20, 30)):
            send(obj, last - first)
            assert take() == last - first
            assert received[first:] == expected(first, last)
        assert obj.bss.sent == 30


def test_a_poll_without_samples_returns_none_of_them(obj: Object) -> None:
    received: list[bytes] = []
    with RingBuffer(obj.maps.samples.fd, received.append) as ring:
        assert ring.poll(0) == ring.poll(10) == ring.consume() == 0
    assert received == []


def test_samples_sent_before_there_is_a_reader_are_kept(obj: Object) -> None:
    send(obj, 5)
    received: list[bytes] = []
    with RingBuffer(obj.maps.samples.fd, received.append) as ring:
        assert ring.poll() == 5
    assert received == expected(0, 5)


def test_samples_are_lost_when_the_buffer_is_full_and_flow_again(obj: Object) -> None:
    send(obj, 200)
    sent, lost = obj.bss.sent, obj.bss.lost
    assert sent + lost == 200
    assert lost > 0

    received: list[bytes] = []
    with RingBuffer(obj.maps.samples.fd, received.append) as ring:
        assert ring.consume() == sent
        send(obj, 1)
        assert ring.consume() == 1
    assert received == expected(0, sent + 1)


@pytest.mark.parametrize("error", [ValueError("from the callback"), _Stop()])
@pytest.mark.parametrize("way", ["poll", "consume"])
def test_what_the_callback_raises_is_raised_and_the_rest_kept(
    obj: Object, error: BaseException, way: str
) -> None:
    received: list[bytes] = []

    def receive(sample: bytes) -> None:
        received.append(sample)
        if len(received) == 3:
            raise error

    with RingBuffer(obj.maps.samples.fd, receive) as ring:
        take = ring.poll if way == "poll" else ring.consume
        send(obj, 10)
        with pytest.raises(type(error)) as raised:
            take()
        assert raised.value is error
        assert received == expected(0, 3)
        assert take() == 7
    assert received == expected(0, 10)


def test_ctrl_c_at_any_instruction_of_the_callback_ends_the_poll_and_loses_one_sample_at_most(
    obj: Object, capfd: pytest.CaptureFixture[str]
) -> None:
    received: list[bytes] = []

    def receive(sample: bytes) -> None:
        received.append(sample)

    with RingBuffer(obj.maps.samples.fd, receive) as ring:
        for instruction in count(1):
            start = obj.bss.sent
            send(obj, 5)
            received.clear()
            hook = sys.unraisablehook
            with signal_at_instruction(signal.SIGINT, instruction, Callback._call.__code__) as sent:
                try:
                    assert ring.consume() == 5
                except KeyboardInterrupt:
                    assert sent.came
                else:
                    assert not sent.came, instruction
            assert sys.unraisablehook is hook
            if instruction == 1:  # on entry to the first call: C goes on to the next
                assert len(received) <= 1
            ring.consume()
            every = expected(start, start + 5)
            lost = [each for each in every if each not in received]
            assert len(lost) <= sent.came, instruction
            assert received == [each for each in every if each not in lost]
            if not sent.came:
                break
    assert instruction > 50
    assert capfd.readouterr().err == ""


def test_only_a_ring_buffer_is_read(loaded: Open, obj: Object) -> None:
    for fd in (loaded("maps").maps.hash.fd, obj.programs.t_ring.fd):
        with pytest.raises(BpfError) as refused:
            RingBuffer(fd, print)
        assert refused.value.errno == errno.EINVAL
    with pytest.raises(BpfError) as refused:
        RingBuffer(1 << 20, print)
    assert refused.value.errno in (errno.EBADF, errno.EBADFD)


def test_a_closed_ring_buffer_says_so(obj: Object) -> None:
    ring = RingBuffer(obj.maps.samples.fd, print)
    ring.close()
    ring.close()

    for use in (ring.poll, ring.consume):
        with pytest.raises(ValueError, match="RingBuffer is closed"):
            use()


@pytest.mark.parametrize("use", [RingBuffer.close, RingBuffer.consume])
def test_a_ring_buffer_is_not_used_from_its_own_callback(
    obj: Object, use: Callable[[RingBuffer], object]
) -> None:
    received: list[bytes] = []

    def receive(sample: bytes) -> None:
        received.append(sample)
        if len(received) == 1:
            use(ring)

    with RingBuffer(obj.maps.samples.fd, receive) as ring:
        send(obj, 3)
        with pytest.raises(RuntimeError, match="callback"):
            ring.poll()
        assert ring.consume() == 2
    assert received == expected(0, 3)


def test_a_ring_buffer_outlives_the_object_it_came_from(opened: Open) -> None:
    obj = opened("ring")
    obj.load()
    received: list[bytes] = []
    with RingBuffer(obj.maps.samples.fd, received.append) as ring:
        send(obj, 4)
        obj.close()
        assert ring.consume() == 4
    assert received == expected(0, 4)


def test_a_signal_ends_a_poll_without_end(obj: Object) -> None:
    handled: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _: handled.append(number))
    try:
        with RingBuffer(obj.maps.samples.fd, print) as ring:
            signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)  # again, should it come too early
            with pytest.raises(BpfError) as interrupted:
                ring.poll()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert interrupted.value.errno == errno.EINTR
    assert handled
