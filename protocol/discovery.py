"""Announcement slots: known to contacts, noise to everybody else (SPEC §13).

Rules: an announcement is only a hint, and nothing here decides about trust; a slot binds all that an
announcement says, so that a copy elsewhere is worthless; order, number and filling of slots tell nothing.

What an announcement says in DNS-SD, read and written (SPEC §13, RFC 6763).

Rules: bytes and values only, no network; what is read came from anybody: it is exactly of the form that is
written here, within bounds, or it is Malformed; no peer text gets into an error.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from protocol import labels, primitives
from protocol.addresses import canonical, is_local, is_loopback
from protocol.errors import Malformed
from protocol.limits import NAME_CHARACTERS_MAX, SLOT_BYTES, SLOT_DAYS
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


VERSION: Final = b"1"
ADDRESSES_MAX: Final = 8
"""Addresses of one announcement (SPEC §13)."""

TEXT_MAX: Final = 1_400
"""A TXT record, bytes: 128 slots and the longest name need 1,307."""
# One string of a TXT record is at most 255 bytes (RFC 6763 §6.1): "sN=" and whole slots.
_PIECE: Final = 31 * SLOT_BYTES
_PIECES_MAX: Final = -(-max(SLOT_COUNTS) * SLOT_BYTES // _PIECE)
_NAME_BYTES_MAX: Final = 253
_INSTANCE: Final = re.compile(r"[0-9a-z-]{1,63}")


class Announced(NamedTuple):
    """What a TXT record says: slots of 8 bytes, and the name shown to strangers (peer text), or empty."""

    slots: tuple[bytes, ...]
    name: str


def is_instance(instance: str) -> bool:
    """Whether an instance name has the form that is taken: 1 to 63 of 0-9, a-z and -."""
    return _INSTANCE.fullmatch(instance) is not None


def is_shown_name(name: str) -> bool:
    """Whether a name may be shown to strangers: 1 to 64 characters, none of them a control character."""
    return 0 < len(name) <= NAME_CHARACTERS_MAX and not any(
        unicodedata.category(each) == "Cc" for each in name
    )


def check_place(instance: str, port: int | None) -> None:
    """Malformed unless somebody could be there: an instance name, and a port of 1 to 65535."""
    if not is_instance(instance):
        raise Malformed("instance name")
    if port is None or not 0 < port < 65_536:
        raise Malformed("port")


def told_addresses(addresses: Iterable[str]) -> tuple[str, ...]:
    """The local ones of what was announced, canonical, without scope, sorted. Malformed for none or over 8.

    Loopback beside others would send a peer to itself: it counts only alone.
    """
    local = {canonical(address.partition("%")[0]) for address in addresses if is_local(address)}
    told = sorted({address for address in local if not is_loopback(address)} or local)
    if not 0 < len(told) <= ADDRESSES_MAX:
        raise Malformed(f"{len(told)} local addresses")
    return tuple(told)


# --- The TXT record ---


def write_text(slots: Sequence[bytes], name: str) -> bytes:
    """The TXT record. A name too long for one string is cut at a character."""
    joined = b"".join(slots)
    pieces = [joined[at : at + _PIECE] for at in range(0, len(joined), _PIECE)]
    strings = [b"v=" + VERSION, *(b"s%d=" % number + piece for number, piece in enumerate(pieces))]
    if name:
        strings.append(b"n=" + _cut(name))
    return b"".join(bytes([len(string)]) + string for string in strings)


def read_text(text: bytes) -> Announced:
    """What a TXT record says. Malformed if it is not of the form of SPEC §13."""
    values = _values(text)
    if values.get(b"v") != VERSION:
        raise Malformed("version of the announcement")
    return Announced(_slots(values), _name(values.get(b"n", b"")))


def _cut(name: str) -> bytes:
    return name.encode()[:_NAME_BYTES_MAX].decode("utf-8", "ignore").encode()


def _strings(text: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(text):
        end = at + 1 + text[at]
        if end > len(text) or end == at + 1:
            raise Malformed("string of a TXT record")
        yield text[at + 1 : end]
        at = end


def _values(text: bytes) -> dict[bytes, bytes]:
    """Keys and values; keys that version 1 does not know are left for later versions to use."""
    if len(text) > TEXT_MAX:
        raise Malformed(f"TXT record of {len(text)} bytes")
    values: dict[bytes, bytes] = {}
    for string in _strings(text):
        key, equals, value = string.partition(b"=")
        if not equals or key in values:
            raise Malformed("key of a TXT record")
        values[key] = value
    return values


def _slots(values: dict[bytes, bytes]) -> tuple[bytes, ...]:
    pieces: list[bytes] = []
    while (piece := values.get(b"s%d" % len(pieces))) is not None and len(pieces) < _PIECES_MAX:
        pieces.append(piece)
    slots = b"".join(pieces)
    if len(slots) % SLOT_BYTES or len(slots) // SLOT_BYTES not in SLOT_COUNTS:
        raise Malformed(f"slots of {len(slots)} bytes")
    return tuple(slots[at : at + SLOT_BYTES] for at in range(0, len(slots), SLOT_BYTES))


def _name(value: bytes) -> str:
    try:
        name = value.decode()
    except UnicodeDecodeError:
        raise Malformed("name is not UTF-8") from None
    if value and not is_shown_name(name):
        raise Malformed("name")
    return name
