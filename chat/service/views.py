"""The frozen views for clients. Names and texts are as the peer wrote them: clients filter for display."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

from msgspec.structs import replace

from chat.errors import Phrase, phrase
from chat.interface import (
    NOTES_NAME,
    AwaitedView,
    BotCommand,
    ContactChanged,
    ContactView,
    DeletedBy,
    DetailsView,
    EntriesConflict,
    EntriesMarked,
    EntryFilled,
    EntryKind,
    EntryReturned,
    EntryState,
    EntryView,
    FileState,
    FileView,
    IdentityChanged,
    OwnLogChanged,
    ReceiptView,
    TerminalState,
    TerminalView,
    VersionView,
)
from chat.looks import label
from chat.network.links import Links, Peer
from chat.service.allowances import Allowances
from chat.service.events import EventBus
from chat.service.keyring import Keyring
from chat.service.state import ContactBook
from chat.storage import expiry, receipts
from chat.storage.contacts import ContactRow
from chat.storage.database import Store
from chat.storage.entries import BY_OWN, ON_ALL, EntryRow
from chat.storage.expiry import Moment
from chat.storage.files import Standing
from chat.storage.receipts import ReceiptRow
from chat.storage.repair import Evidence
from protocol.attachments import read_file, safe_name
from protocol.bots import read_bot
from protocol.entries_and_receipts import (
    KIND_BOT,
    KIND_CUT,
    KIND_DELETE,
    KIND_EDIT,
    KIND_FILE,
    KIND_TEXT,
    KIND_TIMER,
    ParsedEntry,
    conversation_of_two,
    delivery_state,
    is_own,
    note_state,
    read_edit,
    read_text,
    read_timer,
)
from protocol.expiry import ends
from protocol.identity.exchange import left_behind
from protocol.identity.reduction import Cause, CauseKind, PersonState
from protocol.messages import BotBody, EntryHeader, FileBody

AMENDS: Final = {KIND_DELETE: EntryKind.DELETE, KIND_EDIT: EntryKind.EDIT}
"""Kinds that change other entries and have no line of their own."""

_PLAIN: Final = {KIND_CUT: EntryKind.CUT, KIND_TIMER: EntryKind.TIMER, KIND_BOT: EntryKind.BOT}

FILLED: Final = (EntryFilled, EntryReturned)
"""The event of a body that came after its header: it was missing, or this terminal had let go of it."""

ID_DIGITS: Final = 8
"""Digits of its id that stand for a terminal without a name, as in the list of devices."""

CLAIMED: Final = ("", "contact", "device")
"""Who says that this person wrote an entry, by EntryRow.claimed."""

EARLIER: Final = "earlier"
"""It is under an earlier self key of this person."""

BY: Final = {expiry.EXPIRED: DeletedBy.NOBODY, ON_ALL: DeletedBy.MINE}
"""Who deleted an entry, by what its `destroyed` says; HERE by anything else."""


STATES: Final = {
    Standing.NEW: FileState.TAKING,
    Standing.ASKS: FileState.ASKS,
    Standing.TAKEN: FileState.TAKING,
    Standing.PAUSED: FileState.PAUSED,
    Standing.WHOLE: FileState.WHOLE,
    Standing.WITHHELD: FileState.WITHHELD,
    Standing.LET_GO: FileState.LET_GO,
}


def file_view(body: FileBody, state: FileState, held: int, rate: int = 0, kept_on: str = "") -> FileView:
    """A file as shown. `held`: bytes; `rate`: bytes a second; `kept_on`: a name of who has it."""
    held = body.size if state in (FileState.WHOLE, FileState.WITHHELD) else held
    folder = "/".join(map(safe_name, body.folder))
    name, size = safe_name(body.name), body.size
    return FileView(name, body.media, size, state, held, rate, kept_on, folder, body.seconds)


def utc(milliseconds: int) -> datetime:
    """Unix milliseconds (below 2^48) as UTC; times after the calendar's end are its last day."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.max.replace(tzinfo=UTC)


def state_of(own: bool, kinds: Collection[int], on_link: bool, *, destroyed: bool = False) -> EntryState:
    """The state to show, derived from the kinds of the contact's receipts and never stored."""
    return EntryState(delivery_state(kinds, on_link, destroyed=destroyed)) if own else EntryState.RECEIVED


