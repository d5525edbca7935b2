"""Entries that no engine wrote: an honest one that nobody has stored, a forged one, a copy of a place."""

from __future__ import annotations

from protocol.entries_and_receipts import (
    KIND_CUT,
    KIND_TEXT,
    EntryPlace,
    conversation_of_two,
    text_body,
    write_entry,
)
from protocol.messages import Entry
from tests.support.engines.engines import Person


def entry_of(
    one: Person,
    other: Person,
    author: bytes = b"",
    self_key: bytes = b"",
    text: str = "I owe you",
    previous: tuple[int, bytes] | None = None,
    cut: bytes = b"",
    amends: tuple[int, bytes] | None = None,
    later: int = 0,
) -> Entry:
    """An entry of their conversation that nobody has stored, by default one of `one`'s own.

    All of them claim the first place of one incarnation, or the one after sequence and id of `previous`.
    `cut` is the body of a cut, `amends` kind and body of a delete or an edit, in the place of the text.
    `later`: milliseconds by which its time is later than now.
    """
    parts = one.engine._use_cases
    own = parts.keyring.own
    conversation = conversation_of_two(own.person, other.engine._use_cases.keyring.own.person)
    place = EntryPlace(
        conversation, author or own.terminal, b"12345678", previous, [], parts.keyring.own_log.heads
    )
    kind, body = (KIND_CUT, cut) if cut else (KIND_TEXT, text_body(text))
    kind, body = amends or (kind, body)
    key, random = self_key or own.first_self_key, parts.runtime.random
    return write_entry(place, one.clock.wall() + later, kind, body, key, random).message()
