"""xdpctl replay"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click

from xdpctl.cli.base import Command, session_of
from xdpctl.cli.capture_progress import first_interrupt_ends_the_pipe, progress
from xdpctl.cli.replay_source import by_options, replay_of
from xdpctl.cli.rules_output import print_warnings
from xdpctl.datapath.kernel import require_privileges
from xdpctl.errors import WrongUsage
from xdpctl.rules.inputs import STDIN

if TYPE_CHECKING:
    from xdpctl.captures.reading import CaptureReader
    from xdpctl.cli.replay_output import Output
    from xdpctl.cli.replay_writing import Write
    from xdpctl.replay import Replay

VERDICTS = ("pass", "drop")
_NAMES_SHOWN = 10


@click.command(
    cls=Command,
    name="replay",
    short_help="Say what a ruleset would have done to a capture.",
    examples=(
        "xdpctl replay night.pcap --rules edge.yaml",
        "xdpctl replay night.pcap.gz --on eth0 --verdicts",
    ),
)
@click.argument("capture", metavar="CAPTURE", type=click.Path(allow_dash=True))
@by_options
@click.option("--verdicts", is_flag=True, help="Also each packet, with what became of it.")
@click.option("--write", "path", metavar="FILE", help="Write packets to a pcapng file:")
@click.option("--verdict", type=click.Choice(VERDICTS), help="those with this verdict,")
@click.option("--rule", metavar="NAME", help="or those that this rule decided on.")
@click.pass_context
def command(
    context: click.Context,
    capture: str,
    rules: str | None,
    interface: str | None,
    verdicts: bool,
    path: str | None,
    verdict: str | None,
    rule: str | None,
) -> None:
    """Run every packet of a pcap or pcapng file (gzip too; - is standard input) through the very
    program that would run on an interface, and say what it counts: without rules, with those of a
    file, or with those of an interface. It touches no interface, and the time that bans, limits and
    rules that expire go by is that of the packets.
    """
    chosen = [each for each in (verdict, rule) if each is not None]
    if len(chosen) != (path is not None):
        raise WrongUsage("--write goes with one of --verdict and --rule, and they with it")
    require_privileges()
    replay = replay_of(rules, interface, reads_stdin=capture == STDIN)
    if rule is not None and rule not in replay.rulebook.names:
        raise WrongUsage(f"{rule}: no such rule", hint=_hint_of_rules(replay.rulebook.names))
    print_warnings(replay.rulebook.warnings)
    with ExitStack() as stack:
        from xdpctl.captures.reading import CaptureReader  # noqa: PLC0415
        from xdpctl.cli.replay_output import Output  # noqa: PLC0415
        from xdpctl.cli.replay_writing import writing_to  # noqa: PLC0415

        stack.enter_context(first_interrupt_ends_the_pipe(capture))
        reader = stack.enter_context(CaptureReader(capture))
        stack.enter_context(replay)
        output = Output(capture, json=session_of(context).json, verdicts=verdicts)
        write = None
        if path is not None:
            inputs = [each for each in (capture, rules) if each is not None]
            write = stack.enter_context(writing_to(path, inputs, verdict, rule))
        _run(replay, reader, output, write)
        output.summary(replay.summary, reader)


def _run(replay: Replay, reader: CaptureReader, output: Output, write: Write | None) -> None:
    wants_verdicts = output.verdicts or write is not None
    is_live = output.verdicts and reader.size_bytes is None
    with progress(reader, "replaying", hidden=output.verdicts) as batches:
        for packets, judged in replay.judge(batches, records=wants_verdicts, at_once=is_live):
            output.note(packets)
            if not wants_verdicts:
                continue
            told = list(
                map(
                    replay.instance.wording.verdict,
                    packets.numbers,
                    packets.times_ns,
                    packets.lengths,
                    judged,
                )
            )
            if output.verdicts:
                output.tell(told)
            if write is not None:
                write(packets, told)


def _hint_of_rules(names: Sequence[str]) -> str:
    if not names:
        return "--rules FILE or --on IFACE has rules"
    more = ", ..." if len(names) > _NAMES_SHOWN else ""
    return f"rules: {', '.join(names[:_NAMES_SHOWN])}{more}"
