"""Our program, found in the kernel by nothing but its id.

The kernel is the only database: program -> map ids -> maps, and the layout of their values from the
program's own BTF. A program is ours when type, name, BTF and the maps' shapes say so.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from contextlib import ExitStack
from functools import reduce
from operator import itemgetter
from typing import Any, NamedTuple

from xdpctl.datapath.counters import Counters, RowNames, Tally
from xdpctl.pylibbpf import (
    BpfError,
    Btf,
    BtfError,
    Codec,
    Map,
    MapType,
    Program,
    Record,
    load_btf,
    xdp,
)
from xdpctl.pylibbpf.btf import Kind
from xdpctl.pylibbpf.fd import Owner

SCHEMA_VERSION = 4
"""The META_SCHEMA_VERSION of bpf/types.h that this code understands."""

STORED_BLOCK_BYTES = 4096

PROGRAM_NAME = "xdpctl"

BAN_INDEX, SAMPLING = ".data.ban_index", ".data.sampling"
"""Maps that the program has as variables: one each."""

_PROGRAM_TYPE_XDP = 6
# Maps of one element; its value is the struct of the same name.
_MAP_TYPES = {"counters": MapType.PERCPU_ARRAY, "meta": MapType.ARRAY}
_STORED_BYTES_MAX = 1 << 30
_RACES_MAX = 5  # how often another program may come between the query and the look


class NotOursError(Exception):
    """The program was not loaded by xdpctl, or by a version that this one does not understand."""


class Baselines(NamedTuple):
    """Of what a rule matches, and of what it drops if it is a limit."""

    matched: Tally
    dropped: Tally


class RunningProgram(Owner):
    """Our program found by its id; a context manager.

    Attributes:
        program_id: the kernel's id of it.
        attached_at_ns: when it was attached, on CLOCK_REALTIME.
        names: what the rows of its counters stand for.
        btf: its types.
    """

    def __init__(self, program_id: int) -> None:
        """
        Raises:
            NotOursError: it is somebody else's.
            BpfError: ENOENT when it is gone, EPERM without CAP_SYS_ADMIN.
        """
        with ExitStack() as stack:
            self._program = stack.enter_context(Program.from_id(program_id))
            info = self._program.info
            if info.type != _PROGRAM_TYPE_XDP or info.name != PROGRAM_NAME or not info.btf_id:
                raise NotOursError(f"program {info.name} is not ours")
            try:
                btf = load_btf(info.btf_id)
                self.names = RowNames.from_btf(btf)
                self._maps = _maps(info.map_ids, btf, stack)
                maps = _our_maps(self._maps, btf)
                self._meta = meta = maps["meta"][0]
                if (
                    meta.magic != btf.enum("meta_format").get("META_MAGIC")
                    or meta.schema_version != SCHEMA_VERSION
                ):
                    raise NotOursError("another version of xdpctl loaded the program")
                self.attached_at_ns: int = meta.attached_at_ns
            except (BtfError, AttributeError) as error:
                raise NotOursError(
                    f"program {info.name} is not laid out as ours: {error}"
                ) from None
            self._counters = maps["counters"]
            self._map_ids = info.map_ids
            self.btf = btf
            self.program_id = program_id
            self._stack = stack.pop_all()

    @property
    def fd(self) -> int:
        """The program's descriptor; owned by this object."""
        return self._program.fd

    def map(self, name: str) -> Map:
        """A map of the program's by its name; owned by this object.

        Raises:
            NotOursError: it has none.
            BpfError.
        """
        try:
            return self._maps[name]
        except KeyError:
            raise NotOursError(f"the program has no map {name}") from None

    @property
    def default_baseline(self) -> Tally:
        """What the default's slot had counted before the ruleset was applied, or reset."""
        baseline = self._meta.default_baseline
        return Tally(baseline.packets, baseline.bytes)

    def set_default_baseline(self, baseline: Tally) -> None:
        """Raises BpfError."""
        meta = self.map("meta")
        meta[0] = {**_plain(meta[0]), "default_baseline": baseline._asdict()}

    @property
    def generation(self) -> int:
        """The number of its ruleset, by which samples say whose slots they speak of; 0 of a bare
        counter."""
        return int(self._meta.ruleset.generation)

    def kept(self, which: str = "ruleset") -> dict[str, int] | None:
        """Where the ruleset, or the `previous` one, is kept (struct stored); None without one.

        Raises NotOursError.
        """
        stored = getattr(self._meta, which)
        if not stored.text:
            return None
        ids = {"text": stored.text, "ranges": stored.ranges, "rules": stored.rules}
        if not set(ids.values()) <= set(self._map_ids):
            raise NotOursError("the program's ruleset is kept in maps of others")
        return ids | {"text_bytes": stored.text_bytes, "generation": stored.generation}

    def kept_text(self, which: str = "ruleset") -> bytes | None:
        """The text of the ruleset, or of the `previous` one; None without one.

        Raises NotOursError, BpfError.
        """
        kept = self.kept(which)
        return None if kept is None else self._content(kept["text"], kept["text_bytes"])

    def kept_ranges(self, which: str = "ruleset") -> bytes:
        """The ranges of its sets, with zeros behind. Raises NotOursError, BpfError."""
        kept = self.kept(which)
        return b"" if kept is None else self._content(kept["ranges"])

    def kept_rules(self, which: str = "ruleset") -> Map:
        """The rules as the data plane has them; owned by this object. Raises NotOursError."""
        kept = self.kept(which)
        if kept is None:
            raise NotOursError("the program has no rules")
        return self._stack.enter_context(Map.from_id(kept["rules"], self.btf))

    def kept_baselines(self, which: str = "ruleset") -> list[Baselines]:
        """What the slots of its rules had counted before. Raises NotOursError, BpfError."""
        try:
            return [
                Baselines(
                    Tally(each.baseline.packets, each.baseline.bytes),
                    Tally(each.dropped_baseline.packets, each.dropped_baseline.bytes),
                )
                for _, each in sorted(self.kept_rules(which).lookup_batch(), key=itemgetter(0))
            ]
        except AttributeError:
            raise NotOursError("the program's rules are laid out otherwise") from None

    def _content(self, map_id: int, size: int | None = None) -> bytes:
        with Map.from_id(map_id) as map_:
            info = map_.info
            whole = info.max_entries * STORED_BLOCK_BYTES
            if (
                info.type != MapType.ARRAY
                or info.value_size != STORED_BLOCK_BYTES
                or not (size or 0) <= whole <= _STORED_BYTES_MAX
            ):
                raise NotOursError(f"map {info.name} keeps no ruleset")
            with map_.mmap() as memory:
                return memory[: whole if size is None else size]

    def read(self) -> tuple[Counters, ...]:
        """What each possible CPU has counted, all in one system call. Raises BpfError."""
        return tuple(Counters.from_record(record) for record in self._counters[0])

    def read_sum(self) -> Counters:
        """The counts of all CPUs together. Raises BpfError."""
        return reduce(Counters.plus, self.read())

    def close(self) -> None:
        self._stack.close()


