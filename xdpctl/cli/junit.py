"""Results of tests as JUnit XML, as continuous integration reads it: a suite for each file.

The elements are those of https://github.com/testmoapp/junitxml, which documents what is in use.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from xdpctl.cli.outputs import output_file
from xdpctl.cli.test_output import Report
from xdpctl.cli.text import printable


def written(path: str, inputs: Sequence[str], reports: Sequence[Report]) -> None:
    """Raises WrongUsage, XdpctlError: it cannot be written."""
    with output_file(path, inputs) as file:
        ElementTree.ElementTree(_suites(reports)).write(
            file, encoding="utf-8", xml_declaration=True
        )


def _suites(reports: Sequence[Report]) -> ElementTree.Element:
    root = ElementTree.Element("testsuites", _counts([*reports]), name="xdpctl test")
    for report in reports:
        # XML has no control characters, escaped or not.
        name = printable(report.path)
        suite = ElementTree.SubElement(root, "testsuite", _counts([report]), name=name)
        for result in report.results:
            case = ElementTree.SubElement(
                suite, "testcase", name=printable(result.name), classname=name
            )
            if not result.passed:
                failure = ElementTree.SubElement(case, "failure", message=printable(result.message))
                failure.text = printable("\n".join(result.details))
    return root


def _counts(reports: Sequence[Report]) -> dict[str, str]:
    results = [each for report in reports for each in report.results]
    failures = sum(not each.passed for each in results)
    return {"tests": str(len(results)), "failures": str(failures), "errors": "0"}
