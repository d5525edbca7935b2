"""The use case *export*: a history in a form that people and other programs read, and its check."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Final, TextIO

from chat.errors import phrase
from chat.interface import BackupView, BadData, CannotCreate, UsageError
from chat.service.events import EventBus
from chat.service.export_check import Totals, verified, verify
from chat.service.formats import FORMS, Form, Known, NotVerified, Speakers, shown
from chat.service.keyring import Keyring
from chat.service.progress import Progress
from chat.service.state import ContactBook
from chat.service.views import Views, utc
from chat.storage import backup, positions, receipts
from chat.storage.database import Database, Store
from chat.storage.entries import BEGINNING, EntryRow, Position
from chat.storage.errors import StorageFailure
from chat.storage.new_file import NewFile
from chat.storage.receipts import ReceiptRow
from chat.tasks import Runtime
from protocol.backup.root import NOT_HELD, RootHash, history_root
from protocol.entries_and_receipts import conversation_of, parse_entry
from protocol.messages import Entry

NOTES: Final = "Notes"
"""What a file calls the conversation of a person with itself."""

PIECE = 64
"""Entries that one piece reads: some milliseconds, for which others wait."""

NO_FORMAT = phrase("A readable export has no such format.")
NOT_ABSOLUTE = phrase("The name of the file is not absolute.")
NOT_WHOLE = phrase("This is no readable export of Parlour, or it was changed.")


class Readable:
    """Writes readable exports in pieces, between which others use the database."""

    def __init__(
        self, runtime: Runtime, store: Store, bus: EventBus, keyring: Keyring, book: ContactBook, views: Views
    ) -> None:
        self._runtime, self._store, self._bus = runtime, store, bus
        self._keyring, self._book, self._views = keyring, book, views

    async def write(self, path: Path, form: str, person: bytes | None) -> BackupView:
        """As interface.Messenger.export."""
        if form not in FORMS:
            raise UsageError(NO_FORMAT)
        if not path.is_absolute():
            raise UsageError(NOT_ABSOLUTE)
        file = await asyncio.to_thread(NewFile, path)
        try:
            view = await self._fill(_Summed(file), FORMS[form], person)
            await asyncio.to_thread(file.end)
            await self._check(file.unfinished, view)
            await asyncio.to_thread(file.finish)
        except BaseException:
            with suppress(StorageFailure):
                file.abandon()
            raise
        return view

    async def _check(self, unfinished: Path, view: BackupView) -> None:
        """Read the whole file again. Raises CannotCreate where it is not what was written."""
        found, progress = Totals(0, 0), Progress(self._bus, view.entries)
        try:
            with _opened(unfinished) as file:
                pieces = verified(_lines(file))
                while (more := await asyncio.to_thread(next, pieces, None)) is not None:
                    found = more
                    progress.say(found.entries, checking=True)
        except (NotVerified, OSError, UnicodeDecodeError):
            found = Totals(0, 0)
        wanted = view.entries, view.conversations, view.checksum
        if (found.entries, found.conversations, found.checksum) != wanted or found.root not in (
            "",
            view.root,
        ):
            raise _spoilt(view.path)

    async def _fill(self, file: _Summed, form: Form, person: bytes | None) -> BackupView:
        own, now = self._keyring.own.person, utc(self._runtime.clock.wall())
        name = self._keyring.own_log.name
        await _put(file, form.begin(own.hex(), name, now))
        noted = [own] if await self._store.read(backup.has_notes) else []
        persons = [person] if person is not None else [*self._book.rows, *noted]
        talks = sorted((conversation_of(own, one), one) for one in persons)
        total, roots = 0, list[tuple[bytes, bytes]]()
        progress = Progress(self._bus, await self._store.read(_last))
        for conversation, contact in talks:
            root = RootHash(conversation)
            # A contact that is renamed meanwhile has one name in the file.
            who = Speakers(own.hex(), name, contact.hex(), self._name(contact))
            await _put(file, form.talk(conversation.hex(), who.person, who.contact))
            place: Position | None = BEGINNING
            while place is not None:
                place = await self._piece(file, form, who, root, place)
                progress.say(total + root.count)
            await _put(file, form.end_talk(conversation.hex(), root.count, root.root.hex()))
            total += root.count
            roots.append((conversation, root.root))
        root_of_all = history_root(roots).hex()
        await _put(file, form.end(total, root_of_all))
        checksum = file.checksum
        await _put(file, form.seal(checksum))
        return BackupView(str(file.path), total, len(talks), root_of_all, recovery=False, checksum=checksum)

    async def _piece(
        self, file: _Summed, form: Form, who: Speakers, root: RootHash, place: Position
    ) -> Position | None:
        contact = bytes.fromhex(who.person)
        conversation = conversation_of(self._keyring.own.person, contact)
        rows, known = await self._store.read(_page, conversation, place)
        lines = list[str]()
        for row in rows:
            entry = parse_entry(Entry(row.header, row.salt, row.body))
            root.add(entry.id, entry.header.content if entry.has_body else NOT_HELD)
            view = self._views.entry(contact, row, known.get(row.id, []))
            lines.append(form.entry(shown(entry, who, Known(view.own, view.state, view.claimed, view.kind))))
        await _put(file, "".join(lines))
        return rows[-1].position if len(rows) == PIECE else None

    def _name(self, person: bytes) -> str:
        return NOTES if person == self._keyring.own.person else self._views.name(person)


class _Summed:
    """A new file, and the SHA-256 of what was written to it, in hex."""

    def __init__(self, file: NewFile) -> None:
        self._file, self._sum, self.path = file, sha256(), file.path

    def write(self, text: str) -> None:
        data = text.encode()
        self._sum.update(data)
        self._file.write(data)

    @property
    def checksum(self) -> str:
        return self._sum.hexdigest()


async def _put(file: _Summed, text: str) -> None:
    await asyncio.to_thread(file.write, text)


def _page(
    db: Database, conversation: bytes, place: Position
) -> tuple[list[EntryRow], dict[bytes, list[ReceiptRow]]]:
    rows = backup.without_ending(db, positions.every_after(db, conversation, PIECE, place))
    return rows, receipts.of_rows(db, rows)


def _last(db: Database) -> int:
    return int(db.value("SELECT ifnull(max(number), 0) FROM entries"))


def is_readable(path: Path) -> bool:
    """Whether a file begins as a readable export. Raises UsageError."""
    try:
        with path.open("rb") as file:
            return file.read(1) in (b"{", b"<", b"#")
    except OSError as error:
        raise _unreadable(path, error) from None


LINE_MAX: Final = 1 << 22
"""Characters of a line that are read at once: more than an entry of any size takes."""


def check(path: Path) -> BackupView:
    """Verify a readable export against its checksum, and the roots and what is shown against its entries.

    The root is empty for Markdown, which has no bytes of entries. Raises BadData, UsageError.
    """
    try:
        with _opened(path) as file:
            totals = verify(_lines(file))
    except (NotVerified, UnicodeDecodeError):
        raise BadData(NOT_WHOLE) from None
    except OSError as error:
        raise _unreadable(path, error) from None
    return BackupView(
        str(path), totals.entries, totals.conversations, totals.root, recovery=False, checksum=totals.checksum
    )


def _opened(path: Path) -> TextIO:
    return path.open(encoding="utf-8", newline="\n")


def _lines(file: TextIO) -> Iterator[str]:
    return iter(partial(file.readline, LINE_MAX), "")


def _spoilt(path: str) -> CannotCreate:
    return CannotCreate(
        phrase(
            "{path} was not exported: when Parlour read the file again, it was not what it had written. "
            "Choose another disk (on the command line: --to).",
            path=path,
        )
    )


def _unreadable(path: Path, error: OSError) -> UsageError:
    reason = error.strerror or "an error"
    return UsageError(phrase("{path} cannot be read ({reason}).", path=str(path), reason=reason))
