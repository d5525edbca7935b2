"""Ratchet sessions with fixed keys, and Olm as parameters of our ratchet.

`olm_transcript.json` is a conversation between our Bob and vodozemac's Alice.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from protocol.errors import AuthenticationFailed, ProtocolError
from protocol.hotpath import FastReceiving, FastRoot, FastSending, Workspace
from protocol.keys import X25519Pair
from protocol.primitives import AEGIS256, CHACHA20POLY1305, SODIUM, Aead
from protocol.ratchet import (
    Header,
    Parameters,
    PlainReceiving,
    PlainRoot,
    PlainSending,
    RatchetSession,
    SkippedKeys,
    parlour_parameters,
)
from tests.support.protocol.samples import seeded, u

TRANSCRIPT = Path(__file__).with_name("olm_transcript.json")
_VERSION, _MAC_SIZE = 3, 8


def hkdf(salt: bytes, material: bytes, info: bytes, size: int) -> bytes:
    """HKDF-SHA-256 (RFC 5869)."""
    key, block, output = hmac.digest(salt or bytes(32), material, "sha256"), b"", b""
    for counter in range(1, -(-size // 32) + 1):
        block = hmac.digest(key, block + info + bytes([counter]), "sha256")
        output += block
    return output[:size]


def _halves(output: bytes) -> tuple[bytes, bytes]:
    return output[:32], output[32:]


def _kdf_rk(root: bytes, dh_output: bytes, _sender: bytes, _receiver: bytes) -> tuple[bytes, bytes]:
    return _halves(hkdf(root, dh_output, b"OLM_RATCHET", 64))


def _kdf_ck(chain: bytes) -> tuple[bytes, bytes]:
    return hmac.digest(chain, b"\x02", "sha256"), hmac.digest(chain, b"\x01", "sha256")


def _keys(message_key: bytes) -> tuple[Cipher[CBC], bytes]:
    keys = hkdf(b"", message_key, b"OLM_KEYS", 80)
    return Cipher(AES(keys[:32]), CBC(keys[64:])), keys[32:64]


def _encrypt(message_key: bytes, header: bytes, plaintext: bytes) -> bytes:
    cipher, mac_key = _keys(message_key)
    padder, encryptor = PKCS7(128).padder(), cipher.encryptor()
    sealed = encryptor.update(padder.update(plaintext) + padder.finalize()) + encryptor.finalize()
    body = b"\x22" + _varint(len(sealed)) + sealed
    return body + hmac.digest(mac_key, header + body, "sha256")[:_MAC_SIZE]


def _decrypt(message_key: bytes, header: bytes, ciphertext: bytes) -> bytes:
    cipher, mac_key = _keys(message_key)
    body, mac = ciphertext[:-_MAC_SIZE], ciphertext[-_MAC_SIZE:]
    if not hmac.compare_digest(hmac.digest(mac_key, header + body, "sha256")[:_MAC_SIZE], mac):
        raise AuthenticationFailed("not authentic")
    _, start = _read_varint(body, 1)
    unpadder, decryptor = PKCS7(128).unpadder(), cipher.decryptor()
    padded = decryptor.update(body[start:]) + decryptor.finalize()
    return bytes(unpadder.update(padded) + unpadder.finalize())


def _varint(number: int) -> bytes:
    low, high = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + _varint(high) if high else bytes([low])


def _read_varint(data: bytes, start: int) -> tuple[int, int]:
    number, shift = 0, 0
    while data[start] & 0x80:
        number |= (data[start] & 0x7F) << shift
        start, shift = start + 1, shift + 7
    return number | data[start] << shift, start + 1


def _encode_header(header: Header) -> bytes:
    return bytes([_VERSION]) + b"\x0a\x20" + header.dh + b"\x10" + _varint(header.n)


def _decode_header(envelope: bytes) -> tuple[Header, int]:
    n, size = _read_varint(envelope, 36)
    return Header(envelope[3:35], 0, n), size


PARAMETERS = Parameters(_kdf_rk, _kdf_ck, _encrypt, _decrypt, _encode_header, _decode_header)


def pre_key_parts(message: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    """One-time key, base key, identity key and the first envelope of Olm's first message."""
    fields, at = [], 1
    while at < len(message):
        size, start = _read_varint(message, at + 1)
        fields.append(message[start : start + size])
        at = start + size
    one_time, base, identity, inner = fields
    return one_time, base, identity, inner


