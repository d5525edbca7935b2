"""All use_cases of one engine, constructed in one place, and the signals between them."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

from chat.config import Config
from chat.errors import phrase
from chat.interface import Notice, ParlourError
from chat.network.acceptor import Acceptor
from chat.network.connector import Dialer
from chat.network.links import LinkLost, LinkNeeded, Links, PresenceChanged, RelayedLinkOpened
from chat.network.relay.client import RelayClient, RelayStands
from chat.ports import Ports
from chat.service.contacts import People
from chat.service.discovery import AddressBook, Announcer, ListeningPort
from chat.service.events import (
    ContactFound,
    ContactReleased,
    ContactsChanged,
    EventBus,
    InvitationsChanged,
    NetworkChanged,
    RelaysNamed,
    VisibilityUsed,
)
from chat.service.history import History
from chat.service.keyring import Keyring, Visibility
from chat.service.maintenance import Cleaner
from chat.service.messages import Messages
from chat.service.pairing.accept import Accept
from chat.service.pairing.initiate import Initiate
from chat.service.pairing.session import PairingService
from chat.service.person_logs import PendingContacts, PersonLogs
from chat.service.settings import Preferences, Privacy, Relays
from chat.service.state import ContactBook, read_profile
from chat.service.sync import Inbound, Outbound, Synchronizer
from chat.service.views import Views
from chat.storage.database import Store
from chat.storage.profile import Vault
from chat.tasks import Runtime, Tasks


@dataclass(frozen=True, slots=True)
class UseCases:
    """The use_cases of an engine: what they share, the use cases, and the network."""

    runtime: Runtime
    store: Store
    bus: EventBus
    keyring: Keyring
    visibility: Visibility
    book: ContactBook
    port: ListeningPort
    views: Views
    pending: PendingContacts
    inbound: Inbound
    sync: Synchronizer
    messages: Messages
    history: History
    people: People
    cleaner: Cleaner
    privacy: Privacy
    preferences: Preferences
    relays: Relays
    pairings: PairingService
    initiate: Initiate
    accept: Accept
    announcer: Announcer
    links: Links
    dialer: Dialer
    acceptor: Acceptor
    relay_client: RelayClient

    @classmethod
    async def load(cls, vault: Vault, ports: Ports, config: Config, executor: Executor) -> UseCases:
        """Read the profile, and construct all use_cases. Raises the StorageFailure family."""
        bus = EventBus()
        runtime = Runtime(ports.clock, ports.random, config, Tasks(partial(report, bus)))
        clock, transport = ports.clock, ports.transport
        database = await asyncio.get_running_loop().run_in_executor(executor, vault.database)
        store = Store(database, executor)
        profile = await store.read(read_profile, clock.wall() // 1000)
        visibility, book, own_person = Visibility(), profile.contacts, profile.own.person
        keyring = Keyring(
            profile.own,
            profile.log,
            visibility,
            clock.wall,
            profile.keys,
            profile.invitations,
            profile.remembered,
        )

        cleaner = Cleaner(runtime, store, bus)
        privacy = Privacy(store, profile.settings)
        relays = Relays(runtime, store, bus, profile.relays)
        port = ListeningPort(runtime, store, bus, vault, transport)
        addresses = AddressBook(clock, store, keyring)
        links = Links(runtime, keyring, bus.signal)
        views = Views(keyring, book, links, bus)
        pending = PendingContacts(clock, store, bus, keyring, book, views, cleaner)

        inbound = Inbound(runtime, store, bus, keyring, book, links, views, pending)
        outbound = partial(Outbound, store, bus, keyring, book, privacy, port)
        logs = PersonLogs(store, bus, keyring, book, views, pending)
        sync = Synchronizer(runtime, bus, book, links, views, inbound, outbound, logs, addresses)

        pairings = PairingService(runtime, store, bus, keyring, book, pending, addresses)
        accept = Accept(runtime, store, bus, keyring, visibility, pairings, relays, port, transport)
        acceptor = Acceptor(runtime, keyring, sync.adopt, accept.opened, accept.burn)
        relay_client = RelayClient(runtime, keyring, transport, acceptor.accept, bus.signal)
        dialer = Dialer(runtime, keyring, links, sync.adopt, relay_client, transport)
        announcer = Announcer(
            runtime, store, bus, keyring, visibility, book, port, transport, ports.discovery
        )
        use_cases = cls(
            runtime=runtime,
            store=store,
            bus=bus,
            keyring=keyring,
            visibility=visibility,
            book=book,
            port=port,
            views=views,
            pending=pending,
            inbound=inbound,
            sync=sync,
            messages=Messages(runtime, store, bus, keyring, book, views, sync, cleaner),
            history=History(store, own_person, views),
            people=People(clock, store, bus, keyring, book, links, views, sync, privacy, cleaner),
            cleaner=cleaner,
            privacy=privacy,
            preferences=Preferences(store),
            relays=relays,
            pairings=pairings,
            initiate=Initiate(runtime, keyring, pairings, announcer, relays, relay_client, transport),
            accept=accept,
            announcer=announcer,
            links=links,
            dialer=dialer,
            acceptor=acceptor,
            relay_client=relay_client,
        )
        use_cases._subscribe()
        return use_cases

    def _subscribe(self) -> None:
        """Connect each signal to its handlers."""
        bus, dialer, relay_client = self.bus, self.dialer, self.relay_client
        bus.on(PresenceChanged, lambda signal: self.views.publish_contact(signal.person))
        bus.on(LinkNeeded, dialer.needed)
        bus.on(LinkLost, dialer.lost)
        bus.on(RelayedLinkOpened, dialer.relayed)
        bus.on(RelayStands, self.relays.stands)
        bus.on(RelayStands, dialer.relay_stands)
        bus.on(RelaysNamed, lambda signal: relay_client.name(signal.relays))
        bus.on(InvitationsChanged, lambda _: relay_client.renew())
        bus.on(ContactReleased, lambda signal: self.sync.catch_up(signal.person))
        bus.on(ContactFound, lambda signal: dialer.seek(signal.person))
        bus.on(ContactsChanged, lambda _: self._contacts_changed())
        bus.on(NetworkChanged, lambda _: self._network_changed())
        bus.on(VisibilityUsed, lambda _: self.announcer.set_visible(False))

    def _contacts_changed(self) -> None:
        self.links.close_unwanted()
        self.dialer.follow(self.keyring.linkable())
        self.relay_client.renew()
        self.announcer.recognise_again()
        self.announcer.renew()

    def _network_changed(self) -> None:
        self.relay_client.network_changed()
        self.dialer.seek_all()
        self.runtime.tasks.spawn(self.links.probe())

    async def stop(self, reason: int) -> None:
        """Close the port, end pairings, then links, with the reason of their Close."""
        await self.port.close()
        self.relay_client.stop()
        self.acceptor.stop()
        await self.pairings.stop()
        await self.links.close_all(reason)
        await self.runtime.tasks.stop()


def report(bus: EventBus, error: BaseException) -> None:
    """Publish the failure of a background task."""
    if isinstance(error, ParlourError):
        bus.publish(Notice(error.phrase))
        return
    unexpected = phrase(
        "Something unexpected failed in Parlour ({kind}): restart it, and report this if it happens again.",
        kind=type(error).__name__,
    )
    bus.publish(Notice(unexpected))
    asyncio.get_running_loop().call_exception_handler({"message": "task failed", "exception": error})
