"""A fake engine behind the socket of a profile, for programs of other processes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chat.storage.folder import SOCKET
from tests.support.engines.served import served
from tests.support.fakes.messenger import FakeMessenger


@contextmanager
def running_engine(folder: Path, messenger: FakeMessenger) -> Iterator[FakeMessenger]:
    """The messenger answers at the socket of this folder, in a thread, until the block ends."""
    loop, ready, over = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with served(messenger, folder / SOCKET):
            ready.set()
            await over.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert ready.wait(10)
        yield messenger
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
        loop.close()
