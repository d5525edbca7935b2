"""From rows and memory to the frozen views that clients see.

Rules: pure reading; names and texts stay as the peer wrote them, clients filter them for display.

What a change of a contact's person log means here, whichever way it came (SPEC §7.3).

Rules: every change is shown with its signed cause; one that could be a thief's drops *verified* and holds
sending until this person has looked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime

from chat.errors import phrase
from chat.interface import (
    ContactChanged,
    ContactView,
    DetailsView,
    EntryState,
    EntryView,
    IdentityChanged,
    ReceiptView,
)
from chat.service.state import EngineState
from chat.storage import receipts
from chat.storage.contacts import ContactRow
from chat.storage.database import Database
from chat.storage.entries import EntryRow
from chat.storage.receipts import ReceiptRow
from protocol.entries import KIND_TEXT, ParsedEntry, read_text, said_of
from protocol.identity.reduction import Cause, CauseKind

DELETED = "deleted"
UNSUPPORTED = "unsupported"
TEXT = "text"


def utc(milliseconds: int) -> datetime:
    """A time of Unix milliseconds (below 2^48) as UTC; beyond the calendar, its last day."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.max.replace(tzinfo=UTC)


def content(row: EntryRow) -> tuple[str, str]:
    """(kind, text) of an entry for display; a kind of a later version is named as such."""
    if row.deleted:
        return DELETED, ""
    if row.kind == KIND_TEXT:
        return TEXT, read_text(row.body).text
    return UNSUPPORTED, ""


def answered(row: EntryRow) -> str:
    """The id, in hex, of the entry that a text answers: any that the author named, or empty."""
    return read_text(row.body).reply.hex() if row.kind == KIND_TEXT and not row.deleted else ""


def state_of(own: bool, kinds: Collection[int], on_link: bool) -> EntryState:
    """The state to show, derived and never stored; `kinds` are the contact's receipts for the entry."""
    return EntryState(said_of(kinds, on_link)) if own else EntryState.RECEIVED


def with_receipts(
    database: Database, rows: Sequence[EntryRow]
) -> tuple[list[EntryRow], dict[bytes, list[ReceiptRow]]]:
    """Entries and what is acknowledged of them, read together."""
    return list(rows), receipts.of(database, [row.id for row in rows])


