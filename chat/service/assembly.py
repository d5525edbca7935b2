"""All use cases of one engine, made and joined in one place.

Rules: wiring only; who must hear of a change is written here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from chat.network.acceptor import Acceptor
from chat.network.connector import Dialer
from chat.network.links import Links
from chat.network.relay.client import RelayClient
from chat.ports import Listener, Ports
from chat.service.contacts import People
from chat.service.discovery import AddressBook, Announcer
from chat.service.history import Deleting, History
from chat.service.maintenance import Cleaner
from chat.service.pairing.accept import Accept
from chat.service.pairing.initiate import Initiate
from chat.service.pairing.session import PairingService
from chat.service.person_logs import PendingContacts, PersonLogs
from chat.service.settings import Preferences, Relays
from chat.service.state import EngineState
from chat.service.sync import Exchange, Inbound, Sending
from chat.service.views import Views


@dataclass(slots=True)
class UseCases:
    """The use cases of an engine. `began`: the addresses of this machine when it was started."""

    world: EngineState
    views: Views
    pending: PendingContacts
    receiving: Inbound
    sending: Sending
    history: History
    people: People
    cleaning: Cleaner
    deleting: Deleting
    preferences: Preferences
    relays: Relays
    pairings: PairingService
    meeting: Initiate
    welcoming: Accept
    announcing: Announcer
    relaying: RelayClient
    dialler: Dialer
    answerer: Acceptor
    listener: Listener | None = field(default=None)
    began: tuple[str, ...] = ()

    @classmethod
    def wire(cls, world: EngineState, ports: Ports) -> UseCases:
        """Make all parts of an engine and join them."""
        views = Views(world)
        cleaning = Cleaner(world)
        pending = PendingContacts(world, views)
        receiving = Inbound(world, views, pending)
        remembering = AddressBook(world)
        exchange = Exchange(world, views, receiving, PersonLogs(world, views, pending), remembering)
        world.links = Links(world.keyring, world.clock, world.config, exchange)
        relaying = _relaying(world, ports)
        dialler = _dialler(world, ports, relaying)
        pending.released = exchange.catch_up
        pairings = PairingService(world, pending)
        welcoming = Accept(world, pairings, ports.transport)
        answerer = _answerer(world, welcoming)
        parts = cls(
            world=world,
            views=views,
            pending=pending,
            receiving=receiving,
            sending=Sending(world, views, exchange.carry),
            history=History(world, views),
            people=People(world, views, exchange, cleaning),
            cleaning=cleaning,
            deleting=Deleting(world, views, cleaning),
            preferences=Preferences(world),
            relays=Relays(world),
            pairings=pairings,
            meeting=Initiate(world, pairings, ports.transport, relaying),
            welcoming=welcoming,
            announcing=Announcer(world, ports.discovery, ports.transport, dialler),
            relaying=relaying,
            dialler=dialler,
            answerer=answerer,
        )
        parts._join(remembering)
        return parts

    def _join(self, remembering: AddressBook) -> None:
        self.relaying.accept = self.answerer.accept
        self.relays.named, self.relaying.told = self.relaying.name, self.relays.stands
        self.announcing.moved = self.relaying.network_changed
        self.welcoming.changed = self.relaying.renew
        self.pending.changed = self._contacts_changed
        self.pending.deleted = self.cleaning.begin
        self.people.changed = self._contacts_changed
        self.meeting.where = self.announcing.places
        self.meeting.learn = self.relays.learn
        self.welcoming.relays = self.relays.to_carry
        self.welcoming.visibility_used = self.pairings.paired = lambda: self.announcing.set_visible(False)

        async def attached(person: bytes, host: str, port: int) -> None:
            await remembering.met(person, host, port)
            self.dialler.seek(person)

        self.pairings.attached = attached

    def _contacts_changed(self) -> None:
        """Contacts or their terminals came or went: seek them, and announce for them."""
        self.world.links.part()
        self.dialler.follow(self.world.keyring.linkable())
        self.relaying.renew()
        self.announcing.recognise_again()
        self.announcing.renew()

    async def stop(self, reason: int) -> None:
        """End pairings, links and the port, in this order."""
        if self.listener is not None:
            await self.listener.close()
        self.relaying.stop()
        self.answerer.stop()
        await self.pairings.stop()
        await self.world.links.close_all(reason)


def _relaying(world: EngineState, ports: Ports) -> RelayClient:
    return RelayClient(world.keyring, ports.transport, world.clock, world.random, world.config, world.tasks)


def _dialler(world: EngineState, ports: Ports, relaying: RelayClient) -> Dialer:
    return Dialer(
        world.keyring,
        world.links,
        ports.transport,
        relaying,
        world.clock,
        world.random,
        world.config,
        world.tasks,
    )


def _answerer(world: EngineState, welcoming: Accept) -> Acceptor:
    return Acceptor(
        world.keyring,
        world.links,
        world.clock,
        world.random,
        world.config,
        welcoming.opened,
        welcoming.burn,
    )
