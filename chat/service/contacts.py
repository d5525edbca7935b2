"""Contacts after pairing: rename, verify, block, remove, read.

Rules: commit first, then memory, then links and announcements follow.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial

from chat.errors import phrase
from chat.interface import ContactChanged, ContactRemoved, UsageError
from chat.service.maintenance import Cleaner
from chat.service.state import EngineState
from chat.service.sync import Exchange
from chat.service.views import Views
from chat.storage import contacts, receipts
from chat.storage.database import Database
from protocol.entries import READ, conversation_of_two
from protocol.identity.log import is_name
from protocol.identity.safety import safety_number
from protocol.limits import RECEIPT_IDS_MAX
from protocol.messages import Receipt, Typing

NO_NAME = phrase("A name has 1 to 64 characters, none of them a control character, and no space at its ends.")


class People:
    """The use cases about one contact. `changed`: links and announcements have to follow."""

    def __init__(self, world: EngineState, views: Views, exchange: Exchange, cleaning: Cleaner) -> None:
        self._world = world
        self._cleaning = cleaning
        self._views = views
        self._exchange = exchange
        self.changed: Callable[[], None] = lambda: None

    async def rename(self, person: bytes, name: str) -> None:
        """Call a contact by another name here. Raises UsageError."""
        if not is_name(name):
            raise UsageError(NO_NAME)
        await self._world.store.write(contacts.set_petname, person, name)
        self._update(person, petname=name)

    async def verify(self, person: bytes, on: bool) -> None:
        """Remember whether the safety numbers were compared; what was held may go on."""
        await self._world.store.write(_verify, person, on)
        self._update(person, verified=on, held=False)
        self._exchange.catch_up(person)

    def safety_number(self, person: bytes) -> str:
        return safety_number(self._world.own.person, person)

    async def block(self, person: bytes, on: bool) -> None:
        """Block or unblock; the links of a blocked contact end and it gets no more answers."""
        await self._world.store.write(contacts.set_blocked, person, on)
        if (keys := self._world.keyring.contacts.get(person)) is not None:
            keys.blocked = on
        self._update(person, blocked=on)
        if on:
            await self._world.links.close(person, 0)
        self.changed()

    async def remove(self, person: bytes) -> None:
        """Forget a contact, its keys and the history with it."""
        name = self._views.name(person)
        keys = self._world.keyring.contacts.pop(person)
        await self._world.links.close(person, 0)
        try:
            await self._world.store.write(contacts.remove, person)
        except BaseException:
            self._world.keyring.contacts[person] = keys
            raise
        self._forget(person)
        self.changed()
        self._world.hub.publish(ContactRemoved(person.hex(), name))
        await self._cleaning.clean()

    def _forget(self, person: bytes) -> None:
        world = self._world
        for memory in (
            world.contacts,
            world.unread,
            world.typing,
            world.keyring.found,
            world.keyring.remembered,
        ):
            memory.pop(person, None)

    def _update(self, person: bytes, **changed: object) -> None:
        if (row := self._world.contacts.get(person)) is not None:  # it may have been removed meanwhile
            self._world.contacts[person] = replace(row, **changed)  # type: ignore[arg-type]
            self.tell(person)

    def tell(self, person: bytes) -> None:
        self._world.hub.publish(ContactChanged(self._views.contact(person)))

    async def mark_read(self, person: bytes, entries: Collection[bytes]) -> None:
        """This person has read these entries; the contact is told if the setting allows."""
        await self._read(person, partial(receipts.mark_read, ids=entries))

    async def mark_all_read(self, person: bytes) -> None:
        """This person is done with all that the contact wrote; it is told if the setting allows."""
        await self._read(person, receipts.mark_all_read)

    async def _read(self, person: bytes, mark: Callable[..., list[bytes]]) -> None:
        told = self._world.settings.read_receipts and not self._world.contacts[person].blocked
        ids, unread = await self._world.store.write(_mark_read, self._world, person, mark, told)
        if not ids or person not in self._world.contacts:
            return
        self._world.unread[person] = unread
        self.tell(person)
        if told:
            for start in range(0, len(ids), RECEIPT_IDS_MAX):
                self._exchange.say(person, Receipt(READ, ids[start : start + RECEIPT_IDS_MAX]))

    def typing(self, person: bytes, on: bool) -> None:
        """Tell the contact, if the setting allows."""
        if self._world.settings.typing and not self._world.contacts[person].blocked:
            self._exchange.say(person, Typing(conversation_of_two(self._world.own.person, person), on))


def _verify(database: Database, person: bytes, on: bool) -> None:
    contacts.set_verified(database, person, on)
    contacts.set_held(database, person, False)


def _mark_read(
    database: Database, world: EngineState, person: bytes, mark: Callable[..., list[bytes]], told: bool
) -> tuple[list[bytes], int]:
    conversation = conversation_of_two(world.own.person, person)
    own, now = world.own.terminal, world.clock.wall()
    ids = mark(database, conversation, terminal=own, time=now, told=told)
    return ids, receipts.unread(database, conversation)
