"""The end of an engine as clients see it: each call was done, or was not begun, or nobody knows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chat.errors import Phrase
from chat.interface import (
    AnswerLost,
    Closed,
    ContactView,
    EngineEnded,
    EntryView,
    NotPermitted,
    SelfView,
    Unreachable,
)
from chat.ipc.client import RemoteMessenger
from chat.ipc.server import ControlServer
from tests.contract.subject import PATIENCE, until
from tests.support.fakes.messenger import FakeMessenger


class Held(FakeMessenger):
    """A fake whose sends and questions for itself wait until `go`."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()
        self.go = asyncio.Event()

    async def send(self, contact: str, text: str, reply: str = "") -> EntryView:
        sent = await super().send(contact, text, reply)
        self.begun.set()
        await self.go.wait()
        return sent

    async def me(self) -> SelfView:
        self.begun.set()
        await self.go.wait()
        return await super().me()


class Scene:
    """An engine with one client, and the contact whom it knows."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "engine.sock"
        self.engine = Held()
        self.ben: ContactView = self.engine.add_contact("Ben")
        self.server = ControlServer(self.engine, self.path)

    async def connect(self) -> RemoteMessenger:
        return await RemoteMessenger.open(self.path)

    async def end(self, *, locked: bool = False) -> None:
        """As `Engine` ends: the server first, then `Closed`, then the clients."""
        self.engine._end("ended", locked=locked)
        async with asyncio.timeout(PATIENCE):
            await self.server.close()


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    made = Scene(tmp_path)
    await made.server.start()
    yield made
    await made.server.close()


async def test_a_call_under_way_is_answered_before_the_end(scene: Scene) -> None:
    client = await scene.connect()
    sending = asyncio.create_task(client.send(scene.ben.person, "hello"))
    await scene.engine.begun.wait()
    draining = asyncio.create_task(scene.server.drain(PATIENCE))
    await asyncio.sleep(0)
    scene.engine.go.set()
    await draining
    await scene.end()
    assert (await sending).text == "hello"
    await client.close()


async def test_a_call_that_comes_while_the_engine_ends_was_not_begun(scene: Scene) -> None:
    client = await scene.connect()
    await client.contacts()
    await scene.server.drain(0)
    asked = [
        asyncio.create_task(client.send(scene.ben.person, "x")),
        asyncio.create_task(client.contacts()),
    ]
    await asyncio.sleep(0)  # both are written
    await scene.end()
    for answer in await asyncio.gather(*asked, return_exceptions=True):
        assert isinstance(answer, EngineEnded)
    assert not scene.engine.called("send")
    with pytest.raises(EngineEnded):
        await client.send(scene.ben.person, "x")
    await client.close()


async def test_what_was_cut_short_may_be_asked_again_where_twice_is_once(scene: Scene) -> None:
    client = await scene.connect()
    sending = asyncio.create_task(client.send(scene.ben.person, "x"))
    await scene.engine.begun.wait()
    scene.engine.begun.clear()
    asking = asyncio.create_task(client.me())
    await scene.engine.begun.wait()
    await scene.end()
    with pytest.raises(AnswerLost):
        await sending
    with pytest.raises(EngineEnded):
        await asking
    await client.close()


async def test_an_engine_that_is_killed_leaves_a_send_unknown(scene: Scene) -> None:
    client = await scene.connect()
    sending = asyncio.create_task(client.send(scene.ben.person, "x"))
    await scene.engine.begun.wait()
    for served in scene.server._clients:
        served._writer.transport.abort()
    with pytest.raises(AnswerLost):
        await sending
    with pytest.raises(EngineEnded):
        await client.contacts()
    await client.close()


async def test_a_lock_is_told_apart_and_nobody_is_to_open_it_again(scene: Scene) -> None:
    client = await scene.connect()
    events = client.events()
    await client.contacts()
    asking = asyncio.create_task(client.me())
    await scene.engine.begun.wait()
    await scene.end(locked=True)
    assert await until(events, lambda event: isinstance(event, Closed)) == Closed(
        Phrase("ended"), locked=True
    )
    for call in (asking, client.contacts()):
        with pytest.raises(NotPermitted):
            await call
    await client.close()


async def test_a_lock_that_comes_while_the_engine_ends_has_locked_nothing(scene: Scene) -> None:
    client = await scene.connect()
    await client.contacts()
    await scene.server.drain(0)
    locking = asyncio.create_task(client.lock())
    await asyncio.sleep(0)
    await scene.end()
    with pytest.raises(EngineEnded):
        await locking
    assert not scene.engine.called("lock")
    await client.close()


async def test_who_comes_while_the_engine_ends_finds_no_socket(scene: Scene) -> None:
    client = await scene.connect()
    await scene.server.drain(0)
    assert not scene.path.exists()
    with pytest.raises(Unreachable):
        await scene.connect()
    await scene.end()
    await client.close()
