"""Whether this person has its recovery words: the same on all its terminals (SPEC §11.10)."""

from __future__ import annotations

from chat.service.alerts import Alerts
from chat.service.notes import Notes, Written
from chat.storage import settings
from chat.storage.database import Database, Store
from chat.storage.sharing import Followed
from protocol.messages import SharedSetting
from protocol.notes import Register, write


class Words:
    """The use case *confirm words*. `alerts` reminds a person who has none."""

    def __init__(self, store: Store, notes: Notes, alerts: Alerts) -> None:
        self._store, self._notes, self._alerts = store, notes, alerts

    async def confirm(self) -> None:
        """This person has typed words that it wrote down. Raises a storage failure."""

        def store(database: Database) -> Written:
            if settings.words_confirmed(database):
                return Written((), Followed())
            name, value = settings.confirm_words(database)
            return self._notes.write(
                database, [write(Register.SETTING, name.encode(), SharedSetting(name, value))]
            )

        written = await self._notes.store(store)
        self._alerts.words_are(confirmed=True)
        await self._notes.done(written)

    async def reload(self) -> None:
        """Another terminal of this person may have said it."""
        self._alerts.words_are(confirmed=await self._store.read(settings.words_confirmed))
