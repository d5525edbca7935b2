"""Entries, receipts, heads and typing with contacts: what is sent, what arrives, and what each message means.

Rules: an entry is committed before anything of it leaves, and acknowledged after its commit here; each side
decodes it once and passes the object on. An entry that does not belong ends the link without a reason. A
worker per link sends, so that reading never waits for writing; what waits behind others is read from the
entries and receipts when its turn comes.

What a contact lacks of this terminal, and what this person has read: asked when a link starts.

Rules: computed from entries and receipts, nothing of it is kept (ARCHITECTURE.md, the delivery law); read a
stretch at a time, so that what a person does meanwhile never waits for a long history.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from chat.errors import phrase
from chat.interface import (
    ContactChanged,
    EntryAdded,
    EntryChanged,
    EntryState,
    EntryView,
    Notice,
    ParlourError,
    UsageError,
)
from chat.network.limits import Bucket
from chat.network.links import LiveLink
from chat.service.discovery import AddressBook
from chat.service.history import held_in
from chat.service.person_logs import PendingContacts, PersonLogs
from chat.service.state import EngineState
from chat.service.views import Views
from chat.storage import contacts, entries, receipts
from chat.storage.database import Database
from chat.storage.entries import BEGINNING, END, WHOLE, EntryRow, Position, Stretch
from protocol.entries import (
    KIND_TEXT,
    READ,
    STORED,
    Facts,
    ParsedEntry,
    Place,
    accept_entry,
    check_conversation,
    conversation_of_two,
    heads_hash,
    parse_entry,
    receipting_terminal,
    text_body,
    write_entry,
)
from protocol.errors import ProtocolError, Unexpected, Untrusted
from protocol.history import lacking
from protocol.limits import HEADS_MAX, TEXT_CHARACTERS_MAX
from protocol.messages import (
    Entry,
    Head,
    Heads,
    HeadsHash,
    LogHeads,
    LogOperations,
    Message,
    Reachable,
    Receipt,
    Typing,
)

STRETCH: Final = 4_096
"""Entries looked at in one piece of work on the disk: a few milliseconds."""


async def waiting(world: EngineState, person: bytes) -> AsyncIterator[list[bytes]]:
    """Own entries that no terminal of the contact has acknowledged, in order, some at a time."""
    conversation, done = conversation_of_two(world.own.person, person), 0
    while done < WHOLE[1]:
        ids, (_, done) = await world.store.read(
            _outbox_lacking, conversation, world.own.terminal, person, done
        )
        if ids:
            yield ids


async def read_lately(world: EngineState, person: bytes, most: int) -> list[bytes]:
    """The newest entries of the conversation that this person has read and told so, newest first."""
    conversation, place = conversation_of_two(world.own.person, person), END
    found: list[bytes] = []
    while place != BEGINNING and len(found) < most:
        left = most - len(found)
        ids, place = await world.store.read(_read, conversation, world.own.terminal, left, place)
        found += ids
    return found


def _outbox_lacking(
    database: Database, conversation: bytes, own: bytes, person: bytes, done: int
) -> tuple[list[bytes], Stretch]:
    stretch = entries.stretch_after(database, conversation, own, done, STRETCH)
    return receipts.unacknowledged(database, conversation, own, person, stretch), stretch


def _read(
    database: Database, conversation: bytes, own: bytes, most: int, before: Position
) -> tuple[list[bytes], Position]:
    since = entries.place_before(database, conversation, before, STRETCH)
    return receipts.read_by(database, conversation, own, most, since, before), since


EMPTY = phrase("There is nothing to send: write some text.")
TOO_LONG = phrase(
    "The text is longer than {number} characters: send it in parts.", number=TEXT_CHARACTERS_MAX
)
NOT_TEXT = phrase("The text contains characters that are not Unicode text: remove them.")
BLOCKED = phrase("This contact is blocked: unblock it first.")

WAITING_MOST = 4_096
"""Messages that may wait for one link; a contact that sends and never reads loses the link."""

BATCH = 64
"""Entries read from the disk at a time."""

READ_REPEATED = 64
"""Newest read entries that are named again at the start of a link: a lost read receipt comes back so."""

COSTLY_A_SECOND = 0.2
COSTLY_AT_ONCE = 8.0
"""How often a contact is heard with what costs much: heads are compared with the whole history, operations
verified with the whole log. An honest contact says each once a link."""


# --- On links ---


@dataclass(slots=True)
class _Worker:
    """What goes out on a link. `task` is None until the link has proved who is there; what is said waits."""

    outgoing: Outbound
    task: asyncio.Task[None] | None = None


class Exchange:
    """network.links.LinkEvents of the engine."""

    def __init__(
        self, world: EngineState, views: Views, receiving: Inbound, logs: PersonLogs, remembering: AddressBook
    ) -> None:
        self._world = world
        self._views = views
        self._receiving = receiving
        self._logs = logs
        self._remembering = remembering
        self._workers: dict[LiveLink, _Worker] = {}
        self._costly: dict[bytes, Bucket] = {}

    # Sending.

    def carry(self, person: bytes, entry: ParsedEntry) -> None:
        """Let an entry just written go now if there is a link; else it waits for the next one."""
        if (worker := self._current(person)) is not None:
            worker.outgoing.send(entry)

    def catch_up(self, person: bytes) -> None:
        """What waited for this person's word may go now."""
        if (worker := self._current(person)) is not None:
            worker.outgoing.catch_up()

    def say(self, person: bytes, message: Message) -> None:
        """Say something that is not an entry, if there is a link."""
        if (worker := self._current(person)) is not None:
            worker.outgoing.put(message)

    def _current(self, person: bytes) -> _Worker | None:
        link = self._world.links.current(person)
        return self._workers.get(link) if link is not None else None

    # A link's life (LinkEvents).

    async def opened(self, link: LiveLink) -> None:
        # Before anything is awaited: the link counts as the one that sends from now on.
        worker = self._workers[link] = _Worker(Outbound(self._world, link))
        await self._receiving.proved(link)
        if self._workers.get(link) is worker:  # it may have ended meanwhile
            worker.task = self._world.tasks.spawn(worker.outgoing.run())

    async def ended(self, link: LiveLink) -> None:
        worker = self._workers.pop(link, None)
        if worker is not None and worker.task is not None:
            worker.task.cancel()
        if self._world.links.current(link.person) is None:  # a spare link says nothing of the person
            self._world.typing.pop(link.person, None)
        for entry, acknowledged in link.carried.items():
            if not acknowledged and not self._views.on_link(link.person, entry):
                self._world.hub.publish(EntryChanged(link.person.hex(), entry.hex(), EntryState.QUEUED))
        if (left := self._current(link.person)) is not None:
            left.outgoing.catch_up()

    def presence(self, person: bytes, present: bool) -> None:
        if person in self._world.contacts:
            self._world.hub.publish(ContactChanged(self._views.contact(person)))

    async def received(self, link: LiveLink, messages: Sequence[Message]) -> None:
        try:
            for group in _grouped(messages):
                await self._handle(link, group)
        except ProtocolError:
            link.driver.abort()
        except ParlourError as failure:
            self._world.hub.publish(Notice(failure.phrase))
            link.driver.abort()

    def _affords(self, person: bytes) -> bool:
        now = self._world.clock.monotonic()
        new = Bucket(COSTLY_A_SECOND, COSTLY_AT_ONCE, COSTLY_AT_ONCE, now)
        return self._costly.setdefault(person, new).take(now)

    async def _handle(self, link: LiveLink, group: Sequence[Message]) -> None:
        if isinstance(group[0], Heads | LogOperations) and not self._affords(link.person):
            return  # another link brings it; what waits for the contact goes without
        outgoing = self._workers[link].outgoing
        match group[0]:
            case Entry():
                outgoing.put(await self._receiving.entries(link, group))
            case Receipt() as receipt:
                await self._receiving.receipt(link, receipt)
            case HeadsHash() as heads_hash:
                if (heads := await self._receiving.heads_if_other(link, heads_hash)) is not None:
                    outgoing.put(heads)
            case Heads() as heads:
                outgoing.carry(await self._receiving.lacking(link, heads))
            case LogHeads(heads=held):
                for operations in await self._logs.missing(held):
                    outgoing.put(operations)
            case LogOperations(operations=operations):
                await self._logs.received(link.person, operations)
            case Reachable(port=port):
                await self._remembering.reached(link, port)
            case Typing() as typing:
                self._receiving.typing(link, typing)
            case _:
                raise Unexpected("a pairing message on a contact's link")


