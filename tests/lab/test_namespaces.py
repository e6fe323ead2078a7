"""A network namespace that is bound to a file, and taken away again."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from xdpctl.pylibbpf import netns


def test_a_namespace_bound_while_its_file_is_removed_goes_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by the thread of a `create` that two Ctrl-C did not wait for."""
    path = tmp_path / "bound"
    path.touch()
    unlink, refused = os.unlink, []

    def late(name: str) -> None:
        if not refused:
            netns._call("mount", b"/proc/self/ns/net", os.fsencode(name), b"", netns._MS_BIND, None)
        try:
            unlink(name)
        except OSError as error:
            refused.append(error.errno)
            raise

    monkeypatch.setattr(os, "unlink", late)
    netns.remove(str(path))
    assert refused == [errno.EBUSY]
    assert not path.exists()
    assert str(path) not in Path("/proc/self/mountinfo").read_text()
