"""An announcement as DNS-SD records and back (SPEC §13, RFC 6763)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from chat.ports import Announcement
from protocol import discovery
from protocol.addresses import is_local
from protocol.limits import SLOT_BYTES

SERVICE: Final = "_parlour._tcp.local."


def encode_text(announcement: Announcement) -> bytes:
    """The TXT record. A name too long for one string is cut. Raises ValueError for what no peer accepts."""
    if len(announcement.slots) not in discovery.SLOT_COUNTS or any(
        len(slot) != SLOT_BYTES for slot in announcement.slots
    ):
        raise ValueError("an announcement has 32, 64 or 128 slots of 8 bytes")
    if not discovery.is_instance(announcement.instance) or not 0 < announcement.port < 65_536:
        raise ValueError("an instance is 1 to 63 of 0-9, a-z and -, a port 1 to 65535")
    if not 0 < len(announcement.addresses) <= discovery.ADDRESSES_MAX:
        raise ValueError("an announcement has 1 to 8 addresses")
    if any("%" in address or not is_local(address) for address in announcement.addresses):
        raise ValueError("only local addresses without scope are announced")
    if announcement.name and not discovery.is_shown_name(announcement.name):
        raise ValueError("a name is 1 to 64 characters and none of them a control character")
    return discovery.write_text(announcement.slots, announcement.name)


def decode(instance: str, port: int | None, addresses: Iterable[str], text: bytes) -> Announcement:
    """The announcement of resolved records; its addresses are local, canonical, sorted. Raises Malformed."""
    discovery.check_place(instance, port)
    said = discovery.read_text(text)
    return Announcement(instance, discovery.local_addresses(addresses), port or 0, said.slots, said.name)


def instance_of(name: str) -> str:
    """The instance in a full DNS-SD name; empty if it is not of this service, or malformed."""
    instance, dot, service = name.partition(".")
    return instance if dot and service == SERVICE and discovery.is_instance(instance) else ""
