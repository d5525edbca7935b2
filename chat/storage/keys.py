"""This person and this terminal: the keys that are only here.

Rules: one row for the terminal's life; secrets never show in a repr.

Several ids in one column: 32 bytes each, in a row.

Rules: nothing else is kept in such a column.

The shares that contact secrets are made of (SPEC §7.6).

Rules: the share of a number in a pairing never changes; older ones stay, for
terminals that do not hold the newer yet.

Invitations that this terminal gave out (SPEC §7.5).

Rules: one is burned in a committed transaction before anything follows from its use, and afterwards only
the same one-time key may go on with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from chat.storage.database import Database
from chat.storage.errors import StorageMisuse
from protocol.errors import Untrusted
from protocol.pairing.invitation import check_joiner

SIZE: Final = 32


def joined_ids(ids: Iterable[bytes]) -> bytes:
    """The column's value. Raises StorageMisuse for an id of another size."""
    whole = tuple(ids)
    if any(len(one) != SIZE for one in whole):
        raise StorageMisuse("an id has not 32 bytes")
    return b"".join(whole)


def parted_ids(value: bytes) -> list[bytes]:
    """The ids of a column, in the order in which they were given."""
    return [value[start : start + SIZE] for start in range(0, len(value), SIZE)]


@dataclass(frozen=True, slots=True)
class OwnRow:
    """Ids and secrets of 32 bytes each; `self_key` is the newest, `recovery_seed` None once forgotten."""

    person: bytes
    terminal: bytes
    signing_seed: bytes = field(repr=False)
    static_secret: bytes = field(repr=False)
    self_key: bytes = field(repr=False)
    recovery_seed: bytes | None = field(repr=False)


def create_own(db: Database, own: OwnRow) -> None:
    """Write the one row and the first self key. Raises StorageMisuse if there is one already."""
    db.insert(
        "INSERT INTO own (id, person, terminal, signing_seed, static_secret, recovery_seed)"
        " VALUES (1, ?, ?, ?, ?, ?)",
        own.person,
        own.terminal,
        own.signing_seed,
        own.static_secret,
        own.recovery_seed,
    )
    add_self_key(db, own.self_key, [])


def read_own(db: Database) -> OwnRow:
    """This person and terminal. Raises StorageMisuse before `create`."""
    row = db.row(
        "SELECT person, terminal, signing_seed, static_secret,"
        " (SELECT key FROM self_keys ORDER BY number DESC LIMIT 1), recovery_seed FROM own"
    )
    if row is None:
        raise StorageMisuse("nobody was created in this database")
    return OwnRow(*row)


def add_self_key(db: Database, key: bytes, heads: list[bytes]) -> None:
    """A newer self key, drawn under these heads of the person's log."""
    db.insert("INSERT INTO self_keys (key, heads) VALUES (?, ?)", key, joined_ids(heads))


OWN: Final = "own"
THEIRS: Final = "theirs"


@dataclass(frozen=True, slots=True)
class ShareRow:
    """One half of a secret with `contact` (a person): 32 bytes, drawn by `owner` under these log heads.

    `root` is that of the pairing (32 bytes) under which it was exchanged.
    """

    contact: bytes
    owner: str
    number: int
    share: bytes = field(repr=False)
    heads: list[bytes]
    root: bytes = field(repr=False)


def add_share(db: Database, row: ShareRow) -> None:
    """Keep a share; the same again is harmless. Raises StorageMisuse for another under the same number."""
    new = db.run(
        "INSERT OR IGNORE INTO shares (contact, root, owner, number, share, heads) VALUES (?, ?, ?, ?, ?, ?)",
        row.contact,
        row.root,
        row.owner,
        row.number,
        row.share,
        joined_ids(row.heads),
    )
    if not new and row not in shares_of(db, row.contact):
        raise StorageMisuse("a share of this number is held, and it is another one")


def shares_of(db: Database, contact: bytes) -> list[ShareRow]:
    """All shares with a contact, newest number first."""
    rows = db.rows(
        "SELECT owner, number, share, heads, root FROM shares WHERE contact = ? ORDER BY number DESC, owner",
        contact,
    )
    return [
        ShareRow(contact, owner, number, share, parted_ids(heads), root)
        for owner, number, share, heads, root in rows
    ]


@dataclass(frozen=True, slots=True)
class InvitationRow:
    """`secret` 16 bytes, `check` 32; `expires` in SECONDS; `burned_by` the joiner's one-time static key."""

    secret: bytes = field(repr=False)
    check: bytes
    expires: int
    text: str = field(repr=False)
    burned_by: bytes | None = None


def add_invitation(db: Database, row: InvitationRow) -> None:
    """Keep a new invitation."""
    db.insert(
        "INSERT INTO invitations (secret, check_hash, expires, text, burned_by) VALUES (?, ?, ?, ?, ?)",
        row.secret,
        row.check,
        row.expires,
        row.text,
        row.burned_by,
    )


def usable_invitations(db: Database, now: int) -> list[InvitationRow]:
    """Those that have not expired at `now` (seconds), burned ones too: their joiner may still finish."""
    rows = db.rows(
        "SELECT secret, check_hash, expires, text, burned_by FROM invitations"
        " WHERE expires > ? ORDER BY number",
        now,
    )
    return [InvitationRow(*row) for row in rows]


def burn_invitation(db: Database, secret: bytes, static: bytes) -> bool:
    """Burn it for this one-time key (32 bytes). False: not there, or burned by another key."""
    row = db.row("SELECT burned_by FROM invitations WHERE secret = ?", secret)
    if row is None:
        return False
    try:
        check_joiner(row[0], static)
    except Untrusted:
        return False
    return bool(db.run("UPDATE invitations SET burned_by = ? WHERE secret = ?", static, secret))


def remove_invitation(db: Database, secret: bytes) -> None:
    """Forget one, when its pairing is done or it was taken back."""
    db.run("DELETE FROM invitations WHERE secret = ?", secret)


def drop_expired_invitations(db: Database, now: int) -> int:
    """Forget those that have expired at `now` (seconds); returns how many."""
    return db.run("DELETE FROM invitations WHERE expires <= ?", now)