def inbound(
    message: bytes, identity: X25519Pair, one_time: X25519Pair, keys: Iterator[bytes]
) -> RatchetSession:
    """Bob's session from Alice's first message: three DH give the root and Alice's first chain."""
    _, base, their_identity, envelope = pre_key_parts(message)
    shared = one_time.dh(their_identity) + identity.dh(base) + one_time.dh(base)
    root, chain = _halves(hkdf(b"", shared, b"OLM_ROOT", 64))
    session = RatchetSession(
        PARAMETERS, X25519Pair(next(keys)), root, skipped=SkippedKeys(), random=lambda _: next(keys)
    )
    header, _ = _decode_header(envelope)
    session._receiving = session._receiving_chain(chain, Header(header.dh, 0, 0))
    session._sending = session._live_root().turn(header.dh, next(keys))
    return session


AEADS = pytest.mark.parametrize("aead", [AEGIS256, CHACHA20POLY1305], ids=lambda aead: str(aead.name))
ROOT = bytes(range(32))


def pair(
    aead: Aead = AEGIS256, *, allow_skip: bool = False, parameters: Parameters | None = None
) -> tuple[RatchetSession, RatchetSession]:
    """Alice and Bob with fixed ratchet keys."""
    common: dict[str, Any] = {"parameters": parameters or parlour_parameters(aead)}
    bob = X25519Pair(seeded("bob's first")(32))
    one, two = (SkippedKeys() if allow_skip else None for _ in range(2))
    alice = RatchetSession.init_alice(ROOT, bob.public, seeded("alice"), skipped=one, **common)
    return alice, RatchetSession.init_bob(ROOT, bob, seeded("bob"), skipped=two, **common)


def snapshot(session: RatchetSession) -> tuple[object, ...]:
    """Every state variable of Double Ratchet §3.2."""
    sending, receiving, root = session._sending, session._receiving, session._root
    skipped = session._skipped
    if isinstance(sending, FastSending):
        sent: object = (bytes(sending._view[:]), sending.n)
    else:
        sent = sending and (sending._chain_key, sending.n)
    return (
        root and root.public,
        root and root.theirs,
        root and root_key(root),
        sent,
        receiving and (receiving.chain_key, receiving.n, receiving.pn),
        {place: kept.key.reveal() for place, kept in skipped._kept.items()} if skipped is not None else None,
    )


def kept(session: RatchetSession) -> int:
    """How many skipped keys a session keeps that may skip."""
    assert session._skipped is not None
    return len(session._skipped)


def root_key(root: FastRoot | PlainRoot) -> bytes:
    """The root key, 32 bytes, as it is committed."""
    return bytes(root._block[:32]) if isinstance(root, FastRoot) else root._key.reveal()


def refuse(session: RatchetSession, envelope: bytes, *errors: type[ProtocolError]) -> None:
    """Opening raises one of errors and leaves every state variable as it was."""
    before = snapshot(session)
    with pytest.raises(errors):
        session.decrypt(envelope)
    assert snapshot(session) == before


def counters(envelope: bytes, *, pn: int | None = None, n: int | None = None) -> bytes:
    """An envelope with other counters in its header."""
    old_pn, old_n = envelope[32:36], envelope[36:40]
    new_pn = old_pn if pn is None else pn.to_bytes(4, "big")
    return envelope[:32] + new_pn + (old_n if n is None else n.to_bytes(4, "big")) + envelope[40:]


CHAINS = pytest.mark.parametrize("fast", [True, False], ids=["fast", "plain"])


def chains(
    n: int, *, fast: bool, pn: int = 0
) -> tuple[FastSending | PlainSending, FastReceiving | PlainReceiving]:
    """A sending and a receiving chain at N."""
    key, dh = bytes(range(32)), u(9)
    if fast:
        assert SODIUM is not None
        ends = Workspace(SODIUM, AEGIS256), Workspace(SODIUM, AEGIS256)
        return FastSending(ends[0], key, dh, pn, n), FastReceiving(ends[1], key, dh, pn, n)
    plain = parlour_parameters(AEGIS256, fast=False)
    return PlainSending(plain, key, dh, pn, n), PlainReceiving(plain, key, dh, pn, n)
