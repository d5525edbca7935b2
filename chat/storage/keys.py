"""Secrets of this person, shares of contact secrets (SPEC §7.6), and own invitations (SPEC §7.5)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import takewhile
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
from protocol.pairing.renewal import Drawn
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
    """The self key of the best operation of the own log that draws one, none where that is not held."""
    best = next(iter(state.drawn), b"")
    secret = db.value("SELECT secret FROM drawn WHERE operation = ?", best)
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


OWN: Final = "own"
THEIRS: Final = "theirs"


class ShareRow(Redacting, frozen=True):
    """A share (32 bytes) of the secret with `contact` (a person); `owner` made it under these heads.

    `root` is the root (32 bytes) of the pairing in which it was exchanged. `terminal` drew and signed it;
    both are empty for a first share.
    """

    contact: bytes
    owner: str
    number: int
    share: Redacted[bytes]
    heads: list[bytes]
    root: Redacted[bytes]
    terminal: bytes = b""
    signature: bytes = b""

    @property
    def drawn(self) -> Drawn:
        return Drawn(self.share, tuple(self.heads), self.terminal, self.signature)


def add_share(db: Database, row: ShareRow, meanwhile: Collection[bytes] = ()) -> None:
    """Store a share as the newest of its owner in its pairing. It may be held already.

    `meanwhile`: the roots of pairings that were stored while this one was under way. Raises StorageMisuse for
    another share with the same number.
    """
    new = db.run(
        "INSERT OR IGNORE INTO shares"
        " (contact, root, owner, number, share, heads, terminal, signature, pairing, began_after, place)"
        " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8,"
        " coalesce(held.pairing, newest + 1), coalesce(held.began_after, newest), coalesce("
        " (SELECT max(place) + 1 FROM shares WHERE contact = ?1 AND root = ?2 AND owner = ?3), 0)"
        " FROM (SELECT coalesce(max(pairing), 0) AS newest FROM shares WHERE contact = ?1)"
        " LEFT JOIN"
        " (SELECT pairing, began_after FROM shares WHERE contact = ?1 AND root = ?2 LIMIT 1) AS held",
        *(row.contact, row.root, row.owner, row.number, row.share, joined_ids(row.heads)),
        *(row.terminal, row.signature),
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


def forget_shares(db: Database, contact: bytes, root: bytes, owner: str, keep: int) -> bool:
    """Delete all but the newest shares of an owner in a pairing; whether there were any.

    `secure_deletion.clean_file` must follow.
    """
    gone = db.run(
        "DELETE FROM shares WHERE contact = ?1 AND root = ?2 AND owner = ?3 AND number NOT IN (SELECT number"
        " FROM shares WHERE contact = ?1 AND root = ?2 AND owner = ?3 ORDER BY place DESC LIMIT ?4)",
        *(contact, root, owner, keep),
    )
    if gone:
        db.run(
            "DELETE FROM acknowledged WHERE contact = ? AND number NOT IN"
            " (SELECT number FROM shares WHERE contact = ?)",
            *(contact, contact),
        )
        mark_unclean(db)
    return bool(gone)


def bound_shares(db: Database, contact: bytes, root: bytes, owner: str, most: int) -> None:
    """Delete shares of an owner in a pairing beyond `most`, none of them the newest or the oldest one.

    Those go first that are the newest of the fewest terminals, and of these the newer one. Who has a key of
    one terminal can draw any number, and the other terminals hold the earlier ones alone.
    `secure_deletion.clean_file` must follow.
    """
    rows = db.rows(
        "SELECT s.number, (SELECT count(DISTINCT static) FROM acknowledged AS a WHERE a.contact = s.contact"
        " AND a.number = s.number AND NOT EXISTS (SELECT 1 FROM acknowledged AS b JOIN shares AS n"
        " ON n.contact = b.contact AND n.root = s.root AND n.owner = s.owner AND n.number = b.number"
        " WHERE b.contact = a.contact AND b.static = a.static AND n.place > s.place)) AS holders"
        " FROM shares AS s WHERE contact = ? AND root = ? AND owner = ? ORDER BY place DESC",
        *(contact, root, owner),
    )
    between = sorted(rows[1:-1], key=lambda row: int(row[1]))
    for number, _ in between[: max(0, len(rows) - most)]:
        _forget_share(db, contact, root, owner, number)


def _forget_share(db: Database, contact: bytes, root: bytes, owner: str, number: int) -> None:
    one = "DELETE FROM shares WHERE contact = ? AND root = ? AND owner = ? AND number = ?"
    db.run(one, contact, root, owner, number)
    db.run(
        "DELETE FROM acknowledged WHERE contact = ?1 AND number = ?2"
        " AND NOT EXISTS (SELECT 1 FROM shares WHERE contact = ?1 AND number = ?2)",
        *(contact, number),
    )
    mark_unclean(db)


def acknowledge(db: Database, contact: bytes, static: bytes, numbers: Iterable[int]) -> None:
    """Store that the contact's terminal with this static key holds the shares with these numbers."""
    row = "INSERT OR IGNORE INTO acknowledged (contact, static, number) VALUES (?, ?, ?)"
    db.run_many(row, [(contact, static, number) for number in numbers])


def acknowledged(db: Database, contact: bytes, number: int) -> set[bytes]:
    """The static keys of the contact's terminals that hold the share with this number."""
    holders = "SELECT static FROM acknowledged WHERE contact = ? AND number = ?"
    return {row[0] for row in db.rows(holders, contact, number)}


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
    """All shares with a contact: the newest pairing first, and in it of each owner the newest share."""
    rows = db.rows(
        "SELECT owner, number, share, heads, root, terminal, signature FROM shares WHERE contact = ?"
        " ORDER BY pairing DESC, place DESC, number DESC, owner",
        contact,
    )
    return [
        ShareRow(contact, owner, number, share, parted_ids(heads), *more)
        for owner, number, share, heads, *more in rows
    ]


def newest_shares(db: Database, owner: str) -> list[tuple[bytes, bytes, list[bytes]]]:
    """Of each pairing contact, root and heads of the newest share of this owner."""
    rows = db.rows(
        "SELECT contact, root, heads, max(place) FROM shares WHERE owner = ? GROUP BY contact, root", owner
    )
    return [(contact, root, parted_ids(heads)) for contact, root, heads, _ in rows]


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
