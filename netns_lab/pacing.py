"""How many packets are due when."""

from __future__ import annotations

from collections.abc import Callable

TICK_S = 0.01
_BACKLOG_S = 0.1
_ROUNDING = 1e-3  # of a packet, by which a product of floats may fall short of a whole one


class Pacer:
    """Spreads packets evenly over time, by a clock in seconds.

    After each tick the packets of that tick are due, and those missed before; of these no more
    than 0.1 s worth, so that a sender that was held up does not make up for it in one burst.
    """

    def __init__(self, rate_pps: float, clock: Callable[[], float]) -> None:
        self._rate_pps = rate_pps
        self._clock = clock
        self._start_s = clock()
        self._granted = 0

    def due(self, limit: int) -> int:
        """The packets to send now, at most `limit`; they are taken for sent."""
        owed = int((self._clock() - self._start_s) * self._rate_pps + _ROUNDING) - self._granted
        backlog = max(1, int(_BACKLOG_S * self._rate_pps))
        if owed > backlog:
            self._start_s += (owed - backlog) / self._rate_pps
            owed = backlog
        owed = max(0, min(owed, limit))
        self._granted += owed
        return owed

    def wait_s(self) -> float:
        """How long nothing will be due: a tick, or until the next packet if that is longer."""
        next_s = self._start_s + (self._granted + 1) / self._rate_pps
        return max(TICK_S, next_s - self._clock())
