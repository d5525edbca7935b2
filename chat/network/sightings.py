"""Which announcements are known now, and who hears of changes.

Rules: bounded, the oldest go first; nobody is told the same thing twice; after a change of network what
was known is doubtful until it is seen again.
"""

from __future__ import annotations

from typing import Final

from chat.ports import Announcement, DiscoveryEvents

KNOWN_MAX: Final = 256
"""Announcements kept."""


class Sightings:
    """The announcements of others by instance; tells `events` what is found and lost."""

    def __init__(self, events: DiscoveryEvents) -> None:
        self._events = events
        self._known: dict[str, Announcement] = {}  # the oldest first
        self._doubtful: set[str] = set()

    def __len__(self) -> int:
        return len(self._known)

    def found(self, announcement: Announcement) -> None:
        """It was heard now, whether new, changed or the same."""
        instance = announcement.instance
        self._doubtful.discard(instance)
        if self._known.get(instance) == announcement:
            return
        self._known.pop(instance, None)
        while len(self._known) >= KNOWN_MAX:
            self.lost(next(iter(self._known)))
        self._known[instance] = announcement
        self._events.found(announcement)

    def lost(self, instance: str) -> None:
        """It was withdrawn or is no longer to be believed."""
        self._doubtful.discard(instance)
        if self._known.pop(instance, None) is not None:
            self._events.lost(instance)

    def doubt(self) -> None:
        """The network is another now: whoever is not heard again before `settle` is lost."""
        self._doubtful = set(self._known)

    def settle(self) -> None:
        for instance in list(self._doubtful):
            self.lost(instance)
