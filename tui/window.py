"""The part of one conversation that the interface holds: its newest entries, in the engine's order.

Rules: order comes only from pages that the messenger gave, never from times; an entry is held once; the
window always ends with the newest entry and grows towards older ones page by page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from chat.interface import EntryState, EntryView

PAGE = 100


class Window:
    """Entries of one conversation, oldest first. `complete` tells that nothing older exists."""

    def __init__(self, page: Sequence[EntryView] = (), *, complete: bool = False) -> None:
        self.entries: list[EntryView] = list(page)
        self.complete = complete
        self._index: dict[str, int] = {}
        self._reindex()

    def __len__(self) -> int:
        return len(self.entries)

    def __contains__(self, entry: object) -> bool:
        return entry in self._index

    @property
    def oldest(self) -> str | None:
        """The id before which older pages are asked for."""
        return self.entries[0].id if self.entries else None

    def index(self, entry: str) -> int:
        """The place of a held entry; -1 for one that is not held."""
        return self._index.get(entry, -1)

    def prepend(self, page: Sequence[EntryView], asked: int) -> None:
        """Older entries; fewer than were asked for means that these are the first of all."""
        self.complete = len(page) < asked
        self.entries[:0] = [entry for entry in page if entry.id not in self._index]
        self._reindex()

    def take_newest(self, page: Sequence[EntryView], asked: int, awaited: Iterable[str]) -> bool:
        """Put a page of the newest entries in the place of what it covers.

        False when the page is too short to say where the `awaited` entries stand: ask for more. An
        awaited entry older than everything held stays out; scrolling back will bring it.
        """
        everything = len(page) < asked
        first = self._index.get(page[0].id, -1) if page else -1
        given = {entry.id for entry in page}
        placed = all(entry in given or entry in self._index for entry in awaited)
        covered = asked >= len(self.entries) + sum(entry not in self._index for entry in awaited)
        if not everything and not covered and (first < 0 or not placed):
            return False
        kept = [] if everything or first < 0 else self.entries[:first]
        self.entries = [*(entry for entry in kept if entry.id not in given), *page]
        self.complete = self.complete or everything
        self._reindex()
        return True

    def change_state(self, entry: str, state: EntryState) -> bool:
        """Set the state of a held entry; False when it is not held."""
        at = self.index(entry)
        if at < 0:
            return False
        self.entries[at] = replace(self.entries[at], state=state)
        return True

    def _reindex(self) -> None:
        self._index = {entry.id: at for at, entry in enumerate(self.entries)}
