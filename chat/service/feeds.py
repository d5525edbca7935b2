"""What is given to be sealed part by part: nobody knows yet how much it will be."""

from __future__ import annotations

import asyncio
import errno
import io
import threading
from contextlib import suppress
from typing import Final

from chat.errors import phrase
from chat.interface import FEED_PART_MAX, UsageError
from chat.tasks import Runtime

FEEDS_MAX: Final = 2
"""Feeds at once. Programs of this user fill it."""

HELD_MAX: Final = 2 * FEED_PART_MAX
"""Bytes of a feed that are in memory at most, before they are sealed."""

QUIET_MAX: Final = 60.0
"""Seconds after which a feed of which nothing is heard has broken: its program was killed."""

_PREFIX: Final = "feed:"  # no whole path begins so

TOO_MANY_FEEDS = phrase("Two programs give files to this engine already: wait until one of them has ended.")
NO_FEED = phrase("What was given has broken off, and nothing was sent: begin again.")
TOO_LONG_A_PART = phrase("This part is too long: give it in smaller ones.")


class Feed(io.RawIOBase):
    """A file that the event loop gives and a thread reads, which never waits: `ready` does, before.

    Only `put` with `end` ends it. Whatever else stops it makes `ready` fail, so that no half is sent.
    """

    def __init__(self) -> None:
        super().__init__()
        self.taken = False
        self._loop, self._lock = asyncio.get_running_loop(), threading.Lock()
        self._given, self._room = asyncio.Event(), asyncio.Event()
        self._held, self._ended = bytearray(), False

    async def put(self, part: bytes, *, end: bool) -> None:
        """Give a part, perhaps an empty one: more comes. Waits for room. Raises UsageError once it broke."""
        while len(self._held) + len(part) > HELD_MAX and not self.closed:
            self._room.clear()
            await self._room.wait()
        if self.closed or self._ended:
            raise UsageError(NO_FEED)
        with self._lock:
            self._held += part
        self._ended = end
        self._given.set()

    async def ready(self, least: int = 1) -> None:
        """Wait until there are so many bytes to read, or the end. Raises UsageError where it broke."""
        while not (len(self._held) >= least or self._ended):
            self._given.clear()
            try:
                async with asyncio.timeout(QUIET_MAX):
                    await self._given.wait()
            except TimeoutError:
                self.close()
            if self.closed:
                raise UsageError(NO_FEED)

    async def beginning(self, size: int) -> bytes:
        """The first bytes, fewer where it is shorter; they stay to be read. Raises as `ready`."""
        await self.ready(size)
        return bytes(self._held[:size])

    async def whole(self, most: int) -> bytes:
        """Everything up to the end, but no more than `most` bytes. Raises as `ready`."""
        taken = bytearray()
        while len(taken) < most:
            await self.ready()
            if not (part := self.read(most - len(taken))):
                break
            taken += part
        return bytes(taken)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Take what is there, up to `size`, and nothing at the end. Raises OSError once it broke."""
        with self._lock:
            if self.closed:
                raise OSError(errno.EPIPE, "the feed has broken")  # its content is gone: this is not its end
            taken = bytes(self._held[: size if size >= 0 else HELD_MAX])
            del self._held[: len(taken)]
        with suppress(RuntimeError):  # the loop has ended, and nobody waits
            self._loop.call_soon_threadsafe(self._room.set)
        return taken

    def close(self) -> None:
        """Nothing is read any more. Called in the event loop."""
        with self._lock:  # a thread that reads must not take what is left for the end
            super().close()
            self._held.clear()
        self._given.set()
        self._room.set()


class Feeds:
    """The feeds of an engine, by their names, which stand for a path."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._open = dict[str, Feed]()

    def open(self) -> str:
        """Begin a feed. Raises UsageError."""
        if len(self._open) >= FEEDS_MAX:
            # One that no call reads was left by a program that ended before it made the call.
            for name in [name for name, feed in self._open.items() if feed.closed or not feed.taken]:
                self._open.pop(name).close()
        if len(self._open) >= FEEDS_MAX:
            raise UsageError(TOO_MANY_FEEDS)
        name = f"{_PREFIX}{self._runtime.random(16).hex()}"
        self._open[name] = Feed()
        return name

    async def put(self, name: str, part: bytes, *, end: bool) -> None:
        """As interface.Messenger.feed."""
        feed = self._open.get(name)
        if feed is None:
            raise UsageError(NO_FEED)
        if len(part) > FEED_PART_MAX:
            raise UsageError(TOO_LONG_A_PART)
        await feed.put(part, end=end)

    def take(self, name: str) -> Feed | None:
        """The feed of this name, which is read from now on; None where a path is no name of one."""
        if not name.startswith(_PREFIX):
            return None
        feed = self._open.get(name)
        if feed is None or feed.taken:
            raise UsageError(NO_FEED)
        feed.taken = True
        return feed

    def close(self) -> None:
        """Let go of all of them: the engine ends."""
        for feed in self._open.values():
            feed.close()
        self._open.clear()
