"""The XDP hook of an interface: who is there, and putting our program there or taking it away.

Every change is a compare-and-swap against what was seen to be there, so two controllers at once, or
somebody else's tool, never overwrite each other unnoticed.
"""

from __future__ import annotations

import errno
from enum import Enum
from typing import NamedTuple

from xdpctl.datapath.counters import Tally
from xdpctl.datapath.interfaces import Interface, command_line
from xdpctl.datapath.kernel import explain, explained, require_privileges
from xdpctl.datapath.loading import Content, loaded_program
from xdpctl.datapath.program import NotOursError, RunningProgram
from xdpctl.errors import ForeignProgram, KernelRefused, NotAttached, XdpctlError
from xdpctl.pylibbpf import BpfError, Program, link_ids, link_info, xdp
from xdpctl.pylibbpf.xdp import Mode

__all__ = ["AttachResult", "Mode", "Occupant", "RequestedMode", "attach", "detach", "occupants"]

_RACES_MAX = 5  # how often somebody else may change the hook between our look and our swap

# The kernel's answers to a compare-and-swap that does not find what it expects; ENOENT: the program
# that was to be swapped out is gone, and with it its id.
_SWAP_REFUSED = {errno.EBUSY, errno.EEXIST, errno.ENOENT}
# Reasons to give up at once: SKB mode would meet them too.
_NOT_THE_DRIVERS_FAULT = _SWAP_REFUSED | {errno.EPERM, errno.ENODEV, errno.ENOMEM}


class RequestedMode(Enum):
    """What a person may ask for: a mode, or the best that the interface has."""

    AUTO = None
    DRIVER = Mode.DRIVER
    SKB = Mode.SKB
    HW = Mode.HW


class Occupant(NamedTuple):
    """A program on a hook. `attached_at_ns` (CLOCK_REALTIME) is known of ours alone."""

    mode: Mode
    program_id: int
    program_name: str
    ours: bool
    attached_at_ns: int | None = None
    counted: Tally | None = None
    """All packets so far; known of ours alone."""

    def __str__(self) -> str:
        return f"program {self.program_name} (id {self.program_id}, {mode_name(self.mode)} mode)"


class AttachResult(NamedTuple):
    """What `attach` found or did. `fallback_reason` says why automatic mode took SKB mode."""

    mode: Mode
    program_id: int
    was_attached: bool
    fallback_reason: str | None = None
    attached_at_ns: int | None = None


def mode_name(mode: Mode) -> str:
    """`driver`, `skb` or `hw`, as the command line and the JSON output have it."""
    return mode.name.lower()


def occupants(interface: Interface) -> tuple[Occupant, ...]:
    """The programs on the hook; two where driver and hardware have one each.

    Raises:
        NoSuchInterface, MissingPrivilege, KernelRefused.
    """
    require_privileges()
    with explained(interface.name):
        for _ in range(_RACES_MAX):
            found = [_occupant(each) for each in xdp.query(interface.ifindex)]
            if None not in found:
                break
        return tuple(each for each in found if each is not None)


def _occupant(attached: xdp.Attached) -> Occupant | None:
    try:
        with RunningProgram(attached.program_id) as ours:
            counted = ours.read_sum().total
            since = ours.attached_at_ns
            return Occupant(attached.mode, attached.program_id, "xdpctl", True, since, counted)
    except NotOursError:
        with Program.from_id(attached.program_id) as foreign:
            return Occupant(attached.mode, attached.program_id, foreign.info.name, False)
    except BpfError as error:
        if error.errno == errno.ENOENT:
            return None  # detached between the query and the look
        raise


def attach(
    interface: Interface,
    requested: RequestedMode = RequestedMode.AUTO,
    *,
    force: bool = False,
    content: Content | None = None,
    max_bans: int | None = None,
) -> AttachResult:
    """Put our program on the hook. Where it is already, it stays as it is.

    Args:
        content: a ruleset to start with; not for where ours is already, nor for hardware.
        max_bans: how many bans there can be; where ours is already, as many as there were.
        force: also replace somebody else's program, and move ours to the mode asked for.

    Raises:
        ForeignProgram: somebody else's program is there.
        KernelRefused: the driver, the kernel or its verifier said no; what was there is there.
        NoSuchInterface, MissingPrivilege, BadInstallation.
    """
    require_privileges()
    for _ in range(_RACES_MAX):
        present = occupants(interface)
        _refuse_foreign(interface, present, force)
        ours = next((each for each in present if each.ours), None)
        if content and (ours or requested is RequestedMode.HW):
            raise _no_place_for_rules(interface, ours)
        if ours and requested.value in (None, ours.mode):
            return AttachResult(ours.mode, ours.program_id, True, None, ours.attached_at_ns)
        if ours and not force:
            raise KernelRefused(
                f"{interface.name}: already attached, in {mode_name(ours.mode)} mode",
                hint="--force changes the mode; packets go uncounted for a moment meanwhile",
            )
        with explained(interface.name):
            try:
                if ours and requested is not RequestedMode.HW:
                    with Program.from_id(ours.program_id) as program:
                        return _put(interface, program.fd, ours.program_id, requested, present)
                offload_to = interface.ifindex if requested is RequestedMode.HW else None
                with loaded_program(offload_to, content, max_bans=max_bans) as loaded:
                    return _put(interface, loaded.fd, loaded.info.id, requested, present)
            except BpfError as error:
                if requested is RequestedMode.HW and error.errno not in _NOT_THE_DRIVERS_FAULT:
                    raise KernelRefused(
                        f"{interface.name}: its hardware takes no XDP programs: {error.strerror}",
                        hint="driver and skb mode run them on the CPU",
                    ) from error
                if not _changed_meanwhile(interface, present, error):
                    raise _owned_by_link(interface, error) from error
    raise KernelRefused(f"{interface.name}: somebody else keeps changing its XDP program")


