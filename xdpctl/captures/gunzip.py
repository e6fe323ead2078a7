"""gzip as a stream: bounded memory, several members, and of a damaged file what there is.

Source: RFC 1952.
"""

from __future__ import annotations

import zlib

from xdpctl.captures.notes import Notes
from xdpctl.captures.source import Stream

MAGIC = b"\x1f\x8b"
_INPUT_BYTES = 1 << 16
_GZIP = 16 + zlib.MAX_WBITS


class Gunzip:
    """What another stream has in gzip, as a stream.  What is wrong with it is noted."""

    def __init__(self, stream: Stream, begun: bytes, notes: Notes) -> None:
        """`begun`: what has already been read of the stream."""
        self._stream = stream
        self._notes = notes
        self._input = begun
        self._step = _INPUT_BYTES  # of input that are tried at once
        self._member = zlib.decompressobj(_GZIP)
        self._is_within = False  # a member
        self._has_more = False  # output, without more input
        self._ended = False

    def read(self, most: int) -> bytes:
        while not self._ended:
            if not self._input and not self._has_more:
                self._input = self._stream.read(_INPUT_BYTES)
                if not self._input:
                    self._end("ends within its gzip data" if self._is_within else "")
                    break
            if not self._is_within and not self._begin_member():
                continue
            if output := self._decompress(most):
                return output
        return b""

    def ready(self) -> bool:
        return self._ended or bool(self._input) or self._has_more or self._stream.ready()

    def _begin_member(self) -> bool:
        """Between members, and after the last one, there may be zeros."""
        self._input = self._input.lstrip(b"\0")
        if not self._input:
            return False
        if self._input[0] != MAGIC[0]:
            self._end("has something else after its gzip data, which was not read")
            return False
        self._member = zlib.decompressobj(_GZIP)
        self._is_within = True
        return True

    def _decompress(self, most: int) -> bytes:
        """After an error what comes before it is looked for, with half as much input each time."""
        tried = self._input[: self._step]
        before = self._member.copy()
        try:
            output = self._member.decompress(tried, most)
        except zlib.error:
            if len(tried) <= 1:
                self._end("has damaged gzip data, and was not read from there on")
            self._member = before
            self._step = max(len(tried) // 2, 1)
            return b""
        rest = self._input[len(tried) :]
        if self._member.eof:
            self._input = self._member.unused_data + rest
            self._is_within = self._has_more = False
        else:
            self._input = self._member.unconsumed_tail + rest
            self._has_more = len(output) == most
        return output

    def _end(self, problem: str) -> None:
        self._ended = True
        if problem:
            self._notes.problem(problem)
