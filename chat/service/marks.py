"""Takes the marks that other own terminals pass on: what arrived, and what was read (SPEC §7.8.3)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import groupby

from chat.interface import EntriesTimed, EntryChanged, EntryState
from chat.network.links import Links, LiveLink
from chat.service.events import EventBus
from chat.service.expiry import Expirer
from chat.service.keyring import Keyring, terminal_at
from chat.service.state import ContactBook
from chat.service.views import Views
from chat.storage import siblings
from chat.storage.database import Store
from chat.storage.siblings import Marked, PassedMark
from chat.tasks import Runtime
from protocol.entries_and_receipts import READ, ParsedEntry
from protocol.limits import EARLY_MARKS_MAX
from protocol.messages import Entry, Message, PassedReceipt
from protocol.own_terminals import Passed, accept_passed, check_passed


class Early:
    """Marks of entries that are not held: they came on one link, which passes the entries on next.

    Where they are too many the oldest ones make way.
    """

    def __init__(self) -> None:
        self._of: dict[bytes, set[PassedMark]] = {}
        self._held = 0

    def add(self, entry: bytes, mark: PassedMark) -> None:
        marks = self._of.setdefault(entry, set())
        self._held += mark not in marks
        marks.add(mark)
        while self._held > EARLY_MARKS_MAX:
            self._held -= len(self._of.pop(next(iter(self._of))))

    def of(self, entry: bytes) -> Collection[PassedMark]:
        return self._of.get(entry, ())

    def forget(self, entries: Iterable[bytes]) -> None:
        """They are held now."""
        for entry in entries:
            self._held -= len(self._of.pop(entry, ()))


class Marks:
    """Stores marks, and shows what they change.

    The marks of a part of a history come before its entries, with which they are stored: a link may end
    between them, and nobody would ask for a mark of an old entry again.
    """

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
        self._early = defaultdict[LiveLink, Early](Early)

    def hear(self, link: LiveLink, messages: Iterable[Message]) -> None:
        """Take the marks among what came together, to be stored with its entries or by `store`."""
        for message in messages:
            if isinstance(message, PassedReceipt) and (mark := self._accept(message)) is not None:
                for entry in message.ids:
                    self._early[link].add(entry, mark)

    def of(self, person: bytes, entries: Iterable[ParsedEntry]) -> dict[bytes, set[PassedMark]]:
        """By entry the marks of entries of the conversation with a contact that are about to be stored."""
        found = defaultdict[bytes, set[PassedMark]](set)
        for early in self._early.values():
            for entry in entries:
                if marks := early.of(entry.id):
                    found[entry.id].update(mark for mark in marks if mark.person == person)
        return found

    def stored(self, person: bytes, marked: Marked) -> None:
        """Entries were stored with these marks."""
        for early in self._early.values():
            early.forget(marked.entries)
        self._has_read(person, timed=marked.timed)

    async def store(self, link: LiveLink, messages: Sequence[PassedReceipt]) -> list[bytes]:
        """Store what was heard of entries that were held before; returns the contacts of what is new.

        Raises ProtocolError.
        """
        early, said = self._early[link], defaultdict[PassedMark, list[bytes]](list)
        for message in messages:
            check_passed(message)
            if (mark := self._accept(message)) is not None:
                said[mark] += [entry for entry in message.ids if mark in early.of(entry)]
        if not any(said.values()):
            return []
        own, moment = self._keyring.own, self._expirer.moment()
        held, new = await self._store.write(siblings.mark_held, said, own.person, own.terminal, moment)
        early.forget(held)
        return [mark.person for mark, one in new.items() if self._show(mark, one)]

    def ended(self, link: LiveLink) -> None:
        self._early.pop(link, None)

    def _accept(self, message: PassedReceipt) -> PassedMark | None:
        """None for a mark that is of no contact here, or says nothing here."""
        person = self._keyring.talks_with(message.conversation)
        contact = self._keyring.contacts.get(person)
        if contact is None:
            return None
        theirs = {one.id for one in contact.state.terminals()}
        passed = accept_passed(message, self._keyring.own_terminals, theirs)
        if passed is Passed.NOTHING:
            return None
        return PassedMark(person, message.terminal, message.kind, passed is Passed.RECEIPT)

    def _show(self, mark: PassedMark, new: dict[bytes, bool] | tuple[bool, int, bool]) -> bool:
        """Show what a mark has changed; whether it was new."""
        if isinstance(new, dict):
            return self._arrived(mark, new)
        changed, unread, timed = new
        self._has_read(mark.person, timed=timed)
        if self._book.counts(mark.person, unread):
            self._views.publish_contact(mark.person)
        return changed

    def _arrived(self, mark: PassedMark, new: dict[bytes, bool]) -> bool:
        person = mark.person
        if self._expirer.awaited:
            self._expirer.begin()
        for other in self._links.of(person):  # which may be about to carry what has arrived
            if terminal_at(self._keyring.contacts.get(person), other) == mark.terminal:
                other.carried.update(dict.fromkeys(new, True))
            else:
                other.delivered.update(new)
                other.carried.update((entry, True) for entry in new if entry in other.carried)
        state = EntryState.READ if mark.kind == READ else EntryState.DELIVERED
        for entry, advances in new.items():
            if advances:
                self._bus.publish(EntryChanged(person.hex(), entry.hex(), state))
        return bool(new)

    def _has_read(self, person: bytes, *, timed: bool) -> None:
        if timed:
            self._expirer.begin()
            self._bus.publish(EntriesTimed(person.hex()))


def entries_first(messages: Iterable[Message]) -> Iterator[Message]:
    """What came together, with the entries before the marks among them, so that each sort is stored at once.

    What else came keeps its place.
    """

    def is_mark(message: Message) -> bool:
        return isinstance(message, PassedReceipt)

    for _, run in groupby(messages, lambda message: isinstance(message, Entry | PassedReceipt)):
        yield from sorted(run, key=is_mark)
