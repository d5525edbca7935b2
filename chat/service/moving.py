"""Moves a history to another own terminal: the newest entries first, with progress (SPEC §7.8.3)."""

from __future__ import annotations

import asyncio
import heapq
from array import array
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import Final

from msgspec import Struct, field

from chat.interface import HistoryMoving
from chat.network.links import LiveLink
from chat.service.events import EventBus
from chat.service.keyring import Keyring
from chat.service.views import ID_DIGITS
from chat.storage import repair, siblings
from chat.storage.database import Store
from chat.storage.entries import BEGINNING, Position
from chat.tasks import Runtime
from protocol.messages import Digest, Heads
from protocol.notes import notes_of

PAGES_WAITING: Final = 2_048
"""Pages of heads per link that wait for their answers. The own terminal at its other end fills it; what it
names beyond that is not answered."""

HEADS_WAITING: Final = 16_384
"""Heads on all these pages together, some 4 MiB. The same terminal fills it, with the same consequence."""

BATCH: Final = 256
"""Entries read from the disk at a time: some milliseconds, for which users wait. The other side stores what
comes together in one transaction, so fewer make a history move more slowly."""

LOOKED_AT: Final = 16
"""Batches of entries that one step passes over because the link has carried them: some milliseconds."""

PIECES: Final = 8
"""Pieces of chains that one step walks. What else goes out on the link waits for it."""

STALLED: Final = 30.0
"""Seconds after which an own terminal that sends nothing of what was asked for holds up no comparison. A
stolen one can name what nobody has."""

SHOWN_FROM: Final = 256
"""Entries to come from which on a person hears of it: fewer are there before anybody could read a number."""

TOLD_EVERY: Final = 1.0
"""Seconds between two numbers. A slow client of the socket must not be flooded."""


class Carried:
    """Entries that a link has carried: a bit each by its local number, since a history may have millions."""

    def __init__(self) -> None:
        self._bits = bytearray()

    def __contains__(self, number: int) -> bool:
        place = number >> 3
        return place < len(self._bits) and bool(self._bits[place] >> (number & 7) & 1)

    def add(self, number: int) -> None:
        place = number >> 3
        if place >= len(self._bits):
            self._bits.extend(bytes(place + 1 - len(self._bits)))
        self._bits[place] |= 1 << (number & 7)

    def clear(self) -> None:
        """The numbers may be those of other entries from now on."""
        self._bits.clear()


class Asked:
    """A page of heads that an own terminal named, and what is still to be sent for it.

    `mine`: the own heads when it came, of its authors. `latest`: the rank of the last entry. `contact`: the
    person of the conversation, b"" for the notes. `authors`: those of whom the other side holds nothing that
    is held here, by number, of which all up to `position` was sent; None where it holds something.
    """

    def __init__(self, page: Heads, mine: set[bytes], latest: int, contact: bytes) -> None:
        self.page, self.mine, self.latest, self.contact = page, mine, latest, contact
        self.begun, self.last = False, not page.more
        self.left, self.covered = set(mine), {head.id for head in page.heads}
        self.authors: Collection[int] | None = None
        self.position: Position = BEGINNING
        # By author the ranks and numbers, the last ones first: 16 bytes an entry, as a history may have
        # millions. A chain that forks has several runs, at most one for each named head.
        self._runs: dict[int, list[tuple[array[int], array[int]]]] = defaultdict(list)
        self._order: Iterator[tuple[int, int]] | None = None

    @property
    def conversation(self) -> bytes:
        return self.page.conversation

    @property
    def is_notes(self) -> bool:
        return not self.contact

    def found(self, places: Sequence[repair.Place]) -> None:
        """More of what the other side lacks."""
        for author, rank, number in places:
            runs = self._runs[author]
            run = next((one for one in runs if one[0][-1] >= rank), None)
            if run is None:
                runs.append(run := (array("q"), array("q")))
            run[0].append(rank)
            run[1].append(number)

    def take(self, most: int) -> list[int]:
        """The next entries by number, in the order of the conversation; none once all are taken."""
        if self._order is None:
            # Each run is in order, so that nothing has to be sorted at once.
            chains = [
                zip(reversed(ranks), reversed(numbers), strict=True)
                for runs in self._runs.values()
                for ranks, numbers in runs
            ]
            self._order = heapq.merge(*chains)
        return [number for _, number in islice(self._order, most)]


