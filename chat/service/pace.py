"""Spreads the pieces that this terminal sends over time, evenly over the links that ask for some."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Final

from protocol.limits import PIECE_BYTES

COST: Final = PIECE_BYTES + 2_048
"""Bytes on a link for a piece of any length: envelopes of pieces are padded to one size."""


class Pace:
    """At most `rate` bytes a second, 0 for as many as go. Links take turns, a piece each.

    A turn that its link does not use is lost: one that reads slowly holds up no other.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now, self.rate = now, 0
        self._free_at = 0.0
        self._waiting = dict[Hashable, Callable[[], None]]()
        self._granted = set[Hashable]()
        self._timer: asyncio.TimerHandle | None = None

    def follow(self, rate: int) -> None:
        """Go on at another rate."""
        if rate == self.rate:
            return
        self.rate, self._free_at = rate, 0.0
        self._disarm()
        if rate:
            self._arm()
        else:
            waiting = list(self._waiting.values())
            self._waiting.clear()
            for wake in waiting:
                wake()

    def grants(self, link: Hashable, wake: Callable[[], None]) -> bool:
        """Whether a link may send a piece now; else `wake` is called once it may."""
        if not self.rate:
            return True
        if link in self._granted:
            self._granted.discard(link)
            return True
        self._waiting.setdefault(link, wake)
        self._arm()
        return False

    def leave(self, link: Hashable) -> None:
        """A link has ended."""
        self._granted.discard(link)
        self._waiting.pop(link, None)
        if not self._waiting:
            self._disarm()

    def _arm(self) -> None:
        if self._timer is None and self._waiting:
            left = max(0.0, self._free_at - self._now())
            self._timer = asyncio.get_running_loop().call_later(left, self._fire)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        self._timer = None
        link = next(iter(self._waiting))
        wake = self._waiting.pop(link)
        self._granted.add(link)
        self._free_at = max(self._now(), self._free_at) + COST / self.rate
        self._arm()
        wake()
