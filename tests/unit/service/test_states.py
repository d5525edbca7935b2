"""The states that are said of an entry."""

from __future__ import annotations

import pytest

from chat.interface import EntryState
from chat.service.views import state_of
from protocol.entries_and_receipts import READ, STORED


@pytest.mark.parametrize(
    ("own", "kinds", "on_link", "state"),
    [
        (False, (), False, EntryState.RECEIVED),
        (True, (), False, EntryState.QUEUED),
        (True, (), True, EntryState.SENT),
        (True, (STORED,), False, EntryState.DELIVERED),
        (True, (STORED,), True, EntryState.DELIVERED),
        (True, (STORED, READ), False, EntryState.READ),
        (True, (READ,), True, EntryState.READ),
    ],
)
def test_states(own: bool, kinds: tuple[int, ...], on_link: bool, state: EntryState) -> None:
    assert state_of(own, kinds, on_link) is state
