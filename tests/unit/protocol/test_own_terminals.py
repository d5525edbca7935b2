"""The secret of own terminals, who gets which link, and what passes among them (SPEC §7.8)."""

from __future__ import annotations

import pytest

from protocol.errors import Malformed, Unexpected
from protocol.identity.drawing import share_name
from protocol.limits import RECEIPT_IDS_MAX
from protocol.messages import Digest, Digests, PassedReceipt, Receipt, ShareNames
from protocol.own_terminals import (
    Mark,
    check_digests,
    check_passed,
    check_place,
    marks_hash,
    passed_receipts,
)
from protocol.pairing.own_secret import answer_sibling, own_secret

TALK, ONE, OTHER = bytes([9]) * 32, bytes([1]) * 32, bytes([2]) * 32


def test_each_key_of_the_secret_is_another_one_and_none_is_that_of_another_person() -> None:
    found = set()
    for person, key in ((ONE, ONE), (OTHER, ONE), (ONE, OTHER)):
        secret = own_secret(person, key)
        found |= {secret.reveal(), secret.link_psk(key).psk, secret.discovery_key(), secret.meeting_key()}
    assert len(found) == 12


def test_the_best_self_key_that_both_lists_name_is_answered() -> None:
    best, before, another = share_name(OTHER), share_name(ONE), share_name(TALK)
    keys = [OTHER, ONE]
    for own, theirs, key in (
        ([best, before], [best, before], OTHER),
        ([best, before], [before], ONE),
        ([before, another], [before], ONE),
    ):
        expected = own_secret(ONE, key).link_psk(key)
        assert answer_sibling(ONE, keys, ShareNames(own, theirs)) == expected
    for own, theirs in (([another], [another]), ([best], [before]), ([before], [best])):
        assert answer_sibling(ONE, keys, ShareNames(own, theirs)) is None


def test_marks_are_one_set_whatever_their_order() -> None:
    marks = [Mark(ONE, OTHER, 1), Mark(OTHER, ONE, 2), Mark(ONE, OTHER, 2)]
    assert marks_hash(TALK, marks) == marks_hash(TALK, [*marks[::-1], marks[0]])
    assert marks_hash(TALK, marks) != marks_hash(TALK, marks[1:])
    assert marks_hash(TALK, marks) != marks_hash(ONE, marks)


def test_marks_go_in_one_message_per_terminal_and_kind_or_in_more() -> None:
    many = [Mark(number.to_bytes(32), ONE, 1) for number in range(RECEIPT_IDS_MAX + 1)]
    said = passed_receipts(TALK, [*many[::-1], Mark(ONE, OTHER, 2), Mark(ONE, ONE, 2)])
    assert [(one.terminal, one.kind, len(one.ids)) for one in said] == [
        (ONE, 1, RECEIPT_IDS_MAX),
        (ONE, 1, 1),
        (ONE, 2, 1),
        (OTHER, 2, 1),
    ]
    for message in said:
        check_passed(message)
    assert passed_receipts(TALK, []) == []


def test_what_does_not_ascend_is_malformed() -> None:
    for ids in ([ONE, ONE], [OTHER, ONE]):
        with pytest.raises(Malformed):
            check_passed(PassedReceipt(TALK, ONE, 1, ids))
        with pytest.raises(Malformed):
            check_digests(Digests([Digest(one, ONE, ONE, 1, 0, False) for one in ids]))


def test_a_read_receipt_has_no_place_among_own_terminals() -> None:
    check_place(Receipt(1, [ONE]), own=True)
    check_place(Receipt(2, [ONE]), own=False)
    with pytest.raises(Unexpected):
        check_place(Receipt(2, [ONE]), own=True)
