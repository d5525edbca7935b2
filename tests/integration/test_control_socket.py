"""The socket of the profile: its owner, its path, invalid requests, and the end of an engine."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from chat import interface
from chat.errors import ENGINE_ENDED, Phrase
from chat.interface import (
    AnswerLost,
    BadData,
    CannotCreate,
    Closed,
    EngineEnded,
    EntryView,
    NotPermitted,
    ParlourError,
    SelfView,
    Unreachable,
)
from chat.ipc import server, wire
from chat.ipc.client import RemoteMessenger
from chat.ipc.server import ControlServer
from chat.platforms import peers, unix_sockets
from tests.contract.subject import PATIENCE, until
from tests.support.engines.served import Both, fake_and_client, served
from tests.support.fakes.messenger import FakeMessenger
from tests.support.machine import needs_names_of_descriptors, needs_unix_sockets

T = TypeVar("T")


@pytest.fixture
async def both(tmp_path: Path) -> AsyncIterator[Both]:
    async with fake_and_client(tmp_path / "engine.sock") as pair:
        yield pair


async def who_answers(path: Path) -> str:
    client = await RemoteMessenger.open(path)
    name = (await client.me()).name
    await client.close()
    return name


@pytest.mark.parametrize(
    "line",
    [
        b"no json\n",
        b"[]\n",
        b'{"id":1}\n',
        b'{"id":1,"call":"close"}\n',
        b'{"id":1,"call":"__init__"}\n',
        b'{"id":1,"call":"me","more":1}\n',
        b'{"id":1,"call":"me","arguments":{"x":1}}\n',
        b'{"id":1,"call":"send","arguments":{"contact":"a"}}\n',
        b'{"id":1,"call":"block","arguments":{"contact":"a","on":"yes"}}\n',
        b'{"id":1,"call":"\xff"}\n',
        b'{"id":1,"call":"me","arguments":' + b"[" * 5_000 + b"]" * 5_000 + b"}\n",
    ],
)
async def test_a_request_that_is_not_of_the_interface_is_refused(
    both: Both, tmp_path: Path, line: bytes
) -> None:
    direct, client = both
    answer = await _ask_raw(tmp_path, line)
    assert msgspec.json.decode(answer)["error"] == "BadData"
    assert not direct.calls
    await client.me()


async def _opened(path: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reached = wire.connect(path)
    reader, writer = await asyncio.open_connection(sock=reached.socket)
    assert await reached.is_own(reader, writer)
    return reader, writer


async def _ask_raw(folder: Path, line: bytes) -> bytes:
    reader, writer = await _opened(folder / "engine.sock")
    await reader.readline()
    writer.write(line)
    async with asyncio.timeout(PATIENCE):
        answer = await reader.readline()
    writer.close()
    return answer


async def test_a_line_without_end_is_not_kept(both: Both, tmp_path: Path) -> None:
    _, client = both
    reader, writer = await _opened(tmp_path / "engine.sock")
    await reader.readline()
    writer.write(b"x" * (2 * wire.REQUEST_BYTES_MAX))
    async with asyncio.timeout(PATIENCE):
        assert await _rest(reader) == b""
    writer.close()
    await client.me()


async def _rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


async def test_clients_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CLIENTS_MAX", 2)
    async with served(FakeMessenger(), tmp_path / "engine.sock"):
        clients = [await RemoteMessenger.open(tmp_path / "engine.sock") for _ in range(2)]
        with pytest.raises(Unreachable):
            await RemoteMessenger.open(tmp_path / "engine.sock")
        for client in clients:
            await client.me()
            await client.close()


async def test_calls_of_one_client_are_bounded_and_all_answered(
    both: Both, monkeypatch: pytest.MonkeyPatch
) -> None:
    direct, client = both
    running = most = 0
    me = await direct.me()

    async def slow() -> interface.SelfView:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        return me

    monkeypatch.setattr(direct, "me", slow)
    await asyncio.gather(*(client.me() for _ in range(5 * server.CALLS_MAX)))
    assert most <= server.CALLS_MAX


async def test_the_socket_is_the_owners_alone_from_the_first_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that connects before the socket has its mode is refused: on every platform, for any umask."""
    needs_unix_sockets()
    path = tmp_path / "engine.sock"
    chmod, refused = Path.chmod, []

    def chmod_after_a_stranger_tried(self: Path, mode: int) -> None:
        with socket.socket(socket.AF_UNIX) as stranger, pytest.raises(ConnectionRefusedError):
            stranger.connect(str(path))
        refused.append(stat.S_IMODE(path.stat().st_mode))
        chmod(self, mode)

    umask = os.umask(0)
    try:
        monkeypatch.setattr(Path, "chmod", chmod_after_a_stranger_tried)
        with wire.listen(path).socket, socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
    finally:
        os.umask(umask)
    assert refused == [0o777]


