"""Whose SSH connection a process came through, by a procfs made of files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from xdpctl.datapath.ssh import ssh_connections
from xdpctl.rules.lifelines import Connection

# 192.0.2.2 is c0 00 02 02, shown as a number of a little-endian host; port 22 is 0x16, and the
# client's port 51514 is 0xc93a.
SERVER, CLIENT = "020200C0:0016", "070200C0:C93A"
MAPPED_SERVER, MAPPED_CLIENT = (
    "0000000000000000FFFF0000020200C0:0016",
    "0000000000000000FFFF0000070200C0:C93A",
)
SERVER6, CLIENT6 = (  # 2001:db8::2 and 2001:db8::7
    "B80D0120000000000000000002000000:0016",
    "B80D0120000000000000000007000000:C93A",
)
IPV4 = Connection(bytes([192, 0, 2, 7]), 51514, bytes([192, 0, 2, 2]), 22)
IPV6 = Connection(
    bytes.fromhex("20010db8000000000000000000000007"), 51514,
    bytes.fromhex("20010db8000000000000000000000002"), 22,
)  # fmt: skip
VARIABLE = "SSH_CONNECTION=192.0.2.7 51514 192.0.2.2 22"


def row(local: str, remote: str, inode: int, state: str = "01") -> str:
    """A line of /proc/net/tcp (Linux, Documentation/networking/proc_net_tcp.rst)."""
    queues = "00000000:00000000 02:000A7D8C 00000000"
    return f"   0: {local} {remote} {state} {queues}     0        0 {inode} 2 0000 20 4 29 10 -1\n"


class Proc:
    """A directory that looks like procfs; all its processes are in one network namespace."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.tables("", "")

    def tables(self, tcp: str, tcp6: str = "", namespace: str = "host") -> None:
        directory = self.path / namespace
        directory.mkdir(parents=True, exist_ok=True)
        title = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt\n"
        (directory / "tcp").write_text(title + tcp)
        (directory / "tcp6").write_text(title + tcp6)
        (directory / "id").touch()

    def process(
        self,
        pid: int,
        name: str,
        parent: int,
        *,
        sockets: tuple[int, ...] = (),
        environment: str | bytes = "",
        namespace: str = "host",
    ) -> None:
        directory = self.path / str(pid)
        for each in ("fd", "ns"):
            (directory / each).mkdir(parents=True)
        (directory / "stat").write_text(f"{pid} ({name}) S {parent} {pid} {pid} 0 -1 4194304\n")
        text = environment.encode() if isinstance(environment, str) else environment
        (directory / "environ").write_bytes(text)
        (directory / "fd" / "0").symlink_to("/dev/null")
        for number, inode in enumerate(sockets, 3):
            (directory / "fd" / str(number)).symlink_to(f"socket:[{inode}]")
        (directory / "net").symlink_to(self.path / namespace)
        (directory / "ns" / "net").symlink_to(self.path / namespace / "id")

    def found(self, pid: int = 10) -> list[Connection]:
        return [each.connection for each in ssh_connections(pid, str(self.path))]


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path / "proc")


def logged_in(proc: Proc, *, server: str = "sshd", sockets: tuple[int, ...] = (100,)) -> None:
    """init, the listener, the privileged half, the session, a shell, sudo, and our command."""
    proc.process(1, "init", 0, sockets=(1, 2))
    proc.process(2, "sshd", 1, sockets=(50,))
    proc.process(3, server, 2, sockets=(100,))
    proc.process(4, server, 3, sockets=sockets)
    proc.process(5, "bash", 4)
    proc.process(6, "sudo", 5)
    proc.process(10, "xdpctl", 6)


@pytest.mark.parametrize("server", ["sshd", "sshd-session", "dropbear"])
@pytest.mark.parametrize(
    ("tcp", "tcp6", "expected"),
    [
        (row(SERVER, CLIENT, 100), "", IPV4),
        ("", row(MAPPED_SERVER, MAPPED_CLIENT, 100), IPV4),
        ("", row(SERVER6, CLIENT6, 100), IPV6),
    ],
    ids=["IPv4", "IPv4 in a socket of IPv6", "IPv6"],
)
def test_the_servers_socket_is_found_behind_sudo(
    proc: Proc, server: str, tcp: str, tcp6: str, expected: Connection
) -> None:
    others = row(SERVER, "090200C0:C93A", 101) + row("00000000:0016", "00000000:0000", 50, "0A")
    proc.tables(others + tcp, tcp6)
    logged_in(proc, server=server)
    assert proc.found() == [expected]


def test_without_a_server_among_the_ancestors_there_is_none(proc: Proc) -> None:
    proc.tables(row(SERVER, CLIENT, 100))
    proc.process(1, "init", 0, sockets=(100,))
    proc.process(10, "bash", 1)
    assert proc.found() == []


@pytest.mark.parametrize("state", ["0A", "06", "08", "02"])
def test_a_socket_that_is_not_established_is_no_connection(proc: Proc, state: str) -> None:
    proc.tables(row(SERVER, CLIENT, 100, state))
    logged_in(proc)
    assert proc.found() == []


def test_a_name_with_parentheses_does_not_hide_the_parent(proc: Proc) -> None:
    proc.tables(row(SERVER, CLIENT, 100))
    proc.process(3, "sshd", 0, sockets=(100,))
    proc.process(10, "a) S 1 (b) R 77 (", 3)
    assert proc.found() == [IPV4]


def test_tmux_has_left_its_server_and_the_environment_tells(proc: Proc) -> None:
    proc.tables(row(SERVER, CLIENT, 100))
    proc.process(1, "init", 0)
    proc.process(8, "tmux: server", 1, environment=f"TERM=x\0{VARIABLE}\0")
    proc.process(10, "xdpctl", 8)
    assert proc.found() == [IPV4]


