"""Receipts: what a terminal has stored and read, and the state of an entry (SPEC §11.5)."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Final

STORED: Final = 1
READ: Final = 2


class DeliveryState(StrEnum):
    """Displayed state of an own entry."""

    QUEUED = "queued"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"


def delivery_state(kinds: Collection[int], carried: bool) -> DeliveryState:
    """State of an own entry, from the kinds of the contact's receipts and whether an open link sent it."""
    if READ in kinds:
        return DeliveryState.READ
    if STORED in kinds:
        return DeliveryState.DELIVERED
    return DeliveryState.SENT if carried else DeliveryState.QUEUED
