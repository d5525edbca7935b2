"""What goes out on one link, in order: what the contact lacks first, then what is said meanwhile.

Rules: a worker a link, so that reading never waits for writing; what waits is read from the entries and
receipts when its turn comes, and never kept in a list of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from chat.interface import EntryChanged, EntryState, ParlourError
from chat.network.link_set import LiveLink
from chat.service.outbox import read_lately, waiting
from chat.service.world import World
from chat.storage import conversations, entries
from chat.storage.database import Database
from chat.storage.entries import EntryRow
from protocol.entries import conversation_of_two, heads_hash
from protocol.messages import Entry, Head, HeadsHash, LogHeads, Message, Reachable, Receipt
from protocol.receipts import READ

WAITING_MOST = 4_096
"""Messages that may wait for one link; a contact that sends and never reads loses the link."""

BATCH = 64
"""Entries read from the disk at a time."""

READ_REPEATED = 64
"""Newest read entries that are named again at the start of a link: a lost read receipt comes back so."""


class Outgoing:
    """The worker of one link."""

    def __init__(self, world: World, link: LiveLink) -> None:
        self._world = world
        self._link = link
        self._queue: asyncio.Queue[Callable[[], Awaitable[None]]] = asyncio.Queue()
        self._conversation = conversation_of_two(world.own.person, link.person)

    def put(self, message: Message) -> None:
        """Say something on this link after what waits already."""
        self._put(lambda: self._link.driver.send(message))

    def carry(self, ids: Sequence[bytes]) -> None:
        """Send these entries, unless this link has carried them."""
        if ids:
            self._put(lambda: self._carry(ids))

    def catch_up(self) -> None:
        """Another link has ended: what it took along without an answer goes on this one."""
        self._put(self._catch_up)

    def _put(self, work: Callable[[], Awaitable[None]]) -> None:
        if self._queue.qsize() >= WAITING_MOST:
            self._link.driver.abort()
        else:
            self._queue.put_nowait(work)

    async def run(self) -> None:
        """Say what this side holds, send what waits, then serve the queue.

        A disk that fails ends the link: a link on which nothing is said would look alive.
        """
        try:
            await self._greet()
            await self._catch_up()
            while True:
                work = await self._queue.get()
                await work()
        except ParlourError:
            self._link.driver.abort()
            raise

    async def _catch_up(self) -> None:
        await self._repeat_read()
        async for ids in waiting(self._world, self._link.person):
            await self._carry(ids)

    async def _greet(self) -> None:
        contact = self._world.keyring.contacts.get(self._link.person)
        if contact is None:
            return  # removed since the link opened: it is about to be closed
        await self._link.driver.send(LogHeads(list(contact.state.heads)))
        heads = await self._world.store.read(held_heads, self._conversation)
        hash_of_all = heads_hash(self._conversation, heads)
        await self._link.driver.send(HeadsHash(self._conversation, hash_of_all))
        if self._world.port:
            await self._link.driver.send(Reachable(self._world.port))

    async def _repeat_read(self) -> None:
        if self._world.settings.read_receipts:
            ids = await read_lately(self._world, self._link.person, READ_REPEATED)
            if ids:
                await self._link.driver.send(Receipt(READ, ids))

    async def _carry(self, ids: Sequence[bytes]) -> None:
        left = [entry for entry in ids if entry not in self._link.carried]
        for start in range(0, len(left), BATCH):
            rows = await self._world.store.read(_rows, left[start : start + BATCH])
            for row in rows:
                await self._send(row)

    async def _send(self, row: EntryRow) -> None:
        contact = self._world.contacts.get(self._link.person)
        if (
            contact is None
            or contact.held
            or row.id in self._link.carried
            or not self._link.driver.link.is_open
        ):
            return
        self._link.carried[row.id] = False
        deleted = row.id in self._world.deleted  # since it was read from the disk
        said = Entry(row.header, b"", b"") if deleted else Entry(row.header, row.salt, row.body)
        await self._link.driver.send(said)
        if row.author == self._world.own.terminal and not self._link.carried[row.id]:
            event = EntryChanged(self._link.person.hex(), row.id.hex(), EntryState.SENT)
            self._world.hub.publish(event)


def held_heads(database: Database, conversation: bytes) -> list[Head]:
    """The heads of a conversation, sorted (SPEC §11.4); none where it has no entries."""
    if conversations.get(database, conversation) is None:
        return []
    return [Head(row.author, row.sequence, row.id) for row in entries.heads(database, conversation)]


def _rows(database: Database, ids: Sequence[bytes]) -> list[EntryRow]:
    rows = [row for entry in ids if (row := entries.get(database, entry)) is not None]
    return sorted(rows, key=lambda row: row.position)
