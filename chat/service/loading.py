"""From the database to memory: who this is, and the keys of all contacts.

Rules: reading only; what a person log means is protocol.person's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from chat.service.keyring import ContactKeys, OpenInvitation
from chat.storage import (
    contacts,
    conversations,
    invitations,
    known_addresses,
    logs,
    own,
    receipts,
    relays,
    settings,
    shares,
)
from chat.storage.contacts import ContactRow
from chat.storage.database import Database
from chat.storage.own import OwnRow
from chat.storage.relays import RelayRow
from chat.storage.settings import Settings
from chat.storage.shares import OWN, THEIRS, ShareRow
from protocol.contact_secret import Pair, Share
from protocol.invitation import parse_invitation
from protocol.person import PersonState, reduce


@dataclass(frozen=True, slots=True)
class Profile:
    """What is read at the start."""

    own: OwnRow
    state: PersonState
    contacts: dict[bytes, ContactRow]
    keys: dict[bytes, ContactKeys]
    remembered: dict[bytes, tuple[tuple[str, int], ...]]
    invitations: dict[bytes, OpenInvitation]
    unread: dict[bytes, int]
    settings: Settings
    relays: tuple[RelayRow, ...]


def profile(database: Database, now_seconds: int) -> Profile:
    """Everything that an engine keeps in memory."""
    row = own.read(database)
    keys = all_keys(database, row.person)
    return Profile(
        own=row,
        state=reduce(logs.of(database, row.person)),
        contacts={row.person: row for row in contacts.all(database)},
        keys=keys,
        remembered=all_remembered(database, keys),
        invitations=open_invitations(database, now_seconds),
        unread=_unread(database),
        settings=settings.load(database),
        relays=tuple(relays.all(database)),
    )


def _unread(database: Database) -> dict[bytes, int]:
    """Unread entries by contact."""
    counts = receipts.unread_all(database)
    rows = conversations.all(database)
    return {row.contact: counts.get(row.id, 0) for row in rows if row.contact is not None}


def all_keys(database: Database, person: bytes) -> dict[bytes, ContactKeys]:
    """The keys of all contacts, pending ones too."""
    rows = [*contacts.all(database), *contacts.pending(database)]
    return {row.person: contact_keys(database, person, row) for row in rows}


def contact_keys(database: Database, own_person: bytes, row: ContactRow) -> ContactKeys:
    """One contact's log state and shares."""
    operations = tuple(logs.of(database, row.person))
    return ContactKeys(
        operations=operations,
        state=reduce(operations),
        pairs=_pairs(own_person, row.person, shares.of(database, row.person)),
        pending=row.state == contacts.PENDING,
        blocked=row.blocked,
    )


def _pairs(own: bytes, person: bytes, rows: Sequence[ShareRow]) -> tuple[Pair, ...]:
    """What each pairing with the contact gave, newest first."""
    roots = list(dict.fromkeys(row.root for row in rows))
    return tuple(
        Pair(root, own, person, _shares(rows, root, OWN), _shares(rows, root, THEIRS)) for root in roots
    )


def _shares(rows: Sequence[ShareRow], root: bytes, owner: str) -> tuple[Share, ...]:
    return tuple(
        Share(row.number, row.share, tuple(row.heads))
        for row in rows
        if row.root == root and row.owner == owner
    )


def remembered(database: Database, terminals: Sequence[bytes]) -> tuple[tuple[str, int], ...]:
    """Where a contact's terminals were reached, the latest first."""
    rows = [row for terminal in terminals for row in known_addresses.of(database, terminal)]
    rows.sort(key=lambda row: -row.last_success)
    return tuple((row.host, row.port) for row in rows)


def all_remembered(
    database: Database, keys: dict[bytes, ContactKeys]
) -> dict[bytes, tuple[tuple[str, int], ...]]:
    """`remembered` for every contact."""
    return {person: remembered(database, list(contact.state.live)) for person, contact in keys.items()}


def open_invitations(database: Database, now_seconds: int) -> dict[bytes, OpenInvitation]:
    """Invitations that can still be used, by their secret."""
    return {
        row.secret: OpenInvitation(parse_invitation(row.text), row.text, row.burned_by)
        for row in invitations.usable(database, now_seconds)
    }
