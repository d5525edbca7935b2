"""Runs the vectors of sessions with the fast and the plain implementation (SPEC §9).

Each failing test has one failure, in its last step, and the envelope under `then` must open afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from msgspec.structs import replace

from protocol.keys import X25519Pair
from protocol.primitives import AEGIS256, CHACHA20POLY1305, Aead
from protocol.ratchet import Parameters, RatchetSession, SkippedKeys, parlour_parameters
from protocol.vectors.frame import Json, expect_equal, expect_outcome, read_bytes

AREA: Final = "sessions"
AEADS: Final = {aead.name: aead for aead in (AEGIS256, CHACHA20POLY1305)}
ACTORS: Final = ("alice", "bob")


class Recorder:
    """Parameters that keep the last chain step's output, for intermediate values."""

    def __init__(self, aead: Aead) -> None:
        self.last: tuple[bytes, bytes] = (b"", b"")
        plain = parlour_parameters(aead, fast=False)

        def kdf_ck(chain_key: bytes) -> tuple[bytes, bytes]:
            self.last = plain.kdf_ck(chain_key)
            return self.last

        self.parameters = replace(plain, kdf_ck=kdf_ck)

    @property
    def intermediate(self) -> Json:
        """The last step's values in hex."""
        return {"chain_key": self.last[0].hex(), "message_key": self.last[1].hex()}


def other(actor: str) -> str:
    """The other end."""
    return ACTORS[1 - ACTORS.index(actor)]


class Ends:
    """Both ends of one session, drawing their ratchet keys from the inputs."""

    def __init__(self, inputs: Json, parameters: Parameters) -> None:
        draws = {actor: _draws(inputs[f"{actor}_ratchet_keys"]) for actor in ACTORS}
        sk, skip = bytes.fromhex(inputs["root"]), inputs["allow_skip"]
        skipped = {actor: SkippedKeys() if skip else None for actor in ACTORS}
        pair = X25519Pair(next(draws["bob"]))
        alice = RatchetSession.init_alice(
            sk,
            pair.public,
            lambda _: next(draws["alice"]),
            parameters=parameters,
            skipped=skipped["alice"],
        )
        bob = RatchetSession.init_bob(
            sk, pair, lambda _: next(draws["bob"]), parameters=parameters, skipped=skipped["bob"]
        )
        self._ends: Mapping[str, RatchetSession] = {"alice": alice, "bob": bob}

    def encrypt(self, actor: str, content: bytes) -> bytes:
        """The next envelope of an end."""
        return self._ends[actor].encrypt(content)

    def decrypt(self, actor: str, envelope: bytes) -> bytes:
        """What an end reads in an envelope."""
        return self._ends[actor].decrypt(envelope)

    def lose(self, actor: str, count: int) -> None:
        """An end seals empty contents that never arrive."""
        for _ in range(count):
            self.encrypt(actor, b"")

    def pass_on(self, actor: str, count: int) -> None:
        """An end seals empty contents, and each arrives in order."""
        for _ in range(count):
            expect_equal("an empty content", self.decrypt(other(actor), self.encrypt(actor, b"")), b"")


def _draws(keys: list[str]) -> Iterator[bytes]:
    return iter([bytes.fromhex(key) for key in keys])


def run(test: Json, inputs: Json) -> None:
    """One test by both routes; VectorMismatch if a step gives other bytes or another outcome."""
    recorder = Recorder(AEADS[inputs["aead"]])
    _run_steps(test, Ends(inputs, recorder.parameters), recorder)
    _run_steps(test, Ends(inputs, parlour_parameters(AEADS[inputs["aead"]])), None)


def _run_steps(test: Json, ends: Ends, recorder: Recorder | None) -> None:
    *steps, last = test["steps"]
    for step in steps:
        _run_step(ends, step, recorder)
    expect_outcome(test["expect"], lambda: _run_step(ends, last, recorder))
    if "then" in last:
        _run_step(ends, {"actor": last["actor"], "do": "decrypt"} | last["then"], recorder)


def _run_step(ends: Ends, step: Json, recorder: Recorder | None) -> None:
    actor = step["actor"]
    match step["do"]:
        case "encrypt":
            expect_equal(
                "envelope", ends.encrypt(actor, bytes.fromhex(step["content"])).hex(), step["envelope"]
            )
        case "decrypt":
            content = ends.decrypt(actor, read_bytes(step["envelope"]))
            if "content" in step:
                expect_equal("content", content.hex(), step["content"])
        case "lose":
            ends.lose(actor, step["count"])
        case "pass":
            ends.pass_on(actor, step["count"])
    if recorder is not None and "intermediate" in step:
        expect_equal("keys", recorder.intermediate, step["intermediate"])
