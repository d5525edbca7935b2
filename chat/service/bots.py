"""Bots: which contacts declare to be one, and what this person declares (SPEC §11.11)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from chat.errors import phrase
from chat.interface import BotCommand, BotView, NotPermitted, UsageError
from chat.service.events import BotDeclared
from chat.service.keyring import REMOVED, Keyring
from chat.service.messages import Messages
from chat.service.notes import Notes, Written
from chat.service.state import ContactBook
from chat.service.views import Views
from chat.storage import bots
from chat.storage.database import Database, Store
from chat.storage.sharing import Followed, ensure
from chat.tasks import Runtime
from protocol.bots import bot_body, read_bot
from protocol.entries_and_receipts import KIND_BOT, conversation_of, conversation_of_two
from protocol.errors import LocalMisuse
from protocol.limits import (
    BOT_COMMAND_CHARACTERS_MAX,
    BOT_COMMANDS_MAX,
    BOT_DESCRIPTION_CHARACTERS_MAX,
)
from protocol.messages import BotBody
from protocol.messages import BotCommand as Command

BAD_COMMANDS = phrase(
    "These are not the commands of a bot: at most {number} with different names of 1 to {letters} characters"
    " of a-z, 0-9, _ and -, the first one a letter, and each with a description of one line of 1 to"
    " {characters} characters.",
    number=BOT_COMMANDS_MAX,
    letters=BOT_COMMAND_CHARACTERS_MAX,
    characters=BOT_DESCRIPTION_CHARACTERS_MAX,
)

NO_BOT = BotBody(False, [])


class Bots:
    """The use case *declare*, and what contacts declare."""

    def __init__(
        self,
        runtime: Runtime,
        store: Store,
        keyring: Keyring,
        book: ContactBook,
        views: Views,
        messages: Messages,
        notes: Notes,
    ) -> None:
        self._runtime, self._store, self._keyring = runtime, store, keyring
        self._book, self._views, self._messages, self._notes = book, views, messages, notes
        self._declaring = asyncio.Lock()

    # What contacts declare.

    def declared(self, signal: BotDeclared) -> None:
        self._runtime.tasks.spawn(self._follow(signal.person))

    def begin(self) -> None:
        """Which entries count, or their order, may be another one than before."""
        self._runtime.tasks.spawn(self._follow_all())

    async def _follow(self, person: bytes) -> None:
        if person in self._book.rows:
            conversation = conversation_of_two(self._keyring.own.person, person)
            self._keep(person, await self._store.read(bots.of_contact, conversation))

    async def _follow_all(self) -> None:
        found = await self._store.read(bots.of_contacts)
        for person in {*found, *self._book.bots}:
            self._keep(person, found.get(person))

    def _keep(self, person: bytes, body: BotBody | None) -> None:
        """Keep what a contact declares as the database says, and publish it if it is something else."""
        if person not in self._book.rows or self._book.bots.get(person) == body:
            return
        if body is None:
            del self._book.bots[person]
        else:
            self._book.bots[person] = body
        self._views.publish_contact(person)

    # What this person declares.

    async def declare(self, commands: Collection[BotCommand] | None, person: bytes | None = None) -> None:
        """Declare to a contact, or to all and later ones, to be a bot with these commands; None: to be none.

        Raises UsageError (the commands, a blocked contact), NotPermitted (this terminal was removed), or a
        storage failure.
        """
        body = NO_BOT if commands is None else _body(commands)
        if self._keyring.is_removed:
            raise NotPermitted(REMOVED)
        async with self._declaring:
            if person is not None:
                await self._tell(person, body)
                return
            stood = await self._store.read(self._noted)
            others = body.bot and stood is not None and stood.terminal != self._keyring.own.terminal
            if others or _said(stood) != body:
                await self._notes.done(await self._notes.store(self._note, bot_body(body)))
            for one in list(self._book.rows):
                if not self._is_blocked(one):
                    await self._tell(one, body)

    async def own(self, person: bytes | None = None) -> BotView:
        """What this person declares to a contact, or to all. Raises a storage failure."""
        stood = await self._store.read(self._own, self._keyring.own.person if person is None else person)
        body = _said(stood) or NO_BOT
        return BotView(body.bot, tuple(BotCommand(one.name, one.description) for one in body.commands))

    async def settle(self) -> None:
        """Declare the same to contacts to whom this person has declared nothing, where this terminal does it.

        It is the terminal that declared, and the most senior one where that is live no more.

        Raises a storage failure.
        """
        async with self._declaring:
            stood = await self._store.read(self._noted)
            body = _said(stood)
            if stood is None or body is None or not body.bot or self._keyring.is_removed:
                return
            if not self._repeats(stood.terminal):
                return
            for person in list(self._book.rows):
                if not self._is_blocked(person) and await self._store.read(self._own, person) is None:
                    await self._tell(person, body)

    def _repeats(self, declared: bytes) -> bool:
        """Whether this terminal repeats to later contacts what a terminal of this person declared."""
        own, live = self._keyring.own.terminal, self._keyring.own_log.live
        return own == (declared if declared in live else next(iter(live), b""))

    async def _tell(self, person: bytes, body: BotBody) -> None:
        """Declare something to a contact, unless it says so already."""
        stood = await self._store.read(self._own, person)
        if person in self._book.rows and _said(stood) != body:
            await self._messages.declare(person, bot_body(body))

    def _is_blocked(self, person: bytes) -> bool:
        """Whether nothing goes to a contact, which may have been removed meanwhile."""
        row = self._book.rows.get(person)
        return row is None or row.blocked

    def _own(self, database: Database, person: bytes) -> bots.Declared | None:
        return bots.own(database, conversation_of(self._keyring.own.person, person))

    def _noted(self, database: Database) -> bots.Declared | None:
        return self._own(database, self._keyring.own.person)

    def _note(self, database: Database, body: bytes) -> Written:
        ensure(database, self._keyring.own.person)
        return Written((self._notes.commit(database, KIND_BOT, body),), Followed())


def _said(stood: bots.Declared | None) -> BotBody | None:
    """What contacts were told; None where that is in force no more."""
    return NO_BOT if stood is None else stood.body


def _body(commands: Collection[BotCommand]) -> BotBody:
    """The declaration of these commands, in any order. Raises UsageError."""
    body = BotBody(True, sorted((Command(one.name, one.description) for one in commands), key=_name))
    try:
        return read_bot(bot_body(body))
    except (LocalMisuse, UnicodeEncodeError):
        raise UsageError(BAD_COMMANDS) from None


def _name(command: Command) -> str:
    return command.name
