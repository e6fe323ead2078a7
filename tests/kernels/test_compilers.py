"""Each compiler's object judges alike: what the verifier and the kernel make of one says nothing
about another's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from tests.bpf.test_classifier import agree
from tests.bpf.test_replay import replayed_as_the_model_judges
from tests.compilers import REPLAY, UNTYPED, XDPCTL, built_by, installed_compilers
from tests.edges import deep_ruleset, frame, moments, ruleset
from xdpctl.datapath import loading
from xdpctl.replay import driver
from xdpctl.rules.model import Ruleset


@pytest.mark.parametrize(("make", "rules"), [(ruleset, 64), (deep_ruleset, 130)])
@pytest.mark.parametrize("source", [XDPCTL, UNTYPED], ids=["typed", "untyped"])
@pytest.mark.parametrize("compiler", installed_compilers())
def test_verdicts_and_matched_rules_are_those_of_the_reference_model(
    compiler: str,
    source: Path,
    make: Callable[[Random, int], Ruleset],
    rules: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loading, "BPF_OBJECT", str(built_by(compiler, source)))
    random = Random(rules)
    made = make(random, rules)
    agree(made, [frame(random, made) for _ in range(250)], moments(random, 250))


@pytest.mark.parametrize("compiler", installed_compilers())
def test_replayed_packets_are_judged_as_by_the_reference_model(
    compiler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "BPF_OBJECT", str(built_by(compiler, XDPCTL)))
    monkeypatch.setattr(driver, "BPF_OBJECT", str(built_by(compiler, REPLAY)))
    monkeypatch.setattr(driver, "FEW", 0)
    random = Random(1)
    replayed_as_the_model_judges(random, ruleset(random, 64))
