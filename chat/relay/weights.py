"""How much each place holds of something, and who holds most: the arithmetic of fair shares.

Rules: numbers alone; a change takes as many steps as it changes by, however many places there are, so that
who asks when everything is taken costs no more than anybody.
"""

from __future__ import annotations

from collections.abc import Iterator


class Weights:
    """Whole numbers by place; a place that holds nothing is not kept."""

    __slots__ = ("_at", "_most", "_of", "total")

    def __init__(self) -> None:
        self._of: dict[str, int] = {}
        self._at: dict[int, dict[str, None]] = {}  # the places that hold so many
        self._most = 0
        self.total = 0

    def __iter__(self) -> Iterator[str]:
        return iter(self._of)

    def of(self, place: str) -> int:
        return self._of.get(place, 0)

    def change(self, place: str, number: int) -> None:
        """It holds so many more, or fewer where that is negative."""
        before = self._of.pop(place, 0)
        after = before + number
        if before:
            self._leave_level(before, place)
        if after:
            self._of[place] = after
            self._at.setdefault(after, {})[place] = None
        self.total += number
        self._most = max(self._most, after)
        while self._most and self._most not in self._at:
            self._most -= 1

    def far_richer(self, place: str, number: int) -> str | None:
        """Who holds most, if that is over twice what `place` would hold with so many more; else None."""
        if self._most <= 2 * (self.of(place) + number):
            return None
        return next(iter(self._at[self._most]))

    def _leave_level(self, level: int, place: str) -> None:
        places = self._at[level]
        del places[place]
        if not places:
            del self._at[level]
