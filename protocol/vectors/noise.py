"""Own vectors of Noise handshakes: the pattern XXpsk0, which published ones lack, and what must be refused.

Rules: `build` makes the file from the seed and `run` checks one test of it; neither knows the other's data.
Each failing test has one failure, in its last step; whatever it refuses must leave the reader as it was.
Transport messages follow the handshake's in the same list, under empty associated data.
"""

from __future__ import annotations

from typing import Any, Final

from protocol.keys import X25519Pair
from protocol.noise import Finished, HandshakeState
from protocol.vectors.frame import (
    SUCCESS,
    Group,
    Json,
    Seed,
    VectorMismatch,
    build_file,
    expect_equal,
    expect_outcome,
)

AREA: Final = "noise"
HASHES: Final = ("BLAKE2b", "BLAKE2s", "SHA256")
NOTES: Final = {
    "Transcript": ("BASIC", "A whole handshake, then two transport messages each way."),
    "WrongPsk": ("AUTHENTICITY", "The responder has another pre-shared key."),
    "WrongPrologue": ("AUTHENTICITY", "The two ends saw another greeting."),
    "Tampered": ("AUTHENTICITY", "One bit of the message differs."),
    "Truncated": ("AUTHENTICITY", "The message ends before its last key or tag."),
    "LowOrder": ("CONFIDENTIALITY", "A key of low order would make the shared secret known to all."),
    "NonCanonical": ("MALLEABILITY", "A second encoding of a key that has another one."),
    "Reflected": ("AUTHENTICITY", "Our own ephemeral key comes back as the peer's."),
}
LOW_ORDER: Final = bytes(32)
NON_CANONICAL: Final = ((2**255 - 19) + 9).to_bytes(32, "little")
"""The base point u = 9, encoded as p + 9."""

_ROLES: Final = ("initiator", "responder")


class Side:
    """One end while its handshake runs and afterwards."""

    def __init__(self, role: str, inputs: Json) -> None:
        ephemeral = bytes.fromhex(inputs[f"{role}_ephemeral"])
        self.handshake = HandshakeState(
            inputs["protocol_name"],
            role == "initiator",
            prologue=bytes.fromhex(inputs[f"{role}_prologue"]),
            s=X25519Pair(bytes.fromhex(inputs[f"{role}_static"])),
            psks=[bytes.fromhex(psk) for psk in inputs[f"{role}_psks"]],
            random=lambda size: ephemeral[:size],
        )
        self.finished: Finished | None = None

    def write(self, payload: bytes) -> bytes:
        """The next message, of the handshake or after it."""
        if self.finished is not None:
            return self.finished.send.encrypt_with_ad(b"", payload)
        return self._then_finish(self.handshake.write_message(payload))

    def read(self, message: bytes) -> bytes:
        """The payload of the next message."""
        if self.finished is not None:
            return self.finished.receive.decrypt_with_ad(b"", message)
        return self._then_finish(self.handshake.read_message(message))

    def _then_finish(self, result: bytes) -> bytes:
        if self.handshake.finished:
            self.finished = self.handshake.finish()
        return result

    @property
    def transcript(self) -> str:
        """h in hex."""
        return (self.finished.handshake_hash if self.finished else self.handshake.handshake_hash).hex()


# --- Making the file ---


def _inputs(seed: Seed, name: str) -> Json:
    inputs: Json = {"protocol_name": name}
    psk = seed.bytes(f"{name}/psk").hex()
    for role in _ROLES:
        inputs[f"{role}_static"] = seed.bytes(f"{name}/{role} static").hex()
        inputs[f"{role}_ephemeral"] = seed.bytes(f"{name}/{role} ephemeral").hex()
        inputs[f"{role}_prologue"] = seed.bytes(f"{name}/prologue").hex()
        inputs[f"{role}_psks"] = [psk]
    return inputs


def _payload(seed: Seed, index: int) -> bytes:
    return seed.bytes(f"payload {index}")[: 7 * index]


