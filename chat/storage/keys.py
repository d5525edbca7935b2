"""Secrets of this person, shares of contact secrets (SPEC §7.6), and own invitations (SPEC §7.5)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import groupby, takewhile
from typing import Final

from msgspec import Struct

from chat.storage.database import Database
from chat.storage.errors import StorageMisuse
from chat.storage.secure_deletion import mark_unclean
from protocol.errors import Untrusted
from protocol.identity.drawing import self_key
from protocol.identity.reduction import PersonState
from protocol.limits import SHARED_DRAWN_MAX
from protocol.messages import SharedDrawn
from protocol.pairing.invitation import check_joiner
from protocol.redacting import Redacted, Redacting

SIZE: Final = 32

NO_KEY: Final = bytes(SIZE)
"""The keys of an archive: with them nothing is signed that counts, and no link opens."""


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
    """Ids and secrets of 32 bytes each. `recovery_seed` is None once deleted.

    `drawn` are the secrets that operations of the person log draw, in no order of preference.
    """

    person: bytes
    terminal: bytes
    signing_seed: Redacted[bytes]
    static_secret: Redacted[bytes]
    drawn: Redacted[tuple[SharedDrawn, ...]]
    recovery_seed: Redacted[bytes | None]

    @property
    def archived(self) -> bool:
        """Whether this is what is left of a person: a history that can be read, and no terminal."""
        return self.signing_seed == NO_KEY

    @property
    def first_self_key(self) -> bytes:
        """The self key of the genesis, which each terminal has."""
        return next(self_key(one.secret) for one in self.drawn if one.operation == self.person)


def create_own(db: Database, own: OwnRow) -> None:
    """Write the only row, and what was drawn. Raises StorageMisuse if there is one already."""
    db.insert(
        "INSERT INTO own (id, person, terminal, signing_seed, static_secret, recovery_seed)"
        " VALUES (1, ?, ?, ?, ?, ?)",
        *(own.person, own.terminal, own.signing_seed, own.static_secret, own.recovery_seed),
    )
    add_drawn(db, own.drawn)


def read_own(db: Database) -> OwnRow:
    """This person and terminal. Raises StorageMisuse before `create_own`."""
    row = db.row("SELECT person, terminal, signing_seed, static_secret, recovery_seed FROM own")
    drawn = db.rows("SELECT operation, secret FROM drawn ORDER BY operation")
    if row is None or not drawn:
        raise StorageMisuse("nobody was created in this database")
    person, terminal, signing_seed, static_secret, seed = row
    return OwnRow(
        person, terminal, signing_seed, static_secret, tuple(SharedDrawn(*one) for one in drawn), seed
    )


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


_CLAIMS_DUE: Final = "UPDATE claims SET due = 1 WHERE NOT due"


def add_drawn(db: Database, drawn: Iterable[SharedDrawn]) -> None:
    """Store drawn secrets, and have claims decided about again (`chat.storage.claims`)."""
    for one in drawn:
        if db.run("INSERT OR IGNORE INTO drawn (operation, secret) VALUES (?, ?)", one.operation, one.secret):
            claims_due(db)


def claims_due(db: Database) -> None:
    """Another self key than before may be the newest."""
    db.run(_CLAIMS_DUE)


def self_keys(db: Database) -> tuple[bytes, ...]:
    """The self keys of all drawn secrets, in no order of preference."""
    return tuple(self_key(secret) for (secret,) in db.rows("SELECT secret FROM drawn"))


def newest_self_keys(db: Database, state: PersonState) -> tuple[bytes, ...]:
    """The newest self key by the own log, none where it is not held or somebody knows it who was removed."""
    secret = db.value("SELECT secret FROM drawn WHERE operation = ?", state.fresh)
    return () if secret is None else (self_key(secret),)


def shared_drawn(own: OwnRow, state: PersonState) -> list[SharedDrawn]:
    """What a new terminal and a backup get, ascending: the genesis's, and those that are used first.

    `state`: of this person's log. What this names no more is of no use where the log is read again.
    """
    held = {one.operation: one for one in own.drawn}
    best = [one for one in state.drawn if one in held and one != state.person]
    chosen = sorted([state.person, *best[: SHARED_DRAWN_MAX - 1]])
    return [held[one] for one in chosen if one in held]


class Renewing(Struct, frozen=True):
    """When this terminal last signed a Renew without a removal, and since when it knows of no fresh secret.

    Unix times in milliseconds; `stale` is None while there is a fresh one.
    """

    renewed: int
    stale: int | None


def renewing(db: Database) -> Renewing:
    return Renewing(*db.rows("SELECT renewed, stale FROM own")[0])


def set_renewing(db: Database, value: Renewing) -> None:
    db.run("UPDATE own SET renewed = ?, stale = ?", value.renewed, value.stale)


class ShareRow(Redacting, frozen=True):
    """A share (32 bytes) of a contact, and the operation (id) of the contact's log whose secret gives it."""

    operation: bytes
    share: Redacted[bytes]


class PairingRow(Redacting, frozen=True):
    """A pairing with `contact` (a person), by its root (32 bytes). All ids have 32 bytes.

    `first`: the operation of the own log of which the own share in the Record was. `theirs`: the contact's
    shares, that of its Record first. `retired`: all its terminals know a better one than the first.
    """

    contact: bytes
    root: Redacted[bytes]
    first: bytes
    theirs: tuple[ShareRow, ...]
    retired: bool = False


