"""Compares what this terminal holds of a conversation with what another one says (SPEC §11.4)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import chain
from typing import Final

from chat.interface import Notice, ParlourError
from chat.network.limits import Buckets
from chat.network.links import LiveLink
from chat.service.events import CutsFollowed, EventBus
from chat.service.keyring import Keyring, terminal_at
from chat.service.views import Views
from chat.storage import repair
from chat.storage.database import Store
from chat.storage.entries import Position
from chat.tasks import Runtime
from protocol.entries_and_receipts import check_conversation, conversation_of_two, heads_hash
from protocol.history import check_page, pages
from protocol.messages import Head, Heads, HeadsHash, Message

HEADS_A_SECOND: Final = 0.2
HEADS_AT_ONCE: Final = 8.0
"""Rate of HeadsHash and Heads per terminal, which are compared with the whole history. What comes more often
is answered later: of HeadsHash, the last on each link, and of Heads, all pages."""

OWED_MAX: Final = 200.0
"""Seconds of this rate that answers to Heads may take in advance, also for links that have ended meanwhile.
Pages beyond are passed over, and come again with the next link. A contact's terminal fills it."""

PAGES_WAITING: Final = 32
"""Pages of heads per link that wait for the rate, or for the answers before them. Their sender fills it."""

ASKING: Final = bytes(32)
"""A hash of heads that no list of heads has, so that the other side names its own."""


ANSWERS_WITHIN: Final = 30.0
"""Seconds that a link lives on after an entry came again, until that counts as the answer to heads: the entry
may have crossed with them, and the link may end before the answer (SPEC §11.4)."""


class Gaps:
    """What is missing before entries at terminals too that were asked for it, which are asked no more."""

    def __init__(self, runtime: Runtime, store: Store, keyring: Keyring) -> None:
        self._runtime, self._store, self._keyring = runtime, store, keyring

    def passed_again(self, link: LiveLink, gaps: Sequence[tuple[bytes, bytes]]) -> None:
        """Entries came again on a link, each given with the one before, which is missing."""
        # An own terminal sends the newest first, and says when its answer is over.
        if not link.gaps and link.person != self._keyring.own.person:
            self._runtime.tasks.spawn(self._note(link))
        link.gaps.update(gaps)

    async def answered(self, link: LiveLink, conversation: bytes) -> None:
        """An own terminal has sent all that it was asked for of a conversation."""
        gaps, terminal = list(link.gaps.items()), self._keyring.at(link)
        if gaps and terminal:
            await self._store.write(repair.passed_again, gaps, terminal, conversation)

    async def _note(self, link: LiveLink) -> None:
        await asyncio.sleep(ANSWERS_WITHIN)
        gaps, terminal = list(link.gaps.items()), self._keyring.at(link)
        link.gaps.clear()
        if link.driver.link.is_open and terminal:
            with suppress(ParlourError):  # it is asked once more
                await self._store.write(repair.passed_again, gaps, terminal)


class _Asked:
    """What is sought on a link: the heads that the other side has named, once it has named the last."""

    def __init__(self) -> None:
        self.lacking, self.named, self.ended = list[Heads](), False, asyncio.Event()
        self.whole = False


Carry = Callable[[Callable[[], Awaitable[list[bytes]]]], None]
"""Takes what finds entries, and sends these on a link once all before them are sent."""


