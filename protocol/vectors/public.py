"""Runs published vectors of other projects through primitives.py and noise.py (SPEC §20).

The files are read from a folder that the user names. Inputs that our functions refuse by design, such as keys
that are not canonical, must be refused and are not skipped. A vector for an unknown function never counts as
passed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from protocol import primitives
from protocol.errors import AuthenticationFailed, LocalMisuse, Malformed
from protocol.keys import X25519Pair
from protocol.noise import Finished, HandshakeState
from protocol.noise_patterns import parse_name
from protocol.primitives import AEGIS256, CHACHA20POLY1305, Aead
from protocol.vectors.frame import Area, Case, Json, Report, VectorMismatch, expect_equal

_P25519: Final = 2**255 - 19


def _refused(action: Callable[[], object], *errors: type[Exception]) -> None:
    """VectorMismatch unless action raises one of errors."""
    try:
        action()
    except errors:
        return
    raise VectorMismatch("accepted what must be refused")


def _hex(value: Json, name: str) -> bytes:
    return bytes.fromhex(value.get(name, ""))


# --- Wycheproof: one function a file, for one test of one group ---


def _x25519(_: Json, test: Json) -> None:
    """Every key that is canonical gives the shared secret; the others, and a secret of zeros, are refused."""
    private, public, shared = (_hex(test, name) for name in ("private", "public", "shared"))
    if int.from_bytes(public, "little") >= _P25519:
        _refused(lambda: primitives.x25519(private, public), Malformed)
    elif shared == bytes(32):
        _refused(lambda: primitives.x25519(private, public), AuthenticationFailed)
    else:
        expect_equal("shared secret", primitives.x25519(private, public), shared)


def _ed25519(group: Json, test: Json) -> None:
    """Valid signatures verify under a key that passes our check; all others do not."""
    public, message, signature = _hex(group["publicKey"], "pk"), _hex(test, "msg"), _hex(test, "sig")
    if test["result"] == "valid":
        primitives.check_ed25519_public(public)
        primitives.ed25519_verify(public, message, signature)
    else:
        _refused(lambda: primitives.ed25519_verify(public, message, signature), AuthenticationFailed)


def _chacha20_poly1305(_: Json, test: Json) -> None:
    """Seal and open; a wrong nonce size is our own misuse, a wrong tag the sender's fault."""
    key, nonce, ad, plaintext = (_hex(test, name) for name in ("key", "iv", "aad", "msg"))
    sealed = _hex(test, "ct") + _hex(test, "tag")
    if test["result"] == "valid":
        expect_equal("ciphertext", CHACHA20POLY1305.seal(key, nonce, ad, plaintext), sealed)
        expect_equal("plaintext", CHACHA20POLY1305.open(key, nonce, ad, sealed), plaintext)
        return
    error = AuthenticationFailed if len(nonce) == CHACHA20POLY1305.nonce_size else LocalMisuse
    _refused(lambda: CHACHA20POLY1305.open(key, nonce, ad, sealed), error)


def _fold(aead: Aead, sealed: bytes) -> bytes:
    """A ciphertext with its 32-byte tag folded to the 16-byte one: the two halves, xored (RFC 10032)."""
    half, at = aead.tag_size // 2, len(sealed) - aead.tag_size
    low, high = sealed[at : at + half], sealed[at + half :]
    return sealed[:at] + bytes(a ^ b for a, b in zip(low, high, strict=True))


def _aegis256(_: Json, test: Json) -> None:
    """Published with 16-byte tags: ours is folded; an invalid one must differ from what is right."""
    key, nonce, ad, plaintext = (_hex(test, name) for name in ("key", "iv", "aad", "msg"))
    published = _hex(test, "ct") + _hex(test, "tag")
    sealed = AEGIS256.seal(key, nonce, ad, plaintext)
    expect_equal("plaintext", AEGIS256.open(key, nonce, ad, sealed), plaintext)
    expect_equal("validity", _fold(AEGIS256, sealed) == published, test["result"] == "valid")


def _mlkem_keygen(_: Json, test: Json) -> None:
    expect_equal("public key", primitives.mlkem_from_seed(_hex(test, "seed"))[1], _hex(test, "ek"))


def _mlkem_decapsulate(_: Json, test: Json) -> None:
    """A valid ciphertext gives K; an invalid one, or a seed, has a wrong size and is refused."""
    seed, ciphertext = _hex(test, "seed"), _hex(test, "c")
    if test["result"] != "valid":
        _refused(lambda: _decapsulate(seed, ciphertext), Malformed, LocalMisuse)
        return
    expect_equal("shared secret", _decapsulate(seed, ciphertext), _hex(test, "K"))
    if "ek" in test:
        _mlkem_keygen({}, test)


def _decapsulate(seed: bytes, ciphertext: bytes) -> bytes:
    return primitives.mlkem_from_seed(seed)[0].decapsulate(ciphertext)


def _mlkem_invalid_key(_: Json, test: Json) -> None:
    """A key of a wrong size or with a coefficient over the modulus is refused before encapsulation."""
    _refused(lambda: primitives.mlkem_encapsulate(_hex(test, "ek")), Malformed)


def _mldsa_verify(group: Json, test: Json) -> None:
    """Valid signatures verify. All others do not, nor any that was made for a context: ours is empty."""
    public, message, signature = _hex(group, "publicKey"), _hex(test, "msg"), _hex(test, "sig")
    if test["result"] == "valid" and not test.get("ctx"):
        primitives.mldsa_verify(public, message, signature)
    else:
        _refused(lambda: primitives.mldsa_verify(public, message, signature), AuthenticationFailed)