class Answers:
    """Answers the heads that an own terminal names on one link, a step at a time.

    Of each conversation the newest entries come first, then all others in their order, those of the
    conversation with the latest activity first. The notes are in order throughout: what they say of contacts
    and settings would be another thing without what it followed (SPEC §11.10).
    """

    def __init__(
        self,
        store: Store,
        carried: Carried,
        carry: Callable[[bytes, bytes, Sequence[int]], Awaitable[None]],
        over: Callable[[bytes, bytes], Awaitable[None]],
    ) -> None:
        """`carry` sends entries (conversation, contact, numbers), `over` says that all was sent."""
        self._store, self._carried, self._carry, self._over = store, carried, carry, over
        self._asked = list[Asked]()
        self._named = 0
        self.sent = False
        """Whether the last step sent entries."""

    def may_add(self, page: Heads) -> bool:
        """Whether there is room for a page."""
        return len(self._asked) < PAGES_WAITING and self._named + len(page.heads) <= HEADS_WAITING

    def add(self, asked: Asked) -> None:
        """Answer a page, unless the answer to the same one is on its way."""
        if not any(one.page == asked.page and asked.mine <= one.mine for one in self._asked):
            self._asked.append(asked)
            self._named += len(asked.page.heads)

    async def step(self) -> bool:
        """Send a little; whether anything is left."""
        self.sent = False
        fresh = [one for one in self._asked if not one.begun]
        notes = next((one for one in self._asked if one.is_notes), None)
        if fresh:
            await self._begin(max(fresh, key=_latest))
        if notes is not None:
            await self._go_on(notes)
        elif self._asked and not fresh:
            await self._go_on(max(self._asked, key=_latest))
        return bool(self._asked)

    async def _begin(self, asked: Asked) -> None:
        asked.begun = True
        lacks_all = await self._store.read(repair.not_held, asked.page) == asked.covered
        if lacks_all and asked.left:  # else nothing is sent, and the whole conversation passed over for it
            asked.authors = await self._store.read(siblings.authors_of, asked.left)
        if asked.is_notes:
            return
        newest = await self._store.read(siblings.newest, asked.conversation, asked.left, asked.covered)
        await self._send(asked, newest)

    async def _go_on(self, asked: Asked) -> None:
        if asked.authors is not None:
            await self._send_after(asked, asked.authors)
            return
        for _ in range(PIECES if asked.left else 0):
            places, asked.left, asked.covered = await self._store.read(
                repair.lacking_places, asked.conversation, asked.left, asked.covered
            )
            asked.found(places)
            if not asked.left:
                break
        if asked.left:
            return
        for _ in range(LOOKED_AT):
            numbers = asked.take(BATCH)
            if not numbers:
                await self._end(asked)
                return
            if await self._send(asked, numbers):
                return

    async def _send_after(self, asked: Asked, authors: Collection[int]) -> None:
        """Send the next of all entries: a walk from the heads would have to end before it could begin."""
        for _ in range(LOOKED_AT):
            some = await self._store.read(siblings.after, asked.conversation, asked.position, BATCH)
            if not some:
                await self._end(asked)
                return
            asked.position = some[-1][2]
            if await self._send(asked, [number for number, author, _ in some if author in authors]):
                return

    async def _send(self, asked: Asked, numbers: Sequence[int]) -> bool:
        """Send entries that the link has not carried; whether there are any."""
        left = [number for number in numbers if number not in self._carried]
        if left:
            self.sent = True
            await self._carry(asked.conversation, asked.contact, left)
        return bool(left)

    async def _end(self, asked: Asked) -> None:
        self._asked.remove(asked)
        self._named -= len(asked.page.heads)
        if asked.last:
            others = [one for one in self._asked if one.conversation == asked.conversation]
            if others:  # other authors, or what came since
                others[-1].last = True
            else:
                await self._over(asked.conversation, asked.contact)


def _latest(asked: Asked) -> int:
    return asked.latest


