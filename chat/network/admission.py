"""Who may begin a handshake: bounds before anybody is authenticated (SPEC §16).

Rules: counts and times only; no sockets. Known addresses have a share of their own, so that a flood of
strangers cannot keep contacts out.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Bucket:
    """A token bucket: `rate` tokens a second, at most `size` at once."""

    rate: float
    size: float
    level: float
    updated: float

    def take(self, now: float) -> bool:
        """Take one token if there is one. A clock that stands still or goes back gives none."""
        self.level = min(self.size, self.level + max(0.0, now - self.updated) * self.rate)
        self.updated = max(now, self.updated)
        if self.level < 1.0:
            return False
        self.level -= 1.0
        return True


@dataclass(slots=True)
class Admission:
    """Counts handshakes under way, in all and an address, and spends a budget of work a second."""

    total: int
    per_address: int
    rate: float
    _strangers: Bucket = field(init=False)
    _known: Bucket = field(init=False)
    _open: Counter[str] = field(init=False, default_factory=Counter)

    def __post_init__(self) -> None:
        self._strangers = Bucket(self.rate, 2 * self.rate, 2 * self.rate, 0.0)
        self._known = Bucket(self.rate, 2 * self.rate, 2 * self.rate, 0.0)

    def enter(self, address: str, known: bool, now: float) -> bool:
        """Whether a connection from `address` may begin a handshake now; if so, `leave` must follow."""
        if not self._room(address, known):
            return False
        if not (self._known if known else self._strangers).take(now):
            return False
        self._open[address] += 1
        return True

    def _room(self, address: str, known: bool) -> bool:
        limit = self.total if known else self.total * 3 // 4
        return self._open.total() < limit and self._open[address] < self.per_address

    def leave(self, address: str) -> None:
        """The handshake ended, well or not."""
        self._open[address] -= 1
        if self._open[address] <= 0:
            del self._open[address]
