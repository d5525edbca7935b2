"""The cleaning of the file on a real database, concurrent with everything else that is wanted of it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from msgspec.structs import replace

from chat.config import Config
from chat.interface import Cleaned, Cleaning, NotPermitted
from chat.ports import SystemClock
from chat.service.events import EventBus
from chat.service.maintenance import Cleaner
from chat.service.shelf import Shelf
from chat.storage import entries, secure_deletion
from chat.storage.database import Database, Store
from chat.tasks import Runtime, Tasks
from tests.support.lab.inspection import residues
from tests.support.storage.samples import KEY, Author, new_database, store

WORD = "zyxhippopotamusqwv"
REAL = secure_deletion.clean_in_steps


@dataclass
class Scene:
    """A cleaning whose steps are noted, among the other work on the database, in their order."""

    cleaner: Cleaner
    store: Store
    database: Database
    said: list[object]
    done: list[str]

    def noted(self, database: Database) -> Iterator[float]:
        for part in REAL(database):
            self.done.append("step")
            yield part


@pytest.fixture
async def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    database, executor = new_database(tmp_path), ThreadPoolExecutor(1)
    author = Author()
    written = [author.write(f"{WORD}{number} and more " * 40) for number in range(120)]
    store(database, *written)
    with database.transaction():
        assert all(entries.destroy(database, entry.id) for entry in written[::2])
        secure_deletion.mark_unclean(database, words=True)
    opened, failures = Store(database, executor), list[BaseException]()
    tasks = Tasks(failures.append)
    said: list[object] = []
    bus = cast(EventBus, SimpleNamespace(publish=said.append))
    config = replace(Config(), clean_after=0.0, clean_told=0.0)
    runtime = Runtime(SystemClock(), os.urandom, config, tasks)
    built = Scene(Cleaner(runtime, opened, bus, Shelf(runtime, opened, tmp_path)), opened, database, said, [])
    monkeypatch.setattr(secure_deletion, "clean_in_steps", built.noted)
    yield built
    await tasks.stop()
    await opened.close()
    executor.shutdown()
    assert failures == []


async def test_what_is_wanted_meanwhile_waits_for_one_step_at_most(scene: Scene) -> None:
    cleaning = asyncio.ensure_future(scene.cleaner.clean())
    asked = 0

    def steps_before(database: Database) -> int:
        """Counted in the thread of the database: the event loop may learn of the answer a step later."""
        steps = len(scene.done)
        entries.page(database, b"nowhere", 1)
        return steps

    while not cleaning.done():
        before = len(scene.done)
        assert await scene.store.read(steps_before) <= before + 1
        asked += 1
    await cleaning
    assert asked > len(scene.done) > 3
    assert residues(scene.database.path, KEY.reveal(), WORD[3:].encode() + b"0 ") == []


async def test_its_progress_is_announced_and_ends_with_cleaned(scene: Scene) -> None:
    await scene.cleaner.clean()
    *progress, last = scene.said
    parts = [event.done for event in progress if isinstance(event, Cleaning)]
    assert len(parts) == len(progress) == len(scene.done)
    assert parts == sorted(parts)
    assert 0 <= parts[0] < parts[-1] <= 1
    assert last == Cleaned()


async def test_a_lock_does_not_wait_for_it(scene: Scene) -> None:
    cleaning = asyncio.ensure_future(scene.cleaner.clean())
    while not scene.done:
        await scene.store.read(lambda _: None)
    begun = len(scene.done)
    await scene.store.close()
    with pytest.raises(NotPermitted):
        await cleaning
    assert len(scene.done) <= begun + 1
    assert Cleaned() not in scene.said
