"""What relays of one cluster agree on: a subject for a token, and sealed frames (SPEC §11.7.7).

Rules: everything comes from the one key that all of them have, so whoever carries their frames and lacks it
reads nothing and adds nothing; a frame opens in its own place in its direction, once, or not at all.
Link bytes are taken from and put into memory of the caller's alone, so that it can zero them.
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
FRAME_BYTES_MAX: Final = 1 << 16
"""Link bytes of one frame."""
NAME_SIZE: Final = 16
BUCKET_BITS: Final = 14
"""Names are asked for by their first bits: so many subjects at most has a relay to listen on."""
FRAME_OVERHEAD: Final = 1 + TAGLEN

_PROLOGUE: Final = b"parlour.relay.cluster.v1"
_nonce: Final = Struct("<IQ").pack


class Kind(IntEnum):
    """What a frame is: its first byte, which is authenticated with the rest."""

    CALL = 0
    """The dialler's relay, once: call the waiter of this place in the offer (u8), answer to this subject."""
    ANSWERED = 1
    """The waiter has answered: the circuit begins."""
    DATA = 2
    """Link bytes."""
    CREDIT = 3
    """So many more bytes may come: u32."""
    FINISHED = 4
    """Nothing more comes from this side's terminal."""
    END = 5
    """The circuit is over: u8, a reason."""
    ALIVE = 6
    """Nothing else was to be said for a while."""


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
    """What the relay's key pair gives its cluster: names of tokens, and handshakes between two relays."""

    __slots__ = ("_pair", "_psk", "_random")

    def __init__(self, pair: X25519Pair, random: Random = system_random) -> None:
        self._pair, self._random = pair, random
        self._psk = primitives.b2b(b"", personal=labels.RELAY_CLUSTER, key=pair.reveal())

    def name(self, token: bytes) -> bytes:
        """What stands for a token (16 bytes) where others can read: 16 bytes that do not lead back."""
        return primitives.b2b(token, personal=labels.RELAY_NAMES, key=self._pair.reveal(), size=NAME_SIZE)

    def fresh_word(self) -> str:
        """26 random characters, for a subject."""
        return base64.b32encode(self._random(NAME_SIZE)).decode("ascii").rstrip("=").lower()

    def handshake(self, name: bytes, *, asking: bool) -> HandshakeState:
        """The beginning of a handshake about a token of this name."""
        return HandshakeState(
            PROTOCOL_NAME, asking, prologue=_PROLOGUE + name, psks=(self._psk,), random=self._random
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}(<redacted>)"


class Sealer:
    """Frames of one direction, in their order."""

    __slots__ = ("_count", "_key")

    def __init__(self, state: CipherState) -> None:
        """Takes the key of a direction over: `state` cannot seal any more."""
        self._key, self._count = state.take_key(), 0

    def seal(self, kind: Kind, data: bytes | memoryview = b"") -> bytes:
        """The next frame: its kind and sealed data. LimitExceeded when the nonces are used up."""
        nonce, first = _next(self._count), bytes((kind,))
        sealed = primitives.chacha_seal_from(self._key, nonce, first, data)
        self._count += 1
        return first + sealed


class Opener:
    """Frames of the other direction, in their order."""

    __slots__ = ("_count", "_key")

    def __init__(self, state: CipherState) -> None:
        """Takes the key of a direction over: `state` cannot open any more."""
        self._key, self._count = state.take_key(), 0

    def open_into(self, frame: bytes, out: memoryview) -> int:
        """Put the data of the next frame into `out`, which has room for `size_of` it; returns its size.

        AuthenticationFailed if it is not the next frame; nothing is then left in `out`.
        """
        first, sealed = frame[:1], frame[1:]
        size = primitives.chacha_open_into(self._key, _next(self._count), first, sealed, out)
        self._count += 1
        return size


def kind_of(frame: bytes) -> Kind:
    """What a frame says it is. Malformed for no kind, and for a size that this kind does not have."""
    try:
        kind = Kind(frame[0]) if frame else None
    except ValueError:
        kind = None
    if kind is None or size_of(frame) not in _SIZES[kind]:
        raise Malformed(f"no frame has {len(frame)} bytes and begins so")
    return kind


def size_of(frame: bytes) -> int:
    """Bytes of data in a frame that `kind_of` took."""
    return len(frame) - FRAME_OVERHEAD


def _next(count: int) -> bytes:
    if count >= NOISE_NONCE_MAX:
        raise LimitExceeded("nonces are used up")
    return _nonce(0, count)


# --- What is said in handshakes and calls ---


def bucket_of(name: bytes) -> str:
    """The subject on which a name is asked for, with others that begin with the same bits."""
    return f"{_ROOT}.ask.{int.from_bytes(name[:4]) >> (32 - BUCKET_BITS):x}"


def all_subjects(relay: str) -> str:
    """What a relay listens on under its own, fresh name."""
    return f"{_ROOT}.to.{relay}.*"


def own_subject(relay: str, name: str) -> str:
    """Where one question, offer or circuit of a relay is answered."""
    return f"{_ROOT}.to.{relay}.{name}"


def read_subject(data: bytes) -> str:
    """A subject of `own_subject`, as another relay names it. Malformed for anything else."""
    text = data.decode("ascii", "replace")
    if not _SUBJECT.fullmatch(text):
        raise Malformed("not the subject of a relay")
    return text


def write_offer(subject: str, ages: Iterable[int]) -> bytes:
    """The answer to a question: for how many milliseconds each waiter has waited, and where to call."""
    waited = [min(max(age, 0), _AGE_MAX) for age in ages][:RELAY_WAITERS_MAX]
    return bytes((len(waited),)) + struct.pack(f">{len(waited)}I", *waited) + subject.encode("ascii")


def read_offer(payload: bytes) -> tuple[list[int], str]:
    """The ages and the subject of an offer, of one waiter at least. Malformed, LimitExceeded."""
    count = payload[0] if payload else 0
    if count > RELAY_WAITERS_MAX:
        raise LimitExceeded(f"an offer of {count} waiters")
    end = 1 + 4 * count
    if not count or len(payload) < end:
        raise Malformed("an offer of nobody")
    return list(struct.unpack(f">{count}I", payload[1:end])), read_subject(payload[end:])
