"""Secrets of this person, shares of contact secrets (SPEC §7.6), and own invitations (SPEC §7.5)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import takewhile
from typing import Final

from chat.storage.database import Database
from chat.storage.errors import StorageMisuse
from chat.storage.secure_deletion import mark_unclean
from protocol.errors import Untrusted
from protocol.pairing.invitation import check_joiner
from protocol.redacting import Redacted, Redacting

SIZE: Final = 32


def joined_ids(ids: Iterable[bytes]) -> bytes:
    """A column value that concatenates ids of 32 bytes. Raises StorageMisuse for another size."""
    whole = tuple(ids)
    if any(len(one) != SIZE for one in whole):
        raise StorageMisuse("an id has not 32 bytes")
    return b"".join(whole)


def parted_ids(value: bytes) -> list[bytes]:
    """The ids of `joined_ids`, in order."""
    return [value[start : start + SIZE] for start in range(0, len(value), SIZE)]


class OwnRow(Redacting, frozen=True):
    """Ids and secrets of 32 bytes each. `self_key` is the newest, `recovery_seed` None once deleted."""

    person: bytes
    terminal: bytes
    signing_seed: Redacted[bytes]
    static_secret: Redacted[bytes]
    self_key: Redacted[bytes]
    recovery_seed: Redacted[bytes | None]


def create_own(db: Database, own: OwnRow, heads: Iterable[bytes] = ()) -> None:
    """Write the only row and the first self key, made under these heads of the person's log.

    Raises StorageMisuse if there is one already.
    """
    db.insert(
        "INSERT INTO own (id, person, terminal, signing_seed, static_secret, recovery_seed)"
        " VALUES (1, ?, ?, ?, ?, ?)",
        *(own.person, own.terminal, own.signing_seed, own.static_secret, own.recovery_seed),
    )
    add_self_key(db, own.self_key, list(heads))


def read_own(db: Database) -> OwnRow:
    """This person and terminal. Raises StorageMisuse before `create_own`."""
    row = db.row(
        "SELECT person, terminal, signing_seed, static_secret,"
        " (SELECT key FROM self_keys ORDER BY number DESC LIMIT 1), recovery_seed FROM own"
    )
    if row is None:
        raise StorageMisuse("nobody was created in this database")
    return OwnRow(*row)


def erase_recovery_seed(db: Database) -> None:
    """Delete the recovery seed. `secure_deletion.clean_file` must follow."""
    db.run("UPDATE own SET recovery_seed = NULL")
    mark_unclean(db)


def replace_terminal(db: Database, terminal: bytes, signing_seed: bytes, static_secret: bytes) -> None:
    """This terminal goes on with other keys, and its invitations, which name the former ones, are gone.

    `secure_deletion.clean_file` must follow.
    """
    db.run(
        "UPDATE own SET terminal = ?, signing_seed = ?, static_secret = ?",
        *(terminal, signing_seed, static_secret),
    )
    db.run("DELETE FROM invitations")
    mark_unclean(db)


def add_self_key(db: Database, key: bytes, heads: list[bytes]) -> None:
    """Store a newer self key, made under these heads of the person's log."""
    db.insert("INSERT INTO self_keys (key, heads) VALUES (?, ?)", key, joined_ids(heads))


def self_keys(db: Database) -> list[tuple[bytes, list[bytes]]]:
    """All self keys with the heads under which they were made, the newest last."""
    return [
        (key, parted_ids(heads)) for key, heads in db.rows("SELECT key, heads FROM self_keys ORDER BY number")
    ]


OWN: Final = "own"
THEIRS: Final = "theirs"


class ShareRow(Redacting, frozen=True):
    """A share (32 bytes) of the secret with `contact` (a person); `owner` made it under these heads.

    `root` is the root (32 bytes) of the pairing in which it was exchanged.
    """

    contact: bytes
    owner: str
    number: int
    share: Redacted[bytes]
    heads: list[bytes]
    root: Redacted[bytes]


