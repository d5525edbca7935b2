"""What the messages of a link are for: entries, receipts, heads, person logs, files and typing (SPEC §11).

A worker per link sends, so that reading never waits for writing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from itertools import groupby
from typing import Final, cast

from msgspec import Struct, field

from chat.interface import EntryChanged, EntryState, Notice, ParlourError
from chat.network.driver import Driver, Handler, Outgoing
from chat.network.limits import Bucket, Buckets
from chat.network.links import Links, LiveLink
from chat.network.read_ahead import ReadAhead
from chat.service.comparison import Comparison
from chat.service.discovery import AddressBook
from chat.service.events import EntriesPassedOn, EventBus
from chat.service.forwarding import Forwarding
from chat.service.inbound import Inbound
from chat.service.outbound import Outbound
from chat.service.person_logs import PersonLogs, log_budget, owner_of
from chat.service.renewal import Renewals
from chat.service.state import ContactBook
from chat.service.transfers import Transfers
from chat.service.views import Views
from chat.tasks import Runtime
from protocol.entries_and_receipts import (
    READ,
    ParsedEntry,
    parse_ahead,
    receipt_for,
)
from protocol.errors import ProtocolError, Unexpected
from protocol.limits import LINK_SECONDS_MAX, RECEIPT_IDS_MAX
from protocol.link.states import Event, LinkOpen, MessageReceived
from protocol.messages import (
    AskPieces,
    Digests,
    Entry,
    Heads,
    HeadsHash,
    LogHeads,
    LogOperations,
    Message,
    PassedReceipt,
    Piece,
    PiecesEnd,
    Reachable,
    Receipt,
    RenewedKey,
    RenewedShare,
    StopPieces,
    Typing,
    WholeFile,
)
from protocol.own_terminals import check_place

TOGETHER: Final = 32_768
"""Bytes of entries after which those that came together go to the disk apart. To index the words of a longest
text takes ten to twenty milliseconds, for which users wait."""

ROW: Final = 32
"""What an entry without a body counts among them."""

MARKS: Final = -1
"""Marks that an own terminal passes on, which are stored together."""

PIECES: Final = -2
"""Pieces of files, which are stored together, too."""


UNKNOWN_A_SECOND: Final = 32.0
UNKNOWN_AT_ONCE: Final = 256.0
"""Rate of messages of later versions per terminal, which are passed over. More of them delay the reading of
their link, since each costs as much to open as a known one."""

HINTS_A_SECOND: Final = 4.0
HINTS_AT_ONCE: Final = 16.0
"""Rate of Typing and Reachable per terminal, of which each can cause an event or a write. More of them are
ignored: a copy of the terminal's key, which can use up the rate, must not delay what the terminal signs."""

WAITING_MAX: Final = 16
"""Entries per link that wait for their authors' operations. The contact alone fills it."""


class _Worker(Struct):
    """What goes out on a link. `task` is None, and messages wait, until the link's opening is stored.

    `logs`: its budget of messages that are computed from a whole log.
    `waiting` are entries whose author no log names yet; `asked` whether operations were asked for them.
    `log_heads`: the heads of this person's log that the other side has, None until it has named them.
    `theirs`: the same of the log of a contact at the other side.
    `named`: by person, heads of logs that are still to be answered.
    """

    outbound: Outgoing
    logs: Bucket
    task: asyncio.Task[None] | None = None
    waiting: list[Message] = field(default_factory=list)
    asked: bool = False
    log_heads: list[bytes] | None = None
    theirs: Sequence[bytes] | None = None
    named: dict[bytes, LogHeads] = field(default_factory=dict)


