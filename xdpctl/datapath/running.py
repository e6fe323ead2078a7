"""Our program on an interface, for as long as something is done with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from xdpctl.datapath.interfaces import Interface
from xdpctl.datapath.kernel import explained, require_privileges
from xdpctl.datapath.program import RunningProgram, find_ours
from xdpctl.datapath.snapshot import not_attached
from xdpctl.pylibbpf import xdp


@contextmanager
def running_on(interface: Interface) -> Iterator[tuple[RunningProgram, xdp.Mode]]:
    """Our program on an interface, and its mode.

    Raises NotAttached, MissingPrivilege, KernelRefused.
    """
    require_privileges()
    with explained(interface.name):
        found = find_ours(interface.ifindex)
        if found is None:
            raise not_attached(interface.name)
        with found[0]:
            yield found
