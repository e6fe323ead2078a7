"""bpf_links: attachments that end when their last descriptor is closed."""

from __future__ import annotations

from xdpctl.pylibbpf._lib import lib
from xdpctl.pylibbpf.fd import Owner


class Link(Owner):
    """An attachment made by libbpf, owned by this object; a context manager that ends it."""

    def __init__(self, pointer: int) -> None:
        """Takes a `struct bpf_link *` over."""
        self._pointer = pointer

    @property
    def fd(self) -> int:
        """Owned by this object. Raises ValueError once it is closed."""
        if not self._pointer:
            raise ValueError("Link is closed")
        return int(lib.bpf_link__fd(self._pointer))

    def close(self) -> None:
        """Detach. Closing twice is harmless."""
        pointer, self._pointer = self._pointer, 0
        if pointer:
            lib.bpf_link__destroy(pointer)
