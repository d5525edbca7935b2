"""What terminals and relays say to each other before a circuit carries a link (SPEC §11.7.3).

Rules: one size for every message and one for Wait, so that whoever counts bytes learns no number of tokens;
shapes and padding only, no keys; tokens stand ascending, so that their order tells nothing either.

How a connection to a relay begins: its greeting, and the terminal's first frame (SPEC §11.7.2).

Rules: a relay is told from a terminal by the first byte that differs; whoever does not know the relay's key
fails at one hash, before any work with keys; greeting and choice go into the prologue.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from struct import Struct
from typing import Annotated, Final, NamedTuple, Self, TypeVar

from msgspec import Meta

from protocol import labels, primitives
from protocol.codec import Codec, Wire, encode
from protocol.errors import AuthenticationFailed, LocalMisuse, Malformed
from protocol.limits import (
    RELAY_MESSAGE_BYTES,
    RELAY_TOKEN_BYTES,
    RELAY_TOKENS_MAX,
    RELAY_WAIT_BYTES,
    RELAY_WAITERS_MAX,
)
from protocol.link.framing import NoMagic, OtherVersion, Refused, length_of
from protocol.messages import U32
from protocol.noise import DHLEN, TAGLEN

M = TypeVar("M")

LENGTH_SIZE: Final = 2
FROM_RELAY_SIZES: Final = (RELAY_MESSAGE_BYTES,)
FROM_TERMINAL_SIZES: Final = (RELAY_MESSAGE_BYTES, RELAY_WAIT_BYTES)
"""Bytes of a padded message: of all but Wait, and of Wait."""

Token = Annotated[bytes, Meta(min_length=RELAY_TOKEN_BYTES, max_length=RELAY_TOKEN_BYTES)]
Place = Annotated[int, Meta(ge=0, le=RELAY_WAITERS_MAX - 1)]
Reason = Annotated[int, Meta(ge=0, le=1)]


class Welcome(Wire, frozen=True):
    """The relay's clock, in Unix seconds: the payload of its handshake message."""

    time: U32


class Wait(Wire, frozen=True, tag=128):
    """What the terminal waits on from now on, ascending, in place of what it waited on before."""

    tokens: Annotated[list[Token], Meta(min_length=1, max_length=RELAY_TOKENS_MAX)]


class Waiting(Wire, frozen=True, tag=129):
    """The relay's answer to Wait."""


class Alive(Wire, frozen=True, tag=130):
    """A sign of life of a terminal that waits, and the relay's answer."""


class Dial(Wire, frozen=True, tag=131):
    """Asks for whoever waits on a token: the newest at place 0, the one before it at place 1, and so on."""

    token: Token
    place: Place


class Absent(Wire, frozen=True, tag=132):
    """The relay's answer to Dial where nobody waits at that place."""


class Called(Wire, frozen=True, tag=133):
    """Tells a terminal that waits of a dialler, and on which token; it answers, and the circuit begins."""

    token: Token


class Answer(Wire, frozen=True, tag=134):
    """The last message of a terminal that was called."""


class Joined(Wire, frozen=True, tag=135):
    """The relay's last message to a dialler. `others` wait on the token beside the one that was called."""

    others: Place


class End(Wire, frozen=True, tag=136):
    """The relay's last message where it ends a connection. Reasons: SPEC §11.7.4."""

    reason: Reason


FromTerminal = Wait | Alive | Dial | Answer
FromRelay = Waiting | Alive | Absent | Called | Joined | End
RelayMessage = Wait | Waiting | Alive | Dial | Absent | Called | Answer | Joined | End

WELCOME: Final[Codec[Welcome]] = Codec(Welcome, RELAY_MESSAGE_BYTES)
FROM_TERMINAL: Final[Codec[FromTerminal]] = Codec(FromTerminal, RELAY_WAIT_BYTES)
FROM_RELAY: Final[Codec[FromRelay]] = Codec(FromRelay, RELAY_MESSAGE_BYTES)


def pad_message(message: RelayMessage | Welcome) -> bytes:
    """The padded message: 2,320 bytes of Wait, 64 of all others."""
    content, size = encode(message), _size_of(message)
    padded = (len(content).to_bytes(LENGTH_SIZE) + content).ljust(size, b"\x00")
    if len(padded) != size:
        raise LocalMisuse(f"{type(message).__name__} of {len(content)} bytes")
    return padded


def unpad_content(padded: bytes, sizes: tuple[int, ...]) -> bytes:
    """The encoded message in a padded one of these sizes. Malformed if length or filling do not fit."""
    end = LENGTH_SIZE + int.from_bytes(padded[:LENGTH_SIZE])
    if len(padded) not in sizes or end > len(padded) or any(padded[end:]):
        raise Malformed("not a padded message of a relay")
    return padded[LENGTH_SIZE:end]


def read_from_terminal(padded: bytes) -> FromTerminal:
    """A terminal's message. Malformed for what is none, is of another size, or has tokens out of order."""
    return _checked(FROM_TERMINAL.decode(unpad_content(padded, FROM_TERMINAL_SIZES)), len(padded))


def read_from_relay(padded: bytes) -> FromRelay:
    """A relay's message. Malformed for what is none or of another size."""
    return _checked(FROM_RELAY.decode(unpad_content(padded, FROM_RELAY_SIZES)), len(padded))


