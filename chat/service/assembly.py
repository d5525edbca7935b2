"""All use_cases of one engine, constructed in one place, and the signals between them."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from contextlib import suppress
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from chat.config import Config
from chat.errors import phrase
from chat.interface import Notice, ParlourError
from chat.network.acceptor import Acceptor
from chat.network.connector import Dialer
from chat.network.driver import Adopt, Driver, Handler
from chat.network.links import (
    LinkLost,
    LinkNeeded,
    Links,
    PresenceChanged,
    RelayedLinkOpened,
    RunsTwice,
    ToldTwice,
)
from chat.network.relay.client import RelayClient, RelayStands
from chat.ports import Ports
from chat.service import events
from chat.service.alerts import Alerts, Keeper
from chat.service.allowances import Allowances
from chat.service.amending import Amendments
from chat.service.attendance import Attendance
from chat.service.backup import Backup
from chat.service.bots import Bots
from chat.service.checking import Checker
from chat.service.claims import Claims
from chat.service.clearing import Clearing
from chat.service.clients import Clients
from chat.service.comparison import Comparison, Gaps
from chat.service.contacts import People
from chat.service.copies import Copies
from chat.service.discovery import AddressBook, Announcer, ListeningPort
from chat.service.events import EventBus
from chat.service.expiry import AgeClock, Expirer
from chat.service.feeds import Feeds
from chat.service.files import Files
from chat.service.forwarding import Forwarding
from chat.service.history import History
from chat.service.keyring import Keyring, Visibility
from chat.service.linking import Linker
from chat.service.maintenance import Cleaner, Settler
from chat.service.marks import Marks
from chat.service.messages import Messages
from chat.service.notes import Notes
from chat.service.own_log import OwnLog
from chat.service.pairing.accept import Accept
from chat.service.pairing.initiate import Initiate
from chat.service.pairing.session import PairingService
from chat.service.pairing.storage import PendingContacts
from chat.service.person_logs import PersonLogs
from chat.service.pinning import NotesPin
from chat.service.provisional import Provisional
from chat.service.readable import Readable
from chat.service.recovery import Recovery
from chat.service.renewal import Renewals
from chat.service.retention import Retention
from chat.service.roots import Roots
from chat.service.settings import Preferences, Privacy, Relays
from chat.service.shelf import Shelf
from chat.service.state import Profile, read_profile
from chat.service.sync import Inbound, Outbound, Synchronizer
from chat.service.transfers import Transfers
from chat.service.twins import Twins
from chat.service.verification import Verification
from chat.service.views import Views
from chat.service.words import Words
from chat.storage import alerts
from chat.storage.alerts import AlertRow
from chat.storage.aside import Aside
from chat.storage.database import Store
from chat.storage.errors import StorageFailure
from chat.storage.profile import Vault
from chat.tasks import AHEAD, Beat, Runtime, Tasks
from protocol.link.framing import Pattern
from protocol.link.states import LinkOpen


class UseCases:
    """The parts of an engine: what they share, the use cases, and the network."""

    @classmethod
    async def load(
        cls, vault: Vault, ports: Ports, config: Config, executor: Executor, outside: Path | None = None
    ) -> UseCases:
        """Read the profile, and construct all parts. `outside`: the folder of its mark.

        Raises the StorageFailure family.
        """
        find = partial(vault.outside, outside) if outside is not None else lambda: None
        keeper = Keeper(find(), ports.random, find)
        loop, wall = asyncio.get_running_loop(), ports.clock.wall
        database = await loop.run_in_executor(executor, vault.database, wall())
        bus = EventBus()
        store = Store(
            database,
            executor,
            lambda damaged, found: vault.mend(damaged, found, wall()),
            lambda gone: bus.signal(events.EntriesGone(gone)),
        )
        opened = partial(keeper.open, now=ports.clock.wall(), read_only=vault.read_only)
        unstored = await store.read(opened)
        profile = await store.read(read_profile, aside := Aside())
        if aside.names and not vault.read_only:
            with suppress(StorageFailure):  # the next start says it
                await store.write(alerts.tell_of, aside.names, wall())
                profile = replace(profile, alerts=await store.read(alerts.all_of))
        use_cases = cls(store, bus, profile, vault, ports, config, keeper, unstored)
        await use_cases.expirer.before_anything_is_shown()
        return use_cases

    def __init__(
        self,
        store: Store,
        bus: EventBus,
        profile: Profile,
        vault: Vault,
        ports: Ports,
        config: Config,
        keeper: Keeper,
        unstored: tuple[AlertRow, ...],
    ) -> None:
        self.store, self.book, self.archived = store, profile.contacts, profile.archived
        self.bus, self.visibility, adding = bus, Visibility(), Visibility()
        tasks = Tasks(partial(report, bus))
        beat = Beat(config.suspect_after, AHEAD * profile.own.terminal[0] / 256)
        self.runtime = Runtime(ports.clock, ports.random, config, tasks, beat=beat)
        self.keyring = Keyring(
            profile.own,
            profile.log,
            self.visibility,
            ports.clock.wall,
            profile.keys,
            profile.invitations,
            profile.remembered,
            profile.proven,
            profile.own_confirmed,
            profile.own_terminals,
            own_signing=profile.own_signing,
            seed_key=profile.seed_key,
            adding=adding,
            awaited=profile.awaited,
        )
        runtime, keyring, book = self.runtime, self.keyring, self.book
        clock, transport = ports.clock, ports.transport

        self.shelf = shelf = Shelf(runtime, store, vault.folder)
        self.cleaner = cleaner = Cleaner(runtime, store, bus, shelf)
        self.checker = Checker(runtime, store, bus)
        ages = AgeClock(clock, profile.clock)
        self.alerts = Alerts(
            *(runtime, store, bus, keyring, keeper, ages),
            [*profile.alerts, *unstored],
            profile.alerts_seen,
            profile.reminder_seen,
            words=profile.words_confirmed,
        )
        self.backup = Backup(runtime, store, bus, vault, keyring)
        self.preferences = preferences = Preferences(store, bus, profile.words)
        self.port = port = ListeningPort(runtime, store, bus, vault, transport)
        self.links = links = Links(runtime, keyring, bus.signal)
        self.attendance = Attendance(runtime, store, keyring, book, links)
        self.allowances = allowances = Allowances(store, links, profile.own.person, profile.allowances)
        self.views = views = Views(keyring, book, links, bus, ages.now, shelf.held, allowances)
        gaps = Gaps(runtime, store, keyring)
        amendments = Amendments(store, bus, keyring, book, views, cleaner.begin)
        self.notes = notes = Notes(
            runtime, store, bus, keyring, book, links, views, cleaner, gaps, amendments
        )
        self.privacy = privacy = Privacy(store, profile.settings, notes)
        self.notes_pin = NotesPin(store, bus, profile.notes_pinned, notes)
        self.words = words = Words(store, notes, self.alerts)
        self.relays = relays = Relays(runtime, store, bus, profile.relays, notes)
        self.expirer = expirer = Expirer(runtime, store, bus, keyring, book, views, ages, cleaner)
        self.claims = claims = Claims(runtime, store, bus, keyring, views, expirer)
        self.settler = settler = Settler(runtime, store, bus, amendments, claims.settle)
        self.history = History(store, profile.own.person, views)
        self.clients = Clients(runtime, store, bus, views)
        self.readable = Readable(runtime, store, bus, keyring, book, views)
        self.roots = Roots(store, keyring, book)
        self.pending = pending = PendingContacts(clock, store, bus, keyring, book, views, cleaner, notes)

        marks = Marks(runtime, store, bus, keyring, book, links, views, expirer)
        self.inbound = inbound = Inbound(
            runtime,
            store,
            bus,
            keyring,
            book,
            links,
            views,
            pending,
            settler,
            expirer,
            amendments,
            notes,
            gaps,
            marks,
            claims,
        )
        outbound = partial(Outbound, store, bus, keyring, book, privacy, port)
        self.own_log = own_log = OwnLog(runtime, store, bus, keyring)
        logs = PersonLogs(runtime, store, bus, keyring, book, links, views, pending, own_log, notes)
        addresses = AddressBook(clock, store, keyring)
        comparison = Comparison(runtime, store, bus, keyring, views)
        self.forwarding = forwarding = Forwarding(
            runtime, store, bus, keyring, book, links, logs, gaps, port, notes, marks
        )
        renewals = Renewals(runtime, store, bus, keyring, own_log, cleaner)
        self.provisional = provisional = Provisional(runtime, store, keyring, logs)
        self.transfers = transfers = Transfers(runtime, store, bus, keyring, shelf, allowances)
        self.sync = sync = Synchronizer(
            runtime,
            bus,
            book,
            links,
            views,
            inbound,
            comparison,
            outbound,
            logs,
            addresses,
            forwarding,
            renewals,
            provisional,
            transfers,
        )
        self.recovery = Recovery(runtime, store, keyring, own_log, cleaner, words.confirm)
        self.messages = Messages(
            runtime, store, bus, keyring, book, views, sync, cleaner, expirer, amendments, notes
        )
        self.bots = Bots(runtime, store, keyring, book, views, self.messages, notes)
        self.feeds = Feeds(runtime)
        copies = Copies(store, keyring)
        self.files = Files(
            runtime, store, bus, keyring, views, shelf, transfers, self.messages, self.feeds, copies
        )
        self.retention = Retention(runtime, store, bus, keyring, book, links, forwarding, cleaner, notes)
        self.clearing = Clearing(runtime, store, bus, keyring, book, views, cleaner)
        self.verification = Verification(runtime, store, bus, keyring, book, views, own_log.confirm, notes)
        self.people = People(
            clock, store, bus, keyring, book, links, views, sync, privacy, cleaner, expirer, notes
        )

        self.pairings = pairings = PairingService(
            runtime, store, bus, keyring, book, links, pending, addresses
        )
        self.accept = accept = Accept(
            runtime, store, bus, keyring, self.visibility, pairings, relays, port, transport, cleaner
        )
        self.announcer = Announcer(
            runtime, store, bus, keyring, self.visibility, adding, book, port, transport, ports.discovery
        )
        self.linker = linker = Linker(runtime, store, bus, keyring, adding, self.announcer, own_log, book)
        strangers = partial(_by_pattern, accept.opened, linker.opened)
        self.acceptor = acceptor = Acceptor(
            runtime, keyring, sync.adopt, strangers, accept.burn, preferences.offered
        )
        self.relay_client = RelayClient(runtime, keyring, transport, acceptor.accept, bus.signal)
        self.dialer = Dialer(runtime, keyring, links, sync.adopt, self.relay_client, transport)
        self.initiate = Initiate(
            runtime, keyring, pairings, self.announcer, relays, self.relay_client, transport, preferences
        )
        self._subscribe()

    def _subscribe(self) -> None:
        bus, dialer, relay_client = self.bus, self.dialer, self.relay_client
        bus.on(PresenceChanged, lambda signal: self.views.publish_contact(signal.person))
        bus.on(LinkNeeded, dialer.needed)
        bus.on(LinkLost, dialer.lost)
        bus.on(RelayedLinkOpened, dialer.relayed)
        bus.on(RelayStands, self.relays.stands)
        bus.on(RelayStands, dialer.relay_stands)
        bus.on(events.RelaysNamed, lambda signal: relay_client.name(signal.relays))
        bus.on(events.InvitationsChanged, lambda _: relay_client.renew())
        for kind in (events.CutsFollowed, events.ContactsChanged, events.OwnLogGrew, events.SecretsRenewed):
            bus.on(kind, lambda _: self.settler.begin())
        bus.on(events.CutsFollowed, lambda _: self.expirer.follow_timers())
        bus.on(events.RanksSettled, lambda _: self.expirer.follow_timers())
        bus.on(events.BotDeclared, self.bots.declared)
        bus.on(events.CutsFollowed, lambda _: self.bots.begin())
        bus.on(events.RanksSettled, lambda _: self.bots.begin())
        bus.on(events.EntriesGone, lambda _: self.bots.begin() if self.book.bots else None)
        bus.on(events.ContactsChanged, lambda _: self.runtime.tasks.spawn(self.bots.settle()))
        bus.on(events.NoteWritten, lambda signal: self.sync.send(self.keyring.own.person, signal.entry))
        bus.on(events.HoldingSaid, self.retention.hear)
        bus.on(events.FilesBounded, lambda _: self.runtime.tasks.spawn(self._bound_files()))
        bus.on(events.ContactsChanged, lambda _: self.runtime.tasks.spawn(self._bound_files()))
        bus.on(events.FilesNamed, lambda _: self.files.came())
        bus.on(events.RanksSettled, lambda _: self.files.came())
        bus.on(events.SettlingDue, lambda _: self.settler.begin())
        bus.on(events.ClaimsTaken, lambda signal: self.forwarding.compare(signal.person))
        bus.on(events.LogsAwaited, lambda _: self.forwarding.ask_logs())
        bus.on(events.RanksSettled, lambda _: self.notes.begin())
        bus.on(events.SettingsShared, lambda _: self.runtime.tasks.spawn(self.privacy.reload()))
        bus.on(events.SettingsShared, lambda _: self.runtime.tasks.spawn(self.notes_pin.reload()))
        bus.on(events.SettingsShared, lambda _: self.runtime.tasks.spawn(self.words.reload()))
        bus.on(events.SettingsShared, lambda _: self.retention.changed())
        bus.on(events.RelaysShared, lambda _: self.runtime.tasks.spawn(self.relays.reload()))
        bus.on(events.EntriesGone, lambda signal: self.sync.gone(signal.entries))
        bus.on(events.EntriesGone, lambda signal: self.transfers.gone(signal.entries))
        bus.on(events.ContactReleased, lambda signal: self.sync.catch_up(signal.person))
        bus.on(events.EntriesPassedOn, self.sync.pass_on)
        bus.on(events.TerminalFound, lambda signal: dialer.seek(signal.peer))
        bus.on(events.ContactsChanged, lambda _: self._contacts_changed())
        bus.on(events.NetworkChanged, lambda _: self._network_changed())
        bus.on(events.OwnLogGrew, lambda _: self._own_log_changed())
        bus.on(events.OwnLogGrew, lambda _: self.views.publish_labels())
        bus.on(events.SecretsRenewed, self._secrets_renewed)
        bus.on(events.DatabaseMended, lambda _: self._database_mended())
        bus.on(events.OwnEntryReturned, self.alerts.own_entry_returned)
        twins = Twins(self.runtime, bus, self.keyring, self.links, self.views, self.alerts)
        bus.on(RunsTwice, twins.found)
        bus.on(ToldTwice, twins.told)
        bus.on(events.VisibilityUsed, lambda _: self.announcer.set_visible(False))

    async def _bound_files(self) -> None:
        await self.allowances.reload()
        self.transfers.follow()

    def _database_mended(self) -> None:
        self.runtime.tasks.spawn(self.views.publish_all(self.store))
        for link in self.links.all():  # a contact sends nothing twice on one, and what it sent may be lost
            link.driver.abort()

    def _contacts_changed(self) -> None:
        self._terminals_changed()
        self.forwarding.contacts_changed()
        self.runtime.beat.by(0.0)

    def _terminals_changed(self) -> None:
        self.links.close_unwanted(self.sync.part)
        self.provisional.settle()
        self.dialer.follow(self.keyring.dialled())
        self.relay_client.renew()
        self.announcer.recognise_again()
        self.announcer.renew()

    def _own_log_changed(self) -> None:
        self.runtime.beat.by(0.0)
        self.verification.own_log_changed()
        self.alerts.own_log_changed()
        self.retention.changed()
        self.runtime.tasks.spawn(self.notes.own_log_changed())
        self._terminals_changed()
        self.sync.hand_out_log()

    def _secrets_renewed(self, _: events.SecretsRenewed) -> None:
        self.relay_client.renew()
        self.announcer.recognise_again()
        self.announcer.renew()

    def _network_changed(self) -> None:
        self.runtime.beat.by(0.0)  # the machine may have slept
        self.relay_client.network_changed()
        self.dialer.seek_all()
        self.runtime.tasks.spawn(self.links.probe())

    async def stop(self, reason: int) -> None:
        """Close the port, end pairings, then links, with the reason of their Close."""
        self.feeds.close()
        await self.port.close()
        self.relay_client.stop()
        self.acceptor.stop()
        await self.pairings.stop()
        await self.linker.stop()
        await self.attendance.save()
        await self.links.close_all(reason)
        await self.expirer.save()
        await self.transfers.settle()
        await self.runtime.tasks.stop()
        await self.shelf.close()


async def _by_pattern(pair: Adopt, link: Adopt, driver: Driver, opened: LinkOpen) -> Handler | None:
    """Let a stranger's open link begin a pairing, or the linking of a device of this person."""
    return await (link if opened.pattern is Pattern.LINKING else pair)(driver, opened)


def report(bus: EventBus, error: BaseException) -> None:
    """Publish the failure of a background task."""
    if isinstance(error, ParlourError):
        bus.publish(Notice(error.phrase))
        return
    unexpected = phrase(
        "Parlour had an internal error ({kind}): restart it, and report this if it happens again.",
        kind=type(error).__name__,
    )
    bus.publish(Notice(unexpected))
    asyncio.get_running_loop().call_exception_handler({"message": "task failed", "exception": error})