class Comparison:
    """Answers heads. A message that does not belong raises ProtocolError."""

    def __init__(self, runtime: Runtime, store: Store, bus: EventBus, keyring: Keyring, views: Views) -> None:
        self._runtime, self._store, self._bus, self._keyring = runtime, store, bus, keyring
        self._views = views
        # By person and static key: a thief's terminal must not use up the rate of the one that removes it.
        self._rates = Buckets(HEADS_A_SECOND, HEADS_AT_ONCE)
        self._waiting: Counter[LiveLink] = Counter()
        self._comparing: dict[bytes, asyncio.Lock] = {}  # by person
        self.asked: dict[LiveLink, _Asked] = {}
        self._late: dict[LiveLink, Callable[[], Awaitable[None]]] = {}

    def when_affordable(self, link: LiveLink, answer: Callable[[], Awaitable[None]]) -> None:
        """Answer a HeadsHash when the rate of the other terminal allows it, only the last that waits."""
        waits = link in self._late
        self._late[link] = answer
        if not waits:
            self._runtime.tasks.spawn(self._answer_late(link))

    async def _answer_late(self, link: LiveLink) -> None:
        while not self._rates.of(link.peer, now := self._runtime.clock.monotonic()).take(now):
            # Nothing is taken in advance: of links that end soon, a debt would keep out those that follow.
            await asyncio.sleep(1.0 / HEADS_A_SECOND)  # until the rate has room for one more
            if link not in self._late:  # it has ended
                return
        if (answer := self._late.pop(link, None)) is not None:
            await answer()

    async def fetch(self, link: LiveLink, put: Callable[[Message], None]) -> bool:
        """Get what the other end of a link with a contact holds; whether all came before the link ended.

        `put` sends a message on it.
        """
        self.asked[link] = asked = _Asked()
        try:
            for message in await self._questions(link):
                link.asked = True
                put(message)
            await asked.ended.wait()
            return asked.whole
        finally:
            self.asked.pop(link, None)

    async def _questions(self, link: LiveLink) -> list[Message]:
        conversation = conversation_of_two(self._keyring.own.person, link.person)
        terminal = terminal_at(self._keyring.contacts.get(link.person), link)
        heads = await self._store.read(repair.asking_heads, conversation, terminal)
        return [HeadsHash(conversation, ASKING), *pages(conversation, heads)]

    async def came(self) -> None:
        """Entries were stored, of which some may have been asked for."""
        for asked in list(self.asked.values()):
            lacking = [await self._store.read(repair.not_held, page) for page in asked.lacking]
            if asked.named and not any(lacking):
                asked.whole = True
                asked.ended.set()

    async def heads_if_other(self, link: LiveLink, message: HeadsHash) -> list[Heads]:
        """This side's heads in pages, none if they are the other side's too."""
        conversation = check_conversation(message.conversation, self._keyring.own.person, link.person)
        terminal = terminal_at(self._keyring.contacts.get(link.person), link)
        heads = await self._store.read(repair.asking_heads, conversation, terminal)
        if heads_hash(conversation, heads) == message.hash:
            await self._cover(link, conversation, heads)
            return []
        return pages(conversation, heads)

    async def answer(self, link: LiveLink, page: Heads, carry: Carry) -> None:
        """Answer a page of heads, later where the terminal's rate is used up: nothing else waits for it."""
        check_conversation(page.conversation, self._keyring.own.person, link.person)
        check_page(page)
        if self._waiting[link] >= PAGES_WAITING:
            return
        self._waiting[link] += 1
        if asked := self.asked.get(link):
            asked.lacking.append(page)
            asked.named |= not page.more
            await self.came()
        now = self._runtime.clock.monotonic()
        rate = self._rates.of(link.peer, now)
        if rate.owed(now) > OWED_MAX:
            self._waiting[link] -= 1
            return
        if delay := rate.reserve(now):
            self._runtime.tasks.spawn(self._answer_after(delay, link, page, carry))
        else:
            await self._find_lacking(link, page, carry)

    async def _answer_after(self, delay: float, link: LiveLink, page: Heads, carry: Carry) -> None:
        await asyncio.sleep(delay)
        try:
            await self._find_lacking(link, page, carry)
        except ParlourError as failure:
            self._bus.publish(Notice(failure.phrase))
            link.driver.abort()

    async def _find_lacking(self, link: LiveLink, page: Heads, carry: Carry) -> None:
        await self._cover(link, page.conversation, page.heads)
        # What comes on this link from now on is no answer to the page: the other side has it.
        mine = set(await self._store.read(repair.heads_on, page))

        async def found() -> list[bytes]:
            self._waiting[link] -= 1
            return await self.lacking(link, page, mine)

        if link in self._waiting:
            carry(found)

    async def _cover(self, link: LiveLink, conversation: bytes, heads: Sequence[Head]) -> None:
        evidence = await self._store.write(repair.cover, conversation, heads)
        self._views.publish_evidence(link.person, evidence)
        self._bus.signal(CutsFollowed())

    def ended(self, link: LiveLink) -> None:
        """Nothing is answered on this link any more."""
        self._waiting.pop(link, None)
        self._late.pop(link, None)
        if asked := self.asked.get(link):
            asked.ended.set()

    async def lacking(self, link: LiveLink, message: Heads, mine: set[bytes]) -> list[bytes]:
        """Entries in the chains of own heads that the other side's heads do not cover.

        It may be the whole history, so others use the disk in between.
        """
        pieces = list[list[Position]]()
        # One at a time, or a contact with many terminals would leave others little of the disk.
        async with self._comparing.setdefault(link.person, asyncio.Lock()):
            theirs = {head.id for head in message.heads}
            while mine:
                piece, mine, theirs = await self._store.read(
                    repair.lacking_piece, message.conversation, mine, theirs
                )
                pieces.append(piece)
        # The newest came first. So turned, they are nearly in order, and a long history is sorted at once.
        return [entry for _, entry in sorted(chain.from_iterable(reversed(pieces)))]
