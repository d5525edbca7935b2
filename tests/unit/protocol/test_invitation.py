"""Invitations and the secret of a contact (SPEC §7.5, §7.6)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from protocol.errors import LocalMisuse, ProtocolError
from protocol.messages import ShareNumbers
from protocol.pairing.contact_secret import Pair, Share, contact_secret, new_share
from protocol.pairing.invitation import (
    Invitation,
    format_invitation,
    invitation_check,
    make_invitation,
    parse_invitation,
)
from tests.support.protocol.samples import seeded

PERSON, STATIC, ONE_TIME = bytes([1]) * 32, bytes([2]) * 32, bytes([3]) * 32
NOW = 1_800_000_000
ADDRESSES = ("192.168.1.20:4747", "[fe80::1:2]:4747")


def invitation() -> Invitation:
    return make_invitation(PERSON, STATIC, ONE_TIME, NOW, ADDRESSES, (), seeded("invitation"))


def test_an_address_that_the_text_cannot_hold_is_a_mistake_of_ours() -> None:
    with pytest.raises(LocalMisuse):
        make_invitation(PERSON, STATIC, ONE_TIME, NOW, ["fe80::1%eth0:4747"], (), seeded("x"))


@pytest.mark.parametrize("port", [1, 65_535])
def test_an_address_has_a_port_of_two_bytes(port: int) -> None:
    listed = [f"10.0.0.1:{port}"]
    made = make_invitation(PERSON, STATIC, ONE_TIME, NOW, listed, (), seeded("x"))
    assert [*parse_invitation(format_invitation(made)).addresses] == listed
    with pytest.raises(LocalMisuse):
        make_invitation(PERSON, STATIC, ONE_TIME, NOW, ["10.0.0.1:65536"], (), seeded("x"))


def test_attack_17_a_text_with_another_byte_is_another_psk() -> None:
    """Whatever is replaced in a text that is passed on, it no longer opens the link."""
    made = invitation()
    later = replace(made, expires=made.expires + 3_600)
    foreign = replace(made, check=invitation_check(bytes(32), STATIC))
    elsewhere = replace(made, addresses=("192.168.1.66:4747",))
    relayed = replace(made, relays=("parlour-relay:evil.example:4746#KEY",))
    thief = replace(made, one_time=bytes(32))
    psks = {one.psk() for one in (made, later, foreign, elsewhere, relayed, thief, invitation())}
    assert len(psks) == 6
    assert all(len(psk) == 32 for psk in psks)


def test_attack_03_the_secret_has_128_bits_and_is_shown_nowhere() -> None:
    made = invitation()
    assert len(made.secret) == 16
    assert made.secret.hex() not in repr(made)
    assert repr(made.secret) not in repr(made)
    first, second = (make_invitation(PERSON, STATIC, ONE_TIME, NOW, (), (), seeded(name)) for name in "ab")
    assert first.secret != second.secret


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


ANNA, BOB = bytes([1]) * 32, bytes([2]) * 32
ROOT = bytes([9]) * 32


def share(owner: str, number: int) -> Share:
    return new_share(number, (bytes(32),), seeded(f"{owner} {number}"))


def held(own: bytes, annas: list[int], bobs: list[int]) -> Pair:
    """What Anna or Bob holds, by the numbers of both their shares."""
    mine, yours = (tuple(share("anna", n) for n in annas), tuple(share("bob", n) for n in bobs))
    return Pair(ROOT, ANNA, BOB, mine, yours) if own == ANNA else Pair(ROOT, BOB, ANNA, yours, mine)


def test_attack_06_keys_have_a_direction_and_a_use() -> None:
    """A link or an announcement of one's own, sent back, is nobody's."""
    secret = held(ANNA, [1], [1]).newest()
    keys = {
        secret.link_psk(ANNA, BOB),
        secret.link_psk(BOB, ANNA),
        secret.discovery_key(ANNA, BOB),
        secret.discovery_key(BOB, ANNA),
        secret.meeting_key(ANNA, BOB),
        secret.meeting_key(BOB, ANNA),
        secret.reveal(),
    }
    assert len(keys) == 7


def test_nothing_secret_is_in_a_text() -> None:
    anna = held(ANNA, [1], [1])
    text = repr(anna) + repr(anna.newest()) + str(anna.newest()) + repr(anna.candidates())
    for secret in (ROOT, share("anna", 1).share, share("bob", 1).share, anna.newest().reveal()):
        assert repr(secret)[2:-1] not in text
        assert secret.hex() not in text


NUMBERS = st.lists(st.integers(1, 9), min_size=1, max_size=6, unique=True)


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_initiator_and_responder_meet_at_one_psk(
    annas_of_anna: list[int], bobs_of_anna: list[int], annas_of_bob: list[int], bobs_of_bob: list[int]
) -> None:
    """Whatever both hold: the responder answers with the newest of what the initiator tries."""
    anna, bob = held(ANNA, annas_of_anna, bobs_of_anna), held(BOB, annas_of_bob, bobs_of_bob)
    tried = anna.candidates()
    assert 1 <= len(tried) <= 16
    own = sorted({candidate.own for candidate in tried}, reverse=True)
    theirs = sorted({candidate.theirs for candidate in tried}, reverse=True)
    answer = bob.answer(ShareNumbers(own, theirs))
    common = (set(own) & set(annas_of_bob), set(theirs) & set(bobs_of_bob))
    if not all(common):
        assert answer is None
        return
    assert answer is not None
    newest = (
        [one for one in annas_of_bob if one in common[0]],
        [one for one in bobs_of_bob if one in common[1]],
    )
    assert (answer.theirs, answer.own) == (newest[0][0], newest[1][0])
    matching = [candidate for candidate in tried if candidate.psk == answer.psk]
    assert [(candidate.own, candidate.theirs) for candidate in matching] == [(answer.theirs, answer.own)]


def test_without_two_persons_and_a_share_of_each_there_is_no_secret() -> None:
    with pytest.raises(LocalMisuse):
        contact_secret(ROOT, ANNA, bytes(32), ANNA, bytes(32))
    with pytest.raises(LocalMisuse):
        Pair(ROOT, ANNA, BOB, (), (share("bob", 1),)).newest()
