"""Synchronization with contacts over links: entries, receipts, heads, person logs and typing.

A worker per link sends, so that reading never waits for writing. What remains to be sent is computed from
entries and receipts (ARCHITECTURE.md, the delivery law).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import groupby
from typing import Final, cast

from msgspec import Struct, field
from msgspec.structs import replace

from chat.interface import EntryAdded, EntryChanged, EntryState, EntryView, Notice, ParlourError
from chat.network.driver import Driver, Handler, Outgoing
from chat.network.limits import Buckets
from chat.network.links import Links, LiveLink, Peer
from chat.network.read_ahead import ReadAhead
from chat.service.amending import Amendments, Changed, follow
from chat.service.claims import Claims
from chat.service.comparison import ASKING, Comparison, Gaps
from chat.service.discovery import AddressBook, ListeningPort
from chat.service.events import BotDeclared, EntriesPassedOn, EventBus, FilesNamed, OwnEntryReturned
from chat.service.expiry import Expirer
from chat.service.forwarding import Forwarding
from chat.service.keyring import Keyring, terminal_at
from chat.service.maintenance import Settler
from chat.service.marks import Marks
from chat.service.moving import Carried
from chat.service.notes import Notes
from chat.service.pairing.storage import PendingContacts
from chat.service.person_logs import Intake, PersonLogs, log_intake, owner_of
from chat.service.provisional import Provisional
from chat.service.renewal import Renewals
from chat.service.settings import Privacy
from chat.service.state import ContactBook
from chat.service.transfers import Transfers
from chat.service.views import AMENDS, FILLED, Views, gone
from chat.storage import contacts, entries, expiry, persons, receipts, repair, siblings
from chat.storage.database import Database, Store
from chat.storage.entries import BEGINNING, END, WHOLE, Stored
from chat.storage.repair import Evidence
from chat.storage.siblings import Marked, PassedMark
from chat.tasks import Runtime
from protocol.entries_and_receipts import (
    KIND_TIMER,
    READ,
    STORED,
    Author,
    Facts,
    ParsedEntry,
    accept_entry,
    accept_receipt,
    check_conversation,
    conversation_of_two,
    parse_ahead,
    parse_entry,
    receipt_for,
)
from protocol.errors import ProtocolError, Unexpected, Untrusted
from protocol.history import opening
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
    RenewedShare,
    StopPieces,
    Typing,
    WholeFile,
)
from protocol.own_terminals import check_place

STRETCH: Final = 4_096
"""Entries examined in one piece of work on the disk, a few milliseconds: users wait for no long history."""

TOGETHER: Final = 32_768
"""Bytes of entries after which those that came together go to the disk apart. To index the words of a longest
text takes ten to twenty milliseconds, for which users wait."""

ROW: Final = 32
"""What an entry without a body counts among them."""

MARKS: Final = -1
"""Marks that an own terminal passes on, which are stored together."""

PIECES: Final = -2
"""Pieces of files, which are stored together, too."""

BATCH: Final = 64
"""Entries read from the disk at a time."""

READ_REPEATED: Final = 64
"""Newest read entries named again at the start of a link, in case a read receipt was lost."""

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


DONE: Final = 0
"""Reason of the Close of a link that has said all."""


class _Worker(Struct):
    """What goes out on a link. `task` is None, and messages wait, until the link's opening is stored.

    `logs`: what may be worked on of messages that are computed from a whole log.
    `waiting` are entries whose author no log names yet; `asked` whether operations were asked for them.
    `log_heads`: the heads of this person's log that the other side has, None until it has named them.
    `theirs`: the same of the log of a contact at the other side.
    `named`: by person, heads of logs that are still to be answered.
    """

    outbound: Outgoing
    logs: Intake
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
        provisional: Provisional,
        transfers: Transfers,
    ) -> None:
        self._forwarding, self._renewals, self._transfers = forwarding, renewals, transfers
        self._provisional = provisional
        self._runtime, self._bus, self._book, self._links = runtime, bus, book, links
        self._views, self._inbound, self._comparison, self._outbound = views, inbound, comparison, outbound
        self._logs, self._addresses = logs, addresses
        self._workers: dict[LiveLink, _Worker] = {}
        self._outbounds: dict[LiveLink, Outbound] = {}  # those of contacts
        # By person and static key: a thief's terminal must not use up the rate of the one that removes it.
        self._unknown = Buckets(UNKNOWN_A_SECOND, UNKNOWN_AT_ONCE)
        self._hints = Buckets(HINTS_A_SECOND, HINTS_AT_ONCE)
        self._handing_out: asyncio.Task[None] | None = None
        self._answered = asyncio.Event()  # what some terminal lacks of this person's log is on its way to it
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
        taken: Handler | None = await self._links.adopt(driver, opened, self)
        if taken is not None and self._forwarding.is_own(opened):
            return ReadAhead(self._runtime.tasks, taken, _parse_ahead)
        return taken or self._provisional.take(driver, opened)

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

    async def compare(self, person: bytes) -> bool:
        """Get what a contact holds on a link that is open; whether all of it came."""
        current = next(iter(self._links.sending(person)), None)
        outbound = self._outbounds.get(current) if current is not None else None
        if current is None or outbound is None or current in self._comparison.asked:
            return False
        return await self._comparison.fetch(current, outbound.put)

    @property
    def has_notes(self) -> bool:
        """Whether another own terminal is there, of which this one has all notes, or there is none."""
        return self._forwarding.has_notes

    def part(self, link: LiveLink) -> bool:
        """End a link with a terminal that was removed, which hears of that alone; whether it was.

        Where this one was removed, the other side hears of that: it may not know, and nobody else may.
        """
        worker = self._workers.get(link)
        if self._logs.own.is_removed and worker is not None and worker.log_heads is not None:
            link.parted = True
            self._runtime.tasks.spawn(self._leave(link))
            return True
        link.parted = self._provisional.part(link)
        if link.parted and worker is not None and worker.task is not None:
            worker.task.cancel()
        return link.parted

    async def _leave(self, link: LiveLink) -> None:
        """End a link of this terminal, which was removed, once what waits was sent, and the removal after it.

        What was written before comes first: behind the removal it would not count.
        """
        await self.left()
        await link.driver.close(DONE)

    def hand_out_log(self) -> None:
        """Send this person's new operations to all who have named what they hold; others get them then."""
        self._answered.clear()
        self._handing_out = self._runtime.tasks.spawn(self._hand_out_log())

    async def _hand_out_log(self) -> None:
        for link, worker in list(self._workers.items()):
            if worker.log_heads is not None:
                for operations in await self._logs.own.missing(worker.log_heads):
                    worker.outbound.put(operations)
                self._put_shares(link, worker)
                self._answered.set()

    def _put_shares(self, link: LiveLink, worker: _Worker) -> None:
        """Hand a contact's terminal the own shares, after the operations that draw them."""
        for share in () if self._logs.own.is_removed else self._renewals.lacking(link):
            worker.outbound.put(share)

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

    async def handed_out(self) -> bool:
        """Wait until a terminal was sent what it lacks of this person's log, or 10 seconds; whether one was.

        A command ends its engine when this returns: the link over which it hands out what it signed opens
        after the signature.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(self._runtime.config.sync_within):
                await self._answered.wait()
                await self.left()
                return True
        return False

    async def met(self) -> bool:
        """Wait until a terminal has named what it holds of this person's log, or 10 seconds; whether any."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._runtime.config.sync_within):
                while all(worker.log_heads is None for worker in self._workers.values()):
                    self._answered.clear()
                    await self._answered.wait()
                return True
        return False

    async def left(self) -> None:
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
        worker = self._workers[link] = _Worker(outgoing, log_intake(link.opened_at))
        if link in self._outbounds:
            await self._inbound.proved(link)
        if self._workers.get(link) is worker:  # it may have ended meanwhile
            worker.task = self._runtime.tasks.spawn(worker.outbound.run())
            self._transfers.opened(link, outgoing)

    async def ended(self, link: LiveLink) -> None:
        worker = self._workers.pop(link, None)
        self._outbounds.pop(link, None)
        self._forwarding.ended(link)
        self._comparison.ended(link)
        self._transfers.ended(link)
        if worker is not None and worker.task is not None:
            worker.task.cancel()
        current = self._links.current(link.peer)
        if current is None:  # the end of a spare link says nothing about the terminal
            self._inbound.stopped_typing(link.peer)
        for entry in link.sent:
            if not self._views.on_link(link.person, entry):
                state = EntryState.WITHDRAWN if entry in self.deleted else EntryState.QUEUED
                self._bus.publish(EntryChanged(link.person.hex(), entry.hex(), state))
        if current is not None and current.opened_at < link.opened_at and current in self._outbounds:
            # A copy of the terminal's profile may have had the newer link, and alone what went out meanwhile.
            self._outbounds[current].begin_again()
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
                self._hand_on(link, owner_of(operations))
                if waiting := worker.waiting:
                    worker.waiting = []
                    for one in waiting:  # each may be a longest text
                        await self._take(link, [one])
            case RenewedShare():
                check_place(message, own=link in self._forwarding.links)
                await self._renewals.take(link.peer, message)
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
            self._has_answered(link, worker, person)
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
            self._has_answered(link, worker, person)
        except (ProtocolError, ParlourError) as failure:
            self._end(link, failure)

    def _has_answered(self, link: LiveLink, worker: _Worker, person: bytes) -> None:
        if self._logs.is_own(person):
            self._put_shares(link, worker)
            self._answered.set()

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


