"""Receipts: whom they come from, which ids count, and what may be said of an entry (SPEC §11.5).

Rules: a receipt counts for a live terminal and for nobody else; an id that is no own entry is passed over in
silence; nothing is said of an entry that the table of the SPEC does not allow.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import StrEnum
from typing import Final

from protocol.errors import Untrusted
from protocol.person import PersonState, Terminal

STORED: Final = 1
READ: Final = 2


class Said(StrEnum):
    """The state of an own entry."""

    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"


def receipting_terminal(contact: PersonState, static: bytes) -> Terminal:
    """The terminal whose link, authenticated by this static key (32 bytes), carried a receipt.

    Untrusted unless it is live in its person's log.
    """
    for terminal in contact.live.values():
        if terminal.static == static:
            return terminal
    raise Untrusted("a receipt of a terminal that is not live")


def receipted(ids: Iterable[bytes], own: Collection[bytes]) -> list[bytes]:
    """The ids that count, each once: `own` are this person's own entries in the conversation."""
    return [entry for entry in dict.fromkeys(ids) if entry in own]


def said_of(kinds: Collection[int], carried: bool) -> Said:
    """What may be said of an own entry. `kinds` are those of the contact's receipts for it; `carried`:
    whether a link that is open has carried it.
    """
    if READ in kinds:
        return Said.READ
    if STORED in kinds:
        return Said.DELIVERED
    return Said.SENT if carried else Said.QUEUED
