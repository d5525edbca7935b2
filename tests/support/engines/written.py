"""Entries that no engine wrote: an honest one that nobody has stored, a forged one, a copy of a place."""

from __future__ import annotations

from protocol.entries_and_receipts import KIND_TEXT, EntryPlace, conversation_of_two, text_body, write_entry
from protocol.messages import Entry
from tests.support.engines.engines import Person


def entry_of(
    one: Person,
    other: Person,
    author: bytes = b"",
    self_key: bytes = b"",
    text: str = "I owe you",
    previous: tuple[int, bytes] | None = None,
) -> Entry:
    """An entry of their conversation that nobody has stored, by default one of `one`'s own.

    All of them claim the first place of one incarnation, or the one after sequence and id of `previous`.
    """
    parts = one.engine._use_cases
    own = parts.keyring.own
    conversation = conversation_of_two(own.person, other.engine._use_cases.keyring.own.person)
    place = EntryPlace(
        conversation, author or own.terminal, b"12345678", previous, [], parts.keyring.own_log.heads
    )
    made = write_entry(
        place, one.clock.wall(), KIND_TEXT, text_body(text), self_key or own.self_key, parts.runtime.random
    )
    return made.message()
