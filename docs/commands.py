"""Writes README.md's table of commands from the commands themselves: `make docs`."""

from __future__ import annotations

from pathlib import Path

import click

from xdpctl.cli.base import COMMANDS
from xdpctl.cli.main import xdpctl
from xdpctl.rules.fields import FIELDS

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- commands: written by `make docs` -->\n", "<!-- end of commands -->"


def table() -> str:
    """The commands, their arguments and options, as a Markdown table."""
    context = click.Context(xdpctl, info_name="xdpctl")
    lines = ["| command | what it does |", "| --- | --- |"]
    for names in COMMANDS.values():
        for name in names:
            command = xdpctl.get_command(context, name)
            assert command is not None
            lines += _rows(["xdpctl", name], command, context)
    return "\n".join(lines) + "\n"


def _rows(path: list[str], command: click.Command, context: click.Context) -> list[str]:
    """The row of a command, or of each command of a group."""
    if isinstance(command, click.Group):
        rows = []
        for name in command.list_commands(context):
            member = command.get_command(context, name)
            assert member is not None
            rows += _rows([*path, name], member, context)
        return rows
    words = [part for each in command.params for part in _usage(each)]
    words = _with_fields_as_one(words, command)
    usage = " ".join([*path, *words]).replace("|", "\\|")
    return [f"| `{usage}` | {command.get_short_help_str(100)} |"]


def _usage(parameter: click.Parameter) -> list[str]:
    """How a parameter is written; options that every command has are told once, above the table."""
    context = click.Context(xdpctl)
    if isinstance(parameter, click.Argument):
        return [parameter.make_metavar(context)]
    if not isinstance(parameter, click.Option) or not parameter.expose_value or parameter.is_eager:
        return []
    longest = max(parameter.opts, key=len)
    if parameter.is_flag or len(longest) == len("-N"):
        return [f"[{longest}]"]
    usage = f"{longest} {parameter.make_metavar(context)}"
    return [usage if parameter.required else f"[{usage}]"]


def _with_fields_as_one(words: list[str], command: click.Command) -> list[str]:
    """A command that has an option for each field of a rule names them once, where the first is."""
    options = [each for each in command.params if each.name in FIELDS]
    if len(options) < len(FIELDS):
        return words
    fields = [part for each in options for part in _usage(each)]
    first = words.index(fields[0])
    return [*words[:first], "[FIELD...]", *(each for each in words[first:] if each not in fields)]


def with_table(readme: str) -> str:
    """The text of README.md with its table as it has to be."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    README.write_text(with_table(README.read_text(encoding="utf-8")), encoding="utf-8")
