"""Announcement slots: known to contacts, noise to everybody else (SPEC §13).

Rules: an announcement is only a hint, and nothing here decides about trust; a slot binds all that an
announcement says, so that a copy elsewhere is worthless; order, number and filling of slots tell nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from protocol import labels, primitives
from protocol.limits import SLOT_BYTES, SLOT_DAYS
from protocol.primitives import Random

SLOT_COUNTS: Final = (32, 64, 128)
"""How many slots an announcement may have (SPEC §13)."""

_DAY_MS: Final = 86_400_000


def new_instance(random: Random) -> str:
    """A new instance name: 16 hex digits."""
    return random(8).hex()


def utc_day(wall_ms: int) -> int:
    """The UTC day, counted from 1970, of a wall time in milliseconds."""
    return wall_ms // _DAY_MS


def slot(key: bytes, day: int, static: bytes, instance: str, port: int, addresses: Iterable[str]) -> bytes:
    """One slot, 8 bytes: the terminal with this static key (32 bytes), to whoever holds the discovery key."""
    listed = ",".join(sorted(set(addresses)))
    named = _utf8(instance) + b"\x00" + port.to_bytes(2) + _utf8(listed)
    data = day.to_bytes(4) + static + named
    return primitives.b2b(data, personal=labels.SLOT, key=key, size=SLOT_BYTES)


def _utf8(text: str) -> bytes:
    # What a stranger announces may hold anything, and must not stop the search.
    return text.encode("utf-8", "surrogatepass")


def make_slots(
    keys: Sequence[bytes],
    day: int,
    static: bytes,
    instance: str,
    port: int,
    addresses: Iterable[str],
    random: Random,
) -> tuple[bytes, ...]:
    """32, 64 or 128 slots: one a discovery key (SPEC §7.6), the rest random, in random order.

    Of more than 128 keys the first 128 get a slot: give the contacts spoken to last first. `addresses` have
    no scope.
    """
    listed = tuple(addresses)
    real = [slot(key, day, static, instance, port, listed) for key in keys[: SLOT_COUNTS[-1]]]
    count = next(count for count in SLOT_COUNTS if len(real) <= count)
    filled = real + [random(SLOT_BYTES) for _ in range(count - len(real))]
    # A sort by random keys: no arithmetic on random numbers that could prefer a place.
    return tuple(value for _, value in sorted((random(16), value) for value in filled))


@dataclass(frozen=True, slots=True)
class Known:
    """A contact's terminal and the key (32 bytes) by which its announcements are known here."""

    person: bytes
    terminal: bytes
    static: bytes
    key: bytes = field(repr=False)


def recognise(
    slots: Iterable[bytes],
    instance: str,
    port: int,
    addresses: Iterable[str],
    known: Iterable[Known],
    day: int,
) -> Known | None:
    """Whose announcement this is, by yesterday's, today's or tomorrow's slot; None for a stranger's.

    `slots` and the rest are as announced; a port outside 0 to 65535 is nobody's.
    """
    present, listed = set(slots), tuple(addresses)
    if not 0 <= port <= 0xFFFF:
        return None
    days = range(max(day - SLOT_DAYS, 0), day + SLOT_DAYS + 1)
    for candidate in known:
        made = {slot(candidate.key, each, candidate.static, instance, port, listed) for each in days}
        if not present.isdisjoint(made):
            return candidate
    return None
