"""File descriptors with an owner that closes them."""

from __future__ import annotations

import os
import warnings
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Owner(ABC):
    """Something that owns a resource of the kernel's: a context manager that closes it."""

    @abstractmethod
    def close(self) -> None:
        """Give the resource back. Closing twice is harmless."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class Fd(Owner):
    """Owns one file descriptor of a BPF object; a context manager that closes it.

    Closing twice is harmless; an owner that is forgotten warns and closes, as a Python file does.
    """

    def __init__(self, number: int) -> None:
        self._number = number

    @property
    def fd(self) -> int:
        """The descriptor. Raises ValueError once it is closed."""
        if self._number < 0:
            raise ValueError(f"{type(self).__name__} is closed")
        return self._number

    def fileno(self) -> int:
        return self.fd

    @property
    def closed(self) -> bool:
        return self._number < 0

    def close(self) -> None:
        number, self._number = self._number, -1
        if number >= 0:
            os.close(number)

    def __del__(self) -> None:
        if getattr(self, "_number", -1) >= 0:
            warnings.warn(f"unclosed {self!r}", ResourceWarning, source=self, stacklevel=2)
            self.close()
