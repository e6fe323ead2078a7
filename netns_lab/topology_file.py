"""Labs described in YAML:

    name: shop                # else the file's name
    quiet: true               # no ARP, no neighbour discovery: see Lab.link()
    hosts:
      client: {gateways: [192.0.2.254]}
      router: {forward: true}
      switch: {bridge: true}  # all its interfaces are ports of one bridge
    links:
      - ends:
          client: [192.0.2.1/24, 2001:db8::1/64]     # the next free ethN
          router:lan0: [192.0.2.254/24]
        mtu: 9000
        queues: 4

Every value is read as text, so that a host may be called `no`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from netns_lab import validate
from netns_lab.errors import InvalidValueError, TopologyFileError
from netns_lab.netlink import IpAddress
from netns_lab.topology import EndPlan, HostPlan, LinkPlan, Topology

T = TypeVar("T")

MAX_BYTES = 64 << 10
MAX_DEPTH = 16
MAX_HOSTS = 64
MAX_LINKS = 256
_ENDS = 2
_TRUTH = {"true": True, "false": False}


def load(path: str | os.PathLike[str]) -> tuple[str, Topology]:
    """The lab's name, and what it is made of.

    Raises TopologyFileError, with a line `FILE:LINE:COLUMN: what is wrong` for each mistake;
    OSError where the file cannot be read.
    """
    with open(path, "rb") as file:
        text = file.read(MAX_BYTES + 1)
    reader = _Reader(os.fspath(path))
    name, topology = reader.read(text)
    if reader.mistakes:
        lines = (
            f"{path}:{line}:{column}: {what}" for line, column, what in sorted(reader.mistakes)
        )
        raise TopologyFileError("\n".join(dict.fromkeys(lines)))
    return name or Path(path).stem, topology


class _Reader:
    """Walks the nodes of a document, whose marks say where each mistake is."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.mistakes: list[tuple[int, int, str]] = []

    def read(self, text: bytes) -> tuple[str | None, Topology]:
        nothing = Topology((), ())
        root = self._compose(text)
        if root is None:
            return None, nothing
        fields = self._fields(root, "name", "quiet", "hosts", "links", required=("hosts",))
        name = self._checked(fields.get("name"), validate.lab_name)
        quiet = self._truth(fields.get("quiet"), default=True)
        hosts = [self._host(*each) for each in self._items(fields.get("hosts"))]
        taken = {host.name: set[str]() for host in hosts}
        described = [self._link(node, taken) for node in self._list(fields.get("links"))]
        links = [each for each in described if each]
        self._limit(fields.get("hosts"), len(hosts), MAX_HOSTS, "hosts")
        self._limit(fields.get("links"), len(described), MAX_LINKS, "links")
        topology = Topology(tuple(hosts), tuple(links), quiet)
        if not self.mistakes:
            self._check_whole(fields, topology)
        return name, topology

    def _compose(self, text: bytes) -> Node | None:
        try:
            if len(text) > MAX_BYTES:
                raise yaml.YAMLError(f"longer than {MAX_BYTES >> 10} KiB")
            depth = 0
            for event in yaml.parse(text, yaml.SafeLoader):
                if isinstance(event, yaml.AliasEvent):
                    self._at(event.start_mark, "aliases are not understood")
                depth += isinstance(event, yaml.CollectionStartEvent)
                depth -= isinstance(event, yaml.CollectionEndEvent)
                if depth > MAX_DEPTH:  # reading on would take time quadratic in the depth
                    self._at(event.start_mark, "nested too deeply")
                    break
            root: Node | None = None if self.mistakes else yaml.compose(text, yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            self._at(error.problem_mark or error.context_mark, error.problem or str(error))
            return None
        except (yaml.YAMLError, UnicodeError) as error:
            self.mistakes.append((1, 1, str(error).splitlines()[0]))
            return None
        if root is None and not self.mistakes:
            self.mistakes.append((1, 1, "empty; it needs hosts and links"))
        return root

    def _host(self, key: ScalarNode, node: Node) -> HostPlan:
        fields = {} if _is_null(node) else self._fields(node, "gateways", "forward", "bridge")
        gateways: list[IpAddress] = []
        for each in self._list(fields.get("gateways")):
            address = self._checked(each, validate.ip_address)
            if address and any(address.version == other.version for other in gateways):
                self._wrong(each, f"a second gateway for IPv{address.version}")
            elif address:
                gateways.append(address)
        forward = self._truth(fields.get("forward"), default=False)
        bridge = self._truth(fields.get("bridge"), default=False)
        if bridge and (forward or gateways):
            self._wrong(key, f"{key.value}: a bridge neither forwards nor has gateways")
        self._checked(key, validate.lab_host_name)
        return HostPlan(key.value, tuple(gateways), forward, bridge)

    def _link(self, node: Node, taken: dict[str, set[str]]) -> LinkPlan | None:
        fields = self._fields(node, "ends", "mtu", "queues", required=("ends",))
        mtu = self._number(fields.get("mtu"))
        mtu = validate.DEFAULT_MTU if mtu is None else mtu
        queues = self._number(fields.get("queues"))
        items = list(self._items(fields.get("ends")))
        ends = [self._end(key, value, taken) for key, value in items]
        addresses = [address for end in ends if end for address in end.addresses]
        self._checked(fields.get("mtu", node), lambda _: validate.mtu_for(mtu, addresses))
        self._checked(fields.get("queues"), lambda _: validate.queues(queues))
        if "ends" in fields and len(items) != _ENDS:
            self._wrong(fields["ends"], f"a link has 2 ends, not {len(items)}")
        made = [end for end in ends if end]
        return LinkPlan(made[0], made[1], mtu, queues) if len(made) == len(items) == _ENDS else None

    def _end(self, key: ScalarNode, node: Node, taken: dict[str, set[str]]) -> EndPlan | None:
        host, _, interface = key.value.partition(":")
        found = [self._checked(each, validate.ip_interface) for each in self._list(node)]
        if host not in taken:
            self._wrong(key, f"{host}: no such host")
            return None
        if not interface:
            interface = next(name for n in count() if (name := f"eth{n}") not in taken[host])
        elif self._checked(key, lambda _: validate.interface_name(interface)) is None:
            return None
        if interface in taken[host]:
            self._wrong(key, f"{host}:{interface}: is an end of a link already")
        taken[host].add(interface)
        return EndPlan(host, interface, tuple(each for each in found if each))

    def _check_whole(self, fields: dict[str, Node], topology: Topology) -> None:
        """What only all of it together can tell."""
        joined = {host.name: host.name for host in topology.hosts if host.bridge}

        def root(name: str) -> str:
            return name if joined[name] == name else root(joined[name])

        for node, link in zip(self._list(fields.get("links")), topology.links, strict=True):
            bridges = [end.host for end in link.ends if end.host in joined]
            for end in link.ends:
                if end.addresses and end.host in joined:
                    self._wrong(node, f"{end.host} is a bridge: its ends have no addresses")
            if len(bridges) == _ENDS:
                one, other = map(root, bridges)
                if one == other:
                    self._wrong(node, "closes a loop of bridges, in which frames would never end")
                joined[one] = other
        for (key, _), host in zip(self._items(fields["hosts"]), topology.hosts, strict=True):
            near = [a.network for _, end, _ in topology.links_of(host.name) for a in end.addresses]
            for gateway in host.gateways:
                if not any(gateway in network for network in near):
                    self._wrong(key, f"{host.name}: gateway {gateway} is in no network of its own")
            if host.bridge and "br0" in {
                end.interface for _, end, _ in topology.links_of(host.name)
            }:
                self._wrong(key, f"{host.name}: br0 is the bridge itself")

    # Values

    def _fields(self, node: Node, *known: str, required: tuple[str, ...] = ()) -> dict[str, Node]:
        fields = {}
        for key, value in self._items(node):
            if key.value in known:
                fields[key.value] = value
            else:
                self._wrong(key, f"{key.value}: unknown; known here: {', '.join(known)}")
        for name in required:
            if name not in fields and isinstance(node, MappingNode):
                self._wrong(node, f"{name}: is missing")
        return fields

    def _items(self, node: Node | None) -> Iterator[tuple[ScalarNode, Node]]:
        if node is None:
            return
        if not isinstance(node, MappingNode):
            self._wrong(node, "expected a mapping, as in `key: value`")
            return
        seen = set()
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self._wrong(key, "expected a word as key")
            elif key.value in seen:
                self._wrong(key, f"{key.value}: is here twice")
            else:
                seen.add(key.value)
                yield key, value

    def _list(self, node: Node | None) -> list[Node]:
        if node is None or _is_null(node):
            return []
        if not isinstance(node, SequenceNode):
            self._wrong(node, "expected a list, as in [one, another]")
            return []
        return list(node.value)

    def _truth(self, node: Node | None, *, default: bool) -> bool:
        if node is None:
            return default
        if not isinstance(node, ScalarNode) or node.value not in _TRUTH:
            self._wrong(node, "expected true or false")
            return default
        return _TRUTH[node.value]

    def _number(self, node: Node | None) -> int | None:
        if node is None:
            return None
        if not isinstance(node, ScalarNode) or not re.fullmatch("[0-9]{1,9}", node.value):
            self._wrong(node, "expected a number")
            return None
        return int(node.value)

    def _checked(self, node: Node | None, check: Callable[[str], T]) -> T | None:
        """What `check` makes of a node's text, or None after a mistake."""
        if node is None:
            return None
        try:
            return check(node.value if isinstance(node, ScalarNode) else "")
        except InvalidValueError as error:
            self._wrong(node, str(error))
            return None

    def _limit(self, node: Node | None, number: int, most: int, what: str) -> None:
        if node is not None and number > most:
            self._wrong(node, f"{number} {what}: at most {most}")

    def _wrong(self, node: Node, what: str) -> None:
        self._at(node.start_mark, what)

    def _at(self, mark: Any, what: str) -> None:
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        self.mistakes.append((line, column, what))


def _is_null(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.tag == "tag:yaml.org,2002:null"
