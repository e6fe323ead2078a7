"""List files are read as they are published; what they mean is `ipaddress`'s to say."""

from __future__ import annotations

import os
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xdpctl.errors import WrongUsage
from xdpctl.rules import lists
from xdpctl.rules.lists import AddressList, read_list
from xdpctl.rules.mistakes import BadRuleset


def read(tmp_path: Path, content: bytes | str) -> AddressList:
    path = tmp_path / "list"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_list(str(path))


def ranges(found: AddressList) -> set[tuple[int, int]]:
    """Of IPv4 as numbers below 2**32, of IPv6 as they are."""
    wide = [((a << 64) | b, (c << 64) | d) for (a, b), (c, d) in found.ipv6.tolist()]
    return {(first, last) for first, last in found.ipv4.tolist()} | set(wide)


def of(text: str) -> tuple[int, int]:
    network = ip_network(text)
    return int(network[0]), int(network[-1])


V6 = 0x20010DB8 << 96


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("192.0.2.1", (0xC0000201, 0xC0000201)),
        ("192.0.2.0/24", (0xC0000200, 0xC00002FF)),
        ("0.0.0.0/0", (0, 2**32 - 1)),
        ("255.255.255.255/32", (2**32 - 1, 2**32 - 1)),
        ("192.0.2.0/24 ; SBL1", (0xC0000200, 0xC00002FF)),
        ("192.0.2.0/24# comment", (0xC0000200, 0xC00002FF)),
        ("192.0.2.0/24\t\t  # 1 ; 2", (0xC0000200, 0xC00002FF)),
        ("  192.0.2.0/24", (0xC0000200, 0xC00002FF)),
        ("192.0.2.0/24 \t ", (0xC0000200, 0xC00002FF)),
        ("192.0.2.5-192.0.2.9", (0xC0000205, 0xC0000209)),
        ("192.0.2.5 - 192.0.2.9", (0xC0000205, 0xC0000209)),
        ("192.0.2.5\t192.0.2.9", (0xC0000205, 0xC0000209)),
        (
            "192.0.2.0\t192.0.2.255\t24\t17\tEXAMPLE\tZZ\tabuse@example.net",
            (0xC0000200, 0xC00002FF),
        ),
        ("192.0.2.0\t192.0.2.255\t24 # DShield", (0xC0000200, 0xC00002FF)),
        ("2001:db8::/32", (V6, V6 | (1 << 96) - 1)),
        ("2001:DB8::1", (V6 | 1, V6 | 1)),
        ("::/0", (0, 2**128 - 1)),
        ("2001:db8::1-2001:db8::ffff", (V6 | 1, V6 | 0xFFFF)),
        ("2001:db8::1\t2001:db8::ffff", (V6 | 1, V6 | 0xFFFF)),
        ("::ffff:192.0.2.1", (0xFFFFC0000201, 0xFFFFC0000201)),
        ("2001:db8::/32 # comment", (V6, V6 | (1 << 96) - 1)),
    ],
)
@pytest.mark.parametrize("ending", ["", "\n", "\r\n", "\n\n# end\n"])
def test_line_is_read(tmp_path: Path, line: str, expected: tuple[int, int], ending: str) -> None:
    found = read(tmp_path, line + ending)
    assert ranges(found) == {expected}
    assert found.warnings == ()


@pytest.mark.parametrize(
    "content", ["", "\n", "\r\n\r\n", "# only\n;comments\n", " \t \n", "Start\tEnd\tNetmask\n"]
)
def test_nothing_but_blanks_and_comments_is_empty_and_said(tmp_path: Path, content: str) -> None:
    found = read(tmp_path, content)
    assert (len(found.ipv4), len(found.ipv6)) == (0, 0)
    assert [str(each) for each in found.warnings] == [f"{tmp_path}/list: the list is empty"]


def test_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    assert ranges(read(tmp_path, b"\xef\xbb\xbf192.0.2.1\n")) == {(0xC0000201, 0xC0000201)}


def test_comments_need_not_be_utf8(tmp_path: Path) -> None:
    assert ranges(read(tmp_path, b"192.0.2.1 # caf\xe9\n")) == {(0xC0000201, 0xC0000201)}


