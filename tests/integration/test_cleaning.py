"""The cleaning of the file, concurrent with everything else that is wanted of the database."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from chat.config import Config
from chat.interface import Cleaned, NotPermitted
from chat.ports import SystemClock
from chat.service.events import EventBus
from chat.service.maintenance import Cleaner
from chat.storage import secure_deletion
from chat.storage.database import Database, Store
from chat.storage.errors import StorageGivenUp
from chat.tasks import Runtime, Tasks
from tests.support.storage.samples import new_database

PATIENCE = 3
BROKEN = 10.0
"""Seconds after which a test that waits is broken; no test passes because of it."""


@dataclass
class Scene:
    """A cleaning on a real database, whose work in the file is held until something else is wanted."""

    cleaning: Cleaner
    store: Store
    said: list[object]
    begun: threading.Event = field(default_factory=threading.Event)
    rounds: int = 0

    def held(self, database: Database, wanted: Callable[[], bool]) -> bool:
        """Stands for a long cleaning: gives way when it is asked to, and never ends by itself before that."""
        self.rounds += 1
        self.begun.set()
        until = time.monotonic() + BROKEN
        while self.rounds <= PATIENCE:
            if wanted():
                raise StorageGivenUp
            if time.monotonic() > until:
                raise AssertionError("it does not learn that something else is wanted")
        return REAL(database)


REAL = secure_deletion.clean_file


@pytest.fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    database, executor = new_database(tmp_path), ThreadPoolExecutor(1)
    with database.transaction():
        secure_deletion.mark_unclean(database)
    store, failures = Store(database, executor), list[BaseException]()
    tasks = Tasks(failures.append)
    said: list[object] = []
    bus = cast(EventBus, SimpleNamespace(publish=said.append))
    config = replace(Config(), clean_after=0.0, clean_patience=PATIENCE)
    runtime = Runtime(SystemClock(), os.urandom, config, tasks)
    built = Scene(Cleaner(runtime, store, bus), store, said)
    monkeypatch.setattr(secure_deletion, "clean_file", built.held)
    yield built
    await tasks.stop()
    await store.close()
    executor.shutdown()
    assert failures == []


async def test_what_is_wanted_meanwhile_goes_first_and_the_cleaning_is_done_in_the_end(scene: Scene) -> None:
    waiting = asyncio.ensure_future(scene.cleaning.clean())
    for number in range(1, PATIENCE + 1):
        await asyncio.to_thread(scene.begun.wait)
        scene.begun.clear()
        assert await scene.store.read(lambda _: scene.rounds) == number
        assert scene.said == []
    await waiting
    assert scene.said == [Cleaned()]
    assert scene.rounds == PATIENCE + 1  # patience is over: it was done although others might have waited
    assert not await scene.store.read(secure_deletion.cleaning_is_due)


async def test_a_lock_does_not_wait_for_it(scene: Scene) -> None:
    waiting = asyncio.ensure_future(scene.cleaning.clean())
    await asyncio.to_thread(scene.begun.wait)
    await scene.store.close()
    with pytest.raises(NotPermitted):
        await waiting
    assert scene.rounds == 1
    assert scene.said == []
