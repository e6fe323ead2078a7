"""Banned sources: the entries of the running program's `bans`, written without compiling anything.

The data plane looks an address up once for each prefix length that `ban_index` names, and passes
over what has expired. A length is named before its first entry is there; that one is no longer in
use is found out when expired entries are cleared away, by the next command that writes.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from xdpctl.datapath.counters import Tally
from xdpctl.datapath.interfaces import Interface
from xdpctl.datapath.locking import only_writer
from xdpctl.datapath.program import RunningProgram
from xdpctl.datapath.running import running_on
from xdpctl.errors import KernelRefused, WrongUsage
from xdpctl.pylibbpf import BpfError, Map
from xdpctl.rules.values import (
    BITS,
    IPV4,
    IPV6,
    AddressRange,
    BadValue,
    address_text,
    parse_address,
    quoted,
)

NEVER_BAN = "never_ban"
"""The set of a ruleset whose addresses are not banned."""

_INDEX_BITS = 64
_LOW_64 = 2**64 - 1
_SHOWN_MAX = 3


class Prefix(NamedTuple):
    """The addresses of IPv4 or IPv6 (`version`) whose first `length` bits are those of `network`,
    of which the others are 0."""

    version: int
    network: int
    length: int

    def __str__(self) -> str:
        address = address_text(self.version, self.network)
        return address if self.length == BITS[self.version] else f"{address}/{self.length}"

    @property
    def range(self) -> AddressRange:
        last = self.network + (1 << (BITS[self.version] - self.length)) - 1
        return AddressRange(self.version, self.network, last)

    def holds(self, version: int, address: int) -> bool:
        shift = BITS[self.version] - self.length
        return version == self.version and address >> shift == self.network >> shift


class Ban(NamedTuple):
    """A prefix that is banned.

    Attributes:
        expires_ns, added_ns: on CLOCK_REALTIME; `expires_ns` is None for ever.
        remaining_ns: until it expires.
        hits: packets that it dropped, since the prefix was banned first.
    """

    prefix: Prefix
    tag: str
    added_ns: int
    expires_ns: int | None
    remaining_ns: int | None
    hits: Tally


class Terms(NamedTuple):
    """For how long, None is for ever, and under which tag."""

    seconds: int | None = None
    tag: str = ""


def ban(
    interface: Interface, prefixes: Sequence[Prefix], terms: Terms, *, force: bool = False
) -> None:
    """Ban sources, or set the new end of bans that there are: all of them, unless it raises.

    Raises:
        WouldLockOut: it would drop a lifeline; not with `force`.
        WrongUsage: it would drop addresses of the set `never_ban`; not with `force`.
        KernelRefused: the table is full; says how many went in.
        NotAttached, NotStored, MissingPrivilege.
    """
    from xdpctl.datapath.ban_refusals import refuse_dangerous  # noqa: PLC0415

    with only_writer(), running_on(interface) as (program, _):
        if not force:
            refuse_dangerous(interface, program, prefixes)
        table = BanTable(program)
        table.clear_expired()
        table.add(interface, prefixes, terms)


def unban(
    interface: Interface, prefixes: Iterable[Prefix] = (), tag: str | None = None
) -> list[Prefix]:
    """End bans, of these prefixes, or of a tag; returns those that there were.

    Raises NotAttached, MissingPrivilege, KernelRefused.
    """
    with only_writer(), running_on(interface) as (program, _):
        table = BanTable(program)
        wanted = [each.prefix for each in table if each.tag == tag] if tag is not None else prefixes
        return table.remove(wanted)


def read_bans(interface: Interface, tag: str | None = None) -> list[Ban]:
    """The bans in force, by address; of a tag, or all.

    Raises NotAttached, MissingPrivilege, KernelRefused.
    """
    with running_on(interface) as (program, _):
        return sorted(each for each in BanTable(program) if tag in (None, each.tag))


def count_bans(interface: Interface) -> int:
    """How many bans are in force. Raises as `read_bans`."""
    with running_on(interface) as (program, _):
        return sum(1 for _ in BanTable(program))


def parse_ban(text: str) -> Prefix:
    """An address or a prefix without host bits. Raises BadValue."""
    version, first, last = parse_address(text)
    size = last - first + 1
    if size & -size != size or first % size:
        raise BadValue(f"{quoted(text)} is a range: ban the prefixes in it")
    return Prefix(version, first, BITS[version] - (size.bit_length() - 1))


_TAG_BYTES = 64  # BAN_TAG_BYTES


def checked_tag(text: str) -> str:
    """Raises WrongUsage."""
    if len(text.encode(errors="replace")) >= _TAG_BYTES or not text.isprintable():
        raise WrongUsage(
            f"{quoted(text)}: a tag has at most {_TAG_BYTES - 1} bytes, all of them printable"
        )
    return text


class BanTable:
    """The bans of a program; iterates over those in force.

    To be written by one at a time (`only_writer`).
    """

    def __init__(self, program: RunningProgram) -> None:
        self._bans: Map = program.map("bans")
        self._hits: Map = program.map("ban_hits")
        self._index: Map = program.map("ban_index")
        self._boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self._now_ns = time.time_ns()

    def __iter__(self) -> Iterator[Ban]:
        if not self._index[0].any:
            return
        hits = {_prefix_of_key(key): value for key, value in self._hits.lookup_batch()}
        for key, ban_ in self._bans.lookup_batch():
            if self._is_in_force(ban_):
                yield self._ban(_prefix_of_key(key), ban_, hits)

    def _is_in_force(self, ban_: Any) -> bool:
        return not ban_.expires_ns or ban_.expires_ns > self._boot_ns

    def _ban(self, prefix: Prefix, ban_: Any, hits: dict[Prefix, Any]) -> Ban:
        remaining = ban_.expires_ns - self._boot_ns if ban_.expires_ns else None
        hit = hits.get(prefix)
        return Ban(
            prefix,
            ban_.tag.partition(b"\0")[0].decode(errors="replace"),
            ban_.added_ns,
            None if remaining is None else self._now_ns + remaining,
            remaining,
            Tally(hit.packets, hit.bytes) if hit else Tally(0, 0),
        )

    def add(self, interface: Interface, prefixes: Sequence[Prefix], terms: Terms) -> None:
        expires_ns = 0 if terms.seconds is None else self._boot_ns + terms.seconds * 10**9
        entry = {"expires_ns": expires_ns, "added_ns": self._now_ns, "tag": terms.tag.encode()}
        self._name_lengths(prefixes, expires_ns)
        pairs = [(_key_of_prefix(each), entry) for each in dict.fromkeys(prefixes)]
        try:
            self._bans.update_batch(pairs)
        except BpfError as error:
            if error.errno not in (errno.E2BIG, errno.ENOMEM):
                raise
            full = f"the table of {self._bans.info.max_entries:,} bans is full"
            what = full if error.errno == errno.E2BIG else "the kernel has no memory for more bans"
            raise KernelRefused(
                f"{interface.name}: {what}: {error.done:,} of {len(pairs):,} went in",
                hint="unban some, or attach with a larger --max-bans",
            ) from error

    def remove(self, prefixes: Iterable[Prefix]) -> list[Prefix]:
        removed = []
        for each in prefixes:
            key = _key_of_prefix(each)
            if _delete(self._bans, key):
                removed.append(each)
            _delete(self._hits, key)
        if removed:
            self._tidy()
        return removed

    def clear_expired(self) -> None:
        """Nothing has to be looked at before the first of them expires."""
        earliest = self._index[0].earliest_ns
        if earliest and earliest <= self._boot_ns:
            self._tidy()

    def _tidy(self) -> None:
        """Clear away what has expired, and name the lengths that are left in use."""
        named, earliest, gone = _Lengths(0, [0] * len(self._index[0].ipv6)), 0, []
        for key, ban_ in self._bans.lookup_batch():
            if not self._is_in_force(ban_):
                gone.append(key)
                continue
            named.add(key.version, key.length)
            if ban_.expires_ns:
                earliest = min(earliest or ban_.expires_ns, ban_.expires_ns)
        for key in gone:
            _delete(self._bans, key)
            _delete(self._hits, key)
        self._index[0] = named.record(earliest)

    def _name_lengths(self, prefixes: Iterable[Prefix], expires_ns: int) -> None:
        """Before the entries are there; of entries that go, lengths are named until later."""
        index = self._index[0]
        named = _Lengths(index.ipv4, list(index.ipv6))
        for each in {(each.version, each.length) for each in prefixes}:
            named.add(*each)
        if not expires_ns:
            earliest = index.earliest_ns
        else:
            earliest = min(index.earliest_ns or expires_ns, expires_ns)
        self._index[0] = named.record(earliest)


class _Lengths:
    """Prefix lengths as struct ban_index has them."""

    def __init__(self, ipv4: int, ipv6: list[int]) -> None:
        self._ipv4 = ipv4
        self._ipv6 = ipv6

    def add(self, version: int, length: int) -> None:
        if version == IPV4:
            self._ipv4 |= 1 << length
        else:
            self._ipv6[length // _INDEX_BITS] |= 1 << length % _INDEX_BITS

    def record(self, earliest_ns: int) -> dict[str, Any]:
        used = int(any((self._ipv4, *self._ipv6)))
        return {"any": used, "ipv4": self._ipv4, "ipv6": self._ipv6, "earliest_ns": earliest_ns}


def _key_of_prefix(prefix: Prefix) -> dict[str, int]:
    version, network, length = prefix
    high, low = (network << 32, 0) if version == IPV4 else (network >> 64, network & _LOW_64)
    return {"high": high, "low": low, "version": version, "length": length}


def _prefix_of_key(key: Any) -> Prefix:
    if key.version == IPV4:
        return Prefix(IPV4, key.high >> 32, key.length)
    return Prefix(IPV6, key.high << 64 | key.low, key.length)


def _delete(map_: Map, key: Any) -> bool:
    try:
        del map_[key]
    except KeyError:
        return False
    return True


def some_of(prefixes: Collection[Prefix]) -> str:
    """The first few, for a message."""
    first = ", ".join(map(str, list(prefixes)[:_SHOWN_MAX]))
    more = len(prefixes) - _SHOWN_MAX
    return first if more <= 0 else f"{first} and {more:,} more"
