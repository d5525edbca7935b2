"""Handshakes made of Noise alone, after the SPEC and not after our link: they say whatever a test wants."""

from __future__ import annotations

from protocol.codec import Wire, encode
from protocol.keys import X25519Pair
from protocol.link.framing import Pattern, pad
from protocol.noise import HandshakeState

NAMES = {
    Pattern.XX: "Noise_XX_25519_ChaChaPoly_BLAKE2b",
    Pattern.XXPSK0: "Noise_XXpsk0_25519_ChaChaPoly_BLAKE2b",
    Pattern.IKPSK2: "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b",
}
GREETING = b"PARLOUR\x00" + bytes((1, 1, 3, 0)) + b"sixteen bytes...."[:16]
CHACHA = 2


def choice(pattern: Pattern, aead: int = CHACHA, version: int = 1) -> bytes:
    """The three bytes that begin an initiator's first frame."""
    return bytes((version, pattern, aead))


def state(
    pattern: Pattern,
    initiator: bool,
    static: X25519Pair,
    *,
    greeting: bytes = GREETING,
    head: bytes | None = None,
    rs: bytes | None = None,
    psk: bytes | None = None,
) -> HandshakeState:
    """A Noise state over the prologue of greeting and choice."""
    head = choice(pattern) if head is None else head
    return HandshakeState(
        NAMES[pattern],
        initiator,
        prologue=b"parlour.link.v1" + greeting + head,
        s=static,
        rs=rs,
        psks=[] if psk is None else [psk],
    )


def payload(message: Wire) -> bytes:
    """A payload as it stands in a handshake message."""
    return pad(encode(message))


class FakePair(X25519Pair):
    """A public key that nobody has the secret of, with whatever DH its bearer claims: zeros, by default."""

    __slots__ = ("claimed",)

    def __init__(self, public: bytes, claimed: dict[bytes, bytes] | None = None) -> None:
        super().__init__(bytes(32))
        self.public = public
        self.claimed = claimed or {}

    def dh(self, public: bytes) -> bytes:
        return self.claimed.get(public, bytes(32))
