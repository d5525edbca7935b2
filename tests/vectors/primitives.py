"""Makes the vectors of the primitives: what each formula hashes, and keys and signatures that are refused.

Rules: the table of formulas names parts as SPEC does, in its order; every label of the registry has a row.
Points of Ed25519 that no library gives come from the curve's arithmetic, written out here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Final

from protocol import labels, primitives
from protocol.primitives import MLKEM_CIPHERTEXT_SIZE, MLKEM_PUBLIC_SIZE, Aead
from protocol.vectors.frame import SUCCESS, Json, write_bytes
from protocol.vectors.primitives import ACTIONS, AEADS, AREA
from tests.vectors.files import Group, Script, Seed, build_file, one_step
from tests.vectors.kem import kem_ciphertext, kem_seed

NOTES: Final = {
    "Label": ("BASIC", "A hash or a signature under one label of the registry."),
    "Key": ("BASIC", "A public key from its secret, and what two ends agree on."),
    "NotCanonical": ("MALLEABILITY", "A second encoding of a key that has another one."),
    "LowOrder": ("CONFIDENTIALITY", "A key of small order makes the shared secret known to all."),
    "WrongSize": ("MALFORMED", "A key, ciphertext or signature of another size."),
    "WrongGroup": ("AUTHENTICITY", "A point outside of the prime-order group."),
    "Signature": ("BASIC", "A signature that verifies."),
    "WrongSignature": ("AUTHENTICITY", "A signature that does not verify."),
    "Malleable": ("MALLEABILITY", "S is not below the group's order."),
    "Cofactor": ("AUTHENTICITY", "Only the equation with the cofactor holds, as not all verifiers ask."),
    "Aead": ("BASIC", "A payload AEAD seals and opens."),
    "Tampered": ("AUTHENTICITY", "One bit or byte of what is opened differs."),
    "Kem": ("BASIC", "A KEM key from its seed, and decapsulation."),
    "ImplicitRejection": ("EDGE_CASE", "A wrong ciphertext gives another secret and no error."),
    "Passphrase": ("BASIC", "Argon2id at the least cost that a profile header may have."),
}
_P: Final = 2**255 - 19
_ORDER: Final = 2**252 + 27742317777372353535851937790883648493

Part = tuple[str, int]
Formula = tuple[bytes, str, Part | None, int, tuple[Part, ...]]
"""Label, name, key and its size, size of the output, parts of the input with their sizes."""

FORMULAS: Final[tuple[Formula, ...]] = (
    (labels.CHAIN, "chain_step", ("CK", 32), 64, ()),
    (
        labels.RATCHET,
        "root_step",
        ("RK", 32),
        64,
        (("dh_output", 32), ("ratchet_sender", 32), ("ratchet_receiver", 32)),
    ),
    (labels.LINK_ROOT, "S", ("kem_secret", 32), 32, (("share_I", 32), ("share_R", 32), ("h", 64))),
    (labels.SESSION_ID, "session_id", ("S", 32), 16, (("h", 64),)),
    (
        labels.SESSION_ROOT,
        "session_root",
        ("S", 32),
        32,
        (("static_I", 32), ("static_R", 32), ("session_id", 16)),
    ),
    (labels.PERSON, "person", None, 32, (("genesis", 138),)),
    (labels.TERMINAL, "terminal", None, 32, (("signing", 32), ("static", 32))),
    (labels.OPERATION, "operation_id", None, 32, (("operation", 110),)),
    (labels.RECOVERY, "recovery_ed25519", ("recovery_seed", 32), 32, ()),
    (labels.RECOVERY_MLDSA, "recovery_mldsa", ("recovery_seed", 32), 32, ()),
    (labels.RECOVERY_KEY, "mldsa_hash", None, 32, (("mldsa_public", 1952),)),
    (labels.DRAWN, "drawn", None, 32, (("r", 32),)),
    (labels.SELF_KEY, "self_key", ("r", 32), 32, ()),
    (labels.DRAWN_SHARE, "share", ("r", 32), 32, (("pairing", 32),)),
    (labels.SHARE_NAME, "share_name", ("share", 32), 16, (("operation", 32),)),
    (labels.SEAL, "seal_key", ("self_key", 32), 32, (("dh", 32), ("once", 32), ("static", 32))),
    (labels.RECOVERY_WORDS, "seed_check", None, 2, (("recovery_seed", 32),)),
    (labels.SAFETY, "digest", None, 60, (("person_low", 32), ("person_high", 32))),
    (
        labels.PAIRING_TRANSCRIPT,
        "t",
        None,
        32,
        (
            ("h", 64),
            ("share_I", 32),
            ("share_R", 32),
            ("kem_key", 1184),
            ("kem_ciphertext", 1088),
            ("ratchet_key", 32),
        ),
    ),
    (labels.PAIRING_ROOT, "pairing_root", ("S", 32), 32, (("t", 32),)),
    (
        labels.PAIRING_ACCEPT,
        "accept_tag",
        ("pairing_root", 32),
        32,
        (("role", 1), ("t", 32), ("record_own", 32), ("record_other", 32)),
    ),
    (labels.COMMITMENT, "commitment", None, 32, (("t", 32), ("nonce_I", 32))),
    (labels.WORDS, "five", None, 5, (("t", 32), ("nonce_I", 32), ("nonce_R", 32))),
    (labels.RECORD, "record_own", None, 32, (("own_record", 400),)),
    (labels.RECORD_PROOF, "proof", ("shared", 32), 32, (("role", 1), ("t", 32), ("core", 32))),
    (labels.RECORD_CORE, "core", None, 32, (("bare_record", 400),)),
    (labels.OWN_SECRET, "own_secret", ("self_key", 32), 32, (("person", 32),)),
    (labels.OWN_PSK, "own_psk", ("own_secret", 32), 32, ()),
    (labels.OWN_DISCOVER, "own_discovery_key", ("own_secret", 32), 32, ()),
    (labels.OWN_RELAY, "own_meeting_key", ("own_secret", 32), 32, ()),
    (labels.NOTES, "notes", None, 32, (("person", 32),)),
    (labels.REGISTER, "of", None, 32, (("what", 32),)),
    (labels.OWN_MARKS, "marks_hash", None, 32, (("conversation", 32), ("marks", 70))),
    (labels.INVITE_CHECK, "check", None, 32, (("person", 32), ("static", 32))),
    (labels.INVITE_KEY, "one_time", None, 32, (("one_time_key", 32),)),
    (labels.INVITE_PSK, "psk", ("secret", 16), 32, (("array", 200),)),
    (labels.PAIRING_ID, "pairing_id", ("pairing_root", 32), 32, ()),
    (labels.CONTACT, "contact_secret", ("pairing_root", 32), 32, (("share_low", 32), ("share_high", 32))),
    (labels.LINK_PSK, "link_psk", ("contact_secret", 32), 32, (("person_I", 32), ("person_R", 32))),
    (labels.DISCOVER, "discovery_key", ("contact_secret", 32), 32, (("announcer", 32), ("viewer", 32))),
    (
        labels.SLOT,
        "slot",
        ("discovery_key", 32),
        8,
        (("day", 4), ("static", 32), ("instance", 16), ("zero", 1), ("port", 2), ("addresses", 29)),
    ),
    (labels.RELAY_KEY, "meeting_key", ("contact_secret", 32), 32, (("waiter", 32), ("dialler", 32))),
    (labels.RELAY_TOKEN, "token", ("meeting_key", 32), 16, (("day", 4), ("relay", 32), ("static", 32))),
    (
        labels.RELAY_INVITATION,
        "invitation_token",
        ("secret", 16),
        16,
        (("day", 4), ("relay", 32), ("check", 32), ("expires", 4)),
    ),
    (labels.RELAY_CLUSTER, "psk", ("secret", 32), 32, ()),
    (labels.RELAY_NAMES, "name", ("secret", 32), 16, (("token", 16),)),
    (labels.RELAY_MAC, "mac", ("relay", 32), 16, (("greeting", 28), ("choice", 2), ("message_1", 48))),
    (labels.CONVERSATION, "conversation", None, 32, (("person_low", 32), ("person_high", 32))),
    (labels.CONTENT, "content", None, 32, (("salt", 16), ("body", 60))),
    (labels.SELF_TAG, "self_tag", ("self_key", 32), 32, (("untagged", 170),)),
    (labels.ENTRY, "entry_id", None, 32, (("header", 204),)),
    (labels.HEADS, "heads_hash", None, 32, (("conversation", 32), ("heads", 71))),
    (labels.PROFILE_HEADER, "check", None, 16, (("fields", 98),)),
    (labels.BACKUP_MAC_KEY, "mac_key", ("passphrase_key", 32), 32, ()),
    (labels.BACKUP_MAC, "mac", ("mac_key", 32), 32, (("fields", 41),)),
    (labels.BACKUP_CHUNKS, "chunk_key", ("passphrase_key", 32), 32, (("mac", 32),)),
    (labels.HISTORY_ROOT, "next_root", None, 32, (("root", 32), ("entry_id", 32), ("content_held", 32))),
    (labels.PIECE, "leaf", None, 32, (("sealed_piece", 21),)),
    (labels.PIECES, "node", None, 32, (("left", 32), ("right", 32))),
    (labels.NEW_CORE, "new_core", None, 32, (("bare_new", 200),)),
    (labels.NEW_PROOF, "new_proof", ("new_shared", 32), 32, (("role", 1), ("t", 32), ("new_core", 32))),
)
SIGNED: Final[tuple[tuple[bytes, tuple[Part, ...]], ...]] = (
    (labels.SIGN_OPERATION, (("operation_id", 32),)),
    (labels.SIGN_RECORD, (("role", 1), ("t", 32), ("core", 32), ("proof", 32))),
    (labels.SIGN_NEW, (("role", 1), ("t", 32), ("new_core", 32), ("new_proof", 32))),
    (labels.SIGN_ENTRY, (("entry_id", 32),)),
    (labels.SIGN_TAKEN, (("entry_id", 32),)),
)


def _drawn(seed: Seed, label: str, size: int) -> bytes:
    return b"".join(seed.bytes(f"{label}/{n}") for n in range((size + 31) // 32))[:size]


# --- Labels (SPEC §4.2) ---


def _labelled(seed: Seed) -> Group:
    group = Group("4.2", {})
    for label, name, key, size, parts in FORMULAS:
        steps = one_step(
            ACTIONS,
            None,
            "b2b",
            label=label.decode(),
            key="" if key is None else _drawn(seed, f"{name}/{key[0]}", key[1]).hex(),
            input=_inputs(seed, name, parts),
            size=size,
        )
        group.add(f"{name}, under {label.decode()}", ["Label"], SUCCESS, steps)
    for label, parts in SIGNED:
        name = label.decode().rstrip("\0")
        given = {"label": label.decode(), "seed": seed.bytes(f"{name}/seed").hex()}
        steps = one_step(ACTIONS, None, "sign", **given, input=_inputs(seed, name, parts))
        group.add(f"a signature under {name}", ["Label"], SUCCESS, steps)
    return group


def _inputs(seed: Seed, name: str, parts: tuple[Part, ...]) -> list[list[str]]:
    return [[part, write_bytes(_drawn(seed, f"{name}/{part}", size))] for part, size in parts]


# --- X25519 (SPEC §4.1) ---


def _u(value: int) -> str:
    return value.to_bytes(32, "little").hex()


_SMALL: Final = (
    0,
    1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
    _P - 1,
)
_NOT_CANONICAL: Final = (_P, _P + 1, _P + 9, 2**255 - 1, 2**255 + 9, 2**256 - 1)


def _x25519(seed: Seed) -> Group:
    group = Group("4.1", {})
    script = Script(ACTIONS, None)
    secrets = [seed.bytes(f"x25519/{name}").hex() for name in "ab"]
    publics = [script.take("x25519_public", secret=secret)["public"] for secret in secrets]
    shared = [
        script.take("x25519", secret=secret, public=public)["shared"]
        for secret, public in zip(secrets, reversed(publics), strict=True)
    ]
    assert shared[0] == shared[1]
    group.add("two ends", ["Key"], SUCCESS, script.steps)
    rows = [("WrongSize", f"a key of {size} bytes", publics[0][:2] * size) for size in (0, 31, 33)]
    rows += [("NotCanonical", f"u = {value:#x}", _u(value)) for value in _NOT_CANONICAL]
    for flag, comment, public in rows:
        step = {"do": "x25519", "secret": secrets[0], "public": public}
        group.add(comment, [flag], "malformed", [step], rule="V-KY-01")
    for value in _SMALL:
        step = {"do": "x25519", "secret": secrets[0], "public": _u(value)}
        group.add(f"u = {value:#x}", ["LowOrder"], "authentication", [step], rule="V-KY-02")
    return group


# --- Ed25519 (SPEC §4.1) ---


def _negated(encoded: bytes) -> bytes:
    """A point plus the point of order two, (0, -1): both coordinates change their sign."""
    value = int.from_bytes(encoded, "little")
    y, sign = value % 2**255, value >> 255
    return ((_P - y) | ((1 - sign) << 255)).to_bytes(32, "little")


_NOT_PRIME_ORDER: Final = (
    ("the neutral point", _u(1)),
    ("the point of order 2", _u(_P - 1)),
    ("a point of order 4", _u(0)),
    ("another point of order 4", _u(2**255)),
    ("a point of order 8", "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
    ("another point of order 8", "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
    ("the neutral point with the sign of -0", _u(2**255 + 1)),
    ("the neutral point as p + 1", _u(_P + 1)),
    ("a point of order 4 as p", _u(_P)),
    ("no point of the curve", _u(2)),
)


def _ed25519_keys(seed: Seed) -> Group:
    group = Group("4.1", {})
    script = Script(ACTIONS, None)
    public = script.take("ed25519_public", seed=seed.bytes("ed25519").hex())["public"]
    script.take("ed25519_check", public=public)
    group.add("a key", ["Key"], SUCCESS, script.steps)
    mixed = _negated(bytes.fromhex(public)).hex()
    rows = [("WrongGroup", comment, wrong) for comment, wrong in _NOT_PRIME_ORDER]
    rows.append(("WrongGroup", "a key plus the point of order 2", mixed))
    rows += [("WrongSize", f"a key of {size} bytes", (public + "00")[: 2 * size]) for size in (31, 33)]
    for flag, comment, wrong in rows:
        step = {"do": "ed25519_check", "public": wrong}
        group.add(comment, [flag], "malformed", [step], rule="V-KY-03")
    return group


def _scalar(secret: bytes) -> int:
    """The secret scalar of a seed (RFC 8032 §5.1.5)."""
    half = int.from_bytes(hashlib.sha512(secret).digest()[:32], "little")
    return (half & (2**254 - 8)) | 2**254


def _cofactored(secret: bytes, nonce: bytes, message: bytes) -> bytes:
    """A signature whose R has a part of order two: right but for that part, which the cofactor removes."""
    public, r_point = primitives.ed25519_from_seed(secret), _negated(primitives.ed25519_from_seed(nonce))
    k = int.from_bytes(hashlib.sha512(r_point + public + message).digest(), "little")
    s = (_scalar(nonce) + k * _scalar(secret)) % _ORDER
    return r_point + s.to_bytes(32, "little")


def _signatures(seed: Seed) -> Group:
    secret, message = seed.bytes("signer"), b"what is signed"
    public, signature = primitives.ed25519_from_seed(secret), primitives.ed25519_sign(secret, message)
    group = Group("4.1", {})

    def add(comment: str, flag: str, wrong: bytes, *, of: bytes = message, by: bytes = public) -> None:
        step = {"do": "ed25519_verify", "public": by.hex(), "message": of.hex(), "signature": wrong.hex()}
        refused = flag != "Signature"
        expect, rule = ("authentication", "V-KY-05") if refused else (SUCCESS, "")
        group.add(comment, [flag], expect, [step], rule=rule)

    larger = int.from_bytes(signature[32:], "little") + _ORDER
    add("a signature", "Signature", signature)
    add("a signature of nothing", "Signature", primitives.ed25519_sign(secret, b""), of=b"")
    add("without its last byte", "WrongSize", signature[:-1])
    add("with a byte after it", "WrongSize", signature + b"\x00")
    add("S plus the group's order", "Malleable", signature[:32] + larger.to_bytes(32, "little"))
    add("S of zero", "WrongSignature", signature[:32] + bytes(32))
    add("one bit of R", "WrongSignature", bytes([signature[0] ^ 1]) + signature[1:])
    add("of another message", "WrongSignature", signature, of=message + b".")
    other = primitives.ed25519_from_seed(seed.bytes("other signer"))
    add("by another key", "WrongSignature", signature, by=other)
    add("R plus the point of order 2", "Cofactor", _cofactored(secret, seed.bytes("nonce"), message))
    return group


# --- AEADs, KEM, Argon2id (SPEC §4.1) ---


def _aeads(seed: Seed) -> Iterator[Group]:
    for aead in AEADS.values():
        group = Group("4.1", {})
        for size in (0, 1, 16, 63, 64, 300):
            given = _aead_inputs(seed, aead) | {"plaintext": _drawn(seed, "plaintext", size).hex()}
            script = Script(ACTIONS, None)
            sealed = script.take("seal", **given)["sealed"]
            script.take("open", **_aead_inputs(seed, aead), sealed=sealed)
            group.add(f"{aead.name}, {size} bytes", ["Aead"], SUCCESS, script.steps)
        for comment, changed in _aead_changes(seed, aead):
            step = {"do": "open"} | changed
            group.add(f"{aead.name}, {comment}", ["Tampered"], "authentication", [step])
        yield group


def _aead_inputs(seed: Seed, aead: Aead) -> Json:
    key, nonce = seed.bytes("key"), seed.bytes("nonce")[: aead.nonce_size]
    return {"aead": aead.name, "key": key.hex(), "nonce": nonce.hex(), "ad": seed.bytes("ad")[:8].hex()}


def _aead_changes(seed: Seed, aead: Aead) -> Iterator[tuple[str, Json]]:
    given = _aead_inputs(seed, aead)
    key, nonce, ad = (bytes.fromhex(given[name]) for name in ("key", "nonce", "ad"))
    whole = given | {"sealed": aead.seal(key, nonce, ad, _drawn(seed, "plaintext", 64)).hex()}
    places = {"ciphertext": ("sealed", 0), "tag": ("sealed", -1), "associated data": ("ad", 7)}
    for comment, (name, place) in (places | {"nonce": ("nonce", 0), "key": ("key", 31)}).items():
        changed = bytearray.fromhex(whole[name])
        changed[place] ^= 0x80
        yield f"one bit of the {comment}", whole | {name: changed.hex()}
    yield "without its last byte", whole | {"sealed": whole["sealed"][:-2]}
    yield "shorter than a tag", whole | {"sealed": whole["sealed"][: 2 * aead.tag_size - 2]}


def _kem(phrase: str) -> Group:
    group = Group("4.1", {})
    script = Script(ACTIONS, None)
    seed, ciphertext = kem_seed(phrase, AREA).hex(), kem_ciphertext(AREA).hex()
    public = bytes.fromhex(script.take("kem_key", seed=seed)["public"])
    script.take("kem_check", public=public.hex())
    script.take("decapsulate", seed=seed, ciphertext=ciphertext)
    group.add("a key, and what its owner gets of a ciphertext", ["Kem"], SUCCESS, script.steps)
    wrong = ("01" if ciphertext[:2] != "01" else "02") + ciphertext[2:]
    steps = one_step(ACTIONS, None, "decapsulate", seed=seed, ciphertext=wrong)
    group.add("a ciphertext of another secret", ["ImplicitRejection"], SUCCESS, steps)
    _add_wrong_kem(group, public, seed, ciphertext)
    return group


def _add_wrong_kem(group: Group, public: bytes, seed: str, ciphertext: str) -> None:
    unreduced = (3_329).to_bytes(2, "little")
    rows: list[tuple[str, str, Any]] = [
        ("NotCanonical", "a first coefficient of 3,329", unreduced[:1] + bytes([unreduced[1]]) + public[2:]),
        ("NotCanonical", "every coefficient of 4,095", b"\xff" * 1_152 + public[1_152:]),
        ("WrongSize", "a key without its last byte", public[:-1]),
        ("WrongSize", "a key with a byte after it", public + b"\x00"),
    ]
    assert len(public) == MLKEM_PUBLIC_SIZE
    for flag, comment, wrong in rows:
        step = {"do": "kem_check", "public": write_bytes(wrong)}
        group.add(comment, [flag], "malformed", [step], rule="V-KY-04")
    for size in (MLKEM_CIPHERTEXT_SIZE - 1, MLKEM_CIPHERTEXT_SIZE + 1):
        step = {"do": "decapsulate", "seed": seed, "ciphertext": (ciphertext + "00")[: 2 * size]}
        group.add(f"a ciphertext of {size} bytes", ["WrongSize"], "malformed", [step], rule="V-CD-03")


def _passphrase(seed: Seed) -> Group:
    group = Group("4.1", {})
    given = {"passphrase": b"a passphrase".hex(), "salt": seed.bytes("salt")[:16].hex()}
    steps = one_step(ACTIONS, None, "argon2id", **given, operations=1, memory_bytes=8 * 2**20)
    group.add("one pass over 8 MiB", ["Passphrase"], SUCCESS, steps)
    return group


def _moved(seed: Seed) -> Group:
    """Signature and message are right together, and parted in another place."""
    group, secret = Group("4.1", {}), seed.bytes("signer")
    public, message = primitives.ed25519_from_seed(secret), b"what is signed"
    whole = primitives.ed25519_sign(secret, message) + message
    for size in (63, 65):
        signature, rest = whole[:size], whole[size:]
        step = {"do": "ed25519_verify", "public": public.hex()}
        step |= {"message": rest.hex(), "signature": signature.hex()}
        comment = f"{size} bytes of signature, the rest as message"
        group.add(comment, ["WrongSize"], "authentication", [step], rule="V-KY-05")
    return group


def build(phrase: str) -> Json:
    """The whole file of this area."""
    seed = Seed(phrase, AREA)
    groups = [_labelled(seed), _x25519(seed), _ed25519_keys(seed), _signatures(seed)]
    groups += [*_aeads(seed), _kem(phrase), _passphrase(seed), _moved(seed)]
    return build_file(seed, NOTES, groups)
