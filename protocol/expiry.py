"""When an entry with a timer ends, and which timer a conversation has (SPEC §11.9)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from protocol.entries_and_receipts import READABLE, ParsedEntry
from protocol.history import order
from protocol.limits import UNREAD_SECONDS_MAX
from protocol.messages import EntryHeader


class Ends(NamedTuple):
    """`due`: when an entry ends as far as is known; `last`: at the latest. Both in Unix milliseconds."""

    due: int
    last: int


def ends(header: EntryHeader, stored: int, *, own: bool) -> Ends:
    """The end of an entry with a timer that comes at a time (milliseconds), before anybody has read it.

    `own`: a terminal of this person wrote it.
    """
    timer = header.timer * 1_000
    last = min(header.until, stored + timer + UNREAD_SECONDS_MAX * 1_000)
    return Ends(min(last, min(header.time, stored) + timer) if own else last, last)


def read_at(found: Ends, header: EntryHeader, read: int) -> Ends:
    """The end once a person has read the entry on one of its terminals at a time (milliseconds)."""
    return found._replace(due=min(found.due, read + header.timer * 1_000))


def is_read_by_nobody(entry: ParsedEntry) -> bool:
    """Whether an entry is held with its body and is of an unknown kind: it counts as read when that comes."""
    return entry.has_body and entry.header.kind not in READABLE


def timer_of(held: Iterable[ParsedEntry], left_out: Collection[bytes] = ()) -> int:
    """The timer of a conversation, in seconds, 0 for none. `held`: its entries, `left_out`: those of them, by
    id, that do not count."""
    entries = {entry.id: entry for entry in held}
    placed = order({entry.id: entry.header for entry in entries.values()})
    counting = [entries[one] for one in placed if one not in left_out]
    said = [entry.timing.seconds for entry in counting if entry.timing is not None]
    return said[-1] if said else 0
