"""A host of a lab: a network namespace with interfaces, and what a person does on it."""

import contextlib
import os
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, ParamSpec, TypeVar

from netns_lab import validate
from netns_lab.capture import Capture
from netns_lab.errors import UnknownInterfaceError
from netns_lab.frames import Frame, pcap_frames, to_frames
from netns_lab.namespace import Namespace, Spawner
from netns_lab.netlink import Interface, Rtnl, request
from netns_lab.sender import ready_interface, send_frames

if TYPE_CHECKING:
    from netns_lab.generate import Sent

P = ParamSpec("P")
T = TypeVar("T")
Argv = Sequence[str | os.PathLike[str]]
Stream = int | IO[str] | None
"""A standard stream of a process: inherited where None, or subprocess.PIPE, or a file."""

_GRACE_S = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Port:
    """An interface that a link gave to a host, whatever its name becomes."""

    host: "Host"
    index: int
    mac: str
    addresses: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its present name. Raises UnknownInterfaceError once it is deleted."""
        return request(self.host.namespace, Rtnl.name_of, self.index)


class Host:
    """A host of a lab; made by `Lab.host()` and gone with the lab, or one that stays.

    Every method that takes an interface's name raises UnknownInterfaceError where the host has
    none of that name, KernelError where the kernel refuses, LabClosedError after the lab's end.
    """

    def __init__(self, name: str, namespace: Namespace, spawner: Spawner) -> None:
        """Takes over the namespace, and closes it in the end."""
        self.name = name
        self.namespace = namespace
        self.peers: dict[int, Port] = {}
        """The ports that this host's interfaces are linked to, by the index of the interface."""
        self._spawner = spawner
        self._processes: list[subprocess.Popen[str]] = []
        self._sending: dict[str, threading.Lock] = {}

    def __repr__(self) -> str:
        return f"<Host {self.name} {self.netns_path}>"

    @property
    def netns_path(self) -> str:
        """The namespace as a file, as in `nsenter --net=PATH`; good until the lab's end."""
        return self.namespace.path

    # Programs and functions

    def run(
        self,
        argv: Argv,
        *,
        check: bool = True,
        input: str | None = None,
        timeout_s: float | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program to its end inside the host; returns its status and output as text.

        Only the network is the host's. In particular `/sys/class/net` shows the interfaces of the
        machine. Raises subprocess.CalledProcessError, with the program's stderr as a note, where
        `check` is set and it fails; subprocess.TimeoutExpired after `timeout_s` seconds, when it
        is killed.
        """
        try:
            return subprocess.run(
                self.namespace.command(argv),
                check=check,
                input=input,
                stdin=subprocess.DEVNULL if input is None else None,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                env=env,
                cwd=cwd,
            )
        except subprocess.CalledProcessError as error:
            if error.stderr:
                error.add_note(error.stderr.rstrip())
            raise

    def popen(
        self,
        argv: Argv,
        *,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
    ) -> subprocess.Popen[str]:
        """Starts a program inside the host; its streams are text.

        At the lab's end it is terminated, and killed if it outlasts that by 2 s.
        """
        process = self._spawner.popen(
            self.namespace.command(argv),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            text=True,
            env=env,
            cwd=cwd,
        )
        self._processes.append(process)
        return process

    def call(self, func: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls a Python function inside the host; returns what it returns, raises what it raises.

        It runs in a new thread, since a thread is what can be inside a namespace, and sockets that
        it returns remain the host's. Import scapy before: it looks at the interfaces when loaded.
        """
        return self.namespace.call(func, *args, **kwargs)

    # Frames

    def send(self, interface_name: str, packets: Frame | Iterable[Frame]) -> int:
        """Sends one packet or many from an interface, and returns their number.

        A packet is a frame's bytes, or a scapy packet, whose MAC addresses default to those of the
        interface and its peer; one that stands for many, as `IP(dst="192.0.2.0/30")`, is sent as
        its first. On return all have reached the peer: where its queue is full, this waits.
        Threads that send on one interface take turns.
        Raises SendError where not all were sent, InvalidValueError where a packet is unfit.
        """
        with self._sending.setdefault(interface_name, threading.Lock()):
            interface = ready_interface(self.namespace, interface_name)
            peer = self.peers.get(interface.index)
            peer_mac = peer.mac if peer else None
            frames = to_frames(packets, source_mac=interface.mac, destination_mac=peer_mac)
            return send_frames(self.namespace, interface, frames)

    def replay(self, interface_name: str, path: str | os.PathLike[str]) -> int:
        """Sends the frames of a pcap or pcapng file at once, whatever their times.

        Memory does not grow with the file. Returns and raises as `send()`, and InvalidValueError
        where the file is no capture of Ethernet, OSError where it cannot be read.
        """
        return self.send(interface_name, pcap_frames(path))

    def generate(self, interface_name: str, frames: Iterable[bytes], **options: Any) -> "Sent":
        """Sends frames by the million; arguments and errors are those of `generate.generate()`."""
        # Here because only this needs libbpf.
        from netns_lab.generate import generate  # noqa: PLC0415

        with self._sending.setdefault(interface_name, threading.Lock()):
            return self.call(generate, interface_name, frames, subject=self.name, **options)

    def capture(self, interface_name: str, *, buffer_bytes: int = 64 << 20) -> Capture:
        """Starts to capture what arrives on an interface; use it in a `with` statement.

        The kernel holds up to about twice `buffer_bytes` of frames that were not read yet, of
        which a small frame takes 1 KiB.
        """
        return Capture(self.namespace, interface_name, buffer_bytes)

    # Interfaces

    def interfaces(self) -> tuple[Interface, ...]:
        """All interfaces of the host; the first is `lo`."""
        return request(self.namespace, Rtnl.interfaces)

    def interface(self, name: str) -> Interface:
        """The interface of that name, as it is now."""
        return request(self.namespace, Rtnl.interface, name)

    def ifindex(self, name: str) -> int:
        """The index of the interface of that name."""
        return self.interface(name).index

    def set_up(self, name: str) -> None:
        """Sets an interface up; if its peer is up, both can send on return."""
        request(self.namespace, Rtnl.set_up, name)
        if peer := self.peers.get(self.ifindex(name)):
            with contextlib.suppress(
                UnknownInterfaceError
            ):  # it was moved to a namespace elsewhere
                request(peer.host.namespace, Rtnl.settle, peer.name)

    def set_down(self, name: str) -> None:
        """Sets an interface down; its peer, if it has one, loses its carrier."""
        request(self.namespace, Rtnl.set_down, name)

    def rename(self, old: str, new: str) -> None:
        """Renames an interface; before Linux 6.2 it has to be down.

        Raises NameInUseError, InvalidValueError.
        """
        request(self.namespace, Rtnl.rename, old, validate.interface_name(new))

    def delete(self, name: str) -> None:
        """Deletes an interface, and its peer if it has one; returns when both are gone."""
        index = self.ifindex(name)
        request(self.namespace, Rtnl.delete, name)
        request(self.namespace, Rtnl.await_gone, index)
        if peer := self.peers.pop(index, None):
            request(peer.host.namespace, Rtnl.await_gone, peer.index)
            peer.host.peers.pop(peer.index, None)

    def write_sysctl(self, path: str, value: str) -> None:
        """Writes `/proc/sys/PATH`, as in `net/ipv4/ip_forward`, of the host's network."""
        request(self.namespace, Rtnl.write_sysctl, path, value)

    def close(self) -> None:
        """Ends the host's programs and lets go of its namespace; `Lab.close()` does this."""
        try:
            for process in reversed(self._processes):
                _end(process)
        finally:
            self.namespace.close()


def _end(process: subprocess.Popen[str]) -> None:
    with process:  # closes its streams, and waits
        process.terminate()
        try:
            process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
