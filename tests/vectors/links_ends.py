"""Ends of links for vectors: one made of Noise and formulas alone, and steps of a whole link (SPEC §6, §8).

`Peer` says whatever a vector needs, right or wrong. It is written after the SPEC and not with
protocol/link/link.py, so that both must agree byte for byte. `Life` takes the steps of real links; a
`Peer` goes
along, so that the handshake hash is known. The inputs hold all randomness, as in protocol/vectors/links.py.
"""

from __future__ import annotations

from typing import Any, Final

from protocol import labels
from protocol.codec import Wire, encode
from protocol.keys import X25519Pair
from protocol.link.agreement import one_time_hash
from protocol.link.framing import LAST, pad
from protocol.messages import Confirm, Message
from protocol.noise import HandshakeState
from protocol.primitives import AEGIS256, CHACHA20POLY1305, Aead, b2b
from protocol.ratchet import RatchetSession, parlour_parameters
from protocol.vectors.frame import Json, write_bytes
from protocol.vectors.links import ACTIONS, AREA, Draws, Payloads, World, encoded_payloads, link_psk, pair
from tests.vectors.files import Script, Seed
from tests.vectors.kem import kem_ciphertext, kem_secret, kem_seed

NUMBERS: Final = {"XX": 1, "XXpsk0": 2, "IKpsk2": 3, "linking": 8}
_NOISE: Final = {"linking": "XX"}


class ClaimedPair(X25519Pair):
    """A public key of which nobody has the secret; every DH with it comes to zeros, as with small order."""

    __slots__ = ()

    def __init__(self, public: bytes) -> None:
        super().__init__(bytes(32))
        self.public = public

    def dh(self, public: bytes) -> bytes:
        """Zeros."""
        return bytes(32)


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
            f"Noise_{_NOISE.get(inputs['pattern'], inputs['pattern'])}_25519_ChaChaPoly_BLAKE2b",
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
    features = inputs.get("initiator_features", [])
    confirm = Confirm(bytes.fromhex(inputs.get("replaces", "")), features)
    frames = [*map(frame, bodies), said(calling, confirm)]
    called.decrypt(frames[-1][2:])
    return calling, called, frames


_RATCHET_KEYS: Final = 4
ENDS: Final = ("initiator", "responder")


# --- Inputs ---


def link_inputs(phrase: str, pattern: str, *, aes: tuple[bool, bool] = (True, True), **changed: Any) -> Json:
    """All inputs of both ends; `aes`: whether initiator and responder have AES instructions."""
    seed = Seed(phrase, AREA)

    def drawn(name: str, size: int = 32) -> str:
        return seed.bytes(f"{pattern}/{name}")[:size].hex()

    inputs: Json = {"pattern": pattern, "initiator_aes": aes[0], "responder_aes": aes[1]}
    for end in ENDS:
        inputs |= {f"{end}_{name}": drawn(f"{end} {name}") for name in ("static", "ephemeral", "share")}
        keys = [drawn(f"{end} ratchet {n}") for n in range(_RATCHET_KEYS)]
        inputs[f"{end}_ratchet_keys"] = keys
    inputs |= {
        "greeting_random": drawn("greeting", 16),
        "kem_seed": kem_seed(phrase, pattern).hex(),
        "kem_ciphertext": kem_ciphertext(pattern).hex(),
        "kem_secret": kem_secret(phrase, pattern).hex(),
    }
    own: dict[str, Json] = {
        "XX": {"responder_visible": True},
        "linking": {"responder_adds": True},
        "XXpsk0": _invited(inputs, drawn("psk"), [drawn(f"missing {n}") for n in range(3)]),
        "IKpsk2": _contacts(inputs, seed),
    }
    return inputs | own[pattern] | changed


def invitation(psk: str, static: str) -> Json:
    """An open invitation of the responder: psk and one-time static secret."""
    return {"psk": psk, "static": static}


def _invited(inputs: Json, psk: str, missing: list[str]) -> Json:
    static = inputs["responder_static"]
    return {
        "initiator_psk": psk,
        "initiator_one_time": one_time_hash(pair(static).public).hex(),
        "responder_invitations": [invitation(psk, static)],
        "missing_psks": missing,
    }


def share_name(seed: Seed, label: str) -> str:
    """The name of a share, 16 bytes: a link knows no more of it."""
    return seed.bytes(f"share of {label}")[:16].hex()


def _contacts(inputs: Json, seed: Seed) -> Json:
    secret = seed.bytes("contact secret").hex()
    calling, called = (share_name(seed, end) for end in ENDS)
    return {
        "initiator_person": seed.bytes("initiator person").hex(),
        "responder_person": seed.bytes("responder person").hex(),
        "initiator_knows": pair(inputs["responder_static"]).public.hex(),
        "responder_knows": pair(inputs["initiator_static"]).public.hex(),
        "responder_knows_person": seed.bytes("initiator person").hex(),
        "initiator_pairs": [{"own": calling, "theirs": called, "contact_secret": secret}],
        "responder_pairs": [{"own": called, "theirs": calling, "contact_secret": secret}],
        "stranger_psk": seed.bytes("stranger psk").hex(),
        "replaces": "",
    }


# --- Steps that are taken again and again ---


class Life(Script[World]):
    """The life of a link, both ends of it."""

    def __init__(self, inputs: Json) -> None:
        super().__init__(ACTIONS, World(inputs))
        self.inputs = inputs

    def open(self, receive: str = "receive", *, payloads: bool = False) -> Life:
        """From the greeting to OPEN on both sides, an invitation burned on the way.

        With `payloads`, the structs in the handshake messages stand in the steps that send them.
        """
        h = finished(self.inputs)[0].handshake_hash.hex()
        sent = encoded_payloads(self.inputs) if payloads else ("", "", "")
        hello, reply, finish = ({"payload": one} if one else {} for one in sent)
        self.take("begin", actor="responder")
        self.take(receive, actor="initiator", sent_by="responder", **hello)
        self.take(receive, actor="responder", sent_by="initiator", **reply)
        self.take(receive, actor="initiator", sent_by="responder", h=h, **finish)
        if self.inputs["pattern"] == "XXpsk0":
            self.take(receive, actor="responder", sent_by="initiator")
            self.take("burned", actor="responder", h=h)
        else:
            self.take(receive, actor="responder", sent_by="initiator", h=h)
        return self

    def say(self, end: str, *messages: Message) -> Life:
        """One end sends messages; the other reads each at once."""
        other = ENDS[1 - ENDS.index(end)]
        for message in messages:
            self.take("send", actor=end, message=write_bytes(encode(message)))
            self.take("receive", actor=other, sent_by=end)
        return self
