"""Reads folders in threads of their own, so that one on a network that does not answer holds up nothing."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from tui.text.paths import Completion, folder_of

READING_MAX: Final = 8
"""Folders that are read at a time. This person fills it, with folders that do not answer."""


class Folders:
    """`read` blocks for as long as the disk or the network does; other calls go on meanwhile.

    The threads are no part of the executor: the program would wait for them at its end.
    """

    def __init__(self, read: Callable[[str], Completion] = Completion) -> None:
        self._read = read
        self._reading: dict[str, asyncio.Future[Completion]] = {}

    async def read(self, typed: str) -> Completion:
        """What may follow what was typed. A folder has one thread at most, whatever is typed of its names."""
        folder = folder_of(typed)
        while (before := self._reading.get(folder)) is not None or len(self._reading) >= READING_MAX:
            waits = self._reading.values() if before is None else [before]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        loop = asyncio.get_running_loop()
        self._reading[folder] = found = loop.create_future()

        def ended(read: Completion) -> None:
            del self._reading[folder]
            found.set_result(read)

        def work() -> None:
            read = self._read(typed)
            with suppress(RuntimeError):  # the program has ended
                loop.call_soon_threadsafe(ended, read)

        threading.Thread(target=work, name="folder", daemon=True).start()
        return await asyncio.shield(found)