def test_an_environment_of_a_connection_long_gone_counts_for_nothing(proc: Proc) -> None:
    proc.tables(row(SERVER, "090200C0:C93A", 100))
    proc.process(10, "bash", 0, environment=VARIABLE)
    assert proc.found() == []


def test_an_environment_of_a_mapped_address_is_that_of_ipv4(proc: Proc) -> None:
    proc.tables("", row(MAPPED_SERVER, MAPPED_CLIENT, 100))
    proc.process(10, "bash", 0, environment=VARIABLE)
    assert proc.found() == [IPV4]


def test_what_is_forwarded_in_the_connection_is_left_out_where_the_shell_tells(proc: Proc) -> None:
    forwarded = row("020200C0:9C40", "635433C6:01BB", 101)
    proc.tables(row(SERVER, CLIENT, 100) + forwarded)
    logged_in(proc, sockets=(101, 100))
    other = Connection(bytes([198, 51, 84, 99]), 443, bytes([192, 0, 2, 2]), 40000)
    assert set(proc.found()) == {IPV4, other}
    (proc.path / "5" / "environ").write_text(f"A=b\0{VARIABLE}\0")
    assert proc.found() == [IPV4]


def test_whoever_started_the_server_is_another_matter(proc: Proc) -> None:
    admin = row(SERVER, "090200C0:C93A", 60)
    proc.tables(row(SERVER, CLIENT, 100) + admin)
    proc.process(1, "sshd", 0, sockets=(60,))
    proc.process(2, "bash", 1, environment="SSH_CONNECTION=192.0.2.9 51514 192.0.2.2 22")
    proc.process(3, "sshd", 2, sockets=(100,))
    proc.process(10, "bash", 3)
    assert proc.found() == [IPV4]


def test_a_server_in_another_namespace_is_found_there(proc: Proc) -> None:
    proc.tables(row(SERVER, "090200C0:C93A", 100), namespace="lab")
    proc.tables(row(SERVER, CLIENT, 100))
    proc.process(3, "sshd", 0, sockets=(100,))
    proc.process(10, "xdpctl", 3, namespace="lab")
    (found,) = ssh_connections(10, str(proc.path))
    assert found.connection == IPV4
    namespace = os.stat(proc.path / "host" / "id")
    assert found.namespace == (namespace.st_dev, namespace.st_ino)


def test_ancestors_in_a_circle_are_each_asked_once(proc: Proc) -> None:
    proc.tables(row(SERVER, CLIENT, 100))
    proc.process(9, "bash", 10, environment=VARIABLE)
    proc.process(10, "bash", 9)
    assert proc.found() == [IPV4]


@pytest.mark.parametrize(
    "environment",
    [
        b"SSH_CONNECTION=",
        b"SSH_CONNECTION=192.0.2.7 51514 192.0.2.2",
        b"SSH_CONNECTION=192.0.2.7 51514 192.0.2.2 22 1",
        b"SSH_CONNECTION=192.0.2.777 51514 192.0.2.2 22",
        b"SSH_CONNECTION=192.0.2.7 port 192.0.2.2 22",
        b"SSH_CONNECTION=\xff\xfe 1 \xff 2",
        b"SSH_CONNECTION=" + b"9" * 5000 + b" 1 2 3",
        b"XSSH_CONNECTION=192.0.2.7 51514 192.0.2.2 22",
        b"\0" * 100_000,
    ],
    ids=lambda each: repr(each[:45]),
)
def test_an_environment_that_is_nonsense_names_nothing(proc: Proc, environment: bytes) -> None:
    proc.tables(row(SERVER, CLIENT, 100))
    proc.process(10, "bash", 0, environment=environment)
    assert proc.found() == []


HOSTILE_TABLES = [
    "",
    "\n\n   \n",
    "0: 1 2 01\n",
    row("0202:0016", CLIENT, 100),
    row(f"{SERVER}0000", CLIENT, 100),
    row("zz0200C0:0016", CLIENT, 100),
    row("020200C0:zz", CLIENT, 100),
    row("020200C0", CLIENT, 100),
    row(SERVER, CLIENT, 100).replace(" 100 ", " inode "),
    row(SERVER, CLIENT, 100)[:60],
    "x" * 100_000 + "\n",
    "\0\xff" * 1000,
]


@pytest.mark.parametrize("table", HOSTILE_TABLES, ids=range(len(HOSTILE_TABLES)))
def test_lines_that_are_nonsense_are_passed_over(proc: Proc, table: str) -> None:
    logged_in(proc)
    proc.tables(table)
    assert proc.found() == []
    proc.tables(table + ("" if table.endswith("\n") else "\n") + row(SERVER, CLIENT, 100))
    assert proc.found() == [IPV4]


@pytest.mark.parametrize("stat", ["", "10", "10 (x) S", "10 (x) S y", "10 (x) S -1", "10 x S 3"])
def test_a_stat_that_is_nonsense_ends_the_search(proc: Proc, stat: str) -> None:
    proc.tables(row(SERVER, CLIENT, 100))
    proc.process(3, "sshd", 0, sockets=(100,))
    proc.process(10, "bash", 3)
    (proc.path / "10" / "stat").write_text(stat)
    assert proc.found() == []


def test_processes_that_end_meanwhile_are_passed_over(proc: Proc) -> None:
    proc.tables(row(SERVER, CLIENT, 100))
    logged_in(proc)
    for pid, gone in ((5, "environ"), (6, "ns/net"), (4, "net"), (3, "fd/3")):
        (proc.path / str(pid) / gone).unlink()
    assert proc.found() == [IPV4]