class Counts:
    """How many entries are held, by conversation. They are counted once, and what is stored since added."""

    def __init__(self, store: Store) -> None:
        self._store, self._lock = store, asyncio.Lock()
        self._held, self._through = defaultdict[bytes, int](int), 0

    async def held(self) -> Mapping[bytes, int]:
        async with self._lock:
            while True:
                found, through, last = await self._store.read(siblings.count, self._through)
                if last < self._through:  # entries were removed
                    self.forget()
                    continue
                for conversation, count in found.items():
                    self._held[conversation] += count
                self._through = through
                if through == last:
                    return self._held

    def forget(self) -> None:
        """Entries may have been removed with their conversation."""
        self._held.clear()
        self._through = 0


class _Move(Struct):
    """What comes on one link. `awaited`: by conversation, entries held when it was asked for, and in all.

    `going`: the conversations of which not all has come. `over`: the link has ended. `heard`: when something
    was asked for, or came last.
    """

    awaited: dict[bytes, tuple[int, int]] = field(default_factory=dict)
    going: set[bytes] = field(default_factory=set)
    told: bool = False
    over: bool = False
    heard: float = 0.0

    @property
    def held(self) -> int:
        return sum(held for held, _ in self.awaited.values())

    @property
    def total(self) -> int:
        return sum(total for _, total in self.awaited.values())


class Arrivals:
    """What comes from other own terminals, of which a person hears while it is much."""

    def __init__(self, runtime: Runtime, store: Store, bus: EventBus, keyring: Keyring) -> None:
        self._runtime, self._store, self._bus, self._keyring = runtime, store, bus, keyring
        self._moves: dict[LiveLink, _Move] = {}

    def asked(self, link: LiveLink, mine: Digest, theirs: Digest) -> None:
        """This side asks for what it lacks of a conversation, after what the other side told of it."""
        move = self._moves.setdefault(link, _Move())
        if mine.conversation != notes_of(self._keyring.own.person):  # which are not counted, as by a root
            held, total = move.awaited.get(mine.conversation, (mine.entries, mine.entries))
            move.awaited[mine.conversation] = held, max(total, theirs.entries)
        move.going.add(mine.conversation)
        move.heard = self._runtime.clock.monotonic()
        if not move.told and move.total - move.held >= SHOWN_FROM:
            move.told = True
            self._runtime.tasks.spawn(self._tell(link, move))

    def is_moving(self, conversation: bytes) -> bool:
        """Whether what was asked for is still on its way. Who sends nothing for a while holds nobody up."""
        since = self._runtime.clock.monotonic() - STALLED
        return any(conversation in move.going and move.heard > since for move in self._moves.values())

    def heard(self, link: LiveLink) -> None:
        """Entries came on a link."""
        if (move := self._moves.get(link)) is not None:
            move.heard = self._runtime.clock.monotonic()

    def answered(self, link: LiveLink, conversation: bytes) -> None:
        """All of a conversation that was asked for on a link has come."""
        move = self._moves.get(link)
        if move is not None:
            move.going.discard(conversation)
            if not move.going:
                del self._moves[link]

    def keep(self, conversations: Collection[bytes]) -> None:
        """Nothing more comes of other conversations: their contacts were removed or blocked."""
        for link, move in list(self._moves.items()):
            for conversation in move.going.difference(conversations):
                self.answered(link, conversation)

    def ended(self, link: LiveLink) -> None:
        move = self._moves.pop(link, None)
        if move is not None:
            move.over = True

    async def _tell(self, link: LiveLink, move: _Move) -> None:
        named = (one for one in self._keyring.own_log.terminals() if one.static == link.terminal)
        source = next((one.name or f"{one.id.hex()[:ID_DIGITS]}…" for one in named), "")
        before = await self._store.read(siblings.newest_number)
        held = move.held
        while move.going and not move.over:
            held = move.held + await self._store.read(siblings.newest_number) - before
            # What comes from contacts meanwhile counts, too.
            self._bus.publish(HistoryMoving(source, min(held, move.total - 1), move.total, moves=True))
            await asyncio.sleep(TOLD_EVERY)
        if move.over and move.going:
            self._bus.publish(HistoryMoving(source, min(held, move.total - 1), move.total, moves=False))
        else:
            self._bus.publish(HistoryMoving(source, move.total, move.total, moves=False))
