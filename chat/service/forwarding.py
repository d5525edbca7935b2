"""What the terminals of one person pass on to each other: entries, marks and person logs (SPEC §7.8)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Final

from msgspec.structs import replace

from chat.network.driver import Outgoing
from chat.network.limits import Buckets
from chat.network.links import Links, LiveLink
from chat.service.comparison import Gaps
from chat.service.discovery import ListeningPort
from chat.service.events import EntriesPassedOn, EventBus, HoldingSaid
from chat.service.keyring import Keyring, terminal_at, terminal_of
from chat.service.marks import Marks, entries_first
from chat.service.moving import BATCH, Answers, Arrivals, Asked, Carried, Counts
from chat.service.notes import Notes
from chat.service.person_logs import PersonLogs
from chat.service.state import ContactBook
from chat.storage import repair, siblings, signatures
from chat.storage.database import Store
from chat.storage.entries import EntryRow
from chat.tasks import Runtime
from protocol.codec import check_ascending
from protocol.entries_and_receipts import (
    READ,
    ParsedEntry,
    Signed,
    conversation_of,
    conversation_of_two,
    entry_message,
)
from protocol.history import check_page, pages
from protocol.limits import DIGESTS_MAX, EARLY_MARKS_MAX, RECEIPT_IDS_MAX
from protocol.link.states import LinkOpen
from protocol.messages import (
    Digest,
    Digests,
    Entry,
    Heads,
    LogHeads,
    Message,
    PassedReceipt,
    Reachable,
    Receipt,
)
from protocol.own_terminals import (
    READ_UNTOLD,
    check_digests,
    check_place,
    is_of_holding,
    passed_receipts,
)

SETTLES_IN: Final = 1.0
"""Seconds from the first entry that came until other own terminals hear of it. What comes in between goes
with it, and the contact may have sent it to them as well."""

PASSED_MAX: Final = 4_096
"""Entries per contact that wait for that to go to the contact. Own terminals fill it; the comparison of heads
on the contact's next link brings what has no room."""

COMPARED_A_SECOND: Final = 16.0
COMPARED_AT_ONCE: Final = 512.0
"""Rate of Digests and Heads per own terminal. More of them delay the reading of its link. A terminal that is
new names heads of all conversations at once, and its person waits for the newest entries of each."""

NAMED_MAX: Final = 8_192
"""Logs per link of which it is kept what the own terminal at its other end, which fills this, holds."""

RESTS: Final = 9
"""Times as long as a step of an answer took that the next one waits, if it sent nothing. A stolen terminal
can name heads for ever that have the whole history walked in vain: that takes a tenth of the time."""

DIGESTED: Final = 8
"""Conversations of which digests are made at a time: some milliseconds, for which users wait."""


MARKS_SINCE: Final = 1_800_000
"""Milliseconds before an own terminal was there last from which on it gets marks again: those of the life of
a link, with which some may have been lost on their way, and as much again."""

LOOKED_AT: Final = 4_096
"""Entries whose marks one step looks at: a few milliseconds, for which users wait."""

LOOKED_AT_MAX: Final = 65_536
"""Newest entries of all conversations that are looked at for marks which an own terminal lacks. Who writes
much can fill it: then it lacks those of older entries, but for the newest of each conversation."""

MARKS_OF_PART: Final = EARLY_MARKS_MAX // 2
"""Marks that precede their entries, of which the other side keeps twice as many. The contact, who may have
very many terminals, can fill it; what has more goes in smaller parts."""


