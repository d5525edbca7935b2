"""The two people of a proof: a profile each, an engine in a process of its own, and its socket to talk to it.

Rules: everything goes through the door that other commands use; whoever waits for an event asks before
causing it.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from chat.assemble import filler
from chat.interface import EntryView, Event, Messenger, PairingChanged, PairingStage
from chat.prove.findings import CannotShow
from chat.prove.programs import PATIENCE, Program, Said, python
from chat.prove.wire import Wire
from chat.remote import RemoteMessenger
from chat.storage import folder as places
from chat.storage import header, vault
from protocol.person_author import create_person

TERMINAL: Final = "chat.prove.terminal"
E = TypeVar("E")


class Terminal:
    """A person's terminal. `key`: of its database, 32 bytes, which the proof looks into it with.

    `home`: where whatever the program keeps beside its profile would be. `ids`: of person and terminal.
    """

    def __init__(self, name: str, folder: Path, wire: Wire, before: Sequence[str], module: str) -> None:
        self.name, self.folder = name, folder
        self.passphrase = secrets.token_urlsafe(16)
        self.home = folder.with_suffix(".home")
        self.pid = 0
        self.key = b""
        self.ids: tuple[bytes, ...] = ()
        self.contact = ""
        self.messenger: Messenger
        self._program: Program | None = None
        self._wire, self._before, self._module = wire, before, module
        self._events: list[Event] = []
        self._seen = 0
        self._fresh = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None

    @property
    def database(self) -> Path:
        return self.folder / vault.DATABASE

    async def start(self) -> None:
        """Make the profile and run the engine. Raises CannotShow, a StorageFailure."""
        self.home.mkdir()
        await asyncio.to_thread(self._create)
        port = await self._wire.front(self.name)
        line = [*self._before, *python(self._module, str(self.folder), str(port))]
        self._program = program = await Program.start(line, self.home)
        program.write(self.passphrase)
        told = await program.expect(lambda said: "listening" in said, f"{self.name}'s terminal")
        self._wire.lead(self.name, told["listening"])
        ready = await program.expect(lambda said: "ready" in said, f"{self.name}'s terminal")
        self.pid = ready["ready"]
        self.messenger = await RemoteMessenger.open(self.folder / vault.SOCKET)
        self._listening = asyncio.create_task(self._listen())
        own = await self.messenger.me()
        self.ids = bytes.fromhex(own.person), bytes.fromhex(own.terminal)
        self.key = await asyncio.to_thread(self._unwrap)

    def _create(self) -> None:
        fill = filler(create_person(self.name, os.urandom))
        vault.create(self.folder, self.passphrase, fill, random=os.urandom, cost=vault.CHEAPEST).close()

    def _unwrap(self) -> bytes:
        return header.unwrap(places.read_header(self.folder / vault.HEADER), self.passphrase).reveal()

    async def stop(self) -> None:
        """End the engine, as far as it was started. A second call does nothing."""
        listening, self._listening = self._listening, None
        if listening is not None:
            await self.messenger.close()
            listening.cancel()
            await asyncio.wait({listening})
        if self._program is not None:
            await self._program.stop()

    def look_around(self) -> None:
        """Tell the engine that the network has changed: it tries anew at once."""
        if self._program is not None:
            self._program.write("changed")

    @property
    def said(self) -> Sequence[Said]:
        """What the program told of itself."""
        return self._program.said if self._program is not None else ()

    # What happens.

    async def expect(self, found: Callable[[Event], E | None], what: str, seconds: float = PATIENCE) -> E:
        """What `found` makes of the first event, from `mark` on, of which it makes something.

        Raises CannotShow after some seconds, or where the engine has gone.
        """
        try:
            async with asyncio.timeout(seconds):
                while True:
                    while self._seen < len(self._events):
                        event, self._seen = self._events[self._seen], self._seen + 1
                        if (result := found(event)) is not None:
                            return result
                    await self._news()
        except TimeoutError:
            raise CannotShow(f"{what} within {seconds:.0f} seconds") from None

    def mark(self) -> None:
        """What happened so far is not waited for any more."""
        self._seen = len(self._events)

    async def _news(self) -> None:
        if self._listening is None or self._listening.done():
            raise CannotShow(f"{self.name}'s terminal has stopped")
        self._fresh.clear()
        await self._fresh.wait()

    async def _listen(self) -> None:
        try:
            async for event in self.messenger.events():
                self._events.append(event)
                self._fresh.set()
        finally:
            self._fresh.set()

    async def history(self) -> tuple[EntryView, ...]:
        """All of the conversation with the other."""
        return await self.messenger.history(self.contact, 100_000)


async def within(wanted: Awaitable[E], what: str) -> E:
    """What is waited for. Raises CannotShow after PATIENCE."""
    try:
        return await asyncio.wait_for(wanted, PATIENCE)
    except TimeoutError:
        raise CannotShow(f"{what}, in {PATIENCE:.0f} seconds") from None


def staged(stage: PairingStage) -> Callable[[Event], str | None]:
    """Looks for a pairing that came to a stage: its id, or with DONE the contact's person."""

    def found(event: Event) -> str | None:
        if not isinstance(event, PairingChanged) or event.pairing.stage is not stage:
            return None
        return event.pairing.contact if stage is PairingStage.DONE else event.pairing.id

    return found


async def pair(inviter: Terminal, joiner: Terminal) -> None:
    """One invites, the other joins, the inviter says yes."""
    invitation = await inviter.messenger.invite()
    await joiner.messenger.join(invitation.text)
    asked = await inviter.expect(staged(PairingStage.JOINER), "nobody joined")
    await inviter.messenger.answer_pairing(asked, True)
    for each in (inviter, joiner):
        each.contact = await each.expect(staged(PairingStage.DONE), "no pairing came to its end")
