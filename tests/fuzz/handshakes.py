"""Targets of the beginning of a link: greeting, choice, refusal, payloads and Noise messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from protocol.codec import Wire, encode
from protocol.errors import Malformed, ProtocolError
from protocol.keys import X25519Pair
from protocol.link.agreement import CONTACT_HELLO, CONTACT_REPLY, NOISE_NAMES, PAIRING_FINISH, PAIRING_REPLY
from protocol.link.framing import (
    AEADS,
    GREETING_SIZE,
    REFUSAL,
    Choice,
    Greeting,
    Pattern,
    check_magic,
    check_refusal,
)
from protocol.noise import HandshakeState
from tests.fuzz.target import Target, cut, drawn, joined, published

# --- Before any cryptography ---


def _greeting(data: bytes) -> Greeting:
    """As a link reads it: the magic at its first bytes, the rest when all of it is there."""
    check_magic(data)
    if len(data) != GREETING_SIZE:
        raise Malformed("not the bytes of a greeting")
    return Greeting.decode(data)


def _greetings() -> dict[str, bytes]:
    random = drawn("greeting")(16)
    return {
        "both-aeads": Greeting.new(random, True).encode(),
        "one-aead": Greeting.new(random, False).encode(),
    }


def _choice(data: bytes) -> tuple[Greeting, Choice]:
    """The first byte is the mask of the greeting that the choice answers."""
    greeting = Greeting(data[0] if data else 0, bytes(16))
    return greeting, Choice.decode(data[1:], greeting)


def _chosen() -> dict[str, bytes]:
    return {
        f"{pattern.name.lower()}-{number}": b"\x03" + Choice(pattern, aead).encode()
        for pattern in Pattern
        for number, aead in AEADS.items()
    }


def _payload(data: bytes) -> Wire:
    """One of all four: which one is expected depends on the pattern alone."""
    refused: list[ProtocolError] = []
    for codec in (CONTACT_HELLO, CONTACT_REPLY, PAIRING_REPLY, PAIRING_FINISH):
        try:
            return codec.decode(data)
        except ProtocolError as error:
            refused.append(error)
    raise refused[0]


def _noise_state(pattern: Pattern, initiator: bool) -> HandshakeState:
    """One side with fixed keys and fixed randomness."""
    own, other = (X25519Pair(drawn(f"static {side}")(32)) for side in (initiator, not initiator))
    return HandshakeState(
        NOISE_NAMES[pattern],
        initiator,
        prologue=b"fuzz",
        s=own,
        rs=other.public if initiator and pattern is Pattern.IKPSK2 else None,
        psks=[] if pattern in (Pattern.XX, Pattern.LINKING) else [drawn("psk")(32)],
        random=drawn(f"ephemeral {initiator}"),
    )


def _noise(pattern: Pattern, initiator: bool) -> Callable[[bytes], bytes]:
    """The handshake hash that the peer's messages, in a script, lead to."""

    def read(data: bytes) -> bytes:
        state = _noise_state(pattern, initiator)
        for number, message in enumerate(cut(data)):
            if (initiator or number) and not state.finished:
                state.write_message(b"payload")
            if state.finished:
                break
            before = state.handshake_hash, state.remote_static, state._re
            try:
                state.read_message(message)
            except ProtocolError:
                assert before == (state.handshake_hash, state.remote_static, state._re)
                raise
        return state.handshake_hash

    return read


def _noise_messages(pattern: Pattern, initiator: bool) -> Callable[[], dict[str, bytes]]:
    """What the peer sends in a whole handshake."""

    def write() -> dict[str, bytes]:
        own, peer = _noise_state(pattern, initiator), _noise_state(pattern, not initiator)
        sent: list[bytes] = []
        peers_turn = not initiator
        while not peer.finished:
            if peers_turn:
                sent.append(peer.write_message(b"payload"))
                own.read_message(sent[-1])
            else:
                peer.read_message(own.write_message(b"payload"))
            peers_turn = not peers_turn
        return {"whole": joined(*sent), "first": joined(sent[0])}

    return write


_NOISE: Final = {
    f"noise-{pattern.name.lower()}-{'initiator' if initiator else 'responder'}": Target(
        _noise(pattern, initiator), (ProtocolError,), _noise_messages(pattern, initiator), slow=True
    )
    for pattern in Pattern
    for initiator in (True, False)
}

TARGETS: Final[Mapping[str, Target]] = {
    "greeting": Target(_greeting, (ProtocolError,), _greetings, Greeting.encode, one_form=False),
    "choice": Target(
        _choice,
        (ProtocolError,),
        _chosen,
        lambda value: bytes((value[0].aeads,)) + value[1].encode(),
        one_form=False,
    ),
    "refusal": Target(
        check_refusal, (ProtocolError,), lambda: {"a-message": drawn("message")(48), "short": REFUSAL[:2]}
    ),
    "handshake-payload": Target(
        _payload,
        (ProtocolError,),
        published(
            *("codec", "Value", "decode", "bytes"),
            *("ContactHello", "ContactReply", "PairingReply", "PairingFinish"),
        ),
        encode,
    ),
    **_NOISE,
}
