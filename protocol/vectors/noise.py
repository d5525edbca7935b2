"""Checks the vectors of Noise handshakes (SPEC §6.2).

Transport messages follow the handshake's in the same list, under empty associated data.
"""

from __future__ import annotations

from typing import Any, Final

from protocol.keys import X25519Pair
from protocol.noise import Finished, HandshakeState
from protocol.vectors.frame import (
    SUCCESS,
    Json,
    VectorMismatch,
    expect_equal,
    expect_outcome,
    read_bytes,
    write_bytes,
)

AREA: Final = "noise"
ROLES: Final = ("initiator", "responder")


class Side:
    """One end while its handshake runs and afterwards."""

    def __init__(self, role: str, inputs: Json) -> None:
        ephemeral = bytes.fromhex(inputs[f"{role}_ephemeral"])
        self.handshake = HandshakeState(
            inputs["protocol_name"],
            role == "initiator",
            prologue=bytes.fromhex(inputs[f"{role}_prologue"]),
            s=X25519Pair(bytes.fromhex(inputs[f"{role}_static"])),
            rs=_known_static(role, inputs),
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


class Pair:
    """Both ends, and the steps between them."""

    def __init__(self, inputs: Json) -> None:
        self.sides = {role: Side(role, inputs) for role in ROLES}

    def take(self, step: Json) -> Any:
        """Take a step; returns its bytes as written in a file."""
        side = self.sides[step["actor"]]
        if step["do"] == "set_nonce":
            return self._set_nonce(step)
        action, given, wanted = {
            "write": (side.write, "payload", "message"),
            "read": (side.read, "message", "payload"),
        }[step["do"]]
        result = write_bytes(action(read_bytes(step[given])))
        if wanted in step:
            expect_equal(wanted, result, step[wanted])
        if "intermediate" in step:
            expect_equal("h", side.transcript, step["intermediate"]["h"])
        return result

    def _set_nonce(self, step: Json) -> None:
        """The next message of this direction bears this nonce, for both ends."""
        nonce = int(step["nonce"], 16)
        for role, side in self.sides.items():
            if side.finished is None:
                raise VectorMismatch("the handshake is not over")
            way = side.finished.send if role == step["actor"] else side.finished.receive
            way.set_nonce(nonce)


def _known_static(role: str, inputs: Json) -> bytes | None:
    """The responder's static key, which an initiator of IK knows beforehand."""
    if role == "responder" or "_IK" not in inputs["protocol_name"]:
        return None
    return X25519Pair(bytes.fromhex(inputs["responder_static"])).public


def run(test: Json, inputs: Json) -> None:
    """One test: every step but a failing last one gives the bytes it says. VectorMismatch otherwise."""
    pair = Pair(inputs)
    *steps, last = test["steps"]
    for step in steps:
        pair.take(step)
    side = pair.sides[last["actor"]]
    before = side.transcript
    expect_outcome(test["expect"], lambda: pair.take(last))
    if test["expect"] != SUCCESS and side.transcript != before:
        raise VectorMismatch("a refused message changed the handshake")
