"""Invitations (SPEC §7.5): the text, what is refused, the keys that come from it."""

from __future__ import annotations

import base64

import pytest
from msgspec.structs import replace

from protocol import limits
from protocol.codec import encode
from protocol.errors import LimitExceeded, LocalMisuse, ProtocolError, Untrusted
from protocol.pairing.invitation import (
    PREFIX,
    Invitation,
    _Text,
    check_joiner,
    format_invitation,
    invitation_check,
    make_invitation,
    parse_invitation,
)
from tests.support.protocol.samples import seeded

PERSON, STATIC = bytes([1]) * 32, bytes([2]) * 32
NOW = 1_800_000_000
ADDRESSES = ("192.168.1.20:4747", "[fe80::1:2]:4747")


def invitation(relays: tuple[str, ...] = ()) -> Invitation:
    return make_invitation(PERSON, STATIC, NOW, ADDRESSES, relays, seeded("invitation"))


def text_of(value: _Text, prefix: str = PREFIX) -> str:
    return prefix + base64.b32encode(encode(value)).decode().rstrip("=")


def wire(**changed: object) -> _Text:
    made = invitation()
    value = _Text(1, made.secret, made.expires, made.check, list(made.addresses), [])
    return replace(value, **changed)


def test_only_the_first_addresses_and_relays_go_into_the_text() -> None:
    many = [f"10.0.0.{index}:4747" for index in range(20)]
    made = make_invitation(PERSON, STATIC, NOW, many, many, seeded("x"))
    assert (len(made.addresses), len(made.relays)) == (8, 4)


def test_an_address_that_the_text_cannot_hold_is_a_mistake_of_ours() -> None:
    with pytest.raises(LocalMisuse):
        make_invitation(PERSON, STATIC, NOW, ["fe80::1%eth0:4747"], (), seeded("x"))


def test_attack_17_an_invitation_is_over_after_an_hour() -> None:
    made = invitation()
    assert not made.expired(NOW)
    assert not made.expired(NOW + limits.INVITATION_SECONDS - 1)
    assert made.expired(NOW + limits.INVITATION_SECONDS)


def test_attack_17_an_invitation_serves_one_joiner_who_may_come_again() -> None:
    joiner, other = bytes([9]) * 32, bytes([8]) * 32
    check_joiner(None, joiner)
    check_joiner(joiner, joiner)
    with pytest.raises(Untrusted):
        check_joiner(joiner, other)


def test_attack_17_a_longer_expiry_is_another_psk() -> None:
    """Whoever alters the time in the text can no longer open the link."""
    made = invitation()
    later = parse_invitation(text_of(wire(expires=made.expires + 3_600)))
    foreign = parse_invitation(text_of(wire(check=invitation_check(bytes(32), STATIC))))
    psks = {made.psk(), later.psk(), foreign.psk(), invitation().psk()}
    assert len(psks) == 3
    assert all(len(psk) == 32 for psk in psks)


def test_attack_03_the_secret_has_128_bits_and_is_shown_nowhere() -> None:
    made = invitation()
    assert len(made.secret) == 16
    assert made.secret.hex() not in repr(made)
    assert repr(made.secret) not in repr(made)
    first, second = (make_invitation(PERSON, STATIC, NOW, (), (), seeded(name)) for name in "ab")
    assert first.secret != second.secret


def test_attack_10_the_check_names_person_and_terminal() -> None:
    checks = {
        invitation_check(PERSON, STATIC),
        invitation_check(STATIC, PERSON),
        invitation_check(PERSON, PERSON),
    }
    assert len(checks) == 3


def test_attack_37_bits_beyond_the_last_byte_are_refused() -> None:
    """Base32 leaves bits unused at its end, by which one invitation would have several texts."""
    text = format_invitation(invitation())
    accepted = []
    for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567":
        try:
            parse_invitation(text[:-1] + letter)
        except ProtocolError:
            continue
        accepted.append(letter)
    assert accepted == [text[-1]]


def test_attack_36_a_text_too_long_is_refused_unread() -> None:
    with pytest.raises(LimitExceeded):
        parse_invitation(" " * (limits.INVITATION_TEXT_MAX + 1))
