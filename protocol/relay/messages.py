"""Messages between terminals and relays (SPEC §11.7.3), greeting and first frame (SPEC §11.7.2).

All messages but Wait have one size, and every Wait has one, so sizes do not reveal the number of tokens.
"""

from __future__ import annotations

from itertools import pairwise
from struct import Struct
from typing import Annotated, Final, NamedTuple, Self, TypeVar

import msgspec
from msgspec import Meta

from protocol import labels, limits, primitives
from protocol.codec import Codec, Wire, encode
from protocol.errors import AuthenticationFailed, LocalMisuse, Malformed
from protocol.link.framing import NoMagic, Refused, check_range, length_of
from protocol.messages import U32
from protocol.noise import DHLEN, TAGLEN

M = TypeVar("M")

LENGTH_SIZE: Final = 2
FROM_RELAY_SIZES: Final = (limits.RELAY_MESSAGE_BYTES,)
FROM_TERMINAL_SIZES: Final = (limits.RELAY_MESSAGE_BYTES, limits.RELAY_WAIT_BYTES)
"""Sizes of padded messages: all but Wait, and Wait."""

Token = Annotated[bytes, Meta(min_length=limits.RELAY_TOKEN_BYTES, max_length=limits.RELAY_TOKEN_BYTES)]
Place = Annotated[int, Meta(ge=0, le=limits.RELAY_WAITERS_MAX - 1)]
Reason = Annotated[int, Meta(ge=0, le=1)]


class Welcome(Wire, frozen=True):
    """Payload of the relay's handshake message: its clock in Unix seconds."""

    time: U32


class Wait(Wire, frozen=True, tag=128):
    """Waits on these tokens instead of earlier ones. They ascend, so that their order reveals nothing."""

    tokens: Annotated[list[Token], Meta(min_length=1, max_length=limits.RELAY_TOKENS_MAX)]


class Waiting(Wire, frozen=True, tag=129):
    """The relay's answer to Wait."""


class Alive(Wire, frozen=True, tag=130):
    """Keepalive of a waiting terminal, and the relay's answer."""


class Dial(Wire, frozen=True, tag=131):
    """Dials a waiter of a token: the newest at place 0, the one before it at place 1, and so on."""

    token: Token
    place: Place


class Absent(Wire, frozen=True, tag=132):
    """The relay's answer to Dial if no terminal waits at that place."""


class Called(Wire, frozen=True, tag=133):
    """Tells a waiting terminal that its token was dialled. It sends Answer, and the circuit begins."""

    token: Token


class Answer(Wire, frozen=True, tag=134):
    """The last message of a called terminal."""


class Joined(Wire, frozen=True, tag=135):
    """The relay's last message to a dialler. `others` more terminals wait on the token."""

    others: Place


class End(Wire, frozen=True, tag=136):
    """The relay's last message when it ends a connection. Reasons: SPEC §11.7.4."""

    reason: Reason


FromTerminal = Wait | Alive | Dial | Answer
FromRelay = Waiting | Alive | Absent | Called | Joined | End
RelayMessage = Wait | Waiting | Alive | Dial | Absent | Called | Answer | Joined | End

WELCOME: Final[Codec[Welcome]] = Codec(Welcome, limits.RELAY_MESSAGE_BYTES)
FROM_TERMINAL: Final[Codec[FromTerminal]] = Codec(FromTerminal, limits.RELAY_WAIT_BYTES)
FROM_RELAY: Final[Codec[FromRelay]] = Codec(FromRelay, limits.RELAY_MESSAGE_BYTES)


def pad_message(message: RelayMessage | Welcome) -> bytes:
    """The padded message: 2,320 bytes for Wait, 64 for all others."""
    content, size = encode(message), _size_of(message)
    padded = (len(content).to_bytes(LENGTH_SIZE) + content).ljust(size, b"\x00")
    if len(padded) != size:
        raise LocalMisuse(f"{type(message).__name__} of {len(content)} bytes")
    return padded


def unpad_content(padded: bytes, sizes: tuple[int, ...]) -> bytes:
    """The encoded message in a padded one. Malformed for another size, a wrong length or non-zero padding."""
    end = LENGTH_SIZE + int.from_bytes(padded[:LENGTH_SIZE])
    if len(padded) not in sizes or end > len(padded) or any(padded[end:]):
        raise Malformed("not a padded message of a relay")
    return padded[LENGTH_SIZE:end]


def read_from_terminal(padded: bytes) -> FromTerminal:
    """Parse a terminal's message. Malformed if invalid, of another size or with tokens out of order."""
    return _checked(FROM_TERMINAL.decode(unpad_content(padded, FROM_TERMINAL_SIZES)), len(padded))


def read_from_relay(padded: bytes) -> FromRelay:
    """Parse a relay's message. Malformed if invalid or of another size."""
    return _checked(FROM_RELAY.decode(unpad_content(padded, FROM_RELAY_SIZES)), len(padded))