def add_pairing(db: Database, row: PairingRow, meanwhile: Collection[bytes] = ()) -> None:
    """Store a pairing as the newest with its contact. It may be held already.

    `meanwhile`: the roots of pairings that were stored while this one was under way.
    """
    db.run(
        "INSERT OR IGNORE INTO pairings (contact, root, first, retired, place, began_after)"
        " SELECT ?1, ?2, ?3, ?4, newest + 1, newest"
        " FROM (SELECT coalesce(max(place), 0) AS newest FROM pairings WHERE contact = ?1)",
        *(row.contact, row.root, row.first, row.retired),
    )
    for one in row.theirs:
        add_share(db, row.contact, row.root, one, first=one is row.theirs[0])
    for root in meanwhile:
        db.run(
            "UPDATE pairings SET began_after = min(began_after,"
            " (SELECT place - 1 FROM pairings WHERE contact = ?1 AND root = ?3))"
            " WHERE contact = ?1 AND root = ?2"
            " AND EXISTS (SELECT 1 FROM pairings WHERE contact = ?1 AND root = ?3)",
            *(row.contact, row.root, root),
        )


def add_share(db: Database, contact: bytes, root: bytes, row: ShareRow, *, first: bool = False) -> bool:
    """Store a contact's share; whether it is the first that came of its operation, which alone is kept.

    `first`: it is the share of the contact's Record.
    """
    insert = "INSERT OR IGNORE INTO shares (contact, root, operation, share, first) VALUES (?, ?, ?, ?, ?)"
    return bool(db.run(insert, contact, root, row.operation, row.share, first))


def forget_shares(db: Database, contact: bytes, root: bytes, operations: Collection[bytes]) -> None:
    """Delete a contact's shares of these operations but the first, which is retired if it is among them.

    `secure_deletion.clean_file` must follow.
    """
    for one in operations:
        db.run(
            "UPDATE pairings SET retired = 1 WHERE contact = ?1 AND root = ?2 AND EXISTS"
            " (SELECT 1 FROM shares WHERE contact = ?1 AND root = ?2 AND operation = ?3 AND first)",
            *(contact, root, one),
        )
        db.run(
            "DELETE FROM shares WHERE contact = ? AND root = ? AND operation = ? AND NOT first",
            *(contact, root, one),
        )
    mark_unclean(db)


def opened_under(db: Database, contact: bytes, root: bytes, static: bytes, operation: bytes) -> None:
    """Store under which of a contact's shares its terminal with this static key opened its last link."""
    row = "INSERT OR REPLACE INTO opened (contact, root, static, operation) VALUES (?, ?, ?, ?)"
    db.run(row, contact, root, static, operation)


def last_opened(db: Database, contact: bytes, root: bytes) -> dict[bytes, bytes]:
    """The operations of the shares under which a contact's terminals (static keys) opened the last links."""
    rows = db.rows("SELECT static, operation FROM opened WHERE contact = ? AND root = ?", contact, root)
    return dict(rows)


def superseded(db: Database, contact: bytes, root: bytes) -> list[bytes]:
    """The roots of the pairings with a contact that were stored before the one with this root began."""
    rows = db.rows(
        "SELECT root FROM pairings WHERE contact = ?1 AND root != ?2"
        " AND place <= (SELECT began_after FROM pairings WHERE contact = ?1 AND root = ?2)"
        " ORDER BY place DESC",
        *(contact, root),
    )
    return [row[0] for row in rows]


def forget_pairing(db: Database, contact: bytes, root: bytes) -> None:
    """Delete the pairing with this root, and its shares. `secure_deletion.clean_file` must follow."""
    if db.run("DELETE FROM pairings WHERE contact = ? AND root = ?", contact, root):
        db.run("DELETE FROM shares WHERE contact = ? AND root = ?", contact, root)
        db.run("DELETE FROM opened WHERE contact = ? AND root = ?", contact, root)
        mark_unclean(db)


def order_pairings(db: Database, contact: bytes, roots: Sequence[bytes]) -> None:
    """Store the order of all pairings with a contact: the newest comes last.

    Each supersedes no other ones than before.
    """
    earlier = {root: set(superseded(db, contact, root)) for root in roots}
    began = {root: len(list(takewhile(of.__contains__, roots))) for root, of in earlier.items()}
    db.run_many(
        "UPDATE pairings SET place = ?, began_after = ? WHERE contact = ? AND root = ?",
        [(place, began[root], contact, root) for place, root in enumerate(roots, 1)],
    )


def roots_of(db: Database, contact: bytes) -> list[bytes]:
    """The roots of all pairings with a contact, the newest first."""
    rows = db.rows("SELECT root FROM pairings WHERE contact = ? ORDER BY place DESC, root DESC", contact)
    return [root for (root,) in rows]


def pairings_of(db: Database, contact: bytes) -> tuple[PairingRow, ...]:
    """All pairings with a contact, the newest first."""
    rows = db.rows(
        "SELECT p.root, p.first, p.retired, s.operation, s.share FROM pairings AS p"
        " JOIN shares AS s ON s.contact = p.contact AND s.root = p.root WHERE p.contact = ?"
        " ORDER BY p.place DESC, p.root DESC, s.first DESC, s.operation",
        contact,
    )
    return tuple(
        PairingRow(contact, root, first, tuple(ShareRow(*one[3:]) for one in of), bool(retired))
        for (root, first, retired), of in groupby(rows, key=lambda row: row[:3])
    )


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
