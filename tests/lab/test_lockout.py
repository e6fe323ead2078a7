"""What would lock its user out is refused: his SSH connection, a real one, and other lifelines."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from netns_lab import Host, Lab
from netns_lab.fixtures import Attached, Pair
from tests.lab.conftest import XDPCTL, xdpctl, xdpctl_json

PORT = 2222

# sshd wants /run/sshd, which is nobody's but the system's: it gets a /run of its own.
SSHD = "mount -t tmpfs tmpfs /run && mkdir /run/sshd && exec /usr/sbin/sshd -D -e -f {config}"
CONFIG = """
Port {port}
HostKey {directory}/host_key
AuthorizedKeysFile {directory}/key.pub
PidFile none
StrictModes no
PermitRootLogin yes
PasswordAuthentication no
UsePAM no
"""

Done = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Reached:
    """A server with xdpctl attached to eth0, and a client that gets to it by SSH."""

    lab: Lab
    client: Host
    server: Host
    directory: Path

    def command(self, address: str, *words: str) -> list[str]:
        known = f"UserKnownHostsFile={self.directory}/known"
        options = ["BatchMode=yes", "StrictHostKeyChecking=no", "LogLevel=ERROR", known]
        key = ["-i", f"{self.directory}/key", "-p", str(PORT)]
        chosen = [word for each in options for word in ("-o", each)]
        return ["ssh", "-F", "none", *key, *chosen, f"root@{address}", shlex.join(words)]

    def ssh(self, *words: str, address: str = "192.0.2.2") -> Done:
        """Run a command on the server, by SSH from the client."""
        return self.client.run(self.command(address, *words), check=False, timeout_s=60)

    def file(self, text: str) -> str:
        path = self.directory / "rules.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)


@pytest.fixture
def reached(lab: Lab, tmp_path: Path) -> Reached:
    client, server = lab.hosts("client", "server")
    addresses = [["192.0.2.1/24", "2001:db8::1/64"], ["192.0.2.2/24", "2001:db8::2/64"]]
    lab.link(client, server, addresses=(addresses[0], addresses[1]))
    for name in ("key", "host_key"):
        made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)]
        subprocess.run(made, check=True)
    config = tmp_path / "sshd_config"
    config.write_text(CONFIG.format(port=PORT, directory=tmp_path), encoding="utf-8")
    sshd = SSHD.format(config=shlex.quote(str(config)))
    process = server.popen(["unshare", "--mount", "--", "sh", "-c", sshd], stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = [process.stderr.readline() for _ in range(2)]
    assert all("Server listening on" in each for each in said), said
    assert xdpctl(server, "attach", "eth0").returncode == 0
    return Reached(lab, client, server, tmp_path)


NO_SSH = ["rule", "add", "eth0", "drop", "--proto", "tcp", "--dport", str(PORT), "--name", "no-ssh"]
SAID = re.compile(
    r"xdpctl: eth0: rule no-ssh would drop the SSH connection from "
    r"(192\.0\.2\.1|\[2001:db8::1\]):(\d+) that this command came through\n"
    r"hint: --force overrides\n"
)


def names(host: Host) -> list[str]:
    return [each["name"] for each in xdpctl_json(host, "rule", "list", "eth0")["rules"]]


WRAPPERS = {
    "directly": [],
    "without an environment, as sudo runs it": ["env", "-i", f"PATH={os.environ['PATH']}"],
    "in a session of its own": ["setsid", "--wait"],
    "by a shell by a shell": ["sh", "-c", '"$@"; exit $?', "sh", "sh", "-c", '"$@"; exit $?', "sh"],
}


@pytest.mark.parametrize("wrapper", WRAPPERS.values(), ids=WRAPPERS.keys())
def test_what_would_drop_the_connection_that_it_came_through_is_refused(
    reached: Reached, wrapper: list[str]
) -> None:
    refused = reached.ssh(*wrapper, *XDPCTL, *NO_SSH)
    assert refused.returncode == 3
    assert SAID.fullmatch(refused.stderr), refused.stderr
    assert xdpctl_json(reached.server, "status")[0]["packets"] > 0
    listed = xdpctl(reached.server, "rule", "list", "eth0", "--json")
    assert json.loads(listed.stdout)["rules"] == []


def test_a_connection_of_ipv6_is_found_and_no_other_one(reached: Reached) -> None:
    refused = reached.ssh(*XDPCTL, *NO_SSH, address="2001:db8::2")
    said = SAID.fullmatch(refused.stderr)
    assert said is not None, refused.stderr
    assert said[1] == "[2001:db8::1]"
    over_ipv4 = [*NO_SSH, "--ethertype", "ipv4"]
    assert reached.ssh(*XDPCTL, *over_ipv4, address="2001:db8::2").returncode == 0


def test_in_tmux_the_connection_is_that_of_the_environment(reached: Reached) -> None:
    done = f"{reached.directory}/done"
    inside = f"{shlex.join([*XDPCTL, *NO_SSH])} 2>{done}; echo $? >>{done}"
    tmux = ["tmux", "-f", "/dev/null", "-S", f"{reached.directory}/tmux"]
    wait = shlex.join([*tmux, "wait-for", "-S", "over"])
    together = [*tmux, "new-session", "-d", f"{inside}; {wait}", ";", "wait-for", "over"]
    assert reached.ssh(*together).returncode == 0
    said, code = Path(done).read_text(encoding="utf-8").rsplit("\n", 2)[:2]
    assert code == "3"
    assert SAID.fullmatch(said + "\n")


def test_new_connections_are_kept_too_and_force_gives_them_up(reached: Reached) -> None:
    no_new = [*NO_SSH, "--flags", "syn/syn,ack"]
    refused = reached.ssh(*XDPCTL, *no_new)
    assert refused.returncode == 3
    assert "rule no-ssh would drop new SSH connections from 192.0.2.1\n" in refused.stderr
    forced = reached.ssh(*XDPCTL, *no_new, "--force", "--json")
    assert (forced.returncode, forced.stderr) == (0, "")
    assert json.loads(forced.stdout)["ssh_connections"] is None
    assert names(reached.server) == ["no-ssh"]


def test_a_ruleset_that_keeps_everything_is_applied(reached: Reached) -> None:
    path = reached.directory / "rules.yaml"
    path.write_text(
        "default: drop\n"
        "rules:\n"
        "  - {action: pass, ethertype: arp}\n"
        "  - {action: pass, proto: ipv6-icmp, icmp: '133-136'}\n"
        f"  - {{action: pass, src: 192.0.2.1, proto: tcp, dport: {PORT}}}\n",
        encoding="utf-8",
    )
    done = reached.ssh(*XDPCTL, "apply", "eth0", str(path), "--json")
    assert done.returncode == 0, done.stderr
    (connection,) = json.loads(done.stdout)["ssh_connections"]
    assert connection.startswith("192.0.2.1:")
    over_ipv6 = path.read_text(encoding="utf-8").replace("192.0.2.1", "2001:db8::1")
    path.write_text(over_ipv6, encoding="utf-8")
    refused = reached.ssh(*XDPCTL, "apply", "eth0", str(path))
    assert refused.returncode == 3
    assert f"the default policy would drop the SSH connection from {connection}" not in (
        refused.stderr  # it is another one, from another port
    )
    assert "eth0: the default policy would drop the SSH connection from 192.0.2.1:" in (
        refused.stderr
    )


def test_a_connection_at_another_interface_is_no_reason(reached: Reached) -> None:
    reached.lab.link(
        reached.client, reached.server, addresses=(["198.51.100.1/24"], ["198.51.100.2/24"])
    )
    assert xdpctl(reached.server, "attach", "eth1").returncode == 0
    there = [word if word != "eth0" else "eth1" for word in NO_SSH]
    refused = reached.ssh(*XDPCTL, *there, address="198.51.100.2")
    assert refused.returncode == 3
    assert "eth1: rule no-ssh would drop the SSH connection from 198.51.100.1:" in refused.stderr
    done = reached.ssh(*XDPCTL, *there)
    assert (done.returncode, done.stderr) == (0, "")


LIFELINES: list[tuple[list[str], list[str]]] = [
    (["--ethertype", "arp", "--dst-mac", "ff:ff:ff:ff:ff:ff"], ["ARP"]),
    (["--icmp", "nd-neighbor-solicit"], ["neighbour discovery"]),
    (["--src", "fe80::/10"], ["neighbour discovery"]),
    (["--src", "192.0.2.0/28"], ["packets from the default gateway 192.0.2.1"]),
    (["--src", "2001:db8::1"], ["packets from the default gateway 2001:db8::1"]),
    (["--src-mac", "02:00:00:00:00:01"], ["packets from the default gateway 192.0.2.1",
                                          "packets from the default gateway 2001:db8::1",
                                          "ARP", "neighbour discovery"]),
]  # fmt: skip


@pytest.fixture
def routed(lab: Lab) -> Host:
    """A host with xdpctl attached to the interface that its default routes go through."""
    router, host = lab.hosts("router", "host")
    lab.link(
        router,
        host,
        addresses=(["192.0.2.1/24", "2001:db8::1/64"], ["192.0.2.2/24", "2001:db8::2/64"]),
    )
    host.run(["ip", "route", "add", "default", "via", "192.0.2.1"])
    host.run(["ip", "route", "add", "default", "via", "2001:db8::1"])
    assert xdpctl(host, "attach", "eth0").returncode == 0
    return host


def test_what_would_drop_a_lifeline_is_refused_and_changes_nothing(routed: Host) -> None:
    before = xdpctl_json(routed, "status")
    for fields, lost in LIFELINES:
        done = xdpctl(routed, "rule", "add", "eth0", "drop", *fields, "--name", "all")
        lines = [f"eth0: rule all would drop {each}" for each in lost]
        assert done.stderr == "xdpctl: " + "\n".join(lines) + "\nhint: --force overrides\n", fields
        assert done.returncode == 3
    assert xdpctl_json(routed, "status") == before


@pytest.mark.parametrize(
    "fields",
    [
        ["--proto", "udp"],
        ["--src", "192.0.2.1", "--proto", "tcp"],
        ["--proto", "ipv6-icmp", "--icmp", "echo-request"],
    ],
    ids=" ".join,
)
def test_what_leaves_the_lifelines_is_put_in_place_with_a_note(
    routed: Host, fields: list[str]
) -> None:
    done = xdpctl(routed, "rule", "add", "eth0", "drop", *fields)
    assert done.returncode == 0
    assert done.stderr == "note: found no SSH connection that this command came through\n"


def test_a_ruleset_that_drops_nothing_has_nothing_to_be_said(routed: Host) -> None:
    done = xdpctl(routed, "rule", "add", "eth0", "pass", "--proto", "udp")
    assert (done.returncode, done.stderr) == (0, "")


def test_every_command_that_changes_what_is_dropped_refuses(routed: Host, tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(
        "sets: {good: [192.0.2.1], bad: [203.0.113.1]}\n"
        "rules:\n"
        "  - {name: friends, action: pass, src: '@good'}\n"
        "  - {name: foes, action: drop, src: '@bad'}\n"
        "  - {name: net, action: drop, src: 192.0.2.0/24}\n",
        encoding="utf-8",
    )
    assert xdpctl(routed, "apply", "eth0", str(path)).returncode == 0
    digest = xdpctl_json(routed, "rule", "list", "eth0")["digest"]
    path.write_text("default: drop\n", encoding="utf-8")
    gateway = "would drop packets from the default gateway 192.0.2.1"
    commands = {
        ("set", "remove", "eth0", "good", "192.0.2.1"): f"rule net {gateway}",
        ("rule", "delete", "eth0", "friends"): f"rule net {gateway}",
        ("rule", "add", "eth0", "drop", "--before", "friends", "--name", "x"): "rule x would drop",
        ("apply", "eth0", str(path)): "the default policy would drop ARP",
    }
    for words, said in commands.items():
        done = xdpctl(routed, *words)
        assert (done.returncode, said in done.stderr) == (3, True), done.stderr
        assert xdpctl_json(routed, "rule", "list", "eth0")["digest"] == digest
    assert xdpctl(routed, "set", "add", "eth0", "bad", "192.0.2.1").returncode == 0  # a friend is
    assert xdpctl(routed, "rule", "delete", "eth0", "friends", "--force").returncode == 0
    assert xdpctl(routed, "rollback", "eth0").returncode == 0
    again = xdpctl(routed, "rollback", "eth0")
    assert (again.returncode, gateway in again.stderr) == (3, True)
    assert xdpctl(routed, "rollback", "eth0", "--force").returncode == 0
    assert names(routed) == ["foes", "net"]


def test_what_is_dropped_already_is_no_reason_to_refuse_anything_else(routed: Host) -> None:
    forced = ["rule", "add", "eth0", "drop", "--src", "192.0.2.1", "--name", "gone", "--force"]
    assert xdpctl(routed, *forced).returncode == 0
    assert xdpctl(routed, "rule", "add", "eth0", "drop", "--dport", "9").returncode == 0
    more = xdpctl(routed, "rule", "add", "eth0", "drop", "--src", "::/0", "--name", "more")
    assert more.returncode == 3
    assert "192.0.2.1" not in more.stderr


def test_attach_with_rules_that_lock_out_is_refused(pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("rules: [{name: no-arp, action: drop, ethertype: arp}]", encoding="utf-8")
    start = ["attach", "eth0", "--rules", str(path)]
    refused = xdpctl(pair.right, *start)
    assert refused.returncode == 3
    assert refused.stderr == ("xdpctl: eth0: rule no-arp would drop ARP\nhint: --force overrides\n")
    assert xdpctl_json(pair.right, "status") == []
    (document,) = xdpctl_json(pair.right, *start, "--force")
    assert document["ssh_connections"] is None


def test_under_json_what_was_found_is_a_key_and_a_refusal_a_document(attached: Attached) -> None:
    add = ["rule", "add", "eth0", "drop", "--name", "x", "--json"]
    done = xdpctl(attached.right, *add, "--dport", "9")
    assert (done.stderr, json.loads(done.stdout)["ssh_connections"]) == ("", [])
    refused = xdpctl(attached.right, "rule", "add", "eth0", "drop", "--name", "y", "--json")
    document = json.loads(refused.stderr)
    assert document["error"].splitlines() == [
        "eth0: rule y would drop ARP",
        "eth0: rule y would drop neighbour discovery",
    ]
    assert (document["exit_code"], document["hint"]) == (3, "--force overrides")