async def test_the_socket_is_made_where_a_socket_takes_no_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on macOS, whose fchmod on a socket fails with EINVAL."""
    needs_unix_sockets()
    real = os.fchmod

    def fchmod(descriptor: int, mode: int) -> None:
        if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        real(descriptor, mode)

    monkeypatch.setattr(os, "fchmod", fchmod)
    path = tmp_path / "engine.sock"
    async with served(FakeMessenger("Ada"), path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert await who_answers(path) == "Ada"


async def test_another_user_is_refused_on_both_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs_unix_sockets()
    mine, theirs = socket.socketpair()
    with mine, theirs:
        told = peers.user_of(mine) is not None
        assert peers.same_user(mine)
        monkeypatch.setattr(os, "geteuid", lambda: 2_000_000_000)
        assert peers.same_user(mine) is not told
    monkeypatch.undo()
    async with served(FakeMessenger(), tmp_path / "engine.sock"):
        refused = iter((True, False))  # the client looks first
        monkeypatch.setattr(unix_sockets, "same_user", lambda _: next(refused))
        with pytest.raises(Unreachable, match="does not answer"):
            await RemoteMessenger.open(tmp_path / "engine.sock")
        monkeypatch.setattr(unix_sockets, "same_user", lambda _: False)
        with pytest.raises(Unreachable, match="another user"):
            await RemoteMessenger.open(tmp_path / "engine.sock")


def open_descriptors() -> int:
    """How many files this process has open, or 0 where the system does not tell."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


async def test_a_path_of_any_length_works(tmp_path: Path) -> None:
    if hasattr(socket, "AF_UNIX"):
        needs_names_of_descriptors()
    deep = tmp_path / ("d" * 120) / ("e" * 120)
    deep.mkdir(parents=True)
    path = deep / "engine.sock"
    before = open_descriptors()
    async with served(FakeMessenger("Long"), path):
        assert await who_answers(path) == "Long"
    assert not path.exists()
    assert open_descriptors() <= before


async def test_a_path_of_any_length_works_without_proc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_unix_sockets()
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    monkeypatch.setattr(Path, "is_dir", lambda self: False)
    with pytest.raises(CannotCreate, match="shorter"):
        wire.listen(deep / "engine.sock")
    monkeypatch.chdir(deep)
    async with served(FakeMessenger("Deep"), deep / "engine.sock"):
        assert await who_answers(deep / "engine.sock") == "Deep"


async def test_a_socket_that_a_dead_engine_left_is_replaced_and_nothing_else_is(tmp_path: Path) -> None:
    needs_unix_sockets()
    path = tmp_path / "engine.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with pytest.raises(Unreachable):
        await RemoteMessenger.open(path)
    async with served(FakeMessenger("Next"), path):
        assert await who_answers(path) == "Next"
    path.write_text("not a socket")
    with pytest.raises(CannotCreate):
        await ControlServer(FakeMessenger(), path).start()
    assert path.read_text() == "not a socket"


