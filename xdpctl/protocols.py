"""IANA's "Assigned Internet Protocol Numbers": keywords in lower case, blanks as hyphens.

Numbers that are assigned without a keyword (61, 63, 68, 99, 114), reserved or unassigned have none.
Source: https://www.iana.org/assignments/protocol-numbers
"""

from __future__ import annotations

_KEYWORDS = """
0 hopopt icmp igmp ggp ipv4 st tcp cbt egp igp bbn-rcc-mon nvp-ii pup argus emcon xnet chaos udp mux
19 dcn-meas hmp prm xns-idp trunk-1 trunk-2 leaf-1 leaf-2 rdp irtp iso-tp4 netblt mfe-nsp merit-inp
33 dccp 3pc idpr xtp ddp idpr-cmtp tp++ il ipv6 sdrp ipv6-route ipv6-frag idrp rsvp gre dsr bna esp
51 ah i-nlsp swipe narp min-ipv4 tlsp skip ipv6-icmp ipv6-nonxt ipv6-opts
62 cftp
64 sat-expak kryptolan rvd ippc
69 sat-mon visa ipcv cpnx cphb wsn pvp br-sat-mon sun-nd wb-mon wb-expak iso-ip vmtp secure-vmtp
83 vines iptm nsfnet-igp dgp tcf eigrp ospfigp sprite-rpc larp mtp ax.25 ipip micp scc-sp etherip
98 encap
100 gmtp ifmp pnni pim aris scps qnx a/n ipcomp snp compaq-peer ipx-in-ip vrrp pgm
115 l2tp ddx iatp stp srp uti smp sm ptp isis-over-ipv4 fire crtp crudp sscopmce iplt sps pipe sctp
133 fc rsvp-e2e-ignore mobility-header udplite mpls-in-ip manet hip shim6 wesp rohc
143 ethernet aggfrag nsh homa bit-emu
"""


def _numbered() -> dict[int, str]:
    names: dict[int, str] = {}
    for line in _KEYWORDS.split("\n"):
        first, *keywords = line.split() or ["0"]
        names |= dict(enumerate(keywords, int(first)))
    return names


KEYWORDS: dict[int, str] = _numbered()


def protocol_name(number: int) -> str:
    """The keyword of an IP protocol number, or the number as text where there is none."""
    return KEYWORDS.get(number, str(number))
