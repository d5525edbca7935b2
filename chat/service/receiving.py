"""What contacts send: entries, receipts, heads, typing (SPEC §11).

Rules: entries are checked, then committed together, then acknowledged in one receipt, the new ones and
those already held; only what is new is shown.
"""

from __future__ import annotations

from collections.abc import Sequence

from chat.delivery.states import READ, STORED
from chat.interface import ContactChanged, EntryAdded, EntryChanged, EntryState
from chat.network.link_set import LiveLink
from chat.service.outgoing import held_heads
from chat.service.pending import PendingContacts
from chat.service.views import Views
from chat.service.world import World
from chat.storage import bursts, conversations, entries, receipts
from chat.storage.database import Database
from chat.storage.entries import EntryRow, NewEntry
from protocol.entries import (
    KIND_TEXT,
    Facts,
    ParsedEntry,
    accept_entry,
    check_conversation,
    conversation_of_two,
    heads_hash,
    parse_entry,
    read_text,
    receipted,
    receipting_terminal,
)
from protocol.errors import Unexpected
from protocol.history import lacking
from protocol.limits import HEADS_MAX
from protocol.messages import Entry, Heads, HeadsHash, Message, Receipt, Typing


class Receiving:
    """The use case *receive*, for every kind of message in a conversation."""

    def __init__(self, world: World, views: Views, pending: PendingContacts) -> None:
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
        parsed: list[ParsedEntry] = []
        try:
            parsed.extend(self._checked(link, message) for message in messages)
        finally:
            if parsed:
                await self._store(link, parsed)
        return Receipt(STORED, [entry.id for entry in parsed])

    def _checked(self, link: LiveLink, message: Message) -> ParsedEntry:
        if not isinstance(message, Entry):
            raise Unexpected("not an entry")
        entry = parse_entry(message)
        accept_entry(entry, self._facts(link))
        return entry

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
        rows, unread = await self._world.store.write(_insert, self._world, link.person, parsed)
        self._world.unread[link.person] = unread
        for row in rows:
            self._world.hub.publish(EntryAdded(self._views.entry(link.person, row)))
        if rows:  # who wrote does not type any more, and there is more to read
            self._world.typing.pop(link.person, None)
            self._world.hub.publish(ContactChanged(self._views.contact(link.person)))

    # Receipts.

    async def receipt(self, link: LiveLink, receipt: Receipt) -> None:
        """Record what the contact's terminal has stored or its person has read."""
        terminal = receipting_terminal(self._world.keyring.log(link.person), link.terminal).id
        new = await self._world.store.write(_acknowledge, self._world, link.person, terminal, receipt)
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
    database: Database, world: World, person: bytes, parsed: Sequence[ParsedEntry]
) -> tuple[list[EntryRow], int]:
    """Insert what is new; returns the new rows and the number of unread entries."""
    conversation = conversation_of_two(world.own.person, person)
    conversations.ensure(database, conversation, conversations.TWO, person)
    new = bursts.insert_all(database, [_as_new(entry) for entry in parsed], world.own.terminal)
    receipts.add(database, world.own.terminal, STORED, new, world.clock.wall())
    rows = [row for entry in new if (row := entries.get(database, entry)) is not None]
    return rows, receipts.unread(database, conversation)


def _as_new(entry: ParsedEntry) -> NewEntry:
    text = read_text(entry.body).text if entry.header.kind == KIND_TEXT and not entry.deleted else ""
    return NewEntry(entry.id, entry.header_bytes, entry.header, entry.salt, entry.body, text)


def _acknowledge(
    database: Database, world: World, person: bytes, terminal: bytes, receipt: Receipt
) -> list[bytes]:
    """Record a receipt for one's own entries of this conversation; returns those that are news."""
    conversation = conversation_of_two(world.own.person, person)
    rows = (entries.get(database, entry) for entry in receipt.ids)
    own = {
        row.id
        for row in rows
        if row is not None and row.conversation == conversation and row.author == world.own.terminal
    }
    counted = receipted(receipt.ids, own)
    known = receipts.of(database, counted)
    receipts.add(database, terminal, receipt.kind, counted, world.clock.wall())
    return [entry for entry in counted if not _says_more(known.get(entry, []), terminal, receipt.kind)]


def _says_more(rows: Sequence[receipts.ReceiptRow], terminal: bytes, kind: int) -> bool:
    """Whether as much was known before: a *stored* after a *read* is no news."""
    return any(row.terminal == terminal and row.kind >= kind for row in rows)


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
