"""Routes, addresses and neighbours, from lines as Linux 6.18 (little-endian) writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from xdpctl.datapath.procnet import Route, default_routes, ipv6_addresses, neighbours

ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth1\t00000000\t01643XC6\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth1\t00000000\t016433C6\t0003\t0\t0\t100\t00000000\t0\t0\t0
wg0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0
eth0\t00000000\t090200C0\t0003\t0\t0\t0\t00000080\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
eth0
"""
NONE = "0" * 32
IPV6_ROUTES = f"""\
fd{"0" * 30} 40 {NONE} 00 {NONE} 00000100 00000001 00000000 00000001     eth0
{NONE} 00 {NONE} 00 fd{"0" * 29}1 00000400 00000003 00000000 00000003     eth0
{NONE} 00 {NONE} 00 fe80{"0" * 27}1 00000400 00000003 00000000 00450003     eth1
{NONE} 00 {NONE} 00 fe80{"0" * 26} 00000400 00000003 00000000 00450003     eth1
{NONE} 00 {NONE} 00 {NONE} ffffffff 00000001 00000000 00200200       lo
"""
ADDRESSES = f"""\
fd{"0" * 29}2 02 40 00 80     eth0
{"0" * 31}1 01 80 10 80       lo
{"z" * 32} 01 80 10 80       lo
{"0" * 30} 01 80 10 80       lo
"""
NEIGHBOURS = """\
IP address       HW type     Flags       HW address            Mask     Device
192.0.2.1        0x1         0x2         02:fc:00:00:00:05     *        eth0
192.0.2.3        0x1         0x0         00:00:00:00:00:00     *        eth0
192.0.2.4        0x1         0x6         02:fc:00:00:00:06     *        eth0
192.0.2.5        0x1         0x2         02:fc:00:00:00     *        eth0
192.0.2.555      0x1         0x2         02:fc:00:00:00:07     *        eth0
"""


@pytest.fixture
def net(tmp_path: Path) -> str:
    files = {"route": ROUTES, "ipv6_route": IPV6_ROUTES, "if_inet6": ADDRESSES, "arp": NEIGHBOURS}
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="ascii")
    return str(tmp_path)


def test_default_routes_are_those_with_a_gateway(net: str) -> None:
    assert [*default_routes(net)] == [
        Route("eth0", bytes([192, 0, 2, 1])),
        Route("eth1", bytes([198, 51, 100, 1])),
        Route("eth0", bytes.fromhex(f"fd{'0' * 29}1")),
        Route("eth1", bytes.fromhex(f"fe80{'0' * 27}1")),
    ]


def test_addresses_of_ipv6_come_with_their_interfaces(net: str) -> None:
    assert [*ipv6_addresses(net)] == [
        ("eth0", bytes.fromhex(f"fd{'0' * 29}2")),
        ("lo", bytes(15) + b"\x01"),
    ]


def test_neighbours_are_those_whose_mac_address_is_known(net: str) -> None:
    assert neighbours(net) == {
        bytes([192, 0, 2, 1]): bytes.fromhex("02fc00000005"),
        bytes([192, 0, 2, 4]): bytes.fromhex("02fc00000006"),
    }


def test_files_that_are_not_there_say_nothing(tmp_path: Path) -> None:
    nowhere = str(tmp_path)
    assert [*default_routes(nowhere), *ipv6_addresses(nowhere), *neighbours(nowhere)] == []


def test_of_a_file_without_end_no_more_than_a_bound_is_read(tmp_path: Path) -> None:
    (tmp_path / "arp").symlink_to("/dev/zero")
    assert neighbours(str(tmp_path)) == {}
