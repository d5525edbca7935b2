"""Receipts: whom they come from, which ids count, what may be said of an entry (SPEC §11.5)."""

from __future__ import annotations

import pytest

from protocol.entries import READ, STORED, DeliveryState, delivery_state, receipted, receipting_terminal
from protocol.errors import Untrusted
from tests.support.protocol.people import SECOND, Person


def test_a_receipt_of_a_removed_terminal_counts_for_nobody() -> None:
    bob = Person("Bob")
    bob.add(bob.first, SECOND)
    assert receipting_terminal(bob.state, SECOND.static).id == SECOND.id
    bob.remove(bob.first, SECOND)
    assert receipting_terminal(bob.state, bob.first.static).id == bob.first.id
    with pytest.raises(Untrusted):
        receipting_terminal(bob.state, SECOND.static)


def test_ids_that_are_no_own_entries_are_passed_over() -> None:
    own = {b"a" * 32, b"b" * 32}
    assert receipted([b"b" * 32, b"x" * 32, b"a" * 32, b"b" * 32], own) == [b"b" * 32, b"a" * 32]


@pytest.mark.parametrize(
    ("kinds", "carried", "said"),
    [
        ((), False, DeliveryState.QUEUED),
        ((), True, DeliveryState.SENT),
        ((STORED,), True, DeliveryState.DELIVERED),
        ((STORED, READ), False, DeliveryState.READ),
        ((READ,), False, DeliveryState.READ),
    ],
)
def test_no_more_is_said_than_receipts_show(
    kinds: tuple[int, ...], carried: bool, said: DeliveryState
) -> None:
    assert delivery_state(kinds, carried) is said
