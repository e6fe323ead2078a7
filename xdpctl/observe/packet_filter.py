"""Which packets somebody wants to look at, in the words of a rule.

The data plane is told what all of them have in common, as far as a `Filter` can say it; what gets
through there is held against the conditions by the reference model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from xdpctl.datapath.sampling import Filter, Prefix, Sample
from xdpctl.rules import frame
from xdpctl.rules.model import Addresses, Condition, NamedSet, Numbers, Range
from xdpctl.rules.reference import holds

_HALF = (1 << 64) - 1


class PacketFilter(NamedTuple):
    """All conditions have to hold; without any, all packets are wanted.

    Attributes:
        conditions: by the field's name.
        sets: those that the conditions may name.
    """

    conditions: Mapping[str, Condition] = {}
    sets: Mapping[str, NamedSet] = {}

    def wants(self, sample: Sample) -> bool:
        """By the bytes that there are, and the length that the frame had."""
        if not self.conditions:
            return True
        packet = frame.parse(sample.data)
        packet.length = min(sample.length, frame.LENGTH_MAX)
        sets = dict(self.sets)
        return all(holds(name, each, packet, sets) for name, each in self.conditions.items())

    def for_the_data_plane(self) -> Filter:
        """What every packet has that these conditions hold for."""
        protocol = self._span("proto")
        version, prefixes = 0, {}
        for name in ("src", "dst"):
            ranges, of_version = self._addresses(name)
            if ranges and version in (0, of_version):
                version = of_version
                prefixes[name] = _common_prefix(ranges, of_version)
        return Filter(
            version,
            protocol[0] if protocol and protocol[0] == protocol[1] else None,
            self._span("sport"),
            self._span("dport"),
            prefixes.get("src", Prefix()),
            prefixes.get("dst", Prefix()),
        )

    def _span(self, name: str) -> Range | None:
        """From the lowest to the highest number that a field may have."""
        match self.conditions.get(name):
            case Numbers(negated=False, ranges=ranges) if ranges:
                return ranges[0][0], ranges[-1][1]
        return None

    def _addresses(self, name: str) -> tuple[Sequence[Range], int]:
        """Ranges that an address is in, all of one version; none where nothing can be said."""
        match self.conditions.get(name):
            case Addresses(negated=False, sets=(), ipv4=ipv4, ipv6=ipv6) if not (ipv4 and ipv6):
                return (ipv4, 4) if ipv4 else (ipv6, 6)
        return (), 0


def _common_prefix(ranges: Sequence[Range], version: int) -> Prefix:
    first, last = ranges[0][0], ranges[-1][1]
    host_bits = (first ^ last).bit_length()
    everything = (1 << (32 if version == 4 else 128)) - 1  # noqa: PLR2004
    mask = everything >> host_bits << host_bits
    return Prefix(_halves(first & mask, version), _halves(mask, version))


def _halves(number: int, version: int) -> tuple[int, int]:
    """As struct packet has them: of IPv4 the first alone."""
    return (number, 0) if version == 4 else (number >> 64, number & _HALF)  # noqa: PLR2004
