"""Whether this person's notes are listed before other conversations: the same on all its terminals."""

from __future__ import annotations

from chat.interface import NotesPinned
from chat.service.events import EventBus
from chat.service.notes import Notes, Written
from chat.storage import settings
from chat.storage.database import Database, Store
from chat.storage.sharing import Followed
from protocol.messages import SharedSetting
from protocol.notes import Register, write


class NotesPin:
    """The use case *pin* of the notes. Contacts have a register of their own for it (SPEC §11.10)."""

    def __init__(self, store: Store, bus: EventBus, pinned: bool, notes: Notes) -> None:
        self._store, self._bus, self._notes = store, bus, notes
        self.on = pinned

    async def change(self, on: bool) -> None:
        def store(database: Database) -> Written:
            if settings.notes_pinned(database) == on:
                return Written((), Followed())
            name, value = settings.pin_notes(database, on)
            said = write(Register.SETTING, name.encode(), SharedSetting(name, value))
            return self._notes.write(database, [said])

        written = await self._notes.store(store)
        self._shown(on)
        await self._notes.done(written)

    async def reload(self) -> None:
        """Another terminal of this person may have changed it."""
        self._shown(await self._store.read(settings.notes_pinned))

    def _shown(self, on: bool) -> None:
        if on != self.on:
            self.on = on
            self._bus.publish(NotesPinned(on))
