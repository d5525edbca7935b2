"""The invitation: what one person hands another outside the network to be paired once (SPEC §7.5).

Rules: whoever holds the text can join, so it is shown to its person alone and its secret is in no repr;
the text has one form for a value, in any case and with any line breaks; nothing here reads a clock.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Final

from msgspec import Meta

from protocol import labels, limits, primitives
from protocol.addresses import literal
from protocol.codec import Codec, Wire, encode
from protocol.errors import LimitExceeded, LocalMisuse, Malformed, ProtocolError, Unexpected, Untrusted
from protocol.messages import B16, B32, U8, U32
from protocol.primitives import Random

PREFIX: Final = "PARLOUR:"
VERSION: Final = 1
_SECRET_SIZE: Final = 16
_SPACES: Final = str.maketrans("", "", " \t\r\n")
_ADDRESS: Final = re.compile(r"(?:([0-9.]{7,15})|\[(?=[^]]*:)([0-9a-f:.]{2,45})\]):([1-9][0-9]{0,4})")
# An array of at most 15 elements, and the first of them if it is a u8 in its shortest encoding.
_BEGINNING: Final = re.compile(rb"[\x90-\x9f](?:([\x00-\x7f])|\xcc([\x80-\xff]))")

Address = Annotated[str, Meta(min_length=6, max_length=53)]
Relay = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\A[!-~]+\Z")]


class _Text(Wire, frozen=True):
    version: U8
    secret: B16
    expires: U32
    check: B32
    addresses: Annotated[list[Address], Meta(max_length=limits.INVITATION_ADDRESSES_MAX)]
    relays: Annotated[list[Relay], Meta(max_length=limits.INVITATION_RELAYS_MAX)]


_CODEC: Final[Codec[_Text]] = Codec(_Text, limits.INVITATION_TEXT_MAX)


@dataclass(frozen=True, slots=True)
class Invitation:
    """One invitation. `secret` 16 bytes; `expires` in Unix seconds; `check` names the inviter's person and
    terminal; addresses are "host:port", hosts being IP addresses without scope, IPv6 in brackets.
    """

    secret: bytes = field(repr=False)
    expires: int
    check: bytes
    addresses: tuple[str, ...]
    relays: tuple[str, ...]

    def psk(self) -> bytes:
        """The psk, 32 bytes, of the link by which it is used."""
        expires = self.expires.to_bytes(4)
        return primitives.b2b(self.check + expires, personal=labels.INVITE_PSK, key=self.secret)

    def expired(self, now: int) -> bool:
        """Whether its hour is over at `now`, Unix seconds. The inviter's clock decides."""
        return now >= self.expires


def invitation_check(person: bytes, static_public: bytes) -> bytes:
    """`check` of invitations by this person from the terminal with this X25519 key: 32 bytes."""
    return primitives.b2b(person + static_public, personal=labels.INVITE_CHECK)


def check_joiner(burned_by: bytes | None, static: bytes) -> None:
    """Untrusted unless the one-time key of message 3 may go on: the first, or the one that burned it before.

    Both are X25519 public keys, 32 bytes; None: nobody has used the invitation yet.
    """
    if burned_by not in (None, static):
        raise Untrusted("the invitation was used by somebody else")


def make_invitation(
    person: bytes,
    static_public: bytes,
    now: int,
    addresses: Iterable[str],
    relays: Iterable[str],
    random: Random,
) -> Invitation:
    """A new invitation, good for an hour from `now` (Unix seconds); of too many addresses the first count.

    LocalMisuse for an address or relay that the text cannot hold.
    """
    made = Invitation(
        random(_SECRET_SIZE),
        now + limits.INVITATION_SECONDS,
        invitation_check(person, static_public),
        tuple(addresses)[: limits.INVITATION_ADDRESSES_MAX],
        tuple(relays)[: limits.INVITATION_RELAYS_MAX],
    )
    try:
        parse_invitation(format_invitation(made))
    except ProtocolError as error:
        raise LocalMisuse("an invitation that nobody could read") from error
    return made


def format_invitation(invitation: Invitation) -> str:
    """The text to hand over: letters, digits and a colon, as a QR code takes them most densely."""
    addresses, relays = list(invitation.addresses), list(invitation.relays)
    encoded = encode(
        _Text(VERSION, invitation.secret, invitation.expires, invitation.check, addresses, relays)
    )
    return PREFIX + base64.b32encode(encoded).decode("ascii").rstrip("=")


def parse_invitation(text: str) -> Invitation:
    """The invitation of a text typed, pasted or scanned.

    Errors: LimitExceeded (too long), Unexpected (another version), Malformed (anything else that is none).
    """
    if len(text) > limits.INVITATION_TEXT_MAX:
        raise LimitExceeded(f"an invitation of {len(text)} characters")
    decoded = _CODEC.decode(_versioned(_bytes_of(text)))
    for address in decoded.addresses:
        _check_address(address)
    return Invitation(
        decoded.secret, decoded.expires, decoded.check, tuple(decoded.addresses), tuple(decoded.relays)
    )


def _bytes_of(text: str) -> bytes:
    compact = text.translate(_SPACES)
    # Outside ASCII, letters exist that become I or S in upper case: one invitation would have more texts.
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


def _versioned(data: bytes) -> bytes:
    """Unexpected for the array of another version, whose shape the codec could only call malformed."""
    match = _BEGINNING.match(data)
    version = int.from_bytes(match[1] or match[2]) if match else VERSION
    if version != VERSION:
        raise Unexpected(f"an invitation of version {version}, this program knows {VERSION}")
    return data


def _check_address(address: str) -> None:
    match = _ADDRESS.fullmatch(address)
    host = match and (match[1] or match[2])
    if match is None or not host or str(literal(host)) != host or int(match[3]) > 0xFFFF:
        raise Malformed("not an address and a port")
