"""An announcement as DNS-SD records and back (SPEC §13, RFC 6763).

Rules: bytes and values only, no network; what is decoded came from anybody: it is exactly of the form
that `encode_text` makes, within bounds, or it is Malformed; no peer text gets into an error.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

from chat.network.addresses import canonical, is_local, is_loopback
from chat.network.interfaces import MAX_ADDRESSES
from chat.ports import Announcement
from protocol.errors import Malformed
from protocol.limits import NAME_CHARACTERS_MAX, SLOT_BYTES

SERVICE: Final = "_parlour._tcp.local."
VERSION: Final = b"1"
SLOT_COUNTS: Final = (32, 64, 128)
"""Numbers of slots that are announced; steps, so that contacts cannot be counted (SPEC §13)."""

TEXT_MAX: Final = 1_400
"""A TXT record, bytes: 128 slots and the longest name need 1,307."""
# One string of a TXT record is at most 255 bytes (RFC 6763 §6.1): "sN=" and whole slots.
_PIECE: Final = 31 * SLOT_BYTES
_PIECES_MAX: Final = -(-max(SLOT_COUNTS) * SLOT_BYTES // _PIECE)
_NAME_BYTES_MAX: Final = 253
_INSTANCE: Final = re.compile(r"[0-9a-z-]{1,63}")


def encode_text(announcement: Announcement) -> bytes:
    """The TXT record. A name too long for one string is cut. Raises ValueError for what no peer accepts."""
    _check(announcement)
    slots = b"".join(announcement.slots)
    pieces = [slots[at : at + _PIECE] for at in range(0, len(slots), _PIECE)]
    strings = [b"v=" + VERSION, *(b"s%d=" % number + piece for number, piece in enumerate(pieces))]
    if announcement.name:
        strings.append(b"n=" + _cut(announcement.name))
    return b"".join(bytes([len(string)]) + string for string in strings)


def decode(instance: str, port: int | None, addresses: Iterable[str], text: bytes) -> Announcement:
    """The announcement behind resolved records; its addresses are sorted, local and canonical.

    Addresses that are not local are left out, as if they were not there. Raises Malformed.
    """
    if not _INSTANCE.fullmatch(instance):
        raise Malformed("instance name")
    if port is None or not 0 < port < 65_536:
        raise Malformed("port")
    values = _values(text)
    if values.get(b"v") != VERSION:
        raise Malformed("version of the announcement")
    return Announcement(instance, _addresses(addresses), port, _slots(values), _name(values.get(b"n", b"")))


def instance_of(name: str) -> str:
    """The instance in a full DNS-SD name; empty if it is none of this service, or not of our form."""
    instance, dot, service = name.partition(".")
    return instance if dot and service == SERVICE and _INSTANCE.fullmatch(instance) else ""


def _check(announcement: Announcement) -> None:
    """Hold our own announcement to what `decode` accepts."""
    if len(announcement.slots) not in SLOT_COUNTS or any(
        len(slot) != SLOT_BYTES for slot in announcement.slots
    ):
        raise ValueError("an announcement has 32, 64 or 128 slots of 8 bytes")
    if not _INSTANCE.fullmatch(announcement.instance) or not 0 < announcement.port < 65_536:
        raise ValueError("an instance is 1 to 63 of 0-9, a-z and -, a port 1 to 65535")
    if not 0 < len(announcement.addresses) <= MAX_ADDRESSES:
        raise ValueError("an announcement has 1 to 8 addresses")
    if any("%" in address or not is_local(address) for address in announcement.addresses):
        raise ValueError("only local addresses without scope are announced")
    if announcement.name and not _is_name(announcement.name):
        raise ValueError("a name is 1 to 64 characters and none of them a control character")


def _cut(name: str) -> bytes:
    return name.encode()[:_NAME_BYTES_MAX].decode("utf-8", "ignore").encode()


def _is_name(name: str) -> bool:
    return 0 < len(name) <= NAME_CHARACTERS_MAX and not any(
        unicodedata.category(each) == "Cc" for each in name
    )


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
    if value and not _is_name(name):
        raise Malformed("name")
    return name


def _addresses(addresses: Iterable[str]) -> tuple[str, ...]:
    """Loopback beside others would send a peer to itself: it counts only alone."""
    local = {canonical(address.partition("%")[0]) for address in addresses if is_local(address)}
    told = sorted({address for address in local if not is_loopback(address)} or local)
    if not 0 < len(told) <= MAX_ADDRESSES:
        raise Malformed(f"{len(told)} local addresses")
    return tuple(told)
