"""The engine's end of the profile's socket: offers a `Messenger` to other processes of the same user."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from chat.errors import ENGINE_ENDED, phrase
from chat.interface import BadData, Closed, Event, Messenger, ParlourError
from chat.ipc import wire
from chat.ipc.wire import Request
from chat.platforms.endpoint import Endpoint

WAITING_BYTES_MAX: Final = 4 << 20
"""Bytes of events that may wait for one client; with more it is dropped."""

CALLS_MAX: Final = 64
"""Calls of one client that run at once; further ones are not read yet."""

CLIENTS_MAX: Final = 64
"""Clients at once; further ones are closed at once."""

UNPROVEN_MAX: Final = 64
"""Connections that have not proven yet to be of this user; every local program can fill this on Windows."""

PROVEN_WITHIN: Final = 2.0
"""Seconds that a connection gets for that."""

CLOSED_WITHIN: Final = 0.1
"""Seconds that the messenger gets to say `Closed`; it has done so when it ends the server."""

FINISH_WITHIN: Final = 1.0
"""Seconds that clients get at the end to take what waits for them, and to leave."""

UNKNOWN: Final = phrase(
    "The engine does not know this request: it runs another version, end it and start it again."
)


class ControlServer:
    """Offers `messenger` at `path` to programs of this user. All clients share one stream of its events."""

    def __init__(self, messenger: Messenger, path: Path) -> None:
        self._messenger, self._path = messenger, path
        self._clients: set[_Client] = set()
        self._server: asyncio.Server | None = None
        self._pump: asyncio.Task[None] | None = None
        self._endpoint: Endpoint | None = None
        self._unproven: set[asyncio.StreamWriter] = set()
        self._closed = Closed(ENGINE_ENDED)
        self._draining = False

    async def start(self) -> None:
        """Begin to listen. Raises CannotCreate. The caller holds the profile's lock."""
        self._endpoint = wire.listen(self._path)
        self._pump = asyncio.create_task(self._pass_on(), name="control events")
        bound, limit = self._endpoint.socket, wire.REQUEST_BYTES_MAX
        self._server = await asyncio.start_server(self._accept, sock=bound, limit=limit)

    async def drain(self, within: float) -> None:
        """Remove the socket, begin no further call, give those under way time. May run inside one of them."""
        self._draining = True
        if self._server is None or self._endpoint is None:
            return
        self._server.close()
        self._server = None
        self._endpoint.remove()
        for writer in self._unproven:
            writer.transport.abort()
        caller = asyncio.current_task()
        await asyncio.gather(*(client.drain(within, caller) for client in list(self._clients)))

    async def close(self) -> None:
        """Let the clients take what waits for them, and end them. May run inside a call."""
        await self.drain(0)
        if self._pump is not None:
            await asyncio.wait({self._pump}, timeout=CLOSED_WITHIN)
            self._pump.cancel()
        await asyncio.gather(*(client.finish(self._closed) for client in list(self._clients)))

    async def _pass_on(self) -> None:
        async for event in self._messenger.events():
            if isinstance(event, Closed):
                self._closed = event
            for client in list(self._clients):
                client.tell(event)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        proven = await self._is_proven(reader, writer)
        if self._draining or not proven or len(self._clients) >= CLIENTS_MAX:
            writer.transport.abort()
            return
        client = _Client(self._messenger, reader, writer)
        self._clients.add(client)
        try:
            await client.run()
        finally:
            self._clients.discard(client)

    async def _is_proven(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether a program of this user has connected."""
        if self._endpoint is None or len(self._unproven) >= UNPROVEN_MAX:
            return False
        self._unproven.add(writer)
        try:
            async with asyncio.timeout(PROVEN_WITHIN):
                return await self._endpoint.admits(reader, writer)
        except TimeoutError:
            return False
        finally:
            self._unproven.discard(writer)


class _Client:
    """One connection: requests in, answers and events out."""

    def __init__(
        self, messenger: Messenger, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._messenger, self._reader, self._writer = messenger, reader, writer
        self._calls: dict[asyncio.Task[Any], int] = {}
        self._unanswered: list[int] = []
        self._draining = False
        self._left = asyncio.Event()
        self._streams: list[int] = []
        self._waiting: deque[tuple[bytes, bool]] = deque()
        self._event_bytes = 0
        self._filled = asyncio.Event()
        self._sender = asyncio.create_task(self._send_all(), name="control sender")

    async def run(self) -> None:
        """Serve until either side ends."""
        self._put(wire.encode(wire.Hello(wire.VERSION)))
        try:
            while line := await self._read_line():
                self._accept(line)
                if len(self._calls) >= CALLS_MAX:
                    await asyncio.wait(self._calls, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._left.set()
            self._end()

    def tell(self, event: Event) -> None:
        """Pass an event on, or drop the client that did not take the earlier ones."""
        for request in self._streams:
            line = wire.happened(request, event)
            self._event_bytes += len(line)
            self._put(line, event=True)
        if self._event_bytes > WAITING_BYTES_MAX:
            self._writer.transport.abort()
            self._streams.clear()

    async def drain(self, within: float, caller: asyncio.Task[Any] | None) -> None:
        """Begin no call any more, and cut short what goes on, but for the `caller` that waits for this."""
        self._draining = True
        if self._calls.keys() - {caller}:
            await asyncio.wait(self._calls.keys() - {caller}, timeout=within)
        self._unanswered += self._calls.values()
        for call in self._calls.keys() - {caller}:
            call.cancel()

    async def finish(self, closed: Closed) -> None:
        """Send what waits and which calls have no answer, and wait until the client has left.

        A request that comes after this side has closed would cut off what the client has not read yet.
        """
        self._put(wire.encode(wire.Ended(tuple(self._unanswered), closed.reason, closed.locked)))
        with suppress(TimeoutError):
            async with asyncio.timeout(FINISH_WITHIN):
                await self._left.wait()
        self._end()
        with suppress(ConnectionError, TimeoutError):
            await asyncio.wait_for(self._writer.wait_closed(), FINISH_WITHIN)

    async def _read_line(self) -> bytes:
        try:
            return await self._reader.readline()
        except (ConnectionError, ValueError):  # cut, or a line above REQUEST_BYTES_MAX
            return b""

    def _accept(self, line: bytes) -> None:
        number = 0
        try:
            request = wire.decoded(line, Request)
            number = request.id
            if request.call == wire.EVENTS:
                self._streams.append(number)
                return
            if self._draining:
                return
            arguments = wire.read_arguments(request)
        except msgspec.DecodeError:
            self._put(wire.failure(number, BadData(UNKNOWN)))
            return
        call = getattr(self._messenger, request.call)(**msgspec.structs.asdict(arguments))
        task = asyncio.create_task(call, name=f"control {request.call}")
        self._calls[task] = number
        task.add_done_callback(lambda done: self._answer(request, done))

    def _answer(self, request: Request, done: asyncio.Task[object]) -> None:
        self._calls.pop(done, None)
        if done.cancelled():
            return
        error = done.exception()
        if error is None:
            self._put(wire.encode(wire.Result(request.id, wire.raw(done.result()))))
        elif isinstance(error, ParlourError):
            self._put(wire.failure(request.id, error))
        else:  # a fault of this program: the exception's text may hold a peer's words, so it stays here
            said = phrase(
                "Parlour had an internal error ({call}: {kind}): try again, and report it if it happens"
                " again.",
                call=request.call,
                kind=type(error).__name__,
            )
            self._put(wire.failure(request.id, ParlourError(said)))
            context = {"message": "a call of another process failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)

    def _put(self, line: bytes, *, event: bool = False) -> None:
        self._waiting.append((line, event))
        self._filled.set()

    async def _send_all(self) -> None:
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._waiting:
                line, event = self._waiting.popleft()
                try:
                    self._writer.write(line)
                    await self._writer.drain()
                except ConnectionError:
                    return
                self._event_bytes -= len(line) if event else 0

    def _end(self) -> None:
        """Close. Calls under way go on: half a `send` is worse than an answer that nobody takes."""
        self._sender.cancel()
        self._waiting.clear()
        self._streams.clear()
        self._writer.close()