def _grouped(messages: Sequence[Message]) -> list[list[Message]]:
    """Entries that came together are stored together; every other message stands alone."""
    groups: list[list[Message]] = []
    for message in messages:
        if groups and isinstance(message, Entry) and isinstance(groups[-1][0], Entry):
            groups[-1].append(message)
        else:
            groups.append([message])
    return groups


# --- Sending ---


class Sending:
    """The use case *send*. `carry` lets an entry go, if there is a link."""

    def __init__(self, world: EngineState, views: Views, carry: Callable[[bytes, ParsedEntry], None]) -> None:
        self._world = world
        self._views = views
        self._carry = carry

    async def send(self, person: bytes, text: str, reply: bytes = b"") -> EntryView:
        """Commit a text entry for a contact and let it go. Raises UsageError, or a storage failure.

        `reply` is the id of an entry held of this conversation, or empty.
        """
        _check_text(text)
        if self._world.contacts[person].blocked:
            raise UsageError(BLOCKED)
        entry = await self._world.store.write(_append, self._world, person, text, reply)
        view = self._views.added(person, entry)
        self._world.hub.publish(EntryAdded(view))
        self._carry(person, entry)
        return view


def _check_text(text: str) -> None:
    if not text.strip():
        raise UsageError(EMPTY)
    if len(text) > TEXT_CHARACTERS_MAX:
        raise UsageError(TOO_LONG)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(NOT_TEXT) from None


