"""xdpctl explain"""

from __future__ import annotations

import click

from xdpctl.cli.base import Command, session_of
from xdpctl.cli.field_options import field_options
from xdpctl.cli.replay_source import by_options, replay_of
from xdpctl.cli.rules_output import print_warnings
from xdpctl.datapath.kernel import require_privileges
from xdpctl.rules.inputs import STDIN


class _Explain(Command):
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """`-:17`, of standard input, is no option."""
        packets = [word for word in args if word.startswith(f"{STDIN}:")]
        if packets and "--" not in args:
            args = [*(word for word in args if word not in packets), "--", *packets]
        return super().parse_args(ctx, args)


@click.command(
    cls=_Explain,
    name="explain",
    short_help="Say what becomes of one packet, and why.",
    examples=(
        "xdpctl explain --rules edge.yaml --proto tcp --dport 23",
        "xdpctl explain --on eth0 night.pcap:17",
    ),
)
@click.argument("words", metavar="[CAPTURE:NUMBER|HEX]", nargs=-1)
@by_options
@click.option("--all", "shows_all", is_flag=True, help="Every rule that was asked, not just 20.")
@field_options
@click.pass_context
def command(
    context: click.Context,
    /,
    words: tuple[str, ...],
    rules: str | None,
    interface: str | None,
    shows_all: bool,
    **fields: tuple[str, ...],
) -> None:
    """Show what was parsed of a packet, the verdict, which rule decided, and of each rule before it
    the first field that kept it from matching. The packet is one of a capture, by its number (what
    limits have seen before it counts), or an Ethernet frame in hexadecimal digits, or one that has
    the fields that are given, each with one value. The verdict is that of the very program that
    would run on an interface; a model of the rules gives the reasons, and has to agree.
    """
    from xdpctl.cli import explain_output  # noqa: PLC0415
    from xdpctl.cli.packet_argument import chosen_packet  # noqa: PLC0415
    from xdpctl.replay.explaining import explain  # noqa: PLC0415

    packet = " ".join(words) if words else None
    is_stdin = packet is not None and packet.startswith(f"{STDIN}:")
    with chosen_packet(packet, fields) as chosen:
        require_privileges()
        replay = replay_of(rules, interface, reads_stdin=is_stdin)
        print_warnings(replay.rulebook.warnings)
        with replay:
            explained = explain(replay, chosen.batches, number=chosen.number, bans=replay.bans)
    if session_of(context).json:
        explain_output.write(explained)
    else:
        explain_output.show(explained, chosen.what, shows_all=shows_all)
    if explained.disagreement is not None:
        raise explained.disagreement
