"""What a user sets: privacy, the preferences of the interfaces, and relays."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from msgspec.structs import replace

from chat.errors import Phrase, phrase
from chat.interface import (
    FILES,
    WORDS_READ,
    BadData,
    Notice,
    RelayChanged,
    RelayRemoved,
    RelayStanding,
    RelayView,
    SettingsView,
    UsageError,
)
from chat.network.connection import format_address
from chat.network.relay.client import RelayStands
from chat.service.events import EventBus, FilesBounded, RelaysNamed
from chat.service.notes import Notes, Written
from chat.storage import settings
from chat.storage.database import Database, Store
from chat.storage.settings import RelayRow, Settings
from chat.tasks import Runtime
from protocol.errors import ProtocolError
from protocol.limits import RELAY_ADDRESS_MAX
from protocol.messages import SharedRelay, SharedSetting, StateWrite
from protocol.notes import Register, write
from protocol.pairing.comparison import offering
from protocol.relay.rendezvous import PREFIX, RelayAddress, parse_relay


class Privacy:
    """The use case *settings*: what contacts may learn about this user, from all its terminals."""

    def __init__(self, store: Store, stored: Settings, notes: Notes) -> None:
        self._store, self._notes = store, notes
        self.settings = SettingsView(stored.read_receipts, stored.typing)

    async def change(self, settings_now: SettingsView) -> None:
        row = Settings(settings_now.read_receipts, settings_now.typing)

        def store(database: Database) -> Written:
            before = settings.load(database)
            settings.save(database, row)
            # What this person left alone may be changed on another device meanwhile.
            changed = [one for one in settings.shared(database) if one[0] in settings.changed(before, row)]
            return self._notes.write(database, *([[_setting(*one) for one in changed]] if changed else []))

        written = await self._notes.store(store)
        self.settings = settings_now
        await self._notes.done(written)

    async def reload(self) -> None:
        """Another terminal of this person changed them."""
        stored = await self._store.read(settings.load)
        self.settings = SettingsView(stored.read_receipts, stored.typing)


def _setting(name: str, value: str) -> StateWrite:
    return write(Register.SETTING, name.encode(), SharedSetting(name, value))


def _relay(row: RelayRow) -> StateWrite:
    shared = SharedRelay(row.address, row.invited, row.since)
    return write(Register.RELAY, row.address.encode(), shared)


NAME: Final = re.compile(r"[a-z0-9._-]{1,96}")
VALUE_CHARACTERS_MAX: Final = 65_536

BAD_NAME = phrase("A preference's name has 1 to 96 characters of a-z, 0-9, '.', '_' and '-'.")
TOO_LONG = phrase("A preference has at most {number} characters.", number=VALUE_CHARACTERS_MAX)
NOT_TEXT = phrase("A preference contains characters that are not Unicode text.")


class Preferences:
    """The use case *preferences*: named texts that the interfaces store for themselves.

    `words`: the language of pairing words that this person reads, empty for English.
    """

    def __init__(self, store: Store, bus: EventBus, words: str) -> None:
        self._store, self._bus, self._words = store, bus, words

    def offered(self) -> tuple[int, ...]:
        """The features that a pairing by words names (SPEC §7.4); none for an unknown language."""
        return offering(self._words)

    async def all(self) -> Mapping[str, str]:
        return await self._store.read(settings.preferences)

    async def set(self, name: str, value: str) -> None:
        """Store a value, or delete it if it is empty. Raises UsageError."""
        if NAME.fullmatch(name) is None:
            raise UsageError(BAD_NAME)
        if len(value) > VALUE_CHARACTERS_MAX:
            raise UsageError(TOO_LONG)
        try:
            value.encode()
        except UnicodeEncodeError:
            raise UsageError(NOT_TEXT) from None
        await self._store.free(settings.set_preference, name, value)
        if name.startswith(FILES):
            self._bus.signal(FilesBounded())
        if name == WORDS_READ:
            self._words = value


_PLACE: Final = re.compile(r"(\S+|\[\S+\]):[0-9]+")
_HOST: Final = "127.0.0.1"

NOT_ONE = phrase(
    "This is not a relay address: copy the whole line that 'parlour relay' prints, from parlour-relay: on."
)
NO_KEY = phrase(
    "The relay's key is missing: copy the whole address that 'parlour relay' prints, with # and the key at "
    "its end."
)
BAD_KEY = phrase("The key in this relay address (after #) is damaged: copy the whole address again.")
BAD_PORT = phrase("The port in this relay address is not between 1 and 65535: copy the whole address again.")
BAD_HOST = phrase(
    "The host in this relay address is neither an IP address nor a lowercase name: copy the whole address "
    "again."
)
ADDRESS_TOO_LONG = phrase("A relay address has at most {number} characters.", number=RELAY_ADDRESS_MAX)


def problem(text: str) -> Phrase:
    """Which part of a text makes it no relay's address, found by combining the others with correct ones."""
    if len(text) > RELAY_ADDRESS_MAX:
        return ADDRESS_TOO_LONG
    if not text.startswith(PREFIX):
        return NO_KEY if _PLACE.fullmatch(text) else NOT_ONE
    place, mark, key = text.removeprefix(PREFIX).partition("#")
    if not mark or not key:
        return NO_KEY
    if not _reads(f"{PREFIX}{_HOST}:1#{key}"):
        return BAD_KEY
    port = place.rpartition(":")[2]
    return BAD_HOST if _reads(f"{PREFIX}{_HOST}:{port}#{key}") else BAD_PORT


