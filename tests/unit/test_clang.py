"""What is told when the compiler is missing or refuses a source."""

from __future__ import annotations

from pathlib import Path

import pytest

from xdpctl.pylibbpf import CompileError
from xdpctl.pylibbpf.clang import compile_file


def test_a_machine_without_clang_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CompileError, match="clang is not installed") as missing:
        compile_file(tmp_path / "x.c", tmp_path / "x.o")
    assert "apt install clang" in missing.value.hint


def test_a_header_that_is_missing_is_told_with_the_hint(tmp_path: Path) -> None:
    source = tmp_path / "x.bpf.c"
    source.write_text("#include <bpf/nothing_of_the_kind.h>\n")

    with pytest.raises(CompileError, match=r"nothing_of_the_kind\.h' file not found") as missing:
        compile_file(source, tmp_path / "x.o")
    assert "libbpf-dev" in missing.value.hint


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"int f(void) { return 1 }\n", "expected ';'"),
        (b"int f(void) { int unused; return 1; }\n", "unused variable"),
        (b'char *s = "\xff\xfe"; int \xe9 = ;\n', "error:"),
    ],
)
def test_what_clang_says_is_passed_on(tmp_path: Path, text: bytes, complaint: str) -> None:
    source = tmp_path / "x.bpf.c"
    source.write_bytes(text)

    with pytest.raises(CompileError) as refused:
        compile_file(source, tmp_path / "deep" / "x.o")
    assert complaint in str(refused.value)
    assert "x.bpf.c:1:" in str(refused.value)
    assert refused.value.hint == ""
    assert list((tmp_path / "deep").iterdir()) == []


def test_a_source_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CompileError, match="no such file"):
        compile_file(tmp_path / "nothing.bpf.c", tmp_path / "x.o")
