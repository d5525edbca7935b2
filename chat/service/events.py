"""The event bus of an engine: events for its clients, and signals between its parts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from chat.interface import Closed, Event
from chat.network.links import Peer
from protocol.identity.reduction import Cause
from protocol.relay.rendezvous import RelayAddress

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class ContactsChanged:
    """Contacts or their terminals were added or removed."""


@dataclass(frozen=True, slots=True)
class OwnLogGrew:
    """Operations were added to this person's own log, which contacts lack, or some were confirmed."""


@dataclass(frozen=True, slots=True)
class CutsFollowed:
    """Cuts may have come in force: which entries count is to be settled."""


@dataclass(frozen=True, slots=True)
class DatabaseMended:
    """What could be read of a damaged database is in a fresh one: the rest is to be asked of contacts."""


@dataclass(frozen=True, slots=True)
class OwnEntryReturned:
    """A contact passed an entry of this very terminal that was not held; `time` is that of its header."""

    time: int


@dataclass(frozen=True, slots=True)
class RanksSettled:
    """The order of entries and which of them count are settled, after something was due."""


@dataclass(frozen=True, slots=True)
class EntriesGone:
    """The content of entries was destroyed here: none of it may leave any more."""

    entries: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class EntriesPassedOn:
    """Another terminal of this person passed on entries (ids), some of which a contact may lack."""

    person: bytes
    entries: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class OwnLogChanged:
    """A contact returned a change of this person's own log that this engine did not make."""

    cause: Cause


@dataclass(frozen=True, slots=True)
class ContactReleased:
    """Sending to a contact is no longer held."""

    person: bytes


@dataclass(frozen=True, slots=True)
class TerminalFound:
    """A contact's terminal can probably be reached now."""

    peer: Peer


@dataclass(frozen=True, slots=True)
class InvitationsChanged:
    """Invitations were made, used up or dropped."""


@dataclass(frozen=True, slots=True)
class VisibilityUsed:
    """The one pairing attempt of a period of visibility is over."""


@dataclass(frozen=True, slots=True)
class RelaysNamed:
    """All relays that the user has named, at the start and after each change."""

    relays: tuple[RelayAddress, ...]


@dataclass(frozen=True, slots=True)
class NetworkChanged:
    """An interface or address of this machine changed."""


class Subscription(AsyncIterator[Event]):
    """One client's stream: every event from its subscription on, in order, up to `Closed`."""

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self.queue: asyncio.Queue[Event] = asyncio.Queue()
        self._ended = False

    async def __anext__(self) -> Event:
        if self._ended:
            raise StopAsyncIteration
        event = await self.queue.get()
        if isinstance(event, Closed):
            self._ended = True
            self._bus.forget(self)
        return event


class EventBus:
    """Publishes events to clients without waiting for them, and signals to the handlers of their type."""

    def __init__(self) -> None:
        self._handlers: dict[type, list[Callable[[Any], object]]] = {}
        self._subscriptions: list[Subscription] = []
        self._closed: Closed | None = None

    def on(self, kind: type[S], handle: Callable[[S], object]) -> None:
        """Call `handle` with every signal of this type, after the handlers that were added before."""
        self._handlers.setdefault(kind, []).append(handle)

    def signal(self, signal: object) -> None:
        for handle in self._handlers.get(type(signal), ()):
            handle(signal)

    def subscribe(self) -> Subscription:
        """A new client's stream; after `Closed` it has just that."""
        subscription = Subscription(self)
        if self._closed is not None:
            subscription.queue.put_nowait(self._closed)
        self._subscriptions.append(subscription)
        return subscription

    def forget(self, subscription: Subscription) -> None:
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)

    def publish(self, event: Event) -> None:
        if isinstance(event, Closed):
            if self._closed is not None:
                return
            self._closed = event
        for subscription in list(self._subscriptions):
            subscription.queue.put_nowait(event)
