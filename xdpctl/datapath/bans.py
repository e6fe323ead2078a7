"""Banned sources: the entries of the running program's `bans`, written without compiling anything.

The data plane looks an address up once for each prefix length that `ban_index` names, and passes
over what has expired. A length is named before its first entry is there; that one is no longer in
use is found out when expired entries are cleared away, by the next command that writes.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from itertools import compress
from typing import Any, NamedTuple

from xdpctl.datapath.ban_entries import BAN_KEY, Ban, Prefix, ban_of, is_in_force
from xdpctl.datapath.counters import Tally
from xdpctl.datapath.interfaces import Interface
from xdpctl.datapath.locking import only_writer
from xdpctl.datapath.program import BAN_INDEX, RunningProgram
from xdpctl.datapath.running import running_on
from xdpctl.errors import KernelRefused, WrongUsage, XdpctlError
from xdpctl.pylibbpf import BpfError, Map
from xdpctl.rules.values import IPV4, quoted

_VERSION = BAN_KEY.index("version")
_INDEX_BITS = 64
_LOW_64 = 2**64 - 1
_READ_RATHER_THAN_TRY = 1000


class Terms(NamedTuple):
    """For how long, None is for ever, and under which tag."""

    seconds: int | None = None
    tag: str = ""


def ban(
    interface: Interface,
    terms_of: Mapping[Prefix, Terms],
    *,
    force: bool = False,
    tell: Callable[[XdpctlError], None] | None = None,
) -> int:
    """Ban sources, or set the new end of bans that there are: all of them, unless it raises.

    Args:
        tell: is told what is refused, which is then left out.

    Returns: how many were banned.

    Raises:
        WouldLockOut: it would drop a lifeline; not with `force`, nor `tell`.
        WrongUsage: it would drop addresses of the set `never_ban`; not with `force`, nor `tell`.
        KernelRefused: the table is full; says how many went in.
        NotAttached, NotStored, MissingPrivilege.
    """
    from xdpctl.datapath.ban_refusals import refusals  # noqa: PLC0415

    with only_writer(), running_on(interface) as (program, _):
        refused: set[Prefix] = set()
        for each in () if force else refusals(interface, program, terms_of):
            if tell is None:
                raise each.error
            tell(each.error)
            refused.update(each.prefixes)
        table = BanTable(program)
        table.clear_expired()
        table.add(interface, {k: v for k, v in terms_of.items() if k not in refused})
        return len(terms_of) - len(refused)


def unban(
    interface: Interface, prefixes: Collection[Prefix] | None = None, tag: str | None = None
) -> list[Prefix]:
    """End bans, of these prefixes, of a tag, or those of the prefixes that have the tag; returns
    those that there were.

    Raises NotAttached, MissingPrivilege, KernelRefused.
    """
    with only_writer(), running_on(interface) as (program, _):
        table = BanTable(program)
        if tag is None:
            return table.remove(prefixes or ())
        tagged = [each.prefix for each in table if each.tag == tag]
        wanted = None if prefixes is None else frozenset(prefixes)
        return table.remove(each for each in tagged if wanted is None or each in wanted)


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
        self._index: Map = program.map(BAN_INDEX)
        self._key = self._bans.key_row(*BAN_KEY)
        self._boot_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self._now_ns = time.time_ns()

    def __iter__(self) -> Iterator[Ban]:
        if not self._index[0].any:
            return
        hits = dict(self._hits.lookup_rows(BAN_KEY, ("packets", "bytes")))
        for key, terms in self._bans.lookup_rows(BAN_KEY, ("expires_ns", "added_ns", "tag")):
            if is_in_force(terms[0], self._boot_ns):
                yield ban_of(key, terms, Tally(*hits.get(key, (0, 0))), self._boot_ns, self._now_ns)

    def add(self, interface: Interface, terms_of: Mapping[Prefix, Terms]) -> None:
        """Raises KernelRefused: the table is full."""
        ends = {terms: self._end_ns(terms) for terms in set(terms_of.values())}
        entries = {
            terms: {"expires_ns": end, "added_ns": self._now_ns, "tag": terms.tag.encode()}
            for terms, end in ends.items()
        }
        self._name_lengths(terms_of, ends.values())
        try:
            self._write(terms_of, entries)
        except BpfError as error:
            if error.errno not in (errno.E2BIG, errno.ENOMEM):
                raise
            full = f"the table of {self._bans.info.max_entries:,} bans is full"
            what = full if error.errno == errno.E2BIG else "the kernel has no memory for more bans"
            raise KernelRefused(
                f"{interface.name}: {what}: {error.done:,} of {len(terms_of):,} went in",
                hint="unban some, or attach with a larger --max-bans",
            ) from error

    def copy(self, ends_ns: Mapping[Prefix, int]) -> None:
        """Bans of another program, with their ends on this one's clock; 0 is never. Raises
        BpfError."""
        entries = {
            end: {"expires_ns": end, "added_ns": self._now_ns} for end in set(ends_ns.values())
        }
        self._name_lengths(ends_ns, entries)
        self._write(ends_ns, entries)

    def _write(self, bans: Mapping[Prefix, Any], entries: Mapping[Any, Mapping[str, Any]]) -> None:
        """What stands for each prefix in `entries`."""
        self._bans.update_batch(
            [(self._packed(prefix), entries[which]) for prefix, which in bans.items()]
        )

    def _end_ns(self, terms: Terms) -> int:
        return 0 if terms.seconds is None else self._boot_ns + terms.seconds * 10**9

    def remove(self, prefixes: Iterable[Prefix]) -> list[Prefix]:
        """Returns those that there were."""
        wanted = list(dict.fromkeys(prefixes))
        there = self._bans.discard_batch(map(self._packed, wanted))
        self._forget_hits(map(self._packed, wanted), len(wanted))
        if any(there):
            self._tidy()
        return [*compress(wanted, there)]

    def clear_expired(self) -> None:
        """Nothing has to be looked at before the first of them expires."""
        earliest = self._index[0].earliest_ns
        if earliest and earliest <= self._boot_ns:
            self._tidy()

    def _tidy(self) -> None:
        """Clear away what has expired, and name the lengths that are left in use."""
        gone, earliest, used = [], 0, set()
        for key, (expires_ns,) in self._bans.lookup_rows(BAN_KEY, ("expires_ns",)):
            if not is_in_force(expires_ns, self._boot_ns):
                gone.append(self._key.pack(*key))
                continue
            used.add(key[_VERSION:])
            if expires_ns and (not earliest or expires_ns < earliest):
                earliest = expires_ns
        self._bans.discard_batch(gone)
        self._forget_hits(gone, len(gone))
        named = _Lengths(0, [0] * len(self._index[0].ipv6))
        for each in used:
            named.add(*each)
        self._index[0] = named.record(earliest)

    def _forget_hits(self, keys: Iterable[bytes], count: int) -> None:
        """Few of a long list of bans have any."""
        if count > _READ_RATHER_THAN_TRY:
            counted = {self._key.pack(*key) for key, _ in self._hits.lookup_rows(BAN_KEY, ())}
            keys = counted.intersection(keys)
        self._hits.discard_batch(keys)

    def _name_lengths(self, prefixes: Iterable[Prefix], expiries_ns: Iterable[int]) -> None:
        """Before the entries are there; of entries that go, lengths are named until later."""
        index = self._index[0]
        named = _Lengths(index.ipv4, list(index.ipv6))
        for each in {(version, length) for version, _, length in prefixes}:
            named.add(*each)
        ends = [each for each in (index.earliest_ns, *expiries_ns) if each]
        self._index[0] = named.record(min(ends, default=0))

    def _packed(self, prefix: Prefix) -> bytes:
        version, network, length = prefix
        if version == IPV4:
            return self._key.pack(network << 32, 0, version, length)
        return self._key.pack(network >> 64, network & _LOW_64, version, length)


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
