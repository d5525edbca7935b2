"""The part of one conversation that the interface holds (`Window`), and its reads from the messenger."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from chat.interface import GONE, DeletedBy, EntryKind, EntryState, EntryView, FileView, Messenger

PAGE = 100
HELD_MAX = 500
_WIDER = frozenset((DeletedBy.MINE, DeletedBy.AUTHOR))  # shown also after a deletion here


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
        return self.entries[0].id if self.entries else None

    @property
    def newest(self) -> str | None:
        return self.entries[-1].id if self.entries else None

    def index(self, entry: str) -> int:
        """The place of a held entry; -1 for one that is not held."""
        return self._index.get(entry, -1)

    def get(self, entry: str) -> EntryView | None:
        at = self.index(entry)
        return self.entries[at] if at >= 0 else self.origins.get(entry)

    def replace(self, page: Sequence[EntryView], *, complete: bool, last: bool) -> None:
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

        False when the page is too short: it does not say where the `awaited` entries stand, or lacks one that
        is held after its first, which may have moved. Ask for more. An awaited entry older than everything
        held stays out where the window does not begin with the first of all; scrolling back will bring it.
        """
        everything = len(page) < asked
        first = self._index.get(page[0].id, -1) if page else -1
        given = {entry.id for entry in page}
        placed = all(entry in given or entry in self._index for entry in awaited)
        covered = asked >= len(self.entries) + sum(entry not in self._index for entry in awaited)
        covered = covered and not self.complete  # what is first of all stays held
        joins = first >= 0 and placed and all(entry.id in given for entry in self.entries[first:])
        if not (everything or covered or joins):
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

    def erase(
        self, entry: str, kind: EntryKind = EntryKind.DELETED, by: DeletedBy = DeletedBy.NOBODY
    ) -> None:
        """Let go of what a deleted or expired entry said, held or answered."""
        held = self.get(entry)
        if held is not None and (
            held.kind not in GONE
            or (by in _WIDER and held.kind is EntryKind.DELETED and held.deleted_by is not DeletedBy.AUTHOR)
        ):
            state = EntryState.WITHDRAWN if held.state is EntryState.QUEUED else held.state
            gone = replace(held, kind=kind, text="", reply="", expires=None, edited=False, deleted_by=by)
            gone = replace(gone, file=None)
            self._put(replace(gone, state=state))

    def edit(self, entry: EntryView) -> bool:
        """Take in an edited entry, held or answered; False where it is neither."""
        held = self.get(entry.id)
        if held is None or held.kind in GONE:
            return False
        self._put(replace(entry, state=held.state))
        return True

    def move_file(self, entry: str, file: FileView) -> bool:
        """Take in how a file stands, held or answered; False where it is neither."""
        held = self.get(entry)
        if held is None or held.file is None:
            return False
        self._put(replace(held, file=file))
        return True

    def _put(self, entry: EntryView) -> None:
        at = self.index(entry.id)
        if at >= 0:
            self.entries[at] = entry
        else:
            self.origins[entry.id] = entry

    def fill(self, entry: EntryView) -> bool:
        """Take in the content of an entry that was missing, held or answered; False where it is neither."""
        held = self.get(entry.id)
        if held is None or held.kind not in (EntryKind.MISSING, EntryKind.ELSEWHERE):
            return False
        self._put(entry)
        return True

    def mark_conflicting(self, entries: Iterable[str]) -> None:
        """Mark held or answered entries that claim one place."""
        for entry in entries:
            held = self.get(entry)
            if held is not None:
                self._put(replace(held, conflicting=True))

    def trim(self, around: int) -> None:
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


_TAIL = 40
_TAIL_MAX = 200
_GAP = 20


