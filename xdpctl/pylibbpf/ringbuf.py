"""Ring buffers: what programs send to user space, in order, from all CPUs."""

from __future__ import annotations

import ctypes as ct
from collections.abc import Callable

from xdpctl.pylibbpf._lib import RING_BUFFER_SAMPLE_FN, lib
from xdpctl.pylibbpf.callbacks import Callback
from xdpctl.pylibbpf.fd import Owner


class RingBuffer(Owner):
    """The one consumer of a ring-buffer map; a context manager.

    Args:
        map_fd: of a map of type RINGBUF; it must stay open.
        on_sample: called with each sample's bytes. What it raises ends the poll, which raises it.

    Raises:
        BpfError: EINVAL when it is no ring buffer.
    """

    def __init__(self, map_fd: int, on_sample: Callable[[bytes], None]) -> None:
        self._on_sample = on_sample
        self._in_use = False
        # libbpf holds it until freed.
        self._callback = Callback(RING_BUFFER_SAMPLE_FN, self._sample)
        self._pointer: int = lib.ring_buffer__new(map_fd, self._callback.pointer, None, None)

    def _sample(self, _context: int, data: int, size: int) -> int:
        self._on_sample(ct.string_at(data, size))
        return 0

    def poll(self, timeout_ms: int = -1) -> int:
        """Wait until there are samples, hand them over, and return how many there were.

        Args:
            timeout_ms: how long at most; -1: without end, which a signal that comes right before
                the wait does not end, either, until there are samples.

        Raises:
            BpfError: EINTR when a signal came.
        """
        return self._consumed(lib.ring_buffer__poll, self._pointer, timeout_ms)

    def consume(self) -> int:
        """Hand over what is there, without waiting."""
        return self._consumed(lib.ring_buffer__consume, self._pointer)

    def _consumed(self, call: Callable[..., int], *arguments: int) -> int:
        if not self._pointer:
            raise ValueError("RingBuffer is closed")
        self._refuse_in_use()
        self._in_use = True
        try:
            with self._callback.raising():
                return call(*arguments, subject="ring buffer")
        finally:
            self._in_use = False

    def _refuse_in_use(self) -> None:
        if self._in_use:
            raise RuntimeError("RingBuffer is in use: by its own callback, or by another thread")

    def close(self) -> None:
        """Closing twice is harmless. Raises RuntimeError within the callback."""
        self._refuse_in_use()
        pointer, self._pointer = self._pointer, 0
        if pointer:
            lib.ring_buffer__free(pointer)