def _no_place_for_rules(interface: Interface, ours: Occupant | None) -> KernelRefused:
    if ours is None:
        return KernelRefused(f"{interface.name}: rules run in driver and SKB mode")
    return KernelRefused(
        f"{interface.name}: already attached",
        hint=f"put the rules in place with: {command_line('apply', interface.name, 'FILE')}",
    )


def _put(
    interface: Interface,
    program_fd: int,
    program_id: int,
    requested: RequestedMode,
    present: tuple[Occupant, ...],
) -> AttachResult:
    """Attach where nothing is, or in the place of what is present. Raises BpfError."""
    if not present:
        mode, reason = _attach_first_that_works(interface, program_fd, requested)
        return AttachResult(mode, program_id, False, reason)
    old = present[0]
    mode = requested.value or old.mode
    with Program.from_id(old.program_id) as old_program:
        if mode is old.mode:
            xdp.replace(interface.ifindex, program_fd, mode, expected_fd=old_program.fd)
        else:
            # The kernel has no swap from one mode to another: put the old one back if that fails.
            xdp.detach(interface.ifindex, old.mode, expected_fd=old_program.fd)
            try:
                xdp.attach(interface.ifindex, program_fd, mode)
            except BpfError:
                xdp.attach(interface.ifindex, old_program.fd, old.mode)
                raise
    return AttachResult(mode, program_id, False)


def _attach_first_that_works(
    interface: Interface, program_fd: int, requested: RequestedMode
) -> tuple[Mode, str | None]:
    """Attach in the mode asked for, in automatic mode SKB where the driver refuses; returns the
    mode, and why it was not driver mode."""
    try:
        xdp.attach(interface.ifindex, program_fd, requested.value or Mode.DRIVER)
        return requested.value or Mode.DRIVER, None
    except BpfError as error:
        if requested.value or error.errno in _NOT_THE_DRIVERS_FAULT:
            raise
        reason = error.kernel_reason or error.strerror
    xdp.attach(interface.ifindex, program_fd, Mode.SKB)
    return Mode.SKB, reason


def swap(interface: Interface, mode: Mode, program_fd: int, old_fd: int) -> None:
    """Put a program in the place of another one, in one step.

    Raises:
        KernelRefused: another one is there by now, and stays.
        BpfError.
    """
    try:
        xdp.replace(interface.ifindex, program_fd, mode, expected_fd=old_fd)
    except BpfError as error:
        if error.errno not in _SWAP_REFUSED:
            raise
        raise KernelRefused(
            f"{interface.name}: its program was changed meanwhile; nothing was done",
            hint="try again",
        ) from error


def detach(interface: Interface, *, force: bool = False) -> tuple[Occupant, ...]:
    """Take our program away, and with `force` somebody else's; returns what was taken.

    Raises:
        NotAttached: nothing (of ours) is there.
        ForeignProgram, KernelRefused, NoSuchInterface, MissingPrivilege.
    """
    require_privileges()
    for _ in range(_RACES_MAX):
        present = occupants(interface)
        if not present:
            raise NotAttached(
                f"{interface.name}: nothing is attached",
                hint=f"{command_line('status')} shows where something is",
            )
        _refuse_foreign(interface, present, force)
        with explained(interface.name):
            try:
                for each in present:
                    with Program.from_id(each.program_id) as program:
                        xdp.detach(interface.ifindex, each.mode, expected_fd=program.fd)
                return present
            except BpfError as error:
                if not _changed_meanwhile(interface, present, error):
                    raise _owned_by_link(interface, error) from error
    raise KernelRefused(f"{interface.name}: somebody else keeps changing its XDP program")


def _refuse_foreign(interface: Interface, present: tuple[Occupant, ...], force: bool) -> None:
    foreign = next((each for each in present if not each.ours), None)
    if foreign and not force:
        raise ForeignProgram(
            f"{interface.name}: {foreign} is attached, and it is not ours",
            hint="attach --force puts ours in its place, detach --force takes it away",
        )


def _changed_meanwhile(interface: Interface, seen: tuple[Occupant, ...], error: BpfError) -> bool:
    """Whether a compare-and-swap failed because what was seen is no longer what is there."""
    if error.errno not in _SWAP_REFUSED:
        return False
    now = {each.program_id for each in xdp.query(interface.ifindex)}
    return now != {each.program_id for each in seen}


def _owned_by_link(interface: Interface, error: BpfError) -> XdpctlError:
    """Who owns the hook, where the reason is a bpf_link; the plain error otherwise."""
    if error.errno == errno.EBUSY:
        # In another network namespace there may be an interface of the same index.
        here = {each.program_id for each in xdp.query(interface.ifindex)}
        for link_id in link_ids():
            try:
                link = link_info(link_id)
            except BpfError:
                continue  # gone meanwhile
            if link.ifindex == interface.ifindex and link.program_id in here:
                return ForeignProgram(
                    f"{interface.name}: program id {link.program_id} is held there by bpf_link "
                    f"{link_id}",
                    hint=f"end its owner, or: bpftool link detach id {link_id}",
                )
    return explain(interface.name, error)
