"""How a terminal that is to be added shows its keys, and proves that it holds both (SPEC §7.8.1)."""

from __future__ import annotations

from collections.abc import Container

from msgspec.structs import replace

from protocol import labels, primitives
from protocol.codec import encode
from protocol.errors import AuthenticationFailed, Malformed, Untrusted
from protocol.identity.author import NewTerminal as Keys
from protocol.identity.names import check_name
from protocol.keys import X25519Pair
from protocol.link.states import Role
from protocol.messages import NewTerminal
from protocol.pairing.record import Transcript
from protocol.primitives import KEY_SIZE, SIGNATURE_SIZE


def make_new_terminal(keys: Keys, name: str, transcript: Transcript) -> NewTerminal:
    """What the initiator of a linking says of itself, bound to the link by both of its keys."""
    bare = NewTerminal(keys.signing, keys.static, name, bytes(KEY_SIZE), bytes(SIGNATURE_SIZE))
    shared = X25519Pair(keys.static_secret).dh(transcript.their)
    proven = replace(bare, proof=_proof(shared, transcript, bare))
    signature = primitives.ed25519_sign(keys.signing_seed, _signed_text(transcript, proven))
    return replace(proven, signature=signature)


def check_new_terminal(
    message: NewTerminal, transcript: Transcript, name: str, known: Container[bytes]
) -> None:
    """Check a NewTerminal, whose `name` was shown with the words.

    `known`: the public keys that the person's log has introduced. Errors: Malformed (a name or key that is
    none, one key twice), Untrusted (another name, a key of the log), AuthenticationFailed (a signature or the
    proof).
    """
    check_name(message.name)
    primitives.check_ed25519_public(message.signing)
    if message.signing == message.static:
        raise Malformed("one key in two roles")
    if message.name != name:
        raise Untrusted("another name than the one that was shown")
    if message.signing in known or message.static in known:
        raise Untrusted("a key that is or was another terminal's")
    primitives.ed25519_verify(message.signing, _signed_text(transcript, message), message.signature)
    proof = _proof(transcript.own.dh(message.static), transcript, message)
    if not primitives.equal(proof, message.proof):
        raise AuthenticationFailed("no proof of the terminal's static key")


def _core(message: NewTerminal) -> bytes:
    bare = replace(message, proof=bytes(KEY_SIZE), signature=bytes(SIGNATURE_SIZE))
    return primitives.b2b(encode(bare), personal=labels.NEW_CORE)


def _proof(shared: bytes, transcript: Transcript, message: NewTerminal) -> bytes:
    bound = bytes([Role.INITIATOR]) + transcript.t + _core(message)
    return primitives.b2b(bound, personal=labels.NEW_PROOF, key=shared)


def _signed_text(transcript: Transcript, message: NewTerminal) -> bytes:
    return labels.SIGN_NEW + bytes([Role.INITIATOR]) + transcript.t + _core(message) + message.proof
