"""The use case *export*: a history in a form that people and other programs read, and its check."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from chat.errors import phrase
from chat.interface import BackupView, BadData, EntryKind, UsageError
from chat.service.events import EventBus
from chat.service.formats import FORMS, STATE, Form, NotVerified, Shown, verify
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
from protocol.entries_and_receipts import (
    KIND_BOT,
    KIND_CUT,
    KIND_EDIT,
    KIND_STATE,
    KIND_TEXT,
    conversation_of,
    read_edit,
    read_text,
)
from protocol.errors import ProtocolError

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
            view = await self._fill(file, FORMS[form], person)
            await asyncio.to_thread(file.end)
            await asyncio.to_thread(file.finish)
        except BaseException:
            with suppress(StorageFailure):
                file.abandon()
            raise
        return view

    async def _fill(self, file: NewFile, form: Form, person: bytes | None) -> BackupView:
        own, now = self._keyring.own.person, utc(self._runtime.clock.wall())
        await _put(file, form.begin(self._keyring.own_log.name, now))
        noted = [own] if await self._store.read(backup.has_notes) else []
        persons = [person] if person is not None else [*self._book.rows, *noted]
        talks = sorted((conversation_of(own, one), one) for one in persons)
        total, roots = 0, list[tuple[bytes, bytes]]()
        progress = Progress(self._bus, await self._store.read(_last))
        for conversation, contact in talks:
            root = RootHash(conversation)
            await _put(file, form.talk(conversation.hex(), self._name(contact)))
            place: Position | None = BEGINNING
            while place is not None:
                place = await self._piece(file, form, contact, root, place)
                progress.say(total + root.count)
            await _put(file, form.end_talk(conversation.hex(), root.count, root.root.hex()))
            total += root.count
            roots.append((conversation, root.root))
        root_of_all = history_root(roots).hex()
        await _put(file, form.end(total, root_of_all))
        return BackupView(str(file.path), total, len(talks), root_of_all, recovery=False)

    async def _piece(
        self, file: NewFile, form: Form, contact: bytes, root: RootHash, place: Position
    ) -> Position | None:
        conversation = conversation_of(self._keyring.own.person, contact)
        rows, known = await self._store.read(_page, conversation, place)
        lines = list[str]()
        for row in rows:
            root.add(row.id, row.fields.content if row.salt else NOT_HELD)
            lines.append(form.entry(self._shown(contact, row, known.get(row.id, []))))
        await _put(file, "".join(lines))
        return rows[-1].position if len(rows) == PIECE else None

    def _name(self, person: bytes) -> str:
        return NOTES if person == self._keyring.own.person else self._views.name(person)

    def _shown(self, contact: bytes, row: EntryRow, known: list[ReceiptRow]) -> Shown:
        view, text = self._views.entry(contact, row, known), ""
        if row.salt and row.kind in (KIND_TEXT, KIND_EDIT):
            with suppress(ProtocolError):
                text = (read_text if row.kind == KIND_TEXT else read_edit)(row.body).text
        kind: str = view.kind
        if text and row.kind == KIND_TEXT:
            kind = EntryKind.TEXT
        elif row.kind == KIND_STATE:
            kind = STATE
        shown = view.id, view.author, view.own, view.time, kind, view.state.value, view.reply, text
        hidden = row.kind == KIND_STATE or (view.noted and row.kind in (KIND_BOT, KIND_CUT))
        return Shown(*shown, row.header, row.salt, row.body, hidden, view.claimed)


async def _put(file: NewFile, text: str) -> None:
    await asyncio.to_thread(file.write, text.encode())


def _page(
    db: Database, conversation: bytes, place: Position
) -> tuple[list[EntryRow], dict[bytes, list[ReceiptRow]]]:
    rows = backup.without_ending(db, positions.every_after(db, conversation, PIECE, place))
    return rows, receipts.of_rows(db, rows)


def _last(db: Database) -> int:
    return int(db.value("SELECT ifnull(max(number), 0) FROM entries"))


def is_readable(path: Path) -> bool:
    """Whether a file begins as a readable export that can be verified. Raises UsageError."""
    try:
        with path.open("rb") as file:
            return file.read(1) in (b"{", b"<")
    except OSError as error:
        raise _unreadable(path, error) from None


LINE_MAX: Final = 1 << 22
"""Characters of a line that are read at once: more than an entry of any size takes."""


def check(path: Path) -> BackupView:
    """Verify a readable export against its root hash. Raises BadData, UsageError."""
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            totals = verify(iter(partial(file.readline, LINE_MAX), ""))
    except (NotVerified, UnicodeDecodeError):
        raise BadData(NOT_WHOLE) from None
    except OSError as error:
        raise _unreadable(path, error) from None
    return BackupView(str(path), totals.entries, totals.conversations, totals.root, recovery=False)


def _unreadable(path: Path, error: OSError) -> UsageError:
    reason = error.strerror or "an error"
    return UsageError(phrase("{path} cannot be read ({reason}).", path=str(path), reason=reason))
