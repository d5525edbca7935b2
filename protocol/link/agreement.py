"""Payloads of the handshake, and the values and the session that both ends derive from it (SPEC §6.3, §8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Final, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from protocol import labels
from protocol.codec import Codec, Wire, check_ascending, encode
from protocol.errors import LocalMisuse, Malformed
from protocol.keys import X25519Pair
from protocol.limits import HANDSHAKE_PAYLOAD_MAX
from protocol.link.framing import AEADS, Pattern, pad, unpad
from protocol.link.states import LinkOpen, LinkSecret, PairingFacts, Role
from protocol.messages import ContactHello, ContactReply, PairingFinish, PairingReply
from protocol.noise import HandshakeState
from protocol.primitives import Aead, Random, b2b, mlkem_encapsulate
from protocol.ratchet import Parameters, RatchetSession, parlour_parameters

SESSION_ID_SIZE: Final = 16

NOISE_NAMES: Final[Mapping[Pattern, str]] = {
    Pattern.XX: "Noise_XX_25519_ChaChaPoly_BLAKE2b",
    Pattern.XXPSK0: "Noise_XXpsk0_25519_ChaChaPoly_BLAKE2b",
    Pattern.IKPSK2: "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b",
    Pattern.LINKING: "Noise_XX_25519_ChaChaPoly_BLAKE2b",
}
"""The unmodified Noise protocol per pattern (SPEC §6.2)."""

_PARAMETERS: Final[Mapping[int, Parameters]] = {
    number: parlour_parameters(aead) for number, aead in AEADS.items()
}

Encapsulate = Callable[[bytes], tuple[bytes, bytes]]
"""primitives.mlkem_encapsulate. It draws its own randomness, so vectors replace it by a fixed ciphertext."""

StaticDh = MutableMapping[bytes, bytes]
"""Cached DH results of our static key with those of authenticated contacts (SPEC §6.3)."""


class Terms(Struct, frozen=True):
    """Parameters of one handshake, fixed by greeting and choice."""

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
        """The Noise state before its first message."""
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
    """The next handshake message, with the payload encoded and padded."""
    return state.write_message(pad(encode(payload)))


def opened(state: HandshakeState, codec: Codec[W], message: bytes) -> W:
    """The payload of the peer's next handshake message. Errors as in read_message, unpad and Codec.decode."""
    return codec.decode(unpad(state.read_message(message)))


# --- Derived values (SPEC §8) ---


class Established(Struct, frozen=True):
    """A finished but unconfirmed handshake: its session, and the event to emit later."""

    session: RatchetSession
    event: LinkOpen

    @property
    def is_pairing(self) -> bool:
        return self.event.pairing is not None

    def confirmed(self, replaces: bytes, features: Sequence[int]) -> LinkOpen:
        """The event, after the peer is authenticated and has named the link to replace, and its features.

        Malformed unless `replaces` is a session id (16 bytes) or empty, and `features` ascend. A pairing link
        replaces none.
        """
        if len(replaces) not in (0, SESSION_ID_SIZE) or (replaces and self.is_pairing):
            raise Malformed("not the id of a session to replace")
        check_ascending(features)
        return replace(self.event, replaces=replaces)


def one_time_hash(public: bytes) -> bytes:
    """The hash (32 bytes) by which an invitation names its one-time static key (X25519, 32 bytes)."""
    return b2b(public, personal=labels.INVITE_KEY)


def agree(
    handshake_hash: bytes,
    shares: tuple[bytes, bytes],
    kem: tuple[bytes, bytes, bytes],
    ratchet_key: bytes,
    statics: tuple[X25519Pair, bytes],
) -> PairingFacts:
    """S and the other values that both ends agreed on.

    Sizes in bytes: `handshake_hash` 64, `ratchet_key` 32, `shares` of initiator and responder 32 each, `kem`
    key 1184, ciphertext 1088 and secret 32. `statics` are this end's pair and the peer's key (32).
    """
    kem_key, ciphertext, kem_secret = kem
    secret = b2b(shares[0] + shares[1] + handshake_hash, personal=labels.LINK_ROOT, key=kem_secret)
    return PairingFacts(
        handshake_hash, *shares, kem_key, ciphertext, ratchet_key, LinkSecret(secret), *statics
    )


def _session_keys(facts: PairingFacts, initiator: bytes, responder: bytes) -> tuple[bytes, bytes]:
    """Session id (16 bytes) and session root (32) from S and the static keys of both roles (32 each)."""
    key = facts.secret.reveal()
    session_id = b2b(facts.handshake_hash, personal=labels.SESSION_ID, key=key, size=SESSION_ID_SIZE)
    return session_id, b2b(initiator + responder + session_id, personal=labels.SESSION_ROOT, key=key)


def initiator_session(facts: PairingFacts, terms: Terms) -> tuple[bytes, RatchetSession]:
    """Session id and session of the initiator, which sends first."""
    session_id, root = _session_keys(facts, facts.own.public, facts.peer)
    parameters = _PARAMETERS[terms.aead.id]
    return session_id, RatchetSession.init_alice(root, facts.ratchet_key, terms.random, parameters=parameters)


def responder_session(facts: PairingFacts, ratchet: X25519Pair, terms: Terms) -> tuple[bytes, RatchetSession]:
    """Session id and session of the responder, which cannot send before it has received."""
    session_id, root = _session_keys(facts, facts.peer, facts.own.public)
    parameters = _PARAMETERS[terms.aead.id]
    return session_id, RatchetSession.init_bob(root, ratchet, terms.random, parameters=parameters)


def peer_static(state: HandshakeState) -> bytes:
    """The peer's static key, 32 bytes. Each of our patterns transmits it."""
    if state.remote_static is None:
        raise LocalMisuse("the pattern has no static key of the peer")
    return state.remote_static
