"""Runs the vectors of the primitives: hashes with every label, keys, signatures, AEADs, KEM (SPEC §4).

Published vectors cover the algorithms. These cover the inputs that are allowed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from protocol import labels, primitives
from protocol.primitives import AEGIS256, CHACHA20POLY1305, MlKemSecret
from protocol.vectors.frame import Action, Json, VectorMismatch, read_bytes, run_steps

AREA: Final = "primitives"
AEADS: Final = {aead.name: aead for aead in (AEGIS256, CHACHA20POLY1305)}


def joined(parts: list[list[str]]) -> bytes:
    """The bytes of named parts, one after the other."""
    return b"".join(read_bytes(part) for _, part in parts)


def _label(step: Json) -> bytes:
    label = str(step["label"]).encode()
    if label not in labels.registry():
        raise VectorMismatch("a label that is not in the registry")
    return label


def _hex(step: Json, *names: str) -> list[bytes]:
    return [read_bytes(step[name]) for name in names]


# --- Actions ---


def _b2b(_: None, step: Json) -> Json:
    key, personal = read_bytes(step["key"]), _label(step)
    output = primitives.b2b(joined(step["input"]), personal=personal, key=key, size=step["size"])
    return {"output": output.hex()}


def _sign(_: None, step: Json) -> Json:
    message = _label(step) + joined(step["input"])
    return {"signature": primitives.ed25519_sign(read_bytes(step["seed"]), message).hex()}


def _x25519_public(_: None, step: Json) -> Json:
    return {"public": primitives.x25519_public(read_bytes(step["secret"])).hex()}


def _x25519(_: None, step: Json) -> Json:
    return {"shared": primitives.x25519(*_hex(step, "secret", "public")).hex()}


def _ed25519_public(_: None, step: Json) -> Json:
    return {"public": primitives.ed25519_from_seed(read_bytes(step["seed"])).hex()}


def _ed25519_check(_: None, step: Json) -> Json:
    primitives.check_ed25519_public(read_bytes(step["public"]))
    return {}


def _ed25519_verify(_: None, step: Json) -> Json:
    primitives.ed25519_verify(*_hex(step, "public", "message", "signature"))
    return {}


def _seal(_: None, step: Json) -> Json:
    values = _hex(step, "key", "nonce", "ad", "plaintext")
    return {"sealed": AEADS[step["aead"]].seal(*values).hex()}


def _open(_: None, step: Json) -> Json:
    values = _hex(step, "key", "nonce", "ad", "sealed")
    return {"plaintext": AEADS[step["aead"]].open(*values).hex()}


def _kem_pair(step: Json) -> tuple[MlKemSecret, bytes]:
    return primitives.mlkem_from_seed(read_bytes(step["seed"]))


def _kem_key(_: None, step: Json) -> Json:
    return {"public": _kem_pair(step)[1].hex()}


def _kem_check(_: None, step: Json) -> Json:
    primitives.mlkem_encapsulate(read_bytes(step["public"]))
    return {}


def _decapsulate(_: None, step: Json) -> Json:
    return {"secret": _kem_pair(step)[0].decapsulate(read_bytes(step["ciphertext"])).hex()}


def _argon2id(_: None, step: Json) -> Json:
    passphrase, salt = _hex(step, "passphrase", "salt")
    key = primitives.argon2id(passphrase, salt, step["operations"], step["memory_bytes"])
    return {"key": key.hex()}


ACTIONS: Final[Mapping[str, Action[None]]] = {
    "b2b": _b2b,
    "sign": _sign,
    "x25519_public": _x25519_public,
    "x25519": _x25519,
    "ed25519_public": _ed25519_public,
    "ed25519_check": _ed25519_check,
    "ed25519_verify": _ed25519_verify,
    "seal": _seal,
    "open": _open,
    "kem_key": _kem_key,
    "kem_check": _kem_check,
    "decapsulate": _decapsulate,
    "argon2id": _argon2id,
}


def run(test: Json, inputs: Json) -> None:
    """One test; VectorMismatch if a step gives something else."""
    run_steps(test, ACTIONS, None)
