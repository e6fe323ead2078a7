"""By which rules packets are judged: those of a file, those of an interface, or none."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from xdpctl.cli.base import InterfaceName
from xdpctl.errors import WrongUsage
from xdpctl.rules.inputs import STDIN

if TYPE_CHECKING:
    from xdpctl.replay import Replay


def by_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--rules` and `--on`, which `replay_of` takes."""
    by_file = click.option("--rules", metavar="FILE", help="By the rules of a file.")
    by_interface = click.option(
        "--on",
        "interface",
        metavar="IFACE",
        type=InterfaceName(),
        help="By the rules and bans that are on an interface.",
    )
    return by_file(by_interface(function))


def replay_of(rules: str | None, interface: str | None, *, reads_stdin: bool) -> Replay:
    """By a file, by what is on an interface now, or without rules.

    Args:
        reads_stdin: whether the packets come from standard input.

    Raises WrongUsage, BadRuleset, NotAttached, NoSuchInterface, KernelRefused.
    """
    if rules is not None and interface is not None:
        raise WrongUsage("by --rules or --on, not both")
    if rules == STDIN and reads_stdin:
        raise WrongUsage("-: rules and packets cannot both come from standard input")
    from xdpctl.replay import Replay  # noqa: PLC0415

    if interface is None:
        return Replay(rules)
    from xdpctl.datapath.bans import read_bans  # noqa: PLC0415
    from xdpctl.datapath.interfaces import find_interface  # noqa: PLC0415
    from xdpctl.datapath.rulesets import read_ruleset  # noqa: PLC0415

    found = find_interface(interface)
    ruleset = read_ruleset(found)
    return Replay(ruleset, bans={each.prefix: each.expires_ns for each in read_bans(found)})
