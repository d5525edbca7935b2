"""The states of an entry, derived and never stored (ARCHITECTURE.md, the delivery law).

Rules: pure; `delivered` and `read` need a receipt of the contact's terminal, `sent` needs a link that
carried the entry and still lives.
"""

from __future__ import annotations

from collections.abc import Collection

from chat.interface import EntryState

STORED = 1
READ = 2


def state_of(own: bool, kinds: Collection[int], on_link: bool) -> EntryState:
    """The state to show. `kinds` are the contact's receipts for the entry (1 stored, 2 read)."""
    if not own:
        return EntryState.RECEIVED
    if READ in kinds:
        return EntryState.READ
    if STORED in kinds:
        return EntryState.DELIVERED
    return EntryState.SENT if on_link else EntryState.QUEUED