class Outbound(Outgoing):
    """What goes out on a link with a contact. Entries that wait behind others wait on the disk."""

    def __init__(
        self,
        store: Store,
        bus: EventBus,
        keyring: Keyring,
        book: ContactBook,
        privacy: Privacy,
        port: ListeningPort,
        link: LiveLink,
        deleted: set[bytes],
    ) -> None:
        super().__init__(link.driver)
        self._store, self._bus, self._keyring, self._book = store, bus, keyring, book
        self._privacy, self._port, self._link, self._deleted = privacy, port, link, deleted
        self._conversation = conversation_of_two(keyring.own.person, link.person)
        self._carried = Carried()
        self._held_back = False  # whether something was not sent since the contact was held back

    def send(self, entry: ParsedEntry) -> None:
        if self._queue.empty():
            self._link.queued[entry.id] = True
            self._put(partial(self._send, entry.id, entry.message()))
        else:
            self.carry([entry.id])

    def carry(self, ids: Sequence[bytes]) -> None:
        """Send these entries, unless this link has carried them."""
        if ids:
            self._put(partial(self._carry, ids))

    def carry_found(self, find: Callable[[], Awaitable[Sequence[bytes]]]) -> None:
        """Find entries once all before them are sent, and send them: an answer can name the whole history."""

        async def found() -> None:
            await self._carry(await find())

        self._put(found)

    def begin_again(self) -> None:
        """Compare with the other side once more, as on a link that has just opened."""
        self._put(self._begin)

    def catch_up(self) -> None:
        self._put(self._catch_up)

    def pass_on(self, ids: Sequence[bytes]) -> None:
        """Send what other terminals of this person wrote, unless a terminal of the contact has it."""
        self._put(partial(self._pass_on, ids))

    async def _pass_on(self, ids: Sequence[bytes]) -> None:
        await self._carry(await self._store.read(siblings.unacknowledged, ids, self._link.person))

    async def _begin(self) -> None:
        """Send what this side holds and what has no receipt."""
        await self._greet()
        await self._send_unacknowledged()

    def ask_log(self) -> None:
        """Ask for what this side lacks of the contact's log."""
        if (contact := self._keyring.contacts.get(self._link.person)) is not None:
            self.put(LogHeads(contact.state.person, list(contact.state.heads)))

    async def _greet(self) -> None:
        contact = self._keyring.contacts.get(self._link.person)
        if contact is None:
            return  # removed since the link opened, which is about to be closed
        terminal = terminal_at(contact, self._link)
        heads = await self._store.read(repair.asking_heads, self._conversation, terminal)
        states, read = (contact.state, self._keyring.own_log), await self._read_lately()
        logs = [LogHeads(state.person, list(state.heads)) for state in states]
        for message in opening(logs, self._conversation, heads, self._port.number, read):
            await self._link.driver.send(message)

    async def _catch_up(self) -> None:
        if ids := await self._read_lately():
            await self._link.driver.send(receipt_for(READ, ids))
        await self._send_unacknowledged()
        if self._held_back:  # a removed terminal may have acknowledged what the other side named as lacking
            self._held_back = False
            await self._link.driver.send(HeadsHash(self._conversation, ASKING))

    async def _send_unacknowledged(self) -> None:
        """Also what others of this person's terminals wrote. They may be removed, or have deleted it here."""
        own = self._keyring.own.terminal
        for author in (own, *sorted(self._keyring.own_terminals - {own})):
            async for ids in self._unacknowledged(author):
                await self._carry(ids)

    async def _read_lately(self) -> list[bytes]:
        """The newest entries for which a read receipt may be sent again, newest first."""
        if not self._privacy.settings.read_receipts:
            return []
        found, place, own = list[bytes](), END, self._keyring.own_terminals
        while place != BEGINNING and len(found) < READ_REPEATED:
            most = READ_REPEATED - len(found)
            ids, place = await self._store.read(
                receipts.read_before, self._conversation, own, most, place, STRETCH
            )
            found += ids
        return found

    async def _unacknowledged(self, author: bytes) -> AsyncIterator[list[bytes]]:
        """Entries of an own terminal that no terminal of the contact has, in order, some at a time."""
        done, person = 0, self._link.person
        while done < WHOLE[1]:
            ids, (_, done) = await self._store.read(
                receipts.unacknowledged_after, self._conversation, author, person, done, STRETCH
            )
            if ids:
                yield ids

    async def _carry(self, ids: Sequence[bytes]) -> None:
        queued, left = self._link.queued, [entry for entry in ids if entry not in self._link.sent]
        for start in range(0, len(left), BATCH):
            own, some = self._keyring.own.terminal, left[start : start + BATCH]
            queued.update(dict.fromkeys(some, True))  # a receipt can come while they are read
            rows, awaiting = await self._store.read(receipts.in_order, some, own, self._link.person)
            rows = [row for row in rows if row.number not in self._carried]
            queued.update(dict.fromkeys(queued.keys() & {row.id for row in rows} - awaiting, False))
            for row in rows:
                if await self._send(row.id, Entry(row.header, row.salt, row.body)):
                    self._carried.add(row.number)
            for entry in some:
                queued.pop(entry, None)
            await self._acknowledge([row.id for row in rows if row.salt and row.author in self._theirs()])

    def _theirs(self) -> Collection[bytes]:
        contact = self._keyring.contacts.get(self._link.person)
        return () if contact is None else {one.id for one in contact.state.terminals()}

    async def _acknowledge(self, returned: Sequence[bytes]) -> None:
        """The other side lacked entries that its person wrote, and with them the receipts for them."""
        if returned and self._link.driver.link.is_open:
            await self._link.driver.send(receipt_for(STORED, returned))
            own, told = self._keyring.own_terminals, self._privacy.settings.read_receipts
            if told and (read := await self._store.read(receipts.read_among, returned, own)):
                await self._link.driver.send(receipt_for(READ, read))

    async def _send(self, entry: bytes, message: Entry) -> bool:
        """Send a queued entry; whether it was sent."""
        link = self._link
        awaits, contact = link.queued.pop(entry, None), self._book.rows.get(link.person)
        if contact is None or awaits is None or not link.driver.link.is_open:
            return False
        if contact.waits:
            self._held_back = True
            return False
        if entry in self._deleted:  # since it was written, or read from the disk
            message, awaits = Entry(message.header, b"", b""), False
        if awaits:
            link.sent.add(entry)
        await link.driver.send(message)
        if entry in link.sent:
            self._bus.publish(EntryChanged(link.person.hex(), entry.hex(), EntryState.SENT))
        return True


