"""One client of the API: its requests are answered, and its events come again until it acknowledges them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import msgspec

from chat.api import calls
from chat.api.calls import Ack, Greeting, Hello, Request, Subscribe, Subscribed, Trouble
from chat.api.scopes import Scope, given
from chat.errors import phrase
from chat.interface import (
    GONE,
    ArrivalView,
    Cleaned,
    Cleaning,
    ClientChanged,
    ClientRights,
    ClientView,
    Closed,
    EntryAdded,
    EntryChanged,
    EntryDeleted,
    EntryEdited,
    EntryKind,
    Event,
    FileProgress,
    FileSealing,
    FileSupplied,
    Messenger,
    Notice,
    NotPermitted,
    ParlourError,
    UsageError,
)

CALLS_MAX: Final = 64
"""Calls of one client that run at once; further ones are not read yet."""

WINDOW: Final = 256
"""Events that a client has and did not acknowledge; the next ones wait in the history.

It is far below the 4,096 ids of texts that the engine keeps: a bot that answers each event with an id made of
that of the entry answers none twice.
"""

WAITING_MAX: Final = 4_096
WAITING_BYTES_MAX: Final = 4 << 20
"""Lines, and bytes of them, that wait for a client which does not read. Its calls and its entries wait then;
with more events than that its session ends. The client fills it, with what its contacts wrote."""

LIMIT_MAX: Final = 1_000
"""Entries of one answer. A client asks for them one answer after the other, so that it fills no memory."""

PAGES: Final = frozenset(("history", "search"))

PIECE: Final = 32
"""Entries that are read at once to be delivered."""

FINISH_WITHIN: Final = 5.0
"""Seconds in which calls end, and a program takes what was said to it, once its session is over."""

HELLO_WITHIN: Final = 30.0
"""Seconds in which a program presents its token, where one is required: it holds the place of another one."""

NO_POSITION: Final = (EntryChanged, FileProgress, FileSealing, FileSupplied, Cleaning, Cleaned)
"""Events of entries after which nothing has another position than before."""

NAMELESS = phrase("Say hello with a name first, by which your place is kept.")
TWICE = phrase("This client has subscribed already.")
NOT_DELIVERED = phrase("Nothing with this position was delivered here.")
TOO_LATE = phrase("Say hello once.")
BAD_LIMIT = phrase("Ask for 1 to {most} messages at once.", most=LIMIT_MAX)
TOKEN_DUE = phrase("The program of this name has a token: say hello with it.")
BEHIND = phrase("This program does not read what it is sent: it was disconnected, and goes on where it was.")

Lines = AsyncIterator[bytes | None]
"""The lines of a client; None in place of one that is too long, or no text."""


class _Outgoing:
    """Lines that wait to be written: a queue that is bounded in lines and in bytes."""

    def __init__(self) -> None:
        self._lines = asyncio.Queue[bytes](WAITING_MAX)
        self._bytes = 0
        self._room = asyncio.Event()
        self._room.set()

    async def put(self, line: bytes) -> None:
        """Add a line, once there is room for more. One line above the bound fits an empty queue."""
        await self.room()
        self._add(len(line))
        await self._lines.put(line)

    def put_nowait(self, line: bytes) -> None:
        """Raises QueueFull."""
        if not self._room.is_set():
            raise asyncio.QueueFull
        self._lines.put_nowait(line)
        self._add(len(line))

    async def room(self) -> None:
        """Wait until fewer bytes wait than may."""
        while not self._room.is_set():
            await self._room.wait()

    async def get(self) -> bytes:
        return await self._lines.get()

    def written(self, line: bytes) -> None:
        """A line was taken by the client."""
        self._lines.task_done()
        self._add(-len(line))

    async def join(self) -> None:
        await self._lines.join()

    def _add(self, size: int) -> None:
        self._bytes += size
        (self._room.set if self._bytes < WAITING_BYTES_MAX else self._room.clear)()


class Session:
    """Serves one client over a pair of streams. `program`: this version of Parlour."""

    def __init__(
        self,
        messenger: Messenger,
        write: Callable[[bytes], Awaitable[None]],
        *,
        program: str,
        token_required: bool = False,
    ) -> None:
        self._messenger, self._write, self._program = messenger, write, program
        self._token_required = token_required
        self._scope = Scope(None, required=token_required)
        self._client: ClientView | None = None
        self._token = ""
        self._out = _Outgoing()
        self._page, self._subscribing = asyncio.Lock(), asyncio.Lock()
        self._calls = set[asyncio.Task[None]]()
        self._follower: _Follower | None = None
        self._over = asyncio.Event()
        self._greeted = asyncio.Event()

    async def serve(self, lines: Lines) -> None:
        """Answer until the client ends its lines, then finish what it asked.

        Raises ParlourError: the client does not read, or its token was revoked.
        """
        reader = asyncio.create_task(self._read(lines), name="api reader")
        writer = asyncio.create_task(self._send(), name="api writer")
        over = asyncio.create_task(self._over.wait(), name="api over")
        tasks = [reader, writer, over]
        if self._token_required:
            tasks.append(asyncio.create_task(self._await_hello(), name="api hello"))
        try:
            await asyncio.wait(tasks[:3], return_when=asyncio.FIRST_COMPLETED)
            if reader.done():
                reader.result()
                await self._stop_following()
            if self._calls and not writer.done():
                await asyncio.wait(self._calls, timeout=None if reader.done() else FINISH_WITHIN)
            if not writer.done():
                await self._flush(writer)
        finally:
            await self._stop_following()
            for task in (*tasks, *self._calls):
                task.cancel()
            await asyncio.gather(*tasks, *self._calls, return_exceptions=True)
        if self._follower is not None and self._follower.problem is not None:
            raise self._follower.problem

    async def _await_hello(self) -> None:
        try:
            async with asyncio.timeout(HELLO_WITHIN):
                await self._greeted.wait()
        except TimeoutError:
            self._over.set()

    async def _stop_following(self) -> None:
        if self._follower is not None:
            for task in self._follower.tasks:
                task.cancel()
            await asyncio.gather(*self._follower.tasks, return_exceptions=True)

    async def _flush(self, writer: asyncio.Task[None]) -> None:
        """Let the client take what was said to it, unless it takes nothing any more."""
        joined = asyncio.create_task(self._out.join())
        await asyncio.wait({joined, writer}, return_when=asyncio.FIRST_COMPLETED, timeout=FINISH_WITHIN)
        joined.cancel()

    async def _send(self) -> None:
        while True:
            line = await self._out.get()
            await self._write(line + b"\n")
            self._out.written(line)

    async def _read(self, lines: Lines) -> None:
        async for line in lines:
            if line is None or line.strip():
                await self._accept(line)
            while len(self._calls) >= CALLS_MAX:
                await asyncio.wait(self._calls, return_when=asyncio.FIRST_COMPLETED)
            await self._out.room()

    async def _accept(self, line: bytes | None) -> None:
        request = self._request(line)
        if isinstance(request, Trouble):
            await self._out.put(calls.failure(None, request))
            return
        if request.method == "hello":
            await self._run(request)  # what follows depends on it
            return
        task = asyncio.create_task(self._run(request), name=f"api {request.method}")
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    def _request(self, line: bytes | None) -> Request | Trouble:
        if line is None:
            return Trouble(calls.INVALID_REQUEST, f"a line is UTF-8, of at most {calls.LINE_BYTES_MAX} bytes")
        try:
            msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Trouble(calls.PARSE_ERROR, "this line is not JSON")
        try:
            request = calls.decoded(line, Request)
        except msgspec.DecodeError as error:
            return Trouble(calls.INVALID_REQUEST, str(error))
        if request.jsonrpc != "2.0":
            return Trouble(calls.INVALID_REQUEST, "jsonrpc is not 2.0")
        return request

    async def _run(self, request: Request) -> None:
        if request.method in PAGES:
            async with (
                self._page
            ):  # its answer waits until the client takes it, and the next one is not read yet
                await self._run_now(request)
        else:
            await self._run_now(request)

    async def _run_now(self, request: Request) -> None:
        said = await self._answer(request)
        if isinstance(request.id, msgspec.UnsetType):
            return
        line = (
            calls.failure(request.id, said) if isinstance(said, Trouble) else calls.answer(request.id, said)
        )
        await self._out.put(line)
        if request.method == "subscribe" and self._follower is not None:
            self._follower.begin()  # after the answer, which names the position

    async def _answer(self, request: Request) -> Any:
        if request.method not in calls.METHODS:
            return Trouble(calls.METHOD_NOT_FOUND, f"there is no method {request.method[:64]}")
        try:
            await self._admit()
            self._scope.allow(request.method)
            params = calls.read_params(request.method, request.params)
            return await self._do(request.method, params)
        except msgspec.DecodeError as error:
            return Trouble(calls.INVALID_PARAMS, str(error))
        except ParlourError as error:
            return calls.trouble_of(error)
        except Exception as error:  # noqa: BLE001 - its text may hold a peer's words, so it stays here
            context = {"message": "a call of a program failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
            return Trouble(calls.INTERNAL_ERROR, f"internal error ({type(error).__name__})")

    async def _do(self, method: str, params: msgspec.Struct) -> Any:
        arguments = given(params)
        self._scope.allow_in(arguments)
        match params:
            case Hello():
                return await self._hello(params)
            case Subscribe():
                return await self._subscribe(params)
            case Ack():
                return await self._ack(params)
        if method in PAGES and not 1 <= arguments["limit"] <= LIMIT_MAX:
            raise UsageError(BAD_LIMIT)
        if calls.SEND_ID in arguments and self._client is not None:
            arguments[calls.CLIENT] = self._client.name
        result = await getattr(self._messenger, method)(**arguments)
        return self._scope.shown(result)

    async def _admit(self) -> None:
        """A token that was revoked meanwhile allows nothing more. Raises NotPermitted."""
        if self._scope.bounded:
            await self._messenger.client_of(self._token)

    async def _hello(self, hello: Hello) -> Greeting:
        if self._client is not None:
            raise UsageError(TOO_LATE)
        client: ClientView | None = None
        if hello.token or self._token_required:
            client = await self._messenger.client_of(hello.token)
        elif hello.client:
            client = await self._messenger.follow(hello.client)
            if client.token:
                raise NotPermitted(TOKEN_DUE)
        self._client, self._token = client, hello.token
        self._scope = Scope(client, required=self._token_required)
        self._greeted.set()
        if client is None:
            return Greeting(calls.VERSION, self._program, "", ClientRights.ALL, "", 0, 0)
        return Greeting(
            *(calls.VERSION, self._program, client.name, client.rights, client.contact),
            *(client.acknowledged, client.last),
        )

    async def _subscribe(self, asked: Subscribe) -> Subscribed:
        if self._client is None:
            raise UsageError(NAMELESS)
        async with self._subscribing:
            if self._follower is not None:
                raise UsageError(TWICE)
            name, position = self._client.name, asked.since
            if position is not None:
                await self._messenger.arrivals(name, position, 1)  # refuses what is no position
            turn = await self._messenger.take_turn(name)
            if position is None:  # whose turn it was may have acknowledged more since `hello`
                position = (await self._messenger.follow(name)).acknowledged
            self._follower = _Follower(
                self._messenger,
                name,
                turn,
                position,
                scope=self._scope,
                admit=self._admit,
                out=self._out,
                over=self._over,
            )
        if not asked.live:
            self._follower.live = False
        return Subscribed(position)

    async def _ack(self, ack: Ack) -> None:
        if self._client is None or self._follower is None or ack.position > self._follower.delivered:
            raise UsageError(NOT_DELIVERED)
        await self._follower.acknowledge(ack.position)


class _Follower:
    """Delivers events: those with a position as the history has them, and others as they happen.

    `delivered`: the last position that the client was sent. `live`: whether others come, too.
    """

    def __init__(
        self,
        messenger: Messenger,
        client: str,
        turn: str,
        position: int,
        *,
        scope: Scope,
        admit: Callable[[], Awaitable[None]],
        out: _Outgoing,
        over: asyncio.Event,
    ) -> None:
        self._messenger, self._client, self._scope, self._admit = messenger, client, scope, admit
        self._out, self._over = out, over
        self._turn, self._looked = turn, position
        self.delivered = position
        self.live = True
        self.problem: ParlourError | None = None
        self.tasks: list[asyncio.Task[None]] = []
        self._waiting: list[int] = []  # positions that are delivered and not acknowledged
        self._changed = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._events = messenger.events()

    def begin(self) -> None:
        """Deliver from now on."""
        if not self.tasks:
            self._changed.set()
            self.tasks = [
                asyncio.create_task(self._ending(work), name=name)
                for name, work in (("api events", self._pass_on()), ("api arrivals", self._deliver_all()))
            ]

    async def acknowledge(self, position: int) -> None:
        await self._messenger.acknowledge(self._client, position, self._turn)
        self._waiting = [one for one in self._waiting if one > position]
        if len(self._waiting) < WINDOW:
            self._room.set()

    async def _ending(self, work: Awaitable[None]) -> None:
        """The end of either ends the session: a client that hears half of what happens would rely on it."""
        try:
            await work
        except ParlourError as error:
            self.problem = self.problem or error
        finally:
            self._over.set()

    async def _pass_on(self) -> None:
        async for event in self._events:
            if isinstance(event, ClientChanged):
                if event.client == self._client:
                    await self._require_place()
                continue
            if isinstance(event, calls.LASTING + calls.UNSENT):
                self._changed.set()
                continue
            if not isinstance(event, NO_POSITION):
                self._changed.set()  # a clearing, another engine, a mended database
            if isinstance(event, Closed):
                await self._out.put(_line(event))
                return
            if not self.live or not self._scope.sees(event):
                continue
            await self._admit()
            try:
                self._out.put_nowait(_line(self._scope.shown_event(event)))
            except asyncio.QueueFull:
                raise ParlourError(BEHIND) from None

    async def _require_place(self) -> None:
        """Raises NotPermitted where another program goes on by this name, or the token was revoked."""
        await self._admit()
        await self._messenger.arrivals(self._client, self._looked, 1, self._turn)

    async def _deliver_all(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            while await self._deliver_some():
                pass

    async def _deliver_some(self) -> bool:
        """Whether there may be more."""
        await self._room.wait()
        await self._admit()
        room = min(PIECE, WINDOW - len(self._waiting))
        found = await self._messenger.arrivals(self._client, self._looked, room, self._turn)
        for one in found.arrivals:
            self._waiting.append(one.position)
            self.delivered = one.position
            await self._out.put(_line(_event(one, self._looked), one.position))
        more, self._looked = found.position > self._looked, found.position
        if len(self._waiting) >= WINDOW:
            self._room.clear()
        if more and not self._waiting:  # of other conversations: nothing of it is kept for this client
            await self._messenger.acknowledge(self._client, found.position, self._turn)
        return more


def _line(event: Event, position: int | None = None) -> bytes:
    """The line of an event. One that a fault of the program keeps from being told is named in a notice."""
    try:
        return calls.told(event, position)
    except Exception as fault:  # noqa: BLE001 - else it ends this session, and again after each start
        what, kind = type(event).__name__, type(fault).__name__
        said = phrase("{event} could not be shown ({fault}). Please report it.", event=what, fault=kind)
        return calls.told(Notice(said), position)


def _event(arrival: ArrivalView, after: int) -> Event:
    """What happened to an entry, for a client that has everything up to a position."""
    entry = arrival.entry
    if entry.kind in GONE:
        return EntryDeleted(entry.contact, entry.id, entry.deleted_by, entry.kind is EntryKind.EXPIRED)
    if arrival.came > after:
        return EntryAdded(entry)
    return EntryEdited(entry) if entry.file is None else FileProgress(entry.contact, entry.id, entry.file)


async def lines_of(reader: asyncio.StreamReader) -> AsyncIterator[bytes | None]:
    """The lines of a stream whose limit is LINE_BYTES_MAX; None once, and no more, where one is longer."""
    with suppress(ConnectionError):
        while True:
            try:
                line = await reader.readline()
            except ValueError:
                yield None
                return
            if not line:
                return
            yield line
