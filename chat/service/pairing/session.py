"""Pairings under way: protocol.pairing with links, the database and the user (SPEC §7.4, §7.5)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import ParamSpec

from msgspec import Struct
from msgspec.structs import replace

from chat.errors import CUT, NOTHING_SAID, PENDING, PROBLEM, REFUSED, WRONG_KEYS, Phrase, phrase
from chat.interface import PairingChanged, PairingStage, PairingView, ParlourError, Unconfirmed, UsageError
from chat.looks import looks_same
from chat.network.driver import Driver, Handler
from chat.network.links import Links
from chat.service.discovery import AddressBook
from chat.service.events import EventBus, TerminalFound, VisibilityUsed
from chat.service.keyring import Keyring, own_operations
from chat.service.pairing.storage import PendingContacts
from chat.service.state import ContactBook
from chat.storage.database import Store
from chat.tasks import Runtime
from protocol.identity.exchange import in_view
from protocol.identity.reduction import reduce
from protocol.identity.safety import digits, words
from protocol.link.framing import Pattern
from protocol.link.states import Ending, Event, LinkClosed, LinkOpen, MessageReceived, PairingFacts
from protocol.messages import Close, LogOperations, Record
from protocol.pairing.comparison import WordsReady, shown_list
from protocol.pairing.pairing import (
    Completed,
    JoinerKnown,
    Pairing,
    PairingEvent,
    PairingFailed,
    PendingReady,
    Step,
    goes_on,
)
from protocol.pairing.record import Identity, PendingContact

NOT_WAITING = phrase("This pairing no longer waits for an answer.")
REFUSED_HERE = phrase("You declined. Nothing was stored.")
SUPERSEDED = NOTHING_SAID
REPLACED = 1


def blocked(name: str) -> Phrase:
    """The problem of a pairing with a contact whom this person has blocked."""
    return phrase("You have blocked {name}: unblock them first, then pair again.", name=name)


NO_PAIRING = phrase("This pairing no longer exists: start again.")
TIMED_OUT = phrase("No answer in time: start again when both of you are online.")
P = ParamSpec("P")
PROBLEMS = {"authentication": WRONG_KEYS, "refused": REFUSED, "cut": CUT}


class ActivePairing:
    """One pairing, from the user's wish to its end; the handler of its link, which comes with `begin`.

    `storing` stores what a later link may need, before the contact is stored. `places`: the other side's
    addresses, or possible addresses if a relay was used, most likely first. `hosts`: its known hosts.
    `terminal`: the id of the terminal on the other side, once its record is stored. `meanwhile`: the roots of
    pairings that were stored since this one began.
    """

    def __init__(
        self,
        service: PairingService,
        view: PairingView,
        hosts: Iterable[str],
        storing: Callable[[], Awaitable[None]] | None,
        completed: Callable[[bytes], object] | None,
        failed: Callable[[], object] | None,
    ) -> None:
        self.view = view
        self.storing, self.completed, self._failed = storing, completed, failed
        self.places: tuple[tuple[str, int], ...] = ()
        self.hosts = frozenset(map(_without_scope, hosts))
        self.terminal = b""
        self.meanwhile: set[bytes] = set()
        self._service = service
        self._pending = False
        self._link: _PairingLink | None = None

    @property
    def over(self) -> bool:
        return self.view.stage in (PairingStage.DONE, PairingStage.FAILED)

    async def begin(self, driver: Driver, machine: Pairing, opened: LinkOpen) -> Handler | None:
        """Take the first step on an open link; returns its handler.

        None when both persons began at once, and the other one's link goes on (SPEC §7.4). None too when the
        pairing ended while its record was made.
        """
        if self.over:
            return None
        self._link = _PairingLink(driver, machine, _facts(opened).handshake_hash, asyncio.Lock())
        self.hosts |= {_without_scope(driver.connection.peer)}
        if opened.pattern is Pattern.XX and await self._service.settle_rivals(self):
            return None
        await self._step(machine.start)
        if opened.pattern is Pattern.XXPSK0 and not self.view.incoming:
            self.move(stage=PairingStage.WAITING)  # for the inviter's answer
        return self

    def rivals(self, other: ActivePairing) -> bool:
        """Whether these are attempts of the same two hosts, one from each side, maybe on other addresses."""
        if self._link is None or other._link is None or self.view.incoming == other.view.incoming:
            return False
        return not self.hosts.isdisjoint(other.hosts) and not self.over and not other.over

    def precedes(self, other: ActivePairing) -> bool:
        """Whether this rival goes on: the one with the lower handshake hash does, on both sides."""
        assert self._link is not None, "rivals have links"
        assert other._link is not None, "rivals have links"
        return goes_on(self._link.handshake_hash, other._link.handshake_hash)

    async def give_way(self, *, heard: bool = False) -> None:
        """End in favour of the rival. `heard`: the other side may be sending, and has to see why."""
        self.fail_with(SUPERSEDED)
        if self._link is not None:  # else it has not begun, and will not
            await self._link.driver.close(REPLACED, heard=heard)

    async def answer(self, accept: bool) -> None:
        """The user says whether the words are the same, or the joiner is the right one."""
        if self._link is None or not self._link.machine.awaits_person:
            raise UsageError(NOT_WAITING)
        if accept:
            try:
                await self._service.check_own()
            except Unconfirmed:
                raise
            except ParlourError as failure:  # the other side is not to wait until this disk works again
                await self.give_up(failure.phrase)
                raise
            self.move(stage=PairingStage.WAITING)
            await self._step(_confirm, self._link.machine)
        else:
            await self._step(self._link.machine.refuse)
            self.fail_with(REFUSED_HERE)

    async def give_up(self, problem: Phrase) -> None:
        if self._link is not None and not self._link.machine.finished:
            await self._step(self._link.machine.refuse)
        self.fail_with(problem)

    def move(self, **changed: object) -> None:
        """Change the view, and publish it."""
        self.view = self._service.named(replace(self.view, **changed))
        self._service.publish(self)

    def fail_with(self, problem: Phrase) -> None:
        if not self.over:
            if self._pending and problem is not SUPERSEDED:
                problem = PENDING  # the contact is stored, and completed by the next link
            self.move(stage=PairingStage.FAILED, problem=problem)
            if self._failed is not None:
                self._failed()

    # The link's events go to the state machine, whose steps come out.

    async def on_events(self, driver: Driver, events: Sequence[Event]) -> None:
        assert self._link is not None, "events come on a link"
        machine = self._link.machine
        for event in events:
            if isinstance(event, MessageReceived):
                await self._step(machine.receive, event.message)
            elif isinstance(event, LinkClosed):
                # A finished pairing may still be storing: the other side closes as soon as it has stored it.
                if not machine.finished:
                    self.fail_with(_ended(event))
                await self._step(machine.link_closed)

    async def _step(self, act: Callable[P, Step], *args: P.args, **kwargs: P.kwargs) -> None:
        """One input of the state machine, which sees the next one when it has worked on this one."""
        assert self._link is not None, "steps are taken on a link"
        async with self._link.turn:
            # A stranger's Record brings 256 operations with signatures before its person was confirmed.
            step = await self._service.worker.run(act, *args, **kwargs)
        await self._take(step)

    async def _take(self, step: Step) -> None:
        assert self._link is not None, "steps are taken on a link"
        driver = self._link.driver
        for message in step.send:
            # The own log may have changed while the link opened.
            if isinstance(message, LogOperations | Record):
                problem = self._service.own_problem(self._link.machine.terminal)
                if problem is not None:
                    await self._end_before_record(problem)
                    return
            if isinstance(message, Close):
                await driver.close(message.reason)
            else:
                await driver.send(message)
        try:
            for event in step.events:
                await self._act_on(event)
        except ParlourError as error:  # a disk that fails: nobody is to wait for the end that cannot come
            await self.give_up(error.phrase)
            await driver.close(0)
            raise

    async def _act_on(self, event: PairingEvent) -> None:
        assert self._link is not None, "steps are taken on a link"
        match event:
            case WordsReady(five=five, name=name):
                shown = words(five, shown_list(self._link.driver.link.common_features))
                self.move(stage=PairingStage.WORDS, words=shown, digits=digits(five), peer=name)
            case JoinerKnown(name=name, person=person):
                if (problem := self._service.unwelcome(person)) is not None:
                    await self.give_up(problem)
                else:
                    self.move(stage=PairingStage.JOINER, peer=name)
            case PendingReady(contact=contact):
                if (problem := self._service.unwelcome(contact.person)) is not None:
                    await self.give_up(problem)
                    return
                self.terminal, self._pending = contact.terminal, True
                try:
                    await self._service.store(self, contact)
                except BaseException:
                    self._pending = False
                    raise
                await self._step(self._link.machine.stored)
            case Completed(person=person):
                await self._service.complete(self, person)
                await self._link.driver.close(0)
            case PairingFailed(error_class=error_class):
                self.fail_with(PROBLEMS.get(error_class, PROBLEM))

    async def _end_before_record(self, problem: Phrase) -> None:
        """Nothing of this person leaves. A joiner may come again: the invitation stays with its inviter."""
        if self.view.words or self.view.incoming:
            await self.give_up(problem)
            return
        assert self._link is not None, "records go on a link"
        self.fail_with(problem)
        await self._link.driver.close(REPLACED)


class _PairingLink(Struct, frozen=True):
    driver: Driver
    machine: Pairing
    handshake_hash: bytes
    turn: asyncio.Lock


def _confirm(machine: Pairing) -> Step:
    """The person's yes, unless the pairing has failed by a message that was still being checked."""
    return machine.confirm() if machine.awaits_person else Step()


