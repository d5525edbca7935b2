"""The address of a relay, as people name it and invitations carry it (SPEC §11.7.1).

Rules: one form for a value, so that two texts never name one relay and its key; nothing is looked up here;
whoever connects to a host of this text needs to know that its own person named it.

What a terminal waits on and what its contact asks for at a relay: tokens of one day (SPEC §11.7.5).

Rules: whoever lacks the key sees noise, and two days' tokens have nothing in common; the day is the
relay's, so both ends take the same one, and a relay whose day is far from one's own gets no token at all.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from protocol import labels, primitives
from protocol.addresses import literal
from protocol.errors import (
    AuthenticationFailed,
    LimitExceeded,
    LocalMisuse,
    Malformed,
    ProtocolError,
    Unexpected,
)
from protocol.limits import RELAY_ADDRESS_MAX, RELAY_DAYS, RELAY_TOKEN_BYTES
from protocol.pairing.invitation import Invitation
from protocol.primitives import KEY_SIZE, x25519

PREFIX: Final = "parlour-relay:"

_FORM: Final = re.compile(PREFIX + r"([0-9a-z.-]+|\[[0-9a-f:.]+\]):([0-9]+)#([!-~]*)")
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")
_LABEL: Final = re.compile(r"(?!-)[0-9a-z-]{1,63}(?<!-)")


@dataclass(frozen=True, slots=True)
class RelayAddress:
    """A relay: `host` is an IP address without scope and brackets, or a DNS name; `key` its X25519 key.

    Two are equal when host, port and key are. The key is public, 32 bytes.
    """

    host: str
    port: int
    key: bytes

    @property
    def is_name(self) -> bool:
        """Whether the host has to be looked up before it can be reached."""
        return literal(self.host) is None

    def __str__(self) -> str:
        return format_relay(self)


def parse_relay(text: str) -> RelayAddress:
    """The relay that a text names.

    Errors: LimitExceeded (over 255 characters), Malformed (anything else that is not a relay's one text).
    """
    if len(text) > RELAY_ADDRESS_MAX:
        raise LimitExceeded(f"a relay's address of {len(text)} characters")
    match = _FORM.fullmatch(text)
    if match is None:
        raise Malformed("not the address of a relay")
    host, port, key = match.groups()
    return RelayAddress(_host(host), _port(port), _key(key))


def relays_among(texts: Iterable[str]) -> tuple[RelayAddress, ...]:
    """The relays among the texts of an invitation, each once; others may be of a later version."""
    found: dict[RelayAddress, None] = {}
    for text in texts:
        with suppress(ProtocolError):
            found[parse_relay(text)] = None
    return tuple(found)


def format_relay(relay: RelayAddress) -> str:
    """The one text of a relay. LocalMisuse for a host, port or key that no text can hold."""
    host = f"[{relay.host}]" if ":" in relay.host else relay.host
    text = f"{PREFIX}{host}:{relay.port}#{key_text(relay.key)}"
    try:
        parse_relay(text)
    except ProtocolError as error:
        raise LocalMisuse("an address that nobody could read") from error
    return text


def key_text(key: bytes) -> str:
    """The one text, 52 characters, of a relay's key of 32 bytes."""
    return base64.b32encode(key).decode("ascii").rstrip("=").lower()


def _host(written: str) -> str:
    host = written[1:-1] if written.startswith("[") else written
    if (":" in host) != written.startswith("["):
        raise Malformed("brackets stand around IPv6 addresses alone")
    if literal(host) is not None:
        if str(literal(host)) != host:
            raise Malformed("not the one spelling of an IP address")
        return host
    return _name(host)


def _name(host: str) -> str:
    # A last label of digits alone would be read as an old spelling of an IPv4 address by resolvers.
    labels = host.split(".")
    if not all(map(_LABEL.fullmatch, labels)) or labels[-1].isdigit() or re.match("0x", labels[-1]):
        raise Malformed("neither an IP address nor a name")
    return host


def _port(written: str) -> int:
    if not _PORT.fullmatch(written) or int(written) > 0xFFFF:
        raise Malformed("not a port")
    return int(written)


def _key(written: str) -> bytes:
    try:
        key = base64.b32decode(written.upper() + "=" * (-len(written) % 8))
    except binascii.Error:
        raise Malformed("not the text of a key") from None
    if len(key) != KEY_SIZE or key_text(key) != written:
        raise Malformed("not the one text of a key")
    try:
        x25519(bytes(KEY_SIZE), key)
    except AuthenticationFailed:
        raise Malformed("a key of small order") from None
    return key


DAY_SECONDS: Final = 86_400


class OtherDay(Unexpected):
    """The relay's clock and this terminal's are more than a day apart."""


def relay_day(time: int, own_time: int) -> int:
    """The day whose tokens a relay with this time gets, both in Unix seconds: the relay's UTC day from 1970.

    OtherDay if it is more than one from the own day.
    """
    day = time // DAY_SECONDS
    if abs(day - own_time // DAY_SECONDS) > RELAY_DAYS:
        raise OtherDay("the relay's day is far from the own")
    return day


def day_ends_in(time: int) -> int:
    """Seconds from a Unix time to the next day: 1 to 86,400."""
    return DAY_SECONDS - time % DAY_SECONDS


def contact_token(meeting_key: bytes, day: int, relay: bytes, static: bytes) -> bytes:
    """The token, 16 bytes, on which the terminal with this static key waits that day at the relay.

    `meeting_key` is of the waiting person towards the dialler (ContactSecret.meeting_key); `relay` and
    `static` are X25519 keys; 32 bytes each.
    """
    data = day.to_bytes(4) + relay + static
    return primitives.b2b(data, personal=labels.RELAY_TOKEN, key=meeting_key, size=RELAY_TOKEN_BYTES)


def invitation_token(invitation: Invitation, day: int, relay: bytes) -> bytes:
    """The token, 16 bytes, on which an inviter waits that day for its joiner at the relay with this key."""
    data = day.to_bytes(4) + relay + invitation.check + invitation.expires.to_bytes(4)
    return primitives.b2b(
        data, personal=labels.RELAY_INVITATION, key=invitation.secret, size=RELAY_TOKEN_BYTES
    )
