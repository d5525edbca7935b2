"""Two real engines on a virtual clock and an in-memory network: pairing, talking, waiting, reading."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from chat.interface import (
    WORDS_READ,
    ContactChanged,
    EntryAdded,
    EntryChanged,
    EntryState,
    PairingStage,
    SettingsView,
    UsageError,
)
from protocol.identity.safety import WordList, word_list
from protocol.link.states import Ending, LinkClosed
from tests.integration.steps import compare, current, in_touch, meet, number_of, presence, say
from tests.support.engines.engines import Person, delivered, in_virtual_time, invite, pair, people, talk


async def by_address(ada: Person, ben: Person) -> None:
    await ben.engine.set_visible(True)
    await compare(ada, ben, ada.engine.pair_address(ben.host, (await ben.engine.me()).port))


@pytest.mark.parametrize("way", [pair, by_address])
@in_virtual_time
async def test_two_persons_pair_by_words_and_talk(
    tmp_path: Path, way: Callable[[Person, Person], Awaitable[object]]
) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        await way(ada, ben)
        assert [view.verified for view in await ada.engine.contacts()] == [True]
        assert await number_of(ada, ben) == await number_of(ben, ada)
        await talk(ada, ben, "hello")
        await talk(ben, ada, "hello yourself")
        assert await ada.texts(ben) == await ben.texts(ada) == ["hello", "hello yourself"]


@pytest.mark.parametrize(
    ("adas", "bens", "shown"),
    [
        ("zh", "zh", WordList.CHINESE),
        ("zh", "", WordList.ENGLISH),
        ("", "zh", WordList.ENGLISH),
        ("zh", "xx", WordList.ENGLISH),
    ],
)
@in_virtual_time
async def test_both_screens_show_the_list_that_both_persons_read(
    tmp_path: Path, adas: str, bens: str, shown: WordList
) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        await ada.engine.set_preference(WORDS_READ, adas)
        await ben.engine.set_preference(WORDS_READ, bens)
        await ben.stop()
        await ben.start()  # what a person reads is kept
        mine, theirs = await pair(ada, ben)
        assert (mine.words, mine.digits) == (theirs.words, theirs.digits)
        listed = word_list(shown)
        assert mine.words == tuple(listed[int(number)] for number in mine.digits)
        await talk(ada, ben, "hello")
        links = [current(ada, ben).driver.link, current(ben, ada).driver.link]
        assert [link.peer_features for link in links] == [(), ()]  # a contact need not hear of it again


@pytest.mark.parametrize("way", [pair, by_address, invite])
@in_virtual_time
async def test_a_completed_pairing_names_the_contact_and_ends_visibility(
    tmp_path: Path, way: Callable[[Person, Person], Awaitable[object]]
) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        done = [(one, other, one.stage(PairingStage.DONE)) for one, other in ((ada, ben), (ben, ada))]
        await way(ada, ben)
        for one, other, event in done:
            view = (await event).pairing
            assert (view.contact, view.peer) == (await one.contact(other), other.name)
            assert not (await one.engine.me()).visible


@in_virtual_time
async def test_attack_02_one_attempt_by_words_a_user_action(tmp_path: Path) -> None:
    """A peer that was refused once cannot try other words without a new action of the person who refused."""
    async with people(tmp_path, "Ada", "Ben", "Cleo") as (_, (ada, ben, cleo)):
        found = await ada.sees("Ben")
        words = ada.stage(PairingStage.WORDS), ben.stage(PairingStage.WORDS)
        failed = ada.stage(PairingStage.FAILED), ben.stage(PairingStage.FAILED)
        await ada.engine.pair_nearby(found.instance)
        mine, theirs = await asyncio.gather(*words)
        with pytest.raises(Exception, match="accept the pairing"):
            await cleo.engine.pair_address(ben.host, 4747)
        await ada.engine.answer_pairing(mine.pairing.id, True)
        await ben.engine.answer_pairing(theirs.pairing.id, False)
        assert all(event.pairing.problem for event in await asyncio.gather(*failed))
        assert await ada.engine.contacts() == await ben.engine.contacts() == ()
        assert not (await ben.engine.me()).visible
        refused = ada.stage(PairingStage.FAILED)
        with pytest.raises(Exception, match="accept the pairing"):
            await ada.engine.pair_address(ben.host, 4747)
        await refused
        await ben.engine.set_visible(True)
        again = ben.stage(PairingStage.WORDS)
        await ada.engine.pair_address(ben.host, 4747)
        await again


@in_virtual_time
async def test_both_begin_to_pair_at_once(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        mine, theirs = await ada.sees("Ben"), await ben.sees("Ada")
        both = ada.engine.pair_nearby(mine.instance), ben.engine.pair_nearby(theirs.instance)
        await compare(ada, ben, asyncio.gather(*both, return_exceptions=True))
        await talk(ada, ben, "once is enough")
        assert len(await ada.engine.contacts()) == 1


@in_virtual_time
async def test_read_receipts_and_typing_and_both_turned_off_for_good(tmp_path: Path) -> None:
    off = SettingsView(read_receipts=False, typing=False)
    async with in_touch(tmp_path) as (_, ada, ben):
        first = await talk(ada, ben, "read me")
        read = ada.wait(EntryChanged, lambda event: event.state is EntryState.READ)
        await ben.engine.mark_read(await ben.contact(ada), (first,))
        assert (await read).id == first
        typing = ada.wait(ContactChanged, lambda event: event.contact.typing)
        await ben.engine.typing(await ben.contact(ada), True)
        await typing
        stopped = ada.wait(ContactChanged, lambda event: not event.contact.typing)
        await stopped  # nobody renewed it
        await ben.engine.change_settings(off)
        await ben.stop()
        await ben.start()
        assert await ben.engine.settings() == off
        assert [view.unread for view in await ben.engine.contacts()] == [1]
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
    async with in_touch(tmp_path) as (_, ada, ben):
        typing = ada.wait(ContactChanged, lambda event: event.contact.typing)
        await ben.engine.typing(await ben.contact(ada), True)
        await typing
        before = len(ada.seen)
        stopped = ada.wait(ContactChanged, lambda event: not event.contact.typing)
        await say(ben, ada, "what was typed")
        await stopped
        kinds = [type(event) for event in ada.seen[before:]]
        assert kinds.index(EntryAdded) < kinds.index(ContactChanged)


@in_virtual_time
async def test_a_deleted_entry_is_unread_no_more_and_a_read_one_changes_nothing(
    tmp_path: Path,
) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        read, unread = await talk(ben, ada, "read"), await talk(ben, ada, "unread")
        friend = await ada.contact(ben)
        one_left = ada.wait(ContactChanged, lambda event: event.contact.unread == 1)
        await ada.engine.mark_read(friend, (read,))
        await one_left
        ada.seen.clear()
        await ada.engine.delete(friend, read)
        await asyncio.sleep(1)
        assert not [event for event in ada.seen if isinstance(event, ContactChanged)]
        none_left = ada.wait(ContactChanged, lambda event: event.contact.unread == 0)
        await ada.engine.delete(friend, unread)
        await none_left


@in_virtual_time
async def test_a_pairing_takes_one_answer(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        words = ada.stage(PairingStage.WORDS), ben.stage(PairingStage.WORDS)
        await ada.engine.pair_nearby((await ada.sees("Ben")).instance)
        mine, theirs = await asyncio.gather(*words)
        await ada.engine.answer_pairing(mine.pairing.id, True)
        with pytest.raises(UsageError, match="no longer waits"):
            await ada.engine.answer_pairing(mine.pairing.id, True)
        done = ada.stage(PairingStage.DONE)
        await ben.engine.answer_pairing(theirs.pairing.id, True)
        await done


@in_virtual_time
async def test_a_blocked_contact_waits_and_a_removed_one_is_forgotten(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        name, gone = await ada.contact(ben), presence(ben, present=False)
        await ada.engine.block(name, True)
        await gone
        with pytest.raises(UsageError):
            await say(ada, ben, "no")
        with pytest.raises(UsageError):
            await ada.engine.rename(name, "two\nlines")
        await say(ben, ada, "are you there?")
        await asyncio.sleep(120)
        assert await ada.texts(ben) == ["before"]
        assert (await ben.history(ada))[1].state is EntryState.QUEUED
        done = delivered(ben, 1)
        await ada.engine.block(name, False)
        await done
        await ada.engine.remove(name)
        await ada.stop()
        await ada.start()
        assert await ada.engine.contacts() == ()


@in_virtual_time
@pytest.mark.parametrize("removed", [False, True])
async def test_a_contact_sees_the_end_of_a_link_and_no_failure(tmp_path: Path, removed: bool) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        link, gone = current(ben, ada).driver, presence(ben, present=False)
        contact = await ada.contact(ben)
        await (ada.engine.remove(contact) if removed else ada.engine.block(contact, True))
        await gone
        assert link._end == LinkClosed(Ending.DONE, clean=True)


@in_virtual_time
async def test_persons_who_lost_each_other_pair_again(tmp_path: Path) -> None:
    """One removed the other, who still has the contact: a new pairing attaches to the known person."""
    async with in_touch(tmp_path) as (_, ada, ben):
        await ben.engine.remove(await ben.contact(ada))
        await asyncio.sleep(5)
        await meet(ada, ben)
        await talk(ada, ben, "second")
        await talk(ben, ada, "third")
        assert await ada.texts(ben) == await ben.texts(ada) == ["before", "second", "third"]