class Views:
    """Builds views of one engine."""

    def __init__(self, world: EngineState) -> None:
        self._world = world

    def entries(
        self, person: bytes, rows: Iterable[EntryRow], receipts_of: dict[bytes, list[ReceiptRow]]
    ) -> tuple[EntryView, ...]:
        return tuple(self.entry(person, row, receipts_of.get(row.id, ())) for row in rows)

    def added(self, person: bytes, entry: ParsedEntry) -> EntryView:
        """An entry of a conversation of two that was just stored here, and that no link has carried yet."""
        header, said = entry.header, entry.said
        own = header.author == self._world.own.terminal
        return EntryView(
            id=entry.id.hex(),
            contact=person.hex(),
            author=self._world.keyring.own.name if own else self.name(person),
            own=own,
            time=utc(header.time),
            kind=TEXT if said is not None else DELETED,
            text=said.text if said is not None else "",
            state=state_of(own, (), on_link=False),
            reply=said.reply.hex() if said is not None else "",
        )

    def entry(self, person: bytes, row: EntryRow, receipts_of: Iterable[ReceiptRow] = ()) -> EntryView:
        own = row.author == self._world.own.terminal
        kind, text = content(row)
        return EntryView(
            id=row.id.hex(),
            contact=person.hex(),
            author=self._world.keyring.own.name if own else self.name(person),
            own=own,
            time=utc(row.time),
            kind=kind,
            text=text,
            state=state_of(own, self._kinds(person, receipts_of), self.on_link(person, row.id)),
            reply=answered(row),
        )

    def details(self, person: bytes, row: EntryRow, known: Iterable[ReceiptRow]) -> DetailsView:
        """An entry's details. `known`: all its receipts."""
        receipts_of = list(known)
        return DetailsView(
            id=row.id.hex(),
            person=self._person(person, row.author).hex(),
            terminal=row.author.hex(),
            time=utc(row.time),
            stored=self._stored(row, receipts_of),
            bytes=len(row.header) + len(row.salt) + len(row.body),
            receipts=tuple(self._receipt(person, receipt) for receipt in receipts_of),
        )

    def _stored(self, row: EntryRow, receipts_of: Iterable[ReceiptRow]) -> datetime | None:
        """One's own entry was stored when it was written, another when this terminal said so."""
        if row.author == self._world.own.terminal:
            return utc(row.time)
        own = (one for one in receipts_of if one.terminal == self._world.own.terminal)
        return next((utc(one.time) for one in own if one.kind == receipts.STORED), None)

    def _receipt(self, person: bytes, receipt: ReceiptRow) -> ReceiptView:
        kind = EntryState.DELIVERED if receipt.kind == receipts.STORED else EntryState.READ
        by = self._person(person, receipt.terminal)
        return ReceiptView(by.hex(), receipt.terminal.hex(), kind, utc(receipt.time))

    def _person(self, contact: bytes, terminal: bytes) -> bytes:
        """Whose terminal this is, of the two of a conversation."""
        own = self._world.keyring.own
        return self._world.own.person if terminal in {*own.live, *own.removed} else contact

    def _kinds(self, person: bytes, receipts_of: Iterable[ReceiptRow]) -> set[int]:
        keys = self._world.keyring.contacts.get(person)
        terminals = {*keys.state.live, *keys.state.removed} if keys is not None else set()
        return {receipt.kind for receipt in receipts_of if receipt.terminal in terminals}

    def on_link(self, person: bytes, entry: bytes) -> bool:
        """Whether a living link has carried the entry."""
        return any(entry in link.carried for link in self._world.links.of(person))

    def name(self, person: bytes) -> str:
        contact = self._world.contacts.get(person)
        return contact.shown if contact is not None else ""

    def contacts(self) -> tuple[ContactView, ...]:
        rows = sorted(self._world.contacts.values(), key=lambda row: (row.shown.casefold(), row.person))
        labels = unique_labels(rows)
        return tuple(self._contact(row, labels[row.person]) for row in rows)

    def contact(self, person: bytes) -> ContactView:
        """One contact's view. KeyError if it is none."""
        row = self._world.contacts[person]
        return self._contact(row, unique_labels(self._world.contacts.values())[person])

    def _contact(self, row: ContactRow, label: str) -> ContactView:
        world = self._world
        return ContactView(
            person=row.person.hex(),
            name=row.shown,
            label=label,
            verified=row.verified,
            present=world.links.is_present(row.person) and not row.blocked,
            blocked=row.blocked,
            typing=row.person in world.typing,
            unread=world.unread.get(row.person, 0),
            held=row.held,
            relayed=world.links.is_relayed(row.person),
        )


def unique_labels(rows: Iterable[ContactRow]) -> dict[bytes, str]:
    """A name for each contact that no other has: two of one name get a suffix from their ids."""
    rows = list(rows)
    digits = 0
    labels = {row.person: row.shown for row in rows}
    while len(set(labels.values())) < len(rows):
        digits += 4
        shared = Counter(row.shown for row in rows)
        labels = {
            row.person: f"{row.shown}~{row.person.hex()[:digits]}" if shared[row.shown] > 1 else row.shown
            for row in rows
        }
    return labels


HOLDING = {CauseKind.RECOVERED, CauseKind.FORKED}
"""Changes after which *verified* is dropped and sending waits for this person."""

TEXTS = {
    CauseKind.FOUNDED: phrase("is new"),
    CauseKind.ADDED: phrase("added a device"),
    CauseKind.REMOVED: phrase("removed a device"),
    CauseKind.VOIDED: phrase("lost a device that a removed device had added"),
    CauseKind.RENAMED: phrase("changed the name"),
    CauseKind.RECOVERED: phrase("used the recovery key: compare the safety number before you continue"),
    CauseKind.FORKED: phrase(
        "has two conflicting key histories: compare the safety number before you continue"
    ),
}


def holds(causes: Sequence[Cause]) -> bool:
    """Whether sending has to wait for this person."""
    return any(cause.kind in HOLDING for cause in causes)


def tell(world: EngineState, views: Views, person: bytes, causes: Sequence[Cause]) -> None:
    """Show what happened to a contact."""
    for cause in causes:
        world.hub.publish(IdentityChanged(person.hex(), views.name(person), TEXTS[cause.kind]))
    world.hub.publish(ContactChanged(views.contact(person)))
