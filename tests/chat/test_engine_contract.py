"""The engine keeps what the fake promises, at first hand and behind the socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chat.control import ControlServer
from chat.interface import EntryAdded, Messenger
from chat.remote import RemoteMessenger
from tests.contract import MessengerContract, Subject
from tests.engines import PASSPHRASE, Person, invite, people


async def subject_of(client: Messenger, ada: Person, ben: Person) -> Subject:
    """Ada's engine as `client`, and Ben, who writes to her."""

    async def hear(text: str, reply: str) -> str:
        arrived = ada.wait(EntryAdded, lambda event: not event.entry.own)
        await ben.engine.send(await ben.contact(ada), text, reply)
        return (await arrived).entry.id

    return Subject(client, await ada.contact(ben), PASSPHRASE, hear)


class TestEngine(MessengerContract):
    @pytest.fixture
    async def subject(self, tmp_path: Path) -> AsyncIterator[Subject]:
        async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
            await invite(ada, ben)
            yield await subject_of(ada.engine, ada, ben)


class TestEngineBehindTheSocket(MessengerContract):
    @pytest.fixture
    async def subject(self, tmp_path: Path) -> AsyncIterator[Subject]:
        async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
            await invite(ada, ben)
            await ada.engine.serve(ControlServer(ada.engine, tmp_path / "engine.sock"))
            client = await RemoteMessenger.open(tmp_path / "engine.sock")
            yield await subject_of(client, ada, ben)
            await client.close()
