"""How a link begins, before any cryptography: greeting, choice, refusal (SPEC §5.1).

Rules: bytes and numbers only, no keys; greeting and choice go into the prologue as they were on the wire,
so whoever alters one bit of them ends the handshake. The version is looked at before any other field.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import Final, Self

from protocol.errors import Malformed, Unexpected
from protocol.primitives import AEGIS256, CHACHA20POLY1305, Aead

MAGIC: Final = b"PARLOUR\x00"
VERSION: Final = 1
GREETING_SIZE: Final = 28
GREETING_RANDOM_SIZE: Final = 16
CHOICE_SIZE: Final = 3
REFUSAL_SIZE: Final = 3
REFUSAL: Final = bytes((0, VERSION, VERSION))
"""Body of the frame that refuses a choice; no choice and no Noise message begins with its first byte."""

_PROLOGUE: Final = b"parlour.link.v1"
_FIELDS: Final = Struct(">8sBBBB16s")

AEADS: Final[Mapping[int, Aead]] = {aead.id: aead for aead in (AEGIS256, CHACHA20POLY1305)}
"""Payload AEADs by their number on the wire; number n is bit n-1 of the greeting's mask."""


class Pattern(IntEnum):
    """The handshake patterns by their number on the wire (SPEC §6.2)."""

    XX = 1
    XXPSK0 = 2
    IKPSK2 = 3


_PATTERNS: Final[Mapping[int, Pattern]] = {pattern.value: pattern for pattern in Pattern}


class NoMagic(Malformed):
    """What answers is not Parlour."""


class OtherVersion(Unexpected):
    """No common version: the other side speaks `minimum` to `maximum`."""

    def __init__(self, minimum: int, maximum: int) -> None:
        super().__init__(f"versions {minimum} to {maximum}")
        self.minimum, self.maximum = minimum, maximum


class Refused(Unexpected):
    """A choice that is not accepted here and now; the one answer to all of them is REFUSAL."""


def _bit(aead: Aead) -> int:
    return 1 << (aead.id - 1)


def _check_range(minimum: int, maximum: int) -> None:
    """Malformed unless a range of versions, OtherVersion unless ours is in it."""
    if not 1 <= minimum <= maximum:
        raise Malformed("not a range of versions")
    if not minimum <= VERSION <= maximum:
        raise OtherVersion(minimum, maximum)


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a responder says first: the mask of its payload AEADs and 16 random bytes."""

    aeads: int
    random: bytes

    @classmethod
    def new(cls, random: bytes, aes: bool) -> Self:
        """A greeting with fresh random bytes; AEGIS-256 is offered only where there are AES instructions."""
        return cls(_bit(CHACHA20POLY1305) | (_bit(AEGIS256) if aes else 0), random)

    def encode(self) -> bytes:
        """The 28 bytes of the wire."""
        return _FIELDS.pack(MAGIC, VERSION, VERSION, self.aeads, 0, self.random)

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """The greeting in 28 bytes that begin with the magic.

        OtherVersion if there is no common one; Malformed for an impossible range, a reserved byte that is not
        zero, and a mask without ChaCha20-Poly1305, which everybody has.
        """
        _, minimum, maximum, aeads, reserved, random = _FIELDS.unpack(data)
        _check_range(minimum, maximum)
        if reserved or not aeads & _bit(CHACHA20POLY1305):
            raise Malformed("not a greeting of this version")
        return cls(aeads, random)

    def best_aead(self, aes: bool) -> Aead:
        """AEGIS-256 where both ends have AES instructions, else ChaCha20-Poly1305."""
        return AEGIS256 if aes and self.offers(AEGIS256) else CHACHA20POLY1305

    def offers(self, aead: Aead) -> bool:
        """Whether the mask names aead."""
        return bool(self.aeads & _bit(aead))


def check_magic(beginning: bytes) -> None:
    """NoMagic unless beginning, the first bytes received, can become a greeting."""
    if not MAGIC.startswith(beginning[: len(MAGIC)]):
        raise NoMagic("no greeting")


@dataclass(frozen=True, slots=True)
class Choice:
    """What the initiator takes of the greeting; its 3 bytes begin the initiator's first frame."""

    pattern: Pattern
    aead: Aead

    def encode(self) -> bytes:
        """The 3 bytes of the wire."""
        return bytes((VERSION, self.pattern, self.aead.id))

    @classmethod
    def decode(cls, frame: bytes, greeting: Greeting) -> Self:
        """The choice that begins a frame, if greeting allows it.

        Malformed for too few bytes, OtherVersion, or Refused for a number that is not in the greeting.
        """
        if len(frame) < CHOICE_SIZE or frame[0] == 0:
            raise Malformed("not a choice")
        version, pattern, number = frame[:CHOICE_SIZE]
        _check_range(version, version)
        aead = AEADS.get(number)
        known = _PATTERNS.get(pattern)
        if known is None or aead is None or not greeting.offers(aead):
            raise Refused("a choice that was not offered")
        return cls(known, aead)


def check_refusal(frame: bytes) -> None:
    """Refused or OtherVersion if frame, which answers a choice, refuses it; Malformed if it is senseless."""
    if len(frame) == REFUSAL_SIZE and frame[0] == 0:
        _check_range(frame[1], frame[2])
        raise Refused("the other side does not go on")


def prologue(greeting: bytes, choice: bytes) -> bytes:
    """The Noise prologue: both as they were on the wire (28 and 3 bytes)."""
    return _PROLOGUE + greeting + choice
