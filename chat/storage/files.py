"""The files that entries name: what this terminal does with each, and where its pieces stand (SPEC §12)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from enum import IntEnum
from typing import Final

from msgspec import Struct

from chat.storage import persons
from chat.storage.database import Database, Row
from chat.storage.quarantine import QUARANTINED
from protocol.attachments import read_file as read_file
from protocol.entries_and_receipts import KIND_FILE
from protocol.errors import ProtocolError
from protocol.messages import FileBody


class Standing(IntEnum):
    """What is done with a file, as `files.state` has it. WITHHELD: it is whole, and others do not get it."""

    NEW = 0
    ASKS = 1
    TAKEN = 2
    PAUSED = 3
    WHOLE = 4
    WITHHELD = 5
    LET_GO = 6


SUPPLIED: Final = (Standing.TAKEN, Standing.PAUSED, Standing.WHOLE)
"""Those of which this terminal gives others what it holds."""

ON_DISK: Final = (*SUPPLIED, Standing.WITHHELD)
"""Those of which pieces stand on the disk, or are to."""

EACH: Final = 16_384
"""Bytes that a file takes of the disk, whatever its size: it has three files."""


def on_disk(size: int) -> int:
    """Bytes of the disk that a file of a size counts for. Empty files would fill a disk, too."""
    return size + EACH


class FileRow(Struct, frozen=True):
    """A file of an entry (id). `contact`: with whom the conversation is, None for the notes.

    `place`: the name of its pieces.
    """

    number: int
    entry: bytes
    conversation: bytes
    contact: bytes | None
    place: bytes
    standing: Standing
    body: FileBody
    time: int

    @property
    def at(self) -> FilePlace:
        return FilePlace(self.number, self.entry, self.contact, self.place, self.standing, self.body.size)


class FilePlace(Struct, frozen=True):
    """The same without its body, which names a file at length: what it takes of the disk, and where."""

    number: int
    entry: bytes
    contact: bytes | None
    place: bytes
    standing: Standing
    size: int


PART: Final = 256
"""Rows that are read together. Contacts name thousands of files, each with folders of some kilobytes."""

_PLACES: Final = (
    "SELECT e.number, e.id, c.contact, f.place, f.state, f.size FROM files AS f"
    " JOIN entries AS e ON e.number = f.entry JOIN conversations AS c ON c.number = e.conversation"
    " WHERE {} f.entry < ? AND EXISTS (SELECT 1 FROM bodies WHERE entry = f.entry) AND {}"
    " ORDER BY f.entry DESC LIMIT ?"
)
_FIELDS: Final = (
    "SELECT e.number, e.id, c.id, c.contact, f.place, f.state, b.body, e.time FROM files AS f"
    " JOIN entries AS e ON e.number = f.entry JOIN bodies AS b ON b.entry = e.number"
    " JOIN conversations AS c ON c.number = e.conversation"
)
_OPEN: Final = "state IN (0, 2)"
"""As the index says it: without these words a query looks at all files."""

_ON_DISK: Final = tuple(map(int, ON_DISK))
_COUNTS: Final = (
    f"NOT EXISTS (SELECT 1 FROM {QUARANTINED} WHERE q.entry = e.number)"
    " AND e.number NOT IN (SELECT entry FROM claims)"
)


def _row(found: Row) -> FileRow:
    number, entry, conversation, contact, place, state, body, time = found
    return FileRow(number, entry, conversation, contact, place, Standing(state), read_file(body), time)


def add(db: Database, number: int, size: int) -> None:
    """The body of an entry, by its number, names a file of so many bytes."""
    sql = "INSERT OR IGNORE INTO files (entry, place, size, state) VALUES (?, randomblob(16), ?, ?)"
    db.run(sql, number, size, int(Standing.NEW))


def words(body: FileBody) -> str:
    """By what a search finds the entry: the name of its file, and of the folders that it is in."""
    return "\n".join((*body.folder, body.name))


def rebuild(db: Database) -> None:
    """What a damaged table lost is to be decided again: its pieces are of no use without their name."""
    lost = (
        "SELECT e.number, b.body FROM entries AS e JOIN bodies AS b ON b.entry = e.number"
        " WHERE e.kind = ? AND NOT e.destroyed AND e.number NOT IN (SELECT entry FROM files)"
    )
    for number, body in db.rows(lost, KIND_FILE):
        with suppress(ProtocolError):  # an invalid body, kept for the chain of its author
            add(db, number, read_file(body).size)


def hold(db: Database, entry: bytes, place: bytes) -> None:
    """All pieces of the file of an entry (id) stand under this name: this person sends it."""
    sql = "UPDATE files SET place = ?, state = ? WHERE entry = (SELECT number FROM entries WHERE id = ?)"
    db.run(sql, place, int(Standing.WHOLE), entry)


def stand(db: Database, entry: bytes, standing: Standing) -> None:
    """Something else is done with the file of an entry (id)."""
    sql = "UPDATE files SET state = ? WHERE entry = (SELECT number FROM entries WHERE id = ?)"
    db.run(sql, int(standing), entry)


def stand_all(db: Database, some: Iterable[bytes], standing: Standing) -> None:
    """The same for the files of some entries (ids)."""
    for entry in some:
        stand(db, entry, standing)


def get(db: Database, entry: bytes) -> FileRow | None:
    """The file of an entry (id); None where its body is not held, or names none."""
    found = db.row(f"{_FIELDS} WHERE e.id = ?", entry)
    return None if found is None else _row(found)


def to_supply(db: Database, entry: bytes, conversation: bytes, contact: bytes | None) -> FileRow | None:
    """The file of an entry (id), if a terminal may have it (SPEC §12.3), else None, whatever the reason.

    `conversation`: that with the `contact` whose terminal asks. Without a contact a terminal of this person
    asks, which may have those of all conversations.
    """
    found = db.row(
        f"{_FIELDS} WHERE e.id = ? AND {_COUNTS} AND (? IS NULL"
        " OR c.id = ? AND NOT EXISTS (SELECT 1 FROM uncovered WHERE entry = e.number)"
        " AND NOT EXISTS (SELECT 1 FROM contacts WHERE person = c.contact AND held))",
        *(entry, contact, conversation),
    )
    return None if found is None else _row(found)


def taken_from(db: Database, conversation: bytes, own: Collection[bytes]) -> int:
    """Bytes of the disk for the files of a conversation that others than `own` terminals wrote."""
    marks = ",".join("?" * len(own))
    return int(
        db.value(
            f"SELECT ifnull(sum(f.size + {EACH}), 0) FROM files AS f JOIN entries AS e ON e.number = f.entry"
            f" WHERE f.state IN {_ON_DISK}"
            " AND e.conversation = (SELECT number FROM conversations WHERE id = ?)"
            f" AND e.author NOT IN (SELECT number FROM terminals WHERE terminal IN ({marks}))",
            *(conversation, *own),
        )
    )


def is_of_others(db: Database, number: int, own: Collection[bytes]) -> bool:
    """Whether another than `own` terminals wrote an entry, by its number."""
    sql = (
        "SELECT EXISTS (SELECT 1 FROM entries WHERE number = ? AND author NOT IN"
        f" (SELECT number FROM terminals WHERE terminal IN ({','.join('?' * len(own))})))"
    )
    return bool(db.value(sql, number, *own))


def kept(db: Database) -> int:
    """Bytes of the disk for all files of which pieces stand here, or are to."""
    sql = f"SELECT ifnull(sum(size + {EACH}), 0) FROM files WHERE state IN {_ON_DISK}"
    return int(db.value(sql))


def promised(db: Database) -> int:
    """Bytes of the content of all files that are being taken, held already or not."""
    sql = f"SELECT ifnull(sum(size), 0) FROM files WHERE {_OPEN} AND state = ?"
    return int(db.value(sql, int(Standing.TAKEN)))


def held_at(db: Database, entry: bytes, terminal: bytes) -> None:
    """A terminal says that it holds all of the file of an entry (id)."""
    sql = "UPDATE files SET holder = ? WHERE entry = (SELECT number FROM entries WHERE id = ?)"
    db.run(sql, persons.terminal_number(db, terminal), entry)


def let_go(db: Database, entry: bytes) -> None:
    """The pieces of the file of an entry (id) are to be deleted here. Its key stays, to take it again."""
    one = "entry = (SELECT number FROM entries WHERE id = ?)"
    db.run(f"INSERT OR IGNORE INTO files_gone (place) SELECT place FROM files WHERE {one}", entry)
    sql = f"UPDATE files SET place = randomblob(16), state = ? WHERE {one}"
    db.run(sql, int(Standing.LET_GO), entry)


def part_of(db: Database, before: int | None = None, some: Standing | None = None) -> list[FilePlace]:
    """The next files of all conversations, or of this standing, the newest entries first: at most PART.

    `before`: the number of the last entry of the part before this one.
    """
    open_ones = f"f.{_OPEN} AND" if some in (Standing.NEW, Standing.TAKEN) else ""
    chosen = "" if some is None else f"{open_ones} f.state = {int(some)} AND"
    rows = db.rows(_PLACES.format(chosen, _COUNTS), 2**63 - 1 if before is None else before, PART)
    return [
        FilePlace(number, entry, contact, place, Standing(state), size)
        for number, entry, contact, place, state, size in rows
    ]


def standing(db: Database, some: Standing, most: int = PART) -> list[FileRow]:
    """The files of this standing, those of the newest entries first, and `most` of them at most."""
    open_ones = f"f.{_OPEN} AND" if some in (Standing.NEW, Standing.TAKEN) else ""
    sql = f"{_FIELDS} WHERE {open_ones} f.state = ? AND {_COUNTS} ORDER BY f.entry DESC LIMIT ?"
    return [_row(one) for one in db.rows(sql, int(some), most)]


def places(db: Database) -> set[bytes]:
    """The names of all pieces that belong to an entry, or are to be deleted."""
    return {place for (place,) in db.rows("SELECT place FROM files UNION SELECT place FROM files_gone")}


def has_place(db: Database, place: bytes) -> bool:
    """Whether an entry has pieces of this name."""
    return bool(db.value("SELECT EXISTS (SELECT 1 FROM files WHERE place = ?)", place))


def gone(db: Database) -> list[bytes]:
    """The names of pieces whose key was destroyed."""
    return [place for (place,) in db.rows("SELECT place FROM files_gone")]


def forget_gone(db: Database, some: Iterable[bytes]) -> None:
    """These pieces are deleted."""
    db.run_many("DELETE FROM files_gone WHERE place = ?", [(place,) for place in some])
