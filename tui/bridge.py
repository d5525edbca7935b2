"""Between the messenger and Textual: events become messages, refusals become one line.

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
    EntryAdded,
    EntryChanged,
    EntryDeleted,
    Event,
    IdentityChanged,
    InvitationUsed,
    Messenger,
    NearbyChanged,
    Notice,
    PairingChanged,
    ParlourError,
    Ready,
    RelayChanged,
    RelayRemoved,
    VisibilityChanged,
)
from tui import messages
from tui.formatting import safe_line
from tui.texts import _, told

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
            return messages.EngineListened(addresses)
        case EntryAdded(entry):
            return messages.EntryStored(entry)
        case EntryChanged(contact, entry_id, state):
            return messages.EntryMoved(contact, entry_id, state)
        case EntryDeleted(contact, entry_id):
            return messages.EntryErased(contact, entry_id)
        case Cleaned():
            return messages.FileCleaned()
        case ContactChanged(view):
            return messages.ContactMoved(view)
        case ContactRemoved(person, name):
            return messages.ContactForgotten(person, name)
        case IdentityChanged(person, name, cause):
            return messages.IdentityMoved(person, name, cause)
        case NearbyChanged(nearby):
            return messages.StrangersMoved(nearby)
        case PairingChanged(pairing):
            return messages.PairingMoved(pairing)
        case InvitationUsed(text, contact):
            return messages.InvitationSpent(text, contact)
        case VisibilityChanged(visible):
            return messages.VisibilityMoved(visible)
        case RelayChanged(relay):
            return messages.RelayMoved(relay)
        case RelayRemoved(address):
            return messages.RelayForgotten(address)
        case Notice(text):
            return messages.EngineSaid(text)
        case Closed(reason):
            return messages.EngineClosed(messenger, reason)
