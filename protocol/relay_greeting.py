"""How a connection to a relay begins: its greeting, and the terminal's first frame (SPEC §11.7.2).

Rules: a relay is told from a terminal by the first byte that differs; whoever does not know the relay's key
fails at one hash, before any work with keys; greeting and choice go into the prologue.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Final, NamedTuple, Self

from protocol import labels, primitives
from protocol.errors import AuthenticationFailed, Malformed
from protocol.frames import length_of
from protocol.greeting import NoMagic, OtherVersion, Refused
from protocol.noise import DHLEN, TAGLEN

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
