"""What rules drop that is hardly meant: addresses of one's own, in a list from elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from xdpctl.rules.model import Action, Addresses, Rule, Ruleset

Address = IPv4Address | IPv6Address


class Covered(NamedTuple):
    """An address that a drop rule covers.

    Attributes:
        field: `src` or `dst`.
        among: the set that it is in; None where it is written in the rule.
    """

    rule: str
    field: str
    address: Address
    among: str | None

    def __str__(self) -> str:
        where = f", which is in set {self.among}" if self.among is not None else ""
        what = "packets from" if self.field == "src" else "everything that is sent to"
        return f"rule {self.rule} drops {what} this interface's own address {self.address}{where}"


def dropped_sets(rules: Iterable[Rule]) -> set[str]:
    """The sets whose packets are dropped."""
    return {
        name
        for rule in rules
        if rule.action is Action.DROP
        for condition in rule.conditions.values()
        if isinstance(condition, Addresses) and not condition.negated
        for name in condition.sets
    }


def covered(ruleset: Ruleset, addresses: Sequence[Address]) -> tuple[Covered, ...]:
    """What drop rules cover of a few addresses: as `src` in any case, as `dst` if that is all that
    they ask for; the first one of each rule and field."""
    found = []
    for rule in ruleset.rules if addresses else ():
        if rule.action is Action.DROP:
            fields = ("src", "dst") if set(rule.conditions) == {"dst"} else ("src",)
            found += [each for name in fields if (each := _first(ruleset, rule, name, addresses))]
    return tuple(found)


def _first(
    ruleset: Ruleset, rule: Rule, field: str, addresses: Sequence[Address]
) -> Covered | None:
    condition = rule.conditions.get(field)
    if not isinstance(condition, Addresses) or condition.negated:
        return None
    for address in addresses:
        written = condition.ipv4 if address.version == 4 else condition.ipv6  # noqa: PLR2004
        if any(first <= int(address) <= last for first, last in written):
            return Covered(rule.name, field, address, None)
    from xdpctl.rules.sets import covers  # noqa: PLC0415 - NumPy

    for name in condition.sets:
        for address, held in zip(
            addresses, covers(ruleset.set_named(name), addresses), strict=True
        ):
            if held:
                return Covered(rule.name, field, address, name)
    return None
