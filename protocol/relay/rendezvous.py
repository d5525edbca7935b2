"""Addresses of relays (SPEC §11.7.1), and tokens by which terminals meet at a relay (SPEC §11.7.5)."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from msgspec import Struct

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


class RelayAddress(Struct, frozen=True):
    """A relay: an IP address without scope or a DNS name, a port, and its public X25519 key of 32 bytes."""

    host: str
    port: int
    key: bytes

    @property
    def is_name(self) -> bool:
        """Whether the host is a DNS name."""
        return literal(self.host) is None

    def __str__(self) -> str:
        return format_relay(self)


def parse_relay(text: str) -> RelayAddress:
    """Parse the canonical text of a relay. Errors: LimitExceeded (over 255 characters), Malformed."""
    if len(text) > RELAY_ADDRESS_MAX:
        raise LimitExceeded(f"a relay's address of {len(text)} characters")
    match = _FORM.fullmatch(text)
    if match is None:
        raise Malformed("not the address of a relay")
    host, port, key = match.groups()
    if not _PORT.fullmatch(port) or int(port) > 0xFFFF:
        raise Malformed("not a port")
    return RelayAddress(_host(host), int(port), _key(key))


def relays_among(texts: Iterable[str]) -> tuple[RelayAddress, ...]:
    """The distinct relays among the texts of an invitation. Other texts may be of a later version."""
    found: dict[RelayAddress, None] = {}
    for text in texts:
        with suppress(ProtocolError):
            found[parse_relay(text)] = None
    return tuple(found)


def format_relay(relay: RelayAddress) -> str:
    """The canonical text of a relay. LocalMisuse for an invalid host, port or key."""
    host = f"[{relay.host}]" if ":" in relay.host else relay.host
    text = f"{PREFIX}{host}:{relay.port}#{key_text(relay.key)}"
    try:
        parse_relay(text)
    except ProtocolError as error:
        raise LocalMisuse("an address that cannot be parsed") from error
    return text


def key_text(key: bytes) -> str:
    """The canonical text, 52 characters, of a key of 32 bytes."""
    return base64.b32encode(key).decode("ascii").rstrip("=").lower()


def _host(written: str) -> str:
    host = written[1:-1] if written.startswith("[") else written
    if (":" in host) != written.startswith("["):
        raise Malformed("brackets are for IPv6 addresses only")
    if literal(host) is not None:
        if str(literal(host)) != host:
            raise Malformed("not the one spelling of an IP address")
        return host
    # Resolvers read a name whose last label is a number as an old spelling of an IPv4 address.
    names = host.split(".")
    if not all(map(_LABEL.fullmatch, names)) or names[-1].isdigit() or re.match("0x", names[-1]):
        raise Malformed("neither an IP address nor a name")
    return host


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
    """The clocks of the relay and this terminal differ by more than a day."""


def relay_day(time: int, own_time: int) -> int:
    """The UTC day since 1970 of a relay's time, for tokens. Both times are in Unix seconds.

    It is the relay's day, so that both terminals use the same. OtherDay if our own differs by more than one.
    """
    day = time // DAY_SECONDS
    if abs(day - own_time // DAY_SECONDS) > RELAY_DAYS:
        raise OtherDay("the relay's day differs from our own")
    return day


def day_ends_in(time: int) -> int:
    """Seconds from a Unix time to the next day: 1 to 86,400."""
    return DAY_SECONDS - time % DAY_SECONDS


def contact_token(meeting_key: bytes, day: int, relay: bytes, static: bytes) -> bytes:
    """The token, 16 bytes, with which the terminal with this static key waits at the relay on a day.

    `meeting_key` is from the waiting person to the dialler (ContactSecret.meeting_key). `relay` and `static`
    are X25519 keys. All have 32 bytes.
    """
    data = day.to_bytes(4) + relay + static
    return primitives.b2b(data, personal=labels.RELAY_TOKEN, key=meeting_key, size=RELAY_TOKEN_BYTES)


def invitation_token(invitation: Invitation, day: int, relay: bytes) -> bytes:
    """The token, 16 bytes, with which an inviter waits for its joiner at the relay with this key on a day."""
    data = day.to_bytes(4) + relay + invitation.check + invitation.expires.to_bytes(4)
    return primitives.b2b(
        data, personal=labels.RELAY_INVITATION, key=invitation.secret, size=RELAY_TOKEN_BYTES
    )
