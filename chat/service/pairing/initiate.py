"""Beginning a pairing from this side: nearby, by address, by an invitation (SPEC §7.4, §7.5).

Rules: one link a user action; whatever answers is told from Parlour, from another version of it and from
nobody, each with its own words.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any

from chat.errors import NO_ANSWER, NOT_PARLOUR, NOT_WELCOME, OTHER_VERSION, phrase
from chat.interface import BadData, PairingView, ParlourError, Unreachable, UsageError
from chat.network.connection import format_address, parse
from chat.network.driver import Driver, Handler, Opening, Result
from chat.network.relay.client import RelayClient
from chat.ports import Connection, Transport
from chat.service.pairing.session import ActivePairing, PairingService
from chat.service.state import EngineState
from protocol.addresses import is_local
from protocol.errors import ProtocolError
from protocol.keys import X25519Pair
from protocol.link.framing import Pattern
from protocol.link.handshake import Initiator
from protocol.link.link import Link
from protocol.link.states import LinkOpen, NotParlour, VersionRefused
from protocol.pairing.invitation import Invitation, parse_invitation
from protocol.pairing.pairing import Pairing
from protocol.relay.rendezvous import RelayAddress, invitation_token, relays_among

Place = tuple[str, int]
AGAIN = 0.5
"""Seconds after which an inviter who was not at a relay is looked for there again, as long as one dials."""

Plan = tuple[Initiator, Callable[[LinkOpen], Pairing]]
NOT_NEARBY = phrase("This person is no longer visible: ask them to become visible again.")
NOT_LOCAL = phrase("Parlour connects only to addresses of the local network: check the address.")
DAMAGED = phrase("Invitation incomplete: copy all of it, beginning with PARLOUR:.")
EXPIRED = phrase("This invitation has expired: ask for a new one.")
OWN = phrase("This is your own invitation: the other person has to use it.")


@dataclass(frozen=True, slots=True)
class _Way:
    """A connection to who may be the other side, and where that is or may be.

    `more`: another attempt that makes sense where this one was in vain.
    """

    connection: Connection
    places: tuple[Place, ...]
    more: Callable[[], Attempt] | None = None


Attempt = Coroutine[Any, Any, _Way | None]


class Initiate:
    """The use cases that begin a pairing.

    `where` finds a visible stranger: (name, addresses). A joiner whose connection was cut comes again with
    the same one-time static key, since the invitation is burned for every other. `unanswered`: the places of
    the last invitation, if nobody answered at any. `learn` names an invitation's relays for this person.
    """

    def __init__(
        self, world: EngineState, pairings: PairingService, transport: Transport, relaying: RelayClient
    ) -> None:
        self._world = world
        self._pairings = pairings
        self._transport = transport
        self._relaying = relaying
        self._statics: dict[bytes, X25519Pair] = {}
        self.unanswered: tuple[Place, ...] = ()
        self.where: Callable[[str], tuple[str, Sequence[Place]] | None] = lambda instance: None
        self.learn: Callable[[Iterable[RelayAddress]], Awaitable[None]] = _nothing

    async def nearby(self, instance: str) -> PairingView:
        """Dial a stranger who is visible. Raises Unreachable."""
        found = self.where(instance)
        if found is None:
            raise Unreachable(NOT_NEARBY)
        return await self._begin(found[0], self._direct(found[1]), self._by_words, hosts(found[1]))

    async def address(self, host: str, port: int) -> PairingView:
        """Dial an address. Raises UsageError (not local), Unreachable."""
        if not is_local(host):
            raise UsageError(NOT_LOCAL)
        ways = self._direct([(host, port)])
        return await self._begin(format_address(host, port), ways, self._by_words, [host])

    async def join(self, text: str) -> PairingView:
        """Use an invitation. Raises BadData, Unreachable."""
        invitation, places, relays = self._parse(text)
        static = self._statics.setdefault(invitation.secret, X25519Pair.generate(self._world.random))
        self.unanswered = tuple(places)
        with self._relaying.borrowed(relays):
            ways = [*self._direct(places), *(self._through(relay, invitation) for relay in relays)]
            plan = partial(self._by_invitation, invitation, static)
            view = await self._begin("", ways, plan, hosts(places), lambda: self.learn(relays))
        self.unanswered = ()
        return view

    def _parse(self, text: str) -> tuple[Invitation, list[Place], Sequence[RelayAddress]]:
        try:
            invitation = parse_invitation(text)
            places = [parse(address) for address in invitation.addresses]
            relays = relays_among(invitation.relays)
        except (ProtocolError, ValueError):
            raise BadData(DAMAGED) from None
        if invitation.expired(self._world.clock.wall() // 1000):
            raise BadData(EXPIRED)
        own = self._world.keyring.invitations.values()
        if any(opened.invitation.check == invitation.check for opened in own):
            raise BadData(OWN)
        return invitation, places, relays

    async def _by_words(self) -> Plan:
        identity = await self._pairings.identity()
        start = Initiator.pairing(Pattern.XX, random=self._world.random)
        return start, lambda opened: self._pairings.by_words(opened, identity)

    async def _by_invitation(self, invitation: Invitation, static: X25519Pair) -> Plan:
        identity = await self._pairings.identity()
        psk = invitation.psk()
        start = Initiator.pairing(Pattern.XXPSK0, psk, static=static, random=self._world.random)
        return start, lambda opened: self._pairings.as_joiner(opened, identity, invitation.check)

    # One link.

    async def _begin(
        self,
        name: str,
        ways: Sequence[Attempt],
        plan: Callable[[], Awaitable[Plan]],
        hosts: Sequence[str],
        storing: Callable[[], Awaitable[None]] | None = None,
    ) -> PairingView:
        """Open a pairing link on the first way on which somebody answers as Parlour does."""
        pairing = self._pairings.new(name, incoming=False, hosts=hosts)
        pairing.storing = storing or pairing.storing
        problem: ParlourError = Unreachable(NO_ANSWER)
        async with aclosing(self._connections(ways)) as connections:
            async for way in connections:
                result = await self._open(pairing, way, *(await plan()))
                if isinstance(result, LinkOpen):
                    return pairing.view
                problem = _problem(result)
        pairing.fail_with(problem.phrase)
        raise problem

    async def _connections(self, ways: Sequence[Attempt]) -> AsyncGenerator[_Way, None]:
        """Connections on all ways, tried in parallel, in the order in which they come.

        Those that nobody took are closed at the end.
        """
        left = {self._world.tasks.spawn(way) for way in ways}
        try:
            while left:
                done, _ = await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
                left.discard(task := done.pop())
                if (way := task.result()) is not None:
                    yield way
                    if way.more is not None:
                        left.add(self._world.tasks.spawn(way.more()))
        finally:
            for task in left:
                if not task.cancel() and (unused := task.result()) is not None:
                    unused.connection.close()

    def _direct(self, places: Sequence[Place]) -> list[Attempt]:
        return [self._connect(place) for place in places]

    async def _connect(self, place: Place) -> _Way | None:
        try:
            return _Way(await self._transport.connect(*place, self._world.config.dial_timeout), (place,))
        except OSError:
            return None

    async def _through(self, relay: RelayAddress, invitation: Invitation, number: int = 0) -> _Way | None:
        """Dial who waits at a relay on the invitation's token; not all who do need to be the inviter."""

        def tokens(day: int) -> list[bytes]:
            return [invitation_token(invitation, day, relay.key)]

        until = self._world.clock.monotonic() + self._world.config.dial_timeout
        while (reached := await self._relaying.dial(relay, tokens, number)) is None:
            if number or self._world.clock.monotonic() + AGAIN > until:
                return None
            await asyncio.sleep(AGAIN)  # the inviter may have made it a moment ago
        following = partial(self._through, relay, invitation, number + 1) if reached.others > number else None
        return _Way(reached.circuit, tuple(map(parse, invitation.addresses)), following)

    async def _open(
        self,
        pairing: ActivePairing,
        way: _Way,
        start: Initiator,
        machine: Callable[[LinkOpen], Pairing],
    ) -> Result:
        async def adopt(driver: Driver, opened: LinkOpen) -> Handler | None:
            pairing.places = way.places
            return await pairing.begin(driver, machine(opened), opened)

        opening = Opening(adopt)
        link = Link(start, self._world.clock.monotonic())
        self._world.tasks.spawn(Driver(way.connection, link, self._world.clock, opening).run())
        return await opening.result


def hosts(places: Sequence[Place]) -> list[str]:
    """The hosts of places."""
    return [host for host, _ in places]


async def _nothing(relays: Iterable[RelayAddress]) -> None:
    """Nobody keeps an invitation's relays."""


def _problem(result: Result) -> ParlourError:
    if isinstance(result, VersionRefused):
        return Unreachable(OTHER_VERSION)
    if isinstance(result, NotParlour):
        return Unreachable(NOT_PARLOUR)
    return Unreachable(NOT_WELCOME)
