"""The shares that contact secrets are made of (SPEC §7.6).

Rules: the share of a number in a pairing never changes; older ones stay, for
terminals that do not hold the newer yet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from chat.storage.database import Database
from chat.storage.errors import StorageMisuse
from chat.storage.ids import joined, parted

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


def add(db: Database, row: ShareRow) -> None:
    """Keep a share; the same again is harmless. Raises StorageMisuse for another under the same number."""
    new = db.run(
        "INSERT OR IGNORE INTO shares (contact, root, owner, number, share, heads) VALUES (?, ?, ?, ?, ?, ?)",
        row.contact,
        row.root,
        row.owner,
        row.number,
        row.share,
        joined(row.heads),
    )
    if not new and row not in of(db, row.contact):
        raise StorageMisuse("a share of this number is held, and it is another one")


def of(db: Database, contact: bytes) -> list[ShareRow]:
    """All shares with a contact, newest number first."""
    rows = db.rows(
        "SELECT owner, number, share, heads, root FROM shares WHERE contact = ? ORDER BY number DESC, owner",
        contact,
    )
    return [
        ShareRow(contact, owner, number, share, parted(heads), root)
        for owner, number, share, heads, root in rows
    ]