def _append(database: Database, world: EngineState, person: bytes, text: str, reply: bytes) -> ParsedEntry:
    conversation = conversation_of_two(world.own.person, person)
    if reply:
        held_in(database, conversation, reply)
    last = entries.last_by(database, conversation, world.own.terminal)
    place = Place(
        conversation=conversation,
        author=world.own.terminal,
        incarnation=world.incarnation,
        previous=(last.sequence, last.id) if last is not None else None,
        parents=entries.tips(database, conversation),
        membership=world.keyring.own.heads,
    )
    body = text_body(text, reply)
    entry = write_entry(place, world.clock.wall(), KIND_TEXT, body, world.own.self_key, world.random)
    entries.insert_all(database, [entry], world.own.terminal, contact=person)
    return entry


class Outbound:
    """The worker of one link."""

    def __init__(self, world: EngineState, link: LiveLink) -> None:
        self._world = world
        self._link = link
        self._queue: asyncio.Queue[Callable[[], Awaitable[None]]] = asyncio.Queue()
        self._conversation = conversation_of_two(world.own.person, link.person)

    def put(self, message: Message) -> None:
        """Say something on this link after what waits already."""
        self._put(partial(self._link.driver.send, message))

    def send(self, entry: ParsedEntry) -> None:
        """Send an entry just written; one that has to wait for others waits on the disk and not in memory."""
        if self._queue.empty():
            self._put(partial(self._send, entry.id, entry.header.author, entry.message()))
        else:
            self.carry([entry.id])

    def carry(self, ids: Sequence[bytes]) -> None:
        """Send these entries, unless this link has carried them."""
        if ids:
            self._put(partial(self._carry, ids))

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
                await self._send(row.id, row.author, Entry(row.header, row.salt, row.body))

    async def _send(self, entry: bytes, author: bytes, message: Entry) -> None:
        world, link = self._world, self._link
        contact = world.contacts.get(link.person)
        if contact is None or contact.held or entry in link.carried or not link.driver.link.is_open:
            return
        link.carried[entry] = False
        if entry in world.deleted:  # since it was written, or read from the disk
            message = Entry(message.header, b"", b"")
        await link.driver.send(message)
        if author == world.own.terminal and not link.carried[entry]:
            world.hub.publish(EntryChanged(link.person.hex(), entry.hex(), EntryState.SENT))


def held_heads(database: Database, conversation: bytes) -> list[Head]:
    """The heads of a conversation, sorted (SPEC §11.4); none where it has no entries."""
    if contacts.conversation(database, conversation) is None:
        return []
    return [Head(row.author, row.sequence, row.id) for row in entries.heads(database, conversation)]


def _rows(database: Database, ids: Sequence[bytes]) -> list[EntryRow]:
    rows = [row for entry in ids if (row := entries.get(database, entry)) is not None]
    return sorted(rows, key=lambda row: row.position)


# --- Receiving ---


