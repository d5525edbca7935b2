"""A messenger under test, and how to wait for its events; `PATIENCE` only turns a hang into a failure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from chat.interface import ContactView, EntryChanged, EntryState, Event, Messenger
from protocol.relay.rendezvous import RelayAddress

E = TypeVar("E", bound=Event)
PATIENCE = 30.0
CLEO = "Cleo"
FOLLOWING = "one that follows"
RELAY = str(RelayAddress("127.0.0.1", 9, b"\x09" * 32))
"""A relay that nobody runs: nothing listens there."""


class Around(Protocol):
    """The contact, and a stranger called CLEO.

    A method returns once it is done, not once the messenger learns of it.
    """

    async def leave(self) -> None: ...
    async def come(self) -> None: ...
    async def types(self, on: bool) -> None: ...

    async def recover(self) -> None:
        """The contact uses the recovery key: a change of identity that could be a thief's."""

    async def add_own(self) -> None:
        """This person's own log gets a device that this terminal did not add."""

    async def alarm(self) -> None:
        """A copy of this person's profile turns out to be in use, too."""

    async def rename_me(self) -> None:
        """The contact returns another name that this person's terminal signed before it was restored."""

    async def in_parts(self, text: str) -> None:
        """An entry of the contact arrives without its content, and then whole."""

    async def twice(self) -> None:
        """Two entries of the contact arrive that claim one place."""

    async def late(self, text: str) -> None:
        """An entry of the contact arrives after so many that follow it that they do not move at once."""

    async def cut_off(self, text: str) -> None:
        """Another device of the contact writes, is removed, and a cut leaves out what it wrote."""

    async def grow_old(self) -> None:
        """Two days go by for both machines."""

    async def appear(self) -> None:
        """The stranger is visible nearby from now on."""

    async def begin(self) -> None:
        """The stranger, who sees this person, begins to pair by words."""

    async def use(self, invitation: str) -> None:
        """The stranger uses an invitation."""

    async def invite(self) -> str:
        """The stranger makes an invitation, and will confirm the person who uses it."""

    async def confirm(self) -> None:
        """The stranger says that the words are the same."""

    async def link(self) -> None:
        """A new device of this person, called laptop, begins to be linked."""

    async def linked(self) -> None:
        """The new device has all it needs."""


@dataclass(frozen=True)
class Subject:
    """A messenger under test, the person id of its one contact, who is there, and its passphrase.

    `hear`: the contact says something, which may answer an entry, and it has arrived here; returns its id.
    """

    messenger: Messenger
    friend: str
    passphrase: str
    hear: Callable[[str, str], Awaitable[str]]
    around: Around


async def until(events: AsyncIterator[Event], wanted: Callable[[Event], bool]) -> Event:
    """The first event that is wanted."""
    async with asyncio.timeout(PATIENCE):
        async for event in events:
            if wanted(event):
                return event
    raise AssertionError("the events ended before the one that the test waits for")


async def listening(subject: Subject) -> AsyncIterator[Event]:
    """A stream that is open at its other end too: what happens from now on comes."""
    events = subject.messenger.events()
    await subject.messenger.me()
    return events


async def contact(subject: Subject) -> ContactView:
    """The view of the subject's contact."""
    held = {view.person: view for view in await subject.messenger.contacts()}
    return held[subject.friend]


def is_delivered(event: Event, entry: str) -> bool:
    """Whether this tells that one's own entry was delivered."""
    return isinstance(event, EntryChanged) and (event.id, event.state) == (entry, EntryState.DELIVERED)


async def told(
    events: AsyncIterator[Event], kind: type[E], holds: Callable[[E], bool] = lambda event: True
) -> E:
    """The next event of a kind for which something holds."""
    event = await until(events, lambda event: isinstance(event, kind) and holds(event))
    assert isinstance(event, kind)
    return event
