"""The notes of this person: its texts to itself, and what its terminals share (SPEC §11.10).

A use case writes here in the transaction of its change. What comes of other terminals is stored, followed in
the same transaction, and then published as if it had been done here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Concatenate, Final, ParamSpec

from msgspec import Struct

from chat.interface import ContactRemoved, EntryAdded, EntryChanged, EntryFilled, EntryState
from chat.network.links import Links, LiveLink
from chat.service import events
from chat.service.amending import Amendments, Changed, changed_of, follow
from chat.service.comparison import Gaps
from chat.service.events import ContactReleased, ContactsChanged, EventBus
from chat.service.keyring import ContactKeys, Keyring, contact_keys
from chat.service.maintenance import Cleaner
from chat.service.state import ContactBook
from chat.service.views import AMENDS, Views, gone
from chat.storage import contacts, entries, receipts, repair, sharing
from chat.storage.contacts import PAIRED, ContactRow
from chat.storage.database import Database, Store
from chat.storage.entries import ON_ALL, Stored
from chat.storage.sharing import Followed
from chat.tasks import Runtime
from protocol.entries_and_receipts import (
    KIND_BOT,
    KIND_CUT,
    KIND_STATE,
    STORED,
    Author,
    Facts,
    ParsedEntry,
    accept_entry,
    parse_entry,
    receipt_for,
    sign_entry,
    write_entry,
)
from protocol.errors import Unexpected
from protocol.identity.exchange import Extension
from protocol.messages import Entry, Message, Receipt, StateWrite
from protocol.notes import Register, state_body

P = ParamSpec("P")


class Written(Struct, frozen=True):
    """Entries of the notes that a transaction wrote, and what followed."""

    entries: tuple[ParsedEntry, ...]
    followed: Followed


class Taken(Struct, frozen=True):
    """What an insert of entries of other terminals did: what is new, what changed, and what followed.

    `due`: whether more is to be settled. `gaps`: entries and their authors, as `repair.before_gaps`.
    """

    new: Sequence[Stored]
    changed: Sequence[Changed]
    followed: Followed
    due: bool
    gaps: Sequence[tuple[bytes, bytes]]


class Notes:
    """Writes and takes the entries of the notes, and keeps what is in memory in line with them."""

    def __init__(
        self,
        runtime: Runtime,
        store: Store,
        bus: EventBus,
        keyring: Keyring,
        book: ContactBook,
        links: Links,
        views: Views,
        cleaner: Cleaner,
        gaps: Gaps,
        amendments: Amendments,
    ) -> None:
        self._gaps, self._amendments = gaps, amendments
        self._runtime, self._store, self._bus, self._keyring = runtime, store, bus, keyring
        self._book, self._links, self._views, self._cleaner = book, links, views, cleaner
        self._vouched_as = b""  # the id under which all was said
        self._incarnation = runtime.random(8)  # drawn at each start (SPEC §11.1)

    # What is written here.

    def write(self, database: Database, *bodies: Sequence[StateWrite]) -> Written:
        """Write an entry for each body, in the transaction of what they say. `done` must follow."""
        written = [self.commit(database, KIND_STATE, state_body(writes)) for writes in bodies]
        # What this person deletes now waits behind no deletions of another terminal.
        deleted = [one.of for writes in bodies for one in writes if one.register == Register.DELETED]
        return Written(tuple(written), sharing.follow(database, deleted))

    async def store(
        self, work: Callable[Concatenate[Database, P], Written], *args: P.args, **kwargs: P.kwargs
    ) -> Written:
        """Do work that ends with `write` in one transaction. `done` must follow.

        Where the disk reports an error of a commit that is in force, what is in memory must follow it, as
        other terminals do, which get its entries. Raises as `Store.write_once`.
        """
        return await self._store.write_once(_is_written, work, *args, **kwargs)

    async def vouch(self) -> None:
        """Tell other terminals again with whom this one paired under a former id (SPEC §7.7)."""
        terminal = self._keyring.own.terminal
        while terminal != self._vouched_as and terminal in self._keyring.own_log.live:
            written = await self.store(self._vouch, terminal)
            await self.done(written)
            if not written.entries:
                self._vouched_as = terminal

    def _vouch(self, database: Database, terminal: bytes) -> Written:
        return self.write(database, *sharing.vouching(database, terminal))

    def commit(self, database: Database, kind: int, body: bytes) -> ParsedEntry:
        """Write an entry of the notes, in the transaction of what it says."""
        own = self._keyring.own
        conversation = sharing.ensure(database, own.person)
        heads = self._keyring.own_log.heads
        place = entries.next_place(database, conversation, own.terminal, self._incarnation, heads)
        now, random = self._runtime.clock.wall(), self._runtime.random
        entry = write_entry(place, now, kind, body, self._keyring.self_keys[0], random)
        entry = sign_entry(entry, own.signing_seed)
        entries.insert_all(database, [entry], own.terminal)
        return entry

    async def done(self, written: Written) -> None:
        """The transaction of these entries is on the disk: other terminals get them."""
        for entry in written.entries:
            self._bus.signal(events.NoteWritten(entry))
        await self._took(written.followed)

    # What comes of other terminals.

    async def take(self, link: LiveLink, messages: Sequence[Message]) -> tuple[Receipt | None, list[Message]]:
        """Store entries; returns the receipt for those with their body, and those of unknown authors.

        Raises ProtocolError for the first that does not belong, after storing those before it.
        """
        own, live = self._keyring.own, self._keyring.own_log.live.keys()
        facts = Facts(
            own_person=own.person,
            own_terminals=live,
            own_former=self._keyring.own_terminals - live,
            contact=own.person,
            contact_terminals=(),
            carrier=link.person,
            self_keys=(),  # a contact passes none of the notes
            welcome=True,
            signing=self._keyring.own_signing,
        )
        parsed, former, unknown = list[ParsedEntry](), set[bytes](), list[Message]()
        try:
            for message in messages:
                if not isinstance(message, Entry):
                    raise Unexpected("not an entry")
                entry = parse_entry(message)
                known = accept_entry(entry, facts)
                if known is Author.CLAIMED:
                    continue  # without a signature it may be of anybody
                if known is Author.UNKNOWN:
                    unknown.append(message)
                    continue
                if known is Author.FORMER:
                    former.add(entry.header.author)
                parsed.append(entry)
        finally:
            if parsed:
                taken = await self._store.write_once(_is_stored, self._insert, link, parsed, former)
                if taken.due:
                    self._bus.signal(events.SettlingDue())
                if taken.gaps:
                    self._gaps.passed_again(link, taken.gaps)
                self._show(taken)
                await self._took(taken.followed)
        stored = [entry.id for entry in parsed if entry.salt]
        return receipt_for(STORED, stored) if stored else None, unknown

    def _insert(
        self, database: Database, link: LiveLink, parsed: Sequence[ParsedEntry], former: Collection[bytes]
    ) -> Taken:
        own = self._keyring.own
        conversation = sharing.ensure(database, own.person)
        new = entries.insert_all(
            database,
            parsed,
            own.terminal,
            carrier=self._keyring.at(link),
            former=former,
            ours=self._keyring.own_terminals,
            moment=None,
        )
        fresh = {one.entry.id for one in new if not one.filled}
        again = [one for one in parsed if one.id not in fresh] if link.asked else []
        gaps = repair.before_gaps(database, again)
        changed = list[Changed]()
        if any(one.amends is not None for one in parsed):
            talk = contacts.conversation_number(database, conversation)
            changed, _ = follow(database, after=talk - 1)
        followed = sharing.follow(database)
        return Taken(new, changed, followed, entries.is_unsettled(database), gaps)

    def _show(self, taken: Taken) -> None:
        """Publish what this person sees of new entries: of states, cuts and declarations nothing."""
        own, erased = self._keyring.own.person, set(taken.followed.gone)
        shown = {one.row.id: self._amendments.view(one) for one in taken.changed}
        for one in taken.new:
            entry = one.entry
            if not _is_shown(entry):
                continue
            view = shown.get(entry.id) or self._views.added(
                own, entry, conflicting=bool(one.rivals), quarantined=one.quarantined
            )
            if one.destroyed or entry.id in erased:
                view = gone(view, one.destroyed or ON_ALL)
            elif entry.file is not None:
                self._bus.signal(events.FilesNamed())
            self._bus.publish(EntryFilled(view) if one.filled else EntryAdded(view))
        self._amendments.publish(taken.changed, [one.entry.id for one in taken.new])
        evidence = [
            (one.entry.header.author, one.entry.id, one.rivals)
            for one in taken.new
            if one.rivals and not one.filled and _is_shown(one.entry)
        ]
        self._views.publish_evidence(own, evidence)

    async def acknowledged(self, link: LiveLink, ids: Sequence[bytes]) -> None:
        """Another terminal of this person has stored entries, of which those of the notes say so."""
        noted, terminal = await self._store.read(receipts.noted, ids), self._keyring.at(link)
        if not noted or not terminal:
            return
        others, now = self._keyring.other_live(), self._runtime.clock.wall()
        new = await self._store.write(receipts.acknowledge_noted, noted, terminal, others, now)
        for entry in new:
            changed = EntryChanged(self._keyring.own.person.hex(), entry.hex(), EntryState.DELIVERED)
            self._bus.publish(changed)

    def begin(self) -> None:
        """The order of entries, or which of them count, may be another one than before."""
        self._runtime.tasks.spawn(self._follow())

    async def _follow(self) -> None:
        if await self._store.read(sharing.is_due):
            await self._took(await self._store.write(sharing.follow))

    async def own_log_changed(self) -> None:
        """Other terminals of this person may be live: what they did with contacts counts, or does no more."""

        def moved(database: Database) -> set[bytes]:
            shown = self._book.rows
            return {row.person for row in contacts.all(database) if row != shown.get(row.person, row)}

        await self._follow()
        if persons := await self._store.read(moved):
            await self._changed(persons)
            self._bus.signal(ContactsChanged())

    async def take_in(self, person: bytes, found: Extension) -> None:
        """The log of a person came, whom another terminal has as a contact. Raises a storage failure."""
        await self._took(await self._store.write(sharing.take_in, person, found))

    # What is in memory.

    async def _took(self, followed: Followed) -> None:
        if followed.deleted:
            self._amendments.publish(await self._store.read(changed_of, followed.deleted))
        if followed.more:
            self._bus.signal(events.SettlingDue())
        for row in followed.removed:
            await self.removed(row.person)
        if followed.persons:
            await self._changed(followed.persons)
        if followed.awaited:
            self._keyring.await_logs(await self._store.read(sharing.awaited))
            self._bus.signal(events.LogsAwaited())
        if followed.persons or followed.removed:
            self._bus.signal(ContactsChanged())
        if followed.new_settings:
            self._bus.signal(events.SettingsShared())
        if followed.new_relays:
            self._bus.signal(events.RelaysShared())
        if followed.gone or followed.removed or followed.persons:
            self._cleaner.begin()  # it looks itself whether anything was deleted

    async def removed(self, person: bytes) -> None:
        """The contact is no more on the disk."""
        name = self._views.name(person)
        self._keyring.contacts.pop(person, None)
        self._book.forget(person)
        self._keyring.forget_proofs(person)
        self._keyring.forget_addresses(person)
        await self._links.close(person, 0)
        self._bus.publish(ContactRemoved(person.hex(), name))

    async def _changed(self, persons: Collection[bytes]) -> None:
        def read(database: Database) -> tuple[list[tuple[ContactRow, ContactKeys, int]], dict[bytes, int]]:
            rows = [row for person in sorted(persons) if (row := contacts.get(database, person)) is not None]
            talks = {row.person: contacts.conversation_with(database, row.person) for row in rows}
            found = [
                (
                    row,
                    contact_keys(database, row),
                    receipts.unread(database, talk.id) if (talk := talks[row.person]) is not None else 0,
                )
                for row in rows
            ]
            return found, contacts.digits(database)

        found, digits = await self._store.read(read)
        before = dict(self._book.rows)
        self._book.digits.update(digits)
        for row, keys, unread in found:
            self._keyring.contacts[row.person] = keys
            if row.state == PAIRED:
                self._book.rows[row.person] = row
                self._book.unread.setdefault(row.person, unread)
        for row, *_ in found:
            if row.state != PAIRED:
                continue
            self._views.publish_contact(row.person)
            if row.blocked:
                await self._links.close(row.person, 0)
            elif (old := before.get(row.person)) is not None and old.waits and not row.waits:
                self._bus.signal(ContactReleased(row.person))


_UNSHOWN: Final = frozenset({KIND_STATE, KIND_CUT, KIND_BOT, *AMENDS})
"""Kinds that have no line in the notes."""


def _is_shown(entry: ParsedEntry) -> bool:
    return entry.header.kind not in _UNSHOWN


def _is_written(database: Database, written: Written) -> bool:
    ids = [entry.id for entry in written.entries]
    return entries.held_among(database, ids) == set(ids)


def _is_stored(database: Database, taken: Taken) -> bool:
    return repair.is_stored(database, (taken.new,))
