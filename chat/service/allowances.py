"""What this person lets files use of this terminal: its disk, its network, relays (SPEC §12.3).

Disks and networks differ between the terminals of a person, so each has its own bounds: none is shared.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

from chat.interface import (
    DEFAULT_MIB,
    FILES,
    FILES_LIMIT,
    FILES_RELAYED,
    KEEP_MOST,
    KEEP_MOST_MIB,
    RELAYED_MIB,
    WITHOUT_ASKING,
)
from chat.network.links import Links
from chat.storage import files, settings
from chat.storage.database import Database, Store
from chat.storage.files import FileRow

MIB: Final = 1 << 20
KIB: Final = 1 << 10

WITHOUT_ASKING_IN_ALL: Final = 1_024
"""MiB of the files of a conversation that are taken without asking. A contact can fill so much."""

COPIED: Final = f"{FILES}copied."
"""Begins the name of the preference with the bytes of a contact's files that were copied unasked."""

_DIGITS: Final = 9


def number(chosen: Mapping[str, str], name: str, usual: int, person: bytes | None = None) -> int:
    """A number that this person chose, for a contact before that for all; `usual` where it is none."""
    names = [name] if person is None else [f"{name}.{person.hex()}", name]
    for one in names:
        value = chosen.get(one, "")
        if value.isascii() and value.isdecimal() and len(value) < _DIGITS:
            return int(value)
    return usual


def of_files(db: Database) -> dict[str, str]:
    """What this person chose for files, by the name of the preference."""
    chosen = settings.preferences(db)
    return {name: value for name, value in chosen.items() if name.startswith(FILES)}


def ask(db: Database, rows: Iterable[FileRow], own: Collection[bytes]) -> list[FileRow]:
    """Those of files of which this person is asked before they are taken, if the others before them are.

    `own`: the terminals of this person. The totals are read once, since each is a look at all files.
    """
    chosen, kept = of_files(db), files.kept(db)
    in_all = number(chosen, KEEP_MOST, KEEP_MOST_MIB) * MIB
    taken, asked = dict[bytes, int](), list[FileRow]()
    for row in rows:
        most = number(chosen, WITHOUT_ASKING, DEFAULT_MIB, row.contact) * MIB
        if row.conversation not in taken:
            taken[row.conversation] = files.taken_from(db, row.conversation, own)
        size = files.on_disk(row.body.size)
        much = taken[row.conversation] + size > max(WITHOUT_ASKING_IN_ALL * MIB, most)
        if row.body.size > most or much or kept + size > in_all:
            asked.append(row)
            continue
        kept += size
        if files.is_of_others(db, row.number, own):
            taken[row.conversation] += size
    return asked


def may_copy(db: Database, row: FileRow, own: Collection[bytes]) -> bool:
    """Whether a plain copy of a file may be written unasked, after those that were."""
    if not files.is_of_others(db, row.number, own):
        return True
    chosen, written, size = of_files(db), _copied(db), files.on_disk(row.body.size)
    most = max(WITHOUT_ASKING_IN_ALL, number(chosen, WITHOUT_ASKING, DEFAULT_MIB, row.contact))
    in_all = number(chosen, KEEP_MOST, KEEP_MOST_MIB)
    fits = written.get(_copies_of(row), 0) + size <= most * MIB
    return fits and sum(written.values()) + size <= in_all * MIB


def copied(db: Database, row: FileRow, own: Collection[bytes]) -> None:
    """A plain copy of a file was written unasked."""
    if files.is_of_others(db, row.number, own):
        written = _copied(db).get(_copies_of(row), 0) + files.on_disk(row.body.size)
        settings.set_preference(db, _copies_of(row), str(written))


def copied_at_most(db: Database, there: int) -> None:
    """Of the plain copies of each conversation no more than so many bytes are left."""
    for name, written in _copied(db).items():
        settings.set_preference(db, name, str(min(written, there)))


def _copied(db: Database) -> dict[str, int]:
    chosen = of_files(db).items()
    return {name: int(value) for name, value in chosen if name.startswith(COPIED) and value.isdecimal()}


def _copies_of(row: FileRow) -> str:
    return f"{COPIED}{row.contact.hex() if row.contact is not None else ''}"


class Allowances:
    """What holds at any moment of a link: it is in memory, and read again when this person chooses."""

    def __init__(self, store: Store, links: Links, own: bytes, chosen: Mapping[str, str]) -> None:
        self._store, self._links, self._own, self._chosen = store, links, own, chosen

    @property
    def rate(self) -> int:
        """Bytes a second of files that this terminal sends; 0 for as many as go."""
        return number(self._chosen, FILES_LIMIT, 0) * KIB

    async def reload(self) -> None:
        """This person chose otherwise, or removed a contact."""
        self._chosen = await self._store.read(of_files)

    def relays(self, contact: bytes | None, size: int) -> bool:
        """Whether a file of the conversation with a contact, None for the notes, may go through a relay."""
        return size <= number(self._chosen, FILES_RELAYED, RELAYED_MIB, contact) * MIB

    def waits_for_direct(self, contact: bytes | None, size: int) -> bool:
        """Whether those from whom a file can come are reached by relays alone, which it may not use."""
        if self.relays(contact, size):
            return False
        persons = {self._own} if contact is None else {self._own, contact}
        found = [link for link in self._links.all() if link.person in persons]
        return bool(found) and all(link.relayed for link in found)
