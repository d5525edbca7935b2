"""Ends of links made of Noise and formulas alone: they say whatever a vector needs, right or wrong.

Rules: written after SPEC §6 and §8 and not with protocol/link.py, so that both must agree byte for byte;
randomness is the inputs', as in links_inputs.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocol import labels
from protocol.codec import Wire, encode
from protocol.frames import LAST, pad
from protocol.keys import X25519Pair
from protocol.messages import (
    Confirm,
    ContactHello,
    ContactReply,
    Message,
    PairingFinish,
    PairingReply,
    ShareNumbers,
)
from protocol.noise import HandshakeState
from protocol.primitives import AEGIS256, CHACHA20POLY1305, Aead, b2b, mlkem_from_seed
from protocol.ratchet import RatchetSession, parlour_parameters
from protocol.vectors.frame import Json
from protocol.vectors.links_inputs import Draws, link_psk

NUMBERS: Final = {"XX": 1, "XXpsk0": 2, "IKpsk2": 3}


class ClaimedPair(X25519Pair):
    """A public key of which nobody has the secret; every DH with it comes to zeros, as with small order."""

    __slots__ = ()

    def __init__(self, public: bytes) -> None:
        super().__init__(bytes(32))
        self.public = public

    def dh(self, public: bytes) -> bytes:
        """Zeros."""
        return bytes(32)


def pair(secret: str) -> X25519Pair:
    """The pair of a secret in hex."""
    return X25519Pair(bytes.fromhex(secret))


def common_pair(inputs: Json) -> Json:
    """The one pair of shares of the initiator that the responder holds too; without one the first."""
    held = [(one["theirs"], one["own"]) for one in inputs["responder_pairs"]]
    pairs: list[Json] = inputs["initiator_pairs"]
    return next((one for one in pairs if (one["own"], one["theirs"]) in held), pairs[0])


def frame(body: bytes) -> bytes:
    """A body with its length."""
    return len(body).to_bytes(2, "big") + body


def padded(struct: Wire) -> bytes:
    """A payload as it stands in a handshake message."""
    return pad(encode(struct))


def greeting(inputs: Json) -> bytes:
    """The responder's greeting."""
    aeads = 3 if inputs["responder_aes"] else 2
    return b"PARLOUR\x00" + bytes((1, 1, aeads, 0)) + bytes.fromhex(inputs["greeting_random"])


def choice(inputs: Json) -> bytes:
    """The initiator's choice."""
    aead = 1 if inputs["initiator_aes"] and inputs["responder_aes"] else 2
    return bytes((1, NUMBERS[inputs["pattern"]], aead))


@dataclass(frozen=True)
class Payloads:
    """The structs of a handshake, in the order in which they are sent."""

    hello: Wire | None
    reply: Wire
    finish: Wire | None

    @classmethod
    def of(cls, inputs: Json) -> Payloads:
        """Those of the inputs."""
        ciphertext, seed = (bytes.fromhex(inputs[name]) for name in ("kem_ciphertext", "kem_seed"))
        shares = [bytes.fromhex(inputs[f"{role}_share"]) for role in ("initiator", "responder")]
        ratchet, kem_key = pair(inputs["responder_ratchet_keys"][0]).public, mlkem_from_seed(seed)[1]
        if inputs["pattern"] != "IKpsk2":
            finish = PairingFinish(ciphertext, shares[0])
            return cls(None, PairingReply(kem_key, shares[1], ratchet), finish)
        held = inputs["initiator_pairs"]
        numbers = [sorted({one[end] for one in held}, reverse=True) for end in ("own", "theirs")]
        person = bytes.fromhex(inputs["initiator_person"])
        hello = ContactHello(person, ShareNumbers(*numbers), kem_key, shares[0])
        return cls(hello, ContactReply(ciphertext, shares[1], ratchet), None)


def encoded_payloads(inputs: Json) -> tuple[str, str, str]:
    """The structs of the three messages, encoded and in hex; empty where a message has none."""
    sent = Payloads.of(inputs)
    hello, finish = ("" if one is None else encode(one).hex() for one in (sent.hello, sent.finish))
    return hello, encode(sent.reply).hex(), finish