class Conversation:
    """The open conversation with one contact (person id)."""

    def __init__(self, messenger: Messenger, person: str) -> None:
        self.person = person
        self.window = Window()
        self._messenger = messenger
        self._reading = asyncio.Lock()
        self._awaited: dict[str, EntryView] = {}
        self._moved: dict[str, EntryState] = {}
        self._erased: dict[
            str, tuple[EntryKind, DeletedBy]
        ] = {}  # the kind that it has now, and who deleted it
        self._edited: dict[str, EntryView] = {}
        self._filled: dict[str, EntryView] = {}
        self._files: dict[str, FileView] = {}
        self._conflicting: set[str] = set()

    async def open(self) -> None:
        """Read the newest page, in the place of whatever is held."""
        async with self._reading:
            page = await self._messenger.history(self.person, PAGE)
            self.window.replace(page, complete=len(page) < PAGE, last=True)
            self._apply_moved()

    async def around(self, entry: str) -> bool:
        """Read the entries around one, in the place of whatever is held; False where it does not exist."""
        half = PAGE // 2
        async with self._reading:
            found = await self._messenger.entry(self.person, entry)
            if found is None:
                return False
            before = await self._messenger.history(self.person, half, before=entry)
            after = await self._messenger.history(self.person, half, after=entry)
            page = (*before, found, *after)
            self.window.replace(page, complete=len(before) < half, last=len(after) < half)
            self._apply_moved()
        return True

    async def older(self) -> bool:
        async with self._reading:
            oldest = self.window.oldest
            if self.window.complete or oldest is None:
                return False
            page = await self._messenger.history(self.person, PAGE, oldest)
            self.window.prepend(page, PAGE)
            self._apply_moved()
        return bool(page)

    async def newer(self) -> bool:
        async with self._reading:
            newest = self.window.newest
            if self.window.last or newest is None:
                return False
            page = await self._messenger.history(self.person, PAGE, after=newest)
            self.window.append(page, PAGE)
            self._apply_moved()
        return bool(page)

    async def catch_up(self, entry: EntryView) -> tuple[EntryView, ...]:
        """Take in a new entry where the messenger has it, and those that came meanwhile.

        Returns the new ones; an earlier call may have taken in this one. One that stands after the end of
        the window is only counted there.
        """
        self._awaited[entry.id] = entry
        async with self._reading:
            awaited, self._awaited = self._awaited, {}
            if not all(new in self.window for new in awaited):
                try:
                    await self._take_in(awaited)
                except BaseException:
                    self._awaited = awaited | self._awaited
                    raise
            self._apply_moved()
        return tuple(awaited.values())

    async def read_origins(self, entries: Iterable[str]) -> None:
        for entry in entries:
            if self.window.get(entry) is None and entry not in self.window.origins:
                self.window.origins[entry] = await self._messenger.entry(self.person, entry)
        self._apply_erased()

    def moved(self, entry: str, state: EntryState) -> bool:
        """One's own entry came to another state; True when that can be drawn now."""
        if self._reading.locked() or entry not in self.window:
            self._moved[entry] = state
        return self.window.change_state(entry, state)

    def filled(self, entry: EntryView) -> bool:
        """The content of a missing entry came; True when that can be drawn now."""
        if self._reading.locked():
            self._filled[entry.id] = entry
        return self.window.fill(entry)

    def conflict(self, entries: Iterable[str]) -> None:
        """Entries claim one place."""
        self._conflicting.update(entries)
        self.window.mark_conflicting(self._conflicting)

    def erased(
        self, entry: str, kind: EntryKind = EntryKind.DELETED, by: DeletedBy = DeletedBy.NOBODY
    ) -> None:
        self._erased[entry] = kind, by
        self.window.erase(entry, kind, by)

    def edited(self, entry: EntryView) -> bool:
        """An entry says something else; True when that can be drawn now."""
        if self._reading.locked():
            self._edited[entry.id] = entry
        return self.window.edit(entry)

    def file_moved(self, entry: str, file: FileView) -> bool:
        """A file stands otherwise; True when that can be drawn now."""
        if self._reading.locked():
            self._files[entry] = file
        return self.window.move_file(entry, file)

    def trim(self, around: int) -> None:
        """Let go of what is far from a place; not while a page is on its way, which has to fit."""
        if not self._reading.locked():
            self.window.trim(around)

    async def _take_in(self, awaited: dict[str, EntryView]) -> None:
        if not self.window.last:
            for entry in reversed(awaited):  # so that a later one is known to stand after the end
                await self._take_in_between(entry)
            return
        # Most are the newest of all, which follow the last that is held.
        asked = len(awaited) + 1
        while not self.window.take_newest(await self._messenger.history(self.person, asked), asked, awaited):
            asked = max(asked * 4, _TAIL, min(len(self.window) + len(awaited), _TAIL_MAX))

    async def _take_in_between(self, entry: str) -> None:
        """Where the window ends before the newest entry, a new one most likely stands after its end."""
        after = await self._messenger.history(self.person, PAGE, after=entry)
        if not any(view.id in self.window for view in after) and (
            len(after) < PAGE or after[-1].id in self.window.beyond
        ):
            self.window.beyond.add(entry)
            return
        before = await self._messenger.history(self.person, 1, before=entry)
        if not before or before[0].id not in self.window or entry in self.window:
            return
        asked = _GAP
        while not self.window.join(
            before[0].id, await self._messenger.history(self.person, asked, after=before[0].id), asked
        ):
            asked *= 4

    def _apply_moved(self) -> None:
        for entry, file in self._files.items():
            self.window.move_file(entry, file)
        self._files.clear()
        for entry, state in self._moved.items():
            self.window.change_state(entry, state)
        self._moved.clear()
        for filled in self._filled.values():
            self.window.fill(filled)
        self._filled.clear()
        for edited in self._edited.values():
            self.window.edit(edited)
        self._edited.clear()
        self.window.mark_conflicting(self._conflicting)
        self._apply_erased()

    def _apply_erased(self) -> None:
        """What was read before a deletion may come after it."""
        for entry, (kind, by) in self._erased.items():
            self.window.erase(entry, kind, by)
