"""Hosts of labs and their interfaces, as a person names them: HOST, LAB/HOST, HOST:IFACE.

Where only one lab has a host of a name, the name is enough.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from xdpctl.datapath.interfaces import all_interfaces, inside_namespace
from xdpctl.errors import NoSuchNamespace, WrongUsage, XdpctlError
from xdpctl.labnames import LabHost, has_namespace, lab_hosts, matching, short_name

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


def find_host(text: str) -> LabHost:
    """A host with a namespace. Raises NoSuchNamespace; WrongUsage where several labs have one."""
    found = matching(text)
    if not found:
        known = ", ".join(map(short_name, lab_hosts()))
        hint = f"hosts: {known}" if known else "`xdpctl lab up` makes a lab"
        raise NoSuchNamespace(f"{text}: no lab has such a host", hint=hint)
    if len(found) > 1:
        raise WrongUsage(f"{text}: in several labs: {', '.join(map(str, found))}")
    if not has_namespace(found[0]):
        hint = f"clear the lab away: xdpctl lab down {found[0].lab}"
        raise NoSuchNamespace(f"{found[0]}: has no network namespace", hint=hint)
    return found[0]


def find_beside(host: LabHost, text: str) -> LabHost:
    """Another host of the same lab, as the host calls it. Raises as `find_host()`; WrongUsage for
    one of another lab, as labs do not meet, and for the host itself."""
    found = find_host(text if "/" in text else f"{host.lab}/{text}")
    if found.lab != host.lab:
        raise WrongUsage(f"{found}: not in the lab of {host}")
    if found == host:
        raise WrongUsage(f"{found}: the sender itself")
    return found


def in_one_namespace(
    words: Sequence[str], chosen: str | None
) -> tuple[str | None, tuple[str, ...]]:
    """The namespace that all of `IFACE` and `HOST:IFACE` lie in, and the bare interfaces.

    `chosen` is that of an IFACE. Raises NoSuchNamespace, WrongUsage.
    """
    places: set[str | None] = {chosen} if chosen else set()
    names = []
    for word in words:
        host, colon, name = word.rpartition(":")
        if colon and not (host and name):
            raise WrongUsage(f"{word}: an interface of a lab is HOST:IFACE, as in a:eth0")
        places.add(find_host(host).netns if colon else chosen)
        names.append(name)
    if len(places) > 1:
        where = f"with --netns {chosen}" if chosen else "of one command"
        raise WrongUsage(
            f"{', '.join(words)}: the interfaces {where} must lie in one network namespace",
            hint="one command for each host",
        )
    return places.pop(), tuple(names)


def all_ports() -> list[str]:
    """HOST:IFACE of all labs, but for `lo`; none without the privilege to look."""
    found = []
    for host in lab_hosts():
        try:
            with inside_namespace(host.netns):
                names = [each.name for each in all_interfaces() if each.name != "lo"]
        except XdpctlError:
            continue
        found += [f"{short_name(host)}:{name}" for name in names]
    return found


def complete_beside(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """The hosts of all labs as they call each other: of a command that ends with an option, click
    keeps no arguments that would tell which lab."""
    from click.shell_completion import CompletionItem  # noqa: PLC0415 - for shells

    names = sorted({each.host for each in lab_hosts()})
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


class HostName(click.ParamType[LabHost]):
    """A host of a lab that is up."""

    name = "host"

    def convert(
        self, value: str | LabHost, param: click.Parameter | None, ctx: click.Context | None
    ) -> LabHost:
        return value if isinstance(value, LabHost) else find_host(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - for shells

        names = map(short_name, lab_hosts())
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


class LabName(click.ParamType[str]):
    """A lab that is up."""

    name = "lab"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - for shells

        names = sorted({each.lab for each in lab_hosts()})
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]
