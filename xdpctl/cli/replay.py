"""xdpctl replay"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import click

from xdpctl.cli.base import Command, session_of
from xdpctl.cli.replay_source import by_options, replay_of
from xdpctl.cli.rules_output import print_warnings
from xdpctl.datapath.kernel import require_privileges
from xdpctl.errors import WrongUsage
from xdpctl.rules.inputs import STDIN

if TYPE_CHECKING:
    from xdpctl.captures.batches import Batch
    from xdpctl.captures.reading import CaptureReader
    from xdpctl.cli.replay_output import Output
    from xdpctl.cli.replay_writing import Write
    from xdpctl.replay import Replay

VERDICTS = ("pass", "drop")
LONG_BYTES = 64 << 20
"""Of a file that is worth a bar."""
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

        stack.enter_context(_first_interrupt_ends_the_pipe(capture))
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
    with _progress(reader, hidden=output.verdicts) as batches:
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


@contextmanager
def _first_interrupt_ends_the_pipe(capture: str) -> Iterator[None]:
    """Ctrl-C reaches whoever writes into the pipe, too: what is in it is still to be told."""
    if capture != STDIN:
        yield
        return

    def ignore_once(*_: Any) -> None:
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, ignore_once)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _progress(reader: CaptureReader, *, hidden: bool) -> Iterator[Iterable[Batch]]:
    """The batches, with a bar on a terminal where the file is long."""
    size = reader.size_bytes or 0
    if hidden or size < LONG_BYTES or not sys.stderr.isatty():
        yield reader
        return
    with click.progressbar(length=size, file=sys.stderr, label="replaying") as bar:

        def shown() -> Iterator[Batch]:
            for batch in reader:
                bar.update(reader.bytes_read - bar.pos)
                yield batch

        yield shown()
