"""docs/testing-rules.md: its examples print what it says."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.commands import ran
from xdpctl.replay import expectations

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "testing-rules.md").read_text(encoding="utf-8")
SESSIONS = re.findall(r"^```console\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
NOW_OF_THE_PAGE = "2026-11-21T12:00:00.000000000Z"


@pytest.fixture
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    directory = tmp_path / "rulesets"
    shutil.copytree(ROOT / "examples" / "rulesets", directory)
    monkeypatch.chdir(directory)
    return directory


@pytest.mark.usefixtures("examples")
@pytest.mark.parametrize("session", SESSIONS)
def test_examples_print_what_they_are_said_to(
    session: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for each in session.split("$ ")[1:]:
        command, _, expected = each.partition("\n")
        words = shlex.split(command)
        if words[0] != "xdpctl":
            subprocess.run(command, shell=True, check=True)
            continue
        printed = ran(capsys, *words[1:]).stdout
        if NOW_OF_THE_PAGE in expected:
            printed = MOMENT.sub(NOW_OF_THE_PAGE, printed, count=1)
        if expected.endswith("...\n"):
            expected = expected.removesuffix("...\n")
            printed = printed[: len(expected)]
        assert printed == expected


@pytest.mark.usefixtures("examples")
def test_example_in_python_prints_what_it_is_said_to(capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    exec(compile(code, "testing-rules.md", "exec"), {})
    (expected,) = re.findall(r"  # (.*)$", code, re.MULTILINE)
    assert capsys.readouterr().out == f"{expected}\n"


def test_file_of_expectations_holds(examples: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    path = examples / "page.test.yaml"
    path.write_text(text)
    done = ran(capsys, "test", path)
    assert (done.code, done.stdout.splitlines()[-1]) == (0, "5 tests: 5 passed, 0 failed")


def test_table_of_keys_has_all_of_them() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert rows == set(expectations.PACKET_KEYS) - set(expectations.FIELDS)
