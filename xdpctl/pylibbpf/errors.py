"""What can go wrong, as a tree:

PylibbpfError
 ├─ LibraryError          libbpf.so.1 is missing, too old, or lacks a call
 ├─ ObjectFormatError     not an object that libbpf can open
 ├─ BtfError              BTF that cannot be decoded, a value that does not fit its type
 ├─ CompileError          clang is missing or refused the source
 └─ BpfError (OSError)    a call failed: errno, the call, the object it was about
     └─ VerifierError     the kernel's verifier refused a program: its last line, the whole log
"""

from __future__ import annotations

import os

LIBBPF_ERRNO_START = 4000
"""The first of `enum libbpf_errno`: something is wrong with the object, not with the call."""

_LOG_BEGIN = "-- BEGIN PROG LOAD LOG --"
_LOG_END = "-- END PROG LOAD LOG --"
_NETLINK_REASON = "Kernel error message: "


class PylibbpfError(Exception):
    """Everything that this package raises on purpose."""


class LibraryError(PylibbpfError):
    """libbpf cannot be used; `hint` names what to install."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


class ObjectFormatError(PylibbpfError):
    """The file or the bytes given are not a BPF object."""


class BtfError(PylibbpfError, ValueError):
    """BTF that cannot be decoded, or a value that does not fit its type."""


class CompileError(PylibbpfError):
    """The source could not be compiled; `hint` names what to install, if that is the reason."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class BpfError(PylibbpfError, OSError):
    """A call of libbpf's failed.

    Attributes:
        errno: positive; from LIBBPF_ERRNO_START on one of libbpf's own.
        call: the C function's name.
        subject: what it was about, such as "map counters"; may be empty.
        messages: what libbpf would have printed meanwhile.
        done: of a batch, how many elements before the one that failed.
    """

    done: int = 0

    def __init__(
        self, errno: int, call: str, subject: str = "", messages: tuple[str, ...] = ()
    ) -> None:
        own = errno >= LIBBPF_ERRNO_START
        super().__init__(errno, f"libbpf error {errno}" if own else os.strerror(errno))
        self.call = call
        self.subject = subject
        self.messages = messages

    @property
    def kernel_reason(self) -> str:
        """The kernel's own words (netlink's extended acknowledgement), or an empty string."""
        for message in self.messages:
            _, found, reason = message.partition(_NETLINK_REASON)
            if found:
                return reason.strip()
        return ""

    def __str__(self) -> str:
        about = f" ({self.subject})" if self.subject else ""
        reason = f": {self.kernel_reason}" if self.kernel_reason else ""
        return f"{self.call}{about}: {self.strerror}{reason}"


class VerifierError(BpfError):
    """The verifier refused a program.

    Attributes:
        log: the verifier's whole log.
        line: its last meaningful line.
    """

    def __init__(
        self, errno: int, call: str, subject: str, messages: tuple[str, ...], log: str
    ) -> None:
        super().__init__(errno, call, subject, messages)
        self.log = log
        self.line = last_meaningful_line(log)

    def __str__(self) -> str:
        return f"{self.subject}: refused by the verifier: {self.line or self.strerror}"


def last_meaningful_line(log: str) -> str:
    """The line of a verifier log that says what was wrong: the last that is no statistics."""
    noise = ("processed ", "verification time ", "stack depth ", "max_states")
    for line in reversed(log.splitlines()):
        text = line.strip()
        if text and not text.startswith(noise):
            return text
    return ""


def from_failed_call(errno: int, call: str, subject: str, messages: tuple[str, ...]) -> BpfError:
    """The exception for a failed call: a VerifierError where the messages hold a verifier log."""
    for message in messages:
        program, begins, rest = message.partition(_LOG_BEGIN)
        if begins:
            log = rest.partition(_LOG_END)[0].strip("\n")
            # libbpf: prog 'name': -- BEGIN PROG LOAD LOG --
            name = program.partition("'")[2].partition("'")[0]
            return VerifierError(errno, call, f"program {name}", messages, log)
    return BpfError(errno, call, subject, messages)
