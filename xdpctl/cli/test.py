"""xdpctl test"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from xdpctl.cli.base import Command, session_of
from xdpctl.cli.rules_output import print_warnings
from xdpctl.datapath.kernel import require_privileges
from xdpctl.errors import WrongUsage
from xdpctl.rules.inputs import STDIN
from xdpctl.rules.mistakes import BadRuleset

if TYPE_CHECKING:
    from xdpctl.replay.expectations import Expectations
    from xdpctl.rules.mistakes import Mistake

FAILED = 1


@click.command(
    cls=Command,
    name="test",
    short_help="Hold a rules file against what is expected of it.",
    examples=(
        "xdpctl test edge.test.yaml          before it is on, or in CI",
        "xdpctl test edge.test.yaml --junit report.xml",
    ),
)
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(allow_dash=True)
)
@click.option("--junit", metavar="FILE", help="Also write a report as JUnit XML.")
@click.pass_context
def command(context: click.Context, files: tuple[str, ...], junit: str | None) -> int:
    """Judge packets and captures by the very program that would run on an interface, without one,
    and say which of them do not become what a file says that they should. Exits with 0 where all
    do, and with 1 where one does not.
    """
    from xdpctl.cli.junit import written  # noqa: PLC0415
    from xdpctl.cli.test_output import Output  # noqa: PLC0415
    from xdpctl.replay.testing import outcomes  # noqa: PLC0415

    if files.count(STDIN) > 1:
        raise WrongUsage("-: is there twice")
    expected = _read_all(files)
    require_privileges()
    output = Output(json=session_of(context).json)
    for each in expected:
        print_warnings(each.warnings)
        output.begin(each)
        for outcome in outcomes(each):
            output.tell(outcome)
    output.end()
    if junit is not None:
        inputs = [path for each in expected for path in (each.path, each.rules)]
        written(junit, inputs, output.reports)
    return FAILED if output.failed else 0


def _read_all(files: tuple[str, ...]) -> list[Expectations]:
    """Raises BadRuleset: with the mistakes of all of them."""
    from xdpctl.replay.expectations import read_expectations  # noqa: PLC0415

    found: list[Expectations] = []
    mistakes: list[Mistake] = []
    for path in files:
        try:
            found.append(read_expectations(path))
        except BadRuleset as error:
            mistakes += error.mistakes
    if mistakes:
        raise BadRuleset(mistakes)
    return found
