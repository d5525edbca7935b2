"""The part of one conversation that the interface holds: a run of entries, in the engine's order.

Rules: order comes only from pages that the messenger gave, never from times; an entry is held once; nothing
is missing between two held ones; what is far from the reader is let go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from chat.interface import EntryState, EntryView

PAGE = 100
HELD_MAX = 500
DELETED = "deleted"


class Window:
    """Entries of one conversation, oldest first.

    `complete`: nothing older exists; `last`: nothing newer exists. `beyond`: ids of entries that came while
    the window ended before them. `origins`: what entries answer and what is not in the window; None where
    it is not held at all.
    """

    def __init__(self, page: Sequence[EntryView] = (), *, complete: bool = False, last: bool = True) -> None:
        self.entries: list[EntryView] = []
        self.beyond: set[str] = set()
        self.origins: dict[str, EntryView | None] = {}
        self.replace(page, complete=complete, last=last)

    def __len__(self) -> int:
        return len(self.entries)

    def __contains__(self, entry: object) -> bool:
        return entry in self._index

    @property
    def oldest(self) -> str | None:
        """The id before which older pages are asked for."""
        return self.entries[0].id if self.entries else None

    @property
    def newest(self) -> str | None:
        """The id after which newer pages are asked for."""
        return self.entries[-1].id if self.entries else None

    def index(self, entry: str) -> int:
        """The place of a held entry; -1 for one that is not held."""
        return self._index.get(entry, -1)

    def get(self, entry: str) -> EntryView | None:
        """A held entry, or one that a held entry answers."""
        at = self.index(entry)
        return self.entries[at] if at >= 0 else self.origins.get(entry)

    def replace(self, page: Sequence[EntryView], *, complete: bool, last: bool) -> None:
        """Hold another part of the conversation."""
        self.entries = list(page)
        self.complete, self.last = complete, last
        self._reindex()

    def prepend(self, page: Sequence[EntryView], asked: int) -> None:
        """Older entries; fewer than were asked for means that these are the first of all."""
        self.complete = len(page) < asked
        self.entries[:0] = [entry for entry in page if entry.id not in self._index]
        self._reindex()

    def append(self, page: Sequence[EntryView], asked: int) -> None:
        """Newer entries; fewer than were asked for means that these are the last of all."""
        self.last = len(page) < asked
        self.entries += [entry for entry in page if entry.id not in self._index]
        self._reindex()

    def join(self, entry: str, page: Sequence[EntryView], asked: int) -> bool:
        """Put in what follows a held entry, up to the next one held; False: the page does not reach it."""
        at = self.index(entry)
        if at == len(self.entries) - 1:
            self.append(page, asked)
            return True
        following = self.entries[at + 1].id
        fresh: list[EntryView] = []
        for view in page:
            if view.id == following:
                self.entries[at + 1 : at + 1] = fresh
                self._reindex()
                return True
            fresh.append(view)
        return len(page) < asked

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

    def erase(self, entry: str) -> bool:
        """Let go of what a deleted entry said, held or answered; False where it is neither."""
        held = self.get(entry)
        if held is None or held.kind == DELETED:
            return False
        gone = replace(held, kind=DELETED, text="", reply="")
        at = self.index(entry)
        if at >= 0:
            self.entries[at] = gone
        else:
            self.origins[entry] = gone
        return True

    def trim(self, around: int) -> None:
        """Keep at most HELD_MAX entries, those around a place."""
        excess = len(self.entries) - HELD_MAX
        if excess <= 0:
            return
        start = max(0, min(around - HELD_MAX // 2, excess))
        self.complete = self.complete and start == 0
        self.last = self.last and start == excess
        self.entries = self.entries[start : start + HELD_MAX]
        self._reindex()

    def _reindex(self) -> None:
        self._index = {entry.id: at for at, entry in enumerate(self.entries)}
        self.beyond = set() if self.last else self.beyond - self._index.keys()
        if len(self.origins) > HELD_MAX:
            self.origins.clear()
