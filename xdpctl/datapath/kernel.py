"""Refusals of the kernel and of libbpf, said in a person's terms."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from xdpctl.errors import (
    BadInstallation,
    KernelRefused,
    MissingPrivilege,
    NoSuchInterface,
    XdpctlError,
)
from xdpctl.pylibbpf import (
    BpfError,
    BtfError,
    LibraryError,
    ObjectFormatError,
    PylibbpfError,
    VerifierError,
)

# linux/capability.h. Looking up programs and maps by id is what needs CAP_SYS_ADMIN.
_CAPABILITIES = {"CAP_SYS_ADMIN": 21, "CAP_NET_ADMIN": 12}


def missing_capabilities() -> list[str]:
    """Which of the capabilities that xdpctl needs this process lacks."""
    with open("/proc/self/status", encoding="ascii") as status:
        effective = next(int(line.split()[1], 16) for line in status if line.startswith("CapEff"))
    return [name for name, bit in _CAPABILITIES.items() if not effective >> bit & 1]


def require_privileges() -> None:
    """Raises MissingPrivilege, with the command that has them, when a capability is missing."""
    missing = missing_capabilities()
    if missing:
        raise MissingPrivilege(
            f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing",
            hint=f"run: {sudo_command()}",
        )


def sudo_command() -> str:
    """This very command for sudo, whose PATH does not hold a virtual environment's scripts."""
    import shlex  # noqa: PLC0415 - for hints

    script = os.path.abspath(sys.argv[0])
    program = [sys.executable, "-m", "xdpctl"] if script.endswith(".py") else [script]
    return shlex.join(["sudo", *program, *sys.argv[1:]])


@contextmanager
def explained(subject: str) -> Iterator[None]:
    """Turn what `pylibbpf` raises into an XdpctlError about `subject` (an interface's name)."""
    try:
        yield
    except PylibbpfError as error:
        raise explain(subject, error) from error


def explain(subject: str, error: PylibbpfError) -> XdpctlError:
    """The XdpctlError that says what `error` means."""
    match error:
        case LibraryError():
            return BadInstallation(str(error), hint=error.hint)
        case ObjectFormatError():
            return BadInstallation(
                f"the BPF object of this installation is unusable: {error}", hint="reinstall xdpctl"
            )
        case VerifierError():
            return KernelRefused(
                f"{subject}: the kernel's verifier refused the program: {error.line}",
                hint="-v shows the whole log",
                detail=error.log,
            )
        case BpfError():
            return _refused(subject, error)
        case BtfError():
            return KernelRefused(f"{subject}: the program's type information is unsound: {error}")
    return KernelRefused(f"{subject}: {error}")


def _refused(subject: str, error: BpfError) -> XdpctlError:
    detail = "\n".join(error.messages)
    if error.errno == errno.ENODEV:
        return NoSuchInterface(subject)
    if error.errno == errno.EPERM:
        return MissingPrivilege(
            f"{subject}: {error.call}() is not permitted, although no capability is missing",
            hint="a container, a user namespace or a security module may forbid BPF",
            detail=detail,
        )
    if error.errno in (errno.ENOMEM, errno.E2BIG):
        return KernelRefused(
            f"{subject}: the kernel has no memory for it: {error.strerror} ({error.call})",
            hint="fewer rules or smaller sets; a control group's memory limit counts, too",
            detail=detail,
        )
    reason = error.kernel_reason or error.strerror
    return KernelRefused(f"{subject}: {reason} ({error.call})", detail=detail)
