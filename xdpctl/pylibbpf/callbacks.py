"""Python functions that C calls back."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_FAILED = -1


class _Raised(threading.local):
    error: BaseException | None = None


class Callback:
    """A function for C to call. What it raises, `raising()` around the call into C raises.

    C has no exceptions; ctypes hands those of a callback to sys.unraisablehook, which prints them,
    and goes on. They are caught before it, but for what a signal's handler raises on entry to the
    function, or while another is caught: a Ctrl-C would be lost. That is taken from the hook.

    Args:
        prototype: of ctypes.CFUNCTYPE, for a function that returns an int.
        function: its result goes to C, or -1 if it raises.
    """

    def __init__(self, prototype: Callable[..., Any], function: Callable[..., int]) -> None:
        self._function = function
        self._raised = _Raised()
        self.pointer = prototype(self._call)

    def _call(self, *arguments: Any) -> int:
        try:
            result = self._function(*arguments)
            # What came before the first line here has not ended C's loop.
            return result if self._raised.error is None else _FAILED
        except BaseException as error:
            self._raised.error = error
            return _FAILED

    @contextmanager
    def raising(self) -> Iterator[None]:
        """Raises at its end what the function has raised meanwhile in this thread."""
        before = sys.unraisablehook

        def take(unraisable: sys.UnraisableHookArgs) -> None:
            traceback = unraisable.exc_traceback
            frame = None if traceback is None else traceback.tb_frame
            if frame and frame.f_code is Callback._call.__code__ and frame.f_locals["self"] is self:
                self._raised.error = unraisable.exc_value
            else:
                before(unraisable)

        # Signals are handled in the main thread alone, and the hook is one for all threads.
        hooked = threading.current_thread() is threading.main_thread()
        if hooked:
            sys.unraisablehook = take
        try:
            yield
        finally:
            if hooked:
                sys.unraisablehook = before
            error, self._raised.error = self._raised.error, None
            if error is not None:
                raise error