BAD_LINES = [
    "010.1.1.1", "1.2.3", "1.2.3.4/33", "1.2.3.4.5", "1.2.3.4/", "1.2.3.4/08", "1.2.3.256",
    "1.2.3.4/24/8", "1..2.3", ".1.2.3.4", "1.2.3.4.", "1.2.3.4 5", "1.2.3.4 1.2.3.9", "1.2.3.1000",
    "1.2.3.4-", "-1.2.3.4", "1.2.3.4-5", "1.2.3.9-1.2.3.4", "1.2.3.9\t1.2.3.4", "+1.2.3.4",
    "1.2.3.4/24-1.2.3.9",
    "1.2.3.4\t9", "1.2.3.4/255.255.255.0", "1.2.3.4-2001:db8::", "0x1.2.3.4", "1.2.3.4\r5",
    "2001:db8::/129", "2001:db8::/", "2001:db8:::", "12345::", "fe80::1%eth0", "1:2:3:4:5:6:7:8:9",
    "example.net", "@office", "١.2.3.4", "4294967296", "1.2.3.4/+8", "00.0.0.0", "1.2.3.04",
]  # fmt: skip


@pytest.mark.parametrize("line", BAD_LINES)
def test_bad_line_is_refused_and_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(BadRuleset) as caught:
        read(tmp_path, f"192.0.2.0/24\n\n{line}\n192.0.2.1\n")
    (mistake,) = caught.value.mistakes
    assert (mistake.path, mistake.line, mistake.column) == (str(tmp_path / "list"), 3, 1)


def test_first_ten_bad_lines_are_named_and_all_are_counted(tmp_path: Path) -> None:
    lines = [f"10.0.{number % 256}.0/24" if number % 3 else "  bad" for number in range(3000)]
    with pytest.raises(BadRuleset) as caught:
        read(tmp_path, "\n".join(lines))
    whole, *named = caught.value.mistakes
    assert (whole.line, whole.text) == (0, "1,000 bad lines, of which the first 10 are named")
    assert [(each.line, each.column) for each in named] == [(3 * n + 1, 3) for n in range(10)]
    assert named[0].text == '"bad" is not an IPv4 or IPv6 address'


def test_line_numbers_go_on_over_blocks(tmp_path: Path) -> None:
    """A block is a mebibyte, some 85,000 lines of these."""
    lines = ["192.0.2.0/24"] * 300_000
    lines[250_000] = "bad"
    with pytest.raises(BadRuleset) as caught:
        read(tmp_path, "\n".join(lines))
    assert [each.line for each in caught.value.mistakes] == [250_001]


def test_reading_gives_up_after_very_many_bad_lines(tmp_path: Path) -> None:
    with pytest.raises(BadRuleset) as caught:
        read(tmp_path, "x\n" * 150_000)
    assert caught.value.mistakes[0].text.startswith("100,000 bad lines before giving up")


def test_host_bits_are_masked_counted_and_the_first_ten_named(tmp_path: Path) -> None:
    lines = [f"10.0.{number}.7/24" for number in range(9)] + [
        "2001:db8::1/64",
        " 10.1.1.1/31",
        "::",
    ]
    lines += ["2001:db8::/64", "10.1.1.0/31"]
    found = read(tmp_path, "\n".join(lines))
    assert of("10.0.3.0/24") in ranges(found)
    assert of("2001:db8::/64") in ranges(found)
    (warning,) = found.warnings
    assert warning.text.startswith(
        "11 with host bits set, read as the networks they are in: 10.0.0.7/24 (line 1), "
    )
    assert warning.text.endswith("2001:db8::1/64 (line 10), ...")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"192.0.2.1\n\0\n", "list: not a text file (it has a NUL byte)"),
        (b"192.0.2.1\n" + b"1" * (70 << 10), None),
        (b"#" * (3 << 20), "list: has a line of more than 64 KiB: not a list"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes, message: str | None) -> None:
    with pytest.raises(WrongUsage) as caught:
        read(tmp_path, content)
    assert message is None or caught.value.message == f"{tmp_path}/{message}"


