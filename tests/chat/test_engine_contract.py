"""The engine keeps what the fake promises, at first hand and behind the socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chat.control import ControlServer
from chat.remote import RemoteMessenger
from tests.contract import MessengerContract, Subject
from tests.engines import PASSPHRASE, invite, people


class TestEngine(MessengerContract):
    @pytest.fixture
    async def subject(self, tmp_path: Path) -> AsyncIterator[Subject]:
        async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
            await invite(ada, ben)
            yield Subject(ada.engine, await ada.contact(ben), PASSPHRASE)


class TestEngineBehindTheSocket(MessengerContract):
    @pytest.fixture
    async def subject(self, tmp_path: Path) -> AsyncIterator[Subject]:
        async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
            await invite(ada, ben)
            await ada.engine.serve(ControlServer(ada.engine, tmp_path / "engine.sock"))
            client = await RemoteMessenger.open(tmp_path / "engine.sock")
            yield Subject(client, await ada.contact(ben), PASSPHRASE)
            await client.close()
