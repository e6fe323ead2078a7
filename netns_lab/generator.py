"""bpf/generator.bpf.c in the kernel: a table of frames, sent in turn by live-frames test runs.

The kernel's documentation of live frames: Documentation/bpf/bpf_prog_run.rst.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from netns_lab.edits import edits_of
from netns_lab.errors import KernelError
from netns_lab.headers import headers_of
from netns_lab.namespace import HeldNamespace, Spawner
from xdpctl.pylibbpf import BpfError, Object, PylibbpfError, xdp, xdp_context

OBJECT = Path(__file__).parent / "data" / "generator.bpf.o"
FRAME_BYTES_MIN = 14
FRAME_BYTES_MAX = 3328  # of generator.bpf.c

_BATCH = 64  # packets between two turns of the receiver; a veth's ring holds 256
_UDP = 17
_LOOPBACK_IFINDEX = 1


class Generator:
    """A program that sends the frames of its table out of one interface; a context manager.

    It is for one thread, inside the interface's namespace, which it keeps on one CPU: packets that
    are sent and received on different ones overrun a veth's ring.
    """

    def __init__(
        self, ifindex: int, table_frames: int, *, seed: int = 0, vary: bool = True
    ) -> None:
        """`vary` is as in `generate()`. Raises KernelError."""
        self._ifindex = ifindex
        self._vary = vary
        self._seed = seed
        self._table_frames = table_frames
        self._longest = b""
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo, _kernel_errors("generator"):
            self._object = undo.enter_context(Object.open(OBJECT))
            self._object.maps.frames.set_max_entries(self._table_frames)
            self._object.load()
            self._object.bss.seed = self._seed % 2**64
            undo.enter_context(_kept_ready(self._object))
            undo.enter_context(_on_one_cpu())
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._undo.close()

    def load(self, frames: Sequence[bytes]) -> None:
        """Fills the table, to be sent from its beginning; each of FRAME_BYTES_MIN to _MAX."""
        with _kernel_errors("generator"):
            self._object.maps.frames.update_batch(
                (i, self._entry(frame)) for i, frame in enumerate(frames)
            )
            self._object.bss.frame_count = len(frames)
            self._object.bss.position = 0
        self._longest = max(frames, key=len)

    def send(self, count: int) -> int:
        """Sends the next `count` frames; returns how many, fewer if a signal came. KernelError."""
        before: int = self._object.bss.sent
        size = len(self._longest)
        with _kernel_errors("generator"):
            try:
                self._object.programs.generator.test_run(
                    self._longest,
                    repeat=count,
                    context=xdp_context(0, size, ingress_ifindex=self._ifindex),
                    live_frames=True,
                    batch_size=_BATCH,
                )
            except BpfError as error:
                if error.errno != errno.EINTR:
                    raise
        after: int = self._object.bss.sent
        return after - before

    def _entry(self, frame: bytes) -> dict[str, object]:
        edits = edits_of(frame) if self._vary else ()
        return {
            "length": len(frame),
            "numbered": self._vary,
            "udp": headers_of(frame).protocol == _UDP,
            "edits": tuple(edit._asdict() for edit in edits) + ({},) * (3 - len(edits)),
            "bytes": frame,
        }


@contextlib.contextmanager
def _kept_ready(obj: Object) -> Iterator[None]:
    """The program is attached to the loopback interface of a namespace that nobody uses.

    A test run puts its program into the XDP dispatcher and takes it out again, and waits for RCU
    both times: 25 ms. A program that is attached somewhere is in there already.
    """
    with contextlib.ExitStack() as undo:
        spawner = Spawner()
        undo.callback(spawner.close)
        namespace = HeldNamespace(spawner, "generator")
        undo.callback(namespace.close)
        program = obj.programs.generator.fd
        namespace.call(xdp.attach, _LOOPBACK_IFINDEX, program, xdp.Mode.SKB)
        yield


@contextlib.contextmanager
def _on_one_cpu() -> Iterator[None]:
    """The calling thread stays on the CPU that it is on."""
    allowed = os.sched_getaffinity(0)
    # proc_pid_stat(5): field 39; the second, a name in brackets, may have blanks.
    fields = Path("/proc/thread-self/stat").read_text(encoding="ascii", errors="replace")
    os.sched_setaffinity(0, {int(fields.rpartition(")")[2].split()[36])})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


@contextlib.contextmanager
def _kernel_errors(subject: str) -> Iterator[None]:
    try:
        yield
    except BpfError as error:
        raise KernelError(f"{subject}: {error}", error.errno or 0) from error
    except (PylibbpfError, FileNotFoundError) as error:
        raise KernelError(f"{subject}: {error}", 0) from error
