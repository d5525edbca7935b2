"""Secrets do not show themselves: not in repr, str or formats, not in errors, not by pickling."""

from __future__ import annotations

import copy
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from protocol import keys, labels, primitives
from protocol.errors import AuthenticationFailed, LocalMisuse, ProtocolError
from protocol.keys import Secret, X25519Pair
from protocol.messages import (
    ContactHello,
    ContactReply,
    Entry,
    PairingFinish,
    PairingReply,
    Record,
    ShareNames,
    TextBody,
)
from protocol.noise import CipherState, HandshakeState
from protocol.primitives import AEGIS256, CHACHA20POLY1305, mlkem_from_seed
from protocol.ratchet import RatchetSession, parlour_parameters

SECRET = bytes(range(100, 132))
ROLES = [value for value in vars(keys).values() if isinstance(value, type) and issubclass(value, Secret)]


def finished_session() -> RatchetSession:
    bob = X25519Pair(bytes(range(32)))
    return RatchetSession.init_alice(
        SECRET, bob.public, lambda size: SECRET[:size], parameters=parlour_parameters(AEGIS256)
    )


def in_the_middle_of_a_handshake() -> HandshakeState:
    name = "Noise_XXpsk0_25519_ChaChaPoly_BLAKE2b"
    state = HandshakeState(name, True, s=X25519Pair(SECRET), psks=[SECRET], random=lambda size: SECRET[:size])
    state.write_message(b"")
    return state


# The text of every type that holds a secret, pinned: a leak appears here as a difference.
PINNED: list[tuple[Callable[[], Any], str]] = [
    *((lambda role=role: role(bytes(role.size)), f"{role.__name__}(<redacted>)") for role in ROLES),
    (lambda: mlkem_from_seed(SECRET * 2)[0], "MlKemSecret(<redacted>)"),
    (lambda: CipherState(SECRET), "CipherState(n=0, k=<redacted>)"),
    (
        in_the_middle_of_a_handshake,
        "HandshakeState(Noise_XXpsk0_25519_ChaChaPoly_BLAKE2b, initiator, message 1)",
    ),
    (finished_session, "RatchetSession(keys=<redacted>)"),
    (lambda: X25519Pair(SECRET), f"X25519Pair(public={X25519Pair(SECRET).public.hex()}, secret=<redacted>)"),
]


@pytest.mark.parametrize(("make", "text"), PINNED, ids=[text.split("(")[0] for _, text in PINNED])
def test_texts_are_pinned(make: Callable[[], Any], text: str) -> None:
    value = make()
    assert repr(value) == str(value) == f"{value}" == f"{value!r:s}" == text
    assert repr([value]) == f"[{text}]"


@pytest.mark.parametrize(
    "make", [*(lambda role=role: role(bytes(role.size)) for role in ROLES), finished_session]
)
@pytest.mark.parametrize("write", [pickle.dumps, copy.copy])
def test_a_secret_is_not_written_or_copied(make: Callable[[], Any], write: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError):
        write(make())


@pytest.mark.parametrize("role", ROLES)
def test_size_is_checked_and_the_value_not_shown(role: type[Secret]) -> None:
    wrong = SECRET * 3
    with pytest.raises(LocalMisuse) as caught:
        role(wrong)
    assert wrong.hex() not in str(caught.value)
    assert repr(wrong) not in str(caught.value)


def test_a_secret_of_one_role_is_not_one_of_another() -> None:
    assert keys.RootKey(SECRET) == keys.RootKey(SECRET)
    assert keys.RootKey(SECRET) != keys.RootKey(bytes(32))
    assert keys.RootKey(SECRET) != keys.MessageKey(SECRET)
    assert keys.RootKey(SECRET) != SECRET
    with pytest.raises(TypeError):
        hash(keys.RootKey(SECRET))


def _failures() -> list[Callable[[], object]]:
    pair = X25519Pair(SECRET)
    return [
        lambda: pair.dh(bytes(32)),
        lambda: pair.dh(b"\xff" * 32),
        lambda: primitives.x25519(SECRET + b"x", bytes(32)),
        lambda: AEGIS256.open(SECRET, bytes(32), b"", SECRET),
        lambda: CHACHA20POLY1305.open(SECRET, bytes(12), b"", SECRET),
        lambda: AEGIS256.seal(SECRET[1:], bytes(32), b"", b""),
        lambda: CipherState(SECRET).decrypt_with_ad(b"", bytes(64)),
        lambda: in_the_middle_of_a_handshake().read_message(bytes(96)),
        lambda: finished_session().decrypt(bytes(400)),
        lambda: primitives.argon2id(SECRET, bytes(16), 0, 8192),
        lambda: mlkem_from_seed(SECRET),
    ]


@pytest.mark.parametrize("fail", _failures())
def test_errors_show_no_key_bytes(fail: Callable[[], object]) -> None:
    """The text of the error and of everything that led to it."""
    with pytest.raises((ProtocolError, LocalMisuse)) as caught:
        fail()
    shown = "".join(traceback.format_exception(caught.value))
    for part in (SECRET, SECRET[:8], SECRET[-8:]):
        assert part.hex() not in shown
        assert repr(part)[2:-1] not in shown


def test_an_authentication_failure_does_not_say_which() -> None:
    """Wrong key and changed ciphertext read alike."""
    sealed = AEGIS256.seal(SECRET, bytes(32), b"", b"content")
    texts = set()
    for key, ciphertext in ((bytes(32), sealed), (SECRET, sealed[:-1] + b"\x00"), (SECRET, sealed[:8])):
        with pytest.raises(AuthenticationFailed) as caught:
            AEGIS256.open(key, bytes(32), b"", ciphertext)
        texts.add(str(caught.value))
    assert len(texts) == 1


def test_attack_10_every_use_has_its_own_label() -> None:
    """No hash label equals another even when filled up, and no signature prefix begins another."""
    known = labels.registry()
    hashes = [label for label in known if not label.endswith(b"\x00")]
    prefixes = [label for label in known if label.endswith(b"\x00")]
    assert len({label.ljust(labels.PERSONAL_SIZE, b"\x00") for label in hashes}) == len(hashes)
    assert all(len(label) <= labels.PERSONAL_SIZE and label.startswith(b"parlour.") for label in hashes)
    assert not [(a, b) for a in prefixes for b in prefixes if a != b and b.startswith(a)]
    assert all(label.count(b"\x00") == 1 for label in prefixes)


def test_a_label_twice_or_too_long_fails_at_once() -> None:
    with pytest.raises(LocalMisuse):
        labels._personal("chain", "again")
    with pytest.raises(LocalMisuse):
        labels._personal("ninebytes", "too long")
    assert b"parlour.ninebytes" not in labels.registry()


def test_attack_78_messages_that_hold_secrets_or_text_print_their_type_alone() -> None:
    share, text = b"s" * 32, "what I wrote"
    printed = [
        ContactHello(b"p" * 32, ShareNames([b"n" * 16], [b"n" * 16]), b"k" * 1184, share),
        ContactReply(b"c" * 1088, share, b"r" * 32),
        PairingReply(b"k" * 1184, share, b"r" * 32),
        PairingFinish(b"c" * 1088, share),
        Record([b"operation"], b"t" * 32, b"d" * 32, share, b"q" * 32, b"g" * 64),
        Entry(b"header", b"s" * 16, text.encode()),
        TextBody(text, b""),
    ]
    for message in printed:
        assert repr(message) == str(message) == f"{type(message).__name__}(<redacted>)"
