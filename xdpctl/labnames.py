"""How the hosts of labs are called. The kernel's names are the only record that there is.

A host is a named network namespace, `/run/netns/xdpctl-lab.LAB.HOST`; the prefix marks it as a
lab's. A person writes `HOST`, or `LAB/HOST`, and `HOST:IFACE` for an interface: no interface's name
holds a colon. The command line and the lab both read this, so it loads nothing.
"""

from __future__ import annotations

import fcntl
import os
import re
from typing import NamedTuple

DIRECTORY = "/run/netns"  # where `ip netns` keeps names (ip-netns(8))
PREFIX = "xdpctl-lab."

_NAME = "[A-Za-z0-9][A-Za-z0-9_-]{0,30}"
_NAMESPACE = re.compile(rf"{re.escape(PREFIX)}({_NAME})\.({_NAME})", re.ASCII)

_NS_GET_NSTYPE = 0xB703  # linux/nsfs.h
_CLONE_NEWNET = 0x40000000  # linux/sched.h

NAME_RULE = "up to 31 letters, digits, - and _"


class LabHost(NamedTuple):
    """A host of a lab."""

    lab: str
    host: str

    @property
    def netns(self) -> str:
        """The name of its network namespace."""
        return f"{PREFIX}{self.lab}.{self.host}"

    @property
    def path(self) -> str:
        """Its network namespace as a file."""
        return os.path.join(DIRECTORY, self.netns)

    def __str__(self) -> str:
        return f"{self.lab}/{self.host}"


def is_name(text: str) -> bool:
    """Whether a lab or a host may be called so; nothing else ever becomes part of a path."""
    return re.fullmatch(_NAME, text, re.ASCII) is not None


def lab_hosts() -> list[LabHost]:
    """The hosts of all labs, by lab and host."""
    try:
        names = os.listdir(DIRECTORY)
    except OSError:
        return []
    return sorted(LabHost(*match.groups()) for match in map(_NAMESPACE.fullmatch, names) if match)


def has_namespace(host: LabHost) -> bool:
    """Whether a network namespace is bound to the host's file. An early death of `lab up` leaves it
    bare; whatever else has such a name, a link to a namespace too, is none of ours."""
    try:
        file = os.open(host.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return fcntl.ioctl(file, _NS_GET_NSTYPE) == _CLONE_NEWNET
    except OSError:
        return False
    finally:
        os.close(file)


def matching(text: str) -> list[LabHost]:
    """The hosts that `HOST` or `LAB/HOST` may mean."""
    return [each for each in lab_hosts() if text in (each.host, str(each))]


def short_name(host: LabHost) -> str:
    """The shortest name that means this host alone: `HOST` where no other lab has one."""
    return host.host if matching(host.host) == [host] else str(host)
