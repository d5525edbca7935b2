"""Writing entries: committed here before anything leaves (ARCHITECTURE.md, the delivery law)."""

from __future__ import annotations

from chat.interface import EntryAdded, EntryView, UsageError
from chat.phrases import phrase
from chat.service.exchange import Exchange
from chat.service.history import held_in
from chat.service.views import Views
from chat.service.world import World
from chat.storage import conversations, entries
from chat.storage.database import Database
from chat.storage.entries import EntryRow, NewEntry
from protocol.entries import KIND_TEXT, Place, conversation_of_two, read_text, text_body, write_entry
from protocol.limits import TEXT_CHARACTERS_MAX

EMPTY = phrase("There is nothing to send: write some text.")
TOO_LONG = phrase(
    "The text is longer than {number} characters: send it in parts.", number=TEXT_CHARACTERS_MAX
)
NOT_TEXT = phrase("The text holds characters that are not Unicode text: remove them.")
BLOCKED = phrase("This contact is blocked: unblock it first.")


class Sending:
    """The use case *send*."""

    def __init__(self, world: World, exchange: Exchange, views: Views) -> None:
        self._world = world
        self._exchange = exchange
        self._views = views

    async def send(self, person: bytes, text: str, reply: bytes = b"") -> EntryView:
        """Commit a text entry for a contact and let it go. Raises UsageError, or a storage failure.

        `reply` is the id of an entry held of this conversation, or empty.
        """
        body = _body(text, reply)
        if self._world.contacts[person].blocked:
            raise UsageError(BLOCKED)
        row = await self._world.store.write(_append, self._world, person, body)
        self._world.hub.publish(EntryAdded(self._views.entry(person, row)))
        self._exchange.carry(person, [row.id])
        return self._views.entry(person, row)


def _body(text: str, reply: bytes) -> bytes:
    if not text.strip():
        raise UsageError(EMPTY)
    if len(text) > TEXT_CHARACTERS_MAX:
        raise UsageError(TOO_LONG)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(NOT_TEXT) from None
    return text_body(text, reply)


def _append(database: Database, world: World, person: bytes, body: bytes) -> EntryRow:
    conversation, said = conversation_of_two(world.own.person, person), read_text(body)
    if said.reply:
        held_in(database, conversation, said.reply)
    conversations.ensure(database, conversation, conversations.TWO, person)
    last = entries.last_by(database, conversation, world.own.terminal)
    place = Place(
        conversation=conversation,
        author=world.own.terminal,
        incarnation=world.incarnation,
        previous=(last.sequence, last.id) if last is not None else None,
        parents=_parents(database, conversation, last.id if last is not None else b""),
        membership=world.keyring.own.heads,
    )
    made = write_entry(place, world.clock.wall(), KIND_TEXT, body, world.own.self_key, world.random)
    new = NewEntry(made.id, made.header_bytes, made.header, made.salt, made.body, said.text)
    entries.insert(database, new, unread=False)
    row = entries.get(database, made.id)
    assert row is not None, "an entry that was just inserted is there"
    return row


def _parents(database: Database, conversation: bytes, previous: bytes) -> list[bytes]:
    return [tip for tip in entries.tips(database, conversation) if tip != previous][:16]
