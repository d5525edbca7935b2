"""Invitations: texts that one person gives another outside the network, for one pairing (SPEC §7.5).

The holder of a text can use it, so only its creator sees it, and repr hides the secret.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Annotated, Final

from msgspec import Meta

from protocol import labels, limits, primitives
from protocol.addresses import literal
from protocol.codec import Codec, Wire, encode
from protocol.errors import LimitExceeded, LocalMisuse, Malformed, ProtocolError, Unexpected, Untrusted
from protocol.link.agreement import one_time_hash
from protocol.messages import B16, B32, U8, U32
from protocol.primitives import Random
from protocol.redacting import Redacted, Redacting

PREFIX: Final = "PARLOUR:"
VERSION: Final = 1
_SECRET_SIZE: Final = 16
_SPACES: Final = str.maketrans("", "", " \t\r\n")
_ADDRESS: Final = re.compile(r"(?:([0-9.]{7,15})|\[(?=[^]]*:)([0-9a-f:.]{2,45})\]):([1-9][0-9]{0,4})")
# Start of an array of at most 15 elements whose first one, the version, is a u8 in its shortest encoding.
_BEGINNING: Final = re.compile(rb"[\x90-\x9f](?:([\x00-\x7f])|\xcc([\x80-\xff]))")

Address = Annotated[str, Meta(min_length=6, max_length=53)]
Relay = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\A[!-~]+\Z")]


class _Text(Wire, frozen=True):
    version: U8
    secret: B16
    expires: U32
    check: B32
    one_time: B32
    addresses: Annotated[list[Address], Meta(max_length=limits.INVITATION_ADDRESSES_MAX)]
    relays: Annotated[list[Relay], Meta(max_length=limits.INVITATION_RELAYS_MAX)]


_CODEC: Final[Codec[_Text]] = Codec(_Text, limits.INVITATION_TEXT_MAX)


class Invitation(Redacting, frozen=True):
    """One invitation. `secret` has 16 bytes, `expires` is in Unix seconds.

    `check` (32 bytes) commits to the inviter's person and terminal, `one_time` (32) to the static key that
    answers its joiner. Addresses are "host:port", where the host is an IP address without scope, in brackets
    for IPv6.
    """

    secret: Redacted[bytes]
    expires: int
    check: bytes
    one_time: bytes
    addresses: tuple[str, ...]
    relays: tuple[str, ...]

    def psk(self) -> bytes:
        """The psk, 32 bytes, of the pairing link. A text with another byte has another one."""
        return primitives.b2b(_encoded(self), personal=labels.INVITE_PSK, key=self.secret)

    def expired(self, now: int) -> bool:
        """Whether it has expired at `now` (Unix seconds) by the inviter's clock."""
        return now >= self.expires


def invitation_check(person: bytes, static_public: bytes) -> bytes:
    """`check` (32 bytes) of invitations by this person from the terminal with this X25519 key."""
    return primitives.b2b(person + static_public, personal=labels.INVITE_CHECK)


def check_joiner(burned_by: bytes | None, static: bytes) -> None:
    """Untrusted if another one-time key (X25519, 32 bytes) has burned the invitation.

    The joiner that burned it may try again. `burned_by` is None for an unused invitation.
    """
    if burned_by not in (None, static):
        raise Untrusted("the invitation was used by somebody else")


def make_invitation(
    person: bytes,
    static_public: bytes,
    one_time_public: bytes,
    now: int,
    addresses: Iterable[str],
    relays: Iterable[str],
    random: Random,
) -> Invitation:
    """A new invitation, valid for an hour from `now` (Unix seconds).

    The keys of the terminal and of the invitation are X25519 keys of 32 bytes. Surplus addresses and relays
    are dropped. LocalMisuse for one that the text cannot represent.
    """
    made = Invitation(
        random(_SECRET_SIZE),
        now + limits.INVITATION_SECONDS,
        invitation_check(person, static_public),
        one_time_hash(one_time_public),
        tuple(addresses)[: limits.INVITATION_ADDRESSES_MAX],
        tuple(relays)[: limits.INVITATION_RELAYS_MAX],
    )
    try:
        parse_invitation(format_invitation(made))
    except ProtocolError as error:
        raise LocalMisuse("an invitation that cannot be parsed") from error
    return made


def format_invitation(invitation: Invitation) -> str:
    """The text of an invitation, made of characters that a QR code encodes most densely."""
    return PREFIX + base64.b32encode(_encoded(invitation)).decode("ascii").rstrip("=")


def _encoded(invitation: Invitation) -> bytes:
    commitments = invitation.check, invitation.one_time
    places = list(invitation.addresses), list(invitation.relays)
    return encode(_Text(VERSION, invitation.secret, invitation.expires, *commitments, *places))


def parse_invitation(text: str) -> Invitation:
    """Parse a text in any case and with any spaces and line breaks.

    Errors: LimitExceeded (too long), Unexpected (another version), Malformed (anything else).
    """
    if len(text) > limits.INVITATION_TEXT_MAX:
        raise LimitExceeded(f"an invitation of {len(text)} characters")
    data = _bytes_of(text)
    # The codec would call the array of another version malformed.
    match = _BEGINNING.match(data)
    version = int.from_bytes(match[1] or match[2]) if match else VERSION
    if version != VERSION:
        raise Unexpected(f"an invitation of version {version}, this program knows {VERSION}")
    decoded = _CODEC.decode(data)
    for address in decoded.addresses:
        parts = _ADDRESS.fullmatch(address)
        host = parts and (parts[1] or parts[2])
        if parts is None or not host or str(literal(host)) != host or int(parts[3]) > 0xFFFF:
            raise Malformed("not an address and a port")
    return Invitation(
        decoded.secret,
        decoded.expires,
        decoded.check,
        decoded.one_time,
        tuple(decoded.addresses),
        tuple(decoded.relays),
    )


def _bytes_of(text: str) -> bytes:
    compact = text.translate(_SPACES)
    # Some letters outside ASCII become I or S in upper case and would give one invitation several texts.
    if not compact.isascii() or not compact.upper().startswith(PREFIX):
        raise Malformed("not an invitation")
    digits = compact.upper()[len(PREFIX) :]
    try:
        data = base64.b32decode(digits + "=" * (-len(digits) % 8))
    except binascii.Error:
        raise Malformed("not an invitation") from None
    if base64.b32encode(data).decode("ascii").rstrip("=") != digits:
        raise Malformed("not the canonical text of an invitation")
    return data
