"""Hosts that drop what comes in at eth0, each with a program of its own, and how each is asked
what it has let through."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from netns_lab import Host
from tests.bench.dialects import (
    DEVICE,
    ipset_file,
    iptables_file,
    nft_file,
    xdpctl_file,
    xdpctl_limit,
)
from tests.bench.policies import FiveFields
from tests.bench.programs import compiled_program, load_xdp_filter
from xdpctl.pylibbpf import xdp

XDPCTL = str(Path(sys.executable).with_name("xdpctl"))

PassedSoFar = Callable[[Host, int], int]


class Drops(NamedTuple):
    """What a host is to drop, as files; `set_count` is 0 where there is no set."""

    folder: Path
    rules: Sequence[FiveFields]
    prefixes: Path | None
    set_count: int
    all: bool
    """Whether what matches nothing is dropped as well."""
    sources: int = 0
    """Of how many each is limited by the first rule, to more than it sends."""


class Setup(NamedTuple):
    """Attributes:
    passed: how many packets got through, of so many that were sent, since the host was made.
    """

    install: Callable[[Host, Drops], None]
    passed: PassedSoFar
    needs: tuple[str, ...] = ()


def _install_bare_drop(host: Host, drops: Drops) -> None:
    with ExitStack() as stack:
        program = stack.enter_context(compiled_program(drops.folder, "drop"))
        host.call(xdp.attach, host.ifindex(DEVICE), program.fd, xdp.Mode.DRIVER)


def _install_xdp_filter(host: Host, drops: Drops) -> None:
    load_xdp_filter(host, DEVICE, "deny")


def _install_xdpctl(host: Host, drops: Drops) -> None:
    path = drops.folder / "rules.yaml"
    default = "drop" if drops.all else "pass"
    limits = [xdpctl_limit(drops.sources)] if drops.sources else []
    text = xdpctl_file([*limits, *drops.rules], prefixes=drops.prefixes, default=default)
    path.write_text(text, encoding="utf-8")
    host.run([XDPCTL, "attach", DEVICE, "--mode", "driver", "--rules", path, "--force"])


def _install_nft(host: Host, drops: Drops) -> None:
    path = drops.folder / "rules.nft"
    default = "drop" if drops.all else "accept"
    text = nft_file(drops.rules, prefixes=drops.prefixes, default=default, sources=drops.sources)
    path.write_text(text)
    host.run(["nft", "-f", path])


def _install_iptables(command: str) -> Callable[[Host, Drops], None]:
    def install(host: Host, drops: Drops) -> None:
        if drops.prefixes is not None:
            host.run(["ipset", "restore"], input=ipset_file(drops.prefixes, drops.set_count))
        default = "DROP" if drops.all else "ACCEPT"
        text = iptables_file(
            drops.rules,
            with_set=drops.prefixes is not None,
            default=default,
            sources=drops.sources,
        )
        host.run([f"{command}-restore"], input=text)

    return install


def _received(host: Host, sent: int) -> int:
    """Before the network stack, which has seen what got through."""
    lines = host.call(Path("/proc/thread-self/net/snmp").read_text, "ascii").splitlines()
    names, values = (line.split() for line in lines if line.startswith("Ip:"))
    return int(dict(zip(names, values, strict=True))["InReceives"])


def _not_dropped(command: str) -> PassedSoFar:
    """Inside the network stack: of all that were sent those that no rule has counted."""

    def passed(host: Host, sent: int) -> int:
        saved = host.run([f"{command}-save", "-c", "-t", "raw"]).stdout
        rules = re.findall(r"^\[(\d+):\d+\] -A PREROUTING", saved, re.MULTILINE)
        default = re.findall(r"^:PREROUTING DROP \[(\d+):", saved, re.MULTILINE)
        return sent - sum(map(int, [*rules, *default]))

    return passed


def _iptables(command: str) -> Setup:
    needs = (command, "ipset")
    return Setup(_install_iptables(command), _not_dropped(command), needs)


SETUPS = {
    "bare drop": Setup(_install_bare_drop, _received),
    "xdp-filter, no rules": Setup(_install_xdp_filter, _received, ("xdp-filter",)),
    "xdpctl": Setup(_install_xdpctl, _received),
    "nft": Setup(_install_nft, _received, ("nft",)),
    "iptables-legacy": _iptables("iptables-legacy"),
    "iptables-nft": _iptables("iptables-nft"),
}
