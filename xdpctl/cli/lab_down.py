"""xdpctl lab down"""

from __future__ import annotations

import click

from netns_lab import persistent
from netns_lab.errors import LabBusyError, LabError, UnknownLabError
from netns_lab.namespace import require_privileges
from xdpctl.cli.base import session_of
from xdpctl.cli.documents import Document, write_json
from xdpctl.cli.lab_command import LabCommand
from xdpctl.cli.lab_names import LabName
from xdpctl.cli.text import printable
from xdpctl.errors import WrongUsage


@click.command(
    cls=LabCommand,
    name="down",
    short_help="Take a lab away again.",
    examples=(
        "xdpctl lab down                     the only lab that is up",
        "xdpctl lab down --all --kill        every lab, and what runs in it",
    ),
)
@click.argument("lab", metavar="[NAME]", required=False, type=LabName())
@click.option("--all", "everything", is_flag=True, help="Every lab, even half-made ones.")
@click.option("--kill", is_flag=True, help="End the processes that run on its hosts.")
@click.pass_context
def command(context: click.Context, lab: str | None, everything: bool, kill: bool) -> None:
    """Take a lab away again: its links, what is attached to them, and its hosts. Without a name
    it is the only lab that is up.

    A lab on whose hosts processes run is left as it is, and they are named; --kill ends them.
    """
    if lab is not None and everything:
        raise WrongUsage("name a lab, or say --all", hint="xdpctl lab down --help")
    require_privileges()
    documents: list[Document] = []
    failures: list[LabError] = []
    for each in persistent.labs() if everything else [_one(lab)]:
        try:
            done = persistent.down(each, end_processes=kill)
        except LabError as error:
            failures.append(error)  # the others go all the same
            continue
        documents.append(
            {
                "lab": done.lab,
                "hosts": [host.host for host in done.hosts],
                "ended": [{"pid": one.pid, "command": one.command} for one in done.ended],
            }
        )
        if not session_of(context).json:
            ended = f"; ended {', '.join(map(str, done.ended))}" if done.ended else ""
            click.echo(printable(f"lab {done.lab}: down{ended}"))
    if session_of(context).json:
        if documents or not failures:
            write_json(documents)
    elif everything and not documents and not failures:
        click.echo("no lab is up")
    if len(failures) == 1:
        raise failures[0]
    if failures:
        busy = any(isinstance(each, LabBusyError) for each in failures)
        raise (LabBusyError if busy else LabError)("\n".join(map(str, failures)))


def _one(lab: str | None) -> str:
    if lab is not None:
        return lab
    labs = persistent.labs()
    if not labs:
        raise UnknownLabError("no lab is up")
    if len(labs) > 1:
        raise WrongUsage(f"several labs are up: {', '.join(labs)}", hint="name one, or say --all")
    return labs[0]
