"""The client's end of the profile's socket: a `Messenger` whose engine runs in another process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from functools import wraps
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from chat.errors import (
    ENGINE_ENDED,
    LOCKED,
    AnswerLost,
    BadData,
    EngineEnded,
    NotPermitted,
    ParlourError,
    Unreachable,
    UsageError,
    phrase,
)
from chat.interface import Closed, Event, Messenger
from chat.ipc import wire

HELLO_WITHIN: Final = 3.0
"""Seconds in which the engine says hello."""

EVENTS_WAITING_MAX: Final = 65_536
"""Events that this client may leave unread before its stream ends."""

LOST: Final = phrase(
    "The engine of this profile stopped before it answered: check whether this was done before you try again."
)
BEHIND: Final = phrase("This client fell behind the engine and was disconnected: start it again.")
OTHER_VERSION: Final = phrase(
    "The engine that runs on this profile is of another version: end it and start it again."
)


def _call(name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
    """The method of a call: `CALLS` has its arguments and the type of its answer."""
    call = wire.CALLS[name]

    @wraps(getattr(Messenger, name))
    async def ask(self: RemoteMessenger, *arguments: Any, **named: Any) -> Any:
        return wire.decoded(await self._ask(name, call.arguments(*arguments, **named)), call.returns)

    return ask


if TYPE_CHECKING:
    _Calls = Messenger
else:
    _Calls = type("_Calls", (), {name: _call(name) for name in wire.CALLS})


class RemoteMessenger(_Calls):
    """The engine behind a socket: `open` connects to it, `close` leaves it running.

    An engine that ends also ends the streams with `Closed`, and the calls with an error that says whether the
    client may repeat them. No client waits for an engine that has ended.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._numbers = count(1)
        self._answers: dict[int, tuple[bool, asyncio.Future[msgspec.Raw]]] = {}  # and whether it is in ONCE
        self._streams: dict[int, _Stream] = {}
        self._closed: Closed | None = None
        self._receiver = asyncio.create_task(self._receive_all(), name="remote receiver")

    @classmethod
    async def open(cls, path: Path) -> RemoteMessenger:
        """Connect and check the version. Raises Unreachable, BadData (another version)."""
        reached = wire.connect(path)
        reader, writer = await asyncio.open_connection(sock=reached.socket, limit=wire.LINE_BYTES_MAX)
        try:
            async with asyncio.timeout(HELLO_WITHIN):
                is_own = await reached.is_own(reader, writer)
                line = await reader.readline() if is_own else b""
            if not is_own:
                raise Unreachable(wire.STRANGER)
            hello = wire.decoded(line, wire.Hello)
        except Unreachable:
            writer.close()
            raise
        except (OSError, TimeoutError, ValueError, msgspec.DecodeError) as error:
            writer.close()
            raise Unreachable(wire.NO_ENGINE) from error
        if hello.version != wire.VERSION:
            writer.close()
            raise BadData(OTHER_VERSION)
        return cls(reader, writer)

    def events(self) -> AsyncIterator[Event]:
        stream = _Stream()
        if self._closed is not None:
            stream.end(self._closed)
            return stream
        number = next(self._numbers)
        self._streams[number] = stream
        self._writer.write(wire.encode(wire.Request(number, wire.EVENTS)))
        return stream

    async def lock(self) -> None:
        """Lock the engine, which ends before it answers. Raises EngineEnded where it ended by itself."""
        try:
            await self._ask("lock", wire.CALLS["lock"].arguments())
        except (AnswerLost, NotPermitted):
            if self._closed is None:
                raise

    async def close(self) -> None:
        """Leave; the engine goes on."""
        self._receiver.cancel()
        with suppress(asyncio.CancelledError):
            await self._receiver
        self._leave(Closed(ENGINE_ENDED))
        with suppress(ConnectionError):
            await self._writer.wait_closed()

    async def _ask(self, name: str, arguments: msgspec.Struct) -> msgspec.Raw:
        if self._closed is not None:
            raise self._refused()
        number = next(self._numbers)
        try:
            line = wire.encode(wire.Request(number, name, wire.raw(arguments)))
        except UnicodeEncodeError as error:
            raise UsageError(phrase("The text is not valid Unicode: correct it and try again.")) from error
        answer: asyncio.Future[msgspec.Raw] = asyncio.get_running_loop().create_future()
        self._answers[number] = (name in wire.ONCE and not getattr(arguments, "send_id", ""), answer)
        try:
            self._writer.write(line)
            return await answer
        finally:
            del self._answers[number]

    async def _receive_all(self) -> None:
        reason = ENGINE_ENDED
        try:
            while line := await self._reader.readline():
                self._take(wire.read_line(line))
        except (ConnectionError, ValueError, msgspec.DecodeError):
            reason = wire.NO_ENGINE
        except _Behind:
            reason = BEHIND
        # An engine that was killed says nothing: each call may have been done.
        self._leave(Closed(reason), tuple(self._answers))

    def _take(self, line: wire.Line) -> None:
        if isinstance(line, wire.Ended):
            self._leave(Closed(line.reason, line.locked), line.unanswered)
            return
        if isinstance(line, wire.Happened):
            if line.id in self._streams:
                self._streams[line.id].put(wire.event_of(line))
            return
        _, answer = self._answers.get(line.id, (False, None))
        if answer is None or answer.done():
            return
        if isinstance(line, wire.Failure):
            answer.set_exception(wire.error_of(line))
        else:
            answer.set_result(line.value)

    def _leave(self, closed: Closed, begun: tuple[int, ...] = ()) -> None:
        """Nothing comes any more. `begun`: the calls that may have been done, though their answer is lost."""
        self._closed = self._closed or closed
        for number, (once, answer) in self._answers.items():
            if not answer.done():
                lost = number in begun and once
                answer.set_exception(AnswerLost(LOST) if lost else self._refused())
        for stream in self._streams.values():
            stream.end(self._closed)
        self._streams.clear()
        self._writer.close()

    def _refused(self) -> ParlourError:
        """Why a call was not done."""
        if self._closed is not None and self._closed.locked:
            return NotPermitted(LOCKED)
        return EngineEnded(self._closed.reason if self._closed is not None else ENGINE_ENDED)


class _Behind(Exception):
    """A stream that nobody reads has grown to its bound."""


class _Stream:
    """Events of one `events()`; ends after `Closed`, which the engine sends or its end stands for."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Event] = asyncio.Queue()
        self._closed = False
        self._ended = False

    def put(self, event: Event) -> None:
        if self._closed:
            return
        if self._queue.qsize() >= EVENTS_WAITING_MAX:
            raise _Behind
        self._closed = isinstance(event, Closed)
        self._queue.put_nowait(event)

    def end(self, closed: Closed) -> None:
        if not self._closed:
            self._closed = True
            self._queue.put_nowait(closed)

    def __aiter__(self) -> _Stream:
        return self

    async def __anext__(self) -> Event:
        if self._ended:
            raise StopAsyncIteration
        event = await self._queue.get()
        self._ended = isinstance(event, Closed)
        return event
