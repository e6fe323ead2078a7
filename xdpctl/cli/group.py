"""A command that is a group of commands: `xdpctl lab up`, `xdpctl rule list`."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from xdpctl.cli.base import common_options
from xdpctl.errors import WrongUsage


class CommandGroup(click.Group):
    """A group whose commands are the modules `GROUP_NAME`, imported when they are asked for."""

    def __init__(
        self,
        *arguments: Any,
        members: tuple[str, ...],
        foreign_verbs: Mapping[str, str],
        **settings: Any,
    ) -> None:
        """`members` are in the order of the help, `foreign_verbs` what others call them."""
        settings.setdefault("context_settings", {})["help_option_names"] = ["-h", "--help"]
        settings["invoke_without_command"] = True
        super().__init__(*arguments, **settings)
        self.members = members
        self._foreign_verbs = foreign_verbs
        self.params += common_options()

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.members)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.members:
            return None
        command: click.Command = import_module(f"xdpctl.cli.{self.name}_{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in self.members and not name.startswith("-"):
            from difflib import get_close_matches  # noqa: PLC0415 - for those who mistype

            known = get_close_matches(name.lower(), [*self.members, *self._foreign_verbs], n=1)
            hint = f"`xdpctl {self.name}` lists the commands"
            if known:
                right = self._foreign_verbs.get(known[0], known[0])
                hint = f"did you mean: xdpctl {self.name} {right}"
            raise WrongUsage(f"{self.name} {name}: no such command", hint=hint)
        return super().resolve_command(ctx, args)


def show_help(context: click.Context) -> None:
    """What a group does when it is called without a command."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
