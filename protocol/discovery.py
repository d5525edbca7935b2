"""Announcements on the local network: slots that only contacts recognize, and the TXT record (SPEC §13).

An announcement is an unauthenticated hint. No text of a peer gets into an error.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from protocol import labels, primitives
from protocol.addresses import canonical, is_local, is_loopback
from protocol.errors import Malformed
from protocol.limits import NAME_CHARACTERS_MAX, SLOT_BYTES, SLOT_DAYS
from protocol.primitives import Random
from protocol.redacting import Redacted, Redacting

SERVICE: Final = "_parlour._tcp.local."
"""The DNS-SD service type (SPEC §13, RFC 6763)."""

SLOT_COUNTS: Final = (32, 64, 128)  # allowed numbers of slots in an announcement (SPEC §13)
_DAY_MS: Final = 86_400_000


def new_instance(random: Random) -> str:
    """A new instance name: 16 hex digits."""
    return random(8).hex()


def utc_day(wall_ms: int) -> int:
    """The UTC day since 1970 of a Unix time in milliseconds."""
    return wall_ms // _DAY_MS


def slot(key: bytes, day: int, static: bytes, instance: str, port: int, addresses: Iterable[str]) -> bytes:
    """The slot, 8 bytes, by which holders of the discovery key recognize the terminal with this static key.

    It covers instance, port and addresses, so a copy in another announcement is not recognized.
    """
    listed = ",".join(sorted(set(addresses)))
    named = _utf8(instance) + b"\x00" + port.to_bytes(2) + _utf8(listed)
    data = day.to_bytes(4) + static + named
    return primitives.b2b(data, personal=labels.SLOT, key=key, size=SLOT_BYTES)


def _utf8(text: str) -> bytes:
    # An announcement of a stranger may contain lone surrogates, which must not raise here.
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
    """32, 64 or 128 slots in random order: one per discovery key (SPEC §7.6), and random ones.

    Only the first 128 keys get one, so the most recent contacts must come first. `addresses` have no scope.
    """
    listed = tuple(addresses)
    real = [slot(key, day, static, instance, port, listed) for key in keys[: SLOT_COUNTS[-1]]]
    count = next(count for count in SLOT_COUNTS if len(real) <= count)
    filled = real + [random(SLOT_BYTES) for _ in range(count - len(real))]
    # Sorting by random keys shuffles without bias.
    return tuple(value for _, value in sorted((random(16), value) for value in filled))


class Known(Redacting, frozen=True):
    """A contact's terminal, and the discovery key (32 bytes) of its announcements."""

    person: bytes
    terminal: bytes
    static: bytes
    key: Redacted[bytes]


def recognise(
    slots: Iterable[bytes],
    instance: str,
    port: int,
    addresses: Iterable[str],
    known: Iterable[Known],
    day: int,
) -> Known | None:
    """The known terminal whose slot of yesterday, today or tomorrow is among `slots`, or None.

    All arguments but the last two are as announced, and unverified.
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
ADDRESSES_MAX: Final = 8  # addresses of one announcement (SPEC §13)
TEXT_MAX: Final = 1_400
"""Largest TXT record, bytes. 128 slots and the longest name need 1,307."""
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
    """Whether `instance` has 1 to 63 of the characters 0-9, a-z and -."""
    return _INSTANCE.fullmatch(instance) is not None


def is_shown_name(name: str) -> bool:
    """Whether a name may be shown to strangers: 1 to 64 characters without control characters."""
    return 0 < len(name) <= NAME_CHARACTERS_MAX and not any(
        unicodedata.category(each) == "Cc" for each in name
    )


def check_place(instance: str, port: int | None) -> None:
    """Malformed unless `instance` is an instance name and the port is 1 to 65535."""
    if not is_instance(instance):
        raise Malformed("instance name")
    if port is None or not 0 < port < 65_536:
        raise Malformed("port")


def local_addresses(addresses: Iterable[str]) -> tuple[str, ...]:
    """The announced local addresses: canonical, without scope, sorted. Malformed for none or over 8."""
    local = {canonical(address.partition("%")[0]) for address in addresses if is_local(address)}
    # A loopback address would lead the peer to itself, so it counts only if there is no other.
    found = sorted({address for address in local if not is_loopback(address)} or local)
    if not 0 < len(found) <= ADDRESSES_MAX:
        raise Malformed(f"{len(found)} local addresses")
    return tuple(found)


# --- The TXT record ---


def write_text(slots: Sequence[bytes], name: str) -> bytes:
    """The TXT record. A name that is too long for one string is truncated between characters."""
    joined = b"".join(slots)
    pieces = [joined[at : at + _PIECE] for at in range(0, len(joined), _PIECE)]
    strings = [b"v=" + VERSION, *(b"s%d=" % number + piece for number, piece in enumerate(pieces))]
    if name:
        strings.append(b"n=" + name.encode()[:_NAME_BYTES_MAX].decode("utf-8", "ignore").encode())
    return b"".join(bytes([len(string)]) + string for string in strings)


def read_text(text: bytes) -> Announced:
    """Parse a TXT record. Malformed if it does not have the form of SPEC §13."""
    values = _values(text)
    if values.get(b"v") != VERSION:
        raise Malformed("version of the announcement")
    return Announced(_slots(values), _name(values.get(b"n", b"")))


def _values(text: bytes) -> dict[bytes, bytes]:
    """Keys and values, including unknown keys, which later versions may use."""
    if len(text) > TEXT_MAX:
        raise Malformed(f"TXT record of {len(text)} bytes")
    values: dict[bytes, bytes] = {}
    at = 0
    while at < len(text):
        start, end = at + 1, at + 1 + text[at]
        if end > len(text) or end == start:
            raise Malformed("string of a TXT record")
        key, equals, value = text[start:end].partition(b"=")
        if not equals or key in values:
            raise Malformed("key of a TXT record")
        values[key] = value
        at = end
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