def read_welcome(padded: bytes) -> Welcome:
    """The payload of a relay's handshake message, padded as messages are. Malformed for what is none."""
    return _checked(WELCOME.decode(unpad_content(padded, FROM_RELAY_SIZES)), len(padded))


def ascending(tokens: list[bytes]) -> bool:
    """Whether each token is higher than the one before: none stands there twice."""
    return all(before < after for before, after in pairwise(tokens))


def _size_of(message: object) -> int:
    return RELAY_WAIT_BYTES if isinstance(message, Wait) else RELAY_MESSAGE_BYTES


def _checked(message: M, size: int) -> M:
    if size != _size_of(message):
        raise Malformed("a message of another one's size")
    if isinstance(message, Wait) and not ascending(message.tokens):
        raise Malformed("tokens that are not ascending")
    return message


MAGIC: Final = b"PARELAY\x00"
VERSION: Final = 1
NK: Final = 16
"""The number of Noise_NK among the patterns of SPEC §6.2: no terminal accepts it, a relay nothing else."""

PROTOCOL_NAME: Final = "Noise_NK_25519_ChaChaPoly_BLAKE2b"
GREETING_SIZE: Final = 28
CHOICE_SIZE: Final = 2
MAC_SIZE: Final = 16
HELLO_SIZE: Final = CHOICE_SIZE + MAC_SIZE + DHLEN + TAGLEN
"""Bytes of the body of the terminal's first frame: choice, MAC, Noise message 1."""

REFUSAL: Final = bytes((0, VERSION, VERSION))
"""Body of the frame that refuses a version or a pattern; no Noise message 2 has its length."""

_PROLOGUE: Final = b"parlour.relay.v1"
_CHOICE: Final = bytes((VERSION, NK))
_FIELDS: Final = Struct(">8sBBH16s")


@dataclass(frozen=True, slots=True)
class RelayGreeting:
    """What a relay says first: the versions it speaks and 16 random bytes."""

    random: bytes

    def encode(self) -> bytes:
        """The 28 bytes of the wire."""
        return _FIELDS.pack(MAGIC, VERSION, VERSION, 0, self.random)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The greeting in 28 bytes.

        NoMagic for what is no relay, OtherVersion if there is no common one, Malformed for an impossible
        range and reserved bytes that are not zero.
        """
        magic, minimum, maximum, reserved, random = _FIELDS.unpack(data)
        check_magic(magic)
        _check_range(minimum, maximum)
        if reserved:
            raise Malformed("not a relay's greeting of this version")
        return cls(random)


class Hello(NamedTuple):
    """The terminal's first frame: its choice (2 bytes) and Noise message 1 (48 bytes)."""

    choice: bytes
    message: bytes


def check_magic(beginning: bytes) -> None:
    """NoMagic unless beginning, the first bytes received, can become a relay's greeting."""
    if not MAGIC.startswith(beginning[: len(MAGIC)]):
        raise NoMagic("no relay's greeting")


def prologue(greeting: bytes, choice: bytes) -> bytes:
    """The Noise prologue: both as they were on the wire (28 and 2 bytes)."""
    return _PROLOGUE + greeting + choice


def own_choice() -> bytes:
    """The 2 bytes that a terminal of this version chooses."""
    return _CHOICE


def write_hello(relay: bytes, greeting: bytes, message: bytes) -> bytes:
    """The terminal's first frame, its length before it, to the relay with this key (32 bytes)."""
    body = _CHOICE + _mac(relay, greeting, _CHOICE, message) + message
    return length_of(body) + body


def read_hello(relay: bytes, greeting: bytes, body: bytes) -> Hello:
    """The parts of the first frame's body, once its MAC shows that the caller knows this relay's key.

    Malformed for no choice, OtherVersion or Refused for a choice of something else, Malformed for another
    size, AuthenticationFailed for another MAC: in this order, and before anything is done with a key.
    """
    if len(body) < CHOICE_SIZE or body[0] == 0:
        raise Malformed("not a choice")
    choice, mac, message = body[:CHOICE_SIZE], body[CHOICE_SIZE:][:MAC_SIZE], body[CHOICE_SIZE + MAC_SIZE :]
    _check_range(body[0], body[0])
    if body[1] != NK:
        raise Refused("a pattern that a relay does not speak")
    if len(body) != HELLO_SIZE:
        raise Malformed(f"a first frame of {len(body)} bytes")
    if not primitives.equal(mac, _mac(relay, greeting, choice, message)):
        raise AuthenticationFailed("the caller does not know the relay's key")
    return Hello(choice, message)


def check_refusal(frame: bytes) -> None:
    """Refused or OtherVersion if frame, which answers a choice, refuses it; Malformed if it is senseless."""
    if len(frame) == len(REFUSAL) and frame[0] == 0:
        _check_range(frame[1], frame[2])
        raise Refused("the relay does not go on")


def _mac(relay: bytes, greeting: bytes, choice: bytes, message: bytes) -> bytes:
    data = greeting + choice + message
    return primitives.b2b(data, personal=labels.RELAY_MAC, key=relay, size=MAC_SIZE)


def _check_range(minimum: int, maximum: int) -> None:
    if not 1 <= minimum <= maximum:
        raise Malformed("not a range of versions")
    if not minimum <= VERSION <= maximum:
        raise OtherVersion(minimum, maximum)
