"""Lists of addresses as they are published: .netset, .ipset, drop.txt, DShield's block.txt.

A line is an address or prefix, a range `first-last`, or has first and last in its first two
columns, separated by a tab (further columns, as DShield has them, are passed over).  `#` and `;`
begin a comment anywhere.  Both families may be mixed; line ends may be CRLF; a byte order mark is
ignored.  Host bits are masked and counted, for published lists have them; everything else that is
not exactly one of these forms is a bad line.
"""

from __future__ import annotations

import hashlib
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from xdpctl.rules.inputs import read_chunks
from xdpctl.rules.intervals import Ipv4Ranges, WideRanges
from xdpctl.rules.listbytes import Lines, plain_lines, without_comments
from xdpctl.rules.mistakes import BadRuleset, Mistake
from xdpctl.rules.sets import arrays_of
from xdpctl.rules.values import BITS, IPV6, AddressRange, BadValue, parse_address, parse_prefix

LIMIT_BYTES = 256 << 20
IPV4_MAX, IPV6_MAX = 6_000_000, 1_500_000
NAMED_MAX = 10  # of bad lines and of prefixes with host bits
_BAD_LINES_MAX = 100_000
_LINE_BYTES_MAX = 1 << 16
_THREADS = 2
_BOM = b"\xef\xbb\xbf"
_IPV6_LENGTHS = {str(length): length for length in range(BITS[IPV6] + 1)}
_HOST_MASKS = np.array(
    [divmod(2 ** (BITS[IPV6] - length) - 1, 2**64) for length in range(BITS[IPV6] + 1)], np.uint64
)


class AddressList(NamedTuple):
    """What a list file says.

    Attributes:
        ipv4: uint32, shape (n, 2), [first, last], in any order.
        ipv6: uint64, shape (n, 2, 2), [first, last][high, low 64 bits], in any order.
        digest: SHA-256 of the file, in hexadecimal.
        warnings: about the file as a whole.
    """

    ipv4: Ipv4Ranges
    ipv6: WideRanges
    digest: str
    warnings: tuple[Mistake, ...]


def read_list(path: str) -> AddressList:
    """Read a list file.

    Raises:
        BadRuleset: bad lines; the first ten are named, with how many there are.
        WrongUsage: the file cannot be read, or is no file for this.
    """
    reader = _Reader(path)
    content = hashlib.sha256()
    for block, lines in _with_lines(_blocks(path, content.update)):
        reader.read(block, lines)
    return reader.result(content.hexdigest())


def list_digest(path: str) -> str:
    """The digest of a list file, without reading what it says. Raises WrongUsage."""
    content = hashlib.sha256()
    for chunk in read_chunks(path, LIMIT_BYTES):
        content.update(chunk)
    return content.hexdigest()


def _blocks(path: str, see: Callable[[bytes], None]) -> Iterator[bytes]:
    """The file in blocks of whole lines, without comments; `see` is given all of it."""
    begun = b""
    first = True
    for chunk in read_chunks(path, LIMIT_BYTES):
        see(chunk)
        if first:
            first = False
            chunk = chunk.removeprefix(_BOM)  # noqa: PLW2901
        whole, newline, rest = chunk.rpartition(b"\n")
        if newline:
            yield without_comments(begun + whole + newline)
            begun = rest
        else:
            begun += rest
        if len(begun) > _LINE_BYTES_MAX:
            raise BadRuleset([Mistake(path, 0, 0, "has a line of more than 64 KiB: not a list")])
    if begun:
        yield without_comments(begun + b"\n")


def _with_lines(blocks: Iterable[bytes]) -> Iterator[tuple[bytes, Lines]]:
    """Blocks with their plain lines, some of them at a time: NumPy lets other threads go on."""
    with ThreadPoolExecutor(_THREADS) as pool:
        waiting: deque[Future[tuple[bytes, Lines]]] = deque()
        for block in blocks:
            waiting.append(pool.submit(lambda each: (each, plain_lines(each)), block))
            if len(waiting) > _THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


