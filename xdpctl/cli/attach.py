"""xdpctl attach"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import click

from xdpctl.cli.base import Command, Session, interface_argument, session_of, watch_option
from xdpctl.cli.documents import Document, heading, write_json
from xdpctl.cli.stats import show_intervals
from xdpctl.cli.text import local_time, printable
from xdpctl.cli.watching import stop_signals, watch
from xdpctl.datapath.hook import AttachResult, RequestedMode, attach, detach, mode_name
from xdpctl.datapath.interfaces import Interface, current_namespace, find_interface
from xdpctl.datapath.loading import MAX_BANS
from xdpctl.errors import ForeignProgram, NoSuchInterface, NotAttached, XdpctlError

if TYPE_CHECKING:
    from xdpctl.datapath.loading import Content

_MODES = {mode.name.lower(): mode for mode in RequestedMode} | {
    "native": RequestedMode.DRIVER,
    "drv": RequestedMode.DRIVER,
    "generic": RequestedMode.SKB,
}


class _ModeName(click.Choice[str]):
    """Shows our own names, understands those of other tools too."""

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return "[auto|driver|skb|hw]"


@click.command(
    cls=Command,
    name="attach",
    short_help="Attach the packet counter to interfaces.",
    examples=(
        "xdpctl attach eth0                  the best mode that the driver has",
        "xdpctl attach eth0 -S --watch 1     in SKB mode, with rates until Ctrl-C",
    ),
)
@interface_argument(several=True)
@click.option(
    "--mode",
    type=_ModeName(list(_MODES), case_sensitive=False),
    default="auto",
    show_default=True,
    help="Where the program runs: driver (also: native, drv), skb (generic), hw.",
)
@click.option("-N", "mode", flag_value="driver", help="Driver mode, as --mode driver.")
@click.option("-S", "mode", flag_value="skb", help="SKB mode, as --mode skb.")
@click.option("--rules", "file", metavar="FILE", help="Start with the rules of this file.")
@click.option(
    "--max-bans",
    type=click.IntRange(1, MAX_BANS),
    metavar="N",
    help="How many bans there can be  [default: 262144].",
)
@click.option(
    "--force",
    is_flag=True,
    help="Replace another program; change the mode of ours; take rules that lock you out.",
)
@watch_option("Show rates, and detach at the end (Ctrl-C).")
@click.pass_context
def command(
    context: click.Context,
    interfaces: tuple[str, ...],
    mode: str,
    file: str | None,
    max_bans: int | None,
    force: bool,
    watch_seconds: float | None,
) -> None:
    """Attach the packet counter to interfaces. It stays when this command has ended, and what it
    counts is there until it is detached. Of several interfaces all are attached, or none.

    Automatic mode takes driver mode, and SKB mode where the driver refuses. With --rules not one
    packet passes before the rules are there; they are refused as `apply` refuses them.
    """
    found = [find_interface(name) for name in dict.fromkeys(interfaces)]
    session = session_of(context)
    content: Content | None = None
    start: Document = {}
    if file is not None:
        content, start = _start_with(file, found, force, session)
    put = partial(
        attach,
        requested=_MODES[mode.lower()],
        force=force,
        content=content,
        max_bans=max_bans,
    )
    if watch_seconds is None:
        _report(_attach_all(found, put), session, start)
        return
    _attach_and_watch(found, put, watch_seconds, session, start)


def _start_with(
    file: str, interfaces: list[Interface], force: bool, session: Session
) -> tuple[Content, Document]:
    """What programs with the rules need, and what JSON says of starting with them."""
    import time  # noqa: PLC0415 - as all here, for --rules

    from xdpctl.cli.rules_output import (  # noqa: PLC0415
        print_ssh_note,
        print_warnings,
        ssh_document,
    )
    from xdpctl.datapath.contents import content_of  # noqa: PLC0415
    from xdpctl.datapath.lockout import check_ruleset, own_address_warnings  # noqa: PLC0415
    from xdpctl.rules.reading import read_ruleset  # noqa: PLC0415 - YAML

    reading = read_ruleset(file, time.time())
    print_warnings(reading.warnings)
    for interface in interfaces:
        print_warnings(own_address_warnings(interface, reading.ruleset, lambda: None))
    connections = None
    for interface in [] if force else interfaces:
        connections = check_ruleset(interface, lambda: None, reading.ruleset)
    if not session.json:
        print_ssh_note(connections)
    return content_of(reading.ruleset), ssh_document(connections)


Attached = list[tuple[Interface, AttachResult]]
Attach = Callable[[Interface], AttachResult]


def _attach_all(interfaces: list[Interface], put: Attach) -> Attached:
    """All of them or none: when one is refused, those attached before it are detached again."""
    done: Attached = []
    try:
        for interface in interfaces:
            done.append((interface, put(interface)))
    except XdpctlError:
        _detach_new(done)
        raise
    return done


def _detach_new(attached: Attached) -> None:
    """Detach what this command has attached, and leave what was there before."""
    for interface, result in reversed(attached):
        if not result.was_attached:
            with suppress(NotAttached, NoSuchInterface, ForeignProgram):
                detach(interface)


def _attach_and_watch(
    interfaces: list[Interface],
    put: Attach,
    seconds: float,
    session: Session,
    start: Document,
) -> None:
    with stop_signals() as stop:
        attached = _attach_all(interfaces, put)
        try:
            _report(attached, session, start)
            # Scrolls, as xdp1 does: what was said of attaching stays in sight.
            single = len(interfaces) == 1
            show = partial(show_intervals, json=session.json, single=single, redraw=False)
            watch(interfaces, seconds, stop, show)
        finally:
            _detach_new(attached)
    if not session.json:
        for interface, result in attached:
            end = "left attached, as it was before" if result.was_attached else "detached"
            click.echo(printable(f"{interface.name}: {end}"))


def _report(attached: Attached, session: Session, start: Document) -> None:
    if session.json:
        netns = current_namespace()
        write_json([_document(interface, netns, result) | start for interface, result in attached])
        return
    for interface, result in attached:
        click.echo(printable(f"{interface.name}: {_sentence(result)}"))


def _sentence(result: AttachResult) -> str:
    where = f"in {mode_name(result.mode)} mode, program id {result.program_id}"
    if result.was_attached:
        since = f" since {local_time(result.attached_at_ns)}" if result.attached_at_ns else ""
        return f"already attached {where}{since}"
    if result.fallback_reason:
        return f"attached {where}; driver mode was refused: {result.fallback_reason}"
    return f"attached {where}"


def _document(interface: Interface, netns: str | None, result: AttachResult) -> Document:
    return heading(interface, netns) | {
        "mode": mode_name(result.mode),
        "program_id": result.program_id,
        "was_attached": result.was_attached,
        "fallback_reason": result.fallback_reason,
    }