def _honest_steps(seed: Seed, inputs: Json, messages: int) -> list[Json]:
    sides = {role: Side(role, inputs) for role in _ROLES}
    steps: list[Json] = []
    for index in range(messages):
        sender, reader = _ROLES[index % 2], _ROLES[1 - index % 2]
        payload = _payload(seed, index)
        message = sides[sender].write(payload)
        sides[reader].read(message)
        written: Json = {"actor": sender, "do": "write", "payload": payload.hex(), "message": message.hex()}
        steps.append(written | {"intermediate": {"h": sides[sender].transcript}})
        steps.append({"actor": reader, "do": "read", "message": message.hex(), "payload": payload.hex()})
    return steps


def _spoil(steps: list[Json], message: bytes) -> list[Json]:
    """The steps up to the last read, which gets message instead of its own."""
    return [*steps[:-1], {"actor": steps[-1]["actor"], "do": "read", "message": message.hex()}]


def _flip(message: bytes, position: int) -> bytes:
    return message[:position] + bytes([message[position] ^ 1]) + message[position + 1 :]


def _add_refused(group: Group, seed: Seed) -> None:
    inputs, auth = group.inputs, "authentication"
    first, second, third = (_honest_steps(seed, inputs, count) for count in (1, 2, 3))
    m1, m2, m3 = (bytes.fromhex(steps[-1]["message"]) for steps in (first, second, third))
    other = seed.bytes("other").hex()
    group.add("another psk", ["WrongPsk"], auth, _spoil(first, m1), responder_psks=[other])
    group.add("another prologue", ["WrongPrologue"], auth, _spoil(first, m1), responder_prologue=other)
    for name, steps, message in (("1", first, m1), ("2", second, m2), ("3", third, m3)):
        flipped = _flip(message, len(message) - 1)
        group.add(f"last byte of message {name}", ["Tampered"], auth, _spoil(steps, flipped))
        group.add(f"message {name} without its last byte", ["Truncated"], auth, _spoil(steps, message[:-1]))
    group.add("one bit of an ephemeral key", ["Tampered"], auth, _spoil(first, _flip(m1, 0)))
    group.add("one bit of a sealed static key", ["Tampered"], auth, _spoil(second, _flip(m2, 40)))
    group.add("message 1 cut within e", ["Truncated"], "malformed", _spoil(first, m1[:31]))
    group.add("message 2 of low order", ["LowOrder"], auth, _spoil(second, LOW_ORDER + m2[32:]))
    group.add("e not canonical", ["NonCanonical"], "malformed", _spoil(first, NON_CANONICAL + m1[32:]))
    group.add("own e in message 2", ["Reflected"], "unexpected", _spoil(second, m1[:32] + m2[32:]))


def build(phrase: str) -> Json:
    """The whole file of this area."""
    seed = Seed(phrase, AREA)
    groups = []
    for hash_name in HASHES:
        name = f"Noise_XXpsk0_25519_ChaChaPoly_{hash_name}"
        group = Group("6.2", _inputs(seed, name))
        steps = _honest_steps(seed, group.inputs, 7)
        group.add(f"XXpsk0 with {hash_name}, whole", ["Transcript"], SUCCESS, steps)
        groups.append(group)
    _add_refused(groups[0], seed)
    return build_file(seed, NOTES, groups)


# --- Checking it ---


def run(test: Json, inputs: Json) -> None:
    """One test: every step but a failing last one gives the bytes it says. VectorMismatch otherwise."""
    sides = {role: Side(role, inputs) for role in _ROLES}
    *steps, last = test["steps"]
    for step in steps:
        _run_step(sides[step["actor"]], step)
    side, before = sides[last["actor"]], sides[last["actor"]].transcript
    expect_outcome(test["expect"], lambda: _run_step(side, last))
    if test["expect"] != SUCCESS and side.transcript != before:
        raise VectorMismatch("a refused message changed the handshake")


def _run_step(side: Side, step: Json) -> None:
    actions: dict[str, tuple[Any, str, str]] = {
        "write": (side.write, "payload", "message"),
        "read": (side.read, "message", "payload"),
    }
    action, given, wanted = actions[step["do"]]
    result = action(bytes.fromhex(step[given]))
    if wanted in step:
        expect_equal(wanted, result.hex(), step[wanted])
    if "intermediate" in step:
        expect_equal("h", side.transcript, step["intermediate"]["h"])
