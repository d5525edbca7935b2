"""What arrives on a link of entries and receipts: it is stored before anything answers it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec.structs import replace

from chat.interface import EntryAdded, EntryChanged, EntryState, EntryView
from chat.network.links import Links, LiveLink, Peer
from chat.service.amending import Amendments, Changed, follow
from chat.service.claims import Claims
from chat.service.comparison import Gaps
from chat.service.events import BotDeclared, EventBus, FilesNamed, OwnEntryReturned
from chat.service.expiry import Expirer
from chat.service.keyring import Keyring
from chat.service.maintenance import Settler
from chat.service.marks import Marks
from chat.service.notes import Notes
from chat.service.pairing.storage import PendingContacts
from chat.service.state import ContactBook
from chat.service.views import AMENDS, FILLED, Views, gone
from chat.storage import contacts, entries, expiry, persons, receipts, repair, siblings
from chat.storage.database import Database, Store
from chat.storage.entries import Stored
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
    parse_entry,
    receipt_for,
)
from protocol.errors import Unexpected, Untrusted
from protocol.link.states import LinkOpen
from protocol.messages import (
    Entry,
    Message,
    Receipt,
    Typing,
)


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
            self_keys=(own.self_key, *own.earlier),
            welcome=contact is not None and not contact.blocked,
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
        for entry in receipt.ids:
            if entry in link.carried:
                link.carried[entry] = True
        # Another link may be about to carry what has arrived by this one, and would call it sent.
        for other in self._links.of(link.person):
            if other.terminal == link.terminal and receipt.kind == STORED:
                other.carried.update(dict.fromkeys(new, True))
            else:  # which has to carry it all the same: what was read may have been let go of, and be wanted
                other.delivered.update(new)
                other.carried.update((entry, True) for entry in new if entry in other.carried)
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