class _Reader:
    def __init__(self, path: str) -> None:
        self.path = path
        self.lines_before = 0
        self.ipv4: list[Ipv4Ranges] = []
        self.ipv6: list[WideRanges] = []
        self.bad: list[Mistake] = []
        self.bad_lines = 0
        self.unclean: list[tuple[int, str]] = []
        self.unclean_lines = 0

    def read(self, block: bytes, lines: Lines) -> None:
        self.ipv4.append(np.stack((lines.first, lines.last), axis=1))
        if lines.odd or lines.host_bits:
            text = block.decode("latin-1")  # one character a byte, so that indices stay right
            starts = lines.starts.tolist()
            for i in lines.host_bits:
                self._note_unclean(i, text[starts[i] : starts[i + 1] - 1])
            self._read_odd([(i, text[starts[i] : starts[i + 1] - 1]) for i in lines.odd])
        self.unclean = sorted(self.unclean)[:NAMED_MAX]
        self.lines_before += len(lines.starts) - 1
        if sum(map(len, self.ipv4)) > IPV4_MAX or sum(map(len, self.ipv6)) > IPV6_MAX:
            limit = f"{IPV4_MAX:,} IPv4 or {IPV6_MAX:,} IPv6"
            raise BadRuleset([Mistake(self.path, 0, 0, f"has more than {limit} prefixes")])

    def _read_odd(self, lines: list[tuple[int, str]]) -> None:
        """IPv6 prefixes with nothing beside them all at once, what else there is with care."""
        addresses: list[bytes] = []
        lengths: list[int] = []
        plain: list[tuple[int, str]] = []
        others: list[AddressRange] = []
        for index, line in lines:
            host, slash, length = line.partition("/")
            bits = _IPV6_LENGTHS.get(length) if slash else BITS[IPV6]
            address = _ipv6(host) if bits is not None and ":" in host else None
            if address is not None and bits is not None:
                addresses.append(address)
                lengths.append(bits)
                plain.append((index, line))
            else:
                others += self._read_carefully(index, line)
        prefixes, unclean = _ipv6_prefixes(b"".join(addresses), lengths)
        for which in unclean:
            self._note_unclean(*plain[which])
        ipv4, ipv6 = arrays_of(others)
        self.ipv4.append(ipv4)
        self.ipv6 += [ipv6, prefixes]

    def _read_carefully(self, index: int, line: str) -> list[AddressRange]:
        """The range of a line; none if it is blank or bad."""
        content = line.strip(" \t")
        columns = [column.strip(" ") for column in content.split("\t")]
        try:
            if not content or [each.lower() for each in columns[:2]] == ["start", "end"]:
                return []
            if len(columns) > 1:
                return [parse_address(f"{columns[0]}-{columns[1]}")]
            found, clean = parse_prefix(content)
        except BadValue as error:
            self._note_bad(index, line, str(error))
            return []
        if not clean:
            self._note_unclean(index, content)
        return [found]

    def _note_bad(self, index: int, line: str, text: str) -> None:
        self.bad_lines += 1
        if len(self.bad) < NAMED_MAX:
            column = len(line) - len(line.lstrip(" \t")) + 1
            self.bad.append(Mistake(self.path, self.lines_before + index + 1, column, text))
        if self.bad_lines == _BAD_LINES_MAX:
            raise self._bad_list()

    def _bad_list(self) -> BadRuleset:
        some = [] if self.bad_lines == len(self.bad) else [self._count_of_bad()]
        return BadRuleset([*self.bad, *some])

    def _count_of_bad(self) -> Mistake:
        count = f"{self.bad_lines:,} bad lines"
        if self.bad_lines == _BAD_LINES_MAX:
            count += " before giving up"
        return Mistake(self.path, 0, 0, f"{count}, of which the first {NAMED_MAX} are named")

    def _note_unclean(self, index: int, line: str) -> None:
        self.unclean_lines += 1
        self.unclean.append((self.lines_before + index + 1, line.strip(" \t")))

    def result(self, digest: str) -> AddressList:
        if self.bad_lines:
            raise self._bad_list()
        ipv4 = np.concatenate([np.empty((0, 2), np.uint32), *self.ipv4])
        ipv6 = np.concatenate([np.empty((0, 2, 2), np.uint64), *self.ipv6])
        warnings = []
        if self.unclean_lines:
            more = ", ..." if self.unclean_lines > NAMED_MAX else ""
            some = ", ".join(f"{line} (line {number})" for number, line in self.unclean)
            what = "with host bits set, read as the networks they are in"
            warnings.append(f"{self.unclean_lines:,} {what}: {some}{more}")
        if not len(ipv4) + len(ipv6):
            warnings.append("the list is empty")
        told = tuple(Mistake(self.path, 0, 0, each) for each in warnings)
        return AddressList(ipv4, ipv6, digest, told)


def _ipv6(host: str) -> bytes | None:
    try:
        return socket.inet_pton(socket.AF_INET6, host)
    except OSError:
        return None


def _ipv6_prefixes(addresses: bytes, lengths: list[int]) -> tuple[WideRanges, list[int]]:
    """Ranges of shape (n, 2, 2), and the indices of prefixes that had host bits set."""
    number = np.frombuffer(addresses, ">u8").astype(np.uint64).reshape(-1, 2)
    mask = _HOST_MASKS[np.array(lengths, np.intp)]
    unclean = np.flatnonzero((number & mask).any(axis=1)).tolist()
    return np.stack((number & ~mask, number | mask), axis=1), unclean
