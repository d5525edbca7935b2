"""Invitations and the secret of a contact (SPEC §7.5, §7.6)."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from protocol.errors import LocalMisuse, ProtocolError
from protocol.messages import ShareNames
from protocol.pairing.contact_secret import ContactSecret, Pair, Share, contact_secret
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
    random = seeded(f"{owner} {number}")
    return Share(random(32), random(32))


def held(own: bytes, annas: list[int], bobs: list[int], *, fresh: int = 0, retired: bool = False) -> Pair:
    """What Anna or Bob holds, by the numbers of both their shares, the best first. The first is number 1."""
    mine, yours = (tuple(share("anna", n) for n in annas), tuple(share("bob", n) for n in bobs))
    firsts = share("anna", 1).operation, share("bob", 1).operation
    if own == ANNA:
        return Pair(ROOT, ANNA, BOB, mine, yours, *firsts, fresh, retired)
    return Pair(ROOT, BOB, ANNA, yours, mine, *firsts[::-1], fresh, retired)


def secret(anna: int, bob: int) -> ContactSecret:
    """The one of these two shares."""
    return contact_secret(ROOT, ANNA, share("anna", anna).share, BOB, share("bob", bob).share)


def test_attack_06_keys_have_a_direction_and_a_use() -> None:
    """A link or an announcement of one's own, sent back, is nobody's."""
    (made,) = held(ANNA, [1], [1]).announced()
    keys = {
        made.link_psk(ANNA, BOB),
        made.link_psk(BOB, ANNA),
        made.discovery_key(ANNA, BOB),
        made.discovery_key(BOB, ANNA),
        made.meeting_key(ANNA, BOB),
        made.meeting_key(BOB, ANNA),
        made.reveal(),
    }
    assert len(keys) == 7


def test_nothing_secret_is_in_a_text() -> None:
    anna = held(ANNA, [1], [1])
    (made,) = anna.announced()
    text = repr(anna) + repr(made) + str(made) + repr(anna.candidates())
    for hidden in (ROOT, share("anna", 1).share, share("bob", 1).share, made.reveal()):
        assert repr(hidden)[2:-1] not in text
        assert hidden.hex() not in text


NUMBERS = st.lists(st.integers(1, 9), min_size=1, max_size=9, unique=True)


def names(owner: str, numbers: Iterable[int]) -> list[bytes]:
    return [share(owner, number).name for number in numbers]


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS)
def test_initiator_and_responder_meet_at_one_psk(
    annas_of_anna: list[int], bobs_of_anna: list[int], annas_of_bob: list[int], bobs_of_bob: list[int]
) -> None:
    """Whatever both hold: the responder answers with the best of what the initiator tries."""
    anna, bob = held(ANNA, annas_of_anna, bobs_of_anna), held(BOB, annas_of_bob, bobs_of_bob)
    tried = anna.candidates()
    assert 1 <= len(tried) <= 16
    own, theirs = {candidate.own for candidate in tried}, {candidate.theirs for candidate in tried}
    assert len(own) <= 4
    assert len(theirs) <= 4
    answer = bob.answer(ShareNames(sorted(own), sorted(theirs)))
    mine = [name for name in names("anna", annas_of_bob) if name in own]
    yours = [name for name in names("bob", bobs_of_bob) if name in theirs]
    if not mine or not yours:
        assert answer is None
        return
    assert answer is not None
    assert (answer.theirs, answer.own) == (mine[0], yours[0])
    matching = [candidate for candidate in tried if candidate.psk == answer.psk]
    assert [(candidate.own, candidate.theirs) for candidate in matching] == [(answer.theirs, answer.own)]
    assert anna.opened(matching[0], initiates=True)
    assert bob.opened(answer, initiates=False)
    assert not bob.opened(answer, initiates=True)


@given(st.permutations(range(1, 10)), st.permutations(range(1, 10)))
def test_case_91_both_name_the_first_shares_whatever_is_better(annas: list[int], bobs: list[int]) -> None:
    """A thief that gave each side other shares keeps no link of the two from opening under the first ones."""
    tried = held(ANNA, annas, bobs).candidates()
    assert share("anna", 1).name in {candidate.own for candidate in tried}
    assert share("bob", 1).name in {candidate.theirs for candidate in tried}
    said = ShareNames(
        sorted({candidate.own for candidate in tried}), sorted({candidate.theirs for candidate in tried})
    )
    alone = held(BOB, [1], [1]).answer(said)
    assert alone is not None
    assert alone.psk == secret(1, 1).link_psk(ANNA, BOB)


def test_another_share_of_the_same_operation_opens_nothing() -> None:
    """What a thief made up has another name, so a link opens under an earlier share."""
    anna, bob = held(ANNA, [2, 1], [1]), held(BOB, [2, 1], [1])
    false = replace(bob, theirs=(replace(bob.theirs[0], share=bytes(32)), *bob.theirs[1:]))
    said = ShareNames(names("anna", [2, 1]), names("bob", [1]))
    right, wrong = bob.answer(said), false.answer(said)
    assert right is not None
    assert wrong is not None
    assert right.psk == anna.candidates()[0].psk == secret(2, 1).link_psk(ANNA, BOB)
    assert wrong.psk == secret(1, 1).link_psk(ANNA, BOB)
    assert false.answer(ShareNames(names("anna", [2]), names("bob", [1]))) is None


def test_who_was_removed_recognizes_nobody() -> None:
    """It knows the shares before the fresh ones, and the first one of the contact, once that is retired."""
    known = [secret(1, 1), secret(2, 1)]
    anna = held(ANNA, [4, 3, 2, 1], [3, 1, 2], fresh=2, retired=True)
    assert anna.announced() == (secret(4, 3), secret(4, 2), secret(3, 3), secret(3, 2))
    assert all(one in anna.secrets() for one in anna.announced())
    assert not any(one in anna.announced() or one in anna.secrets() for one in known)
    not_yet = held(ANNA, [4, 3, 2, 1], [3, 1, 2], fresh=2)
    assert secret(4, 1) in not_yet.announced()
    stale = held(ANNA, [2, 1], [1])
    assert stale.announced() == (secret(2, 1),)


def test_a_retired_share_opens_links_all_the_same() -> None:
    bob = held(BOB, [1], [2, 1], retired=True)
    answer = bob.answer(ShareNames(names("anna", [1]), names("bob", [1])))
    assert answer is not None
    assert answer.psk == secret(1, 1).link_psk(ANNA, BOB)


def test_without_two_persons_and_a_share_of_each_there_is_no_secret() -> None:
    with pytest.raises(LocalMisuse):
        contact_secret(ROOT, ANNA, bytes(32), ANNA, bytes(32))
    for own, theirs in (([], [1]), ([1], [])):
        with pytest.raises(LocalMisuse):
            held(ANNA, own, theirs).announced()