def _mldsa_keygen(group: Json, test: Json) -> None:
    """A seed of the right size gives the public key, under which what was signed with it verifies.

    The library draws the randomness of a signature itself: its known answers cannot be compared.
    """
    seed = _hex(group, "privateSeed")
    if len(seed) != primitives.MLDSA_SEED_SIZE:
        _refused(lambda: primitives.mldsa_from_seed(seed), LocalMisuse)
        return
    expect_equal("public key", primitives.mldsa_from_seed(seed), _hex(group, "publicKey"))
    if "msg" in test:
        _mldsa_verify(group, test)


def _is_invalid(test: Json) -> bool:
    # The library draws the randomness of an encapsulation itself: its known answers cannot be run.
    return bool(test["result"] == "invalid")


def _every(_: Json) -> bool:
    return True


_WYCHEPROOF: Final[Mapping[str, tuple[Callable[[Json, Json], None], Callable[[Json], bool]]]] = {
    "x25519_test": (_x25519, _every),
    "ed25519_test": (_ed25519, _every),
    "chacha20_poly1305_test": (_chacha20_poly1305, _every),
    "aegis256_test": (_aegis256, _every),
    "mlkem_768_keygen_seed_test": (_mlkem_keygen, _every),
    "mlkem_768_test": (_mlkem_decapsulate, _every),
    "mlkem_768_encaps_test": (_mlkem_invalid_key, _is_invalid),
    "mldsa_65_verify_test": (_mldsa_verify, _every),
    "mldsa_65_sign_seed_test": (_mldsa_keygen, _every),
}


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _wycheproof_area(path: Path) -> Area:
    """All tests of one file; of those that cannot be run here, nothing is said to have passed."""
    check, applies = _WYCHEPROOF[path.stem]
    cases = tuple(
        Case(f"{path.stem}-{test['tcId']}", partial(check, group, test))
        for group in _read(path)["testGroups"]
        for test in group["tests"]
        if applies(test)
    )
    return Area(f"wycheproof/{path.stem}", cases)


# --- Noise: transcripts in the format of cacophony and snow ---


def _side(vector: Json, role: str, *, initiator: bool) -> HandshakeState:
    static, remote = _hex(vector, f"{role}_static"), _hex(vector, f"{role}_remote_static")
    ephemeral = _hex(vector, f"{role}_ephemeral")
    return HandshakeState(
        vector["protocol_name"],
        initiator,
        prologue=_hex(vector, f"{role}_prologue"),
        s=X25519Pair(static) if static else None,
        rs=remote or None,
        psks=[bytes.fromhex(psk) for psk in vector.get(f"{role}_psks", ())],
        random=lambda size: ephemeral[:size],
    )


def _noise(vector: Json) -> None:
    """The whole transcript, handshake and transport, both sides, bit for bit."""
    sides = (_side(vector, "init", initiator=True), _side(vector, "resp", initiator=False))
    count = len(parse_name(vector["protocol_name"]).messages)
    for index, message in enumerate(vector["messages"][:count]):
        writer, reader = sides[index % 2], sides[1 - index % 2]
        _compare(writer.write_message, reader.read_message, message)
    ends = (sides[0].finish(), sides[1].finish())
    if "handshake_hash" in vector:
        for end in ends:
            expect_equal("handshake hash", end.handshake_hash, _hex(vector, "handshake_hash"))
    _noise_transport(vector, ends, count)


def _noise_transport(vector: Json, ends: tuple[Finished, Finished], count: int) -> None:
    one_way = parse_name(vector["protocol_name"]).one_way
    for index, message in enumerate(vector["messages"][count:], start=count):
        turn = 0 if one_way else index % 2
        writer, reader = ends[turn].send, ends[1 - turn].receive
        _compare(partial(writer.encrypt_with_ad, b""), partial(reader.decrypt_with_ad, b""), message)


def _compare(write: Callable[[bytes], bytes], read: Callable[[bytes], bytes], message: Json) -> None:
    payload, ciphertext = _hex(message, "payload"), _hex(message, "ciphertext")
    expect_equal("ciphertext", write(payload), ciphertext)
    expect_equal("payload", read(ciphertext), payload)


def _is_known(vector: Json) -> bool:
    try:
        parse_name(vector.get("protocol_name", ""))
    except LocalMisuse:
        return False
    return True


def _noise_area(path: Path) -> Area:
    """All vectors of one file; those of curves, ciphers and patterns that we do not have are unknown."""
    vectors: list[Json] = _read(path)["vectors"]
    known = [vector for vector in vectors if _is_known(vector)]
    unknown = [str(vector.get("protocol_name")) for vector in vectors if not _is_known(vector)]
    cases = tuple(Case(vector["protocol_name"], partial(_noise, vector)) for vector in known)
    return Area(f"noise/{path.stem}", cases, tuple(unknown))


# --- All of them ---


def public_areas(folder: Path) -> Iterator[Area]:
    """The areas in a folder with `noise` and `wycheproof` inside; the files that nothing runs are unknown."""
    others = []
    for path in sorted(folder.rglob("*.json")):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if path.parent == folder / "noise":
            yield _noise_area(path)
        elif name == f"wycheproof/{path.stem}" and path.stem in _WYCHEPROOF:
            yield _wycheproof_area(path)
        else:
            others.append(name)
    if others:
        yield Area("others", (), tuple(others))


def missing_areas(folder: Path) -> tuple[str, ...]:
    """Areas that this module runs and that the folder lacks."""
    names = [name for name in _WYCHEPROOF if not (folder / "wycheproof" / f"{name}.json").is_file()]
    return tuple(names) if any((folder / "noise").glob("*.json")) else ("noise", *names)


def run_public(folder: Path) -> Iterator[Report]:
    """Run all published vectors of a folder, an area at a time."""
    return (area.report() for area in public_areas(folder))
