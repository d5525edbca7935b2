"""The engine of one open profile: implements `interface.Messenger` by passing each call to a use case."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from msgspec.structs import replace

from chat.config import Config
from chat.errors import ENGINE_ENDED, phrase
from chat.errors import LOCKED as CLOSED
from chat.interface import (
    AlertView,
    ArrivalsView,
    BackupView,
    BotCommand,
    BotView,
    ClientRights,
    ClientView,
    Closed,
    ContactView,
    DeletionScope,
    DetailsView,
    DiagnosisView,
    EngineEnded,
    EntryView,
    Event,
    FileCheckView,
    FilesView,
    HistoryRoot,
    InvitationView,
    KeyringFailure,
    LinkingView,
    NearbyView,
    NotPermitted,
    PairingView,
    ParlourError,
    PictureView,
    QuestionView,
    Ready,
    RecoveryView,
    RelayView,
    RemovalView,
    RetentionView,
    SelfView,
    SettingsView,
    TerminalView,
    TokenView,
    UnlockCost,
    UsageError,
    VerificationView,
    parse_query,
)
from chat.network.connection import format_address, parse
from chat.network.links import Peer
from chat.ports import Ports
from chat.service.alerts import alert_line
from chat.service.assembly import UseCases, report
from chat.service.history import History
from chat.service.views import utc
from chat.storage.database import Database
from chat.storage.errors import PassphraseUnsettled, StorageFailure
from chat.storage.folder import make_reserve
from chat.storage.profile import Vault
from protocol.link.states import LinkOpen
from protocol.profile_header import MODERATE, SENSITIVE

if TYPE_CHECKING:
    from chat.tools.doctor.gather import Relay, Sought

HOUSE_EVERY = 10.0
"""Seconds after which the house is kept at the latest; most of the time keepalives strike before."""

HOUSE_AGAIN = 1.0
"""Seconds after which it is kept again where that failed."""

HOUR = 3600.0
"""Seconds between checks for pairings that never completed."""

CALLS_WITHIN = 1.0
"""Seconds in which calls of other processes may end before the engine does."""

IDENTIFIED_WITHIN = 1.5
"""Seconds for the link with which `doctor` checks who answers at a contact's address."""

_COSTS: Final = {UnlockCost.KEPT: None, UnlockCost.MODERATE: MODERATE, UnlockCost.SENSITIVE: SENSITIVE}

LOCKED = phrase("The profile was locked.")
NOBODY_HEARS = phrase(
    "Nobody is there to hear of it, and nobody could later: remove this device on another one of yours, or"
    " try again when Parlour runs on another one, or a contact is online."
)
NO_CONTACT = phrase("No such contact: check the list of contacts.")
FOR_CONTACTS = phrase("This is for conversations with contacts: your notes are yours alone.")


class Server(Protocol):
    """Offers the engine to other processes."""

    async def start(self) -> None: ...

    async def drain(self, within: float) -> None:
        """Accept no connection and no call any more, and give running calls so many seconds."""

    async def close(self) -> None: ...


