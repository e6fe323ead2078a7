"""xdpctl lab up"""

from __future__ import annotations

import shutil
import signal
from typing import NoReturn

import click

from netns_lab import inventory, persistent, topology
from netns_lab.topology import Topology
from xdpctl.cli.base import session_of
from xdpctl.cli.documents import write_json
from xdpctl.cli.lab_command import LabCommand, lab_document, own_command, port_lines
from xdpctl.errors import WrongUsage
from xdpctl.labnames import LabHost, short_name

_INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command(
    cls=LabCommand,
    name="up",
    short_help="Make a lab.",
    examples=(
        "xdpctl lab up                       two hosts, a and b, and a cable",
        "xdpctl lab up bridge --hosts 5      five hosts on a switch",
    ),
)
@click.argument("what", metavar="[pair|bridge|routed|FILE]", default="pair", type=click.Path())
@click.option("--name", metavar="NAME", help="The lab's name [default: pair, bridge, ...].")
@click.option("--hosts", metavar="N", type=int, help="How many hosts on the bridge [default: 3].")
@click.option("--chatty", is_flag=True, help="Let the kernel send ARP and the like of its own.")
@click.pass_context
def command(
    context: click.Context, what: str, name: str | None, hosts: int | None, chatty: bool
) -> None:
    """Make a lab, which stays until `xdpctl lab down`: a pair of hosts (a, b); several hosts
    on a bridge; two networks with a router between them; or what a YAML file says, of which
    README.md has an example. Each host's first interface is eth0.

    Unless --chatty is given, links are quiet: nothing is sent but what programs send, so that
    counts are exact.
    """
    for number in _INTERRUPTIONS:
        signal.signal(number, _interrupt)
    default_name, plan = _plan(what, hosts, chatty)
    lab = name or default_name
    persistent.up(lab, plan)
    try:
        states = inventory.survey(lab)
    except BaseException:  # nobody would have been told of it
        persistent.down(lab)
        raise
    commands = _to_try(lab, plan)
    if session_of(context).json:
        write_json(lab_document(lab, states) | {"try": commands})
        return
    click.echo(f"lab {lab}: {_sentence(plan)}")
    for state in states:
        for port in state.ports:
            click.echo(port_lines(state.host.host, port, port.interface.addresses))
    click.echo("try:")
    for each in commands:
        click.echo(f"  {each}")


def _interrupt(*_: object) -> NoReturn:
    """As a Ctrl-C, once: a second one would leave what the first has begun to clear away."""
    for number in _INTERRUPTIONS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _plan(what: str, hosts: int | None, chatty: bool) -> tuple[str, Topology]:
    """The lab's own name, and what it is to be."""
    if hosts is not None and what != "bridge":
        raise WrongUsage("--hosts is for a bridge", hint="xdpctl lab up bridge --hosts N")
    if what == "bridge":
        plan = topology.bridge(topology.DEFAULT_HOSTS if hosts is None else hosts)
        name = what
    elif what in topology.BUILT_IN:
        name, plan = what, topology.BUILT_IN[what]()
    else:
        name, plan = _load(what)
    return name, Topology(plan.hosts, plan.links, quiet=plan.quiet and not chatty)


def _load(path: str) -> tuple[str, Topology]:
    from netns_lab.topology_file import load  # noqa: PLC0415 - YAML, for files

    try:
        return load(path)
    except FileNotFoundError:
        raise WrongUsage(
            f"{path}: no such file", hint="pair, bridge and routed need none"
        ) from None
    except OSError as error:
        raise WrongUsage(f"{path}: {error.strerror}") from error


def _sentence(plan: Topology) -> str:
    hosts, links = (
        f"{len(each)} {name}{'' if len(each) == 1 else 's'}"
        for each, name in ((plan.hosts, "host"), (plan.links, "link"))
    )
    return f"{hosts}, {links}{', quiet' if plan.quiet else ''}"


def _to_try(lab: str, plan: Topology) -> list[str]:
    """Three commands that work as they stand: count on one host what another sends."""
    xdpctl = own_command()
    talk = topology.conversation(plan)
    if talk is None:
        host = short_name(LabHost(lab, plan.hosts[0].name))
        return [f"{xdpctl} lab {words}" for words in (f"shell {host}", "list", f"down {lab}")]
    target, source = (short_name(LabHost(lab, each)) for each in (talk.to.host, talk.sender))
    if shutil.which("ping"):
        words = f"ping -c 3 {talk.address}"
    else:  # udp, to the port that discards
        words = f"bash -c 'echo hello > /dev/udp/{talk.address}/9'"
    return [
        f"{xdpctl} attach {target}:{talk.to.interface}",
        f"{xdpctl} lab exec {source} -- {words}",
        f"{xdpctl} stats {target}:{talk.to.interface}",
    ]
