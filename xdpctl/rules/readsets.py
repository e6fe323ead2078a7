"""The sets of a file: inline, or from lists."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace

from xdpctl.errors import WrongUsage
from xdpctl.rules.lists import list_digest, read_list
from xdpctl.rules.mistakes import BadRuleset
from xdpctl.rules.model import NamedSet
from xdpctl.rules.notes import Notes
from xdpctl.rules.sets import WEIGHT_MAX, set_of, set_of_arrays, weight_of
from xdpctl.rules.tree import Items, Node, Table
from xdpctl.rules.values import AddressRange, BadValue, parse_address, quoted

SETS_MAX = 1024


Known = Mapping[str, NamedSet]
"""By the absolute path of its list: a set that was made of it."""


def read_sets(
    notes: Notes, node: Node, directory: str, known: Known
) -> dict[str, tuple[Node, NamedSet | None]]:
    """By name: where it is defined, and the set; None where that is wrong, which is noted.

    Args:
        directory: what relative paths of files are relative to.
        known: lists that need not be read again if they are the same still; what is odd about
            them is not told again.
    """
    pairs = notes.table(node, "sets")
    if len(pairs) > SETS_MAX:
        notes.mistake(pairs[SETS_MAX][0], f"{len(pairs):,} sets: there can be {SETS_MAX:,}")
        pairs = pairs[:SETS_MAX]
    found: dict[str, tuple[Node, NamedSet | None]] = {}
    weight = 0
    for key, value in pairs:
        name = notes.name(key, "sets")
        if name is None:
            continue
        made = _read_set(notes, name, value, directory, known)
        found[name] = (key, made)
        weight += 0 if made is None else weight_of(made)
        if weight > WEIGHT_MAX:
            limit = f"{WEIGHT_MAX:,} IPv4 or {WEIGHT_MAX // 4:,} IPv6"
            notes.mistake(key, f"the sets have more than {limit} ranges together")
            break
    return found


def _read_set(notes: Notes, name: str, node: Node, directory: str, known: Known) -> NamedSet | None:
    if isinstance(node, Table):
        parts = notes.known(notes.table(node, f"set {quoted(name)}"), ("file",))
        if "file" in parts:
            return _from_file(notes, name, parts["file"], directory, known)
        if not node.pairs:
            notes.mistake(node, f"set {quoted(name)}: expected a list of addresses, or file: PATH")
        return None
    before = len(notes.mistakes)
    values: list[Node] = node.items if isinstance(node, Items) else [node]
    made = set_of(name, _addresses(notes, f"set {quoted(name)}", values))
    return made if len(notes.mistakes) == before else None


def _addresses(notes: Notes, what: str, values: list[Node]) -> Iterator[AddressRange]:
    """Those that are right."""
    for value in values:
        text = notes.text(value, what)
        if text is None:
            continue
        try:
            if text.startswith("@"):
                raise BadValue("a set cannot have other sets in it; a rule can name several")
            yield parse_address(text)
        except BadValue as error:
            notes.mistake(value, str(error))


def _from_file(
    notes: Notes, name: str, node: Node, directory: str, known: Known
) -> NamedSet | None:
    written = notes.text(node, "file")
    if written is None:
        return None
    path = os.path.abspath(os.path.join(directory, written))
    try:
        path.encode()  # it has to be written into YAML and JSON again
        if path in known and known[path].file_digest == list_digest(path):
            return replace(known[path], name=name)
        found = read_list(path)
    except BadRuleset as error:
        notes.mistakes += error.mistakes
    except UnicodeEncodeError:
        notes.mistake(node, "file: the path of the list is not UTF-8")
    except WrongUsage as error:
        notes.mistake(node, f"file: {error.message}")
    else:
        notes.warnings += found.warnings
        return set_of_arrays(
            name,
            found.ipv4,
            found.ipv6,
            source=path,
            file_digest=found.digest,
            prefixes=len(found.ipv4) + len(found.ipv6),
        )
    return None