class Views:
    """Builds the views of one engine, and publishes those of contacts."""

    def __init__(
        self,
        keyring: Keyring,
        contacts: ContactBook,
        links: Links,
        bus: EventBus,
        now: Callable[[], Moment],
        held: Callable[[bytes], int | None],
        allowances: Allowances,
    ) -> None:
        """`held`: bytes that are held of the file of an entry (id), None where that is not known."""
        self._keyring, self._now, self._held_of = keyring, now, held
        self._allowances, self._past = allowances, keyring.own.archived
        self._book = contacts
        self._links = links
        self._bus = bus
        self._labels = {person: self.name(person) for person in contacts.rows}  # as clients know them
        self._digits = dict(contacts.digits)

    def added(
        self,
        person: bytes,
        entry: ParsedEntry,
        *,
        conflicting: bool = False,
        quarantined: bool = False,
        acknowledged: int = 0,
        claimed: int = 0,
    ) -> EntryView:
        """An entry that was just stored, and that no link has carried yet.

        `acknowledged`: the greatest kind of the contact's receipts that came with it.
        """
        header, said = entry.header, entry.said
        here = header.author == self._keyring.own.terminal and not claimed
        own = here or (not claimed and self.is_own(header))
        noted = person == self._keyring.own.person
        if noted:
            state = self._note_state(header.author)
        elif acknowledged and own:
            state = state_of(own, [acknowledged], on_link=False)
        elif here:
            state = EntryState.QUEUED
        else:
            state = EntryState.SENT if own else EntryState.RECEIVED
        if said is not None:
            kind = EntryKind.TEXT
        elif entry.file is not None:
            kind = EntryKind.FILE
        elif entry.cut is not None:
            kind = EntryKind.CUT
        elif entry.timing is not None:
            kind = EntryKind.TIMER
        elif entry.bot is not None:
            kind = EntryKind.BOT
        else:
            kind = EntryKind.UNKNOWN if entry.has_body else EntryKind.MISSING
        return EntryView(
            id=entry.id.hex(),
            contact=person.hex(),
            author=self._keyring.own_log.name if own or claimed == BY_OWN else self.name(person),
            own=own,
            time=utc(header.time),
            kind=kind,
            text=said.text if said is not None else "",
            state=state,
            reply=said.reply.hex() if said is not None else "",
            conflicting=conflicting,
            quarantined=quarantined,
            expires=utc(ends(header, self._now().wall, own=own).due) if header.timer else None,
            seconds=entry.timing.seconds if entry.timing is not None else 0,
            bot=entry.bot is not None and entry.bot.bot,
            commands=offered(entry.bot) if entry.bot is not None else (),
            noted=noted,
            claimed=CLAIMED[claimed],
            file=self._file_of(entry.file, here) if entry.file is not None else None,
        )

    def entry(self, person: bytes, row: EntryRow, receipts_of: Iterable[ReceiptRow] = ()) -> EntryView:
        own = self.is_own(row)
        # It may be over before it is destroyed.
        moment = self._now() if row.due is not None else None
        over = self._is_over(row)
        said = read_text(row.body) if row.kind == KIND_TEXT and row.salt and not over else None
        named = read_file(row.body) if row.kind == KIND_FILE and row.salt and not over else None
        noted = person == self._keyring.own.person
        state = self._note_state(row.author, receipts_of) if noted else self._state(person, row, receipts_of)
        declared = read_bot(row.body) if row.kind == KIND_BOT and row.salt else None
        change = row.amended
        edit = read_edit(change.body) if said is not None and change is not None and change.salt else None
        if said is not None:
            kind = EntryKind.TEXT
        elif named is not None:
            kind = EntryKind.FILE
        else:
            kind = EntryKind.EXPIRED if over else _unshown(row)
        return EntryView(
            id=row.id.hex(),
            contact=person.hex(),
            author=self._keyring.own_log.name if own or row.claimed == BY_OWN else self.name(person),
            own=own,
            time=utc(row.time),
            kind=kind,
            text=edit.text if edit is not None else said.text if said is not None else "",
            state=state,
            reply=said.reply.hex() if said is not None else "",
            conflicting=row.rivalled != 0,
            quarantined=row.quarantined != 0,
            expires=utc(moment.wall + row.due - moment.age) if moment and row.due is not None else None,
            seconds=read_timer(row.body).seconds if row.kind == KIND_TIMER and row.salt else 0,
            bot=declared is not None and declared.bot,
            commands=offered(declared) if declared is not None else (),
            edited=edit is not None,
            deleted_by=deleted_by(row),
            change=change.id.hex() if change is not None else "",
            kept_on=self._kept_on(row),
            noted=noted,
            claimed=CLAIMED[row.claimed] if row.before is None else EARLIER,
            before=utc(row.before) if row.before else None,
            file=None if named is None else self._stored_file(person, row, named),
        )

    def _file_of(self, body: FileBody, here: bool) -> FileView:
        """The file of an entry that was just stored."""
        return file_view(body, FileState.WHOLE if here else FileState.TAKING, 0)

    def _stored_file(self, person: bytes, row: EntryRow, body: FileBody) -> FileView:
        state = STATES[Standing(row.file or 0)]
        contact = None if person == self._keyring.own.person else person
        if state is FileState.TAKING and self._allowances.waits_for_direct(contact, body.size):
            state = FileState.DIRECT
        return file_view(body, state, self._held_of(row.id) or 0, 0, self._has_file(person, row))

    def _has_file(self, person: bytes, row: EntryRow) -> str:
        """Who last said that it has a file, or who sealed it: a terminal of this person, or the contact."""
        holder, own = row.holder or row.author, self._keyring.own
        if holder not in self._keyring.own_terminals:
            return self.name(person)
        return self._terminal(holder) if holder != own.terminal else ""

    def _kept_on(self, row: EntryRow) -> str:
        """The name of the terminal that keeps what this one let go of, or digits of its id."""
        return "" if row.deleted or row.salt else self._terminal(row.holder or b"")

    def _terminal(self, terminal: bytes) -> str:
        """The name of a live terminal of this person, or digits of its id; empty where it is none."""
        named = self._keyring.own_log.live.get(terminal)
        return "" if named is None else named.name or f"{named.id.hex()[:ID_DIGITS]}…"

    def _state(self, person: bytes, row: EntryRow, receipts_of: Iterable[ReceiptRow]) -> EntryState:
        """The state of an entry of the conversation with a contact."""
        # Its author sends it, or what this terminal wrote with former keys goes with an answer to heads.
        elsewhere = row.author in self._keyring.own_log.live and row.author != self._keyring.own.terminal
        if row.deleted and deleted_by(row) != DeletedBy.HERE:
            elsewhere = False  # its author has deleted it, too, or does so when it hears of it
        keys = self._keyring.contacts.get(person)
        terminals = {one.id for one in keys.state.terminals()} if keys is not None else set()
        kinds = {receipt.kind for receipt in receipts_of if receipt.terminal in terminals}
        sent = elsewhere or self.on_link(person, row.id)
        return state_of(self.is_own(row), kinds, sent, destroyed=row.deleted)

    def _note_state(self, author: bytes, receipts_of: Iterable[ReceiptRow] = ()) -> EntryState:
        """The state of an entry of the notes: whether another live terminal of this person has it, too."""
        others = self._keyring.other_live()
        return EntryState(note_state(author, [receipt.terminal for receipt in receipts_of], others))

    def _is_over(self, row: EntryRow) -> bool:
        """Whether an entry has ended, though it may not be destroyed yet."""
        return row.due is not None and row.due <= self._now().age

    def details(
        self,
        person: bytes,
        row: EntryRow,
        receipts_of: Sequence[ReceiptRow],
        rivals: Sequence[bytes],
        edits: Sequence[EntryRow] = (),
        *,
        uncovered: bool,
    ) -> DetailsView:
        own = self._keyring.own_terminals
        by_own = self.is_own(row)
        known = self._keyring.contacts.get(person)
        states = [self._keyring.own_log] + ([known.state] if known is not None else [])
        names = {one.id: one.name for state in states for one in state.terminals()}
        heard = {one.terminal for one in receipts_of}
        live = known.state.live if known is not None and by_own else {}
        stored: datetime | None = utc(row.time)  # an own entry is stored when it is written
        if not by_own:
            stored = next(
                (utc(one.time) for one in receipts_of if one.terminal in own and one.kind == receipts.STORED),
                None,
            )
        if row.claimed:  # what a contact says of its claim is no delivery
            receipts_of = ()
        return DetailsView(
            id=row.id.hex(),
            person=(self._keyring.own.person if by_own or row.claimed == BY_OWN else person).hex(),
            terminal=row.author.hex(),
            time=utc(row.time),
            stored=stored,
            bytes=len(row.header) + len(row.salt) + len(row.body),
            receipts=tuple(
                ReceiptView(
                    self._person(person, receipt.terminal).hex(),
                    receipt.terminal.hex(),
                    EntryState.DELIVERED if receipt.kind == receipts.STORED else EntryState.READ,
                    utc(receipt.time),
                    names.get(receipt.terminal, ""),
                )
                for receipt in receipts_of
            ),
            quarantined=row.quarantined != 0,
            conflicts=tuple(entry.hex() for entry in rivals),
            uncovered=uncovered,
            claimed=CLAIMED[row.claimed] if row.before is None else EARLIER,
            versions=() if self._is_over(row) else _versions(row, edits),
            awaited=tuple(
                AwaitedView(person.hex(), one, names.get(bytes.fromhex(one), ""))
                for one in sorted(terminal.hex() for terminal in live if terminal not in heard)
            ),
        )

    def came(self, row: EntryRow, receipts_of: Iterable[ReceiptRow]) -> int:
        """When an entry came to this person, milliseconds, at the latest when its author says.

        By the author's word alone a contact whose clock is ahead would stay before all others.
        """
        own = self._keyring.own_terminals
        stored = (one.time for one in receipts_of if one.terminal in own and one.kind == receipts.STORED)
        return min(row.time, *stored, row.time)

    def is_own(self, entry: EntryHeader | EntryRow) -> bool:
        """Whether this person wrote an entry that is held; a header must be of one that is no claim.

        An own entry may be under a self key that is not held (SPEC §11.2, *Claims*). Of a terminal in the log
        of a contact, too, the tag tells whose words they are.
        """
        claimed = isinstance(entry, EntryRow) and entry.claimed
        if claimed or entry.author not in self._keyring.own_terminals:
            return False
        contact = self._keyring.contacts.get(self._keyring.talks_with(entry.conversation))
        if contact is None or entry.author not in contact.state:
            return True
        return is_own(entry.fields if isinstance(entry, EntryRow) else entry, self._keyring.self_keys)

    def _person(self, contact: bytes, terminal: bytes) -> bytes:
        """The owner of a terminal in the conversation with a contact."""
        return self._keyring.own.person if terminal in self._keyring.own_terminals else contact

    def on_link(self, person: bytes, entry: bytes) -> bool:
        """Whether an open link carried this own entry, of which no receipt has come."""
        return any(entry in link.sent for link in self._links.of(person))

    def name(self, person: bytes) -> str:
        """What a contact is called wherever a client names it (chat.looks), empty where there is none."""
        row = self._book.rows.get(person)
        digits, own = self._book.digits.get(person, 0), self._keyring.own_log.name
        return "" if row is None else label(row.shown, person.hex(), digits, own)

    def named(self, typed: str, *, own: bool) -> set[bytes]:
        """The persons whom a name, label or id means: all of it, or else its start.

        With `own` this person is among them, and is `me` whatever a contact is called; without it a
        conversation is meant, and `notes` are this person's.
        """
        wanted, this = _drawn(typed), self._keyring.own.person
        if wanted == ("me" if own else NOTES_NAME):
            return {this}
        rows = self._book.rows.values()
        names = [(row.person, name) for row in rows for name in (row.shown, row.person.hex())]
        names += [(row.person, self.name(row.person)) for row in rows]
        names += [(this, self._keyring.own_log.name)] if own else []
        whole = {person for person, name in names if _drawn(name) == wanted}
        return whole or {person for person, name in names if _drawn(name).startswith(wanted)}

    def contacts(self) -> tuple[ContactView, ...]:
        rows = sorted(self._book.rows.values(), key=lambda row: (row.shown.casefold(), row.person))
        return tuple(map(self._contact, rows))

    def terminals(self) -> tuple[TerminalView, ...]:
        """The terminals of this person, the most senior first."""
        own, log, seen = self._keyring.own.terminal, self._keyring.own_log, self._book.seen
        removed_by = {one.terminal: one.author for one in log.causes if one.kind is CauseKind.REMOVED}
        added_by = {one.terminal: one.author for one in log.causes if one.kind is CauseKind.ADDED}
        left = left_behind(log, own, self._keyring.own_confirmed)

        def state(terminal: bytes) -> TerminalState:
            if terminal not in log.live:
                return TerminalState.REMOVED
            return TerminalState.COPIED if terminal in log.copied else TerminalState.LIVE

        return tuple(
            TerminalView(
                one.id.hex(),
                one.id == own,
                state(one.id),
                one.name,
                added_by.get(one.id, b"").hex(),
                removed_by.get(one.id, b"").hex(),
                self._links.is_heard(Peer(log.person, one.static)) and one.id in log.live,
                utc(seen[one.id]) if one.id in seen else None,
                one.id in left,
            )
            for one in sorted(log.terminals(), key=lambda each: each.rank)
        )

    def publish_contact(self, person: bytes) -> None:
        """Publish how a contact is now, unless it was removed meanwhile, and whom that gave another label."""
        row = self._book.rows.get(person)
        if row is not None:
            view = self._contact(row)
            self._labels[person] = view.label
            self._bus.publish(ContactChanged(view))
        if self._digits != self._book.digits:
            self.publish_labels()

    def publish_labels(self) -> None:
        """Publish the contacts that are called otherwise than clients know."""
        self._digits = dict(self._book.digits)
        for row in list(self._book.rows.values()):
            called = self.name(row.person)
            if self._labels.get(row.person) != called:
                self._labels[row.person] = called
                self._bus.publish(ContactChanged(self._contact(row)))

    async def publish_all(self, store: Store) -> None:
        """Publish that other entries are held than before, and how many are unread."""
        for person in list(self._book.rows):
            conversation = conversation_of_two(self._keyring.own.person, person)
            self._book.counts(person, await store.read(receipts.unread, conversation))
            self.publish_contact(person)
            self._bus.publish(EntriesMarked(person.hex()))

    def publish_identity(self, person: bytes, causes: Sequence[Cause]) -> None:
        """Publish each change of a contact's identity with its signed cause (SPEC §7.3)."""
        known = self._labels.get(person) or self.name(person)  # not yet the one that a cause may bring
        for cause in causes:
            said = change_text(cause, self._keyring.log(person))
            self._bus.publish(IdentityChanged(person.hex(), known, said))
        self.publish_contact(person)

    def publish_same_key(self, person: bytes) -> None:
        """Publish, for each of them, that this contact and others hold one static key."""
        holders = [one for one in self._keyring.holders_of_same_key(person) if one in self._book.rows]
        if not holders or person not in self._book.rows:
            return
        for one in (person, *holders):
            self._bus.publish(IdentityChanged(one.hex(), self.name(one), SAME_KEY))
            self.publish_contact(one)

    def publish_evidence(self, person: bytes, evidence: Iterable[Evidence]) -> None:
        """Publish that entries of a conversation conflict with others, each with those."""
        for author, entry, rivals in evidence:
            ids = entry.hex(), *(rival.hex() for rival in rivals)
            self._bus.publish(EntriesConflict(person.hex(), author.hex(), ids))

    def _same_key(self, person: bytes) -> tuple[str, ...]:
        holders = self._keyring.holders_of_same_key(person)
        return tuple(one.hex() for one in holders if one in self._book.rows)

    def _seen(self, person: bytes) -> datetime | None:
        """When a link with a live terminal of a contact last lived."""
        keys, seen = self._keyring.contacts.get(person), self._book.seen
        known = seen.keys() & keys.state.live.keys() if keys is not None else ()
        return utc(max(map(seen.__getitem__, known))) if known else None

    def _contact(self, row: ContactRow) -> ContactView:
        declared = self._book.bots.get(row.person)
        return ContactView(
            person=row.person.hex(),
            name=row.shown,
            label=self.name(row.person),
            called=row.name,
            seen=self._seen(row.person),
            verified=row.is_verified,
            present=self._links.is_present(row.person) and not row.blocked,
            blocked=row.blocked,
            typing=row.person in self._book.typing,
            unread=self._book.unread.get(row.person, 0),
            held=row.waits,
            unvouched=not row.vouched,
            relayed=self._links.is_relayed(row.person),
            timer=self._book.timers.get(row.person, 0),
            pinned=row.pinned,
            muted=row.muted,
            same_key=self._same_key(row.person) if self._keyring.shared else (),
            bot=declared is not None and declared.bot,
            commands=offered(declared) if declared is not None else (),
            past=self._past,
        )


