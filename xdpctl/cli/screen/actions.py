"""What can be done about a row, as the command that does it."""

from __future__ import annotations

import asyncio
import shlex
import sys
from collections.abc import Callable
from typing import NamedTuple

from xdpctl.cli.text import printable
from xdpctl.datapath.ban_entries import parse_ban
from xdpctl.datapath.interfaces import command_line
from xdpctl.observe.history import Line
from xdpctl.observe.monitor import SUM
from xdpctl.observe.reading import DEFAULT_KEY, Table
from xdpctl.protocols import KEYWORDS
from xdpctl.rules.values import BadValue

# Rows of protocols that are no IP protocols, as a rule says them.
_ETHERTYPES = {"arp": "arp", "lldp": "0x88cc"}
_BANNED_FOR = "10m"
_PATIENCE_S = 60


class Proposal(NamedTuple):
    """A command to be confirmed, or why there is none.

    Attributes:
        command: as a shell would take it; empty where there is none.
        text: what it does, or why there is none.
    """

    command: str
    text: str


def propose(table: Table | None, line: Line | None, interface: str | None) -> Proposal:
    """What to do about a row of an interface; None is no interface in particular."""
    proposal_of = _PROPOSALS.get(table) if table is not None else None
    if line is None or proposal_of is None:
        return Proposal(
            "", "choose a protocol or port to drop, a rule to delete, a source to ban or unban"
        )
    if interface is None:
        return Proposal("", f"{SUM} are several interfaces: choose one with left or right")
    if interface.startswith("-"):
        return Proposal("", "an interface of such a name has to be dealt with by hand")
    return proposal_of(line, interface)


def _delete(line: Line, interface: str) -> Proposal:
    if line.key == DEFAULT_KEY or not line.present or line.about is None:
        return Proposal("", f"{printable(line.key)}: there is no such rule to be deleted")
    command = command_line("rule", "delete", interface, line.key)
    return Proposal(command, f"Delete rule {printable(line.key)} on {printable(interface)}?")


def _drop(line: Line, interface: str) -> Proposal:
    if line.key in _ETHERTYPES:
        option, value = "--ethertype", _ETHERTYPES[line.key]
    elif line.key in KEYWORDS.values() or line.key.isdecimal():
        option, value = "--proto", line.key
    else:
        return Proposal("", f"{printable(line.key)}: no rule can say that in one condition")
    command = command_line("rule", "add", interface, "drop", option, value)
    return Proposal(command, f"Drop {line.key} on {printable(interface)}?")


def _unban(line: Line, interface: str) -> Proposal:
    """Or to ban it again, where the ban has ended."""
    if not line.present:
        return _ban(line, interface)
    command = command_line("unban", interface, line.key)
    return Proposal(command, f"End the ban of {line.key} on {printable(interface)}?")


def _ban(line: Line, interface: str) -> Proposal:
    """Of a row whose key is an address or a prefix."""
    try:
        prefix = parse_ban(line.key)
    except BadValue:
        return Proposal("", f"{printable(line.key)}: no address that can be banned")
    command = command_line("ban", interface, str(prefix), "--for", _BANNED_FOR)
    return Proposal(command, f"Ban {prefix} on {printable(interface)} for {_BANNED_FOR}?")


def _drop_destination(line: Line, interface: str) -> Proposal:
    try:
        prefix = parse_ban(line.key)
    except BadValue:
        return Proposal("", f"{printable(line.key)}: no address")
    command = command_line("rule", "add", interface, "drop", "--dst", line.key)
    return Proposal(command, f"Drop what goes to {prefix} on {printable(interface)}?")


def _drop_port(line: Line, interface: str) -> Proposal:
    protocol, _, port = line.key.partition("/")
    if not port:
        return _drop(line, interface)
    command = command_line("rule", "add", interface, "drop", "--proto", protocol, "--dport", port)
    return Proposal(command, f"Drop {line.key} on {printable(interface)}?")


_PROPOSALS: dict[Table, Callable[[Line, str], Proposal]] = {
    Table.PROTOCOLS: _drop,
    Table.RULES: _delete,
    Table.BANS: _unban,
    Table.SOURCES: _ban,
    Table.DESTINATIONS: _drop_destination,
    Table.PORTS: _drop_port,
}


async def run(command: str) -> str:
    """Run a command of `propose` as a process of its own; returns the last line that it says."""
    # -P: whatever lies in the working directory is not to be imported.
    words = [sys.executable, "-P", "-m", "xdpctl", *shlex.split(command)[1:]]
    process = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _PATIENCE_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        return f"{command}: no answer for {_PATIENCE_S} s, ended"
    said = output.decode(errors="replace").strip().splitlines()
    if process.returncode:
        return printable("; ".join(said) or f"exit code {process.returncode}")
    return printable(said[-1] if said else "done")
