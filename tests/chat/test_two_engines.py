"""Two real engines on a virtual clock and an in-memory network: pairing, talking, faults."""

from __future__ import annotations

from pathlib import Path

from chat.interface import EntryChanged, EntryState
from tests.engines import pair, people, play


def test_two_persons_pair_by_words_and_talk(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
            mine, theirs = await pair(ada, ben)
            assert mine.contact == await ada.contact(ben)
            assert theirs.contact == await ben.contact(ada)
            assert await ada.engine.safety_number(mine.contact) == await ben.engine.safety_number(theirs.contact)
            delivered = ada.wait(EntryChanged, lambda event: event.state is EntryState.DELIVERED)
            await ada.engine.send(mine.contact, "hello")
            await delivered
            answered = ben.wait(EntryChanged, lambda event: event.state is EntryState.DELIVERED)
            await ben.engine.send(theirs.contact, "hello yourself")
            await answered
            assert await ada.texts(ben) == await ben.texts(ada) == ["hello", "hello yourself"]

    play(scenario)
