"""xdpctl check"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from xdpctl.cli.base import Command, session_of
from xdpctl.cli.documents import Document, write_json
from xdpctl.cli.text import printable, si

if TYPE_CHECKING:
    from xdpctl.rules.compiler import Compiled
    from xdpctl.rules.model import NamedSet, Ruleset
    from xdpctl.rules.reading import Reading


@click.command(
    cls=Command,
    name="check",
    short_help="Say what is wrong with a rules file.",
    examples=(
        "xdpctl check edge.yaml              every mistake, by line and column",
        "xdpctl check - < edge.yaml          from standard input",
    ),
)
@click.argument("file", metavar="FILE")
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
        write_json(_document(reading, compiled))
        return
    for warning in reading.warnings:
        click.echo(printable(f"warning: {warning}"), err=True)
    click.echo(printable(_summary(reading.ruleset, compiled)))


def _document(reading: Reading, compiled: Compiled) -> Document:
    from xdpctl.rules.canonical import digest_of  # noqa: PLC0415

    ruleset = reading.ruleset
    return {
        "ruleset": ruleset.name,
        "digest": digest_of(ruleset),
        "rules": len(ruleset.rules),
        "default": str(ruleset.default),
        "malformed": str(ruleset.malformed),
        "sets": [_set_document(each) for each in ruleset.sets],
        "table_bytes": compiled.table_bytes,
        "warnings": [
            {"file": each.path, "line": each.line, "column": each.column, "text": each.text}
            for each in reading.warnings
        ],
    }


def _set_document(named: NamedSet) -> Document:
    return {"name": named.name, "prefixes": named.prefixes, "source": named.source}


def _summary(ruleset: Ruleset, compiled: Compiled) -> str:
    rules = f"{len(ruleset.rules):,} rule{'' if len(ruleset.rules) == 1 else 's'}"
    lines = [
        f"{ruleset.name}: {rules}, default {ruleset.default}, malformed {ruleset.malformed}",
        *(
            f"set {each.name}: {each.prefixes:,} prefixes from {each.source or 'the file itself'}"
            for each in ruleset.sets
        ),
        f"tables: {si(compiled.table_bytes, 'B')}",
    ]
    return "\n".join(lines)