class SiblingOutgoing(Outgoing):
    """What goes out on a link with an own terminal. `named`: by person, the heads of logs that it holds.

    `told`: by conversation, the digest that was sent last. `lacked`: by conversation, the gaps that the other
    side told last.
    """

    def __init__(
        self,
        store: Store,
        keyring: Keyring,
        port: ListeningPort,
        counts: Counts,
        runtime: Runtime,
        link: LiveLink,
        deleted: set[bytes],
        marks_since: int,
    ) -> None:
        super().__init__(link.driver)
        self._marks_since = marks_since
        self._store, self._keyring, self._port, self._counts = store, keyring, port, counts
        self._runtime, self._clock = runtime, runtime.clock
        self._link, self._deleted = link, deleted
        self._carried, self._written = Carried(), set[bytes]()
        self._answers, self._answering = Answers(store, self._carried, self._carry, self._say_over), False
        self.lacked: dict[bytes, int] = {}
        self.named: dict[bytes, Sequence[bytes]] = {}
        self.told: dict[bytes, Digest] = {}
        self.asked_for = set[bytes](keyring.awaited)

    async def _begin(self) -> None:
        for message in self._logs():
            await self._link.driver.send(message)
        await self._compare(_compared(self._keyring))
        terminal = terminal_of(self._keyring.own_log, self._link)
        bare = await self._store.read(signatures.wanted, terminal)
        if persons := [one for one in map(self._keyring.talks_with, bare) if one]:
            await self._ask(persons)
        last = await self._store.read(siblings.newest_number)
        for before in range(0, min(last, LOOKED_AT_MAX), LOOKED_AT):
            self._put(partial(self._pass_marks, last - before))
        if self._port.number:
            await self._link.driver.send(Reachable(self._port.number))

    def _logs(self) -> list[LogHeads]:
        states = [self._keyring.own_log, *(one.state for one in self._keyring.contacts.values())]
        awaited = [LogHeads(person, []) for person in sorted(self._keyring.awaited)]
        return [*(LogHeads(state.person, list(state.heads)) for state in states), *awaited]

    def ask_log(self) -> None:
        for message in self._logs():
            self.put(message)

    def compare(self, persons: Sequence[bytes]) -> None:
        """Tell what is held of the conversations with these contacts, the own person for its notes."""
        self._put(partial(self._compare, persons))

    async def _compare(self, persons: Sequence[bytes]) -> None:
        own, terminal = self._keyring.own.person, terminal_of(self._keyring.own_log, self._link)
        # What own terminals have of notes is no mark.
        others = {person: b"" if person == own else person for person in persons}
        talks = sorted((conversation_of(own, person), other) for person, other in others.items())
        for start in range(0, len(talks), DIGESTS_MAX):
            some, found = talks[start : start + DIGESTS_MAX], list[Digest]()
            for first in range(0, len(some), DIGESTED):
                part = some[first : first + DIGESTED]
                held = await self._counts.held()
                found += await self._store.read(siblings.digests, part, terminal, held)
            self.told.update((one.conversation, one) for one in found)
            await self._link.driver.send(Digests(found))

    async def _pass_marks(self, last: int) -> None:
        """Send the marks that were stored since the other side was there. A comparison brings few of them."""
        own, terminal = self._keyring.own.person, terminal_of(self._keyring.own_log, self._link)
        found = await self._store.read(siblings.marked_since, last, LOOKED_AT, self._marks_since)
        for conversation, ids in found.items():
            contact = self._keyring.talks_with(conversation)
            if contact in (b"", own) or self._keyring.contacts[contact].blocked:
                continue
            for start in range(0, len(ids), BATCH):
                marks = await self._store.read(siblings.marks_of, ids[start : start + BATCH], contact)
                others = [mark for mark in marks if mark.terminal != terminal]
                await self._link.driver.send_all(passed_receipts(conversation, others))

    def ask(self, persons: Sequence[bytes]) -> None:
        """Ask for what is lacking of the conversations with these contacts."""
        self._put(partial(self._ask, persons))

    async def _ask(self, persons: Sequence[bytes]) -> None:
        own, terminal = self._keyring.own.person, terminal_of(self._keyring.own_log, self._link)
        self._link.asked = True
        for conversation in [conversation_of(own, person) for person in persons]:
            heads = await self._store.read(siblings.asking_heads, conversation, terminal)
            for page in pages(conversation, heads):
                await self._link.driver.send(page)

    def send(self, entry: ParsedEntry) -> None:
        """Send an own entry that was just written."""
        self._written.add(entry.id)
        self._put(partial(self._send_written, entry.id, entry.passed()))

    async def _send_written(self, entry: bytes, message: Entry) -> None:
        if entry in self._written:
            self._written.discard(entry)
            await self._link.driver.send(self._as_sent(entry, message))

    def answer(self, asked: Asked) -> None:
        """Send what the other side lacks, a little at a time: nothing else waits until all is sent."""
        if not self._answers.may_add(asked.page):
            return
        self._answers.add(asked)
        if not self._answering:
            self._answering = True
            self._put(self._step)

    async def _step(self) -> None:
        began = self._clock.monotonic()
        self._answering = await self._answers.step()
        if not self._answering:
            return
        if self._answers.sent:
            self._put(self._step)
        else:
            self._runtime.tasks.spawn(self._rest(RESTS * (self._clock.monotonic() - began)))

    async def _rest(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if self._link.driver.link.is_open:
            self._put(self._step)

    async def _carry(self, conversation: bytes, contact: bytes, numbers: Sequence[int]) -> None:
        rows, marks, signed = await self._store.read(siblings.with_marks, conversation, numbers, contact)
        if len(marks) > MARKS_OF_PART and len(numbers) > 1:
            half = len(numbers) // 2
            for part in (numbers[:half], numbers[half:]):
                await self._carry(conversation, contact, part)
            return
        # The marks first: nobody would ask for them any more where the link ended between the two.
        await self._link.driver.send_all(passed_receipts(conversation, marks))
        await self._link.driver.send_all(self._entries(rows, signed))

    def fill(self, conversation: bytes, contact: bytes, numbers: Sequence[int]) -> bool:
        """Send entries, by number, that the other side lacks, unless they went on this link; if any."""
        if left := [number for number in numbers if number not in self._carried]:
            self._put(partial(self._carry, conversation, contact, left))
        return bool(left)

    def _entries(self, rows: Iterable[EntryRow], signed: Mapping[int, Signed]) -> Iterator[Message]:
        """`signed`: the signatures, by number."""
        for row in rows:
            self._carried.add(row.number)
            self._written.discard(row.id)
            yield self._as_sent(row.id, entry_message(row.header, row.salt, row.body, signed.get(row.number)))

    async def _say_over(self, conversation: bytes, contact: bytes) -> None:
        """Say that all that was asked for of a conversation was sent."""
        terminal, held = terminal_of(self._keyring.own_log, self._link), await self._counts.held()
        (mine,) = await self._store.read(siblings.digests, [(conversation, contact)], terminal, held)
        await self._link.driver.send(Digests([replace(mine, answered=True)]))

    def pass_on(self, ids: Sequence[bytes]) -> None:
        """Send entries that a contact has sent."""
        self._put(partial(self._pass_on, ids))

    async def _pass_on(self, ids: Sequence[bytes]) -> None:
        rows, signed = await self._store.read(siblings.rows_of, ids)
        left = (row for row in rows if row.number not in self._carried)
        await self._link.driver.send_all(self._entries(left, signed))

    def forget_carried(self) -> None:
        """Entries were removed, and others may take their numbers."""
        self._carried.clear()

    def _as_sent(self, entry: bytes, message: Entry) -> Entry:
        deleted = entry in self._deleted  # since it was written, or read from the disk
        return replace(message, salt=b"", body=b"") if deleted else message


def _compared(keyring: Keyring) -> list[bytes]:
    """The contacts whose conversations are compared, after this person, whose notes are."""
    contacts = [person for person, contact in keyring.contacts.items() if not contact.blocked]
    return [keyring.own.person, *contacts]


def _may_fill(mine: Digest, theirs: Digest, lacked: int | None) -> bool:
    """Whether another own terminal may have got what it lacked when it answered, and this one lacks it still.

    `lacked`: the gaps that it told on this link before.
    """
    if lacked is None:
        return mine.gaps > 0 and (theirs.gaps < mine.gaps or theirs.entries > mine.entries)
    return theirs.gaps < min(mine.gaps, lacked)


class Forwarding:
    """Passes on among own terminals, and to contacts what other own terminals wrote. `links`: with those."""

    def __init__(
        self,
        runtime: Runtime,
        store: Store,
        bus: EventBus,
        keyring: Keyring,
        book: ContactBook,
        links: Links,
        logs: PersonLogs,
        gaps: Gaps,
        port: ListeningPort,
        notes: Notes,
        marks: Marks,
    ) -> None:
        self._notes, self._marks = notes, marks
        self._runtime, self._store, self._bus, self._keyring = runtime, store, bus, keyring
        self._book, self._open = book, links
        self._logs, self._gaps, self._port = logs, gaps, port
        self.links: dict[LiveLink, SiblingOutgoing] = {}
        self._rates = Buckets(COMPARED_A_SECOND, COMPARED_AT_ONCE)
        self._counts, self._arrivals = Counts(store), Arrivals(runtime, store, bus, keyring)
        # By contact: the links on which something came since own terminals were told, and what is to pass.
        self._came: dict[bytes, set[LiveLink]] = {}
        self._passed: dict[bytes, list[bytes]] = {}
        self._handed: dict[bytes, tuple[bytes, ...]] = {}
        self._compared = _compared(keyring)
        self._noted = set[LiveLink]()  # those on which all notes have come

    # Links.

    def is_own(self, opened: LinkOpen) -> bool:
        """Whether it is a link with an own terminal."""
        return opened.person == self._keyring.own.person

    def opened(self, link: LiveLink, deleted: set[bytes]) -> SiblingOutgoing | None:
        """What sends on a new link with an own terminal, None for a link with a contact."""
        if link.person != self._keyring.own.person:
            return None
        self.links[link] = outgoing = SiblingOutgoing(
            *(self._store, self._keyring, self._port, self._counts, self._runtime, link, deleted),
            self._book.seen.get(self._keyring.at(link), self._runtime.clock.wall()) - MARKS_SINCE,
        )
        return outgoing

    def ended(self, link: LiveLink) -> None:
        self.links.pop(link, None)
        self._noted.discard(link)
        self._marks.ended(link)
        self._arrivals.ended(link)

    @property
    def has_notes(self) -> bool:
        """Whether another own terminal is there, of which this one has all notes, or there is none."""
        return not self._keyring.other_live() or any(self._open.keeps(link) for link in self._noted)

    # Logs.

    def hears(self, link: LiveLink, message: LogHeads) -> bool:
        """Keep what an own terminal holds of a contact's log; whether that is no log of this person."""
        if message.person == self._keyring.own.person:
            return False
        outgoing = self.links.get(link)
        known = message.person in self._keyring.contacts
        # It may ask for the log of a contact whom this one does not have yet.
        if outgoing is not None and (known or len(outgoing.named) < NAMED_MAX):
            outgoing.named[message.person] = message.heads
        return True

    def ask_logs(self) -> None:
        """Ask for the logs of those who are contacts of other own terminals alone."""
        for outgoing in self.links.values():
            for person in sorted(self._keyring.awaited - outgoing.asked_for):
                outgoing.asked_for.add(person)
                outgoing.put(LogHeads(person, []))
            outgoing.asked_for &= self._keyring.awaited

    def contacts_changed(self) -> None:
        """Logs may have grown, and contacts be new or blocked no more."""
        self._hand_out_logs()
        before, self._compared = self._compared, _compared(self._keyring)
        if before != self._compared:
            self._counts.forget()
            self._arrivals.keep({conversation_of(self._keyring.own.person, one) for one in self._compared})
            for outgoing in self.links.values():
                outgoing.forget_carried()
        if fresh := [person for person in self._compared if person not in before]:
            for outgoing in self.links.values():
                outgoing.compare(fresh)
                outgoing.ask(fresh)

    def _hand_out_logs(self) -> None:
        """Send what is new of contacts' logs to the own terminals that have named what they hold."""
        for person, contact in self._keyring.contacts.items():
            heads = contact.state.heads
            if self._handed.get(person) != heads:
                self._handed[person] = heads
                if self.links:
                    self._runtime.tasks.spawn(self._hand_out(person))

    async def _hand_out(self, person: bytes) -> None:
        for link, outgoing in list(self.links.items()):
            named, contact = outgoing.named.get(person), self._keyring.contacts.get(person)
            if named is not None and contact is not None:
                outgoing.named[person] = contact.state.heads  # what is sent now is not sent with what follows
                for operations in await self._logs.named(link.peer, person, named):
                    outgoing.put(operations)

    # What is new here.

    def written(self, entry: ParsedEntry) -> None:
        """Send an entry that was just written here."""
        for outgoing in self.links.values():
            outgoing.send(entry)

    def came(self, link: LiveLink, messages: Sequence[Message], receipt: Receipt | None) -> None:
        """Entries of one conversation came; `receipt` names those that came with their body."""
        person = link.person
        if link in self.links:
            person = self._keyring.partner(messages)
            if person == self._keyring.own.person:  # no contact gets notes
                self._touch(person, link)
                return
            self._arrivals.heard(link)
            waiting = self._passed.setdefault(person, [])
            waiting += (receipt.ids if receipt is not None else [])[: PASSED_MAX - len(waiting)]
        elif receipt is not None and self._arrivals.is_moving(
            conversation_of(self._keyring.own.person, person)
        ):
            # What is compared once all has come would keep a new text back for so long.
            for outgoing in self.links.values():
                outgoing.pass_on(receipt.ids)
        self._touch(person, link)

    def compare(self, person: bytes) -> None:
        """Tell the other own terminals what is held of the conversation with a contact."""
        for outgoing in self.links.values():
            outgoing.compare([person])

    def _touch(self, person: bytes, link: LiveLink) -> None:
        if not self._came:
            self._runtime.tasks.spawn(self._settle())
        self._came.setdefault(person, set()).add(link)

    async def _settle(self) -> None:
        await asyncio.sleep(SETTLES_IN)
        own, came, self._came = self._keyring.own.person, self._came, {}
        # To tell of a part of what comes would make the others ask for it again and again.
        later = {one: by for one, by in came.items() if self._arrivals.is_moving(conversation_of(own, one))}
        for person in later:
            del came[person]
        passed, self._passed = self._passed, {}
        for link, outgoing in self.links.items():
            if persons := [person for person, sources in came.items() if sources != {link}]:
                outgoing.compare(persons)
        for person, ids in passed.items():
            self._bus.signal(EntriesPassedOn(person, tuple(ids)))
        for person, sources in later.items():
            for link in sources:
                self._touch(person, link)

    def acknowledged(self, link: LiveLink, kind: int, entries: Collection[bytes]) -> None:
        """A contact's terminal has stored these entries, or its person has read them."""
        terminal = terminal_at(self._keyring.contacts.get(link.person), link)
        if terminal:
            self._mark(link.person, terminal, kind, entries)

    def read(self, person: bytes, entries: Collection[bytes], *, told: bool) -> None:
        """This person has read entries of a contact at this terminal."""
        if self.links:
            self._mark(person, self._keyring.own.terminal, READ if told else READ_UNTOLD, entries)

    def _mark(self, person: bytes, terminal: bytes, kind: int, entries: Collection[bytes]) -> None:
        conversation, ids = conversation_of_two(self._keyring.own.person, person), list(entries)
        for start in range(0, len(ids), RECEIPT_IDS_MAX):  # a person may read 100,000 at once
            some = sorted(ids[start : start + RECEIPT_IDS_MAX])
            for outgoing in self.links.values():
                outgoing.put(PassedReceipt(conversation, terminal, kind, some))

    # What own terminals pass on.

    def by_conversation(self, messages: Sequence[Message]) -> Iterator[list[Message]]:
        """Entries in the order in which they came, those of one conversation together.

        What is no conversation with a contact here, or with one who is blocked, is passed over. Raises
        ProtocolError.
        """

        def person(message: Message) -> bytes:
            return self._keyring.partner([message])

        for contact, some in groupby(messages, person):
            if self._is_compared(contact):
                yield list(some)

    def _is_compared(self, person: bytes) -> bool:
        """Whether it is this person, whose notes they are, or a contact who is not blocked."""
        keys = self._keyring.contacts.get(person)
        return person == self._keyring.own.person or (keys is not None and not keys.blocked)

    async def handle(self, link: LiveLink, message: Message) -> None:
        """What comes on a link with an own terminal and is no entry and no log. Raises ProtocolError."""
        check_place(message, own=True)
        match message:
            case Digests():
                await self._compare(link, message)
            case Heads():
                await self._answer(link, message)
            case Receipt():  # of a conversation with a contact it only keeps the link from looking dead
                check_ascending(message.ids)
                await self._notes.acknowledged(link, message.ids)
            case _:
                pass

    async def _affords(self, link: LiveLink) -> None:
        now = self._runtime.clock.monotonic()
        if delay := self._rates.of(link.peer, now).reserve(now):
            await link.delay(delay)

    async def _compare(self, link: LiveLink, message: Digests) -> None:
        """Name the heads, and the marks, where they are other ones than those of the other side."""
        check_digests(message)
        await self._affords(link)
        terminal, outgoing = terminal_of(self._keyring.own_log, link), self.links.get(link)
        held = await self._counts.held()
        for theirs in message.digests:
            person = self._keyring.talks_with(theirs.conversation)
            if not self._is_compared(person) or outgoing is None:
                continue
            talk = (theirs.conversation, b"" if person == self._keyring.own.person else person)
            if theirs.answered:
                await self._gaps.answered(link, theirs.conversation)
                self._arrivals.answered(link, theirs.conversation)
                self._has_come(link, person)
                continue
            (mine,) = await self._store.read(siblings.digests, [talk], terminal, held)
            if _may_fill(mine, theirs, outgoing.lacked.get(theirs.conversation)):
                await self._store.write(repair.forget_gaps, theirs.conversation, terminal)
                (mine,) = await self._store.read(siblings.digests, [talk], terminal, held)
            outgoing.lacked[theirs.conversation] = theirs.gaps
            if mine.heads == theirs.heads:
                self._has_come(link, person)
            else:
                link.asked = True
                self._arrivals.asked(link, mine, theirs)
                heads = await self._store.read(siblings.asking_heads, theirs.conversation, terminal)
                for page in pages(theirs.conversation, heads):
                    outgoing.put(page)
            if mine.marks != theirs.marks:
                marks = await self._store.read(siblings.newest_marks, *talk)
                for said in passed_receipts(theirs.conversation, marks):
                    outgoing.put(said)
                # The other side may lack none of them, and has some that this one lacks.
                if outgoing.told.get(theirs.conversation) != mine:
                    outgoing.compare([person])

    def _has_come(self, link: LiveLink, person: bytes) -> None:
        """This side has all that the other one has of a conversation."""
        if person == self._keyring.own.person and link in self.links:
            self._noted.add(link)

    async def _answer(self, link: LiveLink, page: Heads) -> None:
        check_page(page)
        person, outgoing = self._keyring.talks_with(page.conversation), self.links.get(link)
        if not person or outgoing is None:
            return
        await self._affords(link)
        # What comes on this link from now on is no answer to the page: the other side has it.
        mine = set(await self._store.read(siblings.heads_on, page))
        latest = await self._store.read(siblings.latest, page.conversation)
        outgoing.answer(Asked(page, mine, latest, b"" if person == self._keyring.own.person else person))

    def heard(self, link: LiveLink, messages: Sequence[Message]) -> Iterator[Message]:
        """What came together, in the order of its handling. Marks are taken, to be stored with their entries.

        Raises ProtocolError.
        """
        return entries_first(messages, partial(self._marks.hear, link))

    async def take_passed(self, link: LiveLink, messages: Sequence[PassedReceipt]) -> None:
        """Store the marks of what was held before they came."""
        for person in await self._marks.store(link, messages):
            self._touch(person, link)
        other = terminal_of(self._keyring.own_log, link)
        for message in messages:
            if is_of_holding(message, self._keyring.own.terminal, other):
                await self._affords(link)
                self._bus.signal(HoldingSaid(link, message))
