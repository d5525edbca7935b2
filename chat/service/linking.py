"""Adding a device of one's own: its words, what it gets, and the Add in the own log (SPEC §7.8.1)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, ParamSpec, TypeVar

from msgspec.structs import replace

from chat.errors import PROBLEM, REFUSED, WRONG_KEYS, Phrase, phrase
from chat.interface import LinkingChanged, LinkingStage, LinkingView, NotPermitted, ParlourError, UsageError
from chat.network.driver import Driver, Handler
from chat.service import handover
from chat.service.discovery import Announcer
from chat.service.events import EventBus
from chat.service.keyring import Keyring, Visibility, own_operations
from chat.service.own_log import CHANGED, OwnLog
from chat.service.state import ContactBook
from chat.storage.database import Store
from chat.tasks import Runtime, Worker
from protocol.identity.author import add_operation
from protocol.identity.log import Add
from protocol.identity.reduction import Pins, reduce
from protocol.identity.safety import digits
from protocol.link.states import CLOSE_REASONS, Event, LinkClosed, LinkOpen, MessageReceived
from protocol.messages import Close
from protocol.pairing.comparison import WordsReady
from protocol.pairing.handover import Handover
from protocol.pairing.linking import (
    AddDue,
    Adding,
    BeingAdded,
    HandoverDue,
    Linked,
    LinkingEvent,
    LinkingFailed,
    Step,
)

NO_LINKING = phrase("No device is being added: begin again.")
NOT_WAITING = phrase("The words no longer wait for an answer.")
REFUSED_HERE = phrase("You said that the words differ. No device was added.")
TIMED_OUT = phrase("No answer in time. No device was added: start again on both devices.")
STOPPED = phrase("Adding a device was stopped. No device was added.")
CUT = phrase("The connection ended before the device was added. Start again on both devices.")
UNSURE = phrase(
    "The device was added, but the connection ended before it had everything. If it does not open, remove it:"
    " 'parlour terminal list' shows it."
)
PROBLEMS: Final = {"authentication": WRONG_KEYS, "refused": REFUSED, "cut": CUT}

M = TypeVar("M", bound=Adding | BeingAdded)
P = ParamSpec("P")


class LinkingSession:
    """A state machine of a linking and its link, joined to each other. `act` takes its events."""

    def __init__(
        self,
        driver: Driver,
        machine: Adding | BeingAdded,
        worker: Worker,
        act: Callable[[LinkingEvent], Awaitable[None]],
    ) -> None:
        self.driver, self.machine = driver, machine
        self._worker, self._act, self._turn = worker, act, asyncio.Lock()

    async def on_events(self, driver: Driver, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, MessageReceived):
                await self.step(self.machine.receive, event.message)
            elif isinstance(event, LinkClosed):
                if event.clean:
                    await self.step(self.machine.receive, Close(CLOSE_REASONS.index(event.reason)))
                await self.step(self.machine.link_closed)

    async def step(self, take: Callable[P, Step], *args: P.args, **kwargs: P.kwargs) -> None:
        """One input of the state machine, which sees the next one when it has worked on this one."""
        async with self._turn:
            step = await self._worker.run(take, *args, **kwargs)
        for message in step.send:
            if isinstance(message, Close):
                await self.driver.close(message.reason)
            else:
                await self.driver.send(message)
        for event in step.events:
            await self._act(event)

    async def confirm(self) -> None:
        """The person's yes, unless the linking has failed by a message that was still being checked."""
        await self.step(_confirm, self.machine)


def _confirm(machine: Adding | BeingAdded) -> Step:
    return machine.confirm() if machine.awaits_person else Step()


