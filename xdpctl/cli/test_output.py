"""What `xdpctl test` shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import click

from xdpctl.cli.documents import Document, write_json
from xdpctl.cli.explain_output import document as explanation_document
from xdpctl.cli.explain_output import reason, verdict_lines
from xdpctl.cli.packet_text import fields_of, line_of
from xdpctl.cli.text import counted, printable
from xdpctl.replay.testing import CaptureOutcome, Outcome, PacketOutcome

if TYPE_CHECKING:
    from xdpctl.replay.expectations import Expectations, PacketTest
    from xdpctl.replay.explaining import Explanation


class Result(NamedTuple):
    """Of one test, in words: a line that says what came instead, and lines that say why."""

    name: str
    passed: bool
    message: str
    details: tuple[str, ...]
    document: Document


class Report(NamedTuple):
    """Of one file."""

    path: str
    rules: str
    results: list[Result]


class Output:
    """Attributes: reports: of the files so far."""

    def __init__(self, *, json: bool) -> None:
        self._json = json
        self.reports: list[Report] = []

    def begin(self, expectations: Expectations) -> None:
        self.reports.append(Report(expectations.path, expectations.rules, []))
        self._line(expectations.path)

    def tell(self, outcome: Outcome) -> None:
        if isinstance(outcome, CaptureOutcome):
            for problem in outcome.problems:
                click.echo(printable(f"warning: {problem}"), err=True)
        result = result_of(outcome)
        self.reports[-1].results.append(result)
        if result.passed:
            self._line(f"  ok    {result.name}")
            return
        self._line(f"  FAIL  {result.name}: {result.message}")
        for line in result.details:
            self._line(f"          {line}")

    def end(self) -> None:
        total = sum(len(report.results) for report in self.reports)
        passed = total - self.failed
        self._line(f"{counted(total, 'test')}: {passed:,} passed, {self.failed:,} failed")
        if self._json:
            write_json(
                {
                    "passed": passed,
                    "failed": self.failed,
                    "files": [
                        {
                            "file": report.path,
                            "rules": report.rules,
                            "tests": [each.document for each in report.results],
                        }
                        for report in self.reports
                    ],
                }
            )

    @property
    def failed(self) -> int:
        return sum(not each.passed for report in self.reports for each in report.results)

    def _line(self, text: str) -> None:
        if not self._json:
            click.echo(printable(text))


def result_of(outcome: Outcome) -> Result:
    if isinstance(outcome, PacketOutcome):
        return _packet(outcome)
    return _capture(outcome)


def _packet(outcome: PacketOutcome) -> Result:
    test, explained = outcome.test, outcome.explained
    verdict = explained.verdict
    got = {"verdict": verdict.verdict, "rule": verdict.rule, "reason": verdict.reason}
    document: Document = {
        "name": test.name,
        "kind": "packet",
        "passed": outcome.passed,
        "expected": {"verdict": test.verdict, "rule": test.rule, "reason": test.reason},
        "got": got,
    }
    if outcome.passed:
        return Result(test.name, True, "", (), document)
    document["explanation"] = explanation_document(explained)
    came, *more = verdict_lines(explained)
    message = f"expected {_expected(test)}, got {came}"
    details = (line_of(explained.packet), *map(str.strip, more), *_why_not(test, explained))
    return Result(test.name, False, message, details, document)


def _expected(test: PacketTest) -> str:
    if test.rule is not None:
        return f"{test.verdict}: {test.reason or 'rule'} {test.rule}"
    return test.verdict if test.reason is None else f"{test.verdict}: {test.reason}"


def _why_not(test: PacketTest, explained: Explanation) -> list[str]:
    """Why the rule that was expected did not decide."""
    if test.rule is None or test.rule == explained.verdict.rule:
        return []
    for each in explained.asked:
        if each.rule.name == test.rule:
            return [f"{test.rule}: {reason(each, fields_of(explained.packet))}"]
    return [f"{test.rule} was not asked: that was decided before"]


def _capture(outcome: CaptureOutcome) -> Result:
    test = outcome.test
    document: Document = {
        "name": test.name,
        "kind": "capture",
        "passed": outcome.passed,
        "expected": {"verdicts": dict(test.verdicts), "rules": dict(test.rules)},
        "got": {"verdicts": dict(outcome.verdicts), "rules": dict(outcome.rules)},
        "not_replayed": outcome.not_replayed,
    }
    wrong = [
        f"{name}: expected {expected[name]:,}, got {got[name]:,}"
        for expected, got in ((test.verdicts, outcome.verdicts), (test.rules, outcome.rules))
        for name in expected
        if expected[name] != got[name]
    ]
    details = []
    if wrong and outcome.not_replayed:
        details.append(f"{counted(outcome.not_replayed, 'packet')} not replayed")
    return Result(test.name, outcome.passed, "; ".join(wrong), tuple(details), document)
