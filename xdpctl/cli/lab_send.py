"""xdpctl lab send"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from netns_lab.namespace import require_privileges
from xdpctl.cli.base import SECONDS, NumberRange, session_of
from xdpctl.cli.documents import Document, write_json
from xdpctl.cli.lab_command import LabCommand
from xdpctl.cli.lab_names import HostName, complete_beside, find_beside
from xdpctl.cli.text import printable, si
from xdpctl.cli.watching import stop_signals
from xdpctl.datapath.interfaces import inside_namespace
from xdpctl.errors import WrongUsage
from xdpctl.labnames import LabHost
from xdpctl.protocols import KEYWORDS, protocol_name

if TYPE_CHECKING:
    from netns_lab.generate import Sent

PROFILES = ("mix", "udp", "synflood", "dnsflood", "fragments", "sizes")
COUNT_DEFAULT = 1_000_000
LOST = 1  # the exit code of a finding

_NOT_IP = ("arp", "lldp", "mpls", "pppoe", "other", "malformed")
_DEFAULT_INTERFACE = "eth0"


@click.command(
    cls=LabCommand,
    name="send",
    short_help="Send traffic from a host, by the million.",
    examples=(
        "xdpctl lab send b mix --count 5000000",
        "xdpctl lab send b trace.pcap --rate 1000",
    ),
)
@click.argument("host", metavar="HOST", type=HostName())
@click.argument("what", metavar="PROFILE|FILE.pcap")
@click.option(
    "--to",
    "to_name",
    metavar="HOST",
    shell_complete=complete_beside,
    help="Address it to this host of the lab [default: the peer]",
)
@click.option(
    "--count",
    metavar="N",
    type=click.IntRange(min=1),
    help=f"Packets [default: {COUNT_DEFAULT:,}, or a file's once]",
)
@click.option(
    "--rate",
    "rate_pps",
    metavar="PPS",
    type=NumberRange(min=0.001, max=1e9),
    help="Packets per second [default: what one CPU can]",
)
@click.option(
    "--seconds",
    metavar="S",
    type=SECONDS,
    help="End after so many seconds.",
)
@click.option("--seed", metavar="N", type=click.IntRange(0, 2**64 - 1), default=0, help="Of flows.")
@click.option("--interface", metavar="IFACE", help="[default: the one to --to, or eth0]")
@click.pass_context
def command(
    context: click.Context,
    host: LabHost,
    what: str,
    to_name: str | None,
    count: int | None,
    rate_pps: float | None,
    seconds: float | None,
    seed: int,
    interface: str | None,
) -> int:
    """Send packets from a host of a lab and show what was sent, as `xdpctl stats` shows what was
    counted. PROFILE is mix (every protocol), udp, synflood, dnsflood, fragments or sizes: no two
    packets are equal. The frames of a pcap or pcapng file are sent as they are.
    """
    from netns_lab.generate import generate  # noqa: PLC0415 - of the lab alone

    if what not in PROFILES and not os.path.exists(what):
        raise WrongUsage(
            f"{what}: neither a profile nor a file", hint=f"profiles: {', '.join(PROFILES)}"
        )
    if what in PROFILES and count is None and seconds is None:
        count = COUNT_DEFAULT
    require_privileges()
    to = None if to_name is None else find_beside(host, to_name)
    json = session_of(context).json
    with _file_errors(what), stop_signals() as stop, inside_namespace(host.netns):
        name = interface or _interface_to(to) or _DEFAULT_INTERFACE
        frames = _frames(what, f"{host}: {name}", name, to)
        with _progress(count, seconds, hidden=json) as on_progress:
            sent = generate(
                name,
                frames,
                count=count,
                rate_pps=rate_pps,
                seconds=seconds,
                seed=seed,
                vary=what in PROFILES,
                label=protocol_of,
                on_progress=on_progress,
                stop=stop,
                subject=str(host),
            )
    if json:
        document = {"host": str(host), "interface": name, "sent": what, "seed": seed}
        write_json(document | _document(sent))
    else:
        _show(sent, f"{host}: {name}")
    return LOST if sent.lost else 0


def protocol_of(frame: bytes) -> str:
    """The row of `xdpctl stats` that a frame belongs to."""
    from netns_lab.headers import headers_of  # noqa: PLC0415

    protocol = headers_of(frame).protocol
    return protocol_name(protocol) if isinstance(protocol, int) else protocol


def _interface_to(to: LabHost | None) -> str | None:
    from netns_lab.peer import interface_towards  # noqa: PLC0415

    return None if to is None else interface_towards(to.path)


def _frames(what: str, subject: str, interface: str, to: LabHost | None) -> Iterable[bytes]:
    from netns_lab.frames import PcapFile  # noqa: PLC0415
    from netns_lab.peer import ends_of  # noqa: PLC0415
    from netns_lab.profiles import frames_of  # noqa: PLC0415

    if what not in PROFILES:
        return PcapFile(what)
    ends, mtu = ends_of(subject, interface, None if to is None else to.path)
    return frames_of(what, ends, mtu)


@contextmanager
def _file_errors(what: str) -> Iterator[None]:
    """A file that cannot be read, as what the command line shows."""
    try:
        yield
    except OSError as error:
        raise WrongUsage(f"{what}: {error.strerror or error}") from error


@contextmanager
def _progress(
    count: int | None, seconds: float | None, *, hidden: bool
) -> Iterator[Callable[[int, float], None]]:
    """A bar on a terminal, of packets, or of time where no number of them is given."""
    length = count or round((seconds or 0) * 1000)
    if hidden or not length or not sys.stderr.isatty():
        yield lambda packets, elapsed_s: None
        return
    with click.progressbar(length=length, file=sys.stderr, label="sending") as bar:

        def show(packets: int, elapsed_s: float) -> None:
            now = packets if count else round(elapsed_s * 1000)
            bar.update(min(now, length) - bar.pos)

        yield show


def _rows(sent: Sent) -> list[tuple[str, int | None, int, int]]:
    """Protocol, its number, packets and bytes, in the order of `xdpctl stats`."""
    numbers = {name: number for number, name in KEYWORDS.items()}

    def number(name: str) -> int | None:
        return int(name) if name.isdigit() else numbers.get(name)

    def order(name: str) -> int:
        by_number = number(name)
        return 256 + _NOT_IP.index(name) if by_number is None else by_number

    return [(name, number(name), *sent.by_label[name]) for name in sorted(sent.by_label, key=order)]


def _document(sent: Sent) -> Document:
    return {
        "seconds": sent.seconds,
        "packets": sent.packets,
        "bytes": sent.bytes,
        "lost": sent.lost,
        "too_short": sent.too_short,
        "too_long": sent.too_long,
        "protocols": [
            {"protocol": name, "number": number, "packets": packets, "bytes": length}
            for name, number, packets, length in _rows(sent)
        ],
    }


def _show(sent: Sent, subject: str) -> None:
    from xdpctl.cli.tables import print_sent  # noqa: PLC0415 - rich, for people only

    rate = si(sent.packets / sent.seconds if sent.seconds else 0)
    seconds = f"{sent.seconds:.2f} s"
    click.echo(printable(f"{subject}: sent {sent.packets:,} packets in {seconds}, {rate}/s\n"))
    rows = [(name, packets, length) for name, _, packets, length in _rows(sent)]
    print_sent([*rows, ("all", sent.packets, sent.bytes)])
    notes = {
        "shorter than an Ethernet header, left out": sent.too_short,
        "longer than the link or a live frame takes, left out": sent.too_long,
        "lost: the peer did not take them": sent.lost,
    }
    for note, number in notes.items():
        if number:
            click.echo(f"\n{number:,} {note}")
