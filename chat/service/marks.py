"""Takes the marks that other own terminals pass on: what arrived, and what was read (SPEC §7.8.3)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final

from chat.interface import EntriesTimed, EntryChanged, EntryState
from chat.network.links import Links, LiveLink
from chat.service.events import EventBus
from chat.service.expiry import Expirer
from chat.service.keyring import Keyring
from chat.service.state import ContactBook
from chat.service.views import Views
from chat.storage import siblings
from chat.storage.database import Store
from chat.storage.siblings import Marked, PassedMark
from chat.tasks import Runtime
from protocol.entries_and_receipts import READ, ParsedEntry
from protocol.identity.reduction import PersonState
from protocol.limits import EARLY_MARKS_MAX
from protocol.messages import Entry, Message, PassedReceipt
from protocol.own_terminals import Passed, accept_passed, check_passed

AT_ONCE: Final = 1_024
"""Marks of held entries that go to the disk in one piece of work: a thousand take some 50 milliseconds, for
which users wait."""


class Early:
    """Marks of entries that are not held: they came on one link, which passes the entries on next.

    Where they are too many the oldest ones make way. `stored`: those that were stored since others came.
    """

    def __init__(self) -> None:
        # Tuples, and one for all entries of a message: a set of each entry would hold four times as much.
        self._of: dict[bytes, tuple[PassedMark, ...]] = {}
        self._alone: tuple[PassedMark, ...] = ()
        self._held = 0
        self.stored = defaultdict[bytes, set[PassedMark]](set)

    def add(self, entry: bytes, mark: PassedMark) -> None:
        marks = self._of.get(entry, ())
        if mark in marks:
            return
        if self._alone != (mark,):
            self._alone = (mark,)
        self._of[entry] = (*marks, mark) if marks else self._alone
        self._held += 1
        while self._held > EARLY_MARKS_MAX:
            self._held -= len(self._of.pop(next(iter(self._of))))

    def of(self, entry: bytes) -> Collection[PassedMark]:
        return self._of.get(entry, ())

    def forget(self, entry: bytes, stored: Collection[PassedMark]) -> None:
        """These marks of it are stored. More of them may have come meanwhile."""
        if (marks := self._of.get(entry)) is None:
            return
        gone = set(marks).intersection(stored)
        self._held -= len(gone)
        self.stored[entry] |= gone
        if left := tuple(mark for mark in marks if mark not in gone):
            self._of[entry] = left
        else:
            del self._of[entry]


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
        self.early = defaultdict[LiveLink, Early](Early)
        """By link of an own terminal; without any of these no entry has marks."""
        self._terminals: tuple[PersonState | None, Collection[bytes]] = None, ()

    def hear(self, link: LiveLink, messages: Iterable[Message]) -> None:
        """Take the marks among what came together, to be stored with its entries or by `store`.

        Raises ProtocolError.
        """
        early = self.early[link]
        early.stored.clear()
        for message in messages:
            if isinstance(message, PassedReceipt):
                check_passed(message)
                if (mark := self._accept(message)) is not None:
                    for entry in message.ids:
                        early.add(entry, mark)

    def of(self, person: bytes, entries: Iterable[ParsedEntry]) -> dict[bytes, set[PassedMark]]:
        """By entry the marks of entries of the conversation with a contact that are about to be stored."""
        found = defaultdict[bytes, set[PassedMark]](set)
        for link, early in self.early.items():
            if link.parted or link.driver.aborted:  # its terminal may have been removed
                continue
            for entry in entries:
                if marks := early.of(entry.id):
                    found[entry.id].update(mark for mark in marks if mark.person == person)
        return found

    def stored(self, person: bytes, marked: Marked, marks: Mapping[bytes, Collection[PassedMark]]) -> None:
        """Entries were stored with these of `marks`, by entry."""
        for early in self.early.values():
            for entry in marked.entries:
                early.forget(entry, marks[entry])
        self._has_read(person, timed=marked.timed)

    async def store(self, link: LiveLink, messages: Sequence[PassedReceipt]) -> set[bytes]:
        """Store what was heard of entries that were held before; returns the contacts of what is new."""
        early, changed = self.early[link], set[bytes]()
        for said in self._pieces(early, messages):
            own, moment = self._keyring.own, self._expirer.moment()
            held, new = await self._store.write(siblings.mark_held, said, own.person, own.terminal, moment)
            for mark, entries in said.items():
                for entry in held.intersection(entries):
                    early.forget(entry, (mark,))
            changed.update(mark.person for mark, one in new.items() if self._show(mark, one))
        return changed

    def _pieces(
        self, early: Early, messages: Sequence[PassedReceipt]
    ) -> Iterator[dict[PassedMark, list[bytes]]]:
        """What of it was not stored with its entries, little enough each time for one piece of work."""
        said, size = defaultdict[PassedMark, list[bytes]](list), 0
        for message in messages:
            if (mark := self._accept(message)) is None:
                continue
            left = [entry for entry in message.ids if mark not in early.stored.get(entry, ())]
            if said and size + len(left) > AT_ONCE:
                yield said
                said, size = defaultdict(list), 0
            if left:
                said[mark] += left
                size += len(left)
        if said:
            yield said

    def ended(self, link: LiveLink) -> None:
        self.early.pop(link, None)

    def _accept(self, message: PassedReceipt) -> PassedMark | None:
        """None for a mark that is of no contact here, or says nothing here."""
        person = self._keyring.talks_with(message.conversation)
        contact = self._keyring.contacts.get(person)
        if contact is None:
            return None
        if self._terminals[0] is not contact.state:  # a contact may have very many, and marks come one by one
            self._terminals = contact.state, {one.id for one in contact.state.terminals()}
        passed = accept_passed(message, self._keyring.own_terminals, self._terminals[1])
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
        for link in self._links.of(person):
            link.acknowledged_elsewhere(new)
        state = EntryState.READ if mark.kind == READ else EntryState.DELIVERED
        for entry, advances in new.items():
            if advances:
                self._bus.publish(EntryChanged(person.hex(), entry.hex(), state))
        return bool(new)

    def _has_read(self, person: bytes, *, timed: bool) -> None:
        if timed:
            self._expirer.begin()
            self._bus.publish(EntriesTimed(person.hex()))


def entries_first(
    messages: Iterable[Message], hear: Callable[[Sequence[Message]], None]
) -> Iterator[Message]:
    """What came together, with the entries before the marks among them, so that each sort is stored at once.

    What else came keeps its place. `hear` gets entries and marks that came one after the other, before the
    first of them and after all that precedes them: operations may name the terminals of marks.
    """

    def is_mark(message: Message) -> bool:
        return isinstance(message, PassedReceipt)

    for together, run in groupby(messages, lambda message: isinstance(message, Entry | PassedReceipt)):
        if not together:
            yield from run
            continue
        some = list(run)
        hear(some)
        yield from sorted(some, key=is_mark)
