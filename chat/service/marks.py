"""Takes the marks that other own terminals pass on: what arrived, and what was read (SPEC §7.8.3)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from msgspec import Struct

from chat.interface import EntriesTimed, EntryChanged, EntryState
from chat.network.links import Links
from chat.service.events import EventBus
from chat.service.expiry import Expirer
from chat.service.keyring import Keyring, terminal_at
from chat.service.state import ContactBook
from chat.service.views import Views
from chat.storage import receipts, siblings
from chat.storage.database import Database, Store
from chat.storage.expiry import Moment
from chat.tasks import Runtime
from protocol.entries_and_receipts import READ, STORED, receipt_for
from protocol.messages import Entry, Message, PassedReceipt
from protocol.own_terminals import Passed, accept_passed, check_passed


class Mark(Struct, frozen=True):
    """A mark of entries of the conversation with a contact (`person`, 32 bytes)."""

    person: bytes
    message: PassedReceipt
    passed: Passed


class Marks:
    """Stores marks, and shows what they change."""

    def __init__(
        self,
        runtime: Runtime,
        store: Store,
        bus: EventBus,
        keyring: Keyring,
        book: ContactBook,
        links: Links,
        views: Views,
        expirer: Expirer,
    ) -> None:
        self._runtime, self._store, self._bus, self._keyring = runtime, store, bus, keyring
        self._book, self._links, self._views, self._expirer = book, links, views, expirer

    async def take(self, messages: Sequence[PassedReceipt]) -> list[bytes]:
        """Store in one transaction what came together; of what is new the contacts. Raises ProtocolError."""
        marks = [mark for message in messages if (mark := self._accept(message)) is not None]
        if not marks:
            return []
        own, now, moment = self._keyring.own.terminal, self._runtime.clock.wall(), self._expirer.moment()
        stored = await self._store.write(_store_marks, marks, own, now, moment)
        return [mark.person for mark, new in zip(marks, stored, strict=True) if self._show(mark, new)]

    def _accept(self, message: PassedReceipt) -> Mark | None:
        """None for a mark that is of no contact here, or says nothing here."""
        check_passed(message)
        person = self._keyring.talks_with(message.conversation)
        contact = self._keyring.contacts.get(person)
        if contact is None:
            return None
        theirs = {one.id for one in contact.state.terminals()}
        passed = accept_passed(message, self._keyring.own_terminals, theirs)
        return None if passed is Passed.NOTHING else Mark(person, message, passed)

    def _show(self, mark: Mark, new: dict[bytes, bool] | tuple[bool, int, bool]) -> bool:
        """Show what a mark has changed; whether it was new."""
        return self._arrived(mark, new) if isinstance(new, dict) else self._read(mark, *new)

    def _arrived(self, mark: Mark, new: dict[bytes, bool]) -> bool:
        person, message = mark.person, mark.message
        if self._expirer.awaited:
            self._expirer.begin()
        for other in self._links.of(person):  # which may be about to carry what has arrived
            at = terminal_at(self._keyring.contacts.get(person), other)
            if at == message.terminal and message.kind == STORED:
                other.carried.update(dict.fromkeys(new, True))
            else:
                other.delivered.update(new)
                other.carried.update((entry, True) for entry in new if entry in other.carried)
        state = EntryState.READ if message.kind == READ else EntryState.DELIVERED
        for entry, advances in new.items():
            if advances:
                self._bus.publish(EntryChanged(person.hex(), entry.hex(), state))
        return bool(new)

    def _read(self, mark: Mark, changed: bool, unread: int, timed: bool) -> bool:
        if timed:
            self._expirer.begin()
            self._bus.publish(EntriesTimed(mark.person.hex()))
        if self._book.counts(mark.person, unread):
            self._views.publish_contact(mark.person)
        return changed


def _store_marks(
    database: Database, marks: Sequence[Mark], own: bytes, now: int, moment: Moment
) -> list[dict[bytes, bool] | tuple[bool, int, bool]]:
    """What is new of each: of receipts the ids, of readings as `siblings.read_elsewhere` says it."""
    stored = list[dict[bytes, bool] | tuple[bool, int, bool]]()
    for mark in marks:
        said = mark.message
        if mark.passed is Passed.RECEIPT:
            receipt = receipt_for(said.kind, said.ids)
            stored.append(receipts.acknowledge(database, said.conversation, own, said.terminal, receipt, now))
        else:
            read = said.terminal, said.kind
            stored.append(siblings.read_elsewhere(database, said.conversation, said.ids, read, moment))
    return stored


def entries_first(messages: Iterable[Message]) -> Iterator[Message]:
    """What came together, with the entries before the marks among them, so that each sort is stored at once.

    A mark is of an entry that came before it. What else came keeps its place.
    """

    def is_mark(message: Message) -> bool:
        return isinstance(message, PassedReceipt)

    for _, run in groupby(messages, lambda message: isinstance(message, Entry | PassedReceipt)):
        yield from sorted(run, key=is_mark)
