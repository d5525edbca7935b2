"""Two real engines on a virtual clock and an in-memory network: pairing, talking, waiting, reading."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chat.interface import (
    ContactChanged,
    ContactRemoved,
    EntryAdded,
    EntryChanged,
    EntryState,
    InvitationUsed,
    PairingStage,
    SettingsView,
    UsageError,
)
from tests.support.engines.engines import (
    Person,
    delivered,
    in_virtual_time,
    invite,
    pair,
    people,
    talk,
    two_contacts,
)


@in_virtual_time
async def test_two_persons_pair_by_words_and_talk(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        mine, theirs = await pair(ada, ben)
        assert mine.contact == await ada.contact(ben)
        assert theirs.contact == await ben.contact(ada)
        assert [view.verified for view in await ada.engine.contacts()] == [True]
        number = await ada.engine.safety_number(mine.contact)
        assert number == await ben.engine.safety_number(theirs.contact)
        assert [len(group) for group in number.split()] == [5] * 12
        await talk(ada, ben, "hello")
        await talk(ben, ada, "hello yourself")
        assert await ada.texts(ben) == await ben.texts(ada) == ["hello", "hello yourself"]


@in_virtual_time
async def test_pairing_by_invitation_leaves_the_contact_unverified(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        used = ada.wait(InvitationUsed)
        await invite(ada, ben)
        assert (await used).contact == await ada.contact(ben)
        assert [view.verified for view in await ada.engine.contacts()] == [False]
        await talk(ben, ada, "joined")


@in_virtual_time
async def test_pairing_by_address(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        await ben.engine.set_visible(True)
        words = ada.stage(PairingStage.WORDS), ben.stage(PairingStage.WORDS)
        done = ada.stage(PairingStage.DONE)
        await ada.engine.pair_address(ben.host, (await ben.engine.me()).port)
        for person, event in zip((ada, ben), await asyncio.gather(*words), strict=True):
            await person.engine.answer_pairing(event.pairing.id, True)
        await done
        await talk(ada, ben, "by address")


@in_virtual_time
async def test_a_person_who_refuses_stores_nothing_on_either_side(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        found = await ada.sees("Ben")
        words = ada.stage(PairingStage.WORDS), ben.stage(PairingStage.WORDS)
        failed = ada.stage(PairingStage.FAILED), ben.stage(PairingStage.FAILED)
        await ada.engine.pair_nearby(found.instance)
        mine, theirs = await asyncio.gather(*words)
        await ada.engine.answer_pairing(mine.pairing.id, True)
        await ben.engine.answer_pairing(theirs.pairing.id, False)
        assert all(event.pairing.problem for event in await asyncio.gather(*failed))
        assert await ada.engine.contacts() == await ben.engine.contacts() == ()


@in_virtual_time
async def test_one_attempt_by_words_a_user_action(tmp_path: Path) -> None:
    """attack 02: whoever was refused once cannot try other words without a new action of this person."""
    async with people(tmp_path, "Ada", "Ben", "Cleo") as (_, (ada, ben, cleo)):
        found = await ada.sees("Ben")
        words = ben.stage(PairingStage.WORDS)
        await ada.engine.pair_nearby(found.instance)
        first = (await words).pairing.id
        with pytest.raises(Exception, match="accept the pairing"):
            await cleo.engine.pair_address(ben.host, (await ben.engine.me()).port)
        await ben.engine.answer_pairing(first, False)
        assert not (await ben.engine.me()).visible
        failed = ada.stage(PairingStage.FAILED)
        with pytest.raises(Exception, match="accept the pairing"):
            await ada.engine.pair_address(ben.host, (await ben.engine.me()).port)
        await failed
        await ben.engine.set_visible(True)
        again = ben.stage(PairingStage.WORDS)
        await ada.engine.pair_address(ben.host, (await ben.engine.me()).port)
        await again


@in_virtual_time
async def test_read_receipts_and_typing_and_both_turned_off(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        first = await talk(ada, ben, "read me")
        read = ada.wait(EntryChanged, lambda event: event.state is EntryState.READ)
        await ben.engine.mark_read(await ben.contact(ada), (first,))
        assert (await read).id == first
        typing = ada.wait(ContactChanged, lambda event: event.contact.typing)
        await ben.engine.typing(await ben.contact(ada), True)
        await typing
        stopped = ada.wait(ContactChanged, lambda event: not event.contact.typing)
        await stopped  # nobody renewed it
        await ben.engine.change_settings(SettingsView(read_receipts=False, typing=False))
        second = await talk(ada, ben, "do not tell")
        before = len(ada.seen)
        await ben.engine.mark_read(await ben.contact(ada), (second,))
        await ben.engine.typing(await ben.contact(ada), True)
        await talk(ben, ada, "a word after that")
        after = ada.seen[before:]
        assert not [event for event in after if isinstance(event, EntryChanged) and event.id == second]
        assert not [event for event in after if isinstance(event, ContactChanged) and event.contact.typing]


@in_virtual_time
async def test_an_entry_ends_typing_and_is_told_first(tmp_path: Path) -> None:
    """What a client draws for the change of the contact would hold up the entry."""
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "a link is there")
        typing = ada.wait(ContactChanged, lambda event: event.contact.typing)
        await ben.engine.typing(await ben.contact(ada), True)
        await typing
        before = len(ada.seen)
        stopped = ada.wait(ContactChanged, lambda event: not event.contact.typing)
        await ben.engine.send(await ben.contact(ada), "what was typed")
        await stopped
        kinds = [type(event) for event in ada.seen[before:]]
        assert kinds.index(EntryAdded) < kinds.index(ContactChanged)


@in_virtual_time
async def test_settings_and_unread_survive_a_restart(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "one")
        await ben.engine.change_settings(SettingsView(read_receipts=False, typing=True))
        await ben.stop()
        await ben.start()
        assert await ben.engine.settings() == SettingsView(read_receipts=False, typing=True)
        assert [view.unread for view in await ben.engine.contacts()] == [1]


@in_virtual_time
async def test_rename_block_unblock_remove(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_network, ada, ben):
        await talk(ben, ada, "hello")
        name = await ada.contact(ben)
        await ada.engine.rename(name, "Benjamin")
        assert [view.label for view in await ada.engine.contacts()] == ["Benjamin"]
        with pytest.raises(UsageError):
            await ada.engine.rename(name, "two\nlines")
        gone = ben.wait(ContactChanged, lambda event: not event.contact.present)
        await ada.engine.block(name, True)
        await gone
        with pytest.raises(UsageError):
            await ada.engine.send(name, "no")
        await ben.engine.send(await ben.contact(ada), "are you there?")
        await asyncio.sleep(120)
        assert await ada.texts(ben) == ["hello"]
        assert (await ben.history(ada))[1].state is EntryState.QUEUED
        done = delivered(ben, 1)
        await ada.engine.block(name, False)
        await done
        removed = ada.wait(ContactRemoved)
        await ada.engine.remove(name)
        assert (await removed).name == "Benjamin"
        assert await ada.engine.contacts() == ()
        with pytest.raises(UsageError):
            await ada.engine.history(name)
        await ada.stop()
        await ada.start()
        assert await ada.engine.contacts() == ()


@in_virtual_time
async def test_persons_who_lost_each_other_pair_again(tmp_path: Path) -> None:
    """One removed the other, who still has the contact: pairing anew attaches to the known person."""
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "first")
        await ben.engine.remove(await ben.contact(ada))
        await asyncio.sleep(5)
        await ben.engine.set_visible(True)
        await ada.engine.set_visible(True)
        await pair(ada, ben)
        await talk(ada, ben, "second")
        await talk(ben, ada, "third")
        assert await ada.texts(ben) == ["first", "second", "third"]
        assert await ben.texts(ada) == ["first", "second", "third"]


async def _both_begin(ada: Person, ben: Person) -> None:
    mine, theirs = await ada.sees("Ben"), await ben.sees("Ada")
    await asyncio.gather(
        ada.engine.pair_nearby(mine.instance), ben.engine.pair_nearby(theirs.instance), return_exceptions=True
    )


@in_virtual_time
async def test_both_begin_to_pair_at_once(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        words = ada.stage(PairingStage.WORDS), ben.stage(PairingStage.WORDS)
        done = ada.stage(PairingStage.DONE), ben.stage(PairingStage.DONE)
        await _both_begin(ada, ben)
        mine, theirs = [event.pairing for event in await asyncio.gather(*words)]
        assert mine.words == theirs.words
        await ada.engine.answer_pairing(mine.id, True)
        await ben.engine.answer_pairing(theirs.id, True)
        await asyncio.gather(*done)
        await talk(ada, ben, "once is enough")
        assert len(await ada.engine.contacts()) == 1
