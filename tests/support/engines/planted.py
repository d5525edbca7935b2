"""A violation that more than one kind of test has to find."""

from __future__ import annotations

import asyncio
from typing import Any

from chat.service.sync import Inbound


def receipt_before_commit(seconds: float = 0.0) -> None:
    """Entries are stored in the background, so many seconds after the receipt for them may leave."""
    store = Inbound._store_entries

    async def at_once(self: Inbound, *given: Any) -> None:
        async def later() -> None:
            await asyncio.sleep(seconds)
            await store(self, *given)

        self._runtime.tasks.spawn(later())

    Inbound._store_entries = at_once  # type: ignore[assignment,method-assign]
