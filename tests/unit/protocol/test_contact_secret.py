"""The contact secret, its keys and the choice of shares (SPEC §7.6)."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import LocalMisuse
from protocol.messages import ShareNumbers
from protocol.pairing.contact_secret import Pair, Share, contact_secret, new_share
from tests.support.protocol.samples import seeded

ANNA, BOB = bytes([1]) * 32, bytes([2]) * 32
ROOT = bytes([9]) * 32


def share(owner: str, number: int) -> Share:
    return new_share(number, (bytes(32),), seeded(f"{owner} {number}"))


def pairs(
    annas_of_anna: list[int], bobs_of_anna: list[int], annas_of_bob: list[int], bobs_of_bob: list[int]
) -> tuple[Pair, Pair]:
    """What Anna and what Bob hold, by the numbers of Anna's and Bob's shares."""
    anna = Pair(
        ROOT,
        ANNA,
        BOB,
        tuple(share("anna", number) for number in annas_of_anna),
        tuple(share("bob", number) for number in bobs_of_anna),
    )
    bob = Pair(
        ROOT,
        BOB,
        ANNA,
        tuple(share("bob", number) for number in bobs_of_bob),
        tuple(share("anna", number) for number in annas_of_bob),
    )
    return anna, bob


def test_every_part_changes_the_secret() -> None:
    mine, yours = share("anna", 1).share, share("bob", 1).share
    secrets = [
        contact_secret(ROOT, ANNA, mine, BOB, yours),
        contact_secret(bytes(32), ANNA, mine, BOB, yours),
        contact_secret(ROOT, ANNA, yours, BOB, mine),
        contact_secret(ROOT, ANNA, mine, BOB, mine),
    ]
    assert all(a != b for a, b in itertools.combinations(secrets, 2))
    with pytest.raises(LocalMisuse):
        contact_secret(ROOT, ANNA, mine, ANNA, yours)


def test_attack_06_keys_have_a_direction_and_a_use() -> None:
    """A link or an announcement of one's own, sent back, is nobody's."""
    secret = pairs([1], [1], [1], [1])[0].newest()
    keys = {
        secret.link_psk(ANNA, BOB),
        secret.link_psk(BOB, ANNA),
        secret.discovery_key(ANNA, BOB),
        secret.discovery_key(BOB, ANNA),
        secret.reveal(),
    }
    assert len(keys) == 5


def test_nothing_secret_is_in_a_text() -> None:
    anna, _ = pairs([1], [1], [1], [1])
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
    anna, bob = pairs(annas_of_anna, bobs_of_anna, annas_of_bob, bobs_of_bob)
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
    assert (answer.theirs, answer.own) == (max(common[0]), max(common[1]))
    matching = [candidate for candidate in tried if candidate.psk == answer.psk]
    assert [(candidate.own, candidate.theirs) for candidate in matching] == [(answer.theirs, answer.own)]


def test_a_psk_of_the_other_direction_does_not_serve() -> None:
    anna, bob = pairs([1], [1], [1], [1])
    answer = bob.answer(ShareNumbers([1], [1]))
    assert answer is not None
    assert answer.psk == anna.candidates()[0].psk
    assert answer.psk != bob.candidates()[0].psk


def test_without_a_share_of_each_there_is_no_secret() -> None:
    with pytest.raises(LocalMisuse):
        Pair(ROOT, ANNA, BOB, (), (share("bob", 1),)).newest()
