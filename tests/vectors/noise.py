"""Makes the vectors of Noise handshakes: XXpsk0, which published ones lack, and what must be refused.

Each failing test has one failure, in its last step; whatever it refuses must leave the reader as it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from protocol.limits import NOISE_MESSAGE_MAX, NOISE_NONCE_MAX
from protocol.vectors.frame import (
    SUCCESS,
    Json,
    write_bytes,
)
from protocol.vectors.noise import AREA, ROLES, Pair, Side
from tests.vectors.files import Group, Seed, build_file

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
    "Bounds": ("LIMIT", "The largest message, and the last nonce under one key."),
}
LOW_ORDER: Final = bytes(32)
NON_CANONICAL: Final = ((2**255 - 19) + 9).to_bytes(32, "little")
"""The base point u = 9, encoded as p + 9."""


def _inputs(seed: Seed, name: str) -> Json:
    inputs: Json = {"protocol_name": name}
    psks = [seed.bytes(f"{name}/psk").hex()] if "psk" in name else []
    for role in ROLES:
        inputs[f"{role}_static"] = seed.bytes(f"{name}/{role} static").hex()
        inputs[f"{role}_ephemeral"] = seed.bytes(f"{name}/{role} ephemeral").hex()
        inputs[f"{role}_prologue"] = seed.bytes(f"{name}/prologue").hex()
        inputs[f"{role}_psks"] = psks
    return inputs


def _payload(seed: Seed, index: int) -> bytes:
    return seed.bytes(f"payload {index}")[: 7 * index]


def _honest_steps(seed: Seed, inputs: Json, messages: int) -> list[Json]:
    sides = {role: Side(role, inputs) for role in ROLES}
    steps: list[Json] = []
    for index in range(messages):
        steps.append(_written(sides, seed, index))
        message, reader = steps[-1]["message"], ROLES[1 - index % 2]
        payload = sides[reader].read(bytes.fromhex(message)).hex()
        steps.append({"actor": reader, "do": "read", "message": message, "payload": payload})
    return steps


def _written(sides: dict[str, Side], seed: Seed, index: int) -> Json:
    """The step that writes the message of a place, from 0."""
    sender, payload = ROLES[index % 2], _payload(seed, index)
    message = sides[sender].write(payload)
    step: Json = {"actor": sender, "do": "write", "payload": payload.hex(), "message": message.hex()}
    return step | {"intermediate": {"h": sides[sender].transcript}}


def _apart(seed: Seed, inputs: Json) -> list[Json]:
    """Two ends of XX that saw different greetings: the first sealed message, the second, does not open."""
    sides = {role: Side(role, inputs) for role in ROLES}
    first = _written(sides, seed, 0)
    read = {"actor": "responder", "do": "read", "message": first["message"], "payload": first["payload"]}
    sides["responder"].read(bytes.fromhex(first["message"]))
    second = _written(sides, seed, 1)
    return [first, read, second, {"actor": "initiator", "do": "read", "message": second["message"]}]


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

    def add(rule: str, expect: str, comment: str, flag: str, steps: list[Json], **changes: Any) -> None:
        group.add(comment, [flag], expect, steps, rule=rule, **changes)

    closed = "V-HS-02", auth
    add(*closed, "another psk", "WrongPsk", _spoil(first, m1), responder_psks=[other])
    add(*closed, "another prologue", "WrongPrologue", _spoil(first, m1), responder_prologue=other)
    for name, steps, message in (("1", first, m1), ("2", second, m2), ("3", third, m3)):
        flipped = _flip(message, len(message) - 1)
        add(*closed, f"last byte of message {name}", "Tampered", _spoil(steps, flipped))
        add(*closed, f"message {name} without its last byte", "Truncated", _spoil(steps, message[:-1]))
    add(*closed, "one bit of an ephemeral key", "Tampered", _spoil(first, _flip(m1, 0)))
    add(*closed, "one bit of a sealed static key", "Tampered", _spoil(second, _flip(m2, 40)))
    add("V-HS-01", "malformed", "message 1 cut within e", "Truncated", _spoil(first, m1[:31]))
    add("V-KY-02", auth, "message 2 of low order", "LowOrder", _spoil(second, LOW_ORDER + m2[32:]))
    add("V-KY-01", "malformed", "e not canonical", "NonCanonical", _spoil(first, NON_CANONICAL + m1[32:]))
    add("V-HS-03", "unexpected", "own e in message 2", "Reflected", _spoil(second, m1[:32] + m2[32:]))


def _refuse(group: Group, rule: str, expect: str, flag: str, cases: Mapping[str, list[Json]]) -> None:
    for comment, steps in cases.items():
        group.add(comment, [flag], expect, steps, rule=rule)


def _xx_group(seed: Seed) -> Group:
    """XX has no key before message 2: its message 1 is only an ephemeral key."""
    group = Group("6.2", _inputs(seed, "Noise_XX_25519_ChaChaPoly_BLAKE2b"))
    whole = _honest_steps(seed, group.inputs, 7)
    group.add("XX with BLAKE2b, whole", ["Transcript"], SUCCESS, whole)
    second, third = (_honest_steps(seed, group.inputs, count) for count in (2, 3))
    m2, m3 = (bytes.fromhex(steps[-1]["message"]) for steps in (second, third))
    apart, auth = {"responder_prologue": seed.bytes("other").hex()}, "authentication"
    steps, flags = _apart(seed, group.inputs | apart), ["WrongPrologue"]
    group.add("another prologue", flags, auth, steps, rule="V-HS-02", **apart)
    tampered = {
        "one bit of the ephemeral key of message 2": _spoil(second, _flip(m2, 0)),
        "one bit of the responder's sealed static key": _spoil(second, _flip(m2, 32)),
        "one bit of the payload of message 2": _spoil(second, _flip(m2, 80)),
        "one bit of the initiator's sealed static key": _spoil(third, _flip(m3, 0)),
        "one bit of the last tag": _spoil(third, _flip(m3, len(m3) - 1)),
    }
    _refuse(group, "V-HS-02", auth, "Tampered", tampered)
    cut = {
        "message 2 cut within e": _spoil(second, m2[:31]),
        "message 2 cut within the sealed static key": _spoil(second, m2[:79]),
        "message 3 cut within the sealed static key": _spoil(third, m3[:47]),
        "an empty message 3": _spoil(third, b""),
    }
    _refuse(group, "V-HS-01", "malformed", "Truncated", cut)
    low = {"an ephemeral key of low order": _spoil(second, LOW_ORDER + m2[32:])}
    _refuse(group, "V-KY-02", auth, "LowOrder", low)
    return group


def _ik_group(seed: Seed) -> Group:
    """IKpsk2: message 1 names the initiator, message 2 needs the psk."""
    group = Group("6.2", _inputs(seed, "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b"))
    whole = _honest_steps(seed, group.inputs, 6)
    group.add("IKpsk2 with BLAKE2b, whole", ["Transcript"], SUCCESS, whole)
    first, second = (_honest_steps(seed, group.inputs, count) for count in (1, 2))
    m1, m2 = (bytes.fromhex(steps[-1]["message"]) for steps in (first, second))
    other, auth, rule = seed.bytes("other").hex(), "authentication", "V-HS-02"
    steps = _spoil(second, m2)
    group.add("another psk", ["WrongPsk"], auth, steps, rule=rule, initiator_psks=[other])
    steps, flags = _spoil(first, m1), ["WrongPrologue"]
    group.add("another prologue", flags, auth, steps, rule=rule, responder_prologue=other)
    tampered = {
        "one bit of the ephemeral key of message 1": _spoil(first, _flip(m1, 0)),
        "one bit of the initiator's sealed static key": _spoil(first, _flip(m1, 32)),
        "one bit of the payload of message 1": _spoil(first, _flip(m1, len(m1) - 1)),
        "one bit of the ephemeral key of message 2": _spoil(second, _flip(m2, 0)),
        "one bit of the payload of message 2": _spoil(second, _flip(m2, len(m2) - 1)),
    }
    _refuse(group, rule, auth, "Tampered", tampered)
    _add_ik_shapes(group, (first, m1), (second, m2))
    return group


def _add_ik_shapes(group: Group, one: tuple[list[Json], bytes], two: tuple[list[Json], bytes]) -> None:
    (first, m1), (second, m2) = one, two
    cut = {
        "message 1 cut within e": _spoil(first, m1[:31]),
        "message 1 cut within the sealed static key": _spoil(first, m1[:79]),
        "message 2 cut within e": _spoil(second, m2[:31]),
    }
    _refuse(group, "V-HS-01", "malformed", "Truncated", cut)
    short = {"message 1 without its last byte": _spoil(first, m1[:-1]), "e alone": _spoil(second, m2[:32])}
    _refuse(group, "V-HS-02", "authentication", "Truncated", short)
    low = {
        "message 1 of low order": _spoil(first, LOW_ORDER + m1[32:]),
        "message 2 of low order": _spoil(second, LOW_ORDER + m2[32:]),
    }
    _refuse(group, "V-KY-02", "authentication", "LowOrder", low)
    other = {
        "e of message 1 not canonical": _spoil(first, NON_CANONICAL + m1[32:]),
        "e of message 2 not canonical": _spoil(second, NON_CANONICAL + m2[32:]),
    }
    _refuse(group, "V-KY-01", "malformed", "NonCanonical", other)
    own = {"own e in message 2": _spoil(second, m1[:32] + m2[32:])}
    _refuse(group, "V-HS-03", "unexpected", "Reflected", own)


def _bounds_group(seed: Seed) -> Group:
    """The largest message, and the last nonce. Message 1 of XX is not sealed: its zeros are written short."""
    group = Group("6.2", _inputs(seed, "Noise_XX_25519_ChaChaPoly_BLAKE2b"))
    sides = {role: Side(role, group.inputs) for role in ROLES}
    payload = bytes(NOISE_MESSAGE_MAX - 32)
    message = sides["initiator"].write(payload)
    given = {"message": write_bytes(message), "payload": write_bytes(payload)}
    steps: list[Json] = [
        {"actor": "initiator", "do": "write"} | given,
        {"actor": "responder", "do": "read"} | given,
    ]
    group.add("a message of 65,535 bytes", ["Bounds"], SUCCESS, steps)
    step = {"actor": "responder", "do": "read", "message": write_bytes(message + b"\x00")}
    group.add("a message of 65,536 bytes", ["Bounds"], "limit", [step], rule="V-CD-01")
    steps = _honest_steps(seed, group.inputs, 3)
    steps.append({"actor": "initiator", "do": "set_nonce", "nonce": (NOISE_NONCE_MAX - 1).to_bytes(8).hex()})
    at_end = Pair(group.inputs)
    for step in steps:
        at_end.take(step)
    last = {"actor": "initiator", "do": "write", "payload": b"last".hex()}
    last |= {"message": at_end.take(last)}
    read = {"actor": "responder", "do": "read", "message": last["message"], "payload": last["payload"]}
    group.add("the last nonce, 2^64-2", ["Bounds"], SUCCESS, [*steps, last, read])
    beyond = {"actor": "initiator", "do": "write", "payload": ""}
    group.add("no nonce is left", ["Bounds"], "limit", [*steps, last, beyond])
    return group


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
    return build_file(seed, NOTES, [*groups, _xx_group(seed), _ik_group(seed), _bounds_group(seed)])
