"""Work on the database that waits: cleaning and raising ranks, in virtual time on a store that is a mock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from chat.config import Config
from chat.errors import LOCKED
from chat.interface import Cleaned, EntriesMarked, EntriesMoved, Notice, NotPermitted
from chat.service.maintenance import FULL, Cleaner, NotCleaned, Settler
from chat.storage import contacts, entries, ordering, quarantine, secure_deletion
from chat.storage.errors import (
    StorageBroken,
    StorageFailure,
    StorageFull,
    StorageReadOnly,
)
from chat.tasks import Tasks
from tests.support.engines.engines import play

CONFIG = Config()
STEP = 0.25
GONE = 99
"""The number of a conversation whose contact was removed meanwhile."""
AFTER, AGAIN, PATIENCE = CONFIG.clean_after, CONFIG.clean_again, CONFIG.clean_patience


class Parts:
    """A cleaner and a settler; `outcomes` are those of the next cleanings, then each works."""

    def __init__(self) -> None:
        self.due = False
        self.outcomes: list[Any] = []
        self.times: list[float] = []
        self.parts: list[float] = []
        self.ranks: list[Any] = []
        self.rules: list[tuple[int | None, list[bytes]]] = []
        self.ranked: list[tuple[float, Any]] = []
        self.lost: Exception | None = None  # what the next look at who a conversation is with raises
        store: Any = SimpleNamespace(asked=0, read=self._read, write=self._write, run=self._run)
        self.store, self.bus, self.failed = store, mock.Mock(), mock.Mock()
        runtime: Any = SimpleNamespace(config=CONFIG, tasks=Tasks(self.failed))
        self.amendments = mock.Mock(follow=mock.AsyncMock(return_value=None), clean_if_due=mock.AsyncMock())
        self.shelf = mock.Mock(drop_gone=mock.AsyncMock())
        self.cleaner = Cleaner(runtime, store, self.bus, self.shelf)
        no_claims = mock.AsyncMock(return_value=False)
        self.settler = Settler(runtime, store, self.bus, self.amendments, no_claims)

    async def _read(self, work: Any, *args: Any) -> Any:
        if work is secure_deletion.cleaning_is_due:
            return self.due
        if work is entries.is_unsettled:
            return bool(self.ranks or self.rules)
        if work is contacts.partner_in:
            if isinstance(self.lost, Exception):
                lost, self.lost = self.lost, None
                raise lost
            return None if args == (GONE,) else bytes(args)
        assert work is secure_deletion.clean_in_steps
        self.times.append(round(asyncio.get_running_loop().time(), 6))
        return self._steps()

    def _steps(self) -> Iterator[float]:
        yield from self.parts
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if isinstance(outcome, Exception):
            raise outcome
        self.due = False

    async def _run(self, step: Callable[[], float | None]) -> float | None:
        await asyncio.sleep(STEP if self.parts else 0.0)
        return step()

    async def _write(self, work: Any, conversation: int) -> Any:
        if work is quarantine.settle_next:
            return self.rules.pop(0) if self.rules else (None, [])
        assert work is ordering.settle_next
        self.ranked.append((round(asyncio.get_running_loop().time(), 6), conversation))
        outcome = self.ranks.pop(0) if self.ranks else None
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    @property
    def published(self) -> list[Any]:
        return [call.args[0] for call in self.bus.publish.call_args_list]

    def delete(self) -> None:
        self.due = True
        self.cleaner.begin()


def run(scenario: Callable[[Parts], Coroutine[Any, Any, None]]) -> None:
    async def begin() -> None:
        parts = Parts()
        await scenario(parts)
        parts.failed.assert_not_called()

    play(begin)


def test_deletions_are_cleaned_together_when_they_have_stopped_and_the_database_is_idle() -> None:
    async def scenario(it: Parts) -> None:
        asyncio.create_task(it.cleaner.run()).add_done_callback(lambda _: None)
        await asyncio.sleep(100)
        assert it.times == []
        it.delete()
        await asyncio.sleep(3)
        it.delete()
        await asyncio.sleep(4)
        it.store.asked += 1
        await asyncio.sleep(100)
        assert it.times == [100 + 3 * AFTER]
        assert it.published == [Cleaned()]

    run(scenario)


def test_what_an_earlier_engine_left_is_cleaned_at_the_start() -> None:
    async def scenario(it: Parts) -> None:
        it.due = True
        asyncio.create_task(it.cleaner.run()).add_done_callback(lambda _: None)
        await asyncio.sleep(100)
        assert it.times == [AFTER]

    run(scenario)


def test_a_database_that_is_never_idle_is_cleaned_too() -> None:
    async def scenario(it: Parts) -> None:
        asyncio.create_task(it.cleaner.run()).add_done_callback(lambda _: None)
        await asyncio.sleep(0)
        it.delete()
        for _ in range(int(PATIENCE * AFTER) + 1):
            assert it.times == []
            it.store.asked += 1
            await asyncio.sleep(1)
        assert it.times == [PATIENCE * AFTER]

    run(scenario)


@pytest.mark.parametrize("failure", [StorageFull(), StorageBroken()])
def test_a_cleaning_that_fails_is_reported_once_and_repeated(failure: Any) -> None:
    async def scenario(it: Parts) -> None:
        it.outcomes = [failure, failure, StorageFull() if type(failure) is not StorageFull else failure]
        asyncio.create_task(it.cleaner.run()).add_done_callback(lambda _: None)
        await asyncio.sleep(0)
        it.delete()
        await asyncio.sleep(10 * AGAIN)
        assert it.times == [AFTER + AGAIN * number for number in range(4)]
        said = [str(event.text) for event in it.published if isinstance(event, Notice)]
        assert len(said) == (1 if isinstance(failure, StorageFull) else 2)
        assert said[-1] == str(FULL)
        assert it.published[-1] == Cleaned()

    run(scenario)


def test_a_long_cleaning_says_now_and_then_how_far_it_is() -> None:
    async def scenario(it: Parts) -> None:
        it.due, it.parts = True, [number / 100 for number in range(100)]
        await it.cleaner.clean()
        *progress, last = it.published
        assert last == Cleaned()
        assert len(progress) == int(100 * STEP / CONFIG.clean_told)
        assert [event.done for event in progress] == sorted({event.done for event in progress})

    run(scenario)


def test_a_cleaning_of_a_closed_database_ends_as_such() -> None:
    async def scenario(it: Parts) -> None:
        it.due, it.outcomes = True, [NotPermitted(LOCKED)]
        with pytest.raises(NotPermitted):
            await it.cleaner.clean()
        assert it.published == []

    run(scenario)


@pytest.mark.parametrize("failure", [StorageFull(), StorageBroken(), StorageReadOnly()])
def test_a_cleaning_that_fails_denies_no_deletion(failure: StorageFailure) -> None:
    """The failures themselves say that nothing was stored, and the deletion is."""
    said = str(NotCleaned(failure))
    assert "still" in said
    assert "nothing was" not in said


def test_two_who_wait_for_a_cleaning_share_it_and_its_failure() -> None:
    async def scenario(it: Parts) -> None:
        it.due, it.outcomes = True, [StorageBroken()]
        results = await asyncio.gather(it.cleaner.clean(), it.cleaner.clean(), return_exceptions=True)
        assert [type(result) for result in results] == [NotCleaned, NotCleaned]
        assert len(it.times) == 1
        await it.cleaner.clean()
        await it.cleaner.clean()
        assert (len(it.times), it.published) == (2, [Cleaned()])

    run(scenario)


def test_ranks_are_raised_in_pieces_in_turn_and_again_after_a_failure() -> None:
    async def scenario(it: Parts) -> None:
        it.ranks = [7, GONE, 9, None]
        asyncio.create_task(it.settler.run()).add_done_callback(lambda _: None)
        await asyncio.sleep(100)
        every = CONFIG.ranks_every
        assert it.ranked == [(0.0, 0), (every, 7), (2 * every, GONE), (3 * every, 9)]
        assert sorted(it.published, key=str) == [EntriesMoved(bytes([one]).hex()) for one in (7, 9)]
        it.bus.reset_mock()
        it.ranks, it.lost = [StorageBroken(), 7, None], StorageBroken()
        it.settler.begin()
        await asyncio.sleep(100)
        assert it.ranked[4:6] == [(100.0, 0), (100.0 + CONFIG.clean_again, 0)]
        assert [type(event) for event in it.published] == [Notice, Notice]
        it.ranks = [9, None]
        it.settler.begin()
        await asyncio.sleep(100)
        assert {event.contact for event in it.published[2:]} == {"07", "09"}, (
            "what was not said is said later"
        )

    run(scenario)


def test_the_marks_of_entries_are_settled_in_pieces_and_said() -> None:
    """Next to ranks, which are not due for as long."""

    async def scenario(it: Parts) -> None:
        it.ranks, it.rules = [7, None], [(3, []), (5, [b"one"]), (5, [b"one", b"two"]), (None, [])]
        asyncio.create_task(it.settler.run()).add_done_callback(lambda _: None)
        await asyncio.sleep(100)
        assert it.rules == []
        marked = [EntriesMarked(name.hex()) for name in (b"one", b"one", b"two")]
        assert it.published == [*marked, EntriesMoved("07")]

    run(scenario)


def test_without_ranks_that_are_due_nothing_is_written() -> None:
    async def scenario(it: Parts) -> None:
        asyncio.create_task(it.settler.run()).add_done_callback(lambda _: None)
        await asyncio.sleep(100)
        assert it.ranked == []

    run(scenario)
