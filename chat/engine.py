"""The engine: one profile, opened; implements `interface.Messenger` by handing each call to a use case.

Rules: no logic of its own beyond start, stop and delegation; clock, randomness, transport and discovery
come from outside; every failure that a client sees is a ParlourError.

`doctor` from inside a running engine: what it knows of where terminals are, without whose they are.

Rules: a contact with a living direct link is not looked for; whoever greets where one is sought is asked
for its keys by an ordinary link, which stays if it opens.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Executor
from datetime import datetime
from functools import partial
from itertools import count
from typing import Protocol

from chat.config import Config
from chat.errors import ENGINE_ENDED, Phrase, phrase
from chat.errors import LOCKED as CLOSED
from chat.interface import (
    Closed,
    ContactView,
    DetailsView,
    DiagnosisView,
    EngineEnded,
    EntryView,
    Event,
    InvitationView,
    NearbyView,
    Notice,
    NotPermitted,
    PairingView,
    ParlourError,
    Ready,
    RelayView,
    SelfView,
    SettingsView,
    UsageError,
)
from chat.network.connection import format_address, parse
from chat.ports import Ports
from chat.service.assembly import UseCases
from chat.service.discovery import listen
from chat.service.history import History
from chat.service.state import EngineState
from chat.storage.database import Database
from chat.storage.profile import Vault
from chat.storage.settings import Settings
from chat.storage.settings import save as save_settings
from chat.tasks import Tasks
from chat.tools.doctor import diagnose as examine
from chat.tools.doctor.gather import Context, Relay, Sought
from protocol.link.states import LinkOpen

WITHIN = 1.5
"""Seconds for the link that shows who it is."""


async def diagnose(parts: UseCases, vault: Vault, ports: Ports) -> tuple[DiagnosisView, ...]:
    """All checks, with this engine's port, profile and database."""
    world = parts.world

    async def database() -> str:
        problems = await world.store.read(Database.integrity)
        return problems[0] if problems else ""

    context = Context(
        port=world.port,
        listening=True,
        profile=vault.folder,
        heard=parts.announcing.heard,
        days_ahead=parts.announcing.days_ahead(),
        sought=tuple(sought(parts)),
        relays=tuple(_relays(parts, ports)),
        began=parts.began,
        promised=tuple(_promised(parts)),
        visible=world.visibility.visible,
        transport=ports.transport,
        clock=ports.clock,
        database=database,
    )
    return await examine(context)


def sought(parts: UseCases) -> Iterator[Sought]:
    """Contacts, strangers who announce themselves, and who made an invitation that was tried in vain."""
    announced = parts.announcing.announced()
    for person in parts.world.keyring.linkable():
        link = parts.world.links.current(person)
        present = link is not None and parts.world.links.is_present(person)
        if link is not None and present and not link.relayed:
            yield Sought(((link.address, 0),), linked=True)
            continue
        # Whoever is met at a relay is missed here only where they are announced.
        hints = () if present else parts.world.keyring.hints(person)
        if places := announced.get(person) or hints:
            yield Sought(tuple(places), heard=person in announced, is_it=_meets(parts, person))
    yield from (Sought(places, heard=True) for places in parts.announcing.strangers())
    if parts.meeting.unanswered:
        yield Sought(parts.meeting.unanswered)


def _relays(parts: UseCases, ports: Ports) -> Iterator[Relay]:
    """Those that this person named; two keys at one place are told apart by their order."""
    shown: Counter[str] = Counter()
    for relay in parts.relays.addresses():
        place = format_address(relay.host, relay.port)
        shown[place] += 1
        name = place if shown[place] == 1 else f"{place} ({shown[place]})"
        yield Relay(name, relay.key, partial(ports.transport.connect_relay, relay))


def _meets(parts: UseCases, person: bytes) -> Callable[[], Awaitable[bool]]:
    async def is_it() -> bool:
        return isinstance(await parts.dialler.dial(person, WITHIN), LinkOpen)

    return is_it


def _promised(parts: UseCases) -> Iterator[str]:
    """The addresses in invitations that are still open."""
    now = parts.world.clock.wall() // 1000
    for opened in parts.world.keyring.invitations.values():
        if opened.burned_by is None and not opened.invitation.expired(now):
            yield from (parse(address)[0] for address in opened.invitation.addresses)


TICK = 1.0
"""Seconds between two looks at what ends by itself."""

CALLS_WITHIN = 1.0
"""Seconds in which calls of other processes may come to their end before the engine does."""

HOUR = 3600
"""Ticks between two looks at pairings that never completed."""

LOCKED = phrase("locked")
STOPPED = phrase("stopped")
NO_CONTACT = phrase("No such contact: check the list of contacts.")


