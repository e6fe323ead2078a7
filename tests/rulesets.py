"""Hypothesis strategies of rules and rulesets as documents: what `yaml.safe_load` makes of a file.

Only of rules that can match, with values that aim at the edges of what there is.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

from hypothesis import strategies as st

SETS = ("small", "both", "none")

_TEXT = "ABCxyz019._-"
names = st.text(_TEXT, min_size=1, max_size=12)


def numbers(most: int, words: tuple[str, ...] = ()) -> st.SearchStrategy[Any]:
    number = st.one_of(st.sampled_from([0, 1, most - 1, most]), st.integers(0, most))
    pair = st.tuples(number, number).map(lambda each: f"{min(each)}-{max(each)}")
    return st.one_of(number, number.map(hex), pair, *([st.sampled_from(words)] if words else []))


_v4 = st.one_of(st.sampled_from([0, 2**32 - 1, 0xC0000201]), st.integers(0, 2**32 - 1))
_v6 = st.one_of(st.sampled_from([0, 1, 2**128 - 1, 0x20010DB8 << 96]), st.integers(0, 2**128 - 1))


def addresses(version: int) -> st.SearchStrategy[str]:
    number, bits, network = (_v4, 32, IPv4Network) if version == 4 else (_v6, 128, IPv6Network)
    single = number.map(lambda each: str(network((each, bits))[0]))  # type: ignore[arg-type]
    prefix = st.builds(
        lambda each, length: str(network((each, length), strict=False)),  # type: ignore[arg-type]
        number,
        st.integers(0, bits),
    )
    pair = st.tuples(single, single).map(lambda each: "-".join(sorted(each, key=_number)))
    return st.one_of(single, prefix, pair)


def _number(text: str) -> int:
    return int(ip_address(text))


_flags = st.sampled_from(["syn", "syn/syn,ack", "0/syn,ack", "syn,fin/syn,fin", "0x02/0xff", "rst"])
_macs = st.one_of(st.just("ff:ff:ff:ff:ff:ff"), st.integers(0, 2**48 - 1).map(
    lambda number: number.to_bytes(6, "big").hex(":")
))  # fmt: skip
_icmp = st.one_of(
    numbers(255),
    st.sampled_from(["echo-request", "3/4", "*/3", "*", "destination-unreachable/1", "0-255/9"]),
)


def _condition(value: st.SearchStrategy[Any], *, negatable: bool = True) -> st.SearchStrategy[Any]:
    either = st.one_of(value, st.lists(value, min_size=1, max_size=4))
    return st.one_of(either, st.fixed_dictionaries({"not": either})) if negatable else either


def _excludes_all(condition: Any, most: int) -> bool:
    """Whether it is negated and leaves no number from 0 to `most`: it never matches, a mistake."""
    if not isinstance(condition, dict):
        return False
    values = condition["not"] if isinstance(condition["not"], list) else [condition["not"]]
    lowest_left = 0
    for first, last in sorted(map(_span, values)):
        if first <= lowest_left:
            lowest_left = max(lowest_left, last + 1)
    return lowest_left > most


def _span(value: int | str) -> tuple[int, int]:
    first, _, last = str(value).partition("-")
    return int(first, 0), int(last or first, 0)


_port = _condition(numbers(65535)).filter(lambda each: not _excludes_all(each, 65535))
_byte = _condition(numbers(255).filter(lambda each: each != "0-255"), negatable=False)

_ANY_FRAME = {
    "length": _condition(numbers(65535), negatable=False),
    "vlan": st.one_of(_condition(numbers(4095, ("none",)), negatable=False), st.just({"not": 10})),
    "src_mac": _condition(_macs),
    "dst_mac": _condition(_macs),
}
_ANY_PACKET = {
    "ttl": _byte,
    "dscp": _condition(numbers(63, ("ef", "cs1", "af41")), negatable=False),
}
_PORTS = {"sport": _port, "dport": _port}
_TCP = st.sampled_from(["tcp", 6, [6, 17]])
_ICMP = st.sampled_from(["icmp", "icmpv6", {"not": 6}])
_FRAGMENT = st.sampled_from(["no", "first", "later", ["no", "later"], {"not": "no"}])
_SHAPES: list[dict[str, st.SearchStrategy[Any]]] = [
    {"ethertype": _condition(numbers(65535, ("arp", "mpls")), negatable=False)},
    {**_ANY_PACKET, "proto": _byte},
    {**_ANY_PACKET, **_PORTS},
    {**_ANY_PACKET, **_PORTS, "proto": _TCP, "flags": _condition(_flags)},
    {**_ANY_PACKET, **_PORTS, "proto": st.just({"not": ["tcp", "icmp"]})},
    {**_ANY_PACKET, "icmp": _condition(_icmp), "proto": _ICMP},
    {**_ANY_PACKET, "icmp": _condition(_icmp)},
    {**_ANY_PACKET, "fragment": _FRAGMENT},
]  # fmt: skip


@st.composite
def rules(draw: st.DrawFn) -> dict[str, Any]:
    """A rule without a name."""
    shape = draw(st.sampled_from(_SHAPES))
    if "ethertype" not in shape:
        version = draw(st.sampled_from([4, 6]))
        address = st.one_of(addresses(version), st.sampled_from([f"@{each}" for each in SETS]))
        condition = _condition(address.filter(lambda each: not each.endswith("/0")))
        shape = {**shape, "src": condition, "dst": condition}
    shape = {**_ANY_FRAME, **shape}
    chosen = draw(st.lists(st.sampled_from(sorted(shape)), unique=True, max_size=5))
    rule = {"action": draw(st.sampled_from(["drop", "pass"]))}
    rule |= {field: draw(shape[field]) for field in chosen}
    if draw(st.integers(0, 9)) == 0:
        rule["expires"] = draw(
            st.sampled_from(["10m", "2026-11-21T12:00:00Z", "1970-01-01T00:00:00Z"])
        )
    return rule


@st.composite
def documents(draw: st.DrawFn, max_rules: int = 8) -> dict[str, Any]:
    """A whole file, with the sets that rules name."""
    each = draw(st.lists(rules(), max_size=max_rules))
    given = draw(st.lists(names, unique=True, min_size=len(each), max_size=len(each)))
    named = [
        {**rule, **({"name": name} if draw(st.booleans()) else {})}
        for rule, name in zip(each, given, strict=True)
    ]
    prefixes = st.one_of(addresses(4), addresses(6))
    document = {
        "sets": {
            "small": draw(st.lists(addresses(4), max_size=3)),
            "both": draw(st.lists(prefixes, max_size=8)),
            "none": [],
        },
        "rules": named,
    }
    for key in ("default", "malformed"):
        document |= draw(st.sampled_from([{}, {key: "drop"}, {key: "pass"}]))
    return document | draw(st.one_of(st.just({}), names.map(lambda name: {"name": name})))
