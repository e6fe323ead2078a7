"""The fields of a rule as options."""

from __future__ import annotations

from typing import Any

import click

from xdpctl.rules.fields import FIELDS


def field_options(function: Any) -> Any:
    """An option for each field of a rule, named as in the file, with hyphens."""
    for field in reversed([*FIELDS.values()]):
        function = click.option(
            f"--{field.name.replace('_', '-')}",
            field.name,
            metavar=field.metavar,
            multiple=True,
            help=f"{field.help[0].upper()}{field.help[1:]}; as {field.examples[0]}.",
        )(function)
    return function


def value_of(field: str, values: tuple[str, ...]) -> Any:
    """A field's options as the value that a file would have."""
    negated = values[0].startswith("!")
    words = [values[0].removeprefix("!"), *values[1:]]
    # Flags are written with commas themselves.
    parts = words if field == "flags" else [part for word in words for part in word.split(",")]
    value: Any = parts if len(parts) > 1 else parts[0]
    return {"not": value} if negated else value
