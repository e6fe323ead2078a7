"""Each value of each field: what it means, and what is said of it when it is wrong."""

from __future__ import annotations

import pytest

from xdpctl.rules.fields import FIELDS
from xdpctl.rules.model import (
    Addresses,
    Flags,
    Fragment,
    Fragments,
    Icmp,
    Macs,
    Numbers,
    as_written,
    merged,
)
from xdpctl.rules.spelling import closest
from xdpctl.rules.times import expiry_text, parse_expiry
from xdpctl.rules.values import BadValue, quoted

ANY = (0, 255)


@pytest.mark.parametrize(
    ("field", "text", "ranges"),
    [
        ("dport", "0", (0, 0)),
        ("dport", "65535", (65535, 65535)),
        ("dport", "6000-6063", (6000, 6063)),
        ("dport", "6000 - 6063", (6000, 6063)),
        ("dport", "0x16", (22, 22)),
        ("dport", "0X1F-0xff", (31, 255)),
        ("sport", "0-65535", (0, 65535)),
        ("proto", "tcp", (6, 6)),
        ("proto", "UDP", (17, 17)),
        ("proto", "icmp", (1, 1)),
        ("proto", "ipv6-icmp", (58, 58)),
        ("proto", "icmpv6", (58, 58)),
        ("proto", "tp++", (39, 39)),
        ("proto", "a/n", (107, 107)),
        ("proto", "253-254", (253, 254)),
        ("ethertype", "ipv4", (0x800, 0x800)),
        ("ethertype", "IP6", (0x86DD, 0x86DD)),
        ("ethertype", "arp", (0x806, 0x806)),
        ("ethertype", "0x88cc", (0x88CC, 0x88CC)),
        ("ethertype", "mpls", (0x8847, 0x8848)),
        ("ethertype", "0-1500", (0, 1500)),
        ("dscp", "ef", (46, 46)),
        ("dscp", "cs0", (0, 0)),
        ("dscp", "CS7", (56, 56)),
        ("dscp", "af11", (10, 10)),
        ("dscp", "af43", (38, 38)),
        ("dscp", "63", (63, 63)),
        ("ttl", "255", (255, 255)),
        ("vlan", "4095", (4095, 4095)),
        ("length", "1500-65535", (1500, 65535)),
    ],
)
def test_number_is_read(field: str, text: str, ranges: tuple[int, int]) -> None:
    assert FIELDS[field].condition([text]) == Numbers(ranges=(ranges,))


