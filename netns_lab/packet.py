"""Sockets that send and receive whole Ethernet frames (packet(7))."""

import socket
from collections.abc import Iterable

from netns_lab.netlink import refusal

SOL_PACKET = 263  # include/linux/socket.h


def packet_socket(
    subject: str,
    interface_name: str,
    *,
    protocol: int,
    options: Iterable[tuple[int, int, int]] = (),
) -> socket.socket:
    """A raw packet socket on one interface of the calling thread's network namespace.

    It receives frames of `protocol`, an EtherType in host byte order; 0 is for none. `options`
    are level, name and value for setsockopt(2). `subject` is what an error is about.
    Raises UnknownInterfaceError, or KernelError for all else.
    """
    # The protocol is told by bind(). A socket made with it would hear all interfaces until then.
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    try:
        for option in options:
            sock.setsockopt(*option)
        sock.bind((interface_name, protocol))
    except OSError as error:
        sock.close()
        raise refusal(subject, error.errno or 0) from error
    return sock