def offered(declared: BotBody) -> tuple[BotCommand, ...]:
    """The commands of a person that declares to be a bot."""
    return tuple(BotCommand(one.name, one.description) for one in declared.commands)


def _drawn(name: str) -> str:
    """A name without case, other forms of its letters and characters that draw nothing."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    return "".join(one for one in plain if unicodedata.category(one)[0] != "C").strip()


def _versions(row: EntryRow, edits: Sequence[EntryRow]) -> tuple[VersionView, ...]:
    if not edits or not row.salt:
        return ()
    first = VersionView(row.id.hex(), utc(row.time), read_text(row.body).text)
    later = (VersionView(one.id.hex(), utc(one.time), read_edit(one.body).text) for one in edits if one.salt)
    return first, *later


def deleted_by(row: EntryRow) -> DeletedBy:
    """Who deleted an entry, and where; NOBODY also where it ended."""
    if not row.deleted:
        return DeletedBy.NOBODY
    return DeletedBy.AUTHOR if row.amended is not None else BY.get(row.destroyed, DeletedBy.HERE)


def gone(view: EntryView, destroyed: int) -> EntryView:
    """An entry that came after its deletion or its end, without its content."""
    by = BY.get(destroyed, DeletedBy.HERE)
    return replace(view, kind=EntryKind.DELETED if by else EntryKind.EXPIRED, deleted_by=by)


def _unshown(row: EntryRow) -> EntryKind:
    """The kind of an entry without text."""
    if row.kind in AMENDS:
        return AMENDS[row.kind]
    if row.deleted:
        return EntryKind.DELETED if deleted_by(row) else EntryKind.EXPIRED
    if row.missing:
        return EntryKind.MISSING
    if row.holder is not None:
        return EntryKind.ELSEWHERE
    return _PLAIN.get(row.kind, EntryKind.UNKNOWN)


TEXTS = {
    CauseKind.FOUNDED: phrase("is new"),
    CauseKind.REMOVED: phrase("removed a device"),
    CauseKind.VOIDED: phrase("lost a device that a removed device had added"),
    CauseKind.RECOVERED: phrase("used the recovery key: compare the safety number before you continue"),
    CauseKind.COPIED: phrase("has a device that may have been copied"),
    CauseKind.CONTESTED: phrase(
        "has recoveries that contradict each other: compare the safety number before you continue"
    ),
}


def change_text(cause: Cause, log: PersonState | None = None) -> Phrase:
    """What a change of a contact's identity did, after the contact's name. `log`: as it is now."""
    device = _device_of(cause, log)
    if cause.kind is CauseKind.RENAMED:
        return phrase('changed the name to "{name}"', name=cause.name)
    if cause.kind is CauseKind.ADDED:
        return phrase('added the device "{device}"', device=device)
    if cause.kind is CauseKind.REMOVED and device:
        return phrase('removed the device "{device}"', device=device)
    return TEXTS[cause.kind]


def _device_of(cause: Cause, log: PersonState | None) -> str:
    """The name of the device that a change added or removed, empty where it has none."""
    if cause.kind is CauseKind.ADDED:
        return cause.name
    gone = log.gone.get(cause.terminal) if log is not None else None
    return gone.name if gone is not None else ""


OWN_TEXTS = {
    CauseKind.FOUNDED: phrase("Your identity is new"),
    CauseKind.ADDED: phrase("A device was added to your identity"),
    CauseKind.REMOVED: phrase("A device was removed from your identity"),
    CauseKind.VOIDED: phrase("Your identity lost a device that a removed device had added"),
    CauseKind.RENAMED: phrase("The name that your contacts see was changed"),
    CauseKind.RECOVERED: phrase("Your recovery words were used"),
    CauseKind.COPIED: phrase("A device of yours may have been copied: remove it, or use your recovery words"),
    CauseKind.CONTESTED: phrase("Your recovery words were used twice, in ways that contradict each other"),
}
"""A change of the own log that another copy of it brought."""


def own_change(cause: Cause, log: PersonState) -> OwnLogChanged:
    """The event of a change of the own log that this terminal did not make. `log`: as it is now."""
    said, device = OWN_TEXTS[cause.kind], _device_of(cause, log)
    if device and cause.kind is CauseKind.ADDED:
        said = phrase('The device "{device}" was added to your identity', device=device)
    elif device and cause.kind is CauseKind.REMOVED:
        said = phrase('The device "{device}" was removed from your identity', device=device)
    return OwnLogChanged(cause.kind.value, cause.operation.hex(), said)


SAME_KEY = phrase("has the same device key as another contact: one of them may have stolen it")


def holds(causes: Sequence[Cause], state: PersonState) -> bool:
    """Whether recoveries contest each other, or a thief could have made these changes.

    The person's own terminals do not answer for them.

    Then *verified* is dropped, and sending waits until the user has looked.
    """
    return state.contested or any(cause.kind is CauseKind.RECOVERED for cause in causes)
