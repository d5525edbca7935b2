"""What deletes, edits and declarations of bots make of the entries of a conversation (SPEC §11.2, §11.11).

These functions define the results; a database that follows each entry as it comes must agree.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from protocol.entries_and_receipts import (
    KIND_BOT,
    KIND_CUT,
    KIND_DELETE,
    KIND_EDIT,
    KIND_STATE,
    KIND_TEXT,
    LASTING,
    ParsedEntry,
)
from protocol.history import order
from protocol.messages import BotBody, DeleteBody, EditBody

KEPT_KINDS: Final = LASTING
"""Kinds that no delete covers: what they say stays in force."""

ANYBODY: Final = b""
"""In the place of an author."""

Held = Mapping[bytes, ParsedEntry]  # the entries held of one conversation, by id


def deleted(held: Held, own: Collection[bytes], apart: Collection[bytes] = ()) -> set[bytes]:
    """Ids of the entries that a delete which counts covers.

    `own` are the ids of the entries that this person wrote, `apart` of those that do not count. A delete of
    these covers what its author wrote, with the edits of that.
    """
    named = dict[tuple[bool, bytes], set[bytes]]()  # by whom alone it has to be
    for one, delete in held.items():
        if isinstance(delete.amends, DeleteBody):
            author = delete.header.author if one in apart else ANYBODY
            for name in delete.amends.ids:
                named.setdefault((one in own, name), set()).add(author)
    found = set[bytes]()
    for one, entry in held.items():
        if entry.header.kind in KEPT_KINDS:
            continue
        edited = [entry.amends.entry] if isinstance(entry.amends, EditBody) else []
        for name in (one, *edited):
            whose = {ANYBODY, *([held[name].header.author] if name in held else [])}
            if whose & named.get((one in own, name), set()):
                found.add(one)
    return found


def deleted_on_all(held: Held, named: Collection[bytes]) -> set[bytes]:
    """Ids of the entries that are deleted on all terminals of this person, of the ids that these name.

    Of either person, and with their edits: nothing of it leaves this person's terminals (SPEC §11.10).
    """
    found = set[bytes]()
    for one, entry in held.items():
        edited = entry.amends.entry if isinstance(entry.amends, EditBody) else b""
        if (one in named or edited in named) and entry.header.kind not in KEPT_KINDS:
            found.add(one)
    return found


def edits(
    held: Held,
    own: Collection[bytes],
    apart: Collection[bytes] = (),
    destroyed: Collection[bytes] = (),
    *,
    clocked: bool = True,
) -> dict[bytes, list[bytes]]:
    """Ids of the edits of each edited entry, in the order of SPEC §11.3: the last one is shown.

    `destroyed` are the ids of entries that this person deleted on this terminal alone. Not `clocked`: they
    are of a person's notes, as for `protocol.history.order`.
    """
    gone = {*deleted(held, own, apart), *destroyed}
    found = dict[bytes, list[bytes]]()
    for one in order({one: entry.header for one, entry in held.items()}, clocked=clocked):
        edit = held[one].amends
        if one in gone or one in apart or not isinstance(edit, EditBody) or edit.entry in gone:
            continue
        original = held.get(edit.entry)
        if original is None or original.header.kind != KIND_TEXT or not original.has_body:
            continue
        if (one in own) == (edit.entry in own):
            found.setdefault(edit.entry, []).append(one)
    return found


def notes_shown(
    held: Held, apart: Collection[bytes] = (), named: Collection[bytes] = ()
) -> list[tuple[bytes, str | None]]:
    """The lines of a person's notes in order: each id, and what it says now, None without a text.

    `apart` are the ids of entries that do not count, `named` those that are deleted on all terminals. What
    terminals say to each other has no line (SPEC §11.10).
    """
    own = held.keys()
    gone = deleted(held, own, apart) | deleted_on_all(held, named)
    last = edits(held, own, apart, gone, clocked=False)
    lines = list[tuple[bytes, str | None]]()
    for one in order({one: entry.header for one, entry in held.items()}, clocked=False):
        entry = held[one]
        if entry.header.kind in (KIND_BOT, KIND_CUT, KIND_DELETE, KIND_EDIT, KIND_STATE):
            continue
        edit = held[last[one][-1]].amends if one in last else None
        said = edit.text if isinstance(edit, EditBody) else entry.said.text if entry.said else None
        lines.append((one, None if one in gone else said))
    return lines


def declared(
    held: Held, of: Collection[bytes], apart: Collection[bytes] = (), *, clocked: bool = True
) -> BotBody | None:
    """What a person declares of itself as a bot, None where nothing is in force.

    `of` are the ids of the entries of that person, `apart` of those that do not count. Not `clocked`: as for
    `edits`.
    """
    placed = order({one: entry.header for one, entry in held.items()}, clocked=clocked)
    said = [
        held[one] for one in placed if one in of and one not in apart and held[one].header.kind == KIND_BOT
    ]
    return said[-1].bot if said else None


def is_shown(entry: ParsedEntry) -> bool:
    """Whether an entry has a place of its own in what is shown."""
    return entry.header.kind not in (KIND_DELETE, KIND_EDIT)
