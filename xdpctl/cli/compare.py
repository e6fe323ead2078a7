"""xdpctl compare"""

from __future__ import annotations

from contextlib import ExitStack

import click

from xdpctl.cli.base import Command, session_of
from xdpctl.cli.capture_progress import first_interrupt_ends_the_pipe, progress
from xdpctl.cli.rules_output import print_warnings
from xdpctl.cli.text import printable
from xdpctl.datapath.kernel import require_privileges
from xdpctl.errors import WrongUsage
from xdpctl.rules.inputs import STDIN

DIFFERENT = 1


@click.command(
    cls=Command,
    name="compare",
    short_help="Say which packets two rules files treat differently.",
    examples=(
        "xdpctl compare night.pcap edge.yaml new.yaml",
        "xdpctl compare night.pcap edge.yaml new.yaml --json",
    ),
)
@click.argument("capture", metavar="CAPTURE", type=click.Path(allow_dash=True))
@click.argument("before", metavar="FILE1", type=click.Path(allow_dash=True))
@click.argument("after", metavar="FILE2", type=click.Path(allow_dash=True))
@click.option("--all", "shows_all", is_flag=True, help="Every group, not just the 20 largest.")
@click.pass_context
def command(context: click.Context, capture: str, before: str, after: str, shows_all: bool) -> int:
    """Replay a capture by two rules files and show whose packets would meet another verdict by the
    second one, grouped by flow and by what decided. Exits with 0 where no verdict changes, and with
    1 where one does; another rule with the same verdict is counted, and is no change.
    """
    if (capture, before, after).count(STDIN) > 1:
        raise WrongUsage("-: only one of them can come from standard input")
    require_privileges()
    from xdpctl.captures.reading import CaptureReader  # noqa: PLC0415
    from xdpctl.cli import compare_output  # noqa: PLC0415
    from xdpctl.replay import Replay  # noqa: PLC0415
    from xdpctl.replay.comparing import compare  # noqa: PLC0415

    replays = [Replay(before), Replay(after)]
    for replay in replays:
        print_warnings(replay.rulebook.warnings)
    with ExitStack() as stack:
        stack.enter_context(first_interrupt_ends_the_pipe(capture))
        reader = stack.enter_context(CaptureReader(capture))
        for replay in replays:
            stack.enter_context(replay)
        with progress(reader, "comparing") as batches:
            found = compare(replays[0], replays[1], batches)
        for problem in reader.problems:
            click.echo(printable(f"warning: {reader.name}: {problem}"), err=True)
        left_out = found.not_replayed + sum(reader.left_out.values())
    if session_of(context).json:
        compare_output.write(found, capture, left_out)
    else:
        compare_output.show(found, reader.name, left_out, shows_all=shows_all)
    return DIFFERENT if found.changed else 0