def _ended(event: LinkClosed) -> Phrase:
    """The problem of a pairing whose link closed too early."""
    if event.reason is Ending.REPLACED:
        return SUPERSEDED
    cause = "refused" if event.reason is Ending.REFUSED else event.error_class
    return PROBLEMS.get("cut" if cause is None else cause, PROBLEM)


class PairingService:
    """All pairings under way. A contact is stored before Accept is sent, and not if anything fails before."""

    def __init__(
        self,
        runtime: Runtime,
        store: Store,
        bus: EventBus,
        keyring: Keyring,
        book: ContactBook,
        links: Links,
        pending: PendingContacts,
        addresses: AddressBook,
    ) -> None:
        self._runtime, self._store, self._bus, self._keyring = runtime, store, bus, keyring
        self._book, self._links, self._pending, self._addresses = book, links, pending, addresses
        self.worker = runtime.worker
        self._active: dict[str, ActivePairing] = {}

    def new(
        self,
        peer: str,
        incoming: bool,
        *,
        hosts: Iterable[str] = (),
        storing: Callable[[], Awaitable[None]] | None = None,
        completed: Callable[[bytes], object] | None = None,
        failed: Callable[[], object] | None = None,
        invitation: str = "",
    ) -> ActivePairing:
        """A pairing that begins, and times out if the other side or the user does not answer."""
        name = self._runtime.random(8).hex()
        view = self.named(PairingView(name, PairingStage.CONNECTING, peer, incoming, invitation=invitation))
        pairing = ActivePairing(self, view, hosts, storing, completed, failed)
        self._active[view.id] = pairing
        self._runtime.tasks.spawn(self._watch(pairing))
        return pairing

    async def settle_rivals(self, begun: ActivePairing) -> bool:
        """End one of two attempts if both persons began; whether it is the one just begun."""
        for other in [other for other in self._active.values() if begun.rivals(other)]:
            if other.precedes(begun):
                await begun.give_way(heard=True)
                return True
            await other.give_way(heard=True)
        return False

    async def _watch(self, pairing: ActivePairing) -> None:
        await asyncio.sleep(self._runtime.config.pairing_for)
        if not pairing.over:
            await pairing.give_up(TIMED_OUT)

    async def check_own(self) -> None:
        """Raises Unconfirmed where this terminal must not send a Record now (SPEC §7.7)."""
        await self._store.read(own_operations, self._keyring.own)

    def own_problem(self, terminal: bytes) -> Phrase | None:
        """Why no record of this own terminal must leave now (SPEC §7.7): it may have other keys meanwhile."""
        return self._keyring.own_problem(terminal)

    async def identity(self) -> Identity:
        """The log, the terminal and a fresh share of the contact secret, for the other side.

        Raises Unconfirmed.
        """
        own = self._keyring.own
        held, pins = await self._store.read(own_operations, own)
        operations = await self.worker.run(in_view, held, pins)
        # The log may grow meanwhile: a Record with a share of what it lacks is refused (V-RC-09).
        shown, secrets = await self.worker.run(reduce, operations), {one.operation: one for one in own.drawn}
        drawn = next(secrets[one] for one in shown.drawn if one in secrets)
        return Identity(operations, own.terminal, own.signing_seed, self._keyring.identity.static, drawn)

    async def answer(self, pairing: str, accept: bool) -> None:
        """Raises UsageError if there is no such pairing, or it does not wait for the user."""
        if pairing not in self._active:
            raise UsageError(NO_PAIRING)
        await self._active[pairing].answer(accept)

    def unwelcome(self, person: bytes) -> Phrase | None:
        """Why this person cannot pair: a yes to words or to a joiner must not take back a block unseen."""
        row = self._book.rows.get(person)
        if row is None or not row.blocked:
            return None
        return blocked(self._book.label(person, self._keyring.own_log.name))

    async def store(self, pairing: ActivePairing, contact: PendingContact) -> None:
        if pairing.storing is not None:
            await pairing.storing()
        # Before the write, since another pairing may wait for the same disk.
        for other in self._active.values():
            if other is not pairing:
                other.meanwhile.add(contact.root)
        await self._pending.store(contact, bool(pairing.view.words), frozenset(pairing.meanwhile))

    async def complete(self, pairing: ActivePairing, person: bytes) -> None:
        """Complete the contact, which both sides have stored."""
        await self._pending.promote(person)
        peer = pairing.view.peer or self._book.rows[person].name  # a joiner sees no name before
        pairing.move(stage=PairingStage.DONE, contact=person.hex(), peer=peer)
        if pairing.completed is not None:
            pairing.completed(person)
        self._bus.signal(VisibilityUsed())
        keys = self._keyring.contacts.get(person)
        if keys is not None and len(keys.pairings) > 1:
            # Only a link under the new secret retires those of earlier pairings.
            await self._links.close(person, REPLACED)
        for place in reversed(pairing.places):
            if (met := await self._addresses.met(person, pairing.terminal, *place)) is not None:
                self._bus.signal(TerminalFound(met))

    def named(self, view: PairingView) -> PairingView:
        """A view with whom the name of the other side could be taken for."""
        own = self._keyring.own_log.name
        known = self._book.namesakes(view.peer, own, bytes.fromhex(view.contact)) if view.peer else ()
        return replace(view, known=known, mine=looks_same(view.peer, own))

    def publish(self, pairing: ActivePairing) -> None:
        if pairing.over:
            self._active.pop(pairing.view.id, None)
        self._bus.publish(PairingChanged(pairing.view))

    async def stop(self) -> None:
        for pairing in list(self._active.values()):
            await pairing.give_up(CUT)

    # The state machine for a link that has just opened.

    async def by_words(self, opened: LinkOpen, identity: Identity) -> Pairing:
        ring, random = self._keyring, self._runtime.random
        facts, role = _facts(opened), opened.role
        return await self.worker.run(Pairing.nearby, facts, role, identity, random, ring.held)

    async def as_joiner(self, opened: LinkOpen, identity: Identity, check: bytes) -> Pairing:
        """The side that has the invitation."""
        return await self.worker.run(Pairing.joiner, _facts(opened), identity, check, self._keyring.held)

    async def as_inviter(self, opened: LinkOpen, identity: Identity) -> Pairing:
        """The side that made the invitation."""
        return await self.worker.run(Pairing.inviter, _facts(opened), identity, self._keyring.held)


def _facts(opened: LinkOpen) -> PairingFacts:
    assert opened.pairing is not None, "a pairing link has its facts"
    return opened.pairing


def _without_scope(host: str) -> str:
    return host.partition("%")[0]
