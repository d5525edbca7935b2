"""A violation that more than one kind of test has to find."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from chat.network.links import LiveLink
from chat.service.sync import Inbound
from protocol.entries_and_receipts import ParsedEntry


def receipt_before_commit(seconds: float = 0.0) -> None:
    """Entries are stored in the background, so many seconds after the receipt for them may leave."""
    store = Inbound._store_entries

    async def at_once(
        self: Inbound,
        link: LiveLink,
        person: bytes,
        parsed: Sequence[ParsedEntry],
        former: Collection[bytes],
    ) -> None:
        async def later() -> None:
            await asyncio.sleep(seconds)
            await store(self, link, person, parsed, former)

        self._runtime.tasks.spawn(later())

    Inbound._store_entries = at_once  # type: ignore[method-assign]
