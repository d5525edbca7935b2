"""Invitations that this terminal gave out (SPEC §7.5).

Rules: one is burned in a committed transaction before anything follows from its use, and afterwards only
the same one-time key may go on with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from chat.storage.database import Database
from protocol.errors import Untrusted
from protocol.invitation import check_joiner


@dataclass(frozen=True, slots=True)
class InvitationRow:
    """`secret` 16 bytes, `check` 32; `expires` in SECONDS; `burned_by` the joiner's one-time static key."""

    secret: bytes = field(repr=False)
    check: bytes
    expires: int
    text: str = field(repr=False)
    burned_by: bytes | None = None


def add(db: Database, row: InvitationRow) -> None:
    """Keep a new invitation."""
    db.insert(
        "INSERT INTO invitations (secret, check_hash, expires, text, burned_by) VALUES (?, ?, ?, ?, ?)",
        row.secret,
        row.check,
        row.expires,
        row.text,
        row.burned_by,
    )


def usable(db: Database, now: int) -> list[InvitationRow]:
    """Those that have not expired at `now` (seconds), burned ones too: their joiner may still finish."""
    rows = db.rows(
        "SELECT secret, check_hash, expires, text, burned_by FROM invitations"
        " WHERE expires > ? ORDER BY number",
        now,
    )
    return [InvitationRow(*row) for row in rows]


def burn(db: Database, secret: bytes, static: bytes) -> bool:
    """Burn it for this one-time key (32 bytes). False: not there, or burned by another key."""
    row = db.row("SELECT burned_by FROM invitations WHERE secret = ?", secret)
    if row is None:
        return False
    try:
        check_joiner(row[0], static)
    except Untrusted:
        return False
    return bool(db.run("UPDATE invitations SET burned_by = ? WHERE secret = ?", static, secret))


def remove(db: Database, secret: bytes) -> None:
    """Forget one, when its pairing is done or it was taken back."""
    db.run("DELETE FROM invitations WHERE secret = ?", secret)


def drop_expired(db: Database, now: int) -> int:
    """Forget those that have expired at `now` (seconds); returns how many."""
    return db.run("DELETE FROM invitations WHERE expires <= ?", now)
