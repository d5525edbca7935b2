"""The use case *clients*: programs that follow conversations by name, and what each of them may do."""

from __future__ import annotations

import hashlib
import re
from base64 import b32encode
from typing import Final

from chat.errors import phrase
from chat.interface import (
    AlertKind,
    ArrivalsView,
    ArrivalView,
    ClientChanged,
    ClientRights,
    ClientView,
    NotPermitted,
    TokenView,
    UsageError,
)
from chat.service.events import EventBus
from chat.service.views import Views, utc
from chat.storage import alerts, clients, receipts
from chat.storage import contacts as stored_contacts
from chat.storage.clients import ArrivalRow, ClientRow
from chat.storage.database import Database, Store
from chat.storage.receipts import ReceiptRow
from chat.tasks import Runtime

NAME: Final = re.compile(r"[a-z0-9._-]{1,64}")
TOKEN_BYTES: Final = 20
"""160 bits, which nobody guesses, in 32 letters."""

TURN_BYTES: Final = 8
"""Of this person's own programs, none guesses that of another one by accident."""

PAGE_MAX: Final = 1_000
"""Entries that one call looks at."""

BAD_NAME = phrase("A program's name has 1 to 64 characters of a-z, 0-9, '.', '_' and '-'.")
TOO_MANY = phrase(
    "{number} programs are known here: forget one that is not used any more.", number=clients.CLIENTS_MAX
)
THERE_IS = phrase("There is a program of this name: forget it first, or choose another name.")
NO_CLIENT = phrase("No program of this name is known here: see 'parlour api list'.")
NO_TOKEN = phrase("This token is not known here: it was revoked, or belongs to another profile.")
TURN_LOST = phrase("Another program goes on under this name: give each program a name of its own.")
NOT_GIVEN = phrase("This position was acknowledged before, or nothing has it yet.")


class Clients:
    """Clients are this person's own programs: they fill what is stored of them."""

    def __init__(self, runtime: Runtime, store: Store, bus: EventBus, views: Views) -> None:
        self._runtime, self._store, self._bus, self._views = runtime, store, bus, views
        self._turns = dict[str, str]()  # by name; at most as many as there are clients

    async def views(self) -> tuple[ClientView, ...]:
        rows, last = await self._store.read(lambda db: (clients.all_clients(db), clients.last(db)))
        return tuple(_view(row, last) for row in rows)

    async def follow(self, name: str) -> ClientView:
        """The client of this name, made where there is none. Raises UsageError."""
        found = await self._store.read(_known, _checked(name))
        if found is None:
            found = await self._store.write(self._make, name, ClientRights.ALL, None, None)
        return _view(*found)

    async def permit(self, name: str, rights: ClientRights, contact: bytes | None) -> TokenView:
        """Make a client that has to present a token. Raises UsageError."""
        token = b32encode(self._runtime.random(TOKEN_BYTES)).decode().lower()
        made = await self._store.write(self._make, _checked(name), rights, _hash(token), contact)
        return TokenView(_view(*made), token)

    def _make(
        self, db: Database, name: str, rights: ClientRights, token: bytes | None, contact: bytes | None
    ) -> tuple[ClientRow, int]:
        if (found := clients.named(db, name)) is not None:
            if token is None:
                return found, clients.last(db)  # another call made it meanwhile
            raise UsageError(THERE_IS)
        last = clients.last(db)
        row = ClientRow(name, last, rights.value, token, contact, self._runtime.clock.wall())
        if not clients.add(db, row):
            raise UsageError(TOO_MANY)
        return row, last

    async def presenting(self, token: str) -> ClientView:
        """The client of a token. Raises NotPermitted."""
        found, last = await self._store.read(
            lambda db: (clients.presenting(db, _hash(token)), clients.last(db))
        )
        if found is None:
            raise NotPermitted(NO_TOKEN)
        return _view(found, last)

    async def forget(self, name: str) -> None:
        """Raises UsageError where there is no such client."""
        if not await self._store.free(clients.remove, name):
            raise UsageError(NO_CLIENT)
        self._turns.pop(name, None)
        self._bus.publish(ClientChanged(name))

    async def take_turn(self, name: str) -> str:
        """A program begins to follow by this name, and another one that did has lost its turn.

        Two at once would each acknowledge what the other one has not acted on. The later one goes on, so that
        one which was restarted need not wait for the end of one that hangs. Raises UsageError.
        """
        await self._store.read(_existing, name)
        self._turns[name] = self._runtime.random(TURN_BYTES).hex()
        self._bus.publish(ClientChanged(name))
        return self._turns[name]

    def _check_turn(self, name: str, turn: str) -> None:
        if turn and self._turns.get(name) != turn:
            raise NotPermitted(TURN_LOST)

    async def arrivals(self, name: str, after: int, limit: int, turn: str) -> ArrivalsView:
        """What came or changed after a position. Raises UsageError, NotPermitted."""
        self._check_turn(name, turn)
        limit = max(1, min(limit, PAGE_MAX))
        client, found, position = await self._store.read(_arrivals, name, after, limit)
        return ArrivalsView(
            tuple(
                ArrivalView(row.position, row.came, self._views.entry(person, row.entry, known))
                for person, row, known in found
                if client.contact in (None, person)
            ),
            position,
        )

    async def acknowledge(self, name: str, position: int, turn: str) -> None:
        """Raises UsageError where there is no such client, or nothing has this position yet, NotPermitted."""
        self._check_turn(name, turn)
        await self._store.write(_acknowledge, name, position)


def _checked(name: str) -> str:
    if NAME.fullmatch(name) is None:
        raise UsageError(BAD_NAME)
    return name


def _hash(token: str) -> bytes:
    """Of a random token nothing slower is needed: nobody goes through 2^160 of them."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _view(row: ClientRow, last: int) -> ClientView:
    contact = row.contact.hex() if row.contact is not None else ""
    return ClientView(
        row.name,
        row.acknowledged,
        last,
        utc(row.since),
        row.token is not None,
        ClientRights(row.rights),
        contact,
    )


def _known(db: Database, name: str) -> tuple[ClientRow, int] | None:
    found = clients.named(db, name)
    return None if found is None else (found, clients.last(db))


def _existing(db: Database, name: str) -> ClientRow:
    found = clients.named(db, name)
    if found is None:
        raise UsageError(NO_CLIENT)
    return found


def _arrivals(
    db: Database, name: str, after: int, limit: int
) -> tuple[ClientRow, list[tuple[bytes, ArrivalRow, list[ReceiptRow]]], int]:
    client = _existing(db, name)
    if not client.acknowledged <= after <= clients.last(db):
        raise UsageError(NOT_GIVEN)
    if alerts.is_raised(db, AlertKind.OLD_COPY):
        return client, [], after  # it would act again on what the newer copy has acted on
    rows, position = clients.arrivals(db, after, limit)
    talks = stored_contacts.conversations(db)
    persons = {talk.id: stored_contacts.partner(db, talk) for talk in talks}
    known = receipts.of_rows(db, [row.entry for row in rows])
    found = [
        (person, row, known.get(row.entry.id, []))
        for row in rows
        if (person := persons.get(row.entry.conversation)) is not None
    ]
    return client, found, position


def _acknowledge(db: Database, name: str, position: int) -> None:
    _existing(db, name)
    if position > clients.last(db):
        raise UsageError(NOT_GIVEN)
    clients.acknowledge(db, name, position)
