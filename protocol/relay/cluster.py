"""Subjects, names of tokens and encrypted frames of a cluster of relays that share one key (SPEC §24).

A frame opens once, in its position in its direction. Link bytes stay in memory that the caller zeroes.
"""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Iterable
from enum import IntEnum
from struct import Struct
from typing import Final

from protocol import labels, primitives
from protocol.errors import LimitExceeded, Malformed
from protocol.keys import X25519Pair
from protocol.limits import NOISE_NONCE_MAX, RELAY_WAITERS_MAX
from protocol.noise import TAGLEN, CipherState, HandshakeState
from protocol.primitives import Random, system_random

PROTOCOL_NAME: Final = "Noise_NNpsk0_25519_ChaChaPoly_BLAKE2b"
FRAME_BYTES_MAX: Final = 1 << 16  # link bytes of one frame
NAME_SIZE: Final = 16
BUCKET_BITS: Final = 14
"""Names share a subject by their first bits, so a relay listens on at most 2^14 subjects."""
FRAME_OVERHEAD: Final = 1 + TAGLEN

_PROLOGUE: Final = b"parlour.relay.cluster.v1"
_nonce: Final = Struct("<IQ").pack


class Kind(IntEnum):
    """Kind of a frame: its first byte, which is authenticated."""

    CALL = 0  # from the dialler's relay, once: call the waiter at this place (u8), and reply to this subject
    ANSWERED = 1  # the waiter answered, and the circuit begins
    DATA = 2  # link bytes
    CREDIT = 3  # number of further bytes that may be sent: u32
    FINISHED = 4  # the terminal on this side sends nothing more
    END = 5  # the circuit ended: reason, u8
    ALIVE = 6  # keepalive


_ROOT: Final = "parlour.relay.v1"
_SUBJECT: Final = re.compile(re.escape(_ROOT) + r"\.to\.[a-z2-7]{26}\.[a-z2-7]{26}")
_SUBJECT_MAX: Final = 128
_AGE_MAX: Final = 0xFFFF_FFFF
_SIZES: Final = {
    Kind.CALL: range(2, _SUBJECT_MAX),
    Kind.ANSWERED: range(1),
    Kind.DATA: range(1, FRAME_BYTES_MAX + 1),
    Kind.CREDIT: range(4, 5),
    Kind.FINISHED: range(1),
    Kind.END: range(1, 2),
    Kind.ALIVE: range(1),
}


class ClusterKeys:
    """Names of tokens and handshakes between relays, derived from the shared key pair."""

    __slots__ = ("_pair", "_psk", "_random")

    def __init__(self, pair: X25519Pair, random: Random = system_random) -> None:
        self._pair, self._random = pair, random
        self._psk = primitives.b2b(b"", personal=labels.RELAY_CLUSTER, key=pair.reveal())

    def name(self, token: bytes) -> bytes:
        """The public name, 16 bytes, of a token (16 bytes). The token cannot be computed from it."""
        return primitives.b2b(token, personal=labels.RELAY_NAMES, key=self._pair.reveal(), size=NAME_SIZE)

    def fresh_word(self) -> str:
        """26 random characters for a subject."""
        return base64.b32encode(self._random(NAME_SIZE)).decode("ascii").rstrip("=").lower()

    def handshake(self, name: bytes, *, asking: bool) -> HandshakeState:
        """A handshake about the token with this name."""
        return HandshakeState(
            PROTOCOL_NAME, asking, prologue=_PROLOGUE + name, psks=(self._psk,), random=self._random
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(<redacted>)"


class Sealer:
    """Encrypts the frames of one direction in order."""

    __slots__ = ("_count", "_key")

    def __init__(self, state: CipherState) -> None:
        """Takes the key out of `state`, which cannot encrypt any more."""
        self._key, self._count = state.take_key(), 0

    def seal(self, kind: Kind, data: bytes | memoryview = b"") -> bytes:
        """The next frame: kind and encrypted data. LimitExceeded when the nonces are used up."""
        nonce, first = _next(self._count), bytes((kind,))
        sealed = primitives.chacha_seal_from(self._key, nonce, first, data)
        self._count += 1
        return first + sealed


class Opener:
    """Decrypts the frames of the other direction in order."""

    __slots__ = ("_count", "_key")

    def __init__(self, state: CipherState) -> None:
        """Takes the key out of `state`, which cannot decrypt any more."""
        self._key, self._count = state.take_key(), 0

    def open_into(self, frame: bytes, out: memoryview) -> int:
        """Decrypt the next frame into `out`, which needs room for `size_of` it. Returns the size.

        AuthenticationFailed if it is not the next frame; `out` then contains no plaintext.
        """
        first, sealed = frame[:1], frame[1:]
        size = primitives.chacha_open_into(self._key, _next(self._count), first, sealed, out)
        self._count += 1
        return size


def kind_of(frame: bytes) -> Kind:
    """The kind of a frame. Malformed for an unknown kind or a size that this kind cannot have."""
    try:
        kind = Kind(frame[0]) if frame else None
    except ValueError:
        kind = None
    if kind is None or size_of(frame) not in _SIZES[kind]:
        raise Malformed(f"no frame of this kind has {len(frame)} bytes")
    return kind


def size_of(frame: bytes) -> int:
    """Bytes of data in a frame that `kind_of` has accepted."""
    return len(frame) - FRAME_OVERHEAD


def _next(count: int) -> bytes:
    if count >= NOISE_NONCE_MAX:
        raise LimitExceeded("nonces are used up")
    return _nonce(0, count)


# --- Subjects, and payloads of handshakes ---


def bucket_of(name: bytes) -> str:
    """The subject for questions about a name, shared by all names with the same first bits."""
    return f"{_ROOT}.ask.{int.from_bytes(name[:4]) >> (32 - BUCKET_BITS):x}"


def all_subjects(relay: str) -> str:
    """The subject pattern on which a relay with this random name listens."""
    return f"{_ROOT}.to.{relay}.*"


def own_subject(relay: str, name: str) -> str:
    """The subject for replies to one question, offer or circuit of a relay."""
    return f"{_ROOT}.to.{relay}.{name}"


def read_subject(data: bytes) -> str:
    """Parse a subject of `own_subject`. Malformed for anything else."""
    text = data.decode("ascii", "replace")
    if not _SUBJECT.fullmatch(text):
        raise Malformed("not the subject of a relay")
    return text


def write_offer(subject: str, ages: Iterable[int]) -> bytes:
    """The answer to a question: the waiting times in milliseconds, and the subject for a call."""
    waited = [min(max(age, 0), _AGE_MAX) for age in ages][:RELAY_WAITERS_MAX]
    return bytes((len(waited),)) + struct.pack(f">{len(waited)}I", *waited) + subject.encode("ascii")


def read_offer(payload: bytes) -> tuple[list[int], str]:
    """Waiting times and subject of an offer with at least one waiter. Errors: Malformed, LimitExceeded."""
    count = payload[0] if payload else 0
    if count > RELAY_WAITERS_MAX:
        raise LimitExceeded(f"an offer of {count} waiters")
    end = 1 + 4 * count
    if not count or len(payload) < end:
        raise Malformed("an offer without waiters")
    return list(struct.unpack(f">{count}I", payload[1:end])), read_subject(payload[end:])
