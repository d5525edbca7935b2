"""Every Textual message of the interface, as dataclasses.

Rules: facts are named in the past tense, requests in the imperative; a message carries frozen views or
plain values, never an engine object; those that come in bursts let a newer one take their place.

Between the messenger and Textual: events become messages, refusals become one line.

Rules: this is the only place that iterates over `Messenger.events()` and that catches `ParlourError`;
whatever else a call raises is a fault of the program and ends it.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from textual.message import Message
from textual.message_pump import MessagePump

from chat.interface import (
    Cleaned,
    Closed,
    ContactChanged,
    ContactRemoved,
    ContactView,
    EntryAdded,
    EntryChanged,
    EntryDeleted,
    EntryState,
    EntryView,
    Event,
    IdentityChanged,
    InvitationUsed,
    Messenger,
    NearbyChanged,
    NearbyView,
    Notice,
    PairingChanged,
    PairingView,
    ParlourError,
    Phrase,
    Ready,
    RelayChanged,
    RelayRemoved,
    RelayView,
    VisibilityChanged,
)
from tui.text.emoji import Choice
from tui.text.formatting import safe_line
from tui.text.translation import _, told

# What the engine said, through the bridge.


@dataclass
class EngineListened(Message):
    """The engine listens at these addresses."""

    addresses: tuple[str, ...]


@dataclass
class EntryStored(Message):
    """An entry was committed."""

    entry: EntryView


@dataclass
class EntryMoved(Message):
    """One's own entry came to another state."""

    contact: str
    entry: str
    state: EntryState


@dataclass
class EntryErased(Message):
    """An entry was deleted here; its place is kept."""

    contact: str
    entry: str


@dataclass
class FileCleaned(Message):
    """Nothing of what was deleted is in the profile's file any more."""


@dataclass
class ContactMoved(Message):
    """A contact is not as it was."""

    contact: ContactView

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, ContactMoved) and message.contact.person == self.contact.person


@dataclass
class ContactForgotten(Message):
    """A contact was removed."""

    person: str
    name: str


@dataclass
class IdentityMoved(Message):
    """A contact's person log changed."""

    person: str
    name: str
    cause: Phrase


@dataclass
class StrangersMoved(Message):
    """Other people are visible nearby."""

    nearby: tuple[NearbyView, ...]

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, StrangersMoved)


@dataclass
class PairingMoved(Message):
    """A pairing came to another stage."""

    pairing: PairingView


@dataclass
class InvitationSpent(Message):
    """An invitation was used."""

    text: str
    contact: str


@dataclass
class VisibilityMoved(Message):
    """This terminal began or stopped to be visible."""

    visible: bool


@dataclass
class RelayMoved(Message):
    """A relay was named, or stands otherwise."""

    relay: RelayView

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, RelayMoved) and message.relay.address == self.relay.address


@dataclass
class RelayForgotten(Message):
    """A relay is named no more."""

    address: str


@dataclass
class EngineSaid(Message):
    """The engine has a line for the person."""

    text: Phrase


@dataclass
class EngineClosed(Message):
    """The engine is gone; `messenger` tells which, because another may be open by now."""

    messenger: Messenger
    reason: Phrase


# What screens and widgets say to each other.


@dataclass
class Opened(Message):
    """The door gave a messenger."""

    messenger: Messenger


@dataclass
class PreferenceChosen(Message):
    """This person wants something of the interface to be otherwise: a name and value of tui.preferences."""

    name: str
    value: str


@dataclass
class SomethingCame(Message):
    """An entry of somebody whom nobody looks at: the name as it is shown here, and the text (peer text)."""

    name: str
    text: str


@dataclass
class UnreadMoved(Message):
    """So many entries are unread that nobody looks at."""

    unread: int

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, UnreadMoved)


@dataclass
class OpenConversation(Message):
    """Show the conversation with this contact."""

    person: str


@dataclass
class PairWith(Message):
    """Begin to pair with this stranger."""

    instance: str
    name: str


@dataclass
class SendText(Message):
    """Send what was written to this contact: the one who was shown, whoever is shown by now."""

    text: str
    person: str


@dataclass
class DraftChanged(Message):
    """The text in the composer is another."""

    text: str

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, DraftChanged)


@dataclass
class TextRefused(Message):
    """What was written is too long to be sent, or what was pasted too long to be held; `text` says it."""

    text: str


@dataclass
class ChoicesMoved(Message):
    """What may complete the shortcode before the cursor, and which of it is chosen; empty: nothing."""

    choices: tuple[Choice, ...]
    chosen: int

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, ChoicesMoved)


@dataclass
class TakeChoice(Message):
    """Complete the shortcode with this one, if it is still offered."""

    choice: Choice


@dataclass
class DropReply(Message):
    """What is written next answers nothing."""


@dataclass
class ReachedOldest(Message):
    """The reader is near the oldest entry that is held."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, ReachedOldest)


@dataclass
class ReachedNewest(Message):
    """The reader is near the newest entry that is held, and newer ones exist."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, ReachedNewest)


@dataclass
class WantNewest(Message):
    """Show the newest entry, which is not held."""


@dataclass
class WantEntryMenu(Message):
    """Say what can be done with the entry under the cursor."""


@dataclass
class WantOrigin(Message):
    """Go to what the entry under the cursor answers."""


@dataclass
class AddressClicked(Message):
    """An address in an entry was clicked; it is safe."""

    address: str


@dataclass
class OriginsMissing(Message):
    """Entries in sight answer these, which are not held."""

    entries: tuple[str, ...]


@dataclass
class ReplyTo(Message):
    """What is written next answers this entry."""

    entry: EntryView


@dataclass
class ViewMoved(Message):
    """Other entries are in sight."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, ViewMoved)


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a call was refused: one safe line that says what to do."""

    text: str


async def attempt(call: Awaitable[T]) -> T | Problem:
    """The answer of a call, or the problem that it met."""
    try:
        return await call
    except ParlourError as error:
        return Problem(safe_line(told(error.phrase)) or _("Parlour could not do that."))


async def listen(messenger: Messenger, target: MessagePump) -> None:
    """Hand everything that happens to `target`, in order, until the engine closes."""
    async for event in messenger.events():
        target.post_message(translate(event, messenger))


def translate(event: Event, messenger: Messenger) -> Message:
    """The message for an event."""
    match event:
        case Ready(addresses):
            return EngineListened(addresses)
        case EntryAdded(entry):
            return EntryStored(entry)
        case EntryChanged(contact, entry_id, state):
            return EntryMoved(contact, entry_id, state)
        case EntryDeleted(contact, entry_id):
            return EntryErased(contact, entry_id)
        case Cleaned():
            return FileCleaned()
        case ContactChanged(view):
            return ContactMoved(view)
        case ContactRemoved(person, name):
            return ContactForgotten(person, name)
        case IdentityChanged(person, name, cause):
            return IdentityMoved(person, name, cause)
        case NearbyChanged(nearby):
            return StrangersMoved(nearby)
        case PairingChanged(pairing):
            return PairingMoved(pairing)
        case InvitationUsed(text, contact):
            return InvitationSpent(text, contact)
        case VisibilityChanged(visible):
            return VisibilityMoved(visible)
        case RelayChanged(relay):
            return RelayMoved(relay)
        case RelayRemoved(address):
            return RelayForgotten(address)
        case Notice(text):
            return EngineSaid(text)
        case Closed(reason):
            return EngineClosed(messenger, reason)
