"""The states of an entry, derived and never stored (ARCHITECTURE.md, the delivery law).

Rules: pure; what may be said of an own entry is protocol/receipts.py's, which the SPEC's table stands in.
"""

from __future__ import annotations

from collections.abc import Collection

from chat.interface import EntryState
from protocol.entries import READ, STORED, said_of

__all__ = ["READ", "STORED", "state_of"]


def state_of(own: bool, kinds: Collection[int], on_link: bool) -> EntryState:
    """The state to show. `kinds` are the contact's receipts for the entry (1 stored, 2 read)."""
    return EntryState(said_of(kinds, on_link)) if own else EntryState.RECEIVED
