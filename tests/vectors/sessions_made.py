"""Steps of two sessions written down as they happen, and envelopes altered on their way (SPEC §9).

Rules: what is written down is what the plain route gives; a refusal is written and not taken, so that the
same script goes on to the next one.
"""

from __future__ import annotations

from typing import Final

from protocol.ratchet import Parameters
from protocol.vectors.frame import Json, write_bytes
from protocol.vectors.sessions import ACTORS, AEADS, Ends, Recorder, other
from tests.vectors.files import Seed

HEADER: Final = 40
"""Bytes of an envelope before what is sealed."""

Refused = tuple[str, str, str, str, list[Json]]
"""Rule, class, comment, flag, steps."""


class Script:
    """Steps written down as they happen between two sessions."""

    def __init__(self, inputs: Json, parameters: Parameters | None = None) -> None:
        self._recorder = Recorder(AEADS[inputs["aead"]])
        self._ends = Ends(inputs, parameters or self._recorder.parameters)
        self.steps: list[Json] = []

    def encrypt(self, actor: str, content: bytes) -> bytes:
        """One envelope, with the step that makes it."""
        envelope = self._ends.encrypt(actor, content)
        step: Json = {"actor": actor, "do": "encrypt", "content": content.hex(), "envelope": envelope.hex()}
        self.steps.append(step | {"intermediate": self._recorder.intermediate})
        return envelope

    def decrypt(self, actor: str, envelope: bytes) -> None:
        """Open an envelope that opens."""
        content = self._ends.decrypt(actor, envelope)
        self.steps.append(
            {"actor": actor, "do": "decrypt", "envelope": envelope.hex(), "content": content.hex()}
        )

    def says(self, actor: str, content: bytes) -> bytes:
        """An envelope that arrives at once."""
        envelope = self.encrypt(actor, content)
        self.decrypt(other(actor), envelope)
        return envelope

    def lose(self, actor: str, count: int) -> None:
        """Envelopes that are made and never arrive."""
        self._ends.lose(actor, count)
        self.steps.append({"actor": actor, "do": "lose", "count": count})

    def pass_on(self, actor: str, count: int) -> None:
        """Envelopes that arrive in order."""
        self._ends.pass_on(actor, count)
        self.steps.append({"actor": actor, "do": "pass", "count": count})

    def refused(self, actor: str, envelope: bytes, then: bytes = b"", content: bytes = b"") -> list[Json]:
        """All steps so far, and the last one, which must fail; `then` opens to `content` all the same."""
        step: Json = {"actor": actor, "do": "decrypt", "envelope": write_bytes(envelope)}
        after = {"then": {"envelope": then.hex(), "content": content.hex()}} if then else {}
        return [*self.steps, step | after]


def session_inputs(seed: Seed, aead: str, *, allow_skip: bool, keys: int = 4) -> Json:
    """The inputs of a group: so many ratchet keys of each end."""
    inputs: Json = {"aead": aead, "allow_skip": allow_skip, "root": seed.bytes("root").hex()}
    for actor in ACTORS:
        inputs[f"{actor}_ratchet_keys"] = [seed.bytes(f"{actor}/{n}").hex() for n in range(keys)]
    return inputs


def flip(envelope: bytes, position: int) -> bytes:
    """One bit of a byte changed."""
    return envelope[:position] + bytes([envelope[position] ^ 1]) + envelope[position + 1 :]


def with_counters(envelope: bytes, pn: int, n: int) -> bytes:
    """Other counters in the header."""
    return envelope[:32] + pn.to_bytes(4, "big") + n.to_bytes(4, "big") + envelope[40:]
