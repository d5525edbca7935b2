"""The event bus of an engine: events for its clients, and signals between its parts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

from msgspec import Struct

from chat.interface import Closed, Event
from chat.network.links import LiveLink, Peer
from protocol.entries_and_receipts import ParsedEntry
from protocol.identity.reduction import Cause
from protocol.messages import PassedReceipt
from protocol.relay.rendezvous import RelayAddress

S = TypeVar("S")


class ContactsChanged(Struct, frozen=True):
    """Contacts or their terminals were added or removed."""


class OwnLogGrew(Struct, frozen=True):
    """Operations were added to this person's own log, which contacts lack, or some were confirmed."""


class SecretsRenewed(Struct, frozen=True):
    """A share of a contact was taken, or shares were erased."""


class CutsFollowed(Struct, frozen=True):
    """Cuts may have come in force: which entries count is to be settled."""


class DatabaseMended(Struct, frozen=True):
    """What could be read of a damaged database is in a fresh one: the rest is to be asked of contacts."""


class OwnEntryReturned(Struct, frozen=True):
    """A contact passed an entry of this very terminal that was not held; `time` is that of its header."""

    time: int


class RanksSettled(Struct, frozen=True):
    """The order of entries and which of them count are settled, after something was due."""


class BotDeclared(Struct, frozen=True):
    """A contact (person id) declared whether it is a bot, or what it declared came or went."""

    person: bytes


class FilesNamed(Struct, frozen=True):
    """Entries came that name files, of which it is to be decided whether they are taken."""


class FilesBounded(Struct, frozen=True):
    """This person chose what files may use of this terminal."""


class EntriesGone(Struct, frozen=True):
    """The content of entries was destroyed here: none of it may leave any more.

    The store alone signals that (`chat.storage.forgetting`).
    """

    entries: tuple[bytes, ...]


class EntriesPassedOn(Struct, frozen=True):
    """Another terminal of this person passed on entries (ids), some of which a contact may lack."""

    person: bytes
    entries: tuple[bytes, ...]


class HoldingSaid(Struct, frozen=True):
    """Another terminal of this person asks what this keeper holds, or says what it does."""

    link: LiveLink
    message: PassedReceipt


class NoteWritten(Struct, frozen=True):
    """An entry of this person's notes was written here, which its other terminals lack."""

    entry: ParsedEntry


class SettlingDue(Struct, frozen=True):
    """Entries came that may move others, or decide which of them count."""


class ClaimsTaken(Struct, frozen=True):
    """Claims of a contact were taken as this person's own, which its other terminals lack."""

    person: bytes


class LogsAwaited(Struct, frozen=True):
    """Other persons than before are contacts of another terminal, and their logs are not held here."""


class SettingsShared(Struct, frozen=True):
    """Another terminal of this person changed settings, which are stored here now."""


class RelaysShared(Struct, frozen=True):
    """Another terminal of this person changed relays, which are stored here now."""


class OwnLogChanged(Struct, frozen=True):
    """A contact returned a change of this person's own log that this engine did not make."""

    cause: Cause


class ContactReleased(Struct, frozen=True):
    """Sending to a contact is no longer held."""

    person: bytes


class TerminalFound(Struct, frozen=True):
    """A contact's terminal can probably be reached now."""

    peer: Peer


class InvitationsChanged(Struct, frozen=True):
    """Invitations were made, used up or dropped."""


class VisibilityUsed(Struct, frozen=True):
    """The one pairing attempt of a period of visibility is over."""


class RelaysNamed(Struct, frozen=True):
    """All relays that the user has named, at the start and after each change."""

    relays: tuple[RelayAddress, ...]


class NetworkChanged(Struct, frozen=True):
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
        event = await self.queue.get() if self.queue.empty() else self.queue.get_nowait()
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
