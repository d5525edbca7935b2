"""Whether strangers nearby may see this terminal and begin to pair (SPEC §7.4, §13).

Rules: visible for two minutes at a time; one attempt a user action: an attempt that got as far as the
words uses it up, so that nobody can try words again and again against one visibility.
"""

from __future__ import annotations


class Visibility:
    """Visible until a time, and whether an incoming attempt would be taken."""

    def __init__(self) -> None:
        self._until: float | None = None
        self._busy = False

    def begin(self, until: float) -> None:
        """A user action: visible until then (monotonic seconds)."""
        self._until, self._busy = until, False

    def extend(self, until: float) -> None:
        """Visible for longer, without another attempt."""
        self._until = until

    def end(self) -> None:
        self._until = None

    def expired(self, now: float) -> bool:
        """Whether visibility has run out and must be ended."""
        return self._until is not None and now >= self._until

    @property
    def visible(self) -> bool:
        return self._until is not None

    @property
    def accepts(self) -> bool:
        """Whether an incoming pairing may begin now."""
        return self.visible and not self._busy

    def take(self) -> bool:
        """An incoming pairing begins: the one attempt of this visibility."""
        if not self.accepts:
            return False
        self._busy = True
        return True
