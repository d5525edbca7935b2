"""What an engine refuses of its own user, with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from chat.interface import UsageError
from protocol.limits import TEXT_CHARACTERS_MAX
from tests.support.engines.engines import in_virtual_time, pair, people, talk


@in_virtual_time
async def test_what_is_no_unicode_text_is_neither_sent_nor_stored(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        await pair(ada, ben)
        with pytest.raises(UsageError, match="not Unicode"):
            await ada.engine.send(await ada.contact(ben), "half of a pair: \ud83d")
        with pytest.raises(UsageError, match="not Unicode"):
            await ada.engine.set_preference("draft", "\ud83d")
        assert await ada.texts(ben) == []
        assert dict(await ada.engine.preferences()) == {}


@in_virtual_time
async def test_the_longest_text_is_sent_and_a_longer_one_refused(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        await pair(ada, ben)
        longest = "x" * TEXT_CHARACTERS_MAX
        with pytest.raises(UsageError, match="16"):
            await ada.engine.send(await ada.contact(ben), longest + "x")
        await talk(ada, ben, longest)
        assert await ben.texts(ada) == [longest]


@in_virtual_time
async def test_a_search_names_one_contact_and_not_another_than_the_one_it_is_in(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben", "Benno") as (_, (ada, ben, benno)):
        await pair(ada, ben)
        await pair(ada, benno)
        to_ben, to_benno = await ada.contact(ben), await ada.contact(benno)
        sent = [(await ada.engine.send(contact, "hello")).id for contact in (to_ben, to_benno)]

        async def found(typed: str, within: str | None = None) -> list[str]:
            return [view.id for view in await ada.engine.search(typed, within)]

        assert await found("hello in:ben") == sent[:1]
        assert await found("hello in:benno") == await found("in:benno", to_benno) == sent[1:]
        assert await found("hello", to_ben) == await found("hello in:ben in:benno", to_ben) == sent[:1]
        with pytest.raises(UsageError, match="more than one contact"):
            await found("in:be")
        with pytest.raises(UsageError, match="No contact is named"):
            await found("in:carl")
        with pytest.raises(UsageError, match="names another"):
            await found("in:benno", to_ben)
