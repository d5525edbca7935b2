"""What the interface keeps for itself in the encrypted database: its own choices, drafts, muted contacts.

Rules: opaque here; names and values are bounded, nothing else is asked of them.

What is wrong with a text that should be the address of a relay, said to whoever typed or pasted it.

Rules: reading only; which part is wrong is found by reading it beside parts that are right.

The relays that this person named: kept, handed to the network at each change, shown as they stand.

Rules: nothing is connected to here; only the person names a relay, by its address or by using an invitation
that has it; whoever waits at them reports how they stand.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from chat.errors import Phrase, phrase
from chat.interface import BadData, Notice, RelayChanged, RelayRemoved, RelayStanding, RelayView, UsageError
from chat.network.connection import format_address
from chat.service.state import EngineState
from chat.storage import settings
from chat.storage.database import Database
from chat.storage.settings import RelayRow
from protocol.errors import ProtocolError
from protocol.limits import RELAY_ADDRESS_MAX
from protocol.relay.rendezvous import PREFIX, RelayAddress, parse_relay

NAME: Final = re.compile(r"[a-z0-9._-]{1,96}")
VALUE_CHARACTERS_MAX: Final = 65_536

BAD_NAME = phrase("A preference's name has 1 to 96 characters of a-z, 0-9, '.', '_' and '-'.")
TOO_LONG = phrase("A preference has at most {number} characters.", number=VALUE_CHARACTERS_MAX)
NOT_TEXT = phrase("A preference contains characters that are not Unicode text.")


class Preferences:
    """The use case *preferences*."""

    def __init__(self, world: EngineState) -> None:
        self._world = world

    async def all(self) -> Mapping[str, str]:
        """Every value that is kept, by name."""
        return await self._world.store.read(settings.preferences)

    async def set(self, name: str, value: str) -> None:
        """Keep a value, or delete it where it is empty. Raises UsageError."""
        if NAME.fullmatch(name) is None:
            raise UsageError(BAD_NAME)
        if len(value) > VALUE_CHARACTERS_MAX:
            raise UsageError(TOO_LONG)
        try:
            value.encode()
        except UnicodeEncodeError:
            raise UsageError(NOT_TEXT) from None
        await self._world.store.write(settings.set_preference, name, value)


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
    """What is wrong with a text that is no relay's address, and what to do."""
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
    """The use case *relays*. `named` is told all of them at the start and after each change."""

    def __init__(self, world: EngineState) -> None:
        self._world = world
        self._standing: dict[str, RelayStanding] = {}
        self._changing = asyncio.Lock()
        self.named: Callable[[tuple[RelayAddress, ...]], None] = lambda relays: None

    def begin(self) -> None:
        """The engine starts: the network learns which there are."""
        self.named(self.addresses())

    def addresses(self) -> tuple[RelayAddress, ...]:
        """Those that this person named, in the order in which they came."""
        return tuple(relay for _, relay in self._rows())

    def to_carry(self) -> tuple[str, ...]:
        """Their addresses for an invitation, in which the first four count.

        First where this terminal waits now, then what was named by hand: there the two meet most surely.
        """
        views = sorted(self.views(), key=lambda it: (it.standing is not RelayStanding.WAITING, it.invited))
        return tuple(view.address for view in views)

    def views(self) -> tuple[RelayView, ...]:
        """All of them as they stand."""
        return tuple(self._view(row, relay) for row, relay in self._rows())

    def stands(self, relay: RelayAddress, standing: RelayStanding) -> None:
        """Whoever waits at a relay reports; of one that is named no more nothing is kept."""
        for row, named in self._rows():
            if named == relay and self._standing.get(row.address) is not standing:
                self._standing[row.address] = standing
                self._world.hub.publish(RelayChanged(self._view(row, relay)))

    async def add(self, text: str) -> RelayView:
        """Name a relay. Raises BadData, UsageError."""
        compact = "".join(text.split())  # a copied line may have been broken
        try:
            relay = parse_relay(compact)
        except ProtocolError:
            raise BadData(problem(compact)) from None
        async with self._changing:
            return await self._add(relay)

    async def _add(self, relay: RelayAddress) -> RelayView:
        rows, most = self._rows(), self._world.config.relays_most
        same = next((row for row, named in rows if named == relay), None)
        if same is not None:
            return await self._adopt(same, relay) if same.invited else self._view(same, relay)
        before = [row for row, named in rows if (named.host, named.port) == (relay.host, relay.port)]
        if len(rows) - len(before) >= most:
            raise UsageError(_too_many(most))
        row = RelayRow(str(relay), False, self._world.clock.wall())
        await self._change(before, [row])
        return self._view(row, relay)

    async def _adopt(self, row: RelayRow, relay: RelayAddress) -> RelayView:
        """What an invitation brought is named by hand now; how it stands stays as it is."""
        mine = replace(row, invited=False)
        await self._world.store.write(settings.set_relay_invited, row.address, False)
        self._world.relays = tuple(mine if one == row else one for one in self._world.relays)
        view = self._view(mine, relay)
        self._world.hub.publish(RelayChanged(view))
        return view

    async def remove(self, address: str) -> None:
        """Use a relay no more. Raises UsageError."""
        async with self._changing:
            rows = [row for row in self._world.relays if row.address == "".join(address.split())]
            if not rows:
                raise UsageError(NOT_NAMED)
            await self._change(rows, [])

    async def learn(self, given: Iterable[RelayAddress]) -> None:
        """Name the relays of an invitation that was used, as far as there is room, and say so."""
        async with self._changing:
            named = self.addresses()
            fresh = [relay for relay in given if relay not in named]
            room = max(0, self._world.config.relays_most - len(named))
            if came := fresh[:room]:
                now = self._world.clock.wall()
                await self._change([], [RelayRow(str(relay), True, now) for relay in came])
                self._world.hub.publish(Notice(_came(came)))
            if left := fresh[room:]:
                self._world.hub.publish(Notice(_no_room(left, len(named) + len(came))))

    async def _change(self, gone: list[RelayRow], new: list[RelayRow]) -> None:
        """On the disk first, then in memory, then at the network and the clients."""
        await self._world.store.write(_replace, gone, new)
        self._world.relays = (*(row for row in self._world.relays if row not in gone), *new)
        for row in gone:
            self._standing.pop(row.address, None)
            self._world.hub.publish(RelayRemoved(row.address))
        for row in new:
            self._world.hub.publish(RelayChanged(self._view(row, parse_relay(row.address))))
        self.named(self.addresses())

    def _rows(self) -> list[tuple[RelayRow, RelayAddress]]:
        """What is kept, but for forms of a later version."""
        read = [(row, _read(row.address)) for row in self._world.relays]
        return [(row, relay) for row, relay in read if relay is not None]

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


def _read(address: str) -> RelayAddress | None:
    try:
        return parse_relay(address)
    except ProtocolError:
        return None


def _replace(database: Database, gone: list[RelayRow], new: list[RelayRow]) -> None:
    for row in gone:
        settings.remove_relay(database, row.address)
    for row in new:
        settings.add_relay(database, row)