def _parse_ahead(event: Event) -> Event:
    if isinstance(event, MessageReceived) and isinstance(event.message, Entry):
        return MessageReceived(parse_ahead(event.message))
    return event


class Inbound:
    """Stores what arrives on links. A message that does not belong raises ProtocolError."""

    def __init__(
        self,
        runtime: Runtime,
        store: Store,
        bus: EventBus,
        keyring: Keyring,
        book: ContactBook,
        links: Links,
        views: Views,
        pending: PendingContacts,
        settler: Settler,
        expirer: Expirer,
        amendments: Amendments,
        notes: Notes,
        gaps: Gaps,
        marks: Marks,
        claims: Claims,
    ) -> None:
        self._notes, self._gaps, self._marks, self._claims = notes, gaps, marks, claims
        self._doubts = self._doubted = True  # whether entries may be uncovered, and were in the last insert
        self._runtime, self._store, self._bus, self._keyring = runtime, store, bus, keyring
        self._book, self._links, self._views, self._pending = book, links, views, pending
        self._settler, self._expirer, self._amendments = settler, expirer, amendments

    async def keyed(self, opened: LinkOpen) -> None:
        """A contact's link opened, which retires the pairings before the one whose secret it used."""
        await self._pending.retire(opened)

    async def proved(self, link: LiveLink) -> None:
        """A contact's link opened, which completes a pairing whose last message was lost."""
        await self._pending.promote(link.person)
        await self._pending.proved(link.person, link.terminal)

    async def entries(
        self, link: LiveLink, messages: Sequence[Message]
    ) -> tuple[Receipt | None, list[Message]]:
        """Store a group of entries; returns the receipt for all that came with their body, and the others.

        These are not stored, since no log held here names their author as a terminal of either person.
        Raises ProtocolError for the first that does not belong, after storing those before it.
        """
        own, person = self._keyring.own, link.person
        if person == own.person:
            person = self._keyring.partner(messages)
        if person == own.person:
            return await self._notes.take(link, messages)
        contact = self._keyring.contacts.get(person)
        own_live = self._keyring.own_log.live.keys()
        facts = Facts(
            own_person=own.person,
            own_terminals=own_live,
            # Also where a contact's log has them: else the contact could write in this person's name.
            own_former=self._keyring.own_terminals - own_live,
            contact=person,
            contact_terminals=set() if contact is None else set(contact.state.live),
            carrier=link.person,
            self_keys=self._keyring.newest_keys,
            welcome=contact is not None and not contact.blocked,
            signing=self._keyring.own_signing,
        )
        parsed, former, unknown = list[ParsedEntry](), set[bytes](), list[Message]()
        stored, claimed = list[bytes](), list[ParsedEntry]()
        try:
            for message in messages:
                if not isinstance(message, Entry):
                    raise Unexpected("not an entry")
                entry = parse_entry(message)
                author = entry.header.author
                live = author in facts.contact_terminals or author in facts.own_terminals
                if not live and not facts.contact_former:
                    former_ones = await self._store.read(persons.former_terminals, person)
                    facts = replace(facts, contact_former=former_ones)
                known = accept_entry(entry, facts)
                if known is Author.UNKNOWN:
                    unknown.append(message)
                    continue
                if known is Author.CLAIMED:
                    claimed.append(entry)
                    continue
                if known is Author.FORMER:
                    former.add(author)
                parsed.append(entry)
                if entry.salt:
                    stored.append(entry.id)
        finally:
            if parsed:
                await self._store_entries(link, person, parsed, former)
            if claimed:
                stored += await self._claims.keep(link, person, claimed)
        return receipt_for(STORED, stored) if stored else None, unknown

    async def _store_entries(
        self, link: LiveLink, person: bytes, parsed: Sequence[ParsedEntry], former: Collection[bytes]
    ) -> None:
        own, timed = self._keyring.own.terminal, False
        for entry in parsed:
            timed = timed or entry.header.timer > 0 or entry.header.kind == KIND_TIMER
        marks = self._marks.of(person, parsed) if self._marks.early else {}
        moment = self._expirer.moment() if timed or marks else None
        timed = timed or person in self._book.timers
        done = await self._store.write_once(
            repair.is_stored, self._insert, link, person, parsed, former, moment, marks
        )
        new, evidence, self._book.unread[person], due, changed, gaps, marked = done
        self._doubts = self._doubted  # what was rolled back has changed nothing
        if gaps:
            self._gaps.passed_again(link, gaps)
        if due:
            self._settler.begin()
        if timed and new:
            talk = parsed[0].header.conversation
            self._expirer.set_timer(person, await self._store.read(expiry.timer_of, talk))
            self._expirer.begin()
        shown, filed, declared = dict[bytes, EntryView](), False, person in self._book.bots
        for amended in changed:
            shown[amended.row.id] = self._amendments.view(amended)
        for one in new:
            entry, rivals = one.entry, one.rivals
            if entry.header.author == own and not one.filled:
                self._returned(person, entry.header.time)
            if rivals and not one.filled:
                evidence.append((entry.header.author, entry.id, rivals))
            if entry.header.kind in AMENDS:
                continue
            filed = filed or entry.file is not None
            declared = declared or entry.bot is not None
            kind = marked.entries.get(entry.id, 0)
            view = self._views.added(
                person, entry, conflicting=bool(rivals), quarantined=one.quarantined, acknowledged=kind
            )
            if one.destroyed:
                view = gone(view, one.destroyed)
            if entry.id in shown:
                view = shown[entry.id]
            self._bus.publish(FILLED[one.returns](view) if one.filled else EntryAdded(view))
        if filed:
            self._bus.signal(FilesNamed())
        if declared and new:
            self._bus.signal(BotDeclared(person))
        if changed:
            self._amendments.publish(changed, [one.entry.id for one in new])
        if evidence:
            self._views.publish_evidence(person, evidence)
        if marked.entries:
            self._marks.stored(person, marked, marks)
        if new:
            self._book.typing.pop(person, None)  # it ends with the entry
            self._views.publish_contact(person)

    def _returned(self, person: bytes, time: int) -> None:
        """An own entry came back. One from before the pairing does so too after a contact was removed."""
        contact = self._book.rows.get(person)
        if contact is not None and time >= contact.since:
            self._bus.signal(OwnEntryReturned(time))

    def _insert(
        self,
        database: Database,
        link: LiveLink,
        person: bytes,
        parsed: Sequence[ParsedEntry],
        former: Collection[bytes],
        moment: expiry.Moment | None,
        marks: Mapping[bytes, Collection[PassedMark]],
    ) -> tuple[list[Stored], list[Evidence], int, bool, list[Changed], list[tuple[bytes, bytes]], Marked]:
        """Insert entries with their marks: what is new, evidence, the number of unread ones, whether more is
        due, changes, gaps, and what was marked.
        """
        own, bare, evidence = self._keyring.own, False, list[Evidence]()
        for entry in parsed:
            bare = bare or not entry.salt
        conversation = parsed[0].header.conversation
        passed = link.person == own.person
        new = entries.insert_all(
            database,
            parsed,
            own.terminal,
            contact=person,
            stored=self._runtime.clock.wall(),
            carrier=self._keyring.at(link) if bare else b"",
            former=former,
            ours=self._keyring.own_terminals,
            moment=moment,
        )
        fresh = set[bytes]()
        for one in new:
            if not one.filled:
                fresh.add(one.entry.id)
        held = [] if len(fresh) == len(parsed) else [one for one in parsed if one.id not in fresh]
        if passed:
            new = repair.doubt(database, new, self._keyring.own_terminals)
            self._doubts = self._doubted = True
        elif held or self._doubts:
            # The contact passes on what an own terminal has passed before, or what follows that.
            evidence = repair.cover(database, conversation, held)
            self._doubted = repair.has_uncovered(database)
        gaps = repair.before_gaps(database, held) if held and link.asked else []
        marked = Marked()
        if marks and moment:
            marked = siblings.mark_new(database, new, marks, self._keyring.own_terminals, moment)
        due, changed = entries.is_unsettled(database), list[Changed]()
        if due:
            talk = contacts.conversation_number(database, conversation)
            changed, _ = follow(database, after=talk - 1)  # this one's turn comes first
        return new, evidence, receipts.unread(database, conversation), due, changed, gaps, marked

    async def receipt(self, link: LiveLink, receipt: Receipt) -> Collection[bytes]:
        """Record that the contact's terminal has stored entries, or that its user has read them.

        Returns the ids for which that is new.
        """
        own, contact = self._keyring.own, self._keyring.contacts.get(link.person)
        if contact is None:
            raise Untrusted("no contact any more")
        terminal = accept_receipt(receipt, contact.state, link.terminal)
        new = await self._store.write(
            receipts.acknowledge,
            conversation_of_two(own.person, link.person),
            own.terminal,
            terminal.id,
            receipt,
            self._runtime.clock.wall(),
        )
        if self._expirer.awaited:
            self._expirer.begin()
        state = EntryState.READ if receipt.kind == READ else EntryState.DELIVERED
        link.acknowledged(receipt.ids)
        for other in self._links.of(link.person):
            other.acknowledged_elsewhere(new)
        for entry, advances in new.items():
            if advances:
                self._bus.publish(EntryChanged(link.person.hex(), entry.hex(), state))
        return new

    def typing(self, link: LiveLink, message: Typing) -> None:
        check_conversation(message.conversation, self._keyring.own.person, link.person)
        if not message.on:
            self.stopped_typing(link.peer)
            return
        self._runtime.beat.by(self._runtime.config.typing_lasts)
        if self._book.types(link.peer, self._runtime.clock.monotonic() + self._runtime.config.typing_lasts):
            self._views.publish_contact(link.person)

    def stopped_typing(self, peer: Peer) -> None:
        if self._book.stops_typing(peer):
            self._views.publish_contact(peer.person)

    def forget_typing(self) -> None:
        now = self._runtime.clock.monotonic()
        for person, terminals in list(self._book.typing.items()):
            for static in [one for one, until in terminals.items() if until <= now]:
                self.stopped_typing(Peer(person, static))
        left = [until for terminals in self._book.typing.values() for until in terminals.values()]
        if left:
            self._runtime.beat.by(min(left) - now)
