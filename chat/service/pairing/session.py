"""Pairing: nearby by words, by address, by invitation (SPEC §7.4 and §7.5).

Rules: the steps are protocol.pairing.pairing's; here they meet links, the disk and the person. A contact
is stored
before Accept leaves; whatever goes wrong before that leaves nothing behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace

from chat.errors import CUT, NOTHING_SAID, PROBLEM, REFUSED, WRONG_KEYS, Phrase, phrase
from chat.interface import PairingChanged, PairingStage, PairingView, UsageError
from chat.network.driver import Driver, Handler
from chat.service.person_logs import PendingContacts
from chat.service.state import EngineState
from chat.storage import persons
from protocol.link.framing import Pattern
from protocol.link.states import Ending, Event, LinkClosed, LinkOpen, MessageReceived, PairingFacts
from protocol.messages import Close
from protocol.pairing.contact_secret import new_share
from protocol.pairing.pairing import (
    Completed,
    JoinerKnown,
    Pairing,
    PairingEvent,
    PairingFailed,
    PendingReady,
    Step,
    WordsReady,
)
from protocol.pairing.record import Identity, PendingContact

NOT_WAITING = phrase("This pairing no longer waits for an answer.")
REFUSED_HERE = phrase("You declined. Nothing was stored.")
SUPERSEDED = NOTHING_SAID
REPLACED = 1
NO_PAIRING = phrase("This pairing no longer exists: start again.")
TIMED_OUT = phrase("No answer in time: start again when both of you are online.")
PROBLEMS = {"authentication": WRONG_KEYS, "refused": REFUSED, "cut": CUT}


class ActivePairing:
    """One pairing, from the person's wish to its end; its link comes with `begin`."""

    def __init__(self, service: PairingService, view: PairingView) -> None:
        self.view = view
        self.places: tuple[tuple[str, int], ...] = ()
        """Where the other side was reached, or through a relay, where it may be; most likely first."""
        self.hosts: frozenset[str] = frozenset()
        """Addresses of the other side's host, as far as they are known."""
        self.storing: Callable[[], Awaitable[None]] = _nothing
        """What is kept before the contact is, since a later link with it may need it."""
        self.completed: Callable[[bytes], None] = lambda person: None
        self.failed: Callable[[], None] = lambda: None
        self._service = service
        self._steps: _Steps | None = None

    @property
    def over(self) -> bool:
        return self.view.stage in (PairingStage.DONE, PairingStage.FAILED)

    async def begin(self, driver: Driver, machine: Pairing, opened: LinkOpen) -> Handler | None:
        """The link is open: take the first step. Returns the handler of what follows.

        None when both persons began at once and the other one's link goes on (SPEC §7.4).
        """
        self._steps = _Steps(self, self._service, driver, machine, _facts(opened).handshake_hash)
        self.hosts |= {_without_scope(driver.connection.peer)}
        if opened.pattern is Pattern.XX and await self._service.settle_rivals(self):
            return None
        await self._steps.begin()
        if opened.pattern is Pattern.XXPSK0 and not self.view.incoming:
            self.move(stage=PairingStage.WAITING)  # for the inviter, who is asked who this is
        return self._steps

    def rivals(self, other: ActivePairing) -> bool:
        """Whether these are two attempts of the same two hosts, one from each side.

        The two links may use different addresses of one host.
        """
        if self._steps is None or other._steps is None or self.view.incoming == other.view.incoming:
            return False
        return not self.hosts.isdisjoint(other.hosts) and not self.over and not other.over

    def precedes(self, other: ActivePairing) -> bool:
        """Of two rivals the one with the lower handshake hash goes on; both sides see the same."""
        assert self._steps is not None, "rivals have links"
        assert other._steps is not None, "rivals have links"
        return self._steps.handshake_hash < other._steps.handshake_hash

    async def give_way(self) -> None:
        """The rival goes on: end without a word."""
        assert self._steps is not None, "rivals have links"
        self.fail_with(SUPERSEDED)
        await self._steps.close(REPLACED)

    async def answer(self, accept: bool) -> None:
        """This person says whether the words are the same, or the joiner is the right one."""
        if self._steps is None or not self._steps.awaits_person:
            raise UsageError(NOT_WAITING)
        await self._steps.answer(accept)

    async def give_up(self, problem: Phrase) -> None:
        """End it from this side."""
        if self._steps is not None:
            await self._steps.refuse()
        self.fail_with(problem)

    def move(self, **changed: object) -> None:
        """Move on and tell the clients."""
        self.view = replace(self.view, **changed)  # type: ignore[arg-type]
        self._service.tell(self)

    def fail(self, cause: str) -> None:
        self.fail_with(PROBLEMS.get(cause, PROBLEM))

    def fail_with(self, problem: Phrase) -> None:
        if not self.over:
            self.move(stage=PairingStage.FAILED, problem=problem)
            self.failed()