class Peer:
    """One end of a handshake, and its session afterwards.

    Payloads and the static pair are the inputs' unless told otherwise; `wire` is the greeting that it saw.
    """

    def __init__(
        self, role: str, inputs: Json, *, static: X25519Pair | None = None, wire: bytes | None = None
    ) -> None:
        self._role, self._inputs = role, inputs
        self.payloads = Payloads.of(inputs)
        self.choice = choice(inputs)
        ephemeral, contact = Draws(inputs[f"{role}_ephemeral"]), inputs["pattern"] == "IKpsk2"
        initiates = role == "initiator"
        self._noise = HandshakeState(
            f"Noise_{inputs['pattern']}_25519_ChaChaPoly_BLAKE2b",
            initiates,
            prologue=b"parlour.link.v1" + (wire or greeting(inputs)) + self.choice,
            s=static or pair(inputs[f"{role}_static"]),
            rs=bytes.fromhex(inputs["initiator_knows"]) if contact and initiates else None,
            psks=self._psks(),
            random=ephemeral,
        )

    def _psks(self) -> list[bytes]:
        inputs = self._inputs
        if inputs["pattern"] == "IKpsk2":
            return [link_psk(inputs, common_pair(inputs))]
        return [bytes.fromhex(inputs["initiator_psk"])] if inputs["pattern"] == "XXpsk0" else []

    def call(self, payload: bytes | None = None) -> bytes:
        """The initiator's first frame's body: choice and message 1."""
        hello = self.payloads.hello
        right = b"" if hello is None else padded(hello)
        return self.choice + self.write(right if payload is None else payload)

    def write(self, payload: bytes) -> bytes:
        """The next handshake message."""
        return self._noise.write_message(payload)

    def read(self, message: bytes) -> bytes:
        """The payload of the next handshake message; its padding stays."""
        return self._noise.read_message(message)

    @property
    def handshake_hash(self) -> bytes:
        """h, as far as the handshake has come."""
        return self._noise.handshake_hash

    # --- After the handshake ---

    def established(self, kem_secret: bytes | None = None) -> RatchetSession:
        """The session, made when the handshake is over; from another KEM secret if one is given."""
        inputs = self._inputs
        shares = b"".join(bytes.fromhex(inputs[f"{role}_share"]) for role in ("initiator", "responder"))
        key = kem_secret or bytes.fromhex(inputs["kem_secret"])
        secret = b2b(shares + self.handshake_hash, personal=labels.LINK_ROOT, key=key)
        session_id = b2b(self.handshake_hash, personal=labels.SESSION_ID, key=secret, size=16)
        statics = b"".join(pair(inputs[f"{role}_static"]).public for role in ("initiator", "responder"))
        root = b2b(statics + session_id, personal=labels.SESSION_ROOT, key=secret)
        return self._start(root, parlour_aead(self.choice[2]))

    def _start(self, root: bytes, aead: Aead) -> RatchetSession:
        parameters = parlour_parameters(aead, fast=False)
        first, *later = self._inputs["responder_ratchet_keys"]
        if self._role == "responder":
            draws = Draws(*later)
            return RatchetSession.init_bob(root, pair(first), draws, parameters=parameters)
        draws = Draws(*self._inputs["initiator_ratchet_keys"])
        return RatchetSession.init_alice(root, pair(first).public, draws, parameters=parameters)


def parlour_aead(number: int) -> Aead:
    """The payload AEAD of a number of the choice."""
    return AEGIS256 if number == 1 else CHACHA20POLY1305


def envelope(session: RatchetSession, content: bytes) -> bytes:
    """A frame with an envelope of any content."""
    return frame(session.encrypt(content))


def said(session: RatchetSession, message: Message) -> bytes:
    """A frame with an envelope of one message."""
    return envelope(session, LAST + encode(message))


# --- Honest ends, as far as a vector needs them ---


def answered(initiator: Peer, responder: Peer) -> tuple[bytes, bytes]:
    """The first frame's body and message 2 of an honest handshake."""
    call = initiator.call()
    responder.read(call[3:])
    return call, responder.write(padded(responder.payloads.reply))


def finished(inputs: Json) -> tuple[Peer, Peer, list[bytes]]:
    """Both ends after an honest handshake, and the bodies of its frames."""
    initiator, responder = Peer("initiator", inputs), Peer("responder", inputs)
    bodies = [*answered(initiator, responder)]
    initiator.read(bodies[1])
    if initiator.payloads.finish is not None:
        bodies.append(initiator.write(padded(initiator.payloads.finish)))
        responder.read(bodies[2])
    return initiator, responder, bodies


def confirmed(inputs: Json) -> tuple[RatchetSession, RatchetSession, list[bytes]]:
    """The sessions of both ends after Confirm, and all frames until then, Confirm's the last."""
    initiator, responder, bodies = finished(inputs)
    calling, called = initiator.established(), responder.established()
    replaces = Confirm(bytes.fromhex(inputs.get("replaces", "")))
    frames = [*map(frame, bodies), said(calling, replaces)]
    called.decrypt(frames[-1][2:])
    return calling, called, frames
