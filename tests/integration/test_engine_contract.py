"""The engine keeps what the fake promises, at first hand and behind the socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chat.config import Config
from chat.errors import Phrase
from chat.interface import DiagnosisView
from chat.ipc.client import RemoteMessenger
from chat.ipc.server import ControlServer
from chat.tools import doctor
from chat.tools.doctor.gather import Context
from tests.contract.around import AroundContract
from tests.contract.calls import CallsContract
from tests.contract.messenger import MessengerContract
from tests.contract.subject import Subject
from tests.support.engines.engines import invite, people
from tests.support.engines.served import EnginesAround


@pytest.fixture(autouse=True)
def no_question_to_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """The doctor looks at the database alone: what else it asks about is this machine's network."""

    async def examine(context: Context) -> tuple[DiagnosisView, ...]:
        assert context.database is not None
        problem = await context.database()
        return (DiagnosisView(Phrase("database"), not problem, Phrase(problem or "whole")),)

    monkeypatch.setattr(doctor, "diagnose", examine)


SOON = Config(keep_round_after=0.2)
"""These engines live in real time."""


@pytest.fixture
async def around(tmp_path: Path) -> AsyncIterator[EnginesAround]:
    async with people(tmp_path, "Ada", "Ben", config=SOON) as (_, (ada, ben)):
        await invite(ada, ben)
        played = EnginesAround(tmp_path, ada, ben)
        await played.meet()
        yield played
        await played.go()


class TestEngine(MessengerContract, AroundContract, CallsContract):
    @pytest.fixture
    async def subject(self, around: EnginesAround) -> Subject:
        return await around.subject(around.ada.engine)


class TestEngineBehindTheSocket(MessengerContract, AroundContract, CallsContract):
    @pytest.fixture
    async def subject(self, around: EnginesAround, tmp_path: Path) -> AsyncIterator[Subject]:
        engine = around.ada.engine
        await engine.serve(ControlServer(engine, tmp_path / "engine.sock"))
        client = await RemoteMessenger.open(tmp_path / "engine.sock")
        yield await around.subject(client)
        await client.close()
