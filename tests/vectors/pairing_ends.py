"""Ends of pairings for vectors, and the records that they should not send (SPEC §7.4).

The seed gives all randomness and what the handshake agreed on. An altered record is signed as it should be,
so that only its one fault refuses it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from msgspec.structs import replace

from protocol import labels
from protocol.codec import encode
from protocol.keys import X25519Pair
from protocol.link.states import Role
from protocol.messages import MESSAGE, Record
from protocol.pairing.record import Transcript, make_record
from protocol.primitives import b2b, ed25519_sign
from protocol.vectors.frame import Action, Json, W
from protocol.vectors.pairing import ACTIONS, World, facts_of, identity_of
from tests.vectors.files import Script, Seed
from tests.vectors.persons_log import Person, Terminal

_SIZES: Final = {
    "handshake_hash": 64,
    "share_initiator": 32,
    "share_responder": 32,
    "kem_key": 1184,
    "kem_ciphertext": 1088,
    "ratchet_key": 32,
    "link_secret": 32,
    "initiator_one_time": 32,
    "responder_one_time": 32,
}


def facts(seed: Seed, label: str) -> Json:
    """What a handshake could have agreed on: a pairing needs no more of it than its bytes."""
    return {name: _stretched(seed, f"{label} {name}", size).hex() for name, size in _SIZES.items()}


def _stretched(seed: Seed, label: str, size: int) -> bytes:
    return b"".join(seed.bytes(f"{label}/{n}") for n in range(-(-size // 32)))[:size]


def drawn(person: Person, name: str = "genesis") -> Json:
    """The secret that an operation of the person draws."""
    return {"operation": person.id_of(name).hex(), "secret": person.drawn[name].hex()}


def end(person: Person, course: str, **more: Any) -> Json:
    """One end: the log, its first terminal, the secret of the genesis; `nonce` where words are compared."""
    nonce = {"nonce": person.seed.bytes(f"{person.label} nonce").hex()} if course == "nearby" else {}
    return {
        "course": course,
        "operations": [signed.hex() for signed in person.log.values()],
        "terminal": person.first.id.hex(),
        "signing_seed": person.first.seed.hex(),
        "static_secret": person.first.secret.hex(),
        "drawn": drawn(person),
        **nonce,
        **more,
    }


class Talk(Script[W]):
    """The steps of two ends; messages wait until a test lets them arrive."""

    def __init__(self, actions: Mapping[str, Action[W]], world: W) -> None:
        super().__init__(actions, world)
        self._waiting: dict[str, list[str]] = {"initiator": [], "responder": []}

    def does(self, actor: str, do: str, **given: str) -> Json:
        """An actor takes a step; what it sends waits for the other."""
        gives = self.take(do, actor=actor, **given)
        self._waiting[actor] += gives["send"]
        return gives

    def starts(self) -> Self:
        """Both links are open."""
        for actor in ("initiator", "responder"):
            self.does(actor, "start")
        return self

    def arrives(self, actor: str, count: int = 1) -> Self:
        """The next messages of the other arrive at an actor."""
        other = "responder" if actor == "initiator" else "initiator"
        for _ in range(count):
            self.does(actor, "receive", message=self._waiting[other].pop(0))
        return self

    def confirms(self, *actors: str) -> Self:
        """The persons say yes."""
        for actor in actors:
            self.does(actor, "confirm")
        return self

    def stores(self, *actors: str) -> Self:
        """The disks have it."""
        for actor in actors:
            self.does(actor, "stored")
        return self

    def words_shown(self) -> Self:
        """Up to the comparison of words on both sides."""
        return self.starts().arrives("responder").arrives("initiator").arrives("responder")

    def waiting(self, actor: str) -> bytes:
        """The next message that an actor has sent, and that has not arrived."""
        return bytes.fromhex(self._waiting[actor][0])

    def refusing(self, actor: str, message: bytes) -> list[Json]:
        """All steps, and this message's arrival, which ends the pairing."""
        return self.refused("receive", actor=actor, message=message.hex())


class Course(Talk[World]):
    """The steps of one pairing."""

    def __init__(self, inputs: Json) -> None:
        super().__init__(ACTIONS, World(inputs))


def role_of(actor: str) -> Role:
    """The role of an actor."""
    return Role.INITIATOR if actor == "initiator" else Role.RESPONDER


def transcript_of(inputs: Json, actor: str) -> Transcript:
    """What an actor knows of the link."""
    return Transcript.of(facts_of(inputs, role_of(actor)), role_of(actor))


def record(inputs: Json, actor: str) -> Record:
    """The record that an actor sends."""
    return make_record(identity_of(inputs[actor]), transcript_of(inputs, actor))


@dataclass(frozen=True)
class Making:
    """How a record is made: its role, t and core in proof and signature, the keys, and the proof's label.

    `shared` is the DH of the proof, `seed` the one of the signature; None stands for what is right.
    """

    role: bytes | None = None
    t: bytes | None = None
    core: bytes | None = None
    shared: bytes | None = None
    label: bytes = labels.RECORD_PROOF
    proof: bytes | None = None
    seed: bytes | None = None


RIGHT: Final = Making()


def remade(
    inputs: Json,
    actor: str,
    *,
    by: Terminal | None = None,
    proving: Making = RIGHT,
    signing: Making = RIGHT,
    **fields: Any,
) -> bytes:
    """An actor's record with other fields, proven and signed by a terminal, rightly or not; encoded."""
    transcript, end = transcript_of(inputs, actor), inputs[actor]
    by = by or Terminal(bytes.fromhex(end["signing_seed"]), bytes.fromhex(end["static_secret"]))
    bare = replace(record(inputs, actor), **fields, proof=bytes(32), signature=bytes(64))
    core = b2b(encode(bare), personal=labels.RECORD_CORE)

    def bound(making: Making) -> bytes:
        parts = (making.role, bytes([transcript.role])), (making.t, transcript.t), (making.core, core)
        return b"".join(right if part is None else part for part, right in parts)

    shared = X25519Pair(by.secret).dh(transcript.their) if proving.shared is None else proving.shared
    proof = proving.proof
    if proof is None:
        proof = b2b(bound(proving), personal=proving.label, key=shared)
    text = labels.SIGN_RECORD + bound(signing) + (proof if signing.proof is None else signing.proof)
    signature = ed25519_sign(by.seed if signing.seed is None else signing.seed, text)
    return encode(replace(bare, proof=proof, signature=signature))


def log_of(person: Person, names: Sequence[str] = ()) -> list[bytes]:
    """A person's signed operations, all or by name."""
    return [person.log[name] for name in names or person.log]


def decoded(message: str) -> Any:
    """The message of its hex."""
    return MESSAGE.decode(bytes.fromhex(message))
