"""`xdpctl` within this process: its start-up takes longer than most of what it does."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from xdpctl.cli.main import main


class Done(NamedTuple):
    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        assert self.code in (0, 1), self.stderr
        return json.loads(self.stdout)


def ran(capsys: pytest.CaptureFixture[str], *arguments: object) -> Done:
    """A command, whatever its exit code."""
    with pytest.raises(SystemExit) as ended:
        main([str(each) for each in arguments])
    assert isinstance(ended.value.code, int)
    return Done(ended.value.code, *capsys.readouterr())
