"""xdpctl lab: the group of its commands."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from xdpctl.cli.base import common_options, paragraph
from xdpctl.errors import WrongUsage

# In the order of the help; the module `lab_NAME` holds each.
COMMANDS = ("up", "down", "list", "exec", "shell", "send", "capture")

_FOREIGN_VERBS = {
    "add": "up",
    "create": "up",
    "delete": "down",
    "destroy": "down",
    "dump": "capture",
    "flood": "send",
    "generate": "send",
    "ls": "list",
    "replay": "send",
    "rm": "down",
    "run": "exec",
    "show": "list",
    "start": "up",
    "status": "list",
    "stop": "down",
    "tcpdump": "capture",
}


class _Lab(click.Group):
    """A command's module is imported when the command is asked for."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.params += common_options()

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"xdpctl.cli.lab_{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            from difflib import get_close_matches  # noqa: PLC0415 - for those who mistype

            known = get_close_matches(name.lower(), [*COMMANDS, *_FOREIGN_VERBS], n=1)
            hint = "`xdpctl lab` lists the commands"
            if known:
                hint = f"did you mean: xdpctl lab {_FOREIGN_VERBS.get(known[0], known[0])}"
            raise WrongUsage(f"lab {name}: no such command", hint=hint)
        return super().resolve_command(ctx, args)


@click.group(
    cls=_Lab,
    name="lab",
    short_help="Networks of namespaces to try things in.",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=paragraph(
        "Examples:",
        "xdpctl lab up                       two hosts, a and b, and a cable",
        "xdpctl lab shell a                  a shell on host a",
    ),
)
@click.pass_context
def command(context: click.Context) -> None:
    """Networks to try things in: hosts that are network namespaces of this machine, joined by
    cables of their own. Nothing of them touches the machine's network. They stay until
    they are taken down.

    Everywhere else an interface of a lab is HOST:IFACE, as in `xdpctl stats a:eth0`, and a host
    that several labs have is LAB/HOST.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
