"""Wrong calls by the protocol's own user are LocalMisuse, and none of them is passed over in silence."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from protocol import labels, noise, primitives
from protocol.entries_and_receipts import cut_body, text_body
from protocol.errors import AuthenticationFailed, LocalMisuse, ProtocolError
from protocol.identity.log import Rename, sign_operation
from protocol.keys import X25519Pair
from protocol.limits import CUT_HEADS_MAX, TEXT_CHARACTERS_MAX
from protocol.link import agreement, framing, handshake
from protocol.link.states import Closed
from protocol.messages import CutHead
from protocol.pairing.pairing import Pairing
from protocol.ratchet import PlainRoot, parlour_parameters
from protocol.relay import messages
from protocol.relay.states import RelayRole, RelayState, check_relay_follows

KEY = bytes(range(32))
PAIR = X25519Pair(KEY)
LONG = Rename(KEY, KEY, [bytes([number]) * 32 for number in range(40)], "Ada")
XX = "Noise_XX_25519_ChaChaPoly_BLAKE2b"


def _used_cipher() -> noise.CipherState:
    cipher = noise.CipherState(KEY)
    cipher.encrypt_with_ad(b"", b"")
    return cipher


def _unfinished_pairing() -> Pairing:
    return Pairing.__new__(Pairing)


def _their_part() -> object:
    pairing = _unfinished_pairing()
    pairing._theirs = None
    return pairing._their_part


def _open_into(key: bytes = KEY, nonce: bytes = bytes(12), room: int = 8) -> int:
    return primitives.chacha_open_into(key, nonce, b"", bytes(24), memoryview(bytearray(room)))


@pytest.mark.parametrize(
    "call",
    [
        lambda: sign_operation(LONG, KEY),
        lambda: text_body(""),
        lambda: text_body("x" * (TEXT_CHARACTERS_MAX + 1)),
        lambda: text_body("text", KEY[1:]),
        lambda: cut_body(KEY, [CutHead(bytes(8), number, KEY) for number in range(CUT_HEADS_MAX + 1)]),
        lambda: PlainRoot(parlour_parameters(primitives.AEGIS256, fast=False), KEY, None).receive(
            PAIR.public
        ),
        lambda: agreement.peer_static(noise.HandshakeState(XX, True, s=PAIR)),
        lambda: framing.length_of(b""),
        lambda: handshake.ordered_features(range(33)),
        lambda: handshake.ordered_features([-1]),
        lambda: handshake.ordered_features([65_536]),
        lambda: Closed().accept(b"unit", 0.0, [], []),
        lambda: noise.CipherState().take_key(),
        lambda: _used_cipher().take_key(),
        lambda: noise.HandshakeState(XX, True)._dh("es"),
        lambda: noise.HandshakeState(XX, True)._static_pair(),
        _their_part,
        lambda: primitives.ed25519_from_seed(KEY[1:]),
        lambda: primitives.ed25519_from_seed(KEY + b"x"),
        lambda: primitives.ed25519_sign(KEY[1:], b"text"),
        lambda: _open_into(key=KEY[1:]),
        lambda: _open_into(nonce=bytes(11)),
        lambda: _open_into(room=7),
        lambda: messages.pad_message(messages.Dial(bytes(200), 0)),
        lambda: check_relay_follows(RelayRole.TERMINAL, RelayState.GREETING, RelayState.JOINED),
        lambda: check_relay_follows(RelayRole.TERMINAL, RelayState.CLOSED, RelayState.READY),
        lambda: labels._register(next(iter(labels._registered)), "again"),
        lambda: labels._personal("much too long", "never"),
    ],
)
def test_a_wrong_call_is_refused(call: Callable[[], object]) -> None:
    with pytest.raises(LocalMisuse):
        call()


def test_the_class_of_all_errors_of_peers_is_abstract() -> None:
    with pytest.raises(TypeError):
        ProtocolError("without a class")


def test_a_ciphertext_without_room_for_its_tag_does_not_open() -> None:
    with pytest.raises(AuthenticationFailed):
        primitives.chacha_open_into(KEY, bytes(12), b"", bytes(15), memoryview(bytearray(8)))


def test_without_the_low_level_binding_the_memory_of_the_caller_is_used_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sealed = primitives.chacha_seal(KEY, bytes(12), b"ad", b"text")
    monkeypatch.setattr(primitives, "SODIUM", None)
    room = bytearray(b"........")
    assert primitives.chacha_open_into(KEY, bytes(12), b"ad", sealed, memoryview(room)) == 4
    assert bytes(room) == b"text...."
    assert primitives.chacha_seal_from(KEY, bytes(12), b"ad", memoryview(b"text")) == sealed


def test_an_end_names_each_of_at_most_32_features_once_and_in_order() -> None:
    named = [65_535, *range(31)]
    assert handshake.ordered_features([*named, *named]) == sorted(named)
