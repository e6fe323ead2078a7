"""examples/fail2ban with Debian's fail2ban: who fails to log in is banned, and for how long."""

from __future__ import annotations

import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from netns_lab.fixtures import Attached
from tests.lab.conftest import XDPCTL
from tests.lab.test_bans import bans, packet, until

ACTION = Path(__file__).parent.parent.parent / "examples/fail2ban/action.d/xdpctl.conf"
ATTACKER = "198.51.100.7"
BANNED = f"{ATTACKER}/32"

MAIN = """
[Definition]
loglevel = INFO
logtarget = {folder}/fail2ban.log
syslogsocket = auto
socket = {folder}/socket
pidfile = {folder}/pid
dbfile = {folder}/bans.sqlite3
dbpurgeage = 1d
dbmaxmatches = 10
"""
JAIL = """
[DEFAULT]
ignoreself = false
usedns = no

[sshd]
enabled = true
backend = polling
filter = sshd
logpath = {folder}/auth.log
maxretry = 2
findtime = 600
bantime = {bantime}
action = xdpctl[interface={interface}, xdpctl="{xdpctl}"]
"""


class Fail2ban:
    """A server of its own in a host, with one jail."""

    def __init__(self, attached: Attached, folder: Path) -> None:
        self._host = attached.right
        self._folder = folder
        self._server: subprocess.Popen[str] | None = None
        self._command = ["-c", str(folder), "-s", f"{folder}/socket", "-p", f"{folder}/pid"]
        (folder / "action.d").mkdir()
        (folder / "action.d/xdpctl.conf").symlink_to(ACTION)
        (folder / "filter.d").symlink_to("/etc/fail2ban/filter.d")
        (folder / "fail2ban.conf").write_text(MAIN.format(folder=folder))
        (folder / "auth.log").touch()

    def start(self, bantime: int, interface: str = "eth0") -> None:
        text = JAIL.format(
            folder=self._folder,
            bantime=bantime,
            interface=interface,
            xdpctl=shlex.join(XDPCTL),
        )
        (self._folder / "jail.conf").write_text(text)
        self._server = self._host.popen(["fail2ban-server", *self._command, "-xf", "start"])
        # Asking for the jail before it is there would be an error in the log.
        until(lambda: "sshd" in self._client("status").stdout)

    def _client(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self._host.run(["fail2ban-client", *self._command, *words], check=False)

    def client(self, *words: str) -> str:
        done = self._client(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def end(self, number: int = signal.SIGTERM) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            server.send_signal(number)
            server.wait(30)

    def failed_logins(self, count: int) -> None:
        """As sshd writes them."""
        line = f"{datetime.now():%b %d %H:%M:%S} right sshd[77]: Failed password for root"
        with (self._folder / "auth.log").open("a") as log:
            log.write(f"{line} from {ATTACKER} port 40000 ssh2\n" * count)

    def log(self) -> str:
        return (self._folder / "fail2ban.log").read_text()


@pytest.fixture
def fail2ban(attached: Attached, tmp_path: Path) -> Iterator[Fail2ban]:
    made = Fail2ban(attached, tmp_path)
    yield made
    made.end()


def the_ban(attached: Attached) -> dict[str, Any]:
    """Of the attacker, once it is there."""
    until(lambda: BANNED in bans(attached))
    return bans(attached, "--tag", "fail2ban-sshd")[BANNED]


def end_of(ban: dict[str, Any]) -> float:
    return datetime.fromisoformat(ban["expires"]).timestamp()


def test_who_fails_to_log_in_is_banned_and_again_when_fail2ban_restarts(
    attached: Attached, fail2ban: Fail2ban
) -> None:
    fail2ban.start(bantime=600)
    fail2ban.failed_logins(1)
    before = time.time()
    fail2ban.failed_logins(1)
    banned = the_ban(attached)
    assert before - 1 + 600 <= end_of(banned) <= time.time() + 601
    others = [packet("198.51.100.8")]
    with attached.right.capture("eth0") as capture:
        attached.left.send("eth0", [packet(ATTACKER)] * 3 + others)
        assert capture.wait(1) == others
    assert bans(attached)[BANNED]["packets"] == 3

    attached.xdpctl("ban", "eth0", "203.0.113.1", "--tag", "mine")
    fail2ban.end()
    assert bans(attached).keys() == {"203.0.113.1/32"}

    fail2ban.start(bantime=600)
    assert abs(end_of(the_ban(attached)) - end_of(banned)) <= 2
    fail2ban.client("set", "sshd", "banip", "2001:db8::7")
    until(lambda: "2001:db8::7/128" in bans(attached))
    fail2ban.client("set", "sshd", "unbanip", ATTACKER)
    until(lambda: BANNED not in bans(attached))
    fail2ban.client("unban", "--all")
    assert bans(attached).keys() == {"203.0.113.1/32"}
    assert "ERROR" not in fail2ban.log()


def test_a_ban_ends_by_fail2ban_and_without_it(attached: Attached, fail2ban: Fail2ban) -> None:
    fail2ban.start(bantime=4, interface="--all")
    fail2ban.failed_logins(2)
    the_ban(attached)
    until(lambda: f"Unban {ATTACKER}" in fail2ban.log())
    until(lambda: bans(attached) == {})
    assert "ERROR" not in fail2ban.log()

    fail2ban.failed_logins(2)
    the_ban(attached)
    fail2ban.end(signal.SIGKILL)
    until(lambda: bans(attached) == {})
    assert fail2ban.log().count(f"Unban {ATTACKER}") == 1


def test_bans_for_ever_and_those_of_others_stay(attached: Attached, fail2ban: Fail2ban) -> None:
    fail2ban.start(bantime=-1)
    fail2ban.failed_logins(2)
    assert the_ban(attached)["expires"] is None
    attached.xdpctl("ban", "eth0", ATTACKER, "--tag", "mine")
    fail2ban.client("set", "sshd", "unbanip", ATTACKER)
    fail2ban.end()
    assert bans(attached)[BANNED]["tag"] == "mine"


def test_what_is_not_attached_is_told_in_the_log(attached: Attached, fail2ban: Fail2ban) -> None:
    attached.xdpctl("detach", "eth0")
    fail2ban.start(bantime=600)
    fail2ban.failed_logins(2)
    until(lambda: "Failed to execute ban jail 'sshd' action 'xdpctl'" in fail2ban.log())
    assert "xdpctl: eth0: " in fail2ban.log()
    attached.xdpctl("attach", "eth0")
    fail2ban.client("set", "sshd", "banip", "198.51.100.8")
    until(lambda: "198.51.100.8/32" in bans(attached))
    attached.xdpctl("detach", "eth0")
    attached.xdpctl("attach", "eth0")
    fail2ban.client("reload", "--restart")
    until(lambda: "198.51.100.8/32" in bans(attached))