@pytest.mark.parametrize(
    ("field", "text", "message"),
    [
        ("dport", "65536", '"65536" is outside 0-65535'),
        ("dport", "20-10", '"20-10" is an empty range: did you mean 10-20?'),
        ("dport", "22:23", '"22:23" is not a range: did you mean "22-23"?'),
        ("dport", "1_000", '"1_000" is not a number or a range such as "6000-6063"'),
        ("dport", "010", '"010" has a leading zero, which some read as octal'),
        ("dport", "-1", '"-1" is not a number or a range such as "6000-6063"'),
        ("dport", "ssh", '"ssh" is not a number or a range such as "6000-6063"'),
        ("dport", "1e3", '"1e3" is not a number or a range such as "6000-6063"'),
        ("dport", "22,23", '"22,23" is not a number or a range such as "6000-6063"'),
        ("dport", "²", '"²" is not a number or a range such as "6000-6063"'),
        ("dport", "9" * 99, f'"{"9" * 59}…" is not a number or a range such as "6000-6063"'),
        ("dport", "a\nb", '"a\\nb" is not a number or a range such as "6000-6063"'),
        ("ttl", "256", '"256" is outside 0-255'),
        ("dscp", "64", '"64" is outside 0-63'),
        ("dscp", "af14", '"af14" is neither a number nor a keyword: did you mean "af11"?'),
        ("vlan", "4096", '"4096" is outside 0-4095'),
        ("vlan", "null", '"null" is not a number or a range such as "6000-6063"'),
        ("proto", "tpc", '"tpc" is neither a number nor a keyword: did you mean "tcp"?'),
        ("proto", "tcp-udp", '"tcp-udp" is neither a number nor a keyword'),
        ("ethertype", "0x10000", '"0x10000" is outside 0-65535'),
        ("src", "192.0.2.1/24", '"192.0.2.1/24" has host bits set: did you mean 192.0.2.0/24?'),
        ("src", "::1/64", '"::1/64" has host bits set: did you mean ::/64?'),
        ("src", "192.0.2.0/33", '"192.0.2.0/33": a prefix length of IPv4 is 0 to 32'),
        ("src", "::/129", '"::/129": a prefix length of IPv6 is 0 to 128'),
        ("src", "192.0.2.0/024", '"192.0.2.0/024": a prefix length of IPv4 is 0 to 32'),
        ("src", "192.0.2", '"192.0.2" is not an IPv4 or IPv6 address'),
        ("src", "192.0.02.1", '"192.0.02.1" is not an IPv4 or IPv6 address'),
        ("src", "example.net", '"example.net" is not an IPv4 or IPv6 address'),
        ("src", "fe80::1%eth0", '"fe80::1%eth0" is not an IPv4 or IPv6 address'),
        ("src", "192.0.2.9-192.0.2.1", '"192.0.2.9-192.0.2.1" is an empty range: did you mean '
         "192.0.2.1-192.0.2.9?"),
        ("src", "192.0.2.1-::1", '"192.0.2.1-::1" begins in IPv4 and ends in IPv6'),
        ("src", "@", '"@" is no set: a name is 1 to 63 of letters, digits and ._-'),
        ("src", "@a b", '"@a b" is no set: a name is 1 to 63 of letters, digits and ._-'),
        ("flags", "sin/syn", '"sin" is no TCP flag: did you mean "fin"?'),
        ("flags", "syn,fin", '"syn,fin" could mean all of them, "syn,fin/syn,fin", or any of them, '
         "[syn,fin]"),
        ("flags", "syn/ack", '"syn/ack" never matches: the mask leaves out a flag of the value'),
        ("flags", "0/0", '"0/0" looks at no flag'),
        ("flags", "0", '"0" needs a mask, as in "0/syn,ack": neither is set'),
        ("flags", "256/256", '"256" is outside 0-255'),
        ("flags", "/syn", '"" is no TCP flag'),
        ("icmp", "ping", '"ping" is no ICMP type'),
        ("icmp", "echo-rquest", '"echo-rquest" is no ICMP type: did you mean "echo-request"?'),
        ("icmp", "256", '"256" is outside 0-255'),
        ("icmp", "3/256", '"256" is outside 0-255'),
        ("icmp", "3/", '"" is not a number or a range such as "6000-6063"'),
        ("src_mac", "00:11:22:33:44", '"00:11:22:33:44" is not a MAC address such as '
         "02:00:00:00:00:01"),
        ("src_mac", "00:11:22-33:44:55", '"00:11:22-33:44:55" is not a MAC address such as '
         "02:00:00:00:00:01"),
        ("fragment", "none", '"none" is none of no, first and later'),
        ("fragment", "false", '"false" is none of no, first and later'),
    ],
)  # fmt: skip
def test_wrong_value_is_explained(field: str, text: str, message: str) -> None:
    with pytest.raises(BadValue) as caught:
        FIELDS[field].condition([text])
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("192.0.2.1", Addresses(ipv4=((0xC0000201, 0xC0000201),))),
        ("192.0.2.0/24", Addresses(ipv4=((0xC0000200, 0xC00002FF),))),
        ("0.0.0.0/0", Addresses(ipv4=((0, 2**32 - 1),))),
        ("192.0.2.5 - 192.0.2.9", Addresses(ipv4=((0xC0000205, 0xC0000209),))),
        ("::/0", Addresses(ipv6=((0, 2**128 - 1),))),
        ("::1-::2", Addresses(ipv6=((1, 2),))),
        ("@office", Addresses(sets=("office",))),
    ],
)
def test_address_is_read(text: str, expected: Addresses) -> None:
    assert FIELDS["src"].condition([text]) == expected
    assert FIELDS["dst"].condition([text]) == expected


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("syn", (0x02, 0x02)),
        ("syn/syn,ack", (0x02, 0x12)),
        ("0/syn,ack", (0, 0x12)),
        ("SYN , FIN / syn , fin", (0x03, 0x03)),
        ("ecn/ece", (0x40, 0x40)),
        ("0x02/0x12", (0x02, 0x12)),
        ("cwr,urg,psh,rst/255", (0x80 | 0x20 | 0x08 | 0x04, 0xFF)),
    ],
)
def test_flags_are_read(text: str, pair: tuple[int, int]) -> None:
    assert FIELDS["flags"].condition([text]) == Flags(pairs=(pair,))


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("3", ((1, (3, 3), ANY), (58, (3, 3), ANY))),
        ("3/4", ((1, (3, 3), (4, 4)), (58, (3, 3), (4, 4)))),
        ("*/3", ((1, ANY, (3, 3)), (58, ANY, (3, 3)))),
        ("*", ((1, ANY, ANY), (58, ANY, ANY))),
        ("3/*", ((1, (3, 3), ANY), (58, (3, 3), ANY))),
        ("9-10/0-15", ((1, (9, 10), (0, 15)), (58, (9, 10), (0, 15)))),
        ("echo-request", ((1, (8, 8), ANY), (58, (128, 128), ANY))),
        ("Destination-Unreachable/3", ((1, (3, 3), (3, 3)), (58, (1, 1), (3, 3)))),
        ("packet-too-big", ((58, (2, 2), ANY),)),
        ("neighbor-solicitation", ((58, (135, 135), ANY),)),
        ("timestamp-request", ((1, (13, 13), ANY),)),
    ],
)
def test_icmp_is_read(text: str, messages: tuple[object, ...]) -> None:
    condition = FIELDS["icmp"].condition([text])
    assert isinstance(condition, Icmp)
    assert condition.messages == messages


