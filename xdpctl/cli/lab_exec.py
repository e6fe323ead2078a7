"""xdpctl lab exec"""

from __future__ import annotations

import os
import shutil
import signal
from typing import NoReturn

import click

from netns_lab.errors import ToolMissingError
from netns_lab.namespace import require_privileges
from xdpctl.cli.lab_command import LabCommand
from xdpctl.cli.lab_names import HostName
from xdpctl.errors import NoSuchProgram, NotExecutable, WrongUsage
from xdpctl.labnames import LabHost


@click.command(
    cls=LabCommand,
    name="exec",
    short_help="Run a command on a host.",
    context_settings={"allow_interspersed_args": False},
    examples=(
        "xdpctl lab exec a -- ip address",
        "xdpctl lab exec b -- ip neighbour",
    ),
)
@click.argument("host", metavar="HOST", type=HostName())
@click.argument("words", metavar="-- CMD...", nargs=-1, required=True, type=click.UNPROCESSED)
def command(host: LabHost, words: tuple[str, ...]) -> None:
    """Run a command on a host of a lab. It takes the place of xdpctl: its exit status is the
    command's; 127 when there is no such command, 126 when it is no program. It sees the host's
    network, and this machine's files.
    """
    # Click leaves the dashes where they are, since options after HOST are the command's already.
    words = words[1:] if words[0] == "--" else words
    if not words:
        raise WrongUsage("Missing argument 'CMD...'", hint="xdpctl lab exec --help")
    become(host, words, dict(os.environ))


def become(host: LabHost, words: tuple[str, ...], environment: dict[str, str]) -> NoReturn:
    """Replace this process. `ip netns exec` does it: with the host's /sys, and /etc/netns."""
    require_privileges()
    ip = shutil.which("ip")
    if ip is None:
        raise ToolMissingError("ip: not found on PATH; it comes with iproute2")
    if shutil.which(words[0]) is None:
        if os.path.isdir(words[0]) and "/" in words[0]:
            raise NotExecutable(f"{words[0]}: is a directory")
        if shutil.which(words[0], mode=os.F_OK):
            raise NotExecutable(f"{words[0]}: is not executable")
        raise NoSuchProgram(f"{words[0]}: no such command")
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them; a program wants them
        signal.signal(number, signal.SIG_DFL)
    os.execve(ip, ["ip", "netns", "exec", host.netns, *words], environment)