class _Steps:
    """A pairing on its link: the link's events go into the machine, its steps come out."""

    def __init__(
        self,
        pairing: ActivePairing,
        service: PairingService,
        driver: Driver,
        machine: Pairing,
        handshake_hash: bytes,
    ) -> None:
        self.handshake_hash = handshake_hash
        self._pairing = pairing
        self._service = service
        self._driver = driver
        self._machine = machine

    @property
    def awaits_person(self) -> bool:
        return self._machine.awaits_person

    async def begin(self) -> None:
        await self._take(self._machine.start())

    async def on_events(self, driver: Driver, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, MessageReceived):
                await self._take(self._machine.receive(event.message))
            elif isinstance(event, LinkClosed):
                await self._ended(event)

    async def _ended(self, event: LinkClosed) -> None:
        # A pairing that is complete may still be at the disk: the other side closes as soon as it has it.
        if not self._pairing.over and not self._machine.finished:
            if event.reason is Ending.REPLACED:
                self._pairing.fail_with(SUPERSEDED)
            elif event.reason is Ending.REFUSED:
                self._pairing.fail("refused")
            elif event.error_class is not None:
                self._pairing.fail(event.error_class)
            else:
                self._pairing.fail("cut")
        await self._take(self._machine.link_closed())

    async def answer(self, accept: bool) -> None:
        if accept:
            self._pairing.move(stage=PairingStage.WAITING)
            await self._take(self._machine.confirm())
        else:
            await self._take(self._machine.refuse())
            self._pairing.fail_with(REFUSED_HERE)

    async def close(self, reason: int) -> None:
        await self._driver.close(reason)

    async def refuse(self) -> None:
        if not self._machine.finished:
            await self._take(self._machine.refuse())

    async def _take(self, step: Step) -> None:
        for message in step.send:
            if isinstance(message, Close):
                await self._driver.close(message.reason)
            else:
                await self._driver.send(message)
        for event in step.events:
            await self._on(event)

    async def _on(self, event: PairingEvent) -> None:
        match event:
            case WordsReady(words=words, name=name):
                self._pairing.move(stage=PairingStage.WORDS, words=tuple(words), peer=name)
            case JoinerKnown(name=name):
                self._pairing.move(stage=PairingStage.JOINER, peer=name)
            case PendingReady(contact=contact):
                await self._service.store(self._pairing, contact)
                await self._take(self._machine.stored())
            case Completed(person=person):
                await self._service.complete(self._pairing, person)
                await self._driver.close(0)
            case PairingFailed(error_class=error_class):
                self._pairing.fail(error_class)