class Inbound:
    """The use case *receive*, for every kind of message in a conversation."""

    def __init__(self, world: EngineState, views: Views, pending: PendingContacts) -> None:
        self._world = world
        self._views = views
        self._pending = pending

    async def proved(self, link: LiveLink) -> None:
        """A contact's link opened: a pairing whose last message was lost is complete."""
        await self._pending.promote(link.person)

    # Entries.

    async def entries(self, link: LiveLink, messages: Sequence[Message]) -> Receipt:
        """Store a group of entries; returns the receipt for all of them.

        Raises ProtocolError for the first that does not belong, after storing those before it.
        """
        facts, parsed = self._facts(link), list[ParsedEntry]()
        try:
            for message in messages:
                if not isinstance(message, Entry):
                    raise Unexpected("not an entry")
                entry = parse_entry(message)
                accept_entry(entry, facts)
                parsed.append(entry)
        finally:
            if parsed:
                await self._store(link, parsed)
        return Receipt(STORED, [entry.id for entry in parsed])

    def _facts(self, link: LiveLink) -> Facts:
        contact = self._world.keyring.contacts.get(link.person)
        return Facts(
            own_person=self._world.own.person,
            own_terminals=set(self._world.keyring.own.live),
            contact=link.person,
            contact_terminals=set() if contact is None else set(contact.state.live),
            carrier=link.person,
            self_key=self._world.own.self_key,
            welcome=contact is not None and not contact.blocked,
        )

    async def _store(self, link: LiveLink, parsed: Sequence[ParsedEntry]) -> None:
        new, unread = await self._world.store.write(_insert, self._world, link.person, parsed)
        self._world.unread[link.person] = unread
        for _, entry in new:
            self._world.hub.publish(EntryAdded(self._views.added(link.person, entry)))
        if new:  # who wrote does not type any more, and there is more to read
            self._world.typing.pop(link.person, None)
            self._world.hub.publish(ContactChanged(self._views.contact(link.person)))

    # Receipts.

    async def receipt(self, link: LiveLink, receipt: Receipt) -> None:
        """Record what the contact's terminal has stored or its person has read."""
        world, contact = self._world, self._world.keyring.contacts.get(link.person)
        if contact is None:
            raise Untrusted("no contact any more")
        new = await world.store.write(
            receipts.acknowledge,
            conversation_of_two(world.own.person, link.person),
            world.own.terminal,
            receipting_terminal(contact.state, link.terminal).id,
            receipt,
            world.clock.wall(),
        )
        state = EntryState.READ if receipt.kind == READ else EntryState.DELIVERED
        for entry in receipt.ids:
            if entry in link.carried:
                link.carried[entry] = True
        # Another link may be about to carry what has arrived by this one, and would call it sent.
        for other in self._world.links.of(link.person):
            if other.terminal == link.terminal:
                other.carried.update(dict.fromkeys(new, True))
        for entry in new:
            self._world.hub.publish(EntryChanged(link.person.hex(), entry.hex(), state))

    # Heads.

    def _conversation(self, link: LiveLink, named: bytes) -> bytes:
        return check_conversation(named, self._world.own.person, link.person)

    async def heads_if_other(self, link: LiveLink, message: HeadsHash) -> Heads | None:
        """This side's heads, where they differ from the other side's."""
        conversation = self._conversation(link, message.conversation)
        heads = await self._world.store.read(held_heads, conversation)
        if heads_hash(conversation, heads) == message.hash:
            return None
        return Heads(conversation, heads[:HEADS_MAX])

    async def lacking(self, link: LiveLink, message: Heads) -> list[bytes]:
        """Entries that the other side's heads do not cover."""
        conversation = self._conversation(link, message.conversation)
        return await self._world.store.read(_lacking, conversation, [head.id for head in message.heads])

    # Typing.

    def typing(self, link: LiveLink, message: Typing) -> None:
        """Show for a while that the contact is typing."""
        self._conversation(link, message.conversation)
        before = link.person in self._world.typing
        if message.on:
            until = self._world.clock.monotonic() + self._world.config.typing_lasts
            self._world.typing[link.person] = until
        else:
            self._world.typing.pop(link.person, None)
        if before != message.on and link.person in self._world.contacts:
            self._world.hub.publish(ContactChanged(self._views.contact(link.person)))

    def forget_typing(self) -> None:
        """Typing marks that were not renewed go away."""
        now = self._world.clock.monotonic()
        for person in [person for person, until in self._world.typing.items() if until <= now]:
            del self._world.typing[person]
            if person in self._world.contacts:
                self._world.hub.publish(ContactChanged(self._views.contact(person)))


def _insert(
    database: Database, world: EngineState, person: bytes, parsed: Sequence[ParsedEntry]
) -> tuple[list[tuple[int, ParsedEntry]], int]:
    """Insert entries; returns the new ones with their numbers, and the number of unread entries."""
    new = entries.insert_all(database, parsed, world.own.terminal, contact=person, stored=world.clock.wall())
    return new, receipts.unread(database, conversation_of_two(world.own.person, person))


class _Held:
    """protocol.history.Chain over the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def place(self, entry: bytes) -> tuple[int, bytes] | None:
        row = entries.get(self._database, entry)
        return None if row is None else (row.sequence, row.previous)


def _lacking(database: Database, conversation: bytes, theirs: Sequence[bytes]) -> list[bytes]:
    mine = [head.id for head in held_heads(database, conversation)]
    found = lacking(mine, theirs, _Held(database))
    rows = [row for entry in found if (row := entries.get(database, entry)) is not None]
    return [row.id for row in sorted(rows, key=lambda row: row.position)]
