"""What is said or marked while links come and go is neither lost nor taken back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chat.interface import ContactChanged, UsageError
from chat.network.links import LiveLink
from chat.service import messages, sync
from chat.service.sync import Inbound
from tests.support.engines.engines import Person, delivered, in_virtual_time, pair, people, talk, two_contacts


def types(event: ContactChanged) -> bool:
    return event.contact.typing


def current(person: Person, other: bytes) -> LiveLink:
    link = person.engine._use_cases.links.current(other)
    assert link is not None
    return link


@in_virtual_time
async def test_typing_goes_on_a_link_that_is_about_to_be_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link sends from the moment at which it opens; what this side does first on the disk takes time."""
    proved = Inbound.proved
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "paired")
        contact, said = await ada.contact(ben), asyncio.Event()

        async def proved_late(receiving: Inbound, link: LiveLink) -> None:
            if receiving is ada.engine._use_cases.inbound and not said.is_set():
                await ada.engine.typing(contact, True)
                said.set()
            await proved(receiving, link)

        await ben.stop()
        monkeypatch.setattr(Inbound, "proved", proved_late)
        seen = ben.wait(ContactChanged, types)
        await ben.start()
        await said.wait()
        assert (await seen).contact.name == "Ada"


@in_virtual_time
async def test_a_spare_link_that_ends_takes_no_mark_of_typing_away(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "paired")
        marked = ada.wait(ContactChanged, types)
        await ben.engine.typing(await ben.contact(ada), True)
        person = bytes.fromhex((await marked).contact.person)
        parts = ada.engine._use_cases
        spare = LiveLink(current(ada, person).driver, b"s", person, b"t", True, b"", "", 0.0, parts.sync)
        await parts.sync.ended(spare)
        assert [view.typing for view in await ada.engine.contacts()] == [True]
        gone = ada.wait(ContactChanged, lambda event: not event.contact.present)
        await ben.stop()
        assert not (await gone).contact.typing


@pytest.mark.parametrize("stretch", [1, 2, 3])
@in_virtual_time
async def test_a_long_outbox_goes_in_order_stretch_by_stretch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stretch: int
) -> None:
    monkeypatch.setattr(sync, "STRETCH", stretch)
    async with two_contacts(tmp_path) as (_, ada, ben):
        texts = ["before"] + [f"waiting {number}" for number in range(7)]
        await talk(ada, ben, texts[0])
        await ben.stop()
        for text in texts[1:]:
            await ada.engine.send(await ada.contact_known("Ben"), text)
        done = delivered(ada, 7)
        await ben.start()
        await done
        assert await ben.texts(ada) == texts


@in_virtual_time
async def test_an_answer_to_what_is_not_held_keeps_the_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer may name any entry: one that nobody has, or one of a conversation with somebody else."""
    async with people(tmp_path, "Ada", "Ben", "Cleo") as (_, (ada, ben, cleo)):
        await pair(ada, ben)
        await cleo.engine.set_visible(True)
        await ada.engine.set_visible(True)
        await pair(ada, cleo)
        other = await talk(ada, cleo, "for Cleo alone")
        with pytest.raises(UsageError):
            await ada.engine.send(await ada.contact(ben), "no", other)
        monkeypatch.setattr(messages, "held_in", lambda *_: None)
        for named in (other, "ab" * 32):
            answer = await ben.engine.send(await ben.contact(ada), "answer", named)
            await delivered(ben, 1)
            shown = await ada.engine.entry(await ada.contact(ben), answer.id)
            assert shown is not None
            assert shown.reply == named
            assert await ada.engine.entry(await ada.contact(ben), named) is None
