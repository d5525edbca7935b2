"""Parlour for Python programs: every call of `chat.interface.Messenger`, and events that are never lost.

    from chat.client import connect

    async with connect("echo") as parlour:
        async for told in parlour.subscribe():
            if isinstance(told.event, EntryAdded) and not told.event.entry.own:
                entry = told.event.entry
                await parlour.send(entry.contact, entry.text, send_id=f"echo-{entry.id[:32]}")
            await parlour.ack(told)

A program acts first and acknowledges then. If it dies in between, the event comes again, and a `send` with
the same id is stored once. docs/api.md has all of it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from functools import wraps
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from msgspec import Struct

from chat.api import calls
from chat.api.calls import Ack, Greeting, Hello, Request, Subscribe, Subscribed, Told, Trouble
from chat.errors import phrase
from chat.interface import (
    SAYS_SOMETHING,
    BadData,
    Closed,
    EngineEnded,
    EntryAdded,
    EntryView,
    Event,
    Messenger,
    Unreachable,
)
from chat.platforms import endpoints
from chat.platforms.endpoint import CONNECT_WITHIN, Stranger

__all__ = ["Delivered", "Parlour", "connect"]

PROGRAM: Final = (sys.executable, "-m", "chat.cli")
LINE_BYTES_MAX: Final = 1 << 28
"""One line from Parlour: the longest entries of one answer, with room."""

EVENTS_WAITING_MAX: Final = 65_536
"""Events without a position that may wait for this program before its stream ends."""

ENDED: Final = phrase("Parlour has ended: start this program again.")
NOBODY: Final = phrase("Nobody serves programs at this socket: start 'parlour api --socket'.")
STRANGER: Final = phrase("Another user of this machine listens at this socket: choose another path.")
OTHER_VERSION: Final = phrase("This Parlour speaks another version of the API: update the older one.")
BEHIND: Final = phrase("This program does not read its events: start it again.")


class Delivered(Struct, frozen=True):
    """An event. With a `position` it comes again until it, or a later one, is acknowledged."""

    event: Event
    position: int | None = None

    @property
    def message(self) -> EntryView | None:
        """The text or file that somebody else sent and that came now, if it is one that can be relied on.

        None for one's own entries, edits and deletes, and for what is `claimed` or `quarantined`.
        """
        entry = self.event.entry if isinstance(self.event, EntryAdded) else None
        if entry is None or entry.own or entry.claimed or entry.quarantined:
            return None
        return entry if entry.kind in SAYS_SOMETHING else None


class _Answer(Struct, frozen=True):
    """A line from Parlour. It has a `method` or else an `id`."""

    method: str = ""
    id: int | str | None = None
    params: Told | None = None
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: Trouble | None = None


def _call(name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
    method = calls.METHODS[name]

    @wraps(getattr(Messenger, name))
    async def ask(self: Parlour, *arguments: Any, **named: Any) -> Any:
        return calls.decoded(await self._ask(name, method.params(*arguments, **named)), method.returns)

    return ask


if TYPE_CHECKING:
    _Calls = Messenger
else:
    _Calls = type("_Calls", (), {name: _call(name) for name in calls.METHODS if name not in calls.OWN})


class Parlour(_Calls):
    """A profile's messenger, reached by JSON-RPC. `connect` makes one.

    The calls are those of `chat.interface.Messenger` and raise what it says, but for those that docs/api.md
    leaves out: they raise AttributeError. EngineEnded is raised once Parlour has ended.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._greeting: Greeting | None = None
        self._numbers = count(1)
        self._answers: dict[int, asyncio.Future[msgspec.Raw]] = {}
        self._events: asyncio.Queue[Delivered | None] = asyncio.Queue()
        self._ended = False
        self._behind = False
        self._receiver = asyncio.create_task(self._receive(), name="parlour receiver")

    @classmethod
    def over(cls, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Parlour:
        """The messenger behind two streams, to which nothing was said yet."""
        return cls(reader, writer)

    async def hello(self, client: str = "", token: str = "") -> Greeting:
        """Say who calls. `connect` does it. Raises NotPermitted, UsageError."""
        said = Hello(client, token)
        self._greeting = calls.decoded(await self._ask("hello", said), Greeting)
        return self._greeting

    @property
    def greeting(self) -> Greeting:
        """What Parlour said: its version, the rights of this program, and its contact if it has only one."""
        assert self._greeting is not None, "hello was said"
        return self._greeting

    async def ended(self) -> None:
        """Wait until Parlour has ended, or was left."""
        await asyncio.wait({self._receiver})

    async def subscribe(self, since: int | None = None, *, live: bool = True) -> AsyncIterator[Delivered]:
        """Every event: what came since this program acknowledged last, in order, and what comes from now on.

        `since`: only what comes after this position. `live`: also what has no position, which is not kept for
        a program that is away. Ends after `Closed`. Raises UsageError (no client's name, or a second time),
        EngineEnded once Parlour has ended.
        """
        calls.decoded(await self._ask("subscribe", Subscribe(since, live)), Subscribed)
        while (told := await self._events.get()) is not None:
            yield told
            if isinstance(told.event, Closed):
                return
        raise EngineEnded(BEHIND if self._behind else ENDED)

    async def ack(self, told: Delivered | int) -> None:
        """This program has acted on an event, or on all up to a position. Of one without a position: nothing.

        It is on the disk when this returns. At most 256 events are delivered and not acknowledged.
        """
        position = told if isinstance(told, int) else told.position
        if position is not None:
            await self._ask("ack", Ack(position))

    async def close(self) -> None:
        """Leave. What was not acknowledged comes again."""
        self._writer.close()
        self._receiver.cancel()
        with suppress(asyncio.CancelledError):
            await self._receiver
        self._end()

    async def _ask(self, name: str, params: Struct) -> msgspec.Raw:
        if self._ended:
            raise EngineEnded(ENDED)
        number = next(self._numbers)
        answer: asyncio.Future[msgspec.Raw] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        try:
            line = calls.encode(Request("2.0", name, msgspec.Raw(calls.encode(params)), number))
            self._writer.write(line + b"\n")
            with suppress(ConnectionError):  # the receiver finds that out
                await self._writer.drain()
            return await answer
        finally:
            del self._answers[number]

    async def _receive(self) -> None:
        try:
            while line := await self._reader.readline():
                self._take(calls.decoded(line, _Answer))
        except (ConnectionError, ValueError, msgspec.DecodeError):
            pass
        finally:
            self._end()

    def _take(self, line: _Answer) -> None:
        if line.method == "event" and line.params is not None:
            kind = calls.EVENTS.get(line.params.event)
            if kind is None:  # of a newer Parlour
                return
            if self._events.qsize() >= EVENTS_WAITING_MAX:
                self._behind = True
                raise ValueError("events wait")
            try:
                event = cast(Event, calls.decoded(line.params.value, kind))
            except msgspec.ValidationError:  # it has a value that a newer Parlour knows
                return
            self._events.put_nowait(Delivered(event, line.params.position))
            return
        answer = self._answers.get(line.id) if isinstance(line.id, int) else None
        if answer is None or answer.done():
            return
        if line.error is not None:
            answer.set_exception(calls.error_of(line.error))
        else:
            answer.set_result(line.result)

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(EngineEnded(ENDED))
        self._events.put_nowait(None)


@asynccontextmanager
async def connect(
    client: str = "",
    *,
    token: str = "",
    socket: str | Path | None = None,
    profile: str | Path | None = None,
    passphrase_file: str | Path | None = None,
    program: Sequence[str] = PROGRAM,
) -> AsyncIterator[Parlour]:
    """Parlour for the time of the block: the engine that runs on the profile, or one that is started for it.

    `client`: a name of this program, [a-z0-9._-]{1,64}, by which its place is kept; two programs at once have
    two names. `token`: what `parlour api add` printed, in place of a name. `socket`: that of a running
    `parlour api --socket`; else `program api` is started, with the `profile` (default: that of the user) and
    the file with its passphrase (default: the system's keyring, or none where an engine runs).

    Raises NotPermitted (the token), UsageError (the name), Unreachable (no program of this user listens
    at the socket),
    EngineEnded (Parlour did not start; it said why on standard error).
    """
    if socket is not None:
        reader, writer = await _reached(Path(socket))
        async with _greeted(reader, writer, client, token) as parlour:
            yield parlour
        return
    line = [*program, "api"]
    if profile is not None:
        line += ["--profile", str(profile)]
    if passphrase_file is not None:
        line += ["--passphrase-file", str(passphrase_file)]
    started = await asyncio.create_subprocess_exec(
        *line, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=LINE_BYTES_MAX
    )
    assert started.stdout is not None, "it is a pipe"
    assert started.stdin is not None, "it is a pipe"
    try:
        async with _greeted(started.stdout, started.stdin, client, token) as parlour:
            yield parlour
    finally:
        await started.wait()  # its engine may serve others for as long as it needs to leave well


async def _reached(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Streams to a program of this user: in a folder that others write to, another one could take the token.

    Raises Unreachable.
    """
    try:
        reached = endpoints.connect(path)
        reader, writer = await asyncio.open_connection(sock=reached.socket, limit=LINE_BYTES_MAX)
    except Stranger as error:
        raise Unreachable(STRANGER) from error
    except OSError as error:
        raise Unreachable(NOBODY) from error
    own = False
    try:
        async with asyncio.timeout(CONNECT_WITHIN):
            own = await reached.is_own(reader, writer)
    except (OSError, TimeoutError, EOFError) as error:
        raise Unreachable(NOBODY) from error
    finally:
        if not own:
            writer.close()
    if not own:
        raise Unreachable(STRANGER)
    return reader, writer


@asynccontextmanager
async def _greeted(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: str, token: str
) -> AsyncIterator[Parlour]:
    parlour = Parlour.over(reader, writer)
    try:
        greeting = await parlour.hello(client, token)
        if greeting.version != calls.VERSION:
            raise BadData(OTHER_VERSION)
        yield parlour
    finally:
        await parlour.close()