class Server(Protocol):
    """What offers the engine to other processes."""

    async def start(self) -> None: ...

    async def drain(self, within: float) -> None:
        """Let nobody else in, begin no call any more, and give those under way so many seconds."""

    async def close(self) -> None: ...


class Engine:
    """A running engine. Made by `open_engine`, started once, stopped once."""

    def __init__(
        self, world: EngineState, parts: UseCases, vault: Vault, executor: Executor, ports: Ports
    ) -> None:
        self._world = world
        self._parts = parts
        self._vault = vault
        self._executor = executor
        self._ports = ports
        self._stopping: asyncio.Task[None] | None = None
        self._closed: Closed | None = None
        self._server: Server | None = None

    # Life.

    async def start(self) -> None:
        """Listen, announce, seek contacts. Raises CannotCreate when no port is to be had."""
        parts = self._parts
        parts.listener = await listen(self._ports.transport, self._vault, self._world, parts.answerer.accept)
        self._world.port = parts.listener.port
        parts.began = self._ports.transport.addresses()
        self._world.tasks.spawn(self._world.links.watch())
        self._world.tasks.spawn(self._keep_house())
        self._world.tasks.spawn(self._parts.cleaning.run())
        parts.relays.begin()
        parts.dialler.follow(self._world.keyring.linkable())
        if not self._world.contacts:
            parts.announcing.set_visible(True)
        await parts.announcing.start()
        self._world.hub.publish(Ready(self._addresses()))

    async def _keep_house(self) -> None:
        for tick in count():
            try:
                if tick % HOUR == 0:
                    await self._parts.pending.drop_old()
                await self._parts.welcoming.drop_expired()
            except ParlourError as failure:  # a full disk must not keep anybody visible
                self.failed(failure)
            self._parts.announcing.tick()
            self._parts.receiving.forget_typing()
            await asyncio.sleep(TICK)

    async def serve(self, server: Server) -> None:
        """Let other processes of this user in through a server, until the engine stops."""
        await server.start()
        self._server = server

    def failed(self, error: BaseException) -> None:
        """A background task failed: say so instead of going on in silence."""
        if isinstance(error, ParlourError):
            self._world.hub.publish(Notice(error.phrase))
        else:
            self._world.hub.publish(Notice(_unexpected(error)))
            asyncio.get_running_loop().call_exception_handler({"message": "task failed", "exception": error})

    async def lock(self) -> None:
        await self._stop(Closed(LOCKED, locked=True), 2)

    async def close(self) -> None:
        await self._stop(Closed(STOPPED), 0)

    async def _stop(self, closed: Closed, close_reason: int) -> None:
        if self._stopping is None:
            self._stopping = asyncio.get_running_loop().create_task(self._shut_down(closed, close_reason))
        await asyncio.shield(self._stopping)

    async def _shut_down(self, closed: Closed, close_reason: int) -> None:
        """The socket goes first, the lock before `Closed`: a client that hears it can open the profile."""
        if closed.locked:
            self._closed = closed
        if self._server is not None:
            await self._server.drain(0 if closed.locked else CALLS_WITHIN)
        self._closed = closed
        try:
            await self._parts.stop(close_reason)
            await self._world.tasks.stop()
            await self._ports.discovery.close()
        finally:
            await self._world.store.close()
            self._vault.close()
            self._executor.shutdown(wait=False)
            self._world.hub.publish(closed)
            if self._server is not None:
                await self._server.close()

    # Messenger.

    @property
    def _open(self) -> UseCases:
        """What answers calls. Raises NotPermitted or EngineEnded once the engine has stopped."""
        self._refuse_if_stopped()
        return self._parts

    def _refuse_if_stopped(self) -> None:
        if self._closed is not None:
            raise NotPermitted(CLOSED) if self._closed.locked else EngineEnded(ENGINE_ENDED)

    def _person(self, contact: str) -> bytes:
        """The person id of a contact. Raises UsageError, and NotPermitted as `_open`."""
        self._refuse_if_stopped()
        try:
            person = bytes.fromhex(contact)
        except ValueError:
            raise UsageError(NO_CONTACT) from None
        if person not in self._world.contacts:
            raise UsageError(NO_CONTACT)
        return person

    def events(self) -> AsyncIterator[Event]:
        return self._world.hub.subscribe()

    def _addresses(self) -> tuple[str, ...]:
        port = self._world.port
        return tuple(format_address(host, port) for host in self._ports.transport.addresses())

    async def me(self) -> SelfView:
        self._refuse_if_stopped()
        own = self._world.own
        return SelfView(
            person=own.person.hex(),
            terminal=own.terminal.hex(),
            name=self._world.keyring.own.name,
            port=self._world.port,
            addresses=self._addresses(),
            visible=self._world.visibility.visible,
        )

    async def contacts(self) -> tuple[ContactView, ...]:
        return self._open.views.contacts()

    async def nearby(self) -> tuple[NearbyView, ...]:
        return self._open.announcing.nearby()

    async def set_visible(self, on: bool) -> None:
        self._open.announcing.set_visible(on)

    async def pair_nearby(self, instance: str) -> PairingView:
        return await self._open.meeting.nearby(instance)

    async def pair_address(self, host: str, port: int) -> PairingView:
        return await self._open.meeting.address(host, port)

    async def invite(self) -> InvitationView:
        return await self._open.welcoming.invite()

    async def join(self, text: str) -> PairingView:
        return await self._open.meeting.join(text)

    async def answer_pairing(self, pairing: str, accept: bool) -> None:
        await self._open.pairings.answer(pairing, accept)

    async def rename(self, contact: str, name: str) -> None:
        await self._open.people.rename(self._person(contact), name)

    async def block(self, contact: str, on: bool) -> None:
        await self._open.people.block(self._person(contact), on)

    async def remove(self, contact: str) -> None:
        await self._open.people.remove(self._person(contact))

    async def safety_number(self, contact: str) -> str:
        return self._open.people.safety_number(self._person(contact))

    async def set_verified(self, contact: str, on: bool) -> None:
        await self._open.people.verify(self._person(contact), on)

    async def send(self, contact: str, text: str, reply: str = "") -> EntryView:
        answered = History.entry_id(reply) if reply else b""
        return await self._parts.sending.send(self._person(contact), text, answered)

    async def history(
        self, contact: str, limit: int = 100, before: str | None = None, after: str | None = None
    ) -> tuple[EntryView, ...]:
        return await self._open.history.page(self._person(contact), limit, before, after)

    async def entry(self, contact: str, id: str) -> EntryView | None:
        return await self._open.history.entry(self._person(contact), id)

    async def first_unread(self, contact: str) -> str | None:
        return await self._open.history.first_unread(self._person(contact))

    async def entry_at(self, contact: str, time: datetime) -> str | None:
        return await self._open.history.entry_at(self._person(contact), time)

    async def details(self, contact: str, id: str) -> DetailsView:
        return await self._open.history.details(self._person(contact), id)

    async def search(self, words: str, contact: str | None = None, limit: int = 100) -> tuple[EntryView, ...]:
        person = self._person(contact) if contact is not None else None
        return await self._open.history.search(words, person, limit)

    async def mark_read(self, contact: str, entries: tuple[str, ...]) -> None:
        person = self._person(contact)
        await self._open.people.mark_read(person, [History.entry_id(entry) for entry in entries])

    async def mark_all_read(self, contact: str) -> None:
        await self._open.people.mark_all_read(self._person(contact))

    async def delete(self, contact: str, id: str) -> EntryView:
        return await self._open.deleting.delete(self._person(contact), History.entry_id(id))

    async def clean(self) -> None:
        await self._open.cleaning.clean()

    async def typing(self, contact: str, on: bool) -> None:
        self._open.people.typing(self._person(contact), on)

    async def settings(self) -> SettingsView:
        self._refuse_if_stopped()
        return self._world.settings

    async def change_settings(self, settings: SettingsView) -> None:
        row = Settings(settings.read_receipts, settings.typing)
        await self._world.store.write(save_settings, row)
        self._world.settings = settings

    async def preferences(self) -> Mapping[str, str]:
        return await self._open.preferences.all()

    async def set_preference(self, name: str, value: str) -> None:
        await self._open.preferences.set(name, value)

    async def relays(self) -> tuple[RelayView, ...]:
        return self._open.relays.views()

    async def add_relay(self, address: str) -> RelayView:
        return await self._open.relays.add(address)

    async def remove_relay(self, address: str) -> None:
        await self._open.relays.remove(address)

    async def change_passphrase(self, old: str, new: str) -> None:
        await self._world.store.change_passphrase(self._vault, old, new, self._world.random)

    async def diagnose(self) -> tuple[DiagnosisView, ...]:
        return await diagnose(self._open, self._vault, self._ports)


async def open_engine(vault: Vault, ports: Ports, config: Config, executor: Executor) -> Engine:
    """Read the profile and make an engine of it, not yet started. Raises the StorageFailure family."""
    tasks = Tasks(lambda error: engine.failed(error))
    world = await EngineState.load(vault, ports, config, executor, tasks)
    parts = UseCases.wire(world, ports)
    engine = Engine(world, parts, vault, executor, ports)
    return engine


def _unexpected(error: BaseException) -> Phrase:
    return phrase(
        "Parlour had an internal error ({kind}): restart it, and report this if it happens again.",
        kind=type(error).__name__,
    )