async def test_the_end_of_one_engine_leaves_the_socket_of_the_next(tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    old = ControlServer(FakeMessenger(), path)
    await old.start()
    path.unlink()
    async with served(FakeMessenger("Next"), path):
        await old.close()
        assert await who_answers(path) == "Next"


@pytest.mark.parametrize(
    ("hello", "raises"), [(b'{"version":999}\n', BadData), (b"SSH-2.0\n", Unreachable), (b"", Unreachable)]
)
async def test_an_engine_of_another_version_is_told_apart(
    tmp_path: Path, hello: bytes, raises: type[ParlourError]
) -> None:
    endpoint = wire.listen(tmp_path / "engine.sock")

    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await endpoint.admits(reader, writer)
        writer.write(hello)
        writer.close()

    server = await asyncio.start_server(other, sock=endpoint.socket)
    with pytest.raises(raises):
        await RemoteMessenger.open(tmp_path / "engine.sock")
    server.close()


class Held(FakeMessenger):
    """A fake whose sends and questions for itself wait until `go`."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()
        self.go = asyncio.Event()

    async def send(
        self, contact: str, text: str, reply: str = "", send_id: str = "", client: str = ""
    ) -> EntryView:
        sent = await super().send(contact, text, reply, send_id, client)
        self.begun.set()
        await self.go.wait()
        return sent

    async def me(self) -> SelfView:
        self.begun.set()
        await self.go.wait()
        return await super().me()


@dataclass
class Scene:
    """An engine with one client, and the contact whom it knows."""

    engine: Held
    server: ControlServer
    client: RemoteMessenger
    ben: str

    async def begun(self, call: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A call of the client, once the engine works on it."""
        self.engine.begun.clear()
        task = asyncio.create_task(call)
        await self.engine.begun.wait()
        return task

    async def end(self, *, locked: bool = False) -> None:
        """As `Engine` ends: the server first, then `Closed`, then the clients."""
        self.engine._end("ended", locked=locked)
        async with asyncio.timeout(PATIENCE):
            await self.server.close()


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    engine = Held()
    server = ControlServer(engine, tmp_path / "engine.sock")
    await server.start()
    client = await RemoteMessenger.open(tmp_path / "engine.sock")
    yield Scene(engine, server, client, engine.add_contact("Ben").person)
    await client.close()
    await server.close()


async def test_a_call_under_way_is_answered_before_the_end(scene: Scene) -> None:
    sending = await scene.begun(scene.client.send(scene.ben, "hello"))
    draining = asyncio.create_task(scene.server.drain(PATIENCE))
    await asyncio.sleep(0)
    scene.engine.go.set()
    await draining
    await scene.end()
    assert (await sending).text == "hello"


async def test_what_comes_while_the_engine_ends_is_not_begun(scene: Scene, tmp_path: Path) -> None:
    client = scene.client
    await client.contacts()
    await scene.server.drain(0)
    assert not (tmp_path / "engine.sock").exists()
    with pytest.raises(Unreachable):
        await RemoteMessenger.open(tmp_path / "engine.sock")
    asked = asyncio.gather(
        client.send(scene.ben, "x"), client.contacts(), client.lock(), return_exceptions=True
    )
    await asyncio.sleep(0)  # all are written
    await scene.end()
    assert [type(answer) for answer in await asked] == [EngineEnded] * 3
    assert not scene.engine.called("send")
    assert not scene.engine.called("lock")
    with pytest.raises(EngineEnded):
        await client.send(scene.ben, "x")


async def test_what_was_cut_short_may_be_asked_again_where_twice_is_once(scene: Scene) -> None:
    sending = await scene.begun(scene.client.send(scene.ben, "x"))
    repeatable = await scene.begun(scene.client.send(scene.ben, "y", "", "an id"))
    asking = await scene.begun(scene.client.me())
    await scene.end()
    with pytest.raises(AnswerLost):
        await sending
    with pytest.raises(EngineEnded):
        await repeatable
    with pytest.raises(EngineEnded):
        await asking


async def test_an_engine_that_is_killed_leaves_a_send_unknown_and_ends_streams(scene: Scene) -> None:
    events = scene.client.events()
    sending = await scene.begun(scene.client.send(scene.ben, "x"))
    for attached in scene.server._clients:
        attached._writer.transport.abort()
    with pytest.raises(AnswerLost):
        await sending
    assert await until(events, lambda event: isinstance(event, Closed)) == Closed(ENGINE_ENDED)
    with pytest.raises(EngineEnded):
        await scene.client.contacts()
    assert await anext(scene.client.events()) == Closed(ENGINE_ENDED)


async def test_a_lock_is_told_apart_and_nobody_is_to_open_it_again(scene: Scene) -> None:
    events = scene.client.events()
    asking = await scene.begun(scene.client.me())
    await scene.end(locked=True)
    closed = await until(events, lambda event: isinstance(event, Closed))
    assert closed == Closed(Phrase("ended"), locked=True)
    for call in (asking, scene.client.contacts()):
        with pytest.raises(NotPermitted):
            await call
