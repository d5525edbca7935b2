"""What contacts are called everywhere, when two have one name or one has that of this person."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path

from chat.cli.entries import entry_line
from chat.interface import ContactChanged, IdentityChanged, PairingStage
from chat.looks import label_parts
from tests.support.engines.engines import Person, in_virtual_time, pair, people, talk

A_WHILE = 30.0


async def labels(person: Person, others: Iterable[Person]) -> list[str]:
    known = {view.person: view.label for view in await person.engine.contacts()}
    return [known[await person.contact(other)] for other in others]


@in_virtual_time(limit=3600)
async def test_a_contact_with_the_name_of_this_person_is_called_otherwise_everywhere(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "ben") as (_, (ada, ben)):
        await pair(ada, ben)
        renamed = ada.wait(ContactChanged, lambda event: event.contact.called == "АDА")
        said = ada.wait(IdentityChanged)
        await ben.engine.rename_self("АDА")
        event = await said
        assert (event.name, str(event.cause)) == ("ben", 'changed the name to "АDА"')
        label = (await renamed).contact.label
        assert label_parts(label) == ("АDА", f"~{(await ada.contact(ben))[:4]}")
        await talk(ada, ben, "I owe you nothing")
        await talk(ben, ada, "I do owe you 1,000")
        mine, theirs = [view for view in await ada.history(ben) if view.text]
        assert (mine.author, theirs.author) == ("Ada", label)
        assert f"  {label}: " in entry_line(theirs)
        friend = await ada.contact(ben)
        for form in ("jsonl", "markdown", "html"):
            path = tmp_path / form
            await ada.engine.export(str(path), form, friend)
            said_there = path.read_text()
            if form == "jsonl":
                authors = {line.get("author") for line in map(json.loads, said_there.splitlines())}
                assert authors == {None, "Ada", label}
            assert said_there.count(label_parts(label)[1].removeprefix("~")) >= 1
        changed = ada.wait(ContactChanged, lambda event: event.contact.label == "АDА")
        await ada.engine.rename_self("Eva")
        await asyncio.wait_for(changed, A_WHILE)


@in_virtual_time(limit=3600)
async def test_a_name_that_two_had_means_neither_again(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben", "ben") as (_, (ada, ben, other)):
        await pair(ada, ben)
        assert await labels(ada, [ben]) == ["Ben"]
        asked = ada.stage(PairingStage.WORDS)
        marked = ada.wait(
            ContactChanged, lambda event: "~" in event.contact.label and event.contact.name == "Ben"
        )
        await pair(ada, other)
        pairing = (await asked).pairing
        assert (pairing.known, pairing.mine) == (("Ben",), False)
        marks = [f"~{(await ada.contact(one))[:4]}" for one in (ben, other)]
        assert (await marked).contact.label == f"Ben{marks[0]}", "the other one is announced, too"
        assert await labels(ada, [ben, other]) == [f"Ben{marks[0]}", f"ben{marks[1]}"]
        await ada.engine.remove(await ada.contact(ben))
        assert await labels(ada, [other]) == [f"ben{marks[1]}"]
        await ada.stop()
        await ada.start()
        assert await labels(ada, [other]) == [f"ben{marks[1]}"], "it is on the disk"
        await ada.engine.rename(await ada.contact(other), "Ben")
        assert await labels(ada, [other]) == ["Ben"]


@in_virtual_time(limit=3600)
async def test_a_stranger_with_a_known_name_is_told_from_its_owner(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben", "ada", "Веn", "Carl") as (_, (ada, ben, *strangers)):
        await pair(ada, ben)
        await asyncio.gather(*(one.engine.set_visible(True) for one in strangers))
        for one in strangers:
            await ada.sees(one.name)
        found = {view.name: (view.known, view.mine) for view in await ada.engine.nearby()}
        assert found == {"ada": ((), True), "Веn": (("Ben",), False), "Carl": ((), False)}


@in_virtual_time(limit=3600)
async def test_a_contact_was_last_connected_when_its_link_ended(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        await pair(ada, ben)
        await talk(ben, ada, "hello")
        await asyncio.sleep(A_WHILE)
        await ben.stop()
        gone = ada.engine._use_cases.runtime.clock.wall()
        await asyncio.sleep(20 * A_WHILE)
        (view,) = await ada.engine.contacts()
        assert not view.present
        assert view.seen is not None
        assert abs(view.seen.timestamp() * 1000 - gone) < 2_000 * A_WHILE
        await ada.stop()
        await ada.start()
        assert (await ada.engine.contacts())[0].seen == view.seen
        await ada.engine.remove(view.person)
        kept = await ada.engine._use_cases.store.read(lambda db: db.value("SELECT count(*) FROM seen"))
        assert kept == 0