def _reads(text: str) -> bool:
    try:
        parse_relay(text)
    except ProtocolError:
        return False
    return True


NOT_NAMED = phrase("No such relay: 'parlour relays list' shows your relays.")


class Relays:
    """The use case *relays*. Only the user names a relay: by its address, or with an invitation."""

    def __init__(
        self, runtime: Runtime, store: Store, bus: EventBus, rows: tuple[RelayRow, ...], notes: Notes
    ) -> None:
        self._notes = notes
        self._clock = runtime.clock
        self._most = runtime.config.relays_most
        self._store = store
        self._bus = bus
        self._stored = rows
        self._standing: dict[str, RelayStanding] = {}
        self._changing = asyncio.Lock()

    def begin(self) -> None:
        self._bus.signal(RelaysNamed(self.addresses()))

    def addresses(self) -> tuple[RelayAddress, ...]:
        """All named relays, oldest first."""
        return tuple(relay for _, relay in self._rows())

    def to_carry(self) -> tuple[str, ...]:
        """The addresses for an invitation, which carries the first four."""
        # Where this terminal waits now, and what was named by hand, the two meet most surely.
        views = sorted(self.views(), key=lambda it: (it.standing is not RelayStanding.WAITING, it.invited))
        return tuple(view.address for view in views)

    def views(self) -> tuple[RelayView, ...]:
        """All named relays with their standing."""
        return tuple(self._view(row, relay) for row, relay in self._rows())

    def stands(self, change: RelayStands) -> None:
        for row, named in self._rows():
            if named == change.relay and self._standing.get(row.address) is not change.standing:
                self._standing[row.address] = change.standing
                self._bus.publish(RelayChanged(self._view(row, named)))

    async def add(self, text: str) -> RelayView:
        """Name a relay. Raises BadData, UsageError."""
        compact = "".join(text.split())  # a copied line may have been broken
        try:
            relay = parse_relay(compact)
        except ProtocolError:
            raise BadData(problem(compact)) from None
        async with self._changing:
            rows = self._rows()
            same = next((row for row, named in rows if named == relay), None)
            if same is not None and not same.invited:
                return self._view(same, relay)
            if same is not None:  # an invitation brought it; its standing stays
                mine = replace(same, invited=False)

                def store(database: Database) -> Written:
                    settings.set_relay_invited(database, mine.address, False)
                    return self._notes.write(database, [_relay(mine)])

                written = await self._notes.store(store)
                self._stored = tuple(mine if one == same else one for one in self._stored)
                await self._notes.done(written)
                view = self._view(mine, relay)
                self._bus.publish(RelayChanged(view))
                return view
            before = [row for row, named in rows if (named.host, named.port) == (relay.host, relay.port)]
            if len(rows) - len(before) >= self._most:
                raise UsageError(_too_many(self._most))
            new = RelayRow(str(relay), False, self._clock.wall())
            await self._change(before, [new])
            return self._view(new, relay)

    async def remove(self, address: str) -> None:
        """Stop using a relay. Raises UsageError."""
        async with self._changing:
            rows = [row for row in self._stored if row.address == "".join(address.split())]
            if not rows:
                raise UsageError(NOT_NAMED)
            await self._change(rows, [])

    async def learn(self, given: Iterable[RelayAddress]) -> None:
        """Name the relays of an invitation that was used, as far as there is room, and publish it."""
        async with self._changing:
            named = self.addresses()
            fresh = [relay for relay in given if relay not in named]
            room = max(0, self._most - len(named))
            if came := fresh[:room]:
                now = self._clock.wall()
                await self._change([], [RelayRow(str(relay), True, now) for relay in came])
                self._bus.publish(Notice(_came(came)))
            if left := fresh[room:]:
                self._bus.publish(Notice(_no_room(left, len(named) + len(came))))

    async def _change(self, gone: list[RelayRow], new: list[RelayRow]) -> None:
        def replace_rows(database: Database) -> Written:
            for row in gone:
                settings.remove_relay(database, row.address)
            for row in new:
                settings.add_relay(database, row)
            taken = [write(Register.RELAY, row.address.encode()) for row in gone]
            return self._notes.write(database, [*taken, *map(_relay, new)])

        written = await self._notes.store(replace_rows)
        self._follow((*(row for row in self._stored if row not in gone), *new))
        await self._notes.done(written)

    async def reload(self) -> None:
        """Another terminal of this person changed them."""
        async with self._changing:
            self._follow(tuple(await self._store.read(settings.all_relays)))

    def _follow(self, rows: tuple[RelayRow, ...]) -> None:
        """Use these relays from now on, and publish what is another one than before."""
        gone = [row for row in self._stored if row.address not in {one.address for one in rows}]
        new = [row for row in rows if row not in self._stored]
        self._stored = rows
        for row in gone:
            self._standing.pop(row.address, None)
            self._bus.publish(RelayRemoved(row.address))
        for row in new:
            with suppress(ProtocolError):  # a form of a later version
                self._bus.publish(RelayChanged(self._view(row, parse_relay(row.address))))
        self.begin()

    def _rows(self) -> list[tuple[RelayRow, RelayAddress]]:
        """The stored relays, without forms of a later version."""
        read: list[tuple[RelayRow, RelayAddress]] = []
        for row in self._stored:
            with suppress(ProtocolError):
                read.append((row, parse_relay(row.address)))
        return read

    def _view(self, row: RelayRow, relay: RelayAddress) -> RelayView:
        standing = self._standing.get(row.address, RelayStanding.UNKNOWN)
        return RelayView(row.address, relay.host, relay.port, standing, row.invited)


def _too_many(number: int) -> Phrase:
    return phrase(
        "You already have {number} relays: remove one (parlour relays remove ADDRESS), then add this one.",
        number=number,
    )


def _came(relays: Sequence[RelayAddress]) -> Phrase:
    if len(relays) == 1:
        return phrase(
            "The invitation added the relay {relay}: contacts can reach you through it. To remove it: "
            "parlour relays remove {relay}",
            relay=_places(relays),
        )
    return phrase(
        "The invitation added {number} relays: contacts can reach you through them ({relays}). To remove "
        "one: parlour relays remove HOST:PORT",
        number=len(relays),
        relays=_places(relays),
    )


def _no_room(relays: Sequence[RelayAddress], number: int) -> Phrase:
    return phrase(
        "You already have {number} relays, so some relays of the invitation were not added: {relays}. Remove "
        "others (parlour relays remove ADDRESS), then use an invitation again.",
        number=number,
        relays=_places(relays),
    )


def _places(relays: Iterable[RelayAddress]) -> str:
    return ", ".join(format_address(relay.host, relay.port) for relay in relays)
