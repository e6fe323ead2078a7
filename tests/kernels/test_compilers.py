"""Each compiler's object judges alike: what the verifier and the kernel make of one says nothing
about another's."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from tests.bpf.test_classifier import agree
from tests.compilers import XDPCTL, built_by, installed_compilers
from tests.edges import deep_ruleset, frame, moments, ruleset
from xdpctl.datapath import loading
from xdpctl.rules.model import Ruleset


@pytest.mark.parametrize(("make", "rules"), [(ruleset, 64), (deep_ruleset, 130)])
@pytest.mark.parametrize("compiler", installed_compilers())
def test_verdicts_and_matched_rules_are_those_of_the_reference_model(
    compiler: str,
    make: Callable[[Random, int], Ruleset],
    rules: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loading, "BPF_OBJECT", str(built_by(compiler, XDPCTL)))
    random = Random(rules)
    made = make(random, rules)
    agree(made, [frame(random, made) for _ in range(250)], moments(random, 250))
