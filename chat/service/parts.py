"""All use cases of one engine, made and joined in one place.

Rules: wiring only; who must hear of a change is written here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from chat.network.answering import Answerer
from chat.network.dialling import Dialler
from chat.network.links import Links
from chat.network.relaying import Relaying
from chat.ports import Listener, Ports
from chat.service.announcing import Announcing
from chat.service.cleaning import Cleaning
from chat.service.deleting import Deleting
from chat.service.exchange import Exchange, Receiving, Sending
from chat.service.history import History
from chat.service.logs import Logs
from chat.service.meeting import Meeting
from chat.service.pairing import PairingService
from chat.service.pending import PendingContacts
from chat.service.people import People
from chat.service.preferences import Preferences
from chat.service.relays import Relays
from chat.service.remembering import Remembering
from chat.service.views import Views
from chat.service.welcoming import Welcoming
from chat.service.world import World


@dataclass(slots=True)
class Parts:
    """The use cases of an engine. `began`: the addresses of this machine when it was started."""

    world: World
    views: Views
    pending: PendingContacts
    receiving: Receiving
    sending: Sending
    history: History
    people: People
    cleaning: Cleaning
    deleting: Deleting
    preferences: Preferences
    relays: Relays
    pairings: PairingService
    meeting: Meeting
    welcoming: Welcoming
    announcing: Announcing
    relaying: Relaying
    dialler: Dialler
    answerer: Answerer
    listener: Listener | None = field(default=None)
    began: tuple[str, ...] = ()

    @classmethod
    def wire(cls, world: World, ports: Ports) -> Parts:
        """Make all parts of an engine and join them."""
        views = Views(world)
        cleaning = Cleaning(world)
        pending = PendingContacts(world, views)
        receiving = Receiving(world, views, pending)
        remembering = Remembering(world)
        exchange = Exchange(world, views, receiving, Logs(world, views, pending), remembering)
        world.links = Links(world.keyring, world.clock, world.config, exchange)
        relaying = _relaying(world, ports)
        dialler = _dialler(world, ports, relaying)
        pending.released = exchange.catch_up
        pairings = PairingService(world, pending)
        welcoming = Welcoming(world, pairings, ports.transport)
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
            meeting=Meeting(world, pairings, ports.transport, relaying),
            welcoming=welcoming,
            announcing=Announcing(world, ports.discovery, ports.transport, dialler),
            relaying=relaying,
            dialler=dialler,
            answerer=answerer,
        )
        parts._join(remembering)
        return parts

    def _join(self, remembering: Remembering) -> None:
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


def _relaying(world: World, ports: Ports) -> Relaying:
    return Relaying(world.keyring, ports.transport, world.clock, world.random, world.config, world.tasks)


def _dialler(world: World, ports: Ports, relaying: Relaying) -> Dialler:
    return Dialler(
        world.keyring,
        world.links,
        ports.transport,
        relaying,
        world.clock,
        world.random,
        world.config,
        world.tasks,
    )


def _answerer(world: World, welcoming: Welcoming) -> Answerer:
    return Answerer(
        world.keyring,
        world.links,
        world.clock,
        world.random,
        world.config,
        welcoming.opened,
        welcoming.burn,
    )
