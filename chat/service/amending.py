"""What deletes and edits change, for the service: it is followed on the disk, then published."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct

from chat.interface import EntryDeleted, EntryEdited, EntryView
from chat.service.events import EventBus
from chat.service.keyring import Keyring
from chat.service.state import ContactBook
from chat.service.views import Views, deleted_by
from chat.storage import contacts, entries, receipts, secure_deletion
from chat.storage.amending import Follower
from chat.storage.database import Database, Store
from chat.storage.entries import EntryRow
from chat.storage.receipts import ReceiptRow


class Changed(Struct, frozen=True):
    """An entry that shows something else than before, and how many of its conversation are unread now."""

    person: bytes
    row: EntryRow
    receipts: tuple[ReceiptRow, ...]
    unread: int


def follow(database: Database, only: bytes = b"", after: int = 0) -> tuple[list[Changed], int | None]:
    """Follow `only` one entry, or a piece of what is due in the first conversation `after` a number.

    Returns what changed, and the number of that conversation, None if nothing was due.
    """
    follower, number = Follower(database), None
    if only:
        follower.entry(only)
    else:
        number = follower.piece(after)
    return changed_of(database, follower.changed), number


def changed_of(database: Database, ids: Iterable[bytes]) -> list[Changed]:
    """How these entries are shown now."""
    changed = list[Changed]()
    for entry in ids:
        row = entries.get(database, entry)
        talk = contacts.conversation(database, row.conversation) if row is not None else None
        person = contacts.partner(database, talk) if talk is not None else None
        if row is not None and talk is not None and person is not None:
            said = tuple(receipts.of(database, [entry]).get(entry, ()))
            changed.append(Changed(person, row, said, receipts.unread(database, talk.id)))
    return changed


class Amendments:
    """Publishes what deletions and edits have changed."""

    def __init__(
        self,
        store: Store,
        bus: EventBus,
        keyring: Keyring,
        book: ContactBook,
        views: Views,
        clean: Callable[[], None],
    ) -> None:
        self._store, self._bus, self._keyring = store, bus, keyring
        self._book, self._views, self._clean = book, views, clean

    async def follow(self, after: int) -> int | None:
        """Follow a piece of what is due in the next conversation by number, in turn.

        Returns that number, None if nothing is due. Raises a storage failure.
        """
        changed, talk = await self._store.write(follow, after=after)
        self.publish(changed)
        return talk

    async def clean_if_due(self) -> None:
        """Have the file cleaned. What has no line of its own may be gone, too: an edit of a deleted entry."""
        if await self._store.read(secure_deletion.cleaning_is_due):
            self._clean()

    def publish(self, changed: Iterable[Changed], added: Iterable[bytes] = ()) -> None:
        """Publish changes but those of entries that were `added` with them; erase what was deleted."""
        known = set(added)
        for one in changed:
            person, row = one.person, one.row
            if row.deleted:
                self._clean()
            if row.id not in known:
                if row.deleted:
                    self._bus.publish(EntryDeleted(person.hex(), row.id.hex(), deleted_by(row)))
                else:
                    self._bus.publish(EntryEdited(self.view(one)))
            if self._book.counts(person, one.unread):
                self._views.publish_contact(person)

    def view(self, one: Changed) -> EntryView:
        """The entry as it is shown now."""
        return self._views.entry(one.person, one.row, one.receipts)
