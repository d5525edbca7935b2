"""Who may come in: bounds on accepted connections before anybody knows whose they are.

Rules: one address cannot take all places; when all are taken, the one that has had the most time to prove
itself and has not yet had enough of it gives way; a connection that has lived longer is never touched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final, Protocol

UNPROVEN: Final = 10.0
"""Seconds of age above which a connection is somebody's: a handshake has 5 seconds, then it is closed."""


class Entrant(Protocol):
    def abort(self) -> None: ...


class Gate:
    """At most `total` entrants, `an_address` of them from one host. `now` is in seconds."""

    def __init__(self, total: int, an_address: int, now: Callable[[], float]) -> None:
        self._total, self._an_address, self._now = total, an_address, now
        self._inside: dict[Entrant, tuple[str, float]] = {}  # in the order of entering
        self._from: Counter[str] = Counter()

    def enter(self, entrant: Entrant, host: str) -> bool:
        """Let it in and True, or False. Another entrant may be aborted to make room."""
        place = host.partition("%")[0]
        if self._from[place] >= self._an_address or not self._has_room():
            return False
        self._inside[entrant] = (place, self._now())
        self._from[place] += 1
        return True

    def left(self, entrant: Entrant) -> None:
        """It is gone; telling so twice does no harm."""
        place, _ = self._inside.pop(entrant, ("", 0.0))
        if place:
            self._from[place] -= 1
            if not self._from[place]:
                del self._from[place]

    def __len__(self) -> int:
        return len(self._inside)

    def _has_room(self) -> bool:
        if len(self._inside) < self._total:
            return True
        young = self._now() - UNPROVEN
        for entrant, (_, since) in self._inside.items():
            if since > young:
                self.left(entrant)
                entrant.abort()
                return True
        return False
