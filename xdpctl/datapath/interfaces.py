"""Interfaces and the network namespaces that they live in."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from xdpctl.datapath.kernel import sudo_command
from xdpctl.errors import MissingPrivilege, NoSuchInterface, NoSuchNamespace
from xdpctl.pylibbpf import netns

# The namespace as the user named it, for the commands that hints show.
_chosen_namespace: ContextVar[str | None] = ContextVar("chosen_namespace", default=None)

_NETNS_DIRECTORY = "/run/netns"  # where `ip netns` keeps names (ip-netns(8))


class Interface(NamedTuple):
    """An interface of the calling thread's network namespace. The index stays its own when it is
    renamed, and is what everything below works with."""

    name: str
    ifindex: int


def find_interface(name: str) -> Interface:
    """The interface of that name or alternative name. Raises NoSuchInterface."""
    try:
        ifindex = socket.if_nametoindex(name)
        return Interface(socket.if_indextoname(ifindex), ifindex)
    except (OSError, ValueError):
        from difflib import get_close_matches  # noqa: PLC0415 - for those who mistype

        near = get_close_matches(name, [each.name for each in all_interfaces()], n=1)
        hint = f"did you mean {near[0]}?" if near else "`ip link` lists them"
        raise NoSuchInterface(name, hint) from None


def all_interfaces() -> list[Interface]:
    """All interfaces of the namespace, by index."""
    return [Interface(name, ifindex) for ifindex, name in sorted(socket.if_nameindex())]


def current_name(ifindex: int, last_name: str) -> str:
    """What the interface is called now. Raises NoSuchInterface, by its last name."""
    try:
        return socket.if_indextoname(ifindex)
    except OSError:
        raise NoSuchInterface(last_name) from None


@contextmanager
def inside_namespace(name: str | None) -> Iterator[None]:
    """Work in a named network namespace, or one given by a path such as /proc/PID/ns/net; None is
    the one we are in. Raises NoSuchNamespace, MissingPrivilege."""
    if name is None:
        yield
        return
    path = name if "/" in name else os.path.join(_NETNS_DIRECTORY, name)
    # Entered by hand, so that an OSError of the caller's body is not taken for one of ours.
    namespace = netns.entered(path)
    try:
        namespace.__enter__()
    except PermissionError:
        raise MissingPrivilege(
            f"{name}: entering a network namespace needs CAP_SYS_ADMIN",
            hint=f"run: {sudo_command()}",
        ) from None
    except OSError as error:
        names = ", ".join(namespace_names()) or "none"
        reasons = {errno.ENOENT: "no such network namespace", errno.EINVAL: "no network namespace"}
        reason = reasons.get(error.errno or 0, error.strerror)
        raise NoSuchNamespace(f"{name}: {reason}", hint=f"named namespaces: {names}") from None
    token = _chosen_namespace.set(name)
    try:
        yield
    finally:
        _chosen_namespace.reset(token)
        namespace.__exit__(None, None, None)


def command_line(*words: str) -> str:
    """A command of ours that acts in the namespace that the user has chosen, to be shown."""
    import shlex  # noqa: PLC0415 - for hints

    namespace = _chosen_namespace.get()
    chosen = ["--netns", namespace] if namespace else []
    return shlex.join(["xdpctl", *words, *chosen])


def namespace_names() -> list[str]:
    """The names under which `ip netns` knows namespaces."""
    try:
        return sorted(os.listdir(_NETNS_DIRECTORY))
    except OSError:
        return []


def current_namespace() -> str | None:
    """The name of the calling thread's namespace; None where it has none, as the first one has."""
    mine = os.stat("/proc/thread-self/ns/net")
    for name in namespace_names():
        try:
            other = os.stat(os.path.join(_NETNS_DIRECTORY, name))
        except OSError:
            continue  # deleted meanwhile
        if (other.st_dev, other.st_ino) == (mine.st_dev, mine.st_ino):
            return name
    return None
