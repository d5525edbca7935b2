"""A `Messenger` that is another process: the client's end of the profile's socket.

Rules: every call of the interface and nothing else; an engine that goes away ends streams with `Closed`, and
calls with an error that says whether they may be made again, so that no client waits for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Final, TypeVar, cast

import msgspec

from chat.errors import ENGINE_ENDED, LOCKED, phrase
from chat.interface import (
    AnswerLost,
    BadData,
    Closed,
    ContactView,
    DetailsView,
    DiagnosisView,
    EngineEnded,
    EntryView,
    Event,
    InvitationView,
    NearbyView,
    NotPermitted,
    PairingView,
    ParlourError,
    RelayView,
    SelfView,
    SettingsView,
    Unreachable,
    UsageError,
)
from chat.ipc.wire import (
    EVENTS,
    LINE_BYTES_MAX,
    NO_ENGINE,
    ONCE,
    VERSION,
    Ended,
    Failure,
    Happened,
    Line,
    Request,
    connect,
    decoded,
    encode,
    error_of,
    event_of,
    read_hello,
    read_line,
)

HELLO_WITHIN: Final = 3.0
"""Seconds in which the engine says hello."""

EVENTS_WAITING_MAX: Final = 65_536
"""Events that this client may leave unread before its stream ends."""

GONE: Final = ENGINE_ENDED
LOST: Final = phrase(
    "The engine of this profile stopped before it answered: check whether this was done before you try again."
)
BEHIND: Final = phrase("This client fell behind the engine and was disconnected: start it again.")
OTHER_VERSION: Final = phrase(
    "The engine that runs on this profile has another version: stop it and start it again."
)

T = TypeVar("T")

_ID: Final = cast(type[str | None], str | None)
_ENTRY: Final = cast(type[EntryView | None], EntryView | None)


class RemoteMessenger:
    """The engine behind the socket at `path`; made by `open`, ended by `close`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._numbers = count(1)
        self._answers: dict[int, tuple[str, asyncio.Future[msgspec.Raw]]] = {}
        self._streams: dict[int, _Stream] = {}
        self._closed: Closed | None = None
        self._receiver = asyncio.create_task(self._receive_all(), name="remote receiver")

    @classmethod
    async def open(cls, path: Path) -> RemoteMessenger:
        """Connect and check the version. Raises Unreachable, BadData (another version)."""
        connection = connect(path)
        reader, writer = await asyncio.open_connection(sock=connection, limit=LINE_BYTES_MAX)
        try:
            line = await asyncio.wait_for(reader.readline(), HELLO_WITHIN)
            hello = read_hello(line)
        except (OSError, TimeoutError, ValueError, msgspec.DecodeError) as error:
            writer.close()
            raise Unreachable(NO_ENGINE) from error
        if hello.version != VERSION:
            writer.close()
            raise BadData(OTHER_VERSION)
        return cls(reader, writer)

    async def me(self) -> SelfView:
        return await self._call(SelfView, "me")

    async def contacts(self) -> tuple[ContactView, ...]:
        return await self._call(tuple[ContactView, ...], "contacts")

    async def nearby(self) -> tuple[NearbyView, ...]:
        return await self._call(tuple[NearbyView, ...], "nearby")

    async def set_visible(self, on: bool) -> None:
        await self._order("set_visible", on=on)

    async def pair_nearby(self, instance: str) -> PairingView:
        return await self._call(PairingView, "pair_nearby", instance=instance)

    async def pair_address(self, host: str, port: int) -> PairingView:
        return await self._call(PairingView, "pair_address", host=host, port=port)

    async def invite(self) -> InvitationView:
        return await self._call(InvitationView, "invite")

    async def join(self, text: str) -> PairingView:
        return await self._call(PairingView, "join", text=text)

    async def answer_pairing(self, pairing: str, accept: bool) -> None:
        await self._order("answer_pairing", pairing=pairing, accept=accept)

    async def rename(self, contact: str, name: str) -> None:
        await self._order("rename", contact=contact, name=name)

    async def block(self, contact: str, on: bool) -> None:
        await self._order("block", contact=contact, on=on)

    async def remove(self, contact: str) -> None:
        await self._order("remove", contact=contact)

    async def safety_number(self, contact: str) -> str:
        return await self._call(str, "safety_number", contact=contact)

    async def set_verified(self, contact: str, on: bool) -> None:
        await self._order("set_verified", contact=contact, on=on)

    async def send(self, contact: str, text: str, reply: str = "") -> EntryView:
        return await self._call(EntryView, "send", contact=contact, text=text, reply=reply)

    async def history(
        self, contact: str, limit: int = 100, before: str | None = None, after: str | None = None
    ) -> tuple[EntryView, ...]:
        entries = tuple[EntryView, ...]
        return await self._call(entries, "history", contact=contact, limit=limit, before=before, after=after)

    async def entry(self, contact: str, id: str) -> EntryView | None:
        return await self._call(_ENTRY, "entry", contact=contact, id=id)

    async def first_unread(self, contact: str) -> str | None:
        return await self._call(_ID, "first_unread", contact=contact)

    async def entry_at(self, contact: str, time: datetime) -> str | None:
        return await self._call(_ID, "entry_at", contact=contact, time=time)

    async def details(self, contact: str, id: str) -> DetailsView:
        return await self._call(DetailsView, "details", contact=contact, id=id)

    async def search(self, words: str, contact: str | None = None, limit: int = 100) -> tuple[EntryView, ...]:
        entries = tuple[EntryView, ...]
        return await self._call(entries, "search", words=words, contact=contact, limit=limit)

    async def mark_read(self, contact: str, entries: tuple[str, ...]) -> None:
        await self._order("mark_read", contact=contact, entries=entries)

    async def mark_all_read(self, contact: str) -> None:
        await self._order("mark_all_read", contact=contact)

    async def delete(self, contact: str, id: str) -> EntryView:
        return await self._call(EntryView, "delete", contact=contact, id=id)

    async def clean(self) -> None:
        await self._order("clean")

    async def typing(self, contact: str, on: bool) -> None:
        await self._order("typing", contact=contact, on=on)

    async def settings(self) -> SettingsView:
        return await self._call(SettingsView, "settings")

    async def change_settings(self, settings: SettingsView) -> None:
        await self._order("change_settings", settings=settings)

    async def preferences(self) -> Mapping[str, str]:
        return await self._call(dict[str, str], "preferences")

    async def set_preference(self, name: str, value: str) -> None:
        await self._order("set_preference", name=name, value=value)

    async def relays(self) -> tuple[RelayView, ...]:
        return await self._call(tuple[RelayView, ...], "relays")

    async def add_relay(self, address: str) -> RelayView:
        return await self._call(RelayView, "add_relay", address=address)

    async def remove_relay(self, address: str) -> None:
        await self._order("remove_relay", address=address)

    async def change_passphrase(self, old: str, new: str) -> None:
        await self._order("change_passphrase", old=old, new=new)

    async def diagnose(self) -> tuple[DiagnosisView, ...]:
        return await self._call(tuple[DiagnosisView, ...], "diagnose")

    def events(self) -> AsyncIterator[Event]:
        stream = _Stream()
        if self._closed is not None:
            stream.end(self._closed)
            return stream
        number = next(self._numbers)
        self._streams[number] = stream
        self._writer.write(encode(Request(number, EVENTS)))
        return stream

    async def lock(self) -> None:
        """Lock the engine, which ends before it answers. Raises EngineEnded where it ended by itself."""
        try:
            await self._order("lock")
        except (AnswerLost, NotPermitted):
            if self._closed is None:
                raise

    async def close(self) -> None:
        """Leave; the engine goes on."""
        self._receiver.cancel()
        with suppress(asyncio.CancelledError):
            await self._receiver
        self._leave(Closed(GONE))
        with suppress(ConnectionError):
            await self._writer.wait_closed()

    async def _order(self, name: str, /, **arguments: object) -> None:
        await self._ask(name, arguments)

    async def _call(self, returns: type[T], name: str, /, **arguments: object) -> T:
        return decoded(await self._ask(name, arguments), returns)

    async def _ask(self, name: str, arguments: dict[str, object]) -> msgspec.Raw:
        if self._closed is not None:
            raise self._refused()
        number = next(self._numbers)
        line = _request(number, name, arguments)
        answer: asyncio.Future[msgspec.Raw] = asyncio.get_running_loop().create_future()
        self._answers[number] = (name, answer)
        try:
            self._writer.write(line)
            return await answer
        finally:
            del self._answers[number]

    async def _receive_all(self) -> None:
        reason = GONE
        try:
            while line := await self._reader.readline():
                self._take(read_line(line))
        except (ConnectionError, ValueError, msgspec.DecodeError):
            reason = NO_ENGINE
        except _Behind:
            reason = BEHIND
        # An engine that was killed says nothing: each call may have been done.
        self._leave(Closed(reason), tuple(self._answers))

    def _take(self, line: Line) -> None:
        if isinstance(line, Ended):
            self._leave(Closed(line.reason, line.locked), line.unanswered)
            return
        if isinstance(line, Happened):
            if line.id in self._streams:
                self._streams[line.id].put(event_of(line))
            return
        waiting = self._answers.get(line.id)
        if waiting is None or waiting[1].done():
            return
        answer = waiting[1]
        if isinstance(line, Failure):
            answer.set_exception(error_of(line))
        else:
            answer.set_result(line.value)

    def _leave(self, closed: Closed, begun: tuple[int, ...] = ()) -> None:
        """Nothing comes any more. `begun`: the calls that may have been done, though their answer is lost."""
        self._closed = self._closed or closed
        for number, (name, answer) in self._answers.items():
            if not answer.done():
                lost = number in begun and name in ONCE
                answer.set_exception(AnswerLost(LOST) if lost else self._refused())
        for stream in self._streams.values():
            stream.end(self._closed)
        self._streams.clear()
        self._writer.close()

    def _refused(self) -> ParlourError:
        """Why a call was not done."""
        if self._closed is not None and self._closed.locked:
            return NotPermitted(LOCKED)
        return EngineEnded(self._closed.reason if self._closed is not None else GONE)


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


def _request(number: int, name: str, arguments: dict[str, object]) -> bytes:
    try:
        return encode(Request(number, name, msgspec.Raw(msgspec.json.encode(arguments))))
    except UnicodeEncodeError as error:
        raise UsageError(phrase("The text is not valid Unicode: correct it and try again.")) from error
