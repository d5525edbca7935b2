"""Follows deletes and edits: destroys what deletes name, and shows the last edits (SPEC §11.2)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from chat.storage import keys, quarantine
from chat.storage.amendments import APART, IN_FORCE, WAITING
from chat.storage.database import Database, Row
from chat.storage.entries import COLUMNS, EntryRow, destroy, indexed, read_row
from chat.storage.removal import REMOVED
from chat.storage.secure_deletion import forget_one
from protocol.amendments import KEPT_KINDS
from protocol.entries_and_receipts import KIND_DELETE, KIND_EDIT, KIND_TEXT, is_own, read_edit, read_text
from protocol.messages import ENTRY_HEADER

PIECE: Final = 64
"""Ids that one piece of work on the disk follows, some milliseconds: as many as one delete names."""

PIECE_BYTES: Final = 131_072
"""Bytes of edits after which a piece ends: to index their words, or to destroy them, takes longest."""

_EDIT_BYTES: Final = PIECE_BYTES // PIECE
"""What it takes to destroy an edit without words, counted in bytes of such."""

EDITS_KEPT: Final = 256
"""Edits of one entry that are kept, and deletes and edits that wait for it. Their author alone fills it, and
loses the first edits in order, or what comes later of what waits."""

WAITING_MAX: Final = 65_536
"""Ids per conversation and person that wait for their entries. Their authors alone fill it, and lose what
they name beyond."""

# The unary plus keeps SQLite from the index by conversation, in which the contact decides how many rows are.
_OWN: Final = (
    "SELECT e.header, EXISTS (SELECT 1 FROM person_terminals WHERE terminal = e.author"
    " AND person NOT IN (SELECT person FROM own))"
    " FROM entries AS e JOIN terminals AS t ON t.number = e.author"
    " WHERE e.number = ? AND (t.terminal IN (SELECT terminal FROM own) OR t.number IN"
    " (SELECT terminal FROM person_terminals WHERE person IN (SELECT person FROM own)))"
    " AND e.number NOT IN (SELECT entry FROM claims)"
)
"""The header of an entry of an own terminal that is no claim, and whether another log has its author, too."""

_WAITS: Final = "a.target = ? AND a.state = 2 AND +a.own = ? AND +a.conversation = ?"


class _Amendment(Struct, frozen=True):
    """A delete or an edit, and one entry that it names. `own`: this person wrote it."""

    number: int
    id: bytes
    kind: int
    conversation: int
    target: bytes
    own: bool


class _Target(Struct, frozen=True):
    """A held entry that is named. `destroyed`, and `missing` (its body), are 0 or 1."""

    number: int
    kind: int
    destroyed: int
    missing: int
    time: int


def edits_of(db: Database, entry: bytes) -> list[EntryRow]:
    """The edits of an entry that are in force, in order: the last one is shown."""
    rows = db.rows(
        f"{COLUMNS} JOIN amendments AS a ON a.entry = e.number AND a.target = ? AND a.state = 0"
        " WHERE e.kind = 4 ORDER BY e.rank, e.id",
        entry,
    )
    return [read_row(db, row) for row in rows]


class Follower:
    """Follows pieces of what is due. `changed`: ids of the entries that show something else than before."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._room: dict[tuple[int, bool], int] = {}
        self._edited: dict[bytes, None] = {}
        self._bytes = 0
        self.changed: dict[bytes, None] = {}

    def piece(self, after: int = 0, most: int = PIECE) -> int | None:
        """Follow at most `most` ids of the next conversation by number; returns that, None if nothing is due.

        In turn, so that a contact who deletes or edits very much delays nobody else.
        """
        sql = (
            "SELECT number FROM conversations AS c WHERE number {} ? AND EXISTS (SELECT 1 FROM amendments"
            f" WHERE conversation = c.number AND state = 1) AND number NOT IN {REMOVED}"
            " ORDER BY number LIMIT 1"
        )
        found = self._db.value(sql.format(">"), after)
        if found is None and (found := self._db.value(sql.format("<="), after)) is None:
            return None
        # In the order of the index: a contact would make the database sort all that it has made due.
        due = (
            "SELECT entry, target FROM amendments INDEXED BY amendments_by_conversation"
            " WHERE conversation = ? AND state = 1 ORDER BY own, entry, target LIMIT ?"
        )
        self._bytes = 0
        self._follow_all(self._db.rows(due, found, most))
        return int(found)

    def entry(self, entry: bytes) -> None:
        """Follow a delete or an edit of this terminal, or what was just deleted here."""
        due = (
            "SELECT a.entry, a.target FROM amendments AS a JOIN entries AS e ON e.number = a.entry"
            " WHERE a.state = 1 AND e.id = ?1 UNION SELECT entry, target FROM amendments"
            " WHERE state = 1 AND target = ?1"
        )
        while rows := self._db.rows(due, entry):
            self._bytes = 0
            self._follow_all(rows)
        self.gone(number for (number,) in self._db.rows("SELECT number FROM entries WHERE id = ?", entry))

    def _follow_all(self, due: list[Row]) -> None:
        for number, target in due:
            if self._bytes >= PIECE_BYTES:
                break
            found = self._db.row(
                "SELECT id, kind, conversation, ifnull(length(body), 0) FROM entries"
                " LEFT JOIN bodies ON entry = number WHERE number = ?",
                number,
            )
            if found is None:  # of a page of another time
                self._db.run("DELETE FROM amendments WHERE entry = ?", number)
                continue
            identity, kind, conversation, size = found
            self._bytes += size if kind == KIND_EDIT else 0
            one = _Amendment(number, identity, kind, conversation, target, self._is_own(number))
            self._follow(one)
        self._show_all()

    def _is_own(self, number: int) -> bool:
        """Whether this person wrote an entry, no claim. For a terminal in two logs the tag decides."""
        found = self._db.row(_OWN, number)
        if found is None:
            return False
        header, shared = found
        return not shared or is_own(ENTRY_HEADER.decode(header), keys.self_keys(self._db))

    def _follow(self, one: _Amendment) -> None:
        if self._db.value("SELECT EXISTS (SELECT 1 FROM claims WHERE entry = ?)", one.number):
            self._leave(one)
            return
        held = self._db.row(
            "SELECT e.number, e.kind, e.destroyed, e.time, b.entry IS NULL FROM entries AS e"
            " LEFT JOIN bodies AS b ON b.entry = e.number WHERE e.id = ? AND e.conversation = ?"
            # Whose words a claim has is not known, so nobody deletes or edits them.
            " AND e.number NOT IN (SELECT entry FROM claims)",
            *(one.target, one.conversation),
        )
        # A delete of its author's own words holds in any case, or a cut would bring back what was deleted.
        counts = not self._db.value(
            f"SELECT EXISTS (SELECT 1 FROM {quarantine.QUARANTINED} WHERE q.entry = ?1"
            f" AND NOT EXISTS (SELECT 1 FROM entries AS d JOIN entries AS e ON e.author = d.author"
            f" WHERE d.number = ?1 AND d.kind = {KIND_DELETE} AND e.id = ?2))"
            " OR EXISTS (SELECT 1 FROM uncovered WHERE entry = ?1)",
            *(one.number, one.target),
        )
        if held is None:
            self._wait(one, counts=counts)
            return
        number, kind, destroyed, time, missing = held
        target = _Target(number, kind, destroyed, missing, time)
        if self._is_own(number) != one.own:
            self._without_effect(one)  # nobody deletes or edits what another person wrote
        elif one.kind == KIND_EDIT:
            self._edit(one, target, counts=counts)
        elif kind in KEPT_KINDS:
            self._forget(one)
        elif not counts:
            self._put(one, APART)
        else:
            self._delete(one, target)

    def _leave(self, claim: _Amendment) -> None:
        """Who wrote a claim is not known, and so neither what it may name. Edits of what is gone here go."""
        gone = "SELECT destroyed FROM entries WHERE id = ? AND conversation = ?"
        if claim.kind == KIND_EDIT and self._db.value(gone, claim.target, claim.conversation):
            self._without_effect(claim)
        else:
            self._put(claim, APART)

    def gone(self, numbers: Iterable[int]) -> None:
        """Show what is left of entries whose edits, among these entries, were deleted on this terminal."""
        edits = (
            "SELECT number FROM entries WHERE number IN (SELECT value FROM json_each(?)) AND kind = ?"
            " AND destroyed"
        )
        for (number,) in self._db.rows(edits, json.dumps(list(numbers)), KIND_EDIT):
            self._forget_edit(number)
        self._show_all()

    # Deletes.

    def _delete(self, one: _Amendment, target: _Target) -> None:
        first = not self._db.value(
            "SELECT EXISTS (SELECT 1 FROM amended AS m JOIN entries AS e ON e.number = m.by"
            " WHERE m.entry = ? AND e.kind = ?)",
            *(target.number, KIND_DELETE),
        )
        if destroy(self._db, one.target) or first:
            self._db.run(
                "INSERT OR REPLACE INTO amended (entry, by) VALUES (?, ?)", target.number, one.number
            )
            self.changed[one.target] = None
            if target.kind == KIND_EDIT:
                self._forget_edit(target.number)
        if self._destroy_edits(one):
            self._forget(one)

    def _destroy_edits(self, one: _Amendment) -> bool:
        """Destroy the edits of what a delete names, at most a piece of them; whether none is left."""
        edits = self._db.rows(
            "SELECT e.number, e.id, ifnull(length(b.body), 0) FROM amendments AS a"
            " JOIN entries AS e ON e.number = a.entry LEFT JOIN bodies AS b ON b.entry = e.number"
            " WHERE a.target = ? AND +a.conversation = ? AND e.kind = ? LIMIT ?",
            *(one.target, one.conversation, KIND_EDIT, PIECE),
        )
        for number, entry, size in edits:
            self._bytes += _EDIT_BYTES + size
            if self._is_own(number) == one.own:
                destroy(self._db, entry)
            self._forget_edit(number)  # of another person it has no effect
        return len(edits) < PIECE

    def _forget_edit(self, number: int) -> None:
        """An edit is gone: show what is left of the one that it named."""
        for (target,) in self._db.rows("SELECT target FROM amendments WHERE entry = ?", number):
            self._db.run("DELETE FROM amendments WHERE entry = ?", number)
            self._edited[target] = None

    # Edits.

    def _edit(self, one: _Amendment, target: _Target, *, counts: bool) -> None:
        if target.destroyed or target.kind != KIND_TEXT:
            self._without_effect(one)
        else:
            self._put(one, IN_FORCE if counts else APART)
            self._edited[one.target] = None
            if counts:
                self._keep_last(one)

    # Without their bodies: SQLite would read, and sort, those of all edits.
    _IN_FORCE: Final = (
        "SELECT e.number, e.id FROM amendments AS a JOIN entries AS e ON e.number = a.entry"
        " WHERE a.target = ? AND a.state = 0 AND e.kind = 4 AND EXISTS (SELECT 1 FROM bodies"
        " WHERE entry = e.number) ORDER BY e.rank {0}, e.id {0} LIMIT 1 OFFSET ?"
    )

    def _show_all(self) -> None:
        """Once for all that was followed: a text of many edits would be indexed for each of them."""
        for target in self._edited:
            self._show(target)
        self._edited.clear()

    def _show(self, target: bytes) -> None:
        """Let the words of the last edit in force be shown and found, or else those of the original."""
        original = self._db.row(
            "SELECT e.number, e.conversation, e.time, b.body, m.by FROM entries AS e"
            " JOIN bodies AS b ON b.entry = e.number LEFT JOIN amended AS m ON m.entry = e.number"
            " WHERE e.id = ? AND NOT e.destroyed",
            target,
        )
        if original is None:
            return
        number, conversation, time, body, shown = original
        last = self._db.row(self._IN_FORCE.format("DESC"), target, 0)
        if (None if last is None else last[0]) == shown:
            return
        if last is None:
            self._db.run("DELETE FROM amended WHERE entry = ?", number)
            text = read_text(body).text
        else:
            self._db.run("INSERT OR REPLACE INTO amended (entry, by) VALUES (?, ?)", number, last[0])
            body = self._db.value("SELECT body FROM bodies WHERE entry = ?", last[0])
            text = read_edit(body).text
        forget_one(self._db, number)
        row = indexed(text, conversation, time)
        self._db.run("INSERT INTO search (rowid, text) VALUES (?, ?)", number, row)
        self.changed[target] = None

    def _keep_last(self, one: _Amendment) -> None:
        """Destroy the first edit in order where there is one too many."""
        over = self._db.row(self._IN_FORCE.format("DESC"), one.target, EDITS_KEPT)
        if over is not None:
            destroy(self._db, over[1])
            self._db.run("DELETE FROM amendments WHERE entry = ?", over[0])

    # What waits.

    def _wait(self, one: _Amendment, *, counts: bool) -> None:
        """Nothing is known of what it names, but that a delete covers the edits of its own person."""
        held = f"SELECT EXISTS (SELECT 1 FROM entries WHERE id = ? AND conversation NOT IN {REMOVED}"
        held += " AND number NOT IN (SELECT entry FROM claims))"
        if self._db.value(held, one.target):  # of another conversation
            self._forget(one)
        elif not counts:
            self._put(one, APART)
        elif one.kind == KIND_EDIT and self._is_deleted(one):
            destroy(self._db, one.id)
            self._forget(one)
        elif one.kind == KIND_DELETE and not self._destroy_waiting(one):
            pass  # the rest is due again
        elif self._take_room(one):
            self._put(one, WAITING)
        else:
            if one.kind == KIND_EDIT:
                destroy(self._db, one.id)
            self._forget(one)

    def _is_deleted(self, edit: _Amendment) -> bool:
        waiting = (
            "SELECT EXISTS (SELECT 1 FROM amendments AS a JOIN entries AS e ON e.number = a.entry"
            f" WHERE {_WAITS} AND e.kind = 3) OR EXISTS (SELECT 1 FROM deletions WHERE entry = ?1)"
        )
        return bool(self._db.value(waiting, edit.target, int(edit.own), edit.conversation))

    def _destroy_waiting(self, delete: _Amendment) -> bool:
        """Destroy what waits with it of edits, at most a piece; whether none is left."""
        edits = self._db.rows(
            "SELECT e.number, e.id, ifnull(length(b.body), 0) FROM amendments AS a"
            " JOIN entries AS e ON e.number = a.entry LEFT JOIN bodies AS b ON b.entry = e.number"
            f" WHERE {_WAITS} AND e.kind = 4 LIMIT ?",
            *(delete.target, int(delete.own), delete.conversation, PIECE),
        )
        for number, entry, size in edits:
            self._bytes += _EDIT_BYTES + size
            destroy(self._db, entry)
            self._db.run("DELETE FROM amendments WHERE entry = ?", number)
        return len(edits) < PIECE

    def _take_room(self, one: _Amendment) -> bool:
        same = f"SELECT count(*) FROM (SELECT 1 FROM amendments AS a WHERE {_WAITS} LIMIT ?)"
        if self._db.value(same, one.target, int(one.own), one.conversation, EDITS_KEPT) >= EDITS_KEPT:
            return False
        key = one.conversation, one.own
        if key not in self._room:
            waiting = (
                "SELECT count(*) FROM (SELECT 1 FROM amendments WHERE conversation = ? AND state = 2"
                " AND own = ? LIMIT ?)"
            )
            self._room[key] = WAITING_MAX - int(self._db.value(waiting, *key, WAITING_MAX))
        self._room[key] -= 1
        return self._room[key] >= 0

    def _put(self, one: _Amendment, state: int) -> None:
        self._db.run(
            "UPDATE amendments SET state = ?, own = ? WHERE entry = ? AND target = ?",
            *(state, int(one.own), one.number, one.target),
        )

    def _without_effect(self, one: _Amendment) -> None:
        """Destroy the words of an edit that nothing shows and no delete of its original would find."""
        if one.kind == KIND_EDIT:
            destroy(self._db, one.id)
        self._forget(one)

    def _forget(self, one: _Amendment) -> None:
        self._db.run("DELETE FROM amendments WHERE entry = ? AND target = ?", one.number, one.target)
