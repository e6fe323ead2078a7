"""What a person is told when something cannot be done, as a tree:

XdpctlError                 exit code 3: any failure at run time
 ├─ NoSuchInterface
 ├─ NoSuchNamespace
 ├─ NotAttached             ours is not on the interface
 ├─ ForeignProgram          somebody else's is
 ├─ KernelRefused           a system call or the verifier said no
 ├─ WouldLockOut            whoever is logged in over the network, or the host itself
 ├─ BadInstallation         libbpf or the BPF object is missing or unusable
 ├─ MissingPrivilege        exit code 4
 ├─ WrongUsage              exit code 2: the command line or a file
 ├─ NotExecutable           exit code 126, as of env(1): what a host of a lab was to run
 └─ NoSuchProgram           exit code 127: there is no such thing

Each knows its one line, its hint and its exit code; `detail` is for `-v`.
"""

from __future__ import annotations

from typing import ClassVar


class XdpctlError(Exception):
    """Everything that xdpctl raises on purpose.

    Attributes:
        exit_code: what the command exits with.
        message: one line that says what is wrong, with its subject first.
        hint: what to do about it; empty where there is nothing.
        detail: what only a specialist wants, such as a verifier log; may be long.
    """

    exit_code: ClassVar[int] = 3

    def __init__(self, message: str, *, hint: str = "", detail: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.detail = detail


class WrongUsage(XdpctlError):
    exit_code = 2


class NoSuchInterface(XdpctlError):
    def __init__(self, name: str, hint: str = "") -> None:
        super().__init__(f"{name}: no such interface", hint=hint)


class NoSuchNamespace(XdpctlError):
    pass


class NotAttached(XdpctlError):
    pass


class ForeignProgram(XdpctlError):
    pass


class KernelRefused(XdpctlError):
    pass


class WouldLockOut(XdpctlError):
    """`message` has a line for each thing that would be dropped."""


class BadInstallation(XdpctlError):
    pass


class MissingPrivilege(XdpctlError):
    exit_code = 4


class NotExecutable(XdpctlError):
    exit_code = 126


class NoSuchProgram(XdpctlError):
    exit_code = 127
