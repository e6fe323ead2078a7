"""A reader of the packets of an interface, whatever program of ours is on it."""

from __future__ import annotations

from xdpctl.datapath.interfaces import Interface, current_name
from xdpctl.datapath.kernel import explained, require_privileges
from xdpctl.datapath.program import NotOursError, find_ours
from xdpctl.datapath.sample_slots import ProgramReader
from xdpctl.datapath.sampling import Sample, Wanted
from xdpctl.datapath.snapshot import not_attached
from xdpctl.errors import KernelRefused
from xdpctl.pylibbpf.fd import Owner

RENEW_SECONDS = 1.0
"""How often a lease is to be renewed."""


class SampleReader(Owner):
    """One reader of an interface's packets; a context manager.

    It stays when another ruleset takes the place of the one that is there.
    """

    def __init__(self, interface: Interface, wanted: Wanted, *, ring_bytes: int = 1 << 20) -> None:
        """
        Args:
            ring_bytes: how many bytes may wait to be read; a power of two, whole pages.

        Raises:
            NotAttached, NoSuchInterface, MissingPrivilege.
            KernelRefused: there are too many readers, no such rule, no memory.
        """
        require_privileges()
        self._ifindex = interface.ifindex
        self._reader = ProgramReader(
            interface.name, wanted, ring_bytes=ring_bytes, catch_up=self.renew
        )
        try:
            self.renew()
        except BaseException:
            self._reader.close()
            raise

    def renew(self) -> None:
        """Stay for some seconds more, on whatever program of ours is there now.

        Raises NotAttached, NoSuchInterface, MissingPrivilege, KernelRefused.
        """
        self._follow(anew=False)

    def want(self, wanted: Wanted) -> None:
        """Want something else from now on. Raises as `renew`."""
        self._reader.wanted = wanted
        self._follow(anew=True)

    def read(self) -> list[Sample]:
        """What has come since the last time, as much as the ring holds at most, without waiting
        for more. Raises KernelRefused."""
        return self._reader.read()

    @property
    def lost(self) -> int:
        """How many packets were wanted and found no room. Raises KernelRefused."""
        return self._reader.lost

    def close(self) -> None:
        self._reader.close()

    def _follow(self, *, anew: bool) -> None:
        require_privileges()
        reader = self._reader
        reader.name = name = current_name(self._ifindex, reader.name)
        with explained(name):
            found = find_ours(self._ifindex, reader.program)
            if found is None:
                raise not_attached(name)
            try:
                reader.follow(found[0], anew=anew)
            except NotOursError as error:
                raise KernelRefused(f"{name}: {error}") from None
