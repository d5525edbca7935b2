"""Sessions over standard streams and over a Unix socket."""

from __future__ import annotations

import asyncio
import queue
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Final

from chat.api.calls import LINE_BYTES_MAX
from chat.api.session import Lines, Session, lines_of
from chat.errors import phrase
from chat.interface import CannotCreate, Messenger, ParlourError
from chat.ipc import wire
from chat.platforms import endpoints
from chat.platforms.endpoint import CONNECT_WITHIN, Endpoint, InTheWay, PathTooLong

SESSIONS_MAX: Final = 16
"""Programs at the socket at once; further ones are closed at once."""

TAKEN = phrase("Another program listens on this socket: choose another name.")


async def serve_streams(opened: Messenger, lines: Lines, *, token_required: bool) -> None:
    """Serve the program behind standard input until its `lines` end. Raises as `Session.serve`."""
    written = _Output()
    session = Session(opened, written.write, program=version("parlour"), token_required=token_required)
    await session.serve(lines)


class _Output:
    """Standard output, written in a thread: a program that does not read stops neither engine nor exit."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._lines = queue.SimpleQueue[tuple[bytes, asyncio.Future[None]]]()
        threading.Thread(target=self._run, name="api output", daemon=True).start()

    async def write(self, line: bytes) -> None:
        """Raises OSError where nobody reads any more."""
        done: asyncio.Future[None] = self._loop.create_future()
        self._lines.put((line, done))
        await done

    def _run(self) -> None:
        while True:
            line, done = self._lines.get()
            failure: OSError | None = None
            try:
                sys.stdout.buffer.write(line)
                sys.stdout.buffer.flush()
            except OSError as error:
                failure = error
            with suppress(RuntimeError):  # the loop has ended, and nobody waits any more
                self._loop.call_soon_threadsafe(_settle, done, failure)


def _settle(done: asyncio.Future[None], failure: OSError | None) -> None:
    if done.done():
        return
    if failure is not None:
        done.set_exception(failure)
    else:
        done.set_result(None)


async def serve_socket(
    opened: Messenger, path: Path, listens: Callable[[], None], problem: Callable[[str], None]
) -> None:
    """Serve programs with a token at a new socket of mode 0600 until it is cancelled or the profile locked.

    `listens` is called once they can connect, `problem` with why a session ended. Raises CannotCreate.
    """
    _check_free(path)
    endpoint = wire.listen(path)
    accept = _Sessions(opened, problem, endpoint).accept
    server = await asyncio.start_server(accept, sock=endpoint.socket, limit=LINE_BYTES_MAX)
    listens()
    try:
        async for _ in opened.events():  # until the profile is locked
            pass
    finally:
        server.close()
        endpoint.remove()


def _check_free(path: Path) -> None:
    """Raises CannotCreate unless nobody listens at `path`: an ended program may have left its socket."""
    # Whatever else fails: a live socket of another kind, with a full queue, or of another user.
    with suppress(OSError):
        try:
            endpoints.connect(path).socket.close()
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError, InTheWay, PathTooLong):
            return  # `wire.listen` says what is in the way
    raise CannotCreate(TAKEN)


class _Sessions:
    """The programs at the socket."""

    def __init__(self, opened: Messenger, problem: Callable[[str], None], endpoint: Endpoint) -> None:
        self._opened, self._problem, self._endpoint = opened, problem, endpoint
        self._open = 0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.CancelledError):  # the program ends; Python 3.11 reports that as a fault
            await self._serve(reader, writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._open >= SESSIONS_MAX:
            writer.transport.abort()
            return

        async def write(line: bytes) -> None:
            writer.write(line)
            await writer.drain()

        self._open += 1
        try:
            if not await self._admits(reader, writer):
                writer.transport.abort()
                return
            session = Session(self._opened, write, program=version("parlour"), token_required=True)
            await session.serve(lines_of(reader))
        except ParlourError as problem:
            self._problem(str(problem))
        finally:
            self._open -= 1
            writer.close()

    async def _admits(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether a program of this user has connected."""
        with suppress(TimeoutError, OSError, EOFError):
            async with asyncio.timeout(CONNECT_WITHIN):
                return await self._endpoint.admits(reader, writer)
        return False
