"""Alerts: what happened to the profile's files, and the mark outside by which an older copy is found."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Final

from msgspec import Struct, field

from chat.errors import Phrase, phrase
from chat.interface import AlertKind, AlertsChanged, AlertView, DiagnosisView
from chat.service.checking import FILES
from chat.service.events import DatabaseMended, EventBus, OwnEntryReturned
from chat.service.expiry import AgeClock
from chat.service.keyring import REMOVED, Keyring
from chat.service.views import utc
from chat.storage import alerts as stored_alerts
from chat.storage import expiry, marks, settings
from chat.storage.alerts import AlertRow
from chat.storage.database import Database, Store
from chat.storage.errors import StorageFailure
from chat.storage.expiry import Moment
from chat.storage.folder import drop_salvage, system_failures
from chat.storage.marks import Mark, Outside
from chat.tasks import Runtime
from protocol.primitives import Random

TEXTS: Final[dict[AlertKind, Phrase]] = {
    AlertKind.OLD_COPY: phrase(
        "This is an older copy of your profile: it has been used since. Messages that are missing here come "
        "back from your contacts when they are online; what you deleted since is here again. Use only one "
        "copy, and delete the other one. Programs that follow your messages wait "
        "until you say that you have seen this (parlour doctor --seen)."
    ),
    AlertKind.MENDED: phrase(
        "A part of the profile file was older than the rest, as after a failure of the disk. It was put "
        "right: missing messages come back from your contacts when they are online. Check the disk."
    ),
    AlertKind.SETTINGS: phrase(
        "Your settings were on a damaged part of the profile file. Read receipts and typing are off until "
        "you turn them on again."
    ),
    AlertKind.TWO_COPIES: phrase(
        "This device runs twice: another copy of this profile is in use at the same time, gets your messages "
        "and can write in your name. If the copy is yours, close one of them, and delete it with 'parlour "
        "wipe'. If not, somebody copied this device: remove it on another device of yours and link it again, "
        "or use your recovery words."
    ),
    AlertKind.OTHER_TWICE: phrase(
        "Another device of yours runs twice: a copy of its profile is in use at the same time, gets your "
        "messages and can write in your name. If the copy is yours, close one of them there, and delete it "
        "with 'parlour wipe'. If not, somebody copied that device: remove it here and link it again, or use "
        "your recovery words."
    ),
    AlertKind.REMOVED: REMOVED,
    AlertKind.WORDS: phrase(
        "This is not your first device, and your recovery words are not known to be written down. If your "
        "first device is lost or stolen, nothing here removes it: a thief goes on in your name. Write the "
        "words down on the device that made your identity: 'parlour recovery'."
    ),
}

DAY: Final = 86_400_000
MONTH: Final = 30 * DAY
"""Milliseconds between two reminders of the recovery words."""


IDENTITY: Final = phrase("identity")
SAID_AGAIN_AFTER: Final = 86_400_000
"""Milliseconds since this person saw an alert until others may say again that this terminal runs twice. A
contact can say so at any time, and nothing proves it."""
CLOCKS_APART: Final = 3_600_000
"""Milliseconds by which the clock of another machine with a copy may be ahead."""


def view(row: AlertRow) -> AlertView:
    """The alert as clients get it."""
    kind = AlertKind(row.kind)
    counted = _COUNTED.get(kind)
    return AlertView(kind, utc(row.since), TEXTS[kind] if counted is None else counted(row))


def views_of(rows: Iterable[AlertRow]) -> tuple[AlertView, ...]:
    """The same of several, without kinds of a later version."""
    return tuple(view(row) for row in rows if row.kind in set(AlertKind))


def _damage(row: AlertRow) -> Phrase:
    said = phrase(
        "A part of the profile file was damaged and could not be read; the rest was saved. {number} messages "
        "are affected: what your contacts have of them comes back when they are online. Check the disk.",
        number=row.entries,
    )
    if not row.others:
        return said
    return phrase(
        "{damage} {number} contacts could not be read: pair with them again.", damage=said, number=row.others
    )


def _set_aside(row: AlertRow) -> Phrase:
    said = phrase(
        "{number} stored values of this profile cannot be read, and were set aside: nothing uses them, and "
        "all else is as it was. A newer Parlour may read them.",
        number=row.entries,
    )
    if not row.others:
        return said
    return phrase(
        "{set_aside} {number} contacts are among them: pair with them again.",
        set_aside=said,
        number=row.others,
    )


_COUNTED: Final[dict[AlertKind, Callable[[AlertRow], Phrase]]] = {
    AlertKind.DAMAGED: _damage,
    AlertKind.SET_ASIDE: _set_aside,
}


def alert_line(alert: AlertView) -> DiagnosisView:
    """The line of a diagnosis for an alert."""
    own = alert.kind in (AlertKind.REMOVED, AlertKind.WORDS)
    return DiagnosisView(IDENTITY if own else FILES, False, alert.text)


class Keeper(Struct):
    """The mark of an open profile: in its database, and outside of it where `outside` is given.

    `find` finds the mark outside of what has the profile's name now.
    `written` is the one that this engine wrote last, `changes` those of the database when it did. `tried` is
    the one that it began to write after that: a failing disk can have it all the same.
    """

    outside: Outside | None
    random: Random
    find: Callable[[], Outside | None]
    written: Mark | None = None
    tried: Mark | None = None
    changes: int = field(default=0)

    def open(self, database: Database, now: int, *, read_only: bool) -> tuple[AlertRow, ...]:
        """Compare both marks and raise them; returns what is not stored since nothing can be.

        A failure to write does not keep the profile closed: then an older copy is recognised later.
        """
        if self.outside is None:
            return ()
        found = self.outside.read()
        row = AlertRow(AlertKind.OLD_COPY, now)
        older = marks.is_older(database, found)
        if read_only:
            return (row,) if older else ()
        with suppress(StorageFailure, OSError):
            with database.transaction():
                if older:
                    stored_alerts.add(database, row)
                mark = marks.raised(database, found, self.random)
            self._write(database, mark)
        return ()

    def keep(self, database: Database, now: int) -> bool:
        """Raise the mark if the database has changed since; returns whether another copy was found.

        Raises StorageFailure, OSError.
        """
        if self.outside is None or self.written is None or database.changes == self.changes:
            return False
        found = self.outside.read()
        # No other engine has this folder, so another copy of it wrote what this one did not.
        other = found not in (None, self.written, self.tried)
        with database.transaction():
            if other:
                other = stored_alerts.add(database, AlertRow(AlertKind.TWO_COPIES, now))
            mark = marks.raised(database, found, self.random)
        self._write(database, mark)
        return other

    def moved(self, database: Database) -> None:
        """The database has another key and salt, and so another mark outside; `find` finds that.

        The one before stays, raised: a copy under the old key is recognised by it as older.
        """
        before, self.outside = self.outside, self.find()
        if before is None or self.outside is None:
            return
        with suppress(StorageFailure, OSError):
            with database.transaction():
                mark = marks.raised(database, before.read(), self.random)
            before.write(mark)
            self._write(database, mark)

    def _write(self, database: Database, mark: Mark) -> None:
        assert self.outside is not None
        self.tried = mark
        self.outside.write(mark)
        self.written, self.changes = mark, database.changes


class Alerts:
    """The use cases *alerts*: what this person has not seen yet is kept over restarts.

    `rows` are those of the database and those of a profile that cannot be written. `seen`: when this person
    last saw one. `reminded`: the age of the profile when it last saw the reminder of its words, which comes
    once a month until `words`, that they are written down, is known. An age grows, whatever the wall clock
    does.
    """

    def __init__(
        self,
        runtime: Runtime,
        store: Store,
        bus: EventBus,
        keyring: Keyring,
        keeper: Keeper,
        ages: AgeClock,
        rows: Iterable[AlertRow],
        seen: int,
        reminded: int | None,
        *,
        words: bool,
    ) -> None:
        self._ages, self._words = ages, words
        # A backup can bring the age of another profile. What a crash takes of the own one is less.
        ahead = reminded is not None and reminded > ages.now().age + DAY
        self._reminded = None if ahead else reminded
        self._runtime, self._store, self._bus, self._keeper = runtime, store, bus, keeper
        self._keyring = keyring
        self._views = views_of(rows)
        self._opened, self._seen = runtime.clock.wall(), seen
        self._removed_at = self._opened if keyring.is_removed else None
        self._reminds_at = self._opened if self._reminds else None

    def views(self) -> tuple[AlertView, ...]:
        """All alerts that this person has not seen, the oldest first, then those that are computed."""
        computed = (AlertKind.REMOVED, self._removed_at), (AlertKind.WORDS, self._reminds_at)
        return *self._views, *(view(AlertRow(kind, at)) for kind, at in computed if at is not None)

    @property
    def without_words(self) -> bool:
        """Whether this person has neither its first terminal here nor, as far as is known, its words."""
        own, live = self._keyring.own.terminal, self._keyring.own_log.live
        return own in live and own != next(iter(live)) and not (self._words or self._keyring.keeps_seed)

    @property
    def _reminds(self) -> bool:
        reminded = self._reminded
        return self.without_words and (reminded is None or self._ages.now().age - reminded >= MONTH)

    def words_are(self, *, confirmed: bool) -> None:
        """Whether this person's recovery words are written down, as its terminals say."""
        self._words = confirmed
        self.tick()

    def tick(self) -> None:
        """A month may have passed since the reminder was seen, or what is computed may not hold any more."""
        before = self._removed_at, self._reminds_at
        self._removed_at = self._since(self._removed_at, holds=self._keyring.is_removed)
        self._reminds_at = self._since(self._reminds_at, holds=self._reminds)
        if before != (self._removed_at, self._reminds_at):
            self._bus.publish(AlertsChanged(self.views()))

    def _since(self, before: int | None, *, holds: bool) -> int | None:
        now = self._runtime.clock.wall() if before is None else before
        return now if holds else None

    def own_log_changed(self) -> None:
        """This terminal may have been removed, or be back by a recovery, or be the first one now."""
        self.tick()

    async def lines(self) -> tuple[DiagnosisView, ...]:
        """The same as lines of a diagnosis, read again. Raises a storage failure."""
        rows = await self._store.read(stored_alerts.all_of)
        lasting = self.views()[len(self._views) :]
        return tuple(alert_line(one) for one in (*views_of(rows), *lasting))

    async def dismiss(self) -> None:
        """This person has seen them. Raises a storage failure."""
        now = self._runtime.clock.wall()
        if self._reminds_at is not None:
            moment = self._ages.now()
            await self._store.free(_see_reminder, moment)
            self._reminded = moment.age
            self.tick()
        if await self._store.free(stored_alerts.dismiss, now):
            self._seen = now
            await self._read_again()
            await self._store.read(_drop_salvage)

    async def add(self, row: AlertRow) -> None:
        """Store an alert and tell clients. Raises a storage failure."""
        if await self._store.write(stored_alerts.add, row):
            await self._read_again()

    def own_entry_returned(self, signal: OwnEntryReturned) -> None:
        """A contact has an entry of this terminal that is not held here, with the tag that nobody can invent.

        One that was written since this engine began is by a copy that runs now. One from before the last
        alert was seen is among what that alert said.
        """
        if signal.time <= self._seen <= self._runtime.clock.wall():
            return
        # A time far ahead is from before the clock was set back, and says nothing of a copy that runs now.
        latest = self._runtime.clock.wall() + CLOCKS_APART
        now = self._opened <= signal.time <= latest
        kind = AlertKind.TWO_COPIES if now else AlertKind.OLD_COPY
        repaired = (AlertKind.DAMAGED, AlertKind.MENDED)
        if not any(one.kind in (kind, *repaired) for one in self._views):
            self._runtime.tasks.spawn(self.add(AlertRow(kind, self._runtime.clock.wall())))

    def said_twice(self) -> None:
        """Another terminal has links with two programs at one time that have the keys of this one."""
        now = self._runtime.clock.wall()
        if not self._seen or not 0 <= now - self._seen < SAID_AGAIN_AFTER:
            self._runtime.tasks.spawn(self.add(AlertRow(AlertKind.TWO_COPIES, now)))

    async def run(self) -> None:
        """Raise the mark now and then; never ends.

        A mark for every commit would double its cost. What is committed after the last one is what an older
        copy can lack without being recognised by its mark: contacts return it, which is an alert, too.
        """
        while True:
            await asyncio.sleep(self._runtime.config.mark_every)
            await self._store.written.wait()
            self._store.written.clear()
            try:
                await self.keep()
            except (StorageFailure, OSError):
                self._store.written.set()  # so that the next attempt follows

    async def moved(self) -> None:
        """The database has another key: its mark outside goes with it."""
        await self._store.read(self._keeper.moved)

    async def watch(self) -> None:
        """Tell clients whenever a damaged database was mended; never ends."""
        while True:
            await self._store.mended.wait()
            self._store.mended.clear()
            await self._read_again()
            self._bus.signal(DatabaseMended())

    async def keep(self) -> None:
        """Raise the mark now. Raises StorageFailure, OSError."""
        keep = partial(self._keeper.keep, now=self._runtime.clock.wall())
        if await self._store.read(keep):
            await self._read_again()

    async def _read_again(self) -> None:
        self._views = views_of(await self._store.read(stored_alerts.all_of))
        self._bus.publish(AlertsChanged(self.views()))


def _see_reminder(database: Database, moment: Moment) -> None:
    settings.set_reminder_seen(database, moment.age)
    expiry.save_clock(database, moment)  # else the next engine would not know how much has passed


def _drop_salvage(database: Database) -> None:
    with system_failures():
        drop_salvage(database.path.parent)