def test_directory_fifo_device_and_nothing_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "loop").symlink_to("loop")
    for name, reason in {
        str(tmp_path): "is a directory",
        str(tmp_path / "fifo"): "is a FIFO, not a regular file",
        "/dev/zero": "is a device, not a regular file",
        str(tmp_path / "none"): "no such file or directory",
        str(tmp_path / "loop"): "too many levels of symbolic links",
        "a\0b": "no such file",
    }.items():
        with pytest.raises(WrongUsage) as caught:
            read_list(name)
        assert caught.value.message == f"{name}: {reason}"
        assert caught.value.exit_code == 2


def test_file_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "LIMIT_BYTES", 1 << 20)
    assert len(read(tmp_path, "\n" * (1 << 20)).ipv4) == 0
    with pytest.raises(WrongUsage, match="larger than 1 MiB"):
        read(tmp_path, "\n" * ((1 << 20) + 1))


@pytest.mark.parametrize("limit", ["IPV4_MAX", "IPV6_MAX"])
def test_too_many_prefixes_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(lists, limit, 2)
    assert len(read(tmp_path, "10.0.0.0\n" * 2 + "::\n" * 2).ipv4) == 2
    with pytest.raises(BadRuleset, match="has more than"):
        read(tmp_path, "10.0.0.0\n" * 3 + "::\n" * 3)


def test_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "list"
    path.write_text("192.0.2.1\n")
    real = os.read

    def read_and_append(descriptor: int, size: int) -> bytes:
        chunk = real(descriptor, size)
        with path.open("a") as file:
            file.write("x" if not chunk else "")
        return chunk

    monkeypatch.setattr(os, "read", read_and_append)
    with pytest.raises(WrongUsage, match="changed while it was read"):
        read_list(str(path))


def v4_line(network: IPv4Network, style: int) -> str:
    return [
        str(network),
        f"{network} ; comment",
        f"{network[0]}-{network[-1]}",
        f"{network[0]}\t{network[-1]}\t{network.prefixlen}",
        f"   {network}\r",
    ][style]


networks4 = st.builds(
    lambda number, length: IPv4Network((number, length), strict=False),
    st.integers(0, 2**32 - 1),
    st.integers(0, 32),
)
networks6 = st.builds(
    lambda number, length: IPv6Network((number, length), strict=False),
    st.integers(0, 2**128 - 1),
    st.integers(0, 128),
)


@given(
    st.lists(
        st.one_of(
            st.builds(lambda n, style: (n, v4_line(n, style)), networks4, st.integers(0, 4)),
            st.builds(lambda n: (n, str(n)), networks6),
        )
    )
)
def test_any_mixture_of_forms_is_what_ipaddress_says(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[tuple[IPv4Network | IPv6Network, str]],
) -> None:
    path = tmp_path_factory.getbasetemp() / "mixture"
    path.write_text("".join(f"{line}\n" for _network, line in lines), newline="")
    found = read_list(str(path))
    expected = {(int(network[0]), int(network[-1])) for network, _line in lines}
    assert ranges(found) == expected
    assert len(found.ipv4) + len(found.ipv6) == len(lines)
    assert not [each for each in found.warnings if "host bits" in each.text]


@given(st.lists(st.text("0123456789./-:# \t;a", max_size=20), max_size=30))
def test_any_text_is_read_or_refused_by_the_line(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_text("\n".join(lines))
    try:
        found = read_list(str(path))
    except BadRuleset as error:
        for each in error.mistakes:
            assert each.line <= len(lines)
        return
    written = [line.partition("#")[0].partition(";")[0].strip(" \t") for line in lines]
    assert len(found.ipv4) + len(found.ipv6) == len([each for each in written if each])
    for line in written:
        if line and "-" not in line and "\t" not in line:
            network = ip_network(line, strict=False)
            assert (int(network[0]), int(network[-1])) in ranges(found)


def test_collapse_addresses_agrees_on_a_large_list(tmp_path: Path) -> None:
    from xdpctl.rules.sets import prefixes_of, set_of_arrays  # noqa: PLC0415

    step = 2654435761  # Knuth's multiplicative hash: scattered, yet the same in every run
    networks = [IPv4Network(((n * step) % 2**32, 12 + n % 21), strict=False) for n in range(20_000)]
    found = read(tmp_path, "\n".join(map(str, networks)))
    named = set_of_arrays("x", found.ipv4, found.ipv6, prefixes=len(found.ipv4))
    expected = [str(each).removesuffix("/32") for each in collapse_addresses(networks)]
    assert list(prefixes_of(named)) == expected