class Engine:
    """A running engine. Made by `open_engine`, started once, stopped once."""

    def __init__(self, use_cases: UseCases, vault: Vault, executor: Executor, ports: Ports) -> None:
        self._use_cases, self._vault, self._executor, self._ports = use_cases, vault, executor, ports
        self._began: tuple[str, ...] = ()
        self._stopping: asyncio.Task[None] | None = None
        self._closed: Closed | None = None
        self._server: Server | None = None

    async def start(self) -> None:
        """Listen, announce, and connect contacts. Raises CannotCreate if no port is free."""
        use_cases = self._use_cases
        await use_cases.port.open(use_cases.acceptor.accept)
        self._began = self._ports.transport.addresses()
        use_cases.runtime.tasks.spawn(use_cases.links.watch())
        use_cases.runtime.tasks.spawn(self._keep_house())
        use_cases.runtime.tasks.spawn(use_cases.cleaner.run())
        use_cases.runtime.tasks.spawn(use_cases.settler.run())
        use_cases.runtime.tasks.spawn(use_cases.alerts.run())
        use_cases.runtime.tasks.spawn(use_cases.expirer.run())
        use_cases.runtime.tasks.spawn(use_cases.clearing.run())
        use_cases.runtime.tasks.spawn(use_cases.retention.run())
        use_cases.runtime.tasks.spawn(use_cases.alerts.watch())
        use_cases.runtime.tasks.spawn(use_cases.checker.run())
        use_cases.runtime.tasks.spawn(use_cases.files.run())
        use_cases.relays.begin()
        use_cases.dialer.follow(use_cases.keyring.dialled())
        use_cases.runtime.tasks.spawn(use_cases.bots.settle())
        if not use_cases.book.rows:
            use_cases.announcer.set_visible(True)
        await use_cases.announcer.start()
        use_cases.bus.publish(Ready(self._addresses()))

    async def _keep_house(self) -> None:
        use_cases = self._use_cases
        clock, beat, hourly = use_cases.runtime.clock, use_cases.runtime.beat, 0.0
        while True:
            try:
                if clock.monotonic() >= hourly:
                    hourly = clock.monotonic() + HOUR
                    await use_cases.pending.drop_old()
                    await use_cases.store.run(partial(make_reserve, self._vault.folder))
                await use_cases.accept.drop_expired()
                await use_cases.messages.settle()
                await use_cases.messages.cut_removed()
                await use_cases.notes.vouch()
                await use_cases.own_log.renew()
                await use_cases.attendance.tick()
                await use_cases.links.find_twins()
            except ParlourError as failure:  # a full disk must not prolong visibility
                report(use_cases.bus, failure)
                beat.by(HOUSE_AGAIN)
            use_cases.alerts.tick()
            use_cases.announcer.tick()
            use_cases.linker.tick()
            use_cases.expirer.tick()
            use_cases.inbound.forget_typing()
            use_cases.transfers.tick()
            use_cases.links.replace_old()
            self._ports.tidy()
            await beat.wait(HOUSE_EVERY)

    async def serve(self, server: Server) -> None:
        """Accept other processes of this user through a server, until the engine stops."""
        await server.start()
        self._server = server

    async def lock(self) -> None:
        await self._stop(Closed(LOCKED, locked=True), 2)

    async def close(self) -> None:
        await self._stop(Closed(ENGINE_ENDED), 0)

    async def _stop(self, closed: Closed, close_reason: int) -> None:
        if self._stopping is None:
            self._stopping = asyncio.get_running_loop().create_task(self._shut_down(closed, close_reason))
        await asyncio.shield(self._stopping)

    async def _shut_down(self, closed: Closed, close_reason: int) -> None:
        # After `Closed` clients may open the profile, so the lock is released before it.
        if closed.locked:
            self._closed = closed
        if self._server is not None:
            await self._server.drain(0 if closed.locked else CALLS_WITHIN)
        self._closed = closed
        try:
            await self._use_cases.stop(close_reason)
            await self._ports.discovery.close()
        finally:
            with suppress(StorageFailure, OSError):  # then the last mark is an older one
                await self._use_cases.alerts.keep()
            await self._use_cases.store.close()
            if closed.locked:
                with suppress(StorageFailure):  # each interface asks by itself after a lock
                    self._vault.keyring.pause()
            self._vault.close()
            self._executor.shutdown(wait=False)
            self._use_cases.bus.publish(closed)
            if self._server is not None:
                await self._server.close()

    # Messenger.

    @property
    def _open(self) -> UseCases:
        """The use cases. Raises NotPermitted or EngineEnded once the engine has stopped."""
        self._refuse_if_stopped()
        return self._use_cases

    def _refuse_if_stopped(self) -> None:
        if self._closed is not None:
            raise NotPermitted(CLOSED) if self._closed.locked else EngineEnded(ENGINE_ENDED)

    def _person(self, contact: str) -> bytes:
        """The person id of a contact. Raises UsageError, and NotPermitted as `_open`."""
        person = self._partner(contact)
        if person not in self._use_cases.book.rows:
            raise UsageError(FOR_CONTACTS)
        return person

    def _partner(self, contact: str) -> bytes:
        """The same, or this person's id, which stands for its notes."""
        self._refuse_if_stopped()
        try:
            person = bytes.fromhex(contact)
        except ValueError:
            raise UsageError(NO_CONTACT) from None
        if person not in self._use_cases.book.rows and not self._is_own(person):
            raise UsageError(NO_CONTACT)
        return person

    def _is_own(self, person: bytes) -> bool:
        return person == self._use_cases.keyring.own.person

    def events(self) -> AsyncIterator[Event]:
        return self._use_cases.bus.subscribe()

    def _addresses(self) -> tuple[str, ...]:
        port = self._use_cases.port.number
        return tuple(format_address(host, port) for host in self._ports.transport.addresses())

    async def me(self) -> SelfView:
        use_cases = self._open
        return SelfView(
            person=use_cases.keyring.own.person.hex(),
            terminal=use_cases.keyring.own.terminal.hex(),
            name=use_cases.keyring.own_log.name,
            port=use_cases.port.number,
            addresses=() if self.is_archive else self._addresses(),
            visible=use_cases.visibility.visible,
            keeps_seed=use_cases.keyring.keeps_seed,
            notes_pinned=use_cases.notes_pin.on,
            without_words=use_cases.alerts.without_words,
            archived=utc(use_cases.archived) if self.is_archive else None,
        )

    @property
    def is_archive(self) -> bool:
        """Whether it has a history and no terminal: it is not to be started, and only to be read."""
        return self._use_cases.archived != 0

    async def contacts(self) -> tuple[ContactView, ...]:
        return self._open.views.contacts()

    async def nearby(self) -> tuple[NearbyView, ...]:
        return self._open.announcer.nearby()

    async def set_visible(self, on: bool) -> None:
        if on:
            self._open.verification.check_own()
        self._open.announcer.set_visible(on)

    async def pair_nearby(self, instance: str) -> PairingView:
        return await self._open.initiate.nearby(instance)

    async def pair_address(self, host: str, port: int) -> PairingView:
        return await self._open.initiate.address(host, port)

    async def invite(self) -> InvitationView:
        return await self._open.accept.invite()

    async def join(self, text: str) -> PairingView:
        return await self._open.initiate.join(text)

    async def answer_pairing(self, pairing: str, accept: bool) -> None:
        await self._open.pairings.answer(pairing, accept)

    async def terminals(self) -> tuple[TerminalView, ...]:
        return self._open.views.terminals()

    async def add_terminal(self) -> LinkingView:
        return await self._open.linker.add()

    async def stop_adding(self) -> None:
        await self._open.linker.stop()

    async def answer_linking(self, linking: str, accept: bool) -> None:
        await self._open.linker.answer(linking, accept)

    async def remove_terminal(self, terminal: str, stolen: bool = True) -> None:
        use_cases = self._open
        if terminal == use_cases.keyring.own.terminal.hex():
            await use_cases.recovery.foresee_removal(terminal)  # raises what the removal would
            if not await use_cases.sync.met():  # it has no link once it is removed
                raise NotPermitted(NOBODY_HEARS)
        await use_cases.recovery.remove(terminal, stolen=stolen)
        await self._open.sync.left()

    async def foresee_removal(self, terminal: str) -> RemovalView:
        return await self._open.recovery.foresee_removal(terminal)

    async def rename_self(self, name: str) -> None:
        await self._open.own_log.rename(name)
        await self._open.sync.left()  # the engine may end with the command

    async def handed_out(self) -> bool:
        keyring = self._open.keyring
        # One that removed itself dials nobody any more, and is heard on the links that it had.
        alone = not keyring.dialled() and not keyring.is_removed
        return alone or await self._open.sync.handed_out()

    async def recovery_words(self) -> RecoveryView:
        return await self._open.recovery.words()

    async def confirm_recovery(self, answers: tuple[str, ...]) -> None:
        await self._open.recovery.confirm(answers)

    async def check_recovery(self, typed: tuple[str, ...], not_mine: bool = False) -> None:
        await self._open.recovery.check(typed, not_mine=not_mine)

    async def foresee_recovery(
        self, typed: tuple[str, ...], removed: tuple[str, ...], not_mine: bool = False
    ) -> RemovalView:
        return await self._open.recovery.foresee(typed, removed, not_mine=not_mine)

    async def begin_recovery(self) -> RecoveryView:
        return self._open.recovery.begin()

    async def recover(
        self,
        typed: tuple[str, ...],
        removed: tuple[str, ...],
        answers: tuple[str, ...],
        same_words: bool = False,
        not_mine: bool = False,
        stolen: bool = True,
    ) -> None:
        following = None if same_words else answers
        await self._open.recovery.use(typed, removed, following, not_mine=not_mine, stolen=stolen)
        await self._open.sync.left()

    async def rename(self, contact: str, name: str) -> None:
        await self._open.people.rename(self._person(contact), name)

    async def block(self, contact: str, on: bool) -> None:
        await self._open.people.block(self._person(contact), on)

    async def pin(self, contact: str, on: bool) -> None:
        person = self._partner(contact)
        if self._is_own(person):
            await self._use_cases.notes_pin.change(on)
        else:
            await self._use_cases.people.pin(person, on)

    async def mute(self, contact: str, on: bool) -> None:
        await self._open.people.mute(self._person(contact), on)

    async def remove(self, contact: str) -> None:
        await self._open.people.remove(self._person(contact))

    async def verification(self, contact: str) -> VerificationView:
        return await self._open.verification.view(self._person(contact))

    async def verify(self, contact: str, number: str) -> None:
        await self._open.verification.verify(self._person(contact), number)

    async def unverify(self, contact: str) -> None:
        await self._open.verification.unverify(self._person(contact))

    async def questions(self) -> tuple[QuestionView, ...]:
        return self._open.verification.questions()

    async def confirm_own(self, operation: str) -> None:
        await self._open.verification.confirm_own(operation)

    async def alerts(self) -> tuple[AlertView, ...]:
        return self._open.alerts.views()

    async def check_files(self, after: int = 0) -> FileCheckView:
        view = await self._open.checker.step(after)
        if view.after is not None:
            return view
        return replace(view, lines=(*await self._open.alerts.lines(), *view.lines))

    async def dismiss_alerts(self) -> None:
        await self._open.alerts.dismiss()

    async def send(
        self, contact: str, text: str, reply: str = "", send_id: str = "", client: str = ""
    ) -> EntryView:
        answered = History.entry_id(reply) if reply else b""
        return await self._use_cases.messages.send(self._partner(contact), text, answered, send_id, client)

    async def send_file(
        self,
        contact: str,
        path: str,
        named: str = "",
        send_id: str = "",
        original: bool = False,
        voice: int = 0,
        client: str = "",
    ) -> EntryView:
        return await self._use_cases.files.send(
            self._partner(contact), Path(path), named, send_id, original=original, voice=voice, client=client
        )

    async def cancel_file(self, contact: str, send_id: str, client: str = "") -> None:
        self._use_cases.files.cancel(self._partner(contact), send_id, client)

    async def open_feed(self) -> str:
        return self._open.feeds.open()

    async def feed(self, name: str, part: bytes, end: bool = False) -> None:
        await self._open.feeds.put(name, part, end=end)

    async def take_file(self, contact: str, id: str) -> EntryView:
        return await self._open.files.take(self._partner(contact), History.entry_id(id))

    async def pause_file(self, contact: str, id: str) -> EntryView:
        return await self._open.files.pause(self._partner(contact), History.entry_id(id))

    async def let_go_of_file(self, contact: str, id: str) -> EntryView:
        return await self._open.files.let_go(self._partner(contact), History.entry_id(id))

    async def files(self) -> tuple[FilesView, ...]:
        return await self._open.files.overview()

    async def limit_files(self, rate: int) -> None:
        self._open.transfers.limit(rate)

    async def save_file(self, contact: str, id: str, folder: str, unasked: bool = False) -> str:
        person, entry = self._partner(contact), History.entry_id(id)
        return str(await self._use_cases.files.save(person, entry, Path(folder), unasked=unasked))

    async def show_picture(self, contact: str, id: str, width: int, height: int) -> PictureView:
        entry = History.entry_id(id)
        return await self._use_cases.files.show(self._partner(contact), entry, width, height)

    async def history(
        self, contact: str, limit: int = 100, before: str | None = None, after: str | None = None
    ) -> tuple[EntryView, ...]:
        return await self._open.history.page(self._partner(contact), limit, before, after)

    async def latest(self) -> tuple[EntryView, ...]:
        return await self._open.history.latest()

    async def set_timer(self, contact: str, seconds: int) -> EntryView | None:
        return await self._use_cases.messages.set_timer(self._person(contact), seconds)

    async def declare_bot(self, commands: tuple[BotCommand, ...], contact: str | None = None) -> None:
        person = self._person(contact) if contact is not None else None
        self._refuse_if_stopped()
        await self._use_cases.bots.declare(commands, person)

    async def withdraw_bot(self, contact: str | None = None) -> None:
        person = self._person(contact) if contact is not None else None
        self._refuse_if_stopped()
        await self._use_cases.bots.declare(None, person)

    async def declared_bot(self, contact: str | None = None) -> BotView:
        person = self._person(contact) if contact is not None else None
        return await self._use_cases.bots.own(person)

    async def clear(self, contact: str) -> None:
        await self._open.clearing.clear(self._partner(contact))

    async def take_earlier(self, contact: str) -> int:
        return await self._open.claims.take(self._person(contact))

    async def takeable(self, contact: str) -> int:
        return await self._open.claims.takeable(self._person(contact))

    async def entry(self, contact: str, id: str) -> EntryView | None:
        return await self._open.history.entry(self._partner(contact), id)

    async def first_unread(self, contact: str) -> str | None:
        return await self._open.history.first_unread(self._partner(contact))

    async def entry_at(self, contact: str, time: datetime) -> str | None:
        return await self._open.history.entry_at(self._partner(contact), time)

    async def details(self, contact: str, id: str) -> DetailsView:
        return await self._open.history.details(self._partner(contact), id)

    async def search(
        self, words: str, contact: str | None = None, limit: int = 100, typing: bool = False
    ) -> tuple[EntryView, ...]:
        person = self._partner(contact) if contact is not None else None
        return await self._open.history.search(parse_query(words, typing=typing), person, limit)

    async def mark_read(self, contact: str, entries: tuple[str, ...]) -> None:
        person, ids = self._partner(contact), [History.entry_id(entry) for entry in entries]
        if not self._is_own(person):  # nothing in the notes is unread
            await self._open.people.mark_read(person, ids)

    async def mark_all_read(self, contact: str) -> None:
        person = self._partner(contact)
        if not self._is_own(person):
            await self._open.people.mark_all_read(person)

    async def delete(self, contact: str, id: str, scope: DeletionScope = DeletionScope.HERE) -> EntryView:
        person, entry, messages = self._partner(contact), History.entry_id(id), self._open.messages
        match scope:
            case DeletionScope.HERE:
                return await messages.delete(person, entry)
            case DeletionScope.MINE:
                return await messages.delete_on_all(person, entry)
            case DeletionScope.EVERYONE:
                return await messages.delete_for_all(person, entry)

    async def edit(self, contact: str, id: str, text: str, send_id: str = "", client: str = "") -> EntryView:
        return await self._use_cases.messages.edit(
            self._partner(contact), History.entry_id(id), text, send_id, client
        )

    async def clean(self) -> None:
        await self._open.cleaner.clean()

    async def typing(self, contact: str, on: bool) -> None:
        person = self._partner(contact)
        if not self._is_own(person):
            self._open.people.typing(person, on)

    async def settings(self) -> SettingsView:
        return self._open.privacy.settings

    async def change_settings(self, settings: SettingsView) -> None:
        await self._use_cases.privacy.change(settings)

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

    async def change_passphrase(
        self, old: str, new: str, cost: UnlockCost = UnlockCost.KEPT, new_key: bool = False
    ) -> None:
        use_cases = self._use_cases
        vault, random, to = self._vault, use_cases.runtime.random, _COSTS[cost]
        try:
            if new_key:
                await use_cases.store.read(vault.change_key, old, new, random=random, cost=to)
                await use_cases.alerts.moved()
            else:
                await use_cases.store.run(partial(vault.change_passphrase, old, new, random=random, cost=to))
        except PassphraseUnsettled:
            try:
                await self._vault.keyring.update(new)
            except KeyringFailure as failure:
                report(use_cases.bus, failure)
            raise
        await self._vault.keyring.update(new)

    async def back_up(self, path: str, passphrase: str, recovery: bool = False) -> BackupView:
        return await self._open.backup.write(Path(path), passphrase, recovery=recovery)

    async def export(self, path: str, form: str, contact: str | None = None) -> BackupView:
        person = self._partner(contact) if contact is not None else None
        return await self._open.readable.write(Path(path), form, person)

    async def history_root(self) -> HistoryRoot:
        return await self._open.roots.compute()

    async def clients(self) -> tuple[ClientView, ...]:
        return await self._open.clients.views()

    async def follow(self, client: str) -> ClientView:
        return await self._open.clients.follow(client)

    async def permit(self, client: str, rights: ClientRights, conversation: str = "") -> TokenView:
        person = self._partner(conversation) if conversation else None
        return await self._open.clients.permit(client, rights, person)

    async def client_of(self, token: str) -> ClientView:
        return await self._open.clients.presenting(token)

    async def forget_client(self, client: str) -> None:
        await self._open.clients.forget(client)

    async def take_turn(self, client: str) -> str:
        return await self._open.clients.take_turn(client)

    async def arrivals(self, client: str, after: int, limit: int = 100, turn: str = "") -> ArrivalsView:
        return await self._open.clients.arrivals(client, after, limit, turn)

    async def acknowledge(self, client: str, position: int, turn: str = "") -> None:
        await self._open.clients.acknowledge(client, position, turn)

    # Diagnosis from inside: the doctor gets addresses, without the names of their owners.

    async def retention(self) -> RetentionView:
        return await self._open.retention.view()

    async def keep(self, days: int) -> RetentionView:
        return await self._open.retention.keep(days)

    async def choose_keeper(self, terminal: str) -> RetentionView:
        return await self._open.retention.choose_keeper(terminal)

    async def diagnose(self) -> tuple[DiagnosisView, ...]:
        # Few starts come to it, so none waits for it.
        from chat.tools.doctor import diagnose
        from chat.tools.doctor.gather import Context

        use_cases = self._open

        async def database() -> str:
            problems = await use_cases.store.read(Database.integrity)
            return problems[0] if problems else ""

        context = Context(
            port=use_cases.port.number,
            listening=True,
            profile=self._vault.folder,
            heard=use_cases.announcer.heard,
            days_ahead=use_cases.announcer.days_ahead(),
            sought=tuple(self._sought()),
            relays=tuple(self._relays()),
            began=self._began,
            promised=tuple(self._promised()),
            visible=use_cases.visibility.visible,
            transport=self._ports.transport,
            clock=self._ports.clock,
            database=database,
        )
        return (*map(alert_line, use_cases.alerts.views()), *await diagnose(context))

    def _sought(self) -> Iterator[Sought]:
        """Contacts, strangers who announce themselves, and an inviter who did not answer."""
        from chat.tools.doctor.gather import Sought

        use_cases = self._use_cases
        announced = use_cases.announcer.announced()
        for peer in use_cases.keyring.dialled():
            link = use_cases.links.current(peer)
            if link is not None and use_cases.links.is_heard(peer) and not link.relayed:
                yield Sought(((link.address, 0),), linked=True)
                continue
            # Of a contact that is present, a terminal is missing here only if it announces itself.
            hints = () if use_cases.links.is_present(peer.person) else use_cases.keyring.hints(peer)
            if places := announced.get(peer) or hints:
                yield Sought(tuple(places), heard=peer in announced, is_it=self._dials(peer))
        yield from (Sought(places, heard=True) for places in use_cases.announcer.strangers())
        if use_cases.initiate.unanswered:
            yield Sought(use_cases.initiate.unanswered)

    def _dials(self, peer: Peer) -> Callable[[], Awaitable[bool]]:
        """Whether a contact's terminal answers with its keys; a link that opens stays."""

        async def is_it() -> bool:
            return isinstance(await self._use_cases.dialer.dial(peer, IDENTIFIED_WITHIN), LinkOpen)

        return is_it

    def _relays(self) -> Iterator[Relay]:
        from chat.tools.doctor.gather import Relay

        shown: Counter[str] = Counter()
        for relay in self._use_cases.relays.addresses():
            place = format_address(relay.host, relay.port)
            shown[place] += 1  # two relays with different keys may have one address
            name = place if shown[place] == 1 else f"{place} ({shown[place]})"
            yield Relay(name, relay.key, partial(self._ports.transport.connect_relay, relay))

    def _promised(self) -> Iterator[str]:
        """The addresses in invitations that can still be used."""
        now = self._ports.clock.wall() // 1000
        for opened in self._use_cases.keyring.invitations.values():
            if opened.burned_by is None and not opened.invitation.expired(now):
                yield from (parse(address)[0] for address in opened.invitation.addresses)


async def open_engine(
    vault: Vault, ports: Ports, config: Config, executor: Executor, outside: Path | None = None
) -> Engine:
    """Read the profile and make an engine of it, not yet started. Raises the StorageFailure family.

    `outside`: the folder in which the mark of the profile is kept, None for none.
    """
    return Engine(await UseCases.load(vault, ports, config, executor, outside), vault, executor, ports)
