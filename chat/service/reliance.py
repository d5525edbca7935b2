"""What own terminals say to each other of the bodies that they keep (SPEC §7.8.4)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final

from chat.interface import EntriesKept
from chat.network.links import LiveLink
from chat.service.events import EntriesGone, EventBus, KeepingSaid
from chat.service.forwarding import Forwarding
from chat.service.keyring import Keyring, terminal_of
from chat.storage import reliance
from chat.storage.database import Store
from chat.storage.reliance import Asked
from chat.storage.retention import Clock
from chat.tasks import Runtime
from protocol.entries_and_receipts import STORED
from protocol.limits import RECEIPT_IDS_MAX
from protocol.messages import PassedReceipt
from protocol.own_terminals import NOT_HELD

PIECES: Final = 16
"""Pieces of what none may keep that one round asks for, the next ones in the round after it. Own terminals
and contacts fill it, and those who are asked delay what they read."""

Ask = Callable[[bytes, list[bytes]], Awaitable[None]]
"""Asks other terminals whether they keep the bodies of entries (ids) of a conversation."""


class Reliance:
    """Tells other own terminals what this one does not hold, and hears the same of them."""

    def __init__(
        self, runtime: Runtime, store: Store, bus: EventBus, keyring: Keyring, forwarding: Forwarding
    ) -> None:
        self._tasks, self._store, self._bus = runtime.tasks, store, bus
        self._answers_in = runtime.config.keep_round_after
        self._keyring, self._forwarding = keyring, forwarding
        self._after = 0

    async def is_of_no_use(self) -> bool:
        """Whether no other live terminal can be relied on: each has said that it does not keep all."""
        others = self._keyring.own_log.live.keys() - {self._keyring.own.terminal}
        said = await self._store.read(reliance.keepers)
        return all(said.get(one) is False for one in others)

    # What this terminal holds.

    async def answer(self, link: LiveLink, message: PassedReceipt) -> None:
        """Say which of some entries this terminal keeps, and which it does not hold."""
        outgoing, own = self._forwarding.links.get(link), self._keyring.own.terminal
        kept, lacked = await self._store.read(reliance.held_among, message.conversation, message.ids)
        for kind, ids in ((STORED, kept), (NOT_HELD, lacked)):
            if ids and outgoing is not None:
                outgoing.put(PassedReceipt(message.conversation, own, kind, ids))

    def gone(self, signal: EntriesGone) -> None:
        """Terminals that do not keep all may rely on this one for what was destroyed here."""
        if links := [link for link, outgoing in self._forwarding.links.items() if outgoing.since]:
            self._tasks.spawn(self._tell_gone(links, signal.entries))

    async def _tell_gone(self, links: Collection[LiveLink], ids: Sequence[bytes]) -> None:
        for start in range(0, len(ids), RECEIPT_IDS_MAX):
            some = ids[start : start + RECEIPT_IDS_MAX]
            gone = reliance.by_conversation(await self._store.read(reliance.of_two, some))
            for link in links:
                self._tell(link, gone)

    def _tell(self, link: LiveLink, gone: Mapping[bytes, list[bytes]]) -> None:
        if (outgoing := self._forwarding.links.get(link)) is not None:
            for conversation, ids in gone.items():
                outgoing.put(PassedReceipt(conversation, self._keyring.own.terminal, NOT_HELD, ids))

    async def _tell_deleted(self, link: LiveLink, since: int) -> None:
        """Tell a terminal that does not keep all what was deleted here while it was away."""
        after: int | None = 0
        while after is not None and (outgoing := self._forwarding.links.get(link)) is not None:
            some, after = await self._store.read(reliance.deleted_here, after, since)
            self._tell(link, reliance.by_conversation(some))
            await outgoing.sent()  # a cleared history must not fill what waits for the link

    # What other terminals hold.

    async def hear(self, signal: KeepingSaid) -> bool:
        """Store whether another terminal keeps all; whether it does not, and did before."""
        terminal = terminal_of(self._keyring.own_log, signal.link)
        if not terminal:
            return False
        changed = await self._store.write(reliance.heard, terminal, keeps_all=not signal.since)
        if signal.since:
            self._tasks.spawn(self._tell_deleted(signal.link, signal.since))
        return changed and signal.since > 0

    async def rely(self, message: PassedReceipt, clock: Clock) -> None:
        """Want no more what is old and missing here, which another terminal says that it keeps."""
        found = await self._store.write(reliance.rely, message.ids, message.terminal, clock)
        self._say({one.contact for one in found})

    async def lose(self, message: PassedReceipt) -> bool:
        """Another terminal does not hold some entries; whether this one relied on it for any of them."""
        lost = await self._store.write(reliance.lose, message.ids, message.terminal)
        self._say(lost)
        return bool(lost)

    async def ask_again(self, before: int, ask: Ask, *, alone: bool) -> bool:
        """Ask for what none may keep; whether any of it is wanted of everybody now, which `alone` prevents.

        `before`: the time, in milliseconds, before which bodies are not kept here.
        """
        asked = list[Asked]()
        for _ in range(PIECES):
            some, after = await self._store.read(reliance.doubted, self._after, before)
            asked += some
            self._after = after or 0
            if after is None:
                break
        questions = list[list[bytes]]()
        for conversation, ids in reliance.by_conversation(asked).items():
            for start in range(0, len(ids), RECEIPT_IDS_MAX):
                questions.append(ids[start : start + RECEIPT_IDS_MAX])
                await ask(conversation, questions[-1])
        if not questions or alone:
            return False
        await asyncio.sleep(self._answers_in)  # who keeps some of it says so first
        lost = set[bytes]()
        for ids in questions:
            lost.update(await self._store.write(reliance.want_lost, ids))
        self._say(lost)
        return bool(lost)

    async def ask_own_again(self) -> int:
        """Own terminals that passed the headers of some missing bodies alone are asked for them; how many."""
        return await self._store.write(reliance.ask_own_again)

    def _say(self, persons: Collection[bytes]) -> None:
        for person in persons:
            self._bus.publish(EntriesKept(person.hex()))
