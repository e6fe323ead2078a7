"""The keywords that values may be written with; each stands for an inclusive range of numbers."""

from __future__ import annotations

from xdpctl.protocols import KEYWORDS

ICMP, ICMPV6 = 1, 58

NEVER_BAN = "never_ban"
"""The set of a ruleset whose addresses are not banned; no rule need name it."""

PROTOCOLS = {name: (number, number) for number, name in KEYWORDS.items()} | {
    "icmpv6": (ICMPV6, ICMPV6),
}

# IEEE's registry of ethertypes; those with several names or numbers as the statistics group them.
ETHERTYPES = {
    "ipv4": (0x0800, 0x0800),
    "ip": (0x0800, 0x0800),
    "ipv6": (0x86DD, 0x86DD),
    "ip6": (0x86DD, 0x86DD),
    "arp": (0x0806, 0x0806),
    "rarp": (0x8035, 0x8035),
    "mpls": (0x8847, 0x8848),
    "pppoe": (0x8863, 0x8864),
    "eapol": (0x888E, 0x888E),
    "lldp": (0x88CC, 0x88CC),
    "macsec": (0x88E5, 0x88E5),
    "ptp": (0x88F7, 0x88F7),
}

# RFC 2474 (cs), RFC 2597 (af), RFC 3246 (ef), RFC 5865 (va); be is best effort, the same as cs0.
DSCP = (
    {f"cs{number}": (number * 8, number * 8) for number in range(8)}
    | {
        f"af{group}{drop}": (group * 8 + drop * 2, group * 8 + drop * 2)
        for group in range(1, 5)
        for drop in range(1, 4)
    }
    | {"ef": (46, 46), "va": (44, 44), "be": (0, 0)}
)

# RFC 9293, 3.1; nft writes ECE as ecn.
TCP_FLAGS = {
    "fin": 0x01, "syn": 0x02, "rst": 0x04, "psh": 0x08,
    "ack": 0x10, "urg": 0x20, "ece": 0x40, "ecn": 0x40, "cwr": 0x80,
}  # fmt: skip

# IANA's "ICMP Type Numbers", under the names that nft has for them.
ICMP_TYPES = {
    "echo-reply": 0,
    "destination-unreachable": 3,
    "source-quench": 4,
    "redirect": 5,
    "echo-request": 8,
    "router-advertisement": 9,
    "router-solicitation": 10,
    "time-exceeded": 11,
    "parameter-problem": 12,
    "timestamp-request": 13,
    "timestamp-reply": 14,
    "info-request": 15,
    "info-reply": 16,
    "address-mask-request": 17,
    "address-mask-reply": 18,
}

# IANA's "ICMPv6 type Numbers", under the names of nft and under those of RFC 4861.
ICMPV6_TYPES = {
    "destination-unreachable": 1,
    "packet-too-big": 2,
    "time-exceeded": 3,
    "parameter-problem": 4,
    "echo-request": 128,
    "echo-reply": 129,
    "mld-listener-query": 130,
    "mld-listener-report": 131,
    "mld-listener-done": 132,
    "nd-router-solicit": 133,
    "router-solicitation": 133,
    "nd-router-advert": 134,
    "router-advertisement": 134,
    "nd-neighbor-solicit": 135,
    "neighbor-solicitation": 135,
    "nd-neighbor-advert": 136,
    "neighbor-advertisement": 136,
    "nd-redirect": 137,
    "redirect": 137,
    "router-renumbering": 138,
    "ind-neighbor-solicit": 141,
    "ind-neighbor-advert": 142,
    "mld2-listener-report": 143,
}

ICMP_PROTOCOLS = {ICMP: ICMP_TYPES, ICMPV6: ICMPV6_TYPES}
