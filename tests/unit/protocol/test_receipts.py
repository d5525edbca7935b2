"""Receipts: whom they come from, which ids count, what may be said of an entry (SPEC §11.5)."""

from __future__ import annotations

import pytest

from protocol.entries import READ, STORED, Said, receipted, receipting_terminal, said_of
from protocol.errors import Untrusted
from tests.support.protocol.pairings import SECOND, Person


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
        ((), False, Said.QUEUED),
        ((), True, Said.SENT),
        ((STORED,), True, Said.DELIVERED),
        ((STORED, READ), False, Said.READ),
        ((READ,), False, Said.READ),
    ],
)
def test_no_more_is_said_than_receipts_show(kinds: tuple[int, ...], carried: bool, said: Said) -> None:
    assert said_of(kinds, carried) is said
