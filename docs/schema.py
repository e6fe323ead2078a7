"""Writes the JSON Schema of the rules file, so that editors complete and check it: `make docs`.

What the schema takes for right, the reader may still refuse: it knows no sets, host bits or empty
ranges.  What the reader takes, the schema does, but for keywords in capital letters.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from xdpctl.rules.fields import FIELDS, NO_TAG, Field
from xdpctl.rules.limits import CELLS_MAX
from xdpctl.rules.limits import KEYS as LIMIT_KEYS
from xdpctl.rules.model import (
    POLICIES,
    RULES_MAX,
    Action,
    Addresses,
    Flags,
    Fragment,
    Icmp,
    Macs,
    Numbers,
)
from xdpctl.rules.words import ICMP_PROTOCOLS, TCP_FLAGS

SCHEMA = Path(__file__).parent.parent / "xdpctl" / "data" / "ruleset.schema.json"

NUMBER = r"(0[xX][0-9a-fA-F]{1,8}|0|[1-9][0-9]{0,9})"
RANGE = rf"{NUMBER}( *- *{NUMBER})?"
NAME = r"[A-Za-z0-9._-]{1,63}"
ADDRESS = r"[0-9]{1,3}(\.[0-9]{1,3}){3}|[0-9a-fA-F:]*:[0-9a-fA-F:.]*"
PREFIX = rf"({ADDRESS})(/[0-9]{{1,3}}| *- *({ADDRESS}))?"
MAC = r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}"
DURATION = r"([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?"
TIME = r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}[T ][0-9:.]+ ?(Z|[+-][0-9:]+)"
WHOLE = r"[1-9][0-9]{0,11}"
LIMIT_VALUES: dict[str, list[dict[str, Any]]] = {
    "rate": [{"type": "string", "pattern": f"^{WHOLE} ?(/[smh]|[kMG]?bit/s)$"}],
    "burst": [
        {"type": "integer", "minimum": 1},
        {"type": "string", "pattern": f"^{WHOLE}( ?[kM]?B)?$"},
    ],
    "per": [{"type": "string", "pattern": f"^(all|(src|dst)(/{WHOLE}(,{WHOLE})?)?)$"}],
    "cells": [
        {"enum": [1 << bit for bit in range(CELLS_MAX.bit_length())]},
        {"enum": [str(1 << bit) for bit in range(CELLS_MAX.bit_length())]},
    ],
}


def pattern(expression: str) -> dict[str, Any]:
    return {"type": "string", "pattern": f"^({expression})$"}


def integer(least: int, most: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": least, "maximum": most}


def one_value(field: Field) -> dict[str, Any]:
    """What one value of a field may look like."""
    condition = field.condition(field.examples)
    match condition:
        case Numbers():
            words = [*field.keywords, *([NO_TAG] if field.name == "vlan" else [])]
            forms = [integer(field.least, field.most), pattern(RANGE)]
            forms += [{"enum": words}] if words else []
        case Addresses():
            forms = [pattern(f"@{NAME}"), pattern(PREFIX)]
        case Flags():
            flags = rf"{NUMBER}|({'|'.join(TCP_FLAGS)})( *, *({'|'.join(TCP_FLAGS)}))*"
            forms = [pattern(rf"({flags}) */ *({flags})"), {"enum": list(TCP_FLAGS)}]
            forms.append(integer(1, 255))
        case Icmp():
            names = sorted({name for types in ICMP_PROTOCOLS.values() for name in types})
            kinds = rf"\*|{RANGE}|{'|'.join(names)}"
            forms = [integer(0, 255), {"enum": names}]
            forms.append(pattern(rf"({kinds})( */ *(\*|{RANGE}))?"))
        case Macs():
            forms = [pattern(MAC)]
        case _:
            return {"enum": list(map(str, Fragment))}
    return {"anyOf": forms} if len(forms) > 1 else forms[0]


def values(field: Field) -> dict[str, Any]:
    """One value, a list of them, or {not: ...} of either."""
    value = {"$ref": f"#/$defs/{field.name}"}
    either = {"anyOf": [value, {"type": "array", "items": value, "minItems": 1}]}
    negated = {
        "type": "object",
        "properties": {"not": either},
        "required": ["not"],
        "additionalProperties": False,
    }
    return {"description": field.help, "anyOf": [*either["anyOf"], negated]}


def schema() -> dict[str, Any]:
    action = {"enum": list(map(str, Action))}
    policy = {"enum": list(map(str, POLICIES))}
    name = pattern(NAME)
    rule = {
        "type": "object",
        "properties": {
            "name": {"description": "made up from the rule where there is none", **name},
            "action": {"description": "what becomes of a packet that the rule matches", **action},
            **{
                name: {"description": key.help, "anyOf": LIMIT_VALUES[name]}
                for name, key in LIMIT_KEYS.items()
            },
            **{each.name: values(each) for each in FIELDS.values()},
            "expires": {
                "description": "when the rule ends: a time with its zone, or so long from now",
                "anyOf": [pattern(DURATION), pattern(TIME)],
            },
        },
        "required": ["action"],
        "additionalProperties": False,
        "if": {"properties": {"action": {"const": str(Action.LIMIT)}}},
        "then": {"required": ["rate"]},
        "else": {"properties": dict.fromkeys(LIMIT_KEYS, False)},
    }
    prefix = pattern(PREFIX)
    file = {
        "type": "object",
        "properties": {"file": {"type": "string", "minLength": 1}},
        "required": ["file"],
        "additionalProperties": False,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "xdpctl ruleset",
        "type": "object",
        "properties": {
            "name": name,
            "default": {"description": "for packets that no rule matches; pass", **policy},
            "malformed": {"description": "for packets with a broken header; drop", **policy},
            "sets": {
                "description": "addresses under names, inline or from a list file",
                "type": ["object", "null"],
                "propertyNames": name,
                "additionalProperties": {
                    "anyOf": [prefix, {"type": "array", "items": prefix}, file]
                },
            },
            "rules": {
                "description": "the first that matches decides",
                "type": ["array", "null"],
                "items": rule,
                "maxItems": RULES_MAX,
            },
        },
        "additionalProperties": False,
        "$defs": {each.name: one_value(each) for each in FIELDS.values()},
    }


def text() -> str:
    return json.dumps(schema(), indent=1) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(text(), encoding="utf-8")