def read_welcome(padded: bytes) -> Welcome:
    """Parse the padded payload of a relay's handshake message. Malformed if invalid."""
    return _checked(WELCOME.decode(unpad_content(padded, FROM_RELAY_SIZES)), len(padded))


def ascending(tokens: list[bytes]) -> bool:
    """Whether the tokens strictly ascend."""
    return all(before < after for before, after in pairwise(tokens))


def _size_of(message: object) -> int:
    return limits.RELAY_WAIT_BYTES if isinstance(message, Wait) else limits.RELAY_MESSAGE_BYTES


def _checked(message: M, size: int) -> M:
    if size != _size_of(message):
        raise Malformed("a message of another one's size")
    if isinstance(message, Wait) and not ascending(message.tokens):
        raise Malformed("tokens that are not ascending")
    return message


MAGIC: Final = b"PARELAY\x00"
VERSION: Final = 1
NK: Final = 16
"""Number of Noise_NK among the patterns of SPEC §6.2. Terminals never accept it, relays accept only it."""

PROTOCOL_NAME: Final = "Noise_NK_25519_ChaChaPoly_BLAKE2b"
GREETING_SIZE: Final = 28
CHOICE_SIZE: Final = 2
MAC_SIZE: Final = 16
HELLO_SIZE: Final = CHOICE_SIZE + MAC_SIZE + DHLEN + TAGLEN
"""Size of the body of the terminal's first frame: choice, MAC, Noise message 1."""

REFUSAL: Final = bytes((0, VERSION, VERSION))
"""Body of the frame that refuses a version or a pattern. No Noise message 2 has its length."""

_PROLOGUE: Final = b"parlour.relay.v1"
CHOICE: Final = bytes((VERSION, NK))
_FIELDS: Final = Struct(">8sBBH16s")


class RelayGreeting(msgspec.Struct, frozen=True):
    """The relay's first message: the versions that it speaks and 16 random bytes."""

    random: bytes

    def encode(self) -> bytes:
        return _FIELDS.pack(MAGIC, VERSION, VERSION, 0, self.random)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Parse a greeting of 28 bytes.

        NoMagic if it is no relay, OtherVersion, Malformed for an invalid range or reserved bytes but zero.
        """
        magic, minimum, maximum, reserved, random = _FIELDS.unpack(data)
        check_magic(magic)
        check_range(minimum, maximum, VERSION)
        if reserved:
            raise Malformed("not a relay's greeting of this version")
        return cls(random)


class Hello(NamedTuple):
    """The terminal's first frame: its choice (2 bytes) and Noise message 1 (48 bytes)."""

    choice: bytes
    message: bytes


def check_magic(beginning: bytes) -> None:
    """NoMagic unless `beginning`, the first bytes received, can be the start of a relay's greeting."""
    if not MAGIC.startswith(beginning[: len(MAGIC)]):
        raise NoMagic("no relay's greeting")


def prologue(greeting: bytes, choice: bytes) -> bytes:
    """The Noise prologue from both as on the wire, 28 and 2 bytes."""
    return _PROLOGUE + greeting + choice


def write_hello(relay: bytes, greeting: bytes, message: bytes) -> bytes:
    """The terminal's first frame, with its length, to the relay with this key (32 bytes)."""
    body = CHOICE + _mac(relay, greeting, CHOICE, message) + message
    return length_of(body) + body


def read_hello(relay: bytes, greeting: bytes, body: bytes) -> Hello:
    """Parse the body of the first frame and verify its MAC, which proves knowledge of the relay's key.

    In this order: Malformed without a choice, OtherVersion, Refused for another pattern, Malformed for a
    wrong size, AuthenticationFailed for a wrong MAC. Strangers thus cause no work with keys.
    """
    if len(body) < CHOICE_SIZE or body[0] == 0:
        raise Malformed("not a choice")
    choice, mac, message = body[:CHOICE_SIZE], body[CHOICE_SIZE:][:MAC_SIZE], body[CHOICE_SIZE + MAC_SIZE :]
    check_range(body[0], body[0], VERSION)
    if body[1] != NK:
        raise Refused("a pattern that relays do not accept")
    if len(body) != HELLO_SIZE:
        raise Malformed(f"a first frame of {len(body)} bytes")
    if not primitives.equal(mac, _mac(relay, greeting, choice, message)):
        raise AuthenticationFailed("the caller does not know the relay's key")
    return Hello(choice, message)


def check_refusal(frame: bytes) -> None:
    """Refused or OtherVersion if `frame` refuses our choice, Malformed if its range is invalid."""
    if len(frame) == len(REFUSAL) and frame[0] == 0:
        check_range(frame[1], frame[2], VERSION)
        raise Refused("the relay refused the choice")


def _mac(relay: bytes, greeting: bytes, choice: bytes, message: bytes) -> bytes:
    data = greeting + choice + message
    return primitives.b2b(data, personal=labels.RELAY_MAC, key=relay, size=MAC_SIZE)
