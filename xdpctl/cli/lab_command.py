"""What the commands of `xdpctl lab` share: a lab's errors as ours, labs as documents."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from netns_lab.errors import (
    InsideLabError,
    InvalidValueError,
    LabBusyError,
    LabError,
    NameInUseError,
    PrivilegeError,
    UnclearDestinationError,
    UnknownInterfaceError,
    UnknownLabError,
)
from xdpctl.cli.base import Command
from xdpctl.cli.documents import Document
from xdpctl.cli.text import printable
from xdpctl.datapath.kernel import sudo_command
from xdpctl.errors import MissingPrivilege, WrongUsage, XdpctlError
from xdpctl.labnames import lab_hosts

if TYPE_CHECKING:
    from netns_lab.inventory import HostState, Port

_WIDTH = 80


class LabCommand(Command):
    """A command that tells what a lab refuses as xdpctl does."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except LabError as error:
            raise _explained(error) from error


def _explained(error: LabError) -> XdpctlError:
    message = str(error)
    match error:
        case PrivilegeError():
            return MissingPrivilege(message, hint=f"run: {sudo_command()}")
        case UnclearDestinationError():
            return WrongUsage(message, hint="--to HOST")
        case InvalidValueError():
            return WrongUsage(message)
        case NameInUseError():
            return XdpctlError(message, hint="another --name, or take it down: xdpctl lab down")
        case LabBusyError():
            return XdpctlError(message, hint="end it, or let `xdpctl lab down --kill` do so")
        case InsideLabError():
            return XdpctlError(message, hint="leave its shell first: exit")
        case UnknownLabError():
            known = ", ".join(sorted({each.lab for each in lab_hosts()}))
            return XdpctlError(message, hint=f"labs: {known}" if known else "no lab is up")
        case UnknownInterfaceError():
            return XdpctlError(message, hint="`xdpctl lab list` shows the interfaces")
    return XdpctlError(message)


def lab_document(lab: str, hosts: list[HostState]) -> Document:
    """A lab as JSON."""
    return {"lab": lab, "hosts": [_host_document(each) for each in hosts]}


def _host_document(state: HostState) -> Document:
    return {
        "host": state.host.host,
        "netns": state.host.netns,
        "alive": state.alive,
        "interfaces": [
            {
                "interface": port.interface.name,
                "ifindex": port.interface.index,
                "mac": port.interface.mac,
                "mtu": port.interface.mtu,
                "rx_queues": port.interface.rx_queues,
                "tx_queues": port.interface.tx_queues,
                "up": port.interface.up,
                "carrier": port.interface.carrier,
                "addresses": list(port.interface.addresses),
                "peer": port.peer,
                "bridge": port.bridge,
            }
            for port in state.ports
        ],
        "processes": [{"pid": each.pid, "command": each.command} for each in state.processes],
    }


def port_lines(host: str, port: Port, what: Sequence[str]) -> str:
    """An interface of a host, what is to be said of it, and where its cable leads."""
    leads = f"  - {port.peer}" if port.peer else ""
    silent = "" if port.interface.carrier else "  (down)"
    place = f"{host}:{port.interface.name}"
    return wrapped(f"{place:<18} {' '.join(what) or '-':<34}{leads}{silent}")


def wrapped(line: str) -> str:
    """In 80 columns, indented; what fits is in columns of its own."""
    filled = textwrap.fill(
        printable(line.rstrip()).replace(" - ", " -\0"),  # not to be parted from what follows
        width=_WIDTH,
        initial_indent="  ",
        subsequent_indent=" " * 21,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return filled.replace("\0", " ")


def own_command() -> str:
    """How to call this program again from the shell that called it."""
    script = os.path.abspath(sys.argv[0])
    found = shutil.which("xdpctl")
    if found and os.path.realpath(found) == os.path.realpath(script):
        program = ["xdpctl"]
    elif script.endswith(".py"):
        program = [sys.executable, "-m", "xdpctl"]
    else:
        program = [script]
    return shlex.join([*(["sudo"] if "SUDO_USER" in os.environ else []), *program])