class Synchronizer:
    """network.links.LinkEvents of the engine. `deleted`: entries destroyed since the oldest link began."""

    def __init__(
        self,
        runtime: Runtime,
        bus: EventBus,
        book: ContactBook,
        links: Links,
        views: Views,
        inbound: Inbound,
        comparison: Comparison,
        outbound: Callable[[LiveLink, set[bytes]], Outbound],
        logs: PersonLogs,
        addresses: AddressBook,
        forwarding: Forwarding,
        renewals: Renewals,
        transfers: Transfers,
    ) -> None:
        self._forwarding, self._renewals, self._transfers = forwarding, renewals, transfers
        self._runtime, self._bus, self._book, self._links = runtime, bus, book, links
        self._views, self._inbound, self._comparison, self._outbound = views, inbound, comparison, outbound
        self._logs, self._addresses = logs, addresses
        self._workers: dict[LiveLink, _Worker] = {}
        self._outbounds: dict[LiveLink, Outbound] = {}  # those of contacts
        # By person and static key: a thief's terminal must not use up the rate of the one that removes it.
        self._unknown = Buckets(UNKNOWN_A_SECOND, UNKNOWN_AT_ONCE)
        self._hints = Buckets(HINTS_A_SECOND, HINTS_AT_ONCE)
        self._handing_out: asyncio.Task[None] | None = None
        self.deleted: set[bytes] = set()
        self._gone = deque[tuple[float, Collection[bytes]]]()

    def gone(self, destroyed: Collection[bytes]) -> None:
        """The content of entries was destroyed. Nothing that was read before leaves on any link any more."""
        now = self._runtime.clock.monotonic()
        while self._gone and self._gone[0][0] <= now - LINK_SECONDS_MAX:  # no link of that time is left
            self.deleted.difference_update(self._gone.popleft()[1])
        self._gone.append((now, destroyed))
        self.deleted.update(destroyed)

    async def adopt(self, driver: Driver, opened: LinkOpen) -> Handler | None:
        """Take over a link that has just opened, None if it is not wanted."""
        await self._inbound.keyed(opened)
        await self._renewals.keyed(opened)
        if (renewing := self._renewals.superseded(driver, opened)) is not None:
            return renewing
        taken: Handler | None = await self._links.adopt(driver, opened, self)
        if taken is not None and self._forwarding.is_own(opened):
            return ReadAhead(self._runtime.tasks, taken, _parse_ahead)
        taken = taken or self._forwarding.provisional(driver, opened)
        return taken or self._renewals.removed(driver, opened)

    # Sending.

    def send(self, person: bytes, entry: ParsedEntry) -> None:
        """Send an entry just written to all terminals of a contact, now or on the next link with each."""
        for outbound in self._sending(person):
            outbound.send(entry)
        if self._forwarding.links:
            self._forwarding.written(entry)

    def catch_up(self, person: bytes) -> None:
        for outbound in self._sending(person):
            outbound.catch_up()

    def pass_on(self, signal: EntriesPassedOn) -> None:
        """Send a contact what other terminals of this person wrote, as far as it lacks that."""
        for outbound in self._sending(signal.person):
            outbound.pass_on(signal.entries)

    def put(self, person: bytes, message: Message) -> None:
        """Send a message that is not an entry, if there is a link."""
        for outbound in self._sending(person):
            outbound.put(message)

    def read(self, person: bytes, entries: Sequence[bytes], *, told: bool) -> None:
        """This person has read entries of a contact, who may be `told`."""
        for start in range(0, len(entries) if told else 0, RECEIPT_IDS_MAX):
            self.put(person, receipt_for(READ, entries[start : start + RECEIPT_IDS_MAX]))
        self._forwarding.read(person, entries, told=told)

    async def fetch(self) -> None:
        """Get what the contacts who have a link hold, in at most the time that a signature waits."""
        outbounds = self._outbounds.items()
        current = {link: one.put for link, one in outbounds if self._links.current(link.peer) is link}
        await self._comparison.fetch(current)

    def part(self, link: LiveLink) -> bool:
        """End a link with a terminal that was removed, which hears of that alone; whether it was.

        Where this one was removed, the other side hears of that: it may not know, and nobody else may.
        """
        worker = self._workers.get(link)
        leaves = self._logs.own.is_removed and worker is not None and worker.log_heads is not None
        parts = link.parted = leaves or self._renewals.part(link)
        if parts and worker is not None and worker.task is not None:
            worker.task.cancel()
        if leaves and worker is not None:
            self._runtime.tasks.spawn(self._leave(link, worker.log_heads or []))
        return parts

    async def _leave(self, link: LiveLink, held: Sequence[bytes]) -> None:
        for operations in await self._logs.own.missing(held):
            await link.driver.send(operations)
        await link.driver.close(0)

    def hand_out_log(self) -> None:
        """Send this person's new operations to all who have named what they hold; others get them then."""
        self._handing_out = self._runtime.tasks.spawn(self._hand_out_log())

    async def _hand_out_log(self) -> None:
        for worker in list(self._workers.values()):
            if worker.log_heads is not None:
                for operations in await self._logs.own.missing(worker.log_heads):
                    worker.outbound.put(operations)

    async def hand_out_renewals(self) -> None:
        """Send what this terminal drew, after the operations that its heads name."""
        await self.handed_out()
        self._renewals.hand_out()

    def _hand_on(self, link: LiveLink, person: bytes) -> None:
        """Send a contact's operations that came to its terminals that may not have them from another one."""
        heads = self._logs.heads(person)
        for other, worker in self._workers.items():
            if other.person != person or heads is None:
                continue
            before, worker.theirs = worker.theirs, heads if worker.theirs is not None else None
            if before is not None and other.peer != link.peer and sorted(before) != sorted(heads):
                self._runtime.tasks.spawn(self._hand_missing(other, worker, before))

    async def _hand_missing(self, link: LiveLink, worker: _Worker, held: Sequence[bytes]) -> None:
        for operations in await self._logs.lacking(link, held):
            worker.outbound.put(operations)

    async def handed_out(self) -> None:
        """Wait until new operations have left on the links there are, or as long as a signature waits."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._runtime.config.sync_within):
                if self._handing_out is not None:
                    await asyncio.wait([self._handing_out])
                for worker in list(self._workers.values()):
                    await worker.outbound.sent()

    def _sending(self, person: bytes) -> list[Outbound]:
        """One per terminal of the contact that has a link."""
        return list(filter(None, map(self._outbounds.get, self._links.sending(person))))

    # LinkEvents.

    async def opened(self, link: LiveLink) -> None:
        # Before the first await: from now on the link counts as the one that sends.
        outgoing: Outgoing | None = self._forwarding.opened(link, self.deleted)
        if outgoing is None:
            outgoing = self._outbounds[link] = self._outbound(link, self.deleted)
        worker = self._workers[link] = _Worker(outgoing, log_budget(link.opened_at))
        if link in self._outbounds:
            await self._inbound.proved(link)
        if self._workers.get(link) is worker:  # it may have ended meanwhile
            worker.task = self._runtime.tasks.spawn(worker.outbound.run())
            self._transfers.opened(link, outgoing)
            if link in self._forwarding.links:
                self._runtime.tasks.spawn(self._renewals.send(link.driver, link.peer))

    async def ended(self, link: LiveLink) -> None:
        worker = self._workers.pop(link, None)
        self._outbounds.pop(link, None)
        self._forwarding.ended(link)
        self._comparison.ended(link)
        self._renewals.ended(link.driver)
        self._transfers.ended(link)
        if worker is not None and worker.task is not None:
            worker.task.cancel()
        if self._links.current(link.peer) is None:  # the end of a spare link says nothing about the terminal
            self._inbound.stopped_typing(link.peer)
        for entry, acknowledged in link.carried.items():
            if not acknowledged and not self._views.on_link(link.person, entry):
                state = EntryState.WITHDRAWN if entry in self.deleted else EntryState.QUEUED
                self._bus.publish(EntryChanged(link.person.hex(), entry.hex(), state))
        self.catch_up(link.person)

    async def received(self, link: LiveLink, messages: Sequence[Message]) -> None:
        size, own = 0, link in self._forwarding.links

        def part(message: Message) -> int:
            nonlocal size
            if not isinstance(message, Entry):
                if isinstance(message, Piece):
                    return PIECES
                return MARKS if own and isinstance(message, PassedReceipt) else 0
            size += ROW + len(message.body)
            return 1 + size // TOGETHER

        try:
            for kind, group in groupby(self._forwarding.heard(link, messages) if own else messages, part):
                if link.driver.aborted or link.parted:  # its terminal may have been removed meanwhile
                    return
                if kind > 0:  # entries that came together are stored together
                    await self._take(link, list(group))
                elif kind == MARKS:
                    await self._forwarding.take_passed(link, cast(list[PassedReceipt], list(group)))
                elif kind == PIECES:
                    await self._transfers.take_pieces(link, cast(list[Piece], list(group)))
                else:
                    for message in group:
                        await self._handle(link, message)
        except (ProtocolError, ParlourError) as failure:
            self._end(link, failure)

    def _end(self, link: LiveLink, failure: ProtocolError | ParlourError) -> None:
        """End a link for an error in what came on it. The own person hears of one of this terminal."""
        if isinstance(failure, ParlourError):
            self._bus.publish(Notice(failure.phrase))
        link.driver.abort()

    async def _take(self, link: LiveLink, messages: Sequence[Message]) -> None:
        """Store entries. Those of unknown authors wait for operations, which the first of them asks for."""
        worker, forwarding = self._workers[link], self._forwarding
        apart = forwarding.by_conversation(messages) if link in forwarding.links else [messages]
        for some in apart:
            receipt, unknown = await self._inbound.entries(link, some)
            if receipt is not None:
                worker.outbound.put(receipt)
            if forwarding.links:
                forwarding.came(link, some, receipt)
            if self._comparison.asked:
                await self._comparison.came()
            if unknown and not worker.asked:
                worker.asked = True
                worker.outbound.ask_log()
            worker.waiting += unknown[: WAITING_MAX - len(worker.waiting)]

    async def _handle(self, link: LiveLink, message: Message) -> None:
        worker = self._workers[link]
        match message:
            case Digests() | Heads() | Receipt() | HeadsHash() | Typing() if link in self._forwarding.links:
                await self._forwarding.handle(link, message)
            case Receipt() as receipt:
                new = await self._inbound.receipt(link, receipt)
                if new and self._forwarding.links:
                    self._forwarding.acknowledged(link, receipt.kind, new)
            case Typing() | Reachable() if not self._affordable(link):
                pass
            case HeadsHash() as heads_hash:
                self._comparison.when_affordable(link, partial(self._name_heads, link, heads_hash))
            case Heads() as page:
                await self._comparison.answer(link, page, self._outbounds[link].carry_found)
            case LogHeads() as log_heads:
                await self._hear_heads(link, log_heads)
            case LogOperations() as operations:
                await self._logs.store(link, operations, worker.logs)
                await self._renewals.operations_came(link.driver, link.peer)
                self._hand_on(link, owner_of(operations))
                if waiting := worker.waiting:
                    worker.waiting = []
                    for one in waiting:  # each may be a longest text
                        await self._take(link, [one])
            case RenewedKey() | RenewedShare():
                check_place(message, own=link in self._forwarding.links)
                await self._renewals.take(link.driver, link.peer, message)
            case AskPieces() | PiecesEnd() | StopPieces() | WholeFile():
                await self._transfers.take(link, message)
            case Reachable(port=port):
                await self._addresses.reached(link, port)
            case Typing() as typing:
                self._inbound.typing(link, typing)
            case _:
                check_place(message, own=False)
                raise Unexpected("the link's own message, or one of pairing")

    async def _hear_heads(self, link: LiveLink, message: LogHeads) -> None:
        """Answer heads of a log, those unlike the ones held apart from the reading.

        Behind them may come what removes a thief, whose links fill the line.
        """
        worker, person = self._workers[link], message.person
        current = self._logs.are_current(link.peer, message)
        if not self._forwarding.hears(link, message):
            worker.log_heads = message.heads
        elif person == link.person:
            worker.theirs = message.heads
        # A link that opens names both logs. Links that open again and again must not wait for the same heads.
        if current:
            await self._logs.named(link.peer, person, message.heads)
            return
        answers = person in worker.named
        worker.named[person] = message
        if not answers:
            self._runtime.tasks.spawn(self._answer_heads(link, worker, person))

    async def _answer_heads(self, link: LiveLink, worker: _Worker, person: bytes) -> None:
        try:
            newest = partial(worker.named.pop, person)
            for operations in await self._logs.answer(link, newest, worker.logs):
                worker.outbound.put(operations)
        except (ProtocolError, ParlourError) as failure:
            self._end(link, failure)

    async def _name_heads(self, link: LiveLink, message: HeadsHash) -> None:
        try:
            pages = await self._comparison.heads_if_other(link, message)
        except (ProtocolError, ParlourError) as failure:
            self._end(link, failure)
            return
        for page in pages if link in self._workers else ():
            link.asked = True
            self._workers[link].outbound.put(page)

    def _affordable(self, link: LiveLink) -> bool:
        """Whether the rate of the other terminal covers a message that may be ignored."""
        now = self._runtime.clock.monotonic()
        return self._hints.of(link.peer, now).take(now)

    async def passed_over(self, link: LiveLink) -> None:
        """A message of a number that this version does not know has no effect but what it costs."""
        now = self._runtime.clock.monotonic()
        await link.delay(self._unknown.of(link.peer, now).reserve(now))


def _parse_ahead(event: Event) -> Event:
    if isinstance(event, MessageReceived) and isinstance(event.message, Entry):
        return MessageReceived(parse_ahead(event.message))
    return event
