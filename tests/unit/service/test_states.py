"""The states that are said of an entry, and the number of those that are unread."""

from __future__ import annotations

from unittest import mock

import pytest

from chat.interface import EntryState
from chat.service.state import ContactBook
from chat.service.views import state_of
from protocol.entries_and_receipts import READ, STORED


@pytest.mark.parametrize(
    ("own", "kinds", "on_link", "destroyed", "state"),
    [
        (False, (), False, False, EntryState.RECEIVED),
        (True, (), False, False, EntryState.QUEUED),
        (True, (), True, False, EntryState.SENT),
        (True, (), False, True, EntryState.WITHDRAWN),
        (True, (), True, True, EntryState.SENT),
        (True, (STORED,), False, True, EntryState.DELIVERED),
        (False, (), False, True, EntryState.RECEIVED),
        (True, (STORED,), False, False, EntryState.DELIVERED),
        (True, (STORED,), True, False, EntryState.DELIVERED),
        (True, (STORED, READ), False, False, EntryState.READ),
        (True, (READ,), True, False, EntryState.READ),
    ],
)
def test_states(own: bool, kinds: tuple[int, ...], on_link: bool, destroyed: bool, state: EntryState) -> None:
    assert state_of(own, kinds, on_link, destroyed=destroyed) is state


def test_a_number_of_unread_entries_changes_once_and_for_contacts_alone() -> None:
    book = ContactBook({b"ben": mock.Mock()}, {})
    for unread, changed in ((0, False), (1, True), (1, False), (3, True), (0, True), (0, False)):
        assert book.counts(b"ben", unread) is changed
        assert book.unread.get(b"ben", 0) == unread
    assert not book.counts(b"nobody", 1)
    assert b"nobody" not in book.unread
