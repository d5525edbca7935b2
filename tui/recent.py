"""Which conversations are recent: the last entry of each, and the order of a list of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace

from chat.interface import (
    SAYS_SOMETHING,
    ContactRemoved,
    ContactView,
    DeletedBy,
    EntriesKept,
    EntriesMarked,
    EntriesMoved,
    EntryAdded,
    EntryChanged,
    EntryDeleted,
    EntryEdited,
    EntryFilled,
    EntryKind,
    EntryReturned,
    EntryState,
    EntryView,
    FileProgress,
    HistoryCleared,
)
from tui.text.formatting import claim, instead_of_text
from tui.text.markdown import lines
from tui.text.safe import safe
from tui.text.translation import _

_LAST_MOST: Final = 200
"""Characters of a text that are looked at for one line of a list: no list shows more."""


def last_line(entry: EntryView | None, draft: str = "") -> str:
    """The line of a list on a conversation: its draft (empty: none), else its last entry; one safe line.

    Light Markdown is not shown as such.
    """
    if draft.strip():
        return _("Draft: {text}").format(text=_one_line(draft))
    if entry is None:
        return ""
    text = entry.kind is EntryKind.TEXT
    said = _one_line(entry.text) if text else instead_of_text(entry)
    if entry.claimed:
        return _("{mark}: {text}").format(mark=claim(entry), text=said)
    return _("You: {text}").format(text=said) if entry.own else said


def _one_line(text: str) -> str:
    return " ".join(" ".join(line.text for line in lines(safe(text[:_LAST_MOST]))).split())


class Recent:
    """The last entry by person id, as the engine's events tell it on."""

    def __init__(self) -> None:
        self._last: dict[str, EntryView] = {}  # the latest conversation first
        self._lines: dict[str, tuple[EntryView, str]] = {}

    def read(self, latest: Iterable[EntryView]) -> None:
        """Take what `Messenger.latest` returns."""
        self._last = {entry.contact: entry for entry in latest}
        self._lines.clear()

    def reword(self) -> None:
        """The language of the words is another one now."""
        self._lines.clear()

    def last(self, person: str) -> EntryView | None:
        return self._last.get(person)

    def waiting(self) -> list[str]:
        """The persons for whom a message waits on this device, as the last entries show it."""
        waits = (one for one in self._last.values() if one.own and one.state is EntryState.QUEUED)
        return [one.contact for one in waits if one.kind in SAYS_SOMETHING]

    def line(self, person: str, draft: str = "") -> str:
        """As `last_line`. A list is drawn at every event, and its lines are made once."""
        entry = self._last.get(person)
        if entry is None or draft:
            return last_line(entry, draft)
        made = self._lines.get(person)
        if made is None or made[0] is not entry:
            made = self._lines[person] = entry, last_line(entry)
        return made[1]

    def in_order(self, views: Iterable[ContactView]) -> list[ContactView]:
        """As a list has them: those that are pinned before the others, and both as `latest_first`."""
        return sorted(self.latest_first(views), key=lambda view: not view.pinned)

    def latest_first(self, views: Iterable[ContactView]) -> list[ContactView]:
        """Contacts with the latest conversation first; those without one follow in the order given."""
        given = {view.person: view for view in views}
        first = [given[person] for person in self._last if person in given]
        return [*first, *(view for view in given.values() if view.person not in self._last)]

    def follow(self, event: object) -> bool:
        """Take in an event of the engine; whether `latest` must be read again, which events cannot tell."""
        match event:
            case EntryAdded(entry):
                return self._added(entry)
            case EntryEdited(entry) | EntryFilled(entry) | EntryReturned(entry):
                self._changed(entry)
            case EntryChanged(contact, entry_id, state):
                last = self._last.get(contact)
                if last is not None and last.id == entry_id:
                    self._changed(replace(last, state=state))
            case FileProgress(contact, entry_id, file):
                last = self._last.get(contact)
                if last is not None and last.id == entry_id:
                    self._changed(replace(last, file=file))
            case EntryDeleted(contact, entry_id, deleted_by, expired):
                last = self._last.get(contact)
                self._lines.pop(contact, None)
                if last is not None and last.id == entry_id:
                    kind = EntryKind.EXPIRED if expired else EntryKind.DELETED
                    by = DeletedBy.NOBODY if expired else deleted_by
                    self._last[contact] = replace(
                        last, kind=kind, text="", deleted_by=by, edited=False, file=None
                    )
            case ContactRemoved(person):
                self._last.pop(person, None)
                self._lines.pop(person, None)
            case EntriesMarked() | EntriesKept() | EntriesMoved():
                return True
            case HistoryCleared(_, done, total):
                return done == total
        return False

    def _added(self, entry: EntryView) -> bool:
        """The newest entry comes first. Of one that seems older the engine knows the place."""
        last = self._last.get(entry.contact)
        # One of another own device may be older, too. One of this device may seem so to a contact's clock.
        if last is not None and entry.time < last.time:
            return True
        self._last.pop(entry.contact, None)
        self._last = {entry.contact: entry, **self._last}
        return False

    def _changed(self, entry: EntryView) -> None:
        last = self._last.get(entry.contact)
        if last is not None and last.id == entry.id:
            self._last[entry.contact] = entry