def find_ours(
    ifindex: int, known: RunningProgram | None = None
) -> tuple[RunningProgram, xdp.Mode] | None:
    """Our program on an interface, for the caller to close, and its mode; None where there is none.

    Args:
        known: what is returned if it still is the one.

    Raises BpfError: ENODEV when there is no such interface.
    """
    for race in range(_RACES_MAX):
        try:
            return _look(ifindex, known)
        except BpfError as error:
            # ENOENT: another ruleset took its place since the query, and it is gone.
            if error.errno != errno.ENOENT or race == _RACES_MAX - 1:
                raise
    return None


def _look(ifindex: int, known: RunningProgram | None) -> tuple[RunningProgram, xdp.Mode] | None:
    for attached in xdp.query(ifindex):
        if known is not None and known.program_id == attached.program_id:
            return known, attached.mode
        try:
            return RunningProgram(attached.program_id), attached.mode
        except NotOursError:
            continue
    return None


def _plain(record: Any) -> Any:
    """A decoded struct as dictionaries, which can be encoded again."""
    if not isinstance(record, Record):
        return record
    return {name: _plain(each) for name, each in vars(record).items()}


def _maps(map_ids: tuple[int, ...], btf: Btf, stack: ExitStack) -> dict[str, Map]:
    """A program's maps by name, entered into `stack`; of those of a name the first, as what it had
    before a successor bound more to itself."""
    found: dict[str, Map] = {}
    for map_id in map_ids:
        map_ = stack.enter_context(Map.from_id(map_id, btf))
        found.setdefault(map_.info.name, map_)
    return found


def _our_maps(maps: Mapping[str, Map], btf: Btf) -> dict[str, Map]:
    """Those that make a program ours. Raises NotOursError."""
    found: dict[str, Map] = {}
    for map_ in maps.values():
        info = map_.info
        struct = btf.find(Kind.STRUCT, info.name)
        if (
            struct is not None
            and info.type == _MAP_TYPES.get(info.name)
            and info.key_size == 4  # noqa: PLR2004 - an array's index
            and info.max_entries == 1
            and info.value_size == Codec(btf, struct).size
        ):
            found[info.name] = map_
    if found.keys() != _MAP_TYPES.keys():
        raise NotOursError("the program has no maps of ours")
    return found
