"""The SSH connection that a process was started through.

The environment alone does not tell: sudo takes SSH_CONNECTION away, and tmux keeps that of a
connection long gone.  So the process's ancestors are asked, one after another, for the sockets of
the SSH server among them, and for the environment that each was started with.  What counts is what
is established now.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

from xdpctl.datapath.procnet import established
from xdpctl.rules.lifelines import Connection

_SERVERS = {"sshd", "sshd-session", "dropbear"}  # sshd-session: since OpenSSH 9.8

_ANCESTORS_MAX = 1024
_FILE_BYTES_MAX = 1 << 20
_DESCRIPTORS_MAX = 4096
_CONNECTIONS_MAX = 8

NamespaceId = tuple[int, int]
"""Device and inode of a network namespace, which tell it from any other."""


class SshConnection(NamedTuple):
    """A connection, and the namespace that its end here is in."""

    connection: Connection
    namespace: NamespaceId


class _Process(NamedTuple):
    pid: int
    name: str
    parent: int


def ssh_connections(pid: int | None = None, proc: str = "/proc") -> tuple[SshConnection, ...]:
    """The SSH connections that a process came through: one, or none. Several where it cannot be
    told which of its server's connections it is, since others are forwarded in it.

    Args:
        pid: of the process; None is this one.
        proc: where procfs is mounted.
    """
    places: dict[NamespaceId, str] = {}  # of each namespace the /proc/PID/net of some process
    held: dict[NamespaceId, set[int]] = {}  # inodes of the servers' sockets
    named: set[Connection] = set()
    for process in _ancestors(os.getpid() if pid is None else pid, proc):
        directory = f"{proc}/{process.pid}"
        with suppress(OSError):  # it has ended meanwhile
            namespace = namespace_id(f"{directory}/ns/net")
            places.setdefault(namespace, f"{directory}/net")
            if process.name in _SERVERS:
                held.setdefault(namespace, set()).update(_sockets(directory))
            else:
                named |= _named_in_environment(directory)
    return _alive(places, held, named) if held or named else ()


def namespace_id(path: str) -> NamespaceId:
    """Raises OSError."""
    found = os.stat(path)
    return found.st_dev, found.st_ino


def _alive(
    places: Mapping[NamespaceId, str],
    held: Mapping[NamespaceId, set[int]],
    named: set[Connection],
) -> tuple[SshConnection, ...]:
    """Those that are both, if there are such, or either."""
    both, either = [], []
    for namespace, net in places.items():
        inodes = held.get(namespace, set())
        for inode, connection in established(net):
            found = SshConnection(connection, namespace)
            if inode in inodes or connection in named:
                either.append(found)
                if inode in inodes and connection in named:
                    both.append(found)
    return tuple(dict.fromkeys(both or either))[:_CONNECTIONS_MAX]


def _ancestors(pid: int, proc: str) -> Iterator[_Process]:
    """The process itself, its parent, and so on up to the SSH server: who started that is another
    matter."""
    seen: set[int] = set()
    server = False
    while pid > 0 and pid not in seen and len(seen) < _ANCESTORS_MAX:
        seen.add(pid)
        process = _process(pid, proc)
        if process is None or (server and process.name not in _SERVERS):
            return
        server = process.name in _SERVERS
        yield process
        pid = process.parent


def _process(pid: int, proc: str) -> _Process | None:
    """By its `stat`: PID (NAME) STATE PARENT ...; the name may hold anything (proc(5))."""
    begin, found, rest = _read(f"{proc}/{pid}/stat").rpartition(b")")
    words = rest.split()
    if not found or len(words) < 2 or not words[1].isdigit():  # noqa: PLR2004 - state, parent
        return None
    name = begin.partition(b"(")[2].decode("utf-8", "replace")
    return _Process(pid, name, int(words[1]))


def _sockets(directory: str) -> set[int]:
    """The inodes of a process's sockets. Raises OSError."""
    found = set()
    with os.scandir(f"{directory}/fd") as descriptors:
        for each in islice(descriptors, _DESCRIPTORS_MAX):
            with suppress(OSError):  # closed meanwhile
                if match := re.fullmatch(r"socket:\[([0-9]{1,20})\]", os.readlink(each.path)):
                    found.add(int(match[1]))
    return found


def _named_in_environment(directory: str) -> set[Connection]:
    """What SSH_CONNECTION said when the process was started (ssh(1)): the client's address and
    port, the server's address and port."""
    found = set()
    for variable in _read(f"{directory}/environ").split(b"\0"):
        if variable.startswith(b"SSH_CONNECTION="):
            words = variable.partition(b"=")[2].decode("ascii", "replace").split()
            with suppress(ValueError, OSError):
                remote, remote_port, local, local_port = words
                found.add(
                    Connection(_address(remote), int(remote_port), _address(local), int(local_port))
                )
    return found


def _address(text: str) -> bytes:
    """Raises OSError."""
    plain = text.partition("%")[0]  # a link-local address has its interface behind
    return socket.inet_pton(socket.AF_INET6 if ":" in plain else socket.AF_INET, plain)


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(_FILE_BYTES_MAX)
    except OSError:
        return b""
