"""The programs to compare with: which of them this machine has."""

from __future__ import annotations

import shutil
import subprocess
from typing import NamedTuple


class Peer(NamedTuple):
    """Attributes:
    package: what Debian and Ubuntu call what it comes with.
    query: how its version is asked for.
    """

    command: str
    package: str
    query: tuple[str, ...]


class Found(NamedTuple):
    """Attributes:
    version: None where the peer is missing.
    """

    command: str
    package: str
    version: str | None


PEERS = (
    Peer("xdp-filter", "xdp-tools", ("xdp-filter", "load", "--version")),
    Peer("nft", "nftables", ("nft", "--version")),
    Peer("iptables-nft", "iptables", ("iptables-nft", "--version")),
    Peer("iptables-legacy", "iptables", ("iptables-legacy", "--version")),
    Peer("ipset", "ipset", ("ipset", "--version")),
    Peer("tshark", "tshark", ("sh", "-c", "tshark --version 2>/dev/null | head -n 1")),
    # Not in Debian, and so nothing here drives it: linear.bpf.c does what it does.
    Peer("bfcli", "bpfilter", ("bfcli", "--version")),
)


def find_peers() -> list[Found]:
    return [Found(peer.command, peer.package, _version(peer)) for peer in PEERS]


def _version(peer: Peer) -> str | None:
    if shutil.which(peer.command) is None:
        return None
    # xdp-filter tells its version and calls that a failure.
    done = subprocess.run(peer.query, check=False, capture_output=True, text=True)
    return " ".join(done.stdout.split()) or "of unknown version"
