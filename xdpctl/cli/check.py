"""xdpctl check"""

from __future__ import annotations

import time

import click

from xdpctl.cli.base import Command, session_of
from xdpctl.cli.documents import write_json
from xdpctl.cli.rules_output import (
    file_argument,
    print_warnings,
    ruleset_document,
    summary,
    warning_documents,
)
from xdpctl.cli.text import counted, printable, si


@click.command(
    cls=Command,
    name="check",
    short_help="Say what is wrong with a rules file.",
    examples=(
        "xdpctl check edge.yaml              every mistake, by line and column",
        "xdpctl check - < edge.yaml          from standard input",
    ),
)
@file_argument()
@click.pass_context
def command(context: click.Context, file: str) -> None:
    """Read a rules file and the lists that it names, and compile it, without an interface and
    without privileges. Whatever is wrong is told at once, by line and column.
    """
    from xdpctl.rules.compiler import compile_ruleset  # noqa: PLC0415 - NumPy
    from xdpctl.rules.reading import read_ruleset  # noqa: PLC0415 - YAML

    reading = read_ruleset(file, time.time())
    compiled = compile_ruleset(reading.ruleset)
    if session_of(context).json:
        document = ruleset_document(reading.ruleset) | {"table_bytes": compiled.table_bytes}
        write_json(document | {"warnings": warning_documents(reading.warnings)})
        return
    print_warnings(reading.warnings)
    click.echo(printable(summary(reading.ruleset)))
    for each in reading.ruleset.sets:
        source = each.source or "the file itself"
        click.echo(printable(f"set {each.name}: {counted(each.prefixes, 'prefix')} from {source}"))
    click.echo(f"tables: {si(compiled.table_bytes, 'B')}")
