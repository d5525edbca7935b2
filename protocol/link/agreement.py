"""What both ends of a handshake share: payloads, what they agree on, the session (SPEC §6.3, §8).

Rules: every hash and every order of inputs stands here once, for both roles.
S and the session root never leave but inside types that print nothing of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from protocol import labels
from protocol.codec import Codec, Wire, encode
from protocol.errors import LocalMisuse, Malformed
from protocol.keys import X25519Pair
from protocol.limits import HANDSHAKE_PAYLOAD_MAX
from protocol.link.framing import AEADS, Pattern, pad, unpad
from protocol.link.states import LinkOpen, LinkSecret, PairingFacts, Role
from protocol.messages import ContactHello, ContactReply, PairingFinish, PairingReply, ShareNumbers
from protocol.noise import HandshakeState
from protocol.primitives import Aead, Random, b2b, mlkem_encapsulate
from protocol.ratchet import Parameters, RatchetSession, parlour_parameters

SESSION_ID_SIZE: Final = 16

NOISE_NAMES: Final[Mapping[Pattern, str]] = {
    Pattern.XX: "Noise_XX_25519_ChaChaPoly_BLAKE2b",
    Pattern.XXPSK0: "Noise_XXpsk0_25519_ChaChaPoly_BLAKE2b",
    Pattern.IKPSK2: "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b",
}
"""The unmodified Noise protocol of each pattern (SPEC §6.2)."""

_PARAMETERS: Final[Mapping[int, Parameters]] = {
    number: parlour_parameters(aead) for number, aead in AEADS.items()
}

Encapsulate = Callable[[bytes], tuple[bytes, bytes]]
"""primitives.mlkem_encapsulate, which draws its own randomness; vectors give a ciphertext made before."""

StaticDh = MutableMapping[bytes, bytes]
"""DH of our static key with those of authenticated contacts: constant, so kept (SPEC §6.3)."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What greeting and choice fixed for one handshake."""

    pattern: Pattern
    aead: Aead
    prologue: bytes
    random: Random
    encapsulate: Encapsulate = mlkem_encapsulate

    def state(
        self,
        role: Role,
        static: X25519Pair,
        *,
        rs: bytes | None = None,
        psks: Sequence[bytes] = (),
        static_dh: StaticDh | None = None,
    ) -> HandshakeState:
        """The Noise state at its first message."""
        return HandshakeState(
            NOISE_NAMES[self.pattern],
            role is Role.INITIATOR,
            prologue=self.prologue,
            s=static,
            rs=rs,
            psks=psks,
            static_dh=static_dh,
            random=self.random,
        )


# --- Payloads (SPEC §6.3) ---

CONTACT_HELLO: Final[Codec[ContactHello]] = Codec(ContactHello, HANDSHAKE_PAYLOAD_MAX)
CONTACT_REPLY: Final[Codec[ContactReply]] = Codec(ContactReply, HANDSHAKE_PAYLOAD_MAX)
PAIRING_REPLY: Final[Codec[PairingReply]] = Codec(PairingReply, HANDSHAKE_PAYLOAD_MAX)
PAIRING_FINISH: Final[Codec[PairingFinish]] = Codec(PairingFinish, HANDSHAKE_PAYLOAD_MAX)

W = TypeVar("W", bound=Wire)


def sealed(state: HandshakeState, payload: Wire) -> bytes:
    """The next handshake message, with payload encoded and padded."""
    return state.write_message(pad(encode(payload)))


def opened(state: HandshakeState, codec: Codec[W], message: bytes) -> W:
    """The payload of the peer's next handshake message. Errors: read_message, unpad, Codec.decode."""
    return codec.decode(unpad(state.read_message(message)))


def check_numbers(numbers: ShareNumbers) -> None:
    """Malformed unless both lists are newest first and begin at 1: a responder relies on their order."""
    for held in (numbers.own, numbers.theirs):
        if held[-1] == 0 or held != sorted(set(held), reverse=True):
            raise Malformed("share numbers are not newest first")


# --- What a handshake gives (SPEC §8) ---


@dataclass(frozen=True, slots=True)
class Established:
    """A finished handshake: its session, and the event that will tell of it; yet to be confirmed.

    `static_dh` is where the DH of `static` with the peer is kept, if anywhere.
    """

    session: RatchetSession
    event: LinkOpen
    static: X25519Pair | None = None
    static_dh: StaticDh | None = None

    @property
    def is_pairing(self) -> bool:
        """Whether the link is for pairing, and not with a contact."""
        return self.event.pairing is not None

    def confirmed(self, replaces: bytes) -> LinkOpen:
        """The event, now that the peer is authenticated and has named what the link replaces.

        Malformed unless that is a session id (16 bytes) or empty; pairing replaces nothing.
        """
        if len(replaces) not in (0, SESSION_ID_SIZE) or (replaces and self.is_pairing):
            raise Malformed("not the id of a session to replace")
        self._keep_static_dh()
        return replace(self.event, replaces=replaces)

    def _keep_static_dh(self) -> None:
        # Not before: a stranger chooses its static key, and could fill the memory with them.
        peer, kept = self.event.peer_static, self.static_dh
        if self.static is not None and kept is not None and peer not in kept:
            kept[peer] = self.static.dh(peer)


def agree(
    handshake_hash: bytes, shares: tuple[bytes, bytes], kem: tuple[bytes, bytes, bytes], ratchet_key: bytes
) -> PairingFacts:
    """All that both ends now know, with S. Sizes in bytes: hash 64, ratchet key 32.

    `shares`: the initiator's and the responder's, 32 each. `kem`: key 1184, ciphertext 1088, secret 32.
    """
    kem_key, ciphertext, kem_secret = kem
    secret = b2b(shares[0] + shares[1] + handshake_hash, personal=labels.LINK_ROOT, key=kem_secret)
    return PairingFacts(handshake_hash, *shares, kem_key, ciphertext, ratchet_key, LinkSecret(secret))


def _session_keys(facts: PairingFacts, initiator: bytes, responder: bytes) -> tuple[bytes, bytes]:
    """Session id (16 bytes) and session root (32) from S and both static keys (32 each), in this order."""
    key = facts.secret.reveal()
    session_id = b2b(facts.handshake_hash, personal=labels.SESSION_ID, key=key, size=SESSION_ID_SIZE)
    return session_id, b2b(initiator + responder + session_id, personal=labels.SESSION_ROOT, key=key)


def initiator_session(
    facts: PairingFacts, own: bytes, peer: bytes, terms: Terms
) -> tuple[bytes, RatchetSession]:
    """Session id and session of the initiator, who sends first. Static keys: own and peer, 32 bytes each."""
    session_id, root = _session_keys(facts, own, peer)
    parameters = _PARAMETERS[terms.aead.id]
    return session_id, RatchetSession.init_alice(root, facts.ratchet_key, terms.random, parameters=parameters)


def responder_session(
    facts: PairingFacts, own: X25519Pair, peer: bytes, ratchet: X25519Pair, terms: Terms
) -> tuple[bytes, RatchetSession]:
    """Session id and session of the responder, who cannot send before it has received."""
    session_id, root = _session_keys(facts, peer, own.public)
    parameters = _PARAMETERS[terms.aead.id]
    return session_id, RatchetSession.init_bob(root, ratchet, terms.random, parameters=parameters)


def peer_static(state: HandshakeState) -> bytes:
    """The peer's static key, 32 bytes, which each of our patterns tells by its last message."""
    if state.remote_static is None:
        raise LocalMisuse("the pattern has told no static key")
    return state.remote_static