def test_macs_and_fragments_are_read() -> None:
    macs = FIELDS["src_mac"].condition(["FF:ff:ff:ff:ff:ff", "00-11-22-33-44-55"])
    assert macs == Macs(addresses=(0x001122334455, 0xFFFFFFFFFFFF))
    fragments = FIELDS["fragment"].condition(["no", "LATER"])
    assert fragments == Fragments(kinds=frozenset({Fragment.NO, Fragment.LATER}))


def test_values_are_sorted_and_merged_and_their_spelling_is_kept() -> None:
    condition = FIELDS["dport"].condition(["80", "22", "23", "0x17-30"], negated=True)
    assert condition == Numbers(negated=True, ranges=((22, 30), (80, 80)))
    assert condition.spelling == ("80", "22", "23", "0x17-30")
    assert as_written(condition) == {"not": [80, 22, 23, "0x17-30"]}
    assert FIELDS["dport"].condition(["22", "22-30", "80"], negated=True) == condition


def test_one_value_is_written_without_a_list() -> None:
    assert as_written(FIELDS["dport"].condition(["22"])) == 22
    assert as_written(FIELDS["proto"].condition(["tcp"], negated=True)) == {"not": "tcp"}
    assert as_written(FIELDS["vlan"].condition(["none", "10"])) == ["none", 10]


def test_vlan_none_is_a_flag_beside_the_numbers() -> None:
    assert FIELDS["vlan"].condition(["none"]) == Numbers(untagged=True)
    assert FIELDS["vlan"].condition(["None", "10"]) == Numbers(ranges=((10, 10),), untagged=True)


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("dport", ["0-65535"]),
        ("ttl", ["0-127", "128-255"]),
        ("src", ["0.0.0.0/0", "::/0"]),
        ("fragment", ["no", "first", "later"]),
    ],
)
def test_excluding_everything_is_a_mistake(field: str, values: list[str]) -> None:
    with pytest.raises(BadValue, match="every value is excluded"):
        FIELDS[field].condition(values, negated=True)
    FIELDS[field].condition(values)


def test_empty_list_is_a_mistake() -> None:
    with pytest.raises(BadValue, match="would never match"):
        FIELDS["dport"].condition([])


def test_examples_of_all_fields_are_right() -> None:
    for field in FIELDS.values():
        assert field.condition(field.examples).spelling == field.examples


def test_merged_joins_what_touches() -> None:
    assert merged([(5, 9), (0, 3), (10, 12), (4, 4), (20, 30), (22, 25)]) == ((0, 12), (20, 30))


@pytest.mark.parametrize(
    ("word", "known", "expected"),
    [
        ("dprot", ["proto", "sport", "dport"], "dport"),
        ("tpc", ["udp", "tcp"], "tcp"),
        ("dpor", ["sport", "dport"], "dport"),
        ("actoin", ["action"], "action"),
        ("zzz", ["tcp"], None),
        ("x" * 1000, ["x" * 999], None),
        ("", ["a"], "a"),
    ],
)
def test_closest_is_what_takes_the_fewest_slips(
    word: str, known: list[str], expected: str | None
) -> None:
    assert closest(word, known) == expected


NOW = 1_795_262_400  # 2026-11-21T12:00:00Z, by `date -u -d 2026-11-21T12:00:00Z +%s`


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10m", NOW + 600),
        ("90s", NOW + 90),
        ("1h30m", NOW + 5400),
        ("2w1d", NOW + 15 * 86400),
        ("0s", NOW),
        ("2026-11-21T12:00:01Z", NOW + 1),
        ("2026-11-21T12:00:01.75Z", NOW + 1),
        ("2026-11-21 13:00:00+01:00", NOW),
    ],
)
def test_expiry_is_read(text: str, seconds: int) -> None:
    assert parse_expiry(text, NOW + 0.5) == seconds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2026-11-21T12:00:00", "has no time zone"),
        ("2026-11-21", "has no time zone"),
        ("10", "is not a time"),
        ("10 minutes", "is not a time"),
        ("30m1h", "is not a time"),
        ("-10m", "is not a time"),
        ("never", "is not a time"),
        ("999999999w", "is out of the range of times"),
        ("0001-01-01T00:00:00Z", "is out of the range of times"),
        ("9999-12-31T23:59:59-23:59", "is out of the range of times"),
    ],
)
def test_wrong_expiry_is_explained(text: str, message: str) -> None:
    with pytest.raises(BadValue, match=message):
        parse_expiry(text, NOW)


def test_expiry_is_written_in_utc() -> None:
    assert expiry_text(NOW) == "2026-11-21T12:00:00Z"


def test_quoted_shows_no_control_characters() -> None:
    assert quoted("a\x1b[2Jb") == '"a\\x1b[2Jb"'
