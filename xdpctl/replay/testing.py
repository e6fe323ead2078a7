"""Whether a rules file does what is expected of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias

from xdpctl.captures.reading import CaptureReader
from xdpctl.replay.api import Replay
from xdpctl.replay.expectations import CaptureTest, Expectations, PacketTest
from xdpctl.replay.explaining import Explanation, explain
from xdpctl.replay.packets import Frames, Packets
from xdpctl.replay.verdicts import Summary

_TOGETHER = 1024


class PacketOutcome(NamedTuple):
    test: PacketTest
    explained: Explanation

    @property
    def passed(self) -> bool:
        """Whether everything is as expected that something is expected of."""
        test, verdict = self.test, self.explained.verdict
        return (
            verdict.verdict == test.verdict
            and test.rule in (None, verdict.rule)
            and test.reason in (None, verdict.reason)
        )


class CaptureOutcome(NamedTuple):
    """Attributes:
    verdicts, rules: how many packets met those that something is expected of.
    not_replayed: how many the kernel does not take, or could not be used.
    problems: what is wrong with the file.
    """

    test: CaptureTest
    verdicts: Mapping[str, int]
    rules: Mapping[str, int]
    not_replayed: int
    problems: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return self.verdicts == self.test.verdicts and self.rules == self.test.rules


Outcome: TypeAlias = PacketOutcome | CaptureOutcome


def outcomes(expectations: Expectations) -> Iterator[Outcome]:
    """What comes of each, in the order of the file: packets, each by itself, with full buckets of
    limits; then captures, in their own time.

    Raises:
        XdpctlError: the kernel and the reference model disagree.
        WrongUsage: a capture cannot be read.
        MissingPrivilege, KernelRefused, TooManyClasses, TooManyRanges, TooManyLimits.
    """
    if expectations.packets:
        with Replay(expectations.ruleset) as replay:
            replay.begin(expectations.time_ns)
            for test in expectations.packets:
                yield _packet(replay, test)
    for capture in expectations.captures:
        yield _capture(expectations.rules, capture)


def _packet(replay: Replay, test: PacketTest) -> PacketOutcome:
    replay.forget()
    explained = explain(replay, _copies(test))
    if explained.disagreement is not None:
        raise explained.disagreement
    return PacketOutcome(test, explained)


def _copies(test: PacketTest) -> Iterator[Packets]:
    """The last one alone."""
    length, left = len(test.frame), test.repeat - 1
    while left > 0:
        number = min(left, _TOGETHER)
        yield Frames(test.frame, [0] * number, [length] * number, [test.time_ns] * number)
        left -= number
    yield Frames(test.frame, [0], [length], [test.time_ns])


def _capture(rules: str, test: CaptureTest) -> CaptureOutcome:
    with CaptureReader(test.path) as reader, Replay(rules) as replay:
        for _ in replay.judge(reader, records=False):
            pass
        summary = replay.summary
        left_out = sum(reader.left_out.values()) + sum(summary.not_replayed.values())
        problems = tuple(f"{reader.name}: {each}" for each in reader.problems)
    verdicts, rules_counted = _verdicts(summary), _rules(summary)
    return CaptureOutcome(
        test,
        {name: verdicts[name] for name in test.verdicts},
        {name: rules_counted[name] for name in test.rules},
        left_out,
        problems,
    )


def _verdicts(summary: Summary) -> Counter[str]:
    tallies = zip(summary.names.verdicts, summary.counters.verdicts, strict=True)
    return Counter({name: tally.packets for name, tally in tallies})


def _rules(summary: Summary) -> Counter[str]:
    """How many packets each decided on: of a limit, those that it dropped."""
    rules = summary.ruleset.rules if summary.ruleset else ()
    return Counter(
        {
            str(each.fields["name"]): (
                each.counted if each.dropped is None else each.dropped
            ).packets
            for each in rules
        }
    )
