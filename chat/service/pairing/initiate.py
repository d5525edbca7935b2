"""Pairings that this side begins: nearby, by address, or with an invitation (SPEC §7.4, §7.5)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

from msgspec import Struct

from chat.errors import NO_ANSWER, NOT_PARLOUR, NOT_WELCOME, OTHER_VERSION, Phrase, phrase
from chat.interface import BadData, PairingView, ParlourError, Unreachable, UsageError
from chat.network.connection import format_address, parse
from chat.network.driver import Driver, Handler, Opening, Result
from chat.network.relay.client import RelayClient
from chat.ports import Connection, Transport
from chat.service.discovery import Announcer
from chat.service.keyring import Address, Keyring
from chat.service.pairing.session import ActivePairing, PairingService
from chat.service.settings import Preferences, Relays
from chat.tasks import Runtime
from protocol.addresses import is_local
from protocol.errors import ProtocolError, Unexpected
from protocol.keys import X25519Pair
from protocol.link.framing import Pattern
from protocol.link.handshake import Initiator
from protocol.link.link import Link
from protocol.link.states import LinkOpen, NotParlour, VersionRefused
from protocol.pairing.invitation import Invitation, parse_invitation
from protocol.pairing.pairing import Pairing
from protocol.relay.rendezvous import RelayAddress, invitation_token, relays_among

AGAIN = 0.5
"""Seconds after which an inviter who was not at a relay is dialled there again, within the dial timeout."""

Plan = tuple[Initiator, Callable[[LinkOpen], Awaitable[Pairing]]]
NOT_NEARBY = phrase("This person is no longer visible: ask them to become visible again.")
NOT_LOCAL = phrase("Parlour connects only to addresses of the local network: check the address.")
DAMAGED = phrase("Invitation incomplete: copy all of it, beginning with PARLOUR:.")
EXPIRED = phrase("This invitation has expired: ask for a new one.")
OWN = phrase("This is your own invitation: the other person has to use it.")
PROBLEMS: dict[type, Phrase] = {VersionRefused: OTHER_VERSION, NotParlour: NOT_PARLOUR}


class _OpenConnection(Struct, frozen=True):
    """A connection to what may be the other side, and its known or possible addresses.

    `more`: another attempt that makes sense if this one fails.
    """

    connection: Connection
    places: tuple[Address, ...]
    more: Callable[[], Attempt] | None = None


Attempt = Coroutine[Any, Any, _OpenConnection | None]


class Initiate:
    """The use cases that begin a pairing, with one link per user action.

    `unanswered`: the addresses of the last invitation, if none answered.
    """

    def __init__(
        self,
        runtime: Runtime,
        keyring: Keyring,
        pairings: PairingService,
        announcer: Announcer,
        relays: Relays,
        relay_client: RelayClient,
        transport: Transport,
        preferences: Preferences,
    ) -> None:
        self._runtime, self._keyring, self._pairings = runtime, keyring, pairings
        self._announcer, self._relays, self._relay_client = announcer, relays, relay_client
        self._transport, self._preferences = transport, preferences
        self._statics: dict[bytes, X25519Pair] = {}
        self.unanswered: tuple[Address, ...] = ()

    async def nearby(self, instance: str) -> PairingView:
        """Dial a visible stranger. Raises Unreachable, Unconfirmed."""
        await self._pairings.check_own()
        found = self._announcer.places(instance)
        if found is None:
            raise Unreachable(NOT_NEARBY)
        name, places = found
        return await self._begin(name, [self._connect(place) for place in places], self._by_words, places)

    async def address(self, host: str, port: int) -> PairingView:
        """Dial an address. Raises UsageError (not local), Unreachable, Unconfirmed."""
        if not is_local(host):
            raise UsageError(NOT_LOCAL)
        await self._pairings.check_own()
        place = (host, port)
        return await self._begin(format_address(*place), [self._connect(place)], self._by_words, [place])

    async def join(self, text: str) -> PairingView:
        """Use an invitation. Raises BadData, Unreachable, Unconfirmed."""
        try:
            invitation = parse_invitation(text)
            places = [parse(address) for address in invitation.addresses]
            relays = relays_among(invitation.relays)
        except Unexpected:  # a later version, which only updating helps
            raise BadData(OTHER_VERSION) from None
        except (ProtocolError, ValueError):
            raise BadData(DAMAGED) from None
        if invitation.expired(self._runtime.clock.wall() // 1000):
            raise BadData(EXPIRED)
        own = self._keyring.invitations.values()
        if any(opened.invitation.check == invitation.check for opened in own):
            raise BadData(OWN)
        await self._pairings.check_own()
        # A second attempt uses the same key, since the first may have burned the invitation for every other.
        static = self._statics.setdefault(invitation.secret, X25519Pair.generate(self._runtime.random))
        self.unanswered = tuple(places)
        with self._relay_client.borrowed(relays):
            attempts = [self._connect(place) for place in places]
            attempts += [self._through(relay, invitation) for relay in relays]
            plan = partial(self._by_invitation, invitation, static)
            view = await self._begin("", attempts, plan, places, lambda: self._relays.learn(relays))
        self.unanswered = ()
        return view

    async def _by_words(self) -> Plan:
        identity = await self._pairings.identity()
        features = (*self._runtime.config.features, *self._preferences.offered())
        start = Initiator.pairing(Pattern.XX, random=self._runtime.random, features=features)
        return start, lambda opened: self._pairings.by_words(opened, identity)

    async def _by_invitation(self, invitation: Invitation, static: X25519Pair) -> Plan:
        identity = await self._pairings.identity()
        psk, random = invitation.psk(), self._runtime.random
        start = Initiator.pairing(
            Pattern.XXPSK0, psk, responder=invitation.one_time, static=static, random=random
        )
        return start, lambda opened: self._pairings.as_joiner(opened, identity, invitation.check)

    # One link.

    async def _begin(
        self,
        name: str,
        attempts: Sequence[Attempt],
        plan: Callable[[], Awaitable[Plan]],
        places: Sequence[Address],
        storing: Callable[[], Awaitable[None]] | None = None,
    ) -> PairingView:
        """Open a pairing link on the first connection whose other end answers as Parlour does."""
        hosts = [host for host, _ in places]
        pairing = self._pairings.new(name, incoming=False, hosts=hosts, storing=storing)
        problem: ParlourError = Unreachable(NO_ANSWER)
        try:
            async with aclosing(self._connections(attempts)) as connections:
                async for reached in connections:
                    result = await self._open(pairing, reached, *(await plan()))
                    if isinstance(result, LinkOpen):
                        return pairing.view
                    problem = Unreachable(PROBLEMS.get(type(result), NOT_WELCOME))
        except ParlourError as error:
            problem = error
        pairing.fail_with(problem.phrase)
        raise problem

    async def _connections(self, attempts: Sequence[Attempt]) -> AsyncGenerator[_OpenConnection, None]:
        """The connections of all attempts, made in parallel, in the order in which they open.

        Those that were not taken are closed at the end.
        """
        left = {self._runtime.tasks.spawn(attempt) for attempt in attempts}
        try:
            while left:
                done, _ = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
                left.discard(task := done.pop())
                if (reached := task.result()) is not None:
                    yield reached
                    if reached.more is not None:
                        left.add(self._runtime.tasks.spawn(reached.more()))
        finally:
            for task in left:
                if not task.cancel() and (unused := task.result()) is not None:
                    unused.connection.close()

    async def _connect(self, place: Address) -> _OpenConnection | None:
        try:
            connection = await self._transport.connect(*place, self._runtime.config.dial_timeout)
        except OSError:
            return None
        return _OpenConnection(connection, (place,))

    async def _through(
        self, relay: RelayAddress, invitation: Invitation, number: int = 0
    ) -> _OpenConnection | None:
        """Dial a terminal that waits at a relay on the invitation's token; it need not be the inviter's."""

        def tokens(day: int) -> list[bytes]:
            return [invitation_token(invitation, day, relay.key)]

        clock = self._runtime.clock
        until = clock.monotonic() + self._runtime.config.dial_timeout
        while (reached := await self._relay_client.dial(relay, tokens, number)) is None:
            if number or clock.monotonic() + AGAIN > until:
                return None
            await asyncio.sleep(AGAIN)  # the invitation may have been made a moment ago
        following = partial(self._through, relay, invitation, number + 1) if reached.others > number else None
        return _OpenConnection(reached.circuit, tuple(map(parse, invitation.addresses)), following)

    async def _open(
        self,
        pairing: ActivePairing,
        reached: _OpenConnection,
        start: Initiator,
        machine: Callable[[LinkOpen], Awaitable[Pairing]],
    ) -> Result:
        async def adopt(driver: Driver, opened: LinkOpen) -> Handler | None:
            pairing.places = reached.places
            return await pairing.begin(driver, await machine(opened), opened)

        opening, clock = Opening(adopt), self._runtime.clock
        link = Link(start, clock.monotonic())
        self._runtime.tasks.spawn(Driver(reached.connection, link, clock, self._runtime.beat, opening).run())
        return await opening.result
