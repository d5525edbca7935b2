"""The Noise Protocol Framework, revision 34, with 25519 and ChaChaPoly, named as in Noise §5 (SPEC §6)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from struct import Struct
from typing import Final, NamedTuple, Self

from protocol import primitives
from protocol.errors import LimitExceeded, LocalMisuse, Malformed, Unexpected
from protocol.keys import X25519Pair
from protocol.limits import NOISE_MESSAGE_MAX, NOISE_NONCE_MAX
from protocol.noise_patterns import Protocol, parse_name
from protocol.primitives import Random, system_random

DHLEN: Final = 32
TAGLEN: Final = 16
PSKLEN: Final = 32

_nonce_bytes: Final = Struct("<IQ").pack

# --- CipherState (Noise §5.1) ---


class CipherState:
    """A key k (32 bytes, or None) and a nonce n that only increases."""

    __slots__ = ("_k", "_n")

    def __init__(self, key: bytes | None = None) -> None:
        self._k = key
        self._n = 0

    def has_key(self) -> bool:
        """Whether k is set. Without a key, data is not encrypted."""
        return self._k is not None

    def set_nonce(self, nonce: int) -> None:
        """Set n, 0 to 2^64-1."""
        self._n = nonce

    def encrypt_with_ad(self, ad: bytes, plaintext: bytes) -> bytes:
        """The ciphertext, 16 bytes longer if there is a key. LimitExceeded when the nonces are used up."""
        if self._k is None:
            return plaintext
        ciphertext = primitives.chacha_seal(self._k, self._nonce(), ad, plaintext)
        self._n += 1
        return ciphertext

    def decrypt_with_ad(self, ad: bytes, ciphertext: bytes) -> bytes:
        """The plaintext. AuthenticationFailed leaves n unchanged. LimitExceeded when nonces are used up."""
        if self._k is None:
            return ciphertext
        plaintext = primitives.chacha_open(self._k, self._nonce(), ad, ciphertext)
        self._n += 1
        return plaintext

    def take_key(self) -> bytes:
        """Remove and return k, for a caller that continues from nonce 0 with its own buffers.

        LocalMisuse without a key, and after the state has sealed or opened anything.
        """
        key, self._k = self._k, None
        if key is None or self._n:
            raise LocalMisuse("there is no unused key to take")
        return key

    def _nonce(self) -> bytes:
        # "If incrementing n results in 2^64-1, then any further calls signal an error" (Noise §5.1).
        if self._n >= NOISE_NONCE_MAX:
            raise LimitExceeded("Noise nonces are used up")
        return _nonce_bytes(0, self._n)

    def fork(self) -> CipherState:
        """An independent copy."""
        copy = CipherState(self._k)
        copy._n = self._n
        return copy

    def __repr__(self) -> str:
        return f"CipherState(n={self._n}, k=<redacted>)"


# --- SymmetricState (Noise §5.2) ---


class SymmetricState:
    """A cipher state, the chaining key ck and the transcript hash h (HASHLEN bytes each)."""

    __slots__ = ("_cipher", "_ck", "_hash", "h")

    def __init__(self, protocol: Protocol) -> None:
        name, self._hash = protocol.name.encode("ascii"), protocol.hash
        short = len(name) <= self._hash.hashlen
        self.h = name.ljust(self._hash.hashlen, b"\x00") if short else self._hash.digest(name)
        self._ck = self.h
        self._cipher = CipherState()

    def has_key(self) -> bool:
        """Whether encrypt_and_hash encrypts."""
        return self._cipher.has_key()

    def mix_key(self, input_key_material: bytes) -> None:
        self._ck, temp_k = self._hash.hkdf(self._ck, input_key_material, 2)
        self._cipher = CipherState(temp_k[:32])

    def mix_hash(self, data: bytes) -> None:
        self.h = self._hash.digest(self.h + data)

    def mix_key_and_hash(self, input_key_material: bytes) -> None:
        self._ck, temp_h, temp_k = self._hash.hkdf(self._ck, input_key_material, 3)
        self.mix_hash(temp_h)
        self._cipher = CipherState(temp_k[:32])

    def encrypt_and_hash(self, plaintext: bytes) -> bytes:
        ciphertext = self._cipher.encrypt_with_ad(self.h, plaintext)
        self.mix_hash(ciphertext)
        return ciphertext

    def decrypt_and_hash(self, ciphertext: bytes) -> bytes:
        """DecryptAndHash; AuthenticationFailed if not authentic."""
        plaintext = self._cipher.decrypt_with_ad(self.h, ciphertext)
        self.mix_hash(ciphertext)
        return plaintext

    def split(self) -> tuple[CipherState, CipherState]:
        """Split: the sending states of initiator and responder. ck and k are dropped, h remains."""
        first, second = self._hash.hkdf(self._ck, b"", 2)
        self._ck, self._cipher = b"", CipherState()
        return CipherState(first[:32]), CipherState(second[:32])

    def fork(self) -> SymmetricState:
        """An independent copy."""
        copy = object.__new__(SymmetricState)
        copy._hash, copy._ck, copy.h, copy._cipher = self._hash, self._ck, self.h, self._cipher.fork()
        return copy


# --- HandshakeState (Noise §5.3) ---


class Finished(NamedTuple):
    """Result of a handshake: cipher states for sending and receiving, and the handshake hash."""

    send: CipherState
    receive: CipherState
    handshake_hash: bytes


_DH: Final[Mapping[tuple[str, bool], tuple[str, str]]] = {
    ("ee", True): ("e", "re"),
    ("ee", False): ("e", "re"),
    ("es", True): ("e", "rs"),
    ("es", False): ("s", "re"),
    ("se", True): ("s", "re"),
    ("se", False): ("e", "rs"),
    ("ss", True): ("s", "rs"),
    ("ss", False): ("s", "rs"),
}
"""(token, initiator) to (own pair, their public key): the table of Noise §5.3."""


class HandshakeState:
    """One side of a handshake. A read or write that fails leaves it unchanged.

    `psks` are used in the order of the psk tokens. They may be added later through `fork`. `static_dh` may
    contain results of DH(s, rs) by rs, for the token ss. LocalMisuse without a key, and out of turn.
    """

    __slots__ = (
        "_e", "_initiator", "_position", "_protocol", "_psk_position", "_psks",
        "_random", "_re", "_rs", "_s", "_static_dh", "_symmetric",
    )  # fmt: skip

    def __init__(
        self,
        protocol_name: str,
        initiator: bool,
        *,
        prologue: bytes = b"",
        s: X25519Pair | None = None,
        rs: bytes | None = None,
        psks: Sequence[bytes] = (),
        static_dh: Mapping[bytes, bytes] | None = None,
        random: Random = system_random,
    ) -> None:
        """Initialize of Noise §5.3. Malformed if a known `rs` is not canonical."""
        self._protocol = parse_name(protocol_name)
        self._initiator, self._random = initiator, random
        if rs is not None:
            primitives.check_x25519_public(rs)
        self._s, self._rs = s, rs
        self._e: X25519Pair | None = None
        self._re: bytes | None = None
        self._psks, self._psk_position = _checked_psks(psks), 0
        self._static_dh: Mapping[bytes, bytes] = static_dh or {}
        self._position = 0
        self._symmetric = SymmetricState(self._protocol)
        self._symmetric.mix_hash(prologue)
        for known, own in (
            (self._protocol.initiator_known, initiator),
            (self._protocol.responder_known, not initiator),
        ):
            if known and own:
                self._symmetric.mix_hash(self._static_pair().public)
            elif known:
                if rs is None:
                    raise LocalMisuse("the handshake needs the public key rs")
                self._symmetric.mix_hash(rs)

    @property
    def remote_static(self) -> bytes | None:
        """The peer's static public key, 32 bytes, once known."""
        return self._rs

    @property
    def handshake_hash(self) -> bytes:
        """h, HASHLEN bytes, which binds to the transcript so far. It is not secret."""
        return self._symmetric.h

    @property
    def finished(self) -> bool:
        """Whether all messages have passed, so that `finish` is due."""
        return self._position == len(self._protocol.messages)

    def fork(self, psks: Sequence[bytes] | None = None) -> Self:
        """An independent copy, with other psks if given, to try several on one message."""
        copy = object.__new__(type(self))
        for name in HandshakeState.__slots__:
            setattr(copy, name, getattr(self, name))
        copy._symmetric = self._symmetric.fork()
        if psks is not None:
            copy._psks = _checked_psks(psks)
        return copy

    def write_message(self, payload: bytes = b"") -> bytes:
        """WriteMessage: the next message with payload.

        AuthenticationFailed for a low-order key of the peer. LocalMisuse out of turn or over 65,535 bytes.
        """
        with self._turn(ours=True) as tokens:
            message = b"".join([self._write_token(token) for token in tokens])
            message += self._symmetric.encrypt_and_hash(payload)
            if len(message) > NOISE_MESSAGE_MAX:
                raise LocalMisuse(f"Noise message of {len(message)} bytes")
            return message

    def read_message(self, message: bytes) -> bytes:
        """ReadMessage: the payload of the peer's next message.

        AuthenticationFailed if it does not open or a key is of low order. Malformed if it is shorter than its
        keys or one is not canonical. Unexpected for our own ephemeral key. LimitExceeded over 65,535 bytes.
        """
        with self._turn(ours=False) as tokens:
            if len(message) > NOISE_MESSAGE_MAX:
                raise LimitExceeded(f"Noise message of {len(message)} bytes")
            rest = message
            for token in tokens:
                rest = self._read_token(token, rest)
            return self._symmetric.decrypt_and_hash(rest)

    def finish(self) -> Finished:
        """Split. No further call is possible. LocalMisuse unless `finished`."""
        if not self.finished:
            raise LocalMisuse("the handshake is not finished")
        first, second = self._symmetric.split()
        self._e, self._psks, self._static_dh = None, (), {}
        self._position += 1
        return Finished(*(first, second) if self._initiator else (second, first), self.handshake_hash)

    @contextmanager
    def _turn(self, *, ours: bool) -> Iterator[Sequence[str]]:
        """The tokens of the next message. A failure leaves the state unchanged. LocalMisuse out of turn."""
        position = self._position
        if position >= len(self._protocol.messages) or ((position % 2 == 0) == self._initiator) != ours:
            raise LocalMisuse("not the turn for this handshake message")
        before = self._e, self._re, self._rs, self._psk_position, self._symmetric
        self._symmetric = self._symmetric.fork()
        try:
            yield self._protocol.messages[position]
        except BaseException:
            self._e, self._re, self._rs, self._psk_position, self._symmetric = before
            raise
        self._position += 1

    def _write_token(self, token: str) -> bytes:
        if token == "e":
            self._e = X25519Pair.generate(self._random)
            self._mix_ephemeral(self._e.public)
            return self._e.public
        if token == "s":
            return self._symmetric.encrypt_and_hash(self._static_pair().public)
        self._mix_token(token)
        return b""

    def _read_token(self, token: str, message: bytes) -> bytes:
        """Process one token of a received message, and return the rest of the message."""
        if token == "e":
            self._re, rest = self._take(message, DHLEN)
            if self._e is not None and self._re == self._e.public:
                raise Unexpected("our own ephemeral key came back")
            primitives.check_x25519_public(self._re)
            self._mix_ephemeral(self._re)
            return rest
        if token == "s":
            sealed, rest = self._take(message, DHLEN + TAGLEN if self._symmetric.has_key() else DHLEN)
            self._rs = self._symmetric.decrypt_and_hash(sealed)
            primitives.check_x25519_public(self._rs)
            return rest
        self._mix_token(token)
        return message

    def _take(self, message: bytes, size: int) -> tuple[bytes, bytes]:
        if len(message) < size:
            raise Malformed("Noise message is shorter than its keys")
        return message[:size], message[size:]

    def _mix_ephemeral(self, public: bytes) -> None:
        self._symmetric.mix_hash(public)
        # "In any handshake modified by psk, MixKey(e.public_key) follows" (Noise §9.2).
        if self._protocol.psk:
            self._symmetric.mix_key(public)

    def _mix_token(self, token: str) -> None:
        if token != "psk":
            self._symmetric.mix_key(self._dh(token))
            return
        if self._psk_position == len(self._psks):
            raise LocalMisuse("the handshake needs another psk")
        self._psk_position += 1
        self._symmetric.mix_key_and_hash(self._psks[self._psk_position - 1])

    def _dh(self, token: str) -> bytes:
        own, theirs = _DH[token, self._initiator]
        pair = self._e if own == "e" else self._s
        public = self._re if theirs == "re" else self._rs
        if pair is None or public is None:
            raise LocalMisuse(f"the handshake lacks a key for {token}")
        if token == "ss" and (kept := self._static_dh.get(public)) is not None:
            return kept
        return pair.dh(public)

    def _static_pair(self) -> X25519Pair:
        if self._s is None:
            raise LocalMisuse("the handshake needs the key pair s")
        return self._s

    def __repr__(self) -> str:
        role = "initiator" if self._initiator else "responder"
        return f"HandshakeState({self._protocol.name}, {role}, message {self._position})"


def _checked_psks(psks: Sequence[bytes]) -> tuple[bytes, ...]:
    if psks and any(len(psk) != PSKLEN for psk in psks):
        raise LocalMisuse(f"a psk has {PSKLEN} bytes")
    return tuple(psks)
