"""Full-text search in the entries held, and reads from a moment or a position on."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from chat.searching import Term
from chat.storage import contacts, removal
from chat.storage.database import Database
from chat.storage.entries import (
    APART,
    COLUMNS,
    CONVERSATION,
    PERIOD,
    PERIOD_LAST,
    PERIODS,
    PERIODS_BEGIN,
    PRIVATE,
    EntryRow,
    read_row,
    spaced,
)
from protocol.entries_and_receipts import KIND_FILE, KIND_TEXT

TERMS_MAX: Final = 32  # of a query; further ones are ignored
_QUOTE: Final = '"'

_OWN: Final = (
    "(e.author IN (SELECT number FROM terminals WHERE terminal IN (SELECT terminal FROM own)"
    " OR number IN (SELECT terminal FROM person_terminals WHERE person IN (SELECT person FROM own)))"
    " AND e.number NOT IN (SELECT entry FROM claims))"
)
_OF_OTHERS: Final = f"NOT {_OWN} AND e.number NOT IN (SELECT entry FROM claims WHERE own)"
"""What a contact claims that this person wrote is the contact's. That of an own terminal is nobody's."""


def find(
    db: Database,
    terms: Sequence[Term],
    *,
    conversations: Collection[bytes] | None = None,
    own: bool = False,
    theirs: Collection[bytes] = (),
    since: int | None = None,
    until: int | None = None,
    limit: int = 100,
) -> list[EntryRow]:
    """The latest `limit` texts and files to arrive with all terms, oldest first; without a term any do.

    A file has the words of its name and of the folders that it is in.

    Only those in one of `conversations` (None: in any), of a time (milliseconds) from `since` on and before
    `until`; and, where one of these is given, only `own` ones and those of others in `theirs`, which are
    conversations.
    """
    scopes = [conversations] if conversations is not None else []
    scopes += [theirs] if theirs and not own else []
    numbers = [_numbers(db, scope) for scope in scopes]
    groups = [[f"{CONVERSATION}{number}" for number in some] for some in numbers]
    if since is not None or until is not None:
        groups.append(_periods(since, until))
    if not all(groups):
        return []
    conditions = list[tuple[str, tuple[int, ...]]]()
    if own or theirs:
        others = _numbers(db, theirs)
        by_others = f"e.conversation IN ({','.join('?' * len(others))}) AND {_OF_OTHERS}"
        conditions.append((f"({_OWN if own else 0} OR {by_others})", others))
    conditions += [("e.time >= ?", (since,))] if since is not None else []
    conditions += [("e.time < ?", (until,))] if until is not None else []
    if conversations is None and removal.is_due(db):
        conditions.append((f"e.conversation NOT IN {removal.REMOVED}", ()))
    asked = expression(terms, groups)
    source, values = "entries AS e", list[object]()
    if asked:
        joined = f"CROSS JOIN {source} ON e.number = s.rowid" if conditions else ""
        source, key, where = f"search AS s {joined}", "s.rowid", ["s.search MATCH ?"]
        values.append(asked)
    else:
        held = "e.kind IN (?, ?) AND NOT e.destroyed AND EXISTS (SELECT 1 FROM bodies WHERE entry = e.number)"
        key, where = "e.number", [held]
        values += [KIND_TEXT, KIND_FILE]
    where += [condition for condition, _ in conditions]
    values += [value for _, some in conditions for value in some]
    found = db.rows(
        f"SELECT {key} FROM {source} WHERE {' AND '.join(where)} ORDER BY {key} DESC LIMIT ?", *values, limit
    )
    rows = (db.row(f"{COLUMNS} WHERE e.number = ?", number) for (number,) in found)
    return sorted((read_row(db, row) for row in rows if row is not None), key=lambda row: row.position)


def _numbers(db: Database, conversations: Iterable[bytes]) -> tuple[int, ...]:
    found = (contacts.find_conversation_number(db, one) for one in conversations)
    return tuple(number for number in found if number is not None)


def _periods(since: int | None, until: int | None) -> list[str]:
    """The words of the fewest periods that hold all times from `since` on and before `until`."""
    first, last = 0, PERIOD_LAST
    if since is not None:
        first = min(max((since - PERIODS_BEGIN) // PERIOD, first), last)
    if until is not None:
        last = min(max((until - 1 - PERIODS_BEGIN) // PERIOD, 0), last)
    words = list[str]()
    while first <= last:
        name, bits = next(
            (name, bits)
            for name, bits in reversed(PERIODS.items())
            if not first % (1 << bits) and first + (1 << bits) - 1 <= last
        )
        words.append(f"{name}{first >> bits:x}")
        first += 1 << bits
    return words


def expression(terms: Iterable[Term], groups: Iterable[Collection[str]] = ()) -> str:
    """The FTS5 query for all terms and one word of each group. Empty if it would find everything."""
    query = [_phrase(term) for term in list(terms)[:TERMS_MAX]]
    for group in groups:
        words = (f'"{word}"' for word in group)
        query.append(f"({' OR '.join(words)})")
    return " AND ".join(filter(None, query))


def _phrase(term: Term) -> str:
    words = spaced(term.text).replace(_QUOTE, " ").split()
    if not any(_is_word(character) for word in words for character in word):
        return ""
    while not any(map(_is_word, words[-1])):
        words.pop()
    # A word of one character, or of a spelled one, goes on in no text.
    goes_on = term.prefix and not words[-1].startswith(PRIVATE) and not APART.match(words[-1])
    return f'"{" ".join(words)}"{"*" if goes_on else ""}'


def _is_word(character: str) -> bool:
    return unicodedata.category(character)[0] in "LN" or character == PRIVATE
