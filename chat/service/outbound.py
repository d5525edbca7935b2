"""What goes out on a link with a contact, computed from entries and receipts (ARCHITECTURE.md)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import Final

from chat.interface import EntryChanged, EntryState
from chat.network.driver import Outgoing
from chat.network.links import LiveLink
from chat.service.comparison import ASKING
from chat.service.discovery import ListeningPort
from chat.service.events import EventBus
from chat.service.keyring import Keyring, terminal_at
from chat.service.settings import Privacy
from chat.service.state import ContactBook
from chat.storage import receipts, repair, siblings
from chat.storage.database import Store
from chat.storage.entries import BEGINNING, END, WHOLE
from protocol.entries_and_receipts import (
    READ,
    STORED,
    ParsedEntry,
    conversation_of_two,
    receipt_for,
)
from protocol.history import opening
from protocol.messages import (
    Entry,
    HeadsHash,
    LogHeads,
)

STRETCH: Final = 4_096
"""Entries examined in one piece of work on the disk, a few milliseconds: users wait for no long history."""

BATCH: Final = 64
"""Entries read from the disk at a time."""
READ_REPEATED: Final = 64
"""Newest read entries named again at the start of a link, in case a read receipt was lost."""


class Outbound(Outgoing):
    """What goes out on a link with a contact. Entries that wait behind others wait on the disk."""

    def __init__(
        self,
        store: Store,
        bus: EventBus,
        keyring: Keyring,
        book: ContactBook,
        privacy: Privacy,
        port: ListeningPort,
        link: LiveLink,
        deleted: set[bytes],
    ) -> None:
        super().__init__(link.driver)
        self._store, self._bus, self._keyring, self._book = store, bus, keyring, book
        self._privacy, self._port, self._link, self._deleted = privacy, port, link, deleted
        self._conversation = conversation_of_two(keyring.own.person, link.person)
        self._held_back = False  # whether something was not sent since the contact was held back

    def send(self, entry: ParsedEntry) -> None:
        if self._queue.empty():
            self._put(partial(self._send, entry.id, entry.message(), awaits=True))
        else:
            self.carry([entry.id])

    def carry(self, ids: Sequence[bytes]) -> None:
        """Send these entries, unless this link has carried them."""
        if ids:
            self._put(partial(self._carry, ids))

    def carry_found(self, find: Callable[[], Awaitable[Sequence[bytes]]]) -> None:
        """Find entries once all before them are sent, and send them: an answer can name the whole history."""

        async def found() -> None:
            await self._carry(await find())

        self._put(found)

    def catch_up(self) -> None:
        self._put(self._catch_up)

    def pass_on(self, ids: Sequence[bytes]) -> None:
        """Send what other terminals of this person wrote, unless a terminal of the contact has it."""
        self._put(partial(self._pass_on, ids))

    async def _pass_on(self, ids: Sequence[bytes]) -> None:
        await self._carry(await self._store.read(siblings.unacknowledged, ids, self._link.person))

    async def _begin(self) -> None:
        """Send what this side holds and what has no receipt."""
        await self._greet()
        await self._send_unacknowledged()

    def ask_log(self) -> None:
        """Ask for what this side lacks of the contact's log."""
        if (contact := self._keyring.contacts.get(self._link.person)) is not None:
            self.put(LogHeads(contact.state.person, list(contact.state.heads)))

    async def _greet(self) -> None:
        contact = self._keyring.contacts.get(self._link.person)
        if contact is None:
            return  # removed since the link opened, which is about to be closed
        terminal = terminal_at(contact, self._link)
        heads = await self._store.read(repair.asking_heads, self._conversation, terminal)
        states, read = (contact.state, self._keyring.own_log), await self._read_lately()
        logs = [LogHeads(state.person, list(state.heads)) for state in states]
        for message in opening(logs, self._conversation, heads, self._port.number, read):
            await self._link.driver.send(message)

    async def _catch_up(self) -> None:
        if ids := await self._read_lately():
            await self._link.driver.send(receipt_for(READ, ids))
        await self._send_unacknowledged()
        if self._held_back:  # a removed terminal may have acknowledged what the other side named as lacking
            self._held_back = False
            await self._link.driver.send(HeadsHash(self._conversation, ASKING))

    async def _send_unacknowledged(self) -> None:
        """Also what others of this person's terminals wrote. They may be removed, or have deleted it here."""
        own = self._keyring.own.terminal
        for author in (own, *sorted(self._keyring.own_terminals - {own})):
            async for ids in self._unacknowledged(author):
                await self._carry(ids)

    async def _read_lately(self) -> list[bytes]:
        """The newest entries for which a read receipt may be sent again, newest first."""
        if not self._privacy.settings.read_receipts:
            return []
        found, place, own = list[bytes](), END, self._keyring.own_terminals
        while place != BEGINNING and len(found) < READ_REPEATED:
            most = READ_REPEATED - len(found)
            ids, place = await self._store.read(
                receipts.read_before, self._conversation, own, most, place, STRETCH
            )
            found += ids
        return found

    async def _unacknowledged(self, author: bytes) -> AsyncIterator[list[bytes]]:
        """Entries of an own terminal that no terminal of the contact has, in order, some at a time."""
        done, person = 0, self._link.person
        while done < WHOLE[1]:
            ids, (_, done) = await self._store.read(
                receipts.unacknowledged_after, self._conversation, author, person, done, STRETCH
            )
            if ids:
                yield ids

    async def _carry(self, ids: Sequence[bytes]) -> None:
        left = [entry for entry in ids if entry not in self._link.carried]
        for start in range(0, len(left), BATCH):
            own, some = self._keyring.own.terminal, left[start : start + BATCH]
            rows, awaiting = await self._store.read(receipts.in_order, some, own, self._link.person)
            for row in rows:
                await self._send(row.id, Entry(row.header, row.salt, row.body), awaits=row.id in awaiting)
            await self._acknowledge([row.id for row in rows if row.salt and row.author in self._theirs()])

    def _theirs(self) -> Collection[bytes]:
        contact = self._keyring.contacts.get(self._link.person)
        return () if contact is None else {one.id for one in contact.state.terminals()}

    async def _acknowledge(self, returned: Sequence[bytes]) -> None:
        """The other side lacked entries that its person wrote, and with them the receipts for them."""
        if returned and self._link.driver.link.is_open:
            await self._link.driver.send(receipt_for(STORED, returned))
            own, told = self._keyring.own_terminals, self._privacy.settings.read_receipts
            if told and (read := await self._store.read(receipts.read_among, returned, own)):
                await self._link.driver.send(receipt_for(READ, read))

    async def _send(self, entry: bytes, message: Entry, *, awaits: bool) -> None:
        """`awaits`: it is in the outbox, so that its state follows the link."""
        link = self._link
        contact = self._book.rows.get(link.person)
        if contact is None or entry in link.carried or not link.driver.link.is_open:
            return
        if contact.held:
            self._held_back = True
            return
        if entry in self._deleted:  # since it was written, or read from the disk
            message, awaits = Entry(message.header, b"", b""), False
        link.carried[entry] = not awaits or entry in link.delivered
        await link.driver.send(message)
        if not link.carried[entry]:
            self._bus.publish(EntryChanged(link.person.hex(), entry.hex(), EntryState.SENT))
