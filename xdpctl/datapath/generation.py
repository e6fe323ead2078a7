"""A ruleset in the kernel: its constants and its tables, in a program that is attached to nothing.

An object is opened, adjusted to what the ruleset uses, loaded, and its tables are written through
memory that both sides map; then those are frozen, so that nobody changes them any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from xdpctl.datapath.counters import Tally
from xdpctl.datapath.limits import NOTHING_KEPT, KeptLimits, LimitEntry
from xdpctl.pylibbpf import Object, ObjectMap

if TYPE_CHECKING:  # NumPy, which only those need who load a ruleset
    from xdpctl.rules.compiler import AddressPlan, Compiled

DEFAULT_SLOT = 0

_ASKS = {
    "asks_transport": ("proto", "sport", "dport", "flags", "icmp"),
    "asks_more": ("flags", "icmp"),
    "asks_network": ("ttl", "dscp", "fragment"),
    "asks_link": ("length", "vlan", "ethertype", "src_mac", "dst_mac"),
}


class RuleEntry(NamedTuple):
    """A rule as the data plane has it (struct rule).

    Attributes:
        verdict: XDP_DROP or XDP_PASS.
        slot: where its packets are counted.
        expires_ns: on CLOCK_BOOTTIME; 0 is never.
        baseline: what the slot had counted before.
        limit: 1 and its number among the limits; 0 for a rule that is none.
        dropped_baseline: what the slot of what it drops had counted before.
    """

    verdict: int
    slot: int
    expires_ns: int = 0
    baseline: Tally = Tally(0, 0)
    limit: int = 0
    dropped_baseline: Tally = Tally(0, 0)

    def record(self) -> dict[str, Any]:
        baselines = {
            "baseline": self.baseline._asdict(),
            "dropped_baseline": self.dropped_baseline._asdict(),
        }
        return {**self._asdict(), **baselines}


class Generation(NamedTuple):
    """What the data plane needs of a ruleset.

    Attributes:
        rules: in their order.
        limits: in the order of the compiled ones.
        kept: what of them the program before has.
        number: tells it from others that were on the interface; 0 is none.
        injected_clock: time is what the map `clock` says, for test runs.
    """

    compiled: Compiled
    rules: Sequence[RuleEntry]
    drop_malformed: bool
    drop_by_default: bool
    limits: Sequence[LimitEntry] = ()
    kept: KeptLimits = NOTHING_KEPT
    number: int = 0
    injected_clock: bool = False


def configure(obj: Object, generation: Generation | None, *, replaying: bool = False) -> None:
    """Sets constants and sizes, before load; without a generation, of a program that counts.

    Raises BpfError, BtfError.
    """
    injected = replaying or (generation is not None and generation.injected_clock)
    obj.maps.clock.set_autocreate(injected)
    for map_ in (obj.maps.begun, obj.maps.judged):
        map_.set_autocreate(replaying)
    for map_ in (obj.maps.limits, obj.maps.cells):
        map_.set_autocreate(generation is not None and bool(generation.limits))
    switches = {"injected_clock": int(injected), "replaying": int(replaying)}
    if generation is None:
        obj.rodata.config = {"words": 1, **switches}
        return
    compiled = generation.compiled
    obj.rodata.config = _config(obj, generation) | switches
    obj.maps.rules.set_max_entries(max(1, len(generation.rules)))
    obj.maps.rows.set_value_size(compiled.rows.nbytes)
    obj.maps.tables.set_value_size(compiled.tables.nbytes)
    obj.maps.macs.set_max_entries(max(1, len(compiled.macs)))
    if generation.limits:
        obj.maps.limits.set_max_entries(len(generation.limits))
        obj.maps.cells.set_max_entries(compiled.cells)
    for name, table in compiled.address_tables.items():
        obj.maps[name].set_value_size(table.blocks.nbytes)
        setattr(obj.rodata, f"{name}_root", table.root()._asdict())
    for name, root in compiled.kept_tables.items():
        setattr(obj.rodata, f"{name}_root", root._asdict())


def fill(obj: Object, generation: Generation) -> None:
    """Writes the tables, after load. Raises BpfError."""
    compiled = generation.compiled
    write_once(obj.maps.rows, compiled.rows)
    write_once(obj.maps.tables, compiled.tables)
    for name, table in compiled.address_tables.items():
        write_once(obj.maps[name], table.blocks)
    obj.maps.rules.update_batch((i, each.record()) for i, each in enumerate(generation.rules))
    if generation.limits:
        obj.maps.limits.update_batch((i, each.record()) for i, each in enumerate(generation.limits))
    obj.maps.macs.update_batch(
        (mac, {"source": source, "destination": destination})
        for mac, (source, destination) in compiled.macs.items()
    )


def write_once(map_: ObjectMap, content: Any) -> None:
    """Writes an array map from its beginning, for good. Raises BpfError."""
    if not memoryview(content).nbytes:
        return
    with map_.mmap(writable=True) as memory:
        octets = memoryview(content).cast("B")
        memory[: len(octets)] = octets
    map_.freeze()


def _config(obj: Object, generation: Generation) -> dict[str, Any]:
    """struct config."""
    assert obj.btf is not None
    compiled = generation.compiled
    before: Any = obj.rodata.config
    return {
        "rules": 1,
        "drop_malformed": int(generation.drop_malformed),
        "drop_by_default": int(generation.drop_by_default),
        "expiring": int(any(each.expires_ns for each in generation.rules)),
        "limiting": int(bool(generation.limits)),
        "generation": generation.number,
        "words": compiled.words,
        "steps": compiled.words if generation.rules else 0,
        "groups": len(compiled.groups),
        "table_values": len(compiled.tables),
        "row_words": compiled.rows.size,
        "source": _address_config(compiled.source),
        "destination": _address_config(compiled.destination),
        "fields": [_field_config(name, compiled) for name in _fields(obj)],
        "group": _padded(
            [
                {"table": each.table, "rows": each.rows, "joint": int(each.joint)}
                for each in compiled.groups
            ],
            len(before.group),
        ),
        **{
            switch: int(any(name in compiled.fields for name in names))
            for switch, names in _ASKS.items()
        },
    }


def _fields(obj: Object) -> list[str]:
    """The fields in the order of enum field, as the rules call them."""
    assert obj.btf is not None
    numbers = obj.btf.enum("field")
    names = {number: name.removeprefix("FIELD_").lower() for name, number in numbers.items()}
    return [names[number] for number in range(numbers["FIELDS"])]


def _field_config(name: str, compiled: Compiled) -> dict[str, int]:
    plan = compiled.fields.get(name)
    return {} if plan is None else {**plan._asdict(), "used": 1}


def _address_config(plan: AddressPlan | None) -> dict[str, Any]:
    if plan is None:
        return {}
    return {
        "sets": int(plan.set_rows is not None),
        "own": int(plan.own_rows is not None),
        "set_rows": plan.set_rows or (0, 0),
        "own_rows": plan.own_rows or (0, 0),
        "absent_row": plan.absent_row,
    }


def _padded(items: list[dict[str, int]], length: int) -> list[dict[str, int]]:
    return items + [{}] * (length - len(items))