class PairingService:
    """All pairings under way."""

    def __init__(self, world: EngineState, pending: PendingContacts) -> None:
        self._world = world
        self._pending = pending
        self._active: dict[str, ActivePairing] = {}
        self.paired: Callable[[], None] = lambda: None
        self.attached: Callable[[bytes, str, int], Awaitable[None]] = _nowhere

    def new(self, peer: str, incoming: bool, hosts: Iterable[str] = ()) -> ActivePairing:
        """A pairing that begins; it ends by itself when nobody answers. `hosts`: where it is tried."""
        view = PairingView(self._world.random(8).hex(), PairingStage.CONNECTING, peer, incoming)
        pairing = ActivePairing(self, view)
        pairing.hosts = frozenset(map(_without_scope, hosts))
        self._active[view.id] = pairing
        self._world.tasks.spawn(self._watch(pairing))
        return pairing

    async def settle_rivals(self, begun: ActivePairing) -> bool:
        """Both persons may have begun: of the two attempts one ends. Whether it is the one just begun."""
        for other in [other for other in self._active.values() if begun.rivals(other)]:
            if other.precedes(begun):
                await begun.give_way()
                return True
            await other.give_way()
        return False

    async def _watch(self, pairing: ActivePairing) -> None:
        await asyncio.sleep(self._world.config.pairing_for)
        if not pairing.over:
            await pairing.give_up(TIMED_OUT)

    async def identity(self) -> Identity:
        """This person as it shows itself: the log, the terminal, a fresh share of the contact secret.

        The share's number is the time in seconds, so that a later pairing of the same two is the newer one.
        """
        own = self._world.own
        operations = tuple(await self._world.store.read(persons.operations_of, own.person))
        number = self._world.clock.wall() // 1000
        share = new_share(number, self._world.keyring.own.heads, self._world.random)
        return Identity(operations, own.terminal, own.signing_seed, share)

    async def answer(self, pairing: str, accept: bool) -> None:
        """Raises UsageError when there is no such pairing, or it waits for nobody."""
        if pairing not in self._active:
            raise UsageError(NO_PAIRING)
        await self._active[pairing].answer(accept)

    async def store(self, pairing: ActivePairing, contact: PendingContact) -> None:
        """Keep what the other side has shown, durably, before Accept leaves."""
        await pairing.storing()
        await self._pending.store(contact, verified=bool(pairing.view.words))

    async def complete(self, pairing: ActivePairing, person: bytes) -> None:
        """Both sides have it."""
        await self._pending.promote(person)
        for place in reversed(pairing.places):
            await self.attached(person, *place)
        peer = pairing.view.peer or self._world.contacts[person].shown  # a joiner is told no name before
        pairing.move(stage=PairingStage.DONE, contact=person.hex(), peer=peer)
        pairing.completed(person)
        self.paired()

    def tell(self, pairing: ActivePairing) -> None:
        if pairing.over:
            self._active.pop(pairing.view.id, None)
        self._world.hub.publish(PairingChanged(pairing.view))

    async def stop(self) -> None:
        """The engine stops: the other sides are told."""
        for pairing in list(self._active.values()):
            await pairing.give_up(CUT)

    # The steps for a link that has just opened.

    def by_words(self, opened: LinkOpen, identity: Identity) -> Pairing:
        """Either side of a pairing by words."""
        ring = self._world.keyring
        facts, random = _facts(opened), self._world.random
        return Pairing.nearby(facts, opened.role, identity, ring.foreign, random, ring.held)

    def as_joiner(self, opened: LinkOpen, identity: Identity, check: bytes) -> Pairing:
        """The side that has the invitation."""
        ring = self._world.keyring
        return Pairing.joiner(_facts(opened), identity, ring.foreign, check, ring.held)

    def as_inviter(self, opened: LinkOpen, identity: Identity) -> Pairing:
        """The side that made the invitation."""
        ring = self._world.keyring
        return Pairing.inviter(_facts(opened), identity, ring.foreign, ring.held)


def _facts(opened: LinkOpen) -> PairingFacts:
    assert opened.pairing is not None, "a pairing link has its facts"
    return opened.pairing


async def _nothing() -> None:
    """There is nothing to keep."""


async def _nowhere(person: bytes, host: str, port: int) -> None:
    """Where a contact was dialled is kept by nobody."""


def _without_scope(host: str) -> str:
    return host.partition("%")[0]
