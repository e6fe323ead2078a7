"""Sends frames on an interface, all of them or with an error (packet(7))."""

import errno
import socket
import time
from collections.abc import Iterable

from netns_lab.errors import SendError
from netns_lab.namespace import Namespace
from netns_lab.netlink import Interface, Rtnl, request
from netns_lab.packet import packet_socket

_PATIENCE_S = 5.0
_RETRY_INTERVAL_S = 0.0001


def ready_interface(namespace: Namespace, name: str) -> Interface:
    """The interface, able to send; from one that is not, frames vanish without an error.

    Raises SendError, or UnknownInterfaceError.
    """
    interface = request(namespace, Rtnl.settle, name)
    require_ready(f"{namespace.name}: {name}", interface)
    return interface


def require_ready(subject: str, interface: Interface) -> None:
    """Raises SendError where the interface is down or its peer is."""
    if not interface.up:
        raise SendError(f"{subject}: is down")
    if not interface.carrier:
        raise SendError(f"{subject}: has no carrier; is its peer down?")


def send_frames(namespace: Namespace, interface: Interface, frames: Iterable[bytes]) -> int:
    """Sends frames in order from an interface that was ready just now, and returns their number.

    Not for two threads at a time on one interface, whose counter of drops it reads.
    Raises SendError, or UnknownInterfaceError.
    """
    subject = f"{namespace.name}: {interface.name}"
    count = refused = 0
    with namespace.call(packet_socket, subject, interface.name, protocol=0) as sock:
        for frame in frames:
            try:
                refused += _send(sock, frame)
            except OSError as error:
                reason = _reason(error, interface)
                message = f"{subject}: frame {count + 1}, of {len(frame)} bytes: {reason}"
                raise SendError(message) from error
            count += 1
    # Before Linux 6.6 veth calls a drop a success (151e887d8ff9), and only its counter tells.
    after = request(namespace, Rtnl.interface, interface.name)
    dropped = after.tx_dropped - interface.tx_dropped - refused
    if dropped > 0:
        raise SendError(f"{subject}: the kernel dropped {dropped} of {count} frames")
    return count


def _send(sock: socket.socket, frame: bytes) -> int:
    """Sends one frame; returns how often the kernel refused it first, for its peer was busy."""
    refused = 0
    deadline_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            sock.send(frame)
        except OSError as error:
            # ENOBUFS: the queue on the peer's side is full. poll() knows nothing of that queue,
            # only of the socket's own, so there is nothing to wait for but time.
            if error.errno != errno.ENOBUFS or time.monotonic() > deadline_s:
                raise
            refused += 1
            time.sleep(_RETRY_INTERVAL_S)
        else:
            return refused


def _reason(error: OSError, interface: Interface) -> str:
    if error.errno == errno.EMSGSIZE:
        return f"longer than the mtu of {interface.mtu} allows"
    if error.errno == errno.EINVAL:
        return "too short for an Ethernet header"
    return error.strerror or str(error)
