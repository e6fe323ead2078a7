"""`xdpctl lab up` and `list`, and the names of hosts and interfaces: real networks, told as they
are."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.lab.conftest import XDPCTL
from tests.lab.private_labs import Done, PrivateLabs, one_line, reaches
from tests.packets import IPV4, UDP, eth, ipv4

FILE = """\
name: office
hosts:
  client: {gateways: [192.0.2.254, "2001:db8::fe"]}
  server: {gateways: [198.51.100.254, "2001:db8:1::fe"]}
  router: {forward: true}
  switch: {bridge: true}
  island:
links:
  - ends: {client: [192.0.2.1/24, "2001:db8::1/64"], switch: []}
  - ends: {switch: [], "router:lan": [192.0.2.254/24, "2001:db8::fe/64"]}
  - ends:
      "router:wan": [198.51.100.254/24, "2001:db8:1::fe/64"]
      server: [198.51.100.1/24, "2001:db8:1::1/64"]
    mtu: 9000
    queues: 3
"""
ISLANDS = """\
hosts: {a: , b: , c: , d: }
links:
  - ends: {a: [192.0.2.1/24], b: [192.0.2.2/24]}
  - ends: {c: [198.51.100.1/24], d: [198.51.100.2/24]}
"""
LOCAL = 'hosts: {a: , b: }\nlinks: [{ends: {a: ["fe80::1/64"], b: ["fe80::2/64"]}}]\n'
LOOP = 'hosts: {a: }\nlinks: [{ends: {a: [192.0.2.1/24], "a:far": [192.0.2.2/24]}}]\n'

# Who reaches whom, by the addresses that README.md and the file give.
WHOM = {
    "pair": [("a", "b", "192.0.2.2"), ("b", "a", "2001:db8::1"), ("a", "b", "2001:db8::2")],
    "bridge": [
        (source, target, f"{network}{'abcd'.index(target) + 1}")
        for source, target in itertools.permutations("abcd", 2)
        for network in ("192.0.2.", "2001:db8::")
    ],
    "routed": [
        ("a", "b", "198.51.100.1"), ("b", "a", "192.0.2.1"),
        ("a", "b", "2001:db8:1::1"), ("b", "a", "2001:db8::1"),
    ],
    "file": [
        ("client", "server", "198.51.100.1"), ("server", "client", "192.0.2.1"),
        ("client", "server", "2001:db8:1::1"), ("server", "client", "2001:db8::1"),
    ],
}  # fmt: skip


def up(labs: PrivateLabs, kind: str, tmp_path: Path, *options: str) -> tuple[str, Done]:
    """Makes a lab of that kind: its name, and what was printed."""
    (tmp_path / "office.yaml").write_text(FILE)
    what = {"file": [str(tmp_path / "office.yaml")], "bridge": ["bridge", "--hosts", "4"]}
    return {"file": "office"}.get(kind, kind), labs.lab("up", *what.get(kind, [kind]), *options)


def tried(labs: PrivateLabs, printed: str, cwd: Path) -> list[Done]:
    """Runs the commands that `lab up` printed, as they stand."""
    commands = [line.strip() for line in printed.partition("try:\n")[2].splitlines()]
    assert len(commands) == 3
    return [
        subprocess.run(
            labs.command("bash", "-c", each, cwd=cwd), capture_output=True, text=True, check=False
        )
        for each in commands
    ]


@pytest.mark.parametrize("kind", WHOM)
def test_the_printed_commands_work_as_they_stand_and_hosts_reach_each_other(
    labs: PrivateLabs, tmp_path: Path, kind: str
) -> None:
    lab, done = up(labs, kind, tmp_path)
    results = tried(labs, done.stdout, tmp_path)
    assert [each.returncode for each in results] == [0, 0, 0], results
    (total,) = [line.split() for line in results[2].stdout.splitlines() if line.startswith("all ")]
    assert int(total[1]) > 0
    for source, target, address in WHOM[kind]:
        assert reaches(labs.host(f"{lab}/{source}"), labs.host(f"{lab}/{target}"), address)


def test_hosts_of_a_chatty_lab_find_each_other(labs: PrivateLabs, tmp_path: Path) -> None:
    lab, done = up(labs, "file", tmp_path, "--chatty")
    assert "quiet" not in done.stdout
    assert [each.returncode for each in tried(labs, done.stdout, tmp_path)] == [0, 0, 0]
    for source, target, address in WHOM["file"]:
        hosts = labs.host(f"{lab}/{source}"), labs.host(f"{lab}/{target}")
        assert reaches(*hosts, address, at_once=False)


def test_commands_to_try_are_of_hosts_that_reach_each_other(
    labs: PrivateLabs, tmp_path: Path
) -> None:
    (tmp_path / "islands.yaml").write_text(ISLANDS)
    results = tried(labs, labs.lab("up", str(tmp_path / "islands.yaml")).stdout, tmp_path)
    assert "\nudp " in results[2].stdout or "\nicmp " in results[2].stdout
    for name, text in {"local": LOCAL, "loop": LOOP}.items():
        (tmp_path / name).write_text(text)
        results = tried(labs, labs.lab("up", str(tmp_path / name)).stdout, tmp_path)
        assert results[2].stdout == f"lab {name}: down\n"


def test_links_are_as_the_file_says_and_carry_nothing_of_their_own(
    labs: PrivateLabs, tmp_path: Path
) -> None:
    up(labs, "file", tmp_path)
    for host, interface in (("client", "eth0"), ("switch", "eth0"), ("router", "wan")):
        (link,) = labs.ip(f"office/{host}", "-s", "link", "show", interface)
        assert (link["stats64"]["rx"]["packets"], link["stats64"]["tx"]["packets"]) == (0, 0)

    for host, interface, mtu in (
        ("router", "wan", 9000), ("server", "eth0", 9000),
        ("router", "lan", 1500), ("switch", "br0", 1500),
    ):  # fmt: skip
        (link,) = labs.ip(f"office/{host}", "link", "show", interface)
        assert link["mtu"] == mtu
        if mtu == 9000:
            assert (link["num_tx_queues"], link["num_rx_queues"]) == (3, 3)


def test_list_agrees_with_the_kernel(labs: PrivateLabs, tmp_path: Path) -> None:
    lab, _ = up(labs, "file", tmp_path)
    (document,) = labs.json("lab", "list")
    shown = labs.lab("list").stdout
    assert document["lab"] == lab
    assert [each["netns"] for each in document["hosts"]] == labs.names
    for host in document["hosts"]:
        assert (host["alive"], host["processes"]) == (True, [])
        kernel = labs.ip(f"{lab}/{host['host']}", "address")
        assert [each["interface"] for each in host["interfaces"]] == [
            each["ifname"] for each in kernel if each["ifname"] != "lo"
        ]
        by_index = {each["ifindex"]: each for each in kernel}
        for port in host["interfaces"]:
            assert_is(port, by_index[port["ifindex"]])
            assert f"  {host['host']}:{port['interface']} " in shown
            for address in port["addresses"]:
                assert address in shown


def assert_is(port: dict[str, Any], link: dict[str, Any]) -> None:
    assert port["interface"] == link["ifname"]
    assert port["mac"] == link["address"]
    assert port["mtu"] == link["mtu"]
    assert port["rx_queues"] == link["num_rx_queues"]
    assert port["tx_queues"] == link["num_tx_queues"]
    assert port["up"] is ("UP" in link["flags"])
    assert port["bridge"] == link.get("master")
    assert port["addresses"] == [f"{a['local']}/{a['prefixlen']}" for a in link["addr_info"]]
    assert (port["peer"] is None) is ("link_index" not in link)


def test_cables_are_told_by_both_ends(labs: PrivateLabs, tmp_path: Path) -> None:
    (tmp_path / "loop").write_text(LOOP)
    up(labs, "file", tmp_path)
    labs.lab("up", str(tmp_path / "loop"))
    peers = {
        f"{each['lab']}/{host['host']}:{port['interface']}": port["peer"]
        for each in labs.json("lab", "list")
        for host in each["hosts"]
        for port in host["interfaces"]
    }
    assert peers == {
        "loop/a:eth0": "a:far",
        "loop/a:far": "a:eth0",
        "office/client:eth0": "switch:eth0",
        "office/switch:eth0": "client:eth0",
        "office/switch:eth1": "router:lan",
        "office/switch:br0": None,
        "office/router:lan": "switch:eth1",
        "office/router:wan": "server:eth0",
        "office/server:eth0": "router:wan",
    }


def test_up_as_json_is_list_and_what_to_try(labs: PrivateLabs) -> None:
    made = labs.json("lab", "up", "routed", "--name", "r")
    (listed,) = labs.json("lab", "list")
    assert [each.split(" -m xdpctl ")[1].split()[0] for each in made.pop("try")] == [
        "attach", "lab", "stats",
    ]  # fmt: skip
    assert made == listed
    assert labs.json("lab", "down") == [{"lab": "r", "hosts": ["a", "b", "router"], "ended": []}]
    assert labs.json("lab", "list") == labs.json("lab", "down", "--all") == []


def test_a_lab_of_a_name_in_use_is_refused_and_the_first_is_untouched(labs: PrivateLabs) -> None:
    labs.lab("up", "bridge", "--name", "mine")
    before = labs.json("lab", "list")
    for what in ("bridge", "pair"):
        refused = one_line(labs.run("lab", "up", what, "--name", "mine"), 3)
        assert refused == "mine: a lab of that name is up"
    assert labs.json("lab", "list") == before


def test_two_labs_do_not_meet(labs: PrivateLabs) -> None:
    """Nor does a switch drop what it should not even look at: the IPv4 checksum is wrong."""
    for name in ("one", "two"):
        labs.lab("up", "bridge", "--hosts", "2", "--name", name)
    with labs.host("two/b").capture("eth0") as other, labs.host("one/b").capture("eth0") as capture:
        macs = bytes.fromhex("020000000003 020000000001")  # of b's and a's only ports
        packet = eth(IPV4, ipv4(17, UDP))[12:]
        frames = [macs + packet, b"\xff" * 6 + macs[6:] + packet]
        labs.host("one/a").send("eth0", frames)
        assert capture.wait(2) == frames
        assert reaches(labs.host("one/a"), labs.host("one/b"), "192.0.2.2")
        assert other.packets == []


def test_an_interface_is_named_by_its_host_in_every_command(labs: PrivateLabs) -> None:
    for name in ("one", "two"):
        labs.lab("up", "--name", name)
    labs.lab("up", "routed")
    assert labs.json("attach", "one/a:eth0")[0]["netns"] == "xdpctl-lab.one.a"
    assert len(labs.json("attach", "router:eth0", "router:eth1")) == 2
    tell_and_count(labs)
    assert labs.json("histogram", "one/a:eth0")["sizes"] == [{"from": 0, "to": 63, "packets": 1}]
    (row,) = labs.json("status", "one/a:eth0")
    assert (row["netns"], row["packets"]) == ("xdpctl-lab.one.a", 1)
    assert labs.json("stats", "eth0", "--netns", "xdpctl-lab.one.a")["packets"] == 1
    assert labs.json("stats", "one/a:eth0", "-n", "xdpctl-lab.one.a")["packets"] == 1
    assert labs.run("stats", "two/a:eth0").returncode == 3
    assert labs.json("detach", "one/a:eth0")[0]["packets"] == 1
    assert len(labs.json("detach", "router:eth0", "router:eth1")) == 2


def tell_and_count(labs: PrivateLabs) -> None:
    assert reaches(labs.host("one/b"), labs.host("one/a"), "192.0.2.1")
    assert labs.json("stats", "one/a:eth0")["protocols"] == [
        {"protocol": "udp", "number": 17, "packets": 1, "bytes": 14 + 20 + 8 + len(b"hello")}
    ]


def test_traffic_is_for_a_host_of_the_senders_lab(labs: PrivateLabs) -> None:
    for name, hosts in (("one", "2"), ("two", "3")):
        labs.lab("up", "bridge", "--name", name, "--hosts", hosts)
    send = ("lab", "send", "one/b", "udp", "--count", "10", "--to")
    for to in ("a", "one/a"):
        assert labs.json(*send, to)["packets"] == 10
    wrong = {
        "c": (3, "one/c: no lab has such a host"),
        "b": (2, "one/b: the sender itself"),
        "two/a": (2, "two/a: not in the lab of one/b"),
        "two/c": (2, "two/c: not in the lab of one/b"),
        "three/a": (3, "three/a: no lab has such a host"),
    }
    for done, (code, message) in zip(
        labs.run_each((*send, to) for to in wrong), wrong.values(), strict=True
    ):
        assert one_line(done, code).startswith(message)
    words = {"COMP_WORDS": "xdpctl lab send one/b udp --to ", "COMP_CWORD": "6"}
    completed = labs.run(env=os.environ | words | {"_XDPCTL_COMPLETE": "bash_complete"})
    assert completed.stdout.splitlines() == [f"plain,{each}" for each in ("a", "b", "c", "switch")]


def test_names_that_mean_nothing_or_too_much_are_told(labs: PrivateLabs) -> None:
    labs.lab("up", "--name", "one")
    labs.lab("up", "routed", "--name", "two")
    cases: list[tuple[tuple[str, ...], int, str]] = [
        (("stats", "a:eth0"), 2, "a: in several labs: one/a, two/a"),
        (("lab", "exec", "a", "--", "true"), 2, "a: in several labs: one/a, two/a"),
        (("stats", "c:eth0"), 3, "c: no lab has such a host"),
        (("stats", "one/router:eth0"), 3, "one/router: no lab has such a host"),
        (("stats", "router:eth9"), 3, "eth9: no such interface"),
        (("stats", "router:"), 2, "router:: an interface of a lab is HOST:IFACE, as in a:eth0"),
        (("attach", ":eth0"), 2, ":eth0: an interface of a lab is HOST:IFACE, as in a:eth0"),
        (("lab", "down"), 2, "several labs are up: one, two"),
        (("lab", "down", "three"), 3, "three: no such lab"),
        (("lab", "down", "one", "--all"), 2, "name a lab, or say --all"),
        (("lab", "up", "--name", "../x"), 2, "'../x': a lab's name is up to 31 letters, digits, "),
        (("lab", "up", "bridge", "--hosts", "27"), 2, "27 hosts: not in 2..26"),
        (("lab", "up", "/nowhere.yaml"), 2, "/nowhere.yaml: no such file"),
        (("lab", "up", "/"), 2, "/: Is a directory"),
        (("lab", "up", "/dev/zero"), 2, "/dev/zero:1:1: longer than 64 KiB"),
        (
            ("attach", "one/a:eth0", "one/b:eth0"),
            2,
            "one/a:eth0, one/b:eth0: the interfaces of one command must lie in one network",
        ),
        (
            ("stats", "one/a:eth0", "--netns", "xdpctl-lab.one.b"),
            2,
            "one/a:eth0: the interfaces with --netns xdpctl-lab.one.b must lie in one network",
        ),
    ]
    results = labs.run_each(words for words, _, _ in cases)
    for done, (_, code, expected) in zip(results, cases, strict=True):
        assert one_line(done, code).startswith(expected)
    assert labs.json("status", "-n", "xdpctl-lab.one.a") == []


def test_errors_are_json_where_that_is_asked_for(labs: PrivateLabs) -> None:
    labs.lab("up")
    cases = {
        ("up",): 3, ("up", "/nowhere"): 2, ("down", "x"): 3, ("exec", "x", "y"): 3,
        ("shell", "x"): 3, ("send", "a", "nosuch"): 2, ("capture", "a", "x", "-w", "/"): 3,
    }  # fmt: skip
    results = labs.run_each(("lab", words[0], "--json", *words[1:]) for words in cases)
    for done, code in zip(results, cases.values(), strict=True):
        assert (done.returncode, done.stdout) == (code, "")
        error = json.loads(done.stderr)
        assert error["exit_code"] == code
        assert error.keys() <= {"error", "exit_code", "hint"}
    # An option of the command on the host is not one of ours.
    done = labs.run("lab", "exec", "a", "--", "no-such-command", "--json")
    assert done.stderr == "xdpctl: no-such-command: no such command\n"


def test_list_keeps_to_80_columns_and_colours_nothing(labs: PrivateLabs, tmp_path: Path) -> None:
    long = "a-name-of-31-letters-and-digits"
    assert len(long) == 31
    text = FILE.replace("client", long).replace("[192.0.2.1/24,", "[192.0.2.1/24, 192.0.2.9/24,")
    (tmp_path / "long.yaml").write_text(text.replace("name: office", f"name: {long}"))
    made = labs.lab("up", str(tmp_path / "long.yaml"), "--chatty").stdout.partition("try:")[0]
    for output in (made, labs.lab("list", env=os.environ | {"FORCE_COLOR": "1"}).stdout):
        assert max(map(len, output.splitlines())) <= 80
        assert "\x1b" not in output
        assert f"{long}:eth0" in output
        assert " - switch:eth0" in output


def test_control_characters_do_not_reach_the_terminal(labs: PrivateLabs) -> None:
    labs.lab("up")
    host = labs.host("pair/a")
    for name in ("e\x1b[31m\x07", os.fsdecode(b"\xff\xfe\x9b")):
        host.run(["ip", "link", "add", name, "type", "veth", "peer", "name", name[::-1]])
    naming = "import sys; open('/proc/self/comm', 'w').write('x\\x1b[2J\\ny'); sys.stdin.read()"
    with host.popen([sys.executable, "-c", naming], stdin=subprocess.PIPE) as process:
        comm = Path(f"/proc/{process.pid}/comm")
        while "y" not in comm.read_text():
            assert process.poll() is None
        outputs = [labs.lab("list").stdout, labs.run("lab", "down").stderr]
        assert len(labs.json("lab", "list")[0]["hosts"][0]["interfaces"]) == 5
        outputs.append(labs.lab("down", "--kill").stdout)
    assert outputs[2] == f"lab pair: down; ended {process.pid} (x?[2J?y)\n"
    assert all(char.isprintable() or char == "\n" for output in outputs for char in output)


def test_the_machines_own_network_stays_as_it_was(tmp_path: Path) -> None:
    """In the /run/netns that everybody sees, as is the rule."""
    lab = f"test-{os.getpid()}"
    tables = ("link", "addr", "route")

    def state() -> list[Any]:
        found = [
            json.loads(subprocess.run(["ip", "-j", table], capture_output=True, check=True).stdout)
            for table in tables
        ]
        for address in (each for link in found[1] for each in link["addr_info"]):
            del address["valid_life_time"], address["preferred_life_time"]  # they count down
        return found

    before = state()
    (tmp_path / f"{lab}.yaml").write_text(FILE.replace("name: office\n", ""))
    try:
        for what in ("bridge", str(tmp_path / f"{lab}.yaml")):
            subprocess.run([*XDPCTL, "lab", "up", what, "--name", lab], check=True)
            assert state() == before
            found = subprocess.run(["ip", "netns"], capture_output=True, text=True, check=True)
            assert f"xdpctl-lab.{lab}." in found.stdout
            subprocess.run([*XDPCTL, "lab", "down", lab], check=True)
            assert state() == before
    finally:
        subprocess.run([*XDPCTL, "lab", "down", lab], check=False, capture_output=True)
    assert not list(Path("/run/netns").glob(f"xdpctl-lab.{lab}.*"))
