"""What a contact lacks of this terminal, and what this person has read: asked when a link starts.

Rules: computed from entries and receipts, nothing of it is kept (ARCHITECTURE.md, the delivery law); read a
stretch at a time, so that what a person does meanwhile never waits for a long history.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from chat.service.world import World
from chat.storage import entries, receipts
from chat.storage.database import Database
from chat.storage.entries import BEGINNING, END, WHOLE, Position, Stretch
from protocol.entries import conversation_of_two

STRETCH: Final = 4_096
"""Entries looked at in one piece of work on the disk: a few milliseconds."""


async def waiting(world: World, person: bytes) -> AsyncIterator[list[bytes]]:
    """Own entries that no terminal of the contact has acknowledged, in order, some at a time."""
    conversation, done = conversation_of_two(world.own.person, person), 0
    while done < WHOLE[1]:
        ids, (_, done) = await world.store.read(_lacking, conversation, world.own.terminal, person, done)
        if ids:
            yield ids


async def read_lately(world: World, person: bytes, most: int) -> list[bytes]:
    """The newest entries of the conversation that this person has read and told so, newest first."""
    conversation, place = conversation_of_two(world.own.person, person), END
    found: list[bytes] = []
    while place != BEGINNING and len(found) < most:
        left = most - len(found)
        ids, place = await world.store.read(_read, conversation, world.own.terminal, left, place)
        found += ids
    return found


def _lacking(
    database: Database, conversation: bytes, own: bytes, person: bytes, done: int
) -> tuple[list[bytes], Stretch]:
    stretch = entries.stretch_after(database, conversation, own, done, STRETCH)
    return receipts.unacknowledged(database, conversation, own, person, stretch), stretch


def _read(
    database: Database, conversation: bytes, own: bytes, most: int, before: Position
) -> tuple[list[bytes], Position]:
    since = entries.place_before(database, conversation, before, STRETCH)
    return receipts.read_by(database, conversation, own, most, since, before), since
