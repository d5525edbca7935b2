"""The Textual messages of the interface, and the calls of the messenger, whose refusals become one line.

A message is named for what happened, or in the imperative for what is wanted. It carries frozen views or
plain values. Of messages that come in bursts a newer one replaces those before it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from msgspec import Struct
from textual.dom import DOMNode
from textual.message import Message
from textual.message_pump import MessagePump

from chat.interface import (
    ContactChanged,
    Event,
    Messenger,
    NearbyChanged,
    NotTypedBack,
    OnlyAsOriginal,
    ParlourError,
    RelayChanged,
    UsageError,
    WordsReplaced,
)
from tui.actions import with_keys
from tui.text.emoji import Choice
from tui.text.safe import safe_line
from tui.text.translation import _, told


@dataclass
class EngineEvent(Message):
    """Something happened in the engine; `messenger` says in which, because another may be open by now."""

    messenger: Messenger
    event: Event

    def can_replace(self, message: Message) -> bool:
        match self.event, message.event if isinstance(message, EngineEvent) else None:
            case ContactChanged(contact), ContactChanged(newer):
                return contact.person == newer.person
            case RelayChanged(relay), RelayChanged(changed):
                return relay.address == changed.address
            case NearbyChanged(), NearbyChanged():
                return True
        return False


class NewestWins(Message):
    """Comes in bursts: of those that wait only the newest is handled."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, type(self))


@dataclass
class Opened(Message):
    """`unasked`: it opened without a passphrase, which may be typed all the same. This recognises it."""

    messenger: Messenger
    unasked: Callable[[str], Awaitable[bool]] | None = None


class EntryClicked(Message):
    """An entry was clicked, which is under the cursor now."""


@dataclass
class PreferenceChosen(Message):
    """A preference was chosen: a name and a value of tui.preferences."""

    name: str
    value: str


@dataclass
class NotifyEntry(Message):
    """Notify of an entry that nobody sees arrive: the name as it is shown here, and the text (peer text).

    `mention`: the text names this person.
    """

    name: str
    text: str
    person: str = ""
    id: str = ""
    mention: bool = False


class StillUsed(Message):
    """Somebody is there, and does what needs no key."""


@dataclass
class UnreadChanged(NewestWins):
    """The number of unread entries outside the conversation that is read."""

    unread: int


@dataclass
class OpenConversation(Message):
    person: str


@dataclass
class PairWith(Message):
    instance: str
    name: str


@dataclass
class SendText(Message):
    """Send a text to the contact that was open when it was written."""

    text: str
    person: str


@dataclass
class DraftChanged(NewestWins):
    text: str


@dataclass
class TextPasted(Message):
    """A text was pasted into the message box of the conversation with `person`, where it stands now."""

    text: str
    person: str


@dataclass
class TextRefused(Message):
    """What was written is too long to be sent, or what was pasted too long to be held; `text` says it."""

    text: str


@dataclass
class ChoicesChanged(NewestWins):
    """What may complete the shortcode before the cursor, and which of it is chosen; empty: nothing."""

    choices: tuple[Choice, ...]
    chosen: int


@dataclass
class WipeWanted(Message):
    """Destroy the profile, after a question."""


@dataclass
class CommandTyped(Message):
    """A command was typed: its name, or what is none, and whether nothing follows it."""

    name: str
    alone: bool


@dataclass
class TextRecalled(NewestWins):
    """A text that was sent was called back to be sent again; `on`: it is shown, or no longer."""

    on: bool


@dataclass
class EndWanted(Message):
    """Show the newest message."""


@dataclass
class DropReply(Message):
    """What is written next answers nothing."""


@dataclass
class ReachedOldest(NewestWins):
    """The reader is near the oldest entry that is held."""


@dataclass
class ReachedNewest(NewestWins):
    """The reader is near the newest entry that is held, and newer ones exist."""


@dataclass
class WantNewest(Message):
    """Show the newest entry, which is not held."""


@dataclass
class AddressClicked(Message):
    """An address in an entry was clicked; it is safe."""

    address: str


@dataclass
class TextDragged(Message):
    """A text of the conversation was selected with the mouse; it is safe."""

    text: str


@dataclass
class OriginsMissing(Message):
    entries: tuple[str, ...]


@dataclass
class ViewChanged(NewestWins):
    """Other entries are in sight."""


T = TypeVar("T")


class Problem(Struct, frozen=True):
    """Why a call was refused: one safe line that says what to do.

    `usage`: what was asked for is wrong. `original`: a picture can be sent as the original alone. `replaced`:
    recovery words that were replaced. `untyped`: other words than those that were asked for.
    """

    text: str
    usage: bool = False
    original: bool = False
    replaced: bool = False
    untyped: bool = False


async def attempt(call: Awaitable[T]) -> T | Problem:
    try:
        return await call
    except ParlourError as error:
        said = with_keys(safe_line(told(error.phrase))) or _("Parlour could not do that.")
        kinds = UsageError, OnlyAsOriginal, WordsReplaced, NotTypedBack
        return Problem(said, *(isinstance(error, kind) for kind in kinds))


def start_worker(
    node: DOMNode,
    group: str,
    work: Callable[..., Awaitable[object]],
    *arguments: object,
    exclusive: bool = False,
) -> None:
    """Run work in a worker of a screen or the application, which ends with it.

    It gets a function, not a coroutine: a worker that is cancelled before it begins (by an exclusive one, or
    because its screen closes) would leave a coroutine that nobody awaits.
    """
    node.run_worker(partial(work, *arguments), group=group, exclusive=exclusive)


async def listen(messenger: Messenger, target: MessagePump) -> None:
    """Post every event to `target`, in order, until the engine closes."""
    async for event in messenger.events():
        target.post_message(EngineEvent(messenger, event))