class Linker:
    """The use case *add a device*: one at a time, and one attempt of a stranger per action of the person."""

    def __init__(
        self,
        runtime: Runtime,
        store: Store,
        bus: EventBus,
        keyring: Keyring,
        adding: Visibility,
        announcer: Announcer,
        own_log: OwnLog,
        book: ContactBook,
    ) -> None:
        self._runtime, self._store, self._bus, self._keyring = runtime, store, bus, keyring
        self._adding, self._announcer, self._own_log, self._book = adding, announcer, own_log, book
        self._view = LinkingView("", LinkingStage.FAILED)
        self._session: LinkingSession | None = None
        self._signing = asyncio.Lock()  # who stops meanwhile has to hear whether the Add counts

    # The person.

    async def add(self) -> LinkingView:
        """Let a new device begin, for a while. Raises Unconfirmed."""
        await self._check_own()
        await self._end(STOPPED)
        self._adding.begin(self._runtime.clock.monotonic() + self._runtime.config.visible_for)
        self._runtime.beat.by(self._runtime.config.visible_for)
        self._announcer.renew()
        self._view = LinkingView(self._runtime.random(8).hex(), LinkingStage.VISIBLE)
        self._publish()
        return self._view

    async def stop(self) -> None:
        await self._end(STOPPED)

    async def answer(self, linking: str, accept: bool) -> None:
        """Whether the words are the same. Raises UsageError, Unconfirmed."""
        if linking != self._view.id or not linking:
            raise UsageError(NO_LINKING)
        session = self._session
        if session is None or self._over or not session.machine.awaits_person:
            raise UsageError(NOT_WAITING)
        if not accept:
            await session.step(session.machine.refuse)
            self._fail(linking, REFUSED_HERE)
            return
        await self._check_own()
        if session is not self._session:  # it has failed meanwhile
            raise UsageError(NOT_WAITING)
        self._move(stage=LinkingStage.WAITING)
        await session.confirm()

    def tick(self) -> None:
        """End what takes too long."""
        now = self._runtime.clock.monotonic()
        if self._adding.expired(now):
            self._runtime.tasks.spawn(self._end(TIMED_OUT))
        elif self._adding.until is not None:
            self._runtime.beat.by(self._adding.until - now)

    @property
    def _over(self) -> bool:
        return self._view.stage in (LinkingStage.DONE, LinkingStage.FAILED)

    async def _check_own(self) -> None:
        await self._store.read(own_operations, self._keyring.own)

    async def _end(self, problem: Phrase) -> None:
        """End the visibility and what is under way, unless the new device is added already."""
        async with self._signing:
            session, linking = self._session, self._view.id
            unsure = bool(self._view.terminal)
            if session is not None and not session.machine.finished:
                await session.step(session.machine.refuse)
        self._fail(linking, UNSURE if unsure else problem)

    def _fail(self, linking: str, problem: Phrase) -> None:
        """End a linking, unless another one has begun."""
        if linking != self._view.id:
            return
        if not self._over:
            self._move(stage=LinkingStage.FAILED, problem=problem)
        self._hide()

    def _hide(self) -> None:
        self._session = None
        if self._adding.visible:
            self._adding.end()
            self._announcer.renew()

    def _move(self, **changed: object) -> None:
        self._view = replace(self._view, **changed)
        self._publish()

    def _publish(self) -> None:
        self._bus.publish(LinkingChanged(self._view))

    # The new device.

    async def opened(self, driver: Driver, opened: LinkOpen) -> Handler | None:
        """Begin a linking on a stranger's open link; None to close it."""
        if self._keyring.own_problem() is not None or not self._adding.take():
            return None
        assert opened.pairing is not None, "a link of this pattern has its facts"
        linking, name, random = self._view.id, self._keyring.own_log.name, self._runtime.random
        known = await self._store.read(handover.known_keys, self._keyring.own.person)
        machine = await self._runtime.worker.run(Adding, opened.pairing, name, lambda: known, random)
        if linking != self._view.id or self._over:  # the person stopped, or began again
            return None
        # The person compares for as long as in a pairing.
        self._adding.extend(self._runtime.clock.monotonic() + self._runtime.config.pairing_for)
        act = partial(self._act, linking)
        session = self._session = LinkingSession(driver, machine, self._runtime.worker, act)
        await session.step(machine.start)
        return session

    async def _act(self, linking: str, event: LinkingEvent) -> None:
        if self._session is None or linking != self._view.id:
            return
        match event:
            case WordsReady(words=words, name=name, five=five):
                self._move(stage=LinkingStage.WORDS, words=words, digits=digits(five), name=name)
            case HandoverDue():
                await self._attempt(self._share)
            case AddDue(add=add, signature=signature):
                await self._attempt(self._sign, add, signature)
            case Linked():
                self._move(stage=LinkingStage.DONE)
                self._hide()
            case LinkingFailed(error_class=error_class, unsure=unsure):
                self._fail(linking, UNSURE if unsure else PROBLEMS.get(error_class, PROBLEM))

    async def _attempt(self, work: Callable[P, Awaitable[None]], *args: P.args, **kwargs: P.kwargs) -> None:
        """The other side does not wait for what this disk, or this log, does not let happen."""
        try:
            await work(*args, **kwargs)
        except ParlourError as failure:
            await self._end(failure.phrase)
            raise

    async def _share(self) -> None:
        session = self._session
        if session is None or not isinstance(session.machine, Adding):
            return
        await self._check_own()
        whole = await handover.gather(self._store, self._keyring.own, self._book.timers)
        known = await self._store.read(handover.known_keys, self._keyring.own.person)
        if not known.isdisjoint((session.machine.new.signing, session.machine.new.static)):
            raise NotPermitted(CHANGED)  # another device of this person has added it meanwhile
        add = await self._runtime.worker.run(_add_upon, whole, session.machine)
        await session.step(session.machine.share, whole, add)

    async def _sign(self, add: Add, signature: bytes) -> None:
        session = self._session
        if session is None or not isinstance(session.machine, Adding):
            return
        async with self._signing:
            if session.machine.finished:
                return
            signed = await self._own_log.add(add, signature)
            self._move(terminal=handover.new_terminal(signed).hex())
        await session.step(session.machine.added, signed)


def _add_upon(whole: Handover, machine: Adding) -> Add:
    """The Add of the new terminal upon the log that it gets."""
    state, new = whole.state, machine.new
    log = reduce(whole.operations, Pins(frozenset(state.seen), frozenset(state.confirmed)))
    return add_operation(log, state.terminal, new.signing, new.static, new.name)