def add_share(db: Database, row: ShareRow, meanwhile: Collection[bytes] = ()) -> None:
    """Store a share, which may be held already. Raises StorageMisuse for another with the same number.

    `meanwhile`: the roots of pairings that were stored while this one was under way.
    """
    new = db.run(
        "INSERT OR IGNORE INTO shares (contact, root, owner, number, share, heads, pairing, began_after)"
        " SELECT ?1, ?2, ?3, ?4, ?5, ?6,"
        " coalesce(held.pairing, newest + 1), coalesce(held.began_after, newest)"
        " FROM (SELECT coalesce(max(pairing), 0) AS newest FROM shares WHERE contact = ?1)"
        " LEFT JOIN"
        " (SELECT pairing, began_after FROM shares WHERE contact = ?1 AND root = ?2 LIMIT 1) AS held",
        *(row.contact, row.root, row.owner, row.number, row.share, joined_ids(row.heads)),
    )
    for root in meanwhile:
        db.run(
            "UPDATE shares SET began_after = min(began_after,"
            " (SELECT min(pairing) - 1 FROM shares WHERE contact = ?1 AND root = ?3))"
            " WHERE contact = ?1 AND root = ?2"
            " AND EXISTS (SELECT 1 FROM shares WHERE contact = ?1 AND root = ?3)",
            *(row.contact, row.root, root),
        )
    if not new and row not in shares_of(db, row.contact):
        raise StorageMisuse("another share with this number is held")


def superseded(db: Database, contact: bytes, root: bytes) -> list[bytes]:
    """The roots of the pairings with a contact that were stored before the one with this root began."""
    rows = db.rows(
        "SELECT DISTINCT root FROM shares WHERE contact = ?1 AND root != ?2"
        " AND pairing <= (SELECT min(began_after) FROM shares WHERE contact = ?1 AND root = ?2)"
        " ORDER BY pairing DESC",
        *(contact, root),
    )
    return [row[0] for row in rows]


def forget_pairing(db: Database, contact: bytes, root: bytes) -> None:
    """Delete the shares of the pairing with this root. `secure_deletion.clean_file` must follow."""
    if db.run("DELETE FROM shares WHERE contact = ? AND root = ?", contact, root):
        mark_unclean(db)


def order_pairings(db: Database, contact: bytes, roots: Sequence[bytes]) -> None:
    """Store the order of all pairings with a contact: the newest comes last.

    Each supersedes no other ones than before.
    """
    earlier = {root: set(superseded(db, contact, root)) for root in roots}
    began = {root: len(list(takewhile(of.__contains__, roots))) for root, of in earlier.items()}
    db.run_many(
        "UPDATE shares SET pairing = ?, began_after = ? WHERE contact = ? AND root = ?",
        [(place, began[root], contact, root) for place, root in enumerate(roots, 1)],
    )


def shares_of(db: Database, contact: bytes) -> list[ShareRow]:
    """All shares with a contact: the newest pairing first, and in it the highest number."""
    rows = db.rows(
        "SELECT owner, number, share, heads, root FROM shares WHERE contact = ?"
        " ORDER BY pairing DESC, number DESC, owner",
        contact,
    )
    return [
        ShareRow(contact, owner, number, share, parted_ids(heads), root)
        for owner, number, share, heads, root in rows
    ]


class InvitationRow(Redacting, frozen=True):
    """`secret` has 16 bytes. `expires` is in seconds, `burned_by` the joiner's one-time key.

    `one_time` (32 bytes) is the X25519 secret of the key that the text commits to.
    """

    secret: Redacted[bytes]
    one_time: Redacted[bytes]
    expires: int
    text: Redacted[str]
    burned_by: bytes | None = None


def add_invitation(db: Database, row: InvitationRow) -> None:
    db.insert(
        "INSERT INTO invitations (secret, one_time, expires, text, burned_by) VALUES (?, ?, ?, ?, ?)",
        *(row.secret, row.one_time, row.expires, row.text, row.burned_by),
    )


def invitations(db: Database) -> list[InvitationRow]:
    """All invitations, oldest first: also expired ones, and burned ones, whose joiner may still finish."""
    rows = db.rows("SELECT secret, one_time, expires, text, burned_by FROM invitations ORDER BY number")
    return [InvitationRow(*row) for row in rows]


def burn_invitation(db: Database, secret: bytes, static: bytes) -> bool:
    """Burn an invitation for this one-time key (32 bytes). False if unknown or burned by another key."""
    row = db.row("SELECT burned_by FROM invitations WHERE secret = ?", secret)
    if row is None:
        return False
    try:
        check_joiner(row[0], static)
    except Untrusted:
        return False
    return bool(db.run("UPDATE invitations SET burned_by = ? WHERE secret = ?", static, secret))


def remove_invitation(db: Database, secret: bytes) -> None:
    """Delete an invitation that was used or withdrawn. `secure_deletion.clean_file` must follow."""
    db.run("DELETE FROM invitations WHERE secret = ?", secret)
    mark_unclean(db)


def drop_expired_invitations(db: Database, now: int) -> int:
    """Delete invitations expired at `now` (seconds). Returns their number.

    `secure_deletion.clean_file` must follow.
    """
    mark_unclean(db)
    return db.run("DELETE FROM invitations WHERE expires <= ?", now)
