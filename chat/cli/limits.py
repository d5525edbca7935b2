"""The rate at which files are sent, for one command or for all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from chat.interface import FILES_LIMIT, Messenger, ParlourError

KIB: Final = 1_024

PIECES_KIB: Final = 128
"""KiB that are sent at most until the next part of a file is: its own, and one of another."""


@asynccontextmanager
async def limited(opened: Messenger, limit: int | None) -> AsyncIterator[float]:
    """Send files at so many KiB a second meanwhile; None: as chosen. Gives seconds that a part may last."""
    chosen = (await opened.preferences()).get(FILES_LIMIT, "")
    usual = int(chosen) if chosen.isdecimal() else 0
    rates = [rate for rate in (limit, usual) if rate]
    if limit:
        await opened.limit_files(limit * KIB)
    try:
        yield PIECES_KIB / min(rates) if rates else 0.0
    finally:
        if limit:
            with suppress(ParlourError):  # it ended, and the limit with it
                await opened.limit_files(0)
