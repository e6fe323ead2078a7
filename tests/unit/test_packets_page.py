"""docs/packets.md shows commands that there are, and keys that their documents have."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from xdpctl.cli.main import xdpctl
from xdpctl.cli.talkers import document_of as talker_document
from xdpctl.cli.trace import document_of
from xdpctl.datapath.counters import Tally
from xdpctl.datapath.sampling import Sample
from xdpctl.observe.talkers import By, Talkers, look_at

PAGE = (Path(__file__).parent.parent.parent / "docs/packets.md").read_text(encoding="utf-8")
SAMPLE = Sample(0, 60, bytes(60), 0, 0, "other", "pass", None, None, None)
EXAMPLES = re.findall(r"^    (xdpctl [^#|\n]*)", PAGE, re.MULTILINE)


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_is_a_command(example: str) -> None:
    name, *arguments = shlex.split(example)[1:]
    context = click.Context(xdpctl, info_name="xdpctl")
    command = xdpctl.get_command(context, name)
    assert command is not None
    assert command.make_context(name, arguments, parent=context).params["interface"] == "eth0"


def test_there_are_examples_of_each_command() -> None:
    assert {example.split()[1] for example in EXAMPLES} == {"top", "trace", "capture"}


def test_keys_of_documents_are_described() -> None:
    keys = set(document_of(SAMPLE))
    for by in By:
        talkers = Talkers(by, 1)
        talkers.add(look_at([SAMPLE]), Tally(1, 60), 1.0)
        keys |= set(talker_document(talkers.ranking().talkers[0], by))
    assert keys <= set(re.findall(r"`(\w+)`", PAGE))
