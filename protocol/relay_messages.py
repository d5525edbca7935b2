"""What terminals and relays say to each other before a circuit carries a link (SPEC §11.7.3).

Rules: one size for every message and one for Wait, so that whoever counts bytes learns no number of tokens;
shapes and padding only, no keys; tokens stand ascending, so that their order tells nothing either.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Final, TypeVar

from msgspec import Meta

from protocol.codec import Codec, Wire, encode
from protocol.errors import LocalMisuse, Malformed
from protocol.limits import (
    RELAY_MESSAGE_BYTES,
    RELAY_TOKEN_BYTES,
    RELAY_TOKENS_MAX,
    RELAY_WAIT_BYTES,
    RELAY_WAITERS_MAX,
)
from protocol.messages import U32

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
