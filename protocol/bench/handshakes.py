"""The rows session.setup and noise.handshake: what it costs to begin, both sides in one process.

Rules: setup is the whole handshake of two contacts who met before, from greeting to two sessions, with the DH
of their static keys kept, as terminals keep it; the payload AEAD makes no difference, so it has one subject.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from protocol.agreement import NOISE_NAMES, Established, StaticDh
from protocol.bench import peers
from protocol.bench.baseline import Bare
from protocol.bench.measure import Subject
from protocol.bench.row import Row
from protocol.errors import LocalMisuse
from protocol.events import ContactPsk
from protocol.greeting import Pattern
from protocol.handshake import Initiator, Responder
from protocol.keys import X25519Pair
from protocol.messages import ContactHello
from protocol.noise import Finished, HandshakeState
from protocol.primitives import AEGIS256, SODIUM, system_random

_ALICE, _BOB = bytes([1]) * 32, bytes([2]) * 32


class _OneContact:
    """The policy of a terminal that knows Alice."""

    def __init__(self, psk: ContactPsk) -> None:
        self._psk = psk

    def pairing_open(self) -> bool:
        return False

    def invitation_psks(self) -> Sequence[tuple[bytes, bytes]]:
        return ()

    def contact_psk(self, static: bytes, hello: ContactHello) -> tuple[bytes, ContactPsk]:
        return _ALICE, self._psk


def setup() -> Callable[[], tuple[tuple[bytes, Established], Established]]:
    """IKpsk2 with ML-KEM-768, session root and both sessions."""
    alice, bob = X25519Pair.generate(), X25519Pair.generate()
    psk = ContactPsk(system_random(32), 1, 1)
    kept: tuple[StaticDh, StaticDh] = (
        {bob.public: alice.dh(bob.public)},
        {alice.public: bob.dh(alice.public)},
    )
    policy = _OneContact(psk)

    def work() -> tuple[tuple[bytes, Established], Established]:
        caller = Initiator.contact(alice, bob.public, _ALICE, _BOB, [psk], static_dh=kept[0])
        called = Responder(bob, policy, static_dh=kept[1])
        greeting = called.greet()
        hello, answer = caller.begin(greeting)
        reply, theirs = called.answer(greeting, hello)
        if not isinstance(theirs, Established):
            raise LocalMisuse("the responder of IKpsk2 waits for nothing")
        return answer.read(reply), theirs

    return work


def shake(name: str) -> Callable[[], tuple[Finished, Finished]]:
    """XX, both sides, with static keys that are there."""
    alice, bob = X25519Pair.generate(), X25519Pair.generate()

    def work() -> tuple[Finished, Finished]:
        initiator = HandshakeState(name, True, s=alice)
        responder = HandshakeState(name, False, s=bob)
        responder.read_message(initiator.write_message())
        initiator.read_message(responder.write_message())
        responder.read_message(initiator.write_message())
        return initiator.finish(), responder.finish()

    return work


def _bare(dh: int, pairs: int, note: str) -> list[Subject]:
    if SODIUM is None:
        return []
    return [Subject("libsodium", Bare(SODIUM, AEGIS256, [256]).curve(dh, pairs), note)]


def _setup_subjects(size: int | None, with_peers: bool) -> list[Subject]:
    note = "IKpsk2, ML-KEM-768, root, both sides, from greeting to sessions; static-static DH kept"
    found = [Subject("parlour", setup(), note)]
    # es, ee, se on both sides and Alice's first ratchet step; two ephemerals, two ratchet pairs.
    found += _bare(7, 4, "7 X25519 and 4 key pairs alone, no KEM")
    module = peers.load("vodozemac") if with_peers else None
    if module is not None:
        note = "a one-time key, both sessions, one message: no KEM, no handshake, identities taken on trust"
        found.append(Subject("vodozemac", peers.vodozemac_setup(module), note))
    return found


def _handshake_subjects(size: int | None, with_peers: bool) -> list[Subject]:
    name = NOISE_NAMES[Pattern.XX]
    found = [Subject("parlour", shake(name), f"{name}, both sides")]
    found += _bare(6, 2, "6 X25519 and 2 key pairs alone")
    module = peers.load("noise.connection") if with_peers else None
    if module is not None:
        found.append(Subject("noiseprotocol", peers.noise_handshake(module, name), f"{name}, in Python"))
    return found


ROWS: Final = (
    Row("session.setup", (None,), "setups/s", _setup_subjects),
    Row("noise.handshake", (None,), "handshakes/s", _handshake_subjects),
)
