"""What is told when the compiler is missing or refuses a source."""

from __future__ import annotations

from pathlib import Path

import pytest

from xdpctl import pylibbpf
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


MINIMAL = """
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int nothing(struct xdp_md *ctx)
{
	return XDP_PASS;
}"""


def test_text_compiles_to_what_its_file_compiles_to(tmp_path: Path) -> None:
    source = tmp_path / "nothing.bpf.c"
    source.write_text(MINIMAL)
    compile_file(source, tmp_path / "nothing.o")

    def shape(data: bytes) -> tuple[list[str], list[str]]:
        with pylibbpf.Object.open(data) as obj:
            assert obj.btf is not None
            return [each.section for each in obj.programs], [type_.name for type_ in obj.btf.types]

    from_text, from_file = pylibbpf.compile(MINIMAL), (tmp_path / "nothing.o").read_bytes()
    assert shape(from_text) == shape(from_file)
    assert b".debug_info" not in from_text


def test_compiling_text_writes_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path)
    pylibbpf.compile(MINIMAL)
    assert [path.name for path in tmp_path.rglob("*")] == ["temporary"]


def test_text_that_clang_refuses_is_named_by_its_line_and_by_no_path() -> None:
    with pytest.raises(CompileError) as refused:
        pylibbpf.compile(MINIMAL.replace("XDP_PASS", "XDP_PSAS"))
    assert str(refused.value).startswith("<source>:8:9: error: use of undeclared identifier")
    assert "/tmp" not in str(refused.value)
    assert refused.value.hint == ""


def test_text_without_clang_is_one_line_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(CompileError) as missing:
        pylibbpf.compile(MINIMAL)
    assert str(missing.value) == "clang is not installed"
    assert "apt install clang" in missing.value.hint


def test_text_finds_headers_of_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.h").write_text("#define ANSWER XDP_DROP\n")
    monkeypatch.chdir(tmp_path)
    pylibbpf.compile('#include "mine.h"\n' + MINIMAL.replace("XDP_PASS", "ANSWER"))
