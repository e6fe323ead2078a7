"""The lines of a list that are plain IPv4, found and read with NumPy.

Every byte that is no digit ends a token of digits.  A plain line is one whose tokens end in
`. . . newline`, `. . . / newline` or `. . . - . . . newline` (or a tab for the hyphen); so it is
enough to look at the ends of tokens, and each token's number is made of the up to three digits
before its end.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

_ZERO, _NEWLINE = b"0\n"
_ADDRESS, _PREFIX, _RANGES = b"...\n", b".../\n", (b"...-...\n", b"...\t...\n")
_DIGITS_MAX, _OCTET_MAX, _LENGTH_MAX = 3, 255, 32

_COMMENT = re.compile(rb"[#;][^\n]*")
# From their first blank only: from each of them, a line of blanks would take its length's square.
_TRAILING = re.compile(rb"(?<![ \t])[ \t]++(?=\n)")

Array = npt.NDArray[Any]


class Lines(NamedTuple):
    """Of a block of whole lines.

    Attributes:
        first, last: uint32, the plain lines' ranges.
        host_bits: indices of lines whose prefix had host bits set (they are masked).
        odd: indices of lines to be read with care; blank ones are left out.
        starts: where each line begins; one more than there are lines.
    """

    first: npt.NDArray[np.uint32]
    last: npt.NDArray[np.uint32]
    host_bits: list[int]
    odd: list[int]
    starts: npt.NDArray[np.int64]


def without_comments(block: bytes) -> bytes:
    """A block that ends with a newline, as many lines, without comments, CR and trailing blanks."""
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n")
    if b"#" in block or b";" in block:
        block = _COMMENT.sub(b"", block)
    if b" " in block or b"\t" in block:  # a search for one byte takes next to no time
        block = block.replace(b" \n", b"\n")  # most have one, and this is ten times faster
        if b" \n" in block or b"\t\n" in block:
            block = _TRAILING.sub(b"", block)
    return block


def plain_lines(block: bytes) -> Lines:
    """Read a block that ends with a newline."""
    text = np.frombuffer(block, np.uint8)
    ends = np.flatnonzero((text - np.uint8(_ZERO)) > 9)  # noqa: PLR2004 - wraps below "0"
    tokens = _Tokens(text, ends)
    starts = np.concatenate(([0], ends[tokens.newline] + 1))

    odd = text[starts[:-1]] != _NEWLINE
    addresses, lines = tokens.lines_of(_ADDRESS)
    odd[lines] = False
    single = _joined(addresses)
    prefixes, prefix_lines = tokens.lines_of(_PREFIX)
    odd[prefix_lines] = False
    network, host_mask = _joined(prefixes), _host_mask(prefixes[:, -1])
    first, last = [single, network & ~host_mask], [single, network | host_mask]
    for ending in _RANGES:
        pairs, lines = tokens.lines_of(ending)
        low, high = _joined(pairs), _joined(pairs[:, 4:])
        right = low <= high
        odd[lines[right]] = False
        first.append(low[right])
        last.append(high[right])
    return Lines(
        np.concatenate(first),
        np.concatenate(last),
        prefix_lines[(network & host_mask) != 0].tolist(),
        np.flatnonzero(odd).tolist(),
        starts,
    )


class _Tokens:
    """Runs of digits, each with the byte that ends it.

    Attributes:
        newline: indices of the tokens that end a line.
    """

    def __init__(self, text: Array, ends: Array) -> None:
        self._closing = text[ends]
        digits = _steps(ends) - 1
        padded = np.concatenate((np.full(_DIGITS_MAX, _ZERO, np.uint8), text)) - np.uint8(_ZERO)
        ones = padded[ends + 2].astype(np.uint16)
        tens = padded[ends + 1] * (digits > 1)
        hundreds = padded[ends] * (digits > 2)  # noqa: PLR2004
        leading = np.where(digits > 2, hundreds, tens)  # noqa: PLR2004
        self._values = ones + tens * np.uint16(10) + hundreds * np.uint16(100)
        self._sound = (digits > 0) & (digits <= _DIGITS_MAX) & ((digits == 1) | (leading > 0))
        self.newline = np.flatnonzero(self._closing == _NEWLINE)
        self._in_line = _steps(self.newline)

    def lines_of(self, ending: bytes) -> tuple[Array, Array]:
        """The lines whose tokens end so, with numbers in range and without leading zeros: the
        numbers, uint32 of shape (lines, tokens), and the lines' indices."""
        lines = np.flatnonzero(self._in_line == len(ending))
        last = self.newline[lines]
        good = np.ones(len(lines), bool)
        columns = []
        for place, byte in enumerate(reversed(ending)):
            token = last - place
            most = _LENGTH_MAX if place == 0 and ending == _PREFIX else _OCTET_MAX
            good &= (self._closing[token] == byte) & self._sound[token]
            good &= self._values[token] <= most
            columns.append(self._values[token])
        return np.stack(columns[::-1], axis=1)[good].astype(np.uint32), lines[good]


def _steps(places: Array) -> Array:
    """How far each is from the one before, the first from -1."""
    steps = np.empty_like(places)
    steps[:1] = places[:1] + 1
    np.subtract(places[1:], places[:-1], out=steps[1:])
    return steps


def _joined(numbers: Array) -> npt.NDArray[np.uint32]:
    """Four columns of octets as addresses."""
    a, b, c, d = (numbers[:, column] for column in range(4))
    return np.asarray(a << 24 | b << 16 | c << 8 | d, np.uint32)


def _host_mask(lengths: Array) -> npt.NDArray[np.uint32]:
    return np.asarray((np.uint64(1) << (32 - lengths).astype(np.uint64)) - 1, np.uint32)
