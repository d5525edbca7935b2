"""Own vectors of sessions: envelopes of both payload AEADs, their order and padding, and what is refused.

Rules: `build` makes the file from the seed; `run` checks one test of it, by the fast and the plain route.
Ratchet keys are inputs, used in order; intermediate values are chain key and message key after each step.
Each failing test has one failure, in its last step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from protocol.keys import X25519Pair
from protocol.limits import COUNTER_MAX, SKIP_PER_CHAIN_MAX
from protocol.primitives import AEGIS256, CHACHA20POLY1305, Aead
from protocol.ratchet import Parameters, RatchetSession, parlour_parameters
from protocol.vectors.frame import SUCCESS, Group, Json, Seed, build_file, expect_equal, expect_outcome

AREA: Final = "sessions"
AEADS: Final = {aead.name: aead for aead in (AEGIS256, CHACHA20POLY1305)}
NOTES: Final = {
    "Exchange": ("BASIC", "Envelopes in order, with several steps of the DH ratchet."),
    "Padding": ("EDGE_CASE", "Contents at the edges of padded sizes."),
    "SkippedKeys": (
        "EDGE_CASE",
        "Envelopes arrive out of order, which a session allows and a link does not.",
    ),
    "Tampered": ("AUTHENTICITY", "One bit of the envelope differs."),
    "WrongSize": ("MALFORMED", "No envelope has this size."),
    "Repeated": ("REPLAY", "The envelope was opened before."),
    "Gap": ("ORDER", "Envelopes before this one are missing."),
    "Counter": ("EDGE_CASE", "The reserved counter 2^32-1."),
    "RatchetKey": ("CONFIDENTIALITY", "A ratchet key of low order, not canonical, or the receiver's own."),
    "BadPadding": ("MALLEABILITY", "Sealed with the right key, but padded in another way than the one way."),
}
_KEYS: Final = 4
_ACTORS: Final = ("alice", "bob")
_PADDING_SIZES: Final = (0, 1, 253, 254, 255, 510, 1_000, 2_047)


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


def _sessions(inputs: Json, parameters: Parameters) -> dict[str, RatchetSession]:
    """Both ends, drawing their ratchet keys from the inputs."""
    draws = {actor: _draws(inputs[f"{actor}_ratchet_keys"]) for actor in _ACTORS}
    sk, common = bytes.fromhex(inputs["root"]), {"allow_skip": inputs["allow_skip"]}
    bob_pair = X25519Pair(next(draws["bob"]))
    alice = RatchetSession.init_alice(
        sk, bob_pair.public, lambda _: next(draws["alice"]), parameters=parameters, **common
    )
    bob = RatchetSession.init_bob(sk, bob_pair, lambda _: next(draws["bob"]), parameters=parameters, **common)
    return {"alice": alice, "bob": bob}


def _draws(keys: list[str]) -> Iterator[bytes]:
    return iter([bytes.fromhex(key) for key in keys])


# --- Making the file ---


class Script:
    """Steps written down as they happen between two sessions."""

    def __init__(self, inputs: Json, parameters: Parameters | None = None) -> None:
        self._recorder = Recorder(AEADS[inputs["aead"]])
        self._sessions = _sessions(inputs, parameters or self._recorder.parameters)
        self.steps: list[Json] = []

    def encrypt(self, actor: str, content: bytes) -> bytes:
        """One envelope, with the step that makes it."""
        envelope = self._sessions[actor].encrypt(content)
        step: Json = {"actor": actor, "do": "encrypt", "content": content.hex(), "envelope": envelope.hex()}
        self.steps.append(step | {"intermediate": self._recorder.intermediate})
        return envelope

    def decrypt(self, actor: str, envelope: bytes) -> None:
        """Open an envelope that opens."""
        content = self._sessions[actor].decrypt(envelope)
        self.steps.append(
            {"actor": actor, "do": "decrypt", "envelope": envelope.hex(), "content": content.hex()}
        )

    def refused(self, actor: str, envelope: bytes) -> list[Json]:
        """All steps so far, and the last one, which must fail."""
        return [*self.steps, {"actor": actor, "do": "decrypt", "envelope": envelope.hex()}]


def _inputs(seed: Seed, aead: str, *, allow_skip: bool) -> Json:
    inputs: Json = {"aead": aead, "allow_skip": allow_skip, "root": seed.bytes("root").hex()}
    for actor in _ACTORS:
        inputs[f"{actor}_ratchet_keys"] = [seed.bytes(f"{actor}/{n}").hex() for n in range(_KEYS)]
    return inputs


def _exchange(inputs: Json) -> list[Json]:
    script = Script(inputs)
    for actor, count in (("alice", 2), ("bob", 1), ("alice", 1), ("bob", 2), ("alice", 1)):
        other = _ACTORS[1 - _ACTORS.index(actor)]
        for n in range(count):
            script.decrypt(other, script.encrypt(actor, f"{actor} {n}".encode()))
    return script.steps


def _paddings(inputs: Json, seed: Seed) -> list[Json]:
    script = Script(inputs)
    for size in _PADDING_SIZES:
        script.decrypt("bob", script.encrypt("alice", (seed.bytes("content") * 64)[:size]))
    return script.steps


def _skipped(inputs: Json) -> list[Json]:
    script = Script(inputs)
    first, second, third = (script.encrypt("alice", b"%d" % n) for n in range(3))
    script.decrypt("bob", second)
    script.decrypt("alice", script.encrypt("bob", b"answer"))
    script.decrypt("bob", script.encrypt("alice", b"a new chain"))
    script.decrypt("bob", first)
    script.decrypt("bob", third)
    return script.steps


def _flip(envelope: bytes, position: int) -> bytes:
    return envelope[:position] + bytes([envelope[position] ^ 1]) + envelope[position + 1 :]


def _add_tampered(group: Group) -> None:
    script = Script(group.inputs)
    envelope = script.encrypt("alice", b"content")
    places = {"ratchet key": 0, "PN": 35, "ciphertext": 40, "padding": 200, "tag": len(envelope) - 1}
    for name, position in places.items():
        expect = "unexpected" if name == "PN" else "authentication"
        steps = script.refused("bob", _flip(envelope, position))
        group.add(f"one bit of the {name}", ["Tampered"], expect, steps)
    for name, wrong in (("without", envelope[:-1]), ("with a byte after", envelope + b"\x00")):
        size = "malformed" if name == "without" else "authentication"
        group.add(f"an envelope {name} its last byte", ["WrongSize"], size, script.refused("bob", wrong))
    group.add("a header alone", ["WrongSize"], "malformed", script.refused("bob", envelope[:40]))


def _with_counters(envelope: bytes, pn: int, n: int) -> bytes:
    return envelope[:32] + pn.to_bytes(4, "big") + n.to_bytes(4, "big") + envelope[40:]


def _add_order(link: Group, skipping: Group) -> None:
    script = Script(link.inputs)
    first, second = script.encrypt("alice", b"0"), script.encrypt("alice", b"1")
    link.add("the second first, on a link", ["Gap"], "unexpected", script.refused("bob", second))
    for name, (pn, n) in {"N": (0, COUNTER_MAX), "PN": (COUNTER_MAX, 0)}.items():
        steps = script.refused("bob", _with_counters(first, pn, n))
        link.add(f"{name} of 2^32-1", ["Counter"], "limit", steps)
    too_far = _with_counters(first, 0, SKIP_PER_CHAIN_MAX + 1)
    skipping.add("one more skipped than allowed", ["Gap"], "limit", script.refused("bob", too_far))
    script.decrypt("bob", first)
    link.add("the first twice", ["Repeated"], "unexpected", script.refused("bob", first))
    changed = _with_counters(second, 1, 1)
    link.add("another PN within a chain", ["Tampered"], "unexpected", script.refused("bob", changed))


def _add_ratchet_keys(group: Group) -> None:
    script = Script(group.inputs)
    envelope = script.encrypt("alice", b"content")
    own = X25519Pair(bytes.fromhex(group.inputs["bob_ratchet_keys"][0])).public
    keys = {
        "of low order": (bytes(32), "authentication"),
        "not canonical": ((2**255 - 10).to_bytes(32, "little"), "malformed"),
        "with bit 255 set": (envelope[:31] + bytes([envelope[31] | 0x80]), "malformed"),
        "of the receiver": (own, "unexpected"),
    }
    for name, (key, expect) in keys.items():
        steps = script.refused("bob", key + envelope[32:])
        group.add(f"a ratchet key {name}", ["RatchetKey"], expect, steps)


def _add_bad_padding(group: Group, aead: Aead) -> None:
    payloads = {
        "a length beyond the payload": b"\x00\xff".ljust(256, b"\x00"),
        "a filling that is not zero": b"\x00\x01a".ljust(255, b"\x00") + b"\x01",
        "the next larger size": b"\x00\x01a".ljust(272, b"\x00"),
        "no multiple that Padmé gives": b"\x01\x00".ljust(258, b"\x00"),
    }
    nonce, plain = bytes(aead.nonce_size), parlour_parameters(aead, fast=False)

    def seal_unpadded(message_key: bytes, header: bytes, payload: bytes) -> bytes:
        return aead.seal(message_key, nonce, header[32:], payload)

    for name, payload in payloads.items():
        script = Script(group.inputs, replace(plain, encrypt=seal_unpadded))
        steps = script.refused("bob", script.encrypt("alice", payload))
        group.add(f"padding with {name}", ["BadPadding"], "malformed", steps[-1:])


def build(phrase: str) -> Json:
    """The whole file of this area."""
    seed = Seed(phrase, AREA)
    groups = []
    for name, aead in AEADS.items():
        link = Group("9.4", _inputs(seed, name, allow_skip=False))
        skipping = Group("9.4", _inputs(seed, name, allow_skip=True))
        link.add("an exchange in order", ["Exchange"], SUCCESS, _exchange(link.inputs))
        link.add("contents of many sizes", ["Padding"], SUCCESS, _paddings(link.inputs, seed))
        skipping.add("out of order, over two chains", ["SkippedKeys"], SUCCESS, _skipped(skipping.inputs))
        _add_tampered(link)
        _add_order(link, skipping)
        _add_ratchet_keys(link)
        _add_bad_padding(link, aead)
        groups += [link, skipping]
    return build_file(seed, NOTES, groups)


# --- Checking it ---


def run(test: Json, inputs: Json) -> None:
    """One test by both routes; VectorMismatch if a step gives other bytes or another outcome."""
    recorder = Recorder(AEADS[inputs["aead"]])
    _run_steps(test, _sessions(inputs, recorder.parameters), recorder)
    _run_steps(test, _sessions(inputs, parlour_parameters(AEADS[inputs["aead"]])), None)


def _run_steps(test: Json, sessions: dict[str, RatchetSession], recorder: Recorder | None) -> None:
    *steps, last = test["steps"]
    for step in steps:
        _run_step(sessions[step["actor"]], step, recorder)
    expect_outcome(test["expect"], lambda: _run_step(sessions[last["actor"]], last, recorder))


def _run_step(session: RatchetSession, step: Json, recorder: Recorder | None) -> None:
    actions: dict[str, tuple[Any, str, str]] = {
        "encrypt": (session.encrypt, "content", "envelope"),
        "decrypt": (session.decrypt, "envelope", "content"),
    }
    action, given, wanted = actions[step["do"]]
    result = action(bytes.fromhex(step[given]))
    if wanted in step:
        expect_equal(wanted, result.hex(), step[wanted])
    if recorder is not None and "intermediate" in step:
        expect_equal("keys", recorder.intermediate, step["intermediate"])
