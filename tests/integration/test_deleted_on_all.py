"""What a person deletes on all own devices: gone on each of them for good, and unknown to the contact."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

import pytest

from chat.interface import (
    DeletionScope,
    EntryAdded,
    EntryDeleted,
    EntryEdited,
    EntryState,
    QuestionsChanged,
    UsageError,
)
from chat.storage import erasing, profile, sharing
from protocol.messages import Entry, Message
from tests.integration.steps import say
from tests.integration.test_amendments import WORD, arrived, left_in, shown
from tests.integration.test_backup import back_up, restore_new, started
from tests.integration.test_old_copies import keep, put_back
from tests.integration.test_shared_contacts import MONTH, SETTLED, two_devices
from tests.support.engines import devices
from tests.support.engines.engines import PASSPHRASE, Person, in_virtual_time, talk

GONE = ("deleted", "", "mine")
MINE = DeletionScope.MINE


async def phone_of(desk: Person, folder: Path) -> Person:
    phone = devices.device(desk, folder / "phone", "10.0.0.10", 78)
    await devices.link(desk, phone, "phone")
    await asyncio.sleep(SETTLED)
    return phone


def texts_added(person: Person, entry: str) -> list[str]:
    """What a device has shown of an entry when it came."""
    added = [event.entry for event in person.seen if isinstance(event, EntryAdded)]
    return [view.text for view in added if view.id == entry]


def deleted(person: Person, entry: str) -> asyncio.Future[EntryDeleted]:
    return person.wait(EntryDeleted, lambda event: event.id == entry)


def said_to(person: Person, other: Person) -> list[Message]:
    """What a device sends to another person from now on, on the link that they have."""
    said = list[Message]()
    for link in person.engine._use_cases.links.of(other.peer.person):
        send = link.driver.send

        async def sending(message: Message, send: object = send) -> None:
            said.append(message)
            await send(message)  # type: ignore[operator]

        link.driver.send = sending  # type: ignore[method-assign]
    return said


async def root(person: Person) -> bytes | str:
    return (await person.engine.history_root()).root


@in_virtual_time
async def test_an_entry_is_gone_on_both_devices_and_the_contact_learns_nothing(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (_, desk, laptop, ben, _):
        friend = await desk.contact(ben)
        theirs = await talk(ben, desk, f"the {WORD} of Ben")
        mine = await talk(desk, ben, f"the {WORD} of Ada")
        edited = await desk.engine.edit(friend, mine, f"the other {WORD}")
        await arrived(desk, edited.change)
        await asyncio.sleep(SETTLED)
        before, heard = await shown(ben, desk), len(ben.seen)
        said = [said_to(desk, ben), said_to(laptop, ben)]
        for entry in (theirs, mine):
            known = [deleted(one, entry) for one in (desk, laptop)]
            view = await desk.engine.delete(friend, entry, MINE)
            assert (view.kind, view.text, view.deleted_by) == GONE
            assert [(await one).deleted_by for one in known] == ["mine", "mine"]
            assert await desk.engine.delete(friend, entry, MINE) == view, "it is deleted already"
        await asyncio.sleep(SETTLED)
        assert await shown(desk, ben) == await shown(laptop, ben) == [GONE, GONE]
        assert await root(desk) == await root(laptop)
        for one in (desk, laptop):
            await one.engine.clean()
            assert left_in(one) == []
        assert await shown(ben, desk) == before
        assert [type(event) for event in ben.seen[heard:] if hasattr(event, "id")] == []
        assert [message for one in said for message in one if isinstance(message, Entry)] == []
        late = await ben.engine.edit(await ben.contact(desk), theirs, f"a late {WORD}")
        await arrived(ben, late.change)
        await asyncio.sleep(SETTLED)
        assert await shown(desk, ben) == await shown(laptop, ben) == [GONE, GONE]
        for one in (desk, laptop):
            await one.engine.clean()
            assert left_in(one) == []


@in_virtual_time
async def test_the_one_who_deletes_sees_it_deleted_while_other_deletions_are_due(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (_, desk, laptop, ben, _):
        friend = await desk.contact(ben)
        *others, last = sorted([await talk(ben, desk, f"text {number}") for number in range(4)])
        await asyncio.sleep(SETTLED)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(erasing, "PIECE", 1)
            patch.setattr(sharing, "AT_ONCE", 0)  # all that comes of the laptop stays due
            for entry in others:
                await laptop.engine.delete(friend, entry, MINE)
            await asyncio.sleep(SETTLED)
            assert [view.kind for view in await desk.history(ben)] == ["text"] * 4
            view = await desk.engine.delete(friend, last, MINE)
            assert (view.kind, view.text, view.deleted_by) == GONE
        await asyncio.sleep(SETTLED)
        await desk.engine.delete(friend, last, MINE)
        await asyncio.sleep(SETTLED)
        assert await shown(desk, ben) == await shown(laptop, ben) == [GONE] * 4


@in_virtual_time
async def test_what_is_still_unread_elsewhere_is_unread_no_more(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (_, desk, laptop, ben, _):
        entry = await talk(ben, desk, "unread")
        await asyncio.sleep(SETTLED)
        assert [view.unread for view in await laptop.engine.contacts()] == [1]
        gone = deleted(laptop, entry)
        await desk.engine.delete(await desk.contact(ben), entry, MINE)
        await gone
        assert [view.unread for view in await laptop.engine.contacts()] == [0]


@in_virtual_time
async def test_an_edit_that_is_deleted_on_all_devices_leaves_what_was_said_before(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (_, desk, laptop, ben, _):
        friend, entry = await desk.contact(ben), await talk(desk, ben, "as it was")
        change = (await desk.engine.edit(friend, entry, "as it is")).change
        await arrived(desk, change)
        await asyncio.sleep(SETTLED)
        back = [one.wait(EntryEdited) for one in (desk, laptop)]
        await desk.engine.delete(friend, change, MINE)
        assert [(await one).entry.text for one in back] == ["as it was", "as it was"]
        assert await shown(desk, ben) == await shown(laptop, ben) == [("text", "as it was", "")]
        assert await shown(ben, desk) == [("text", "as it is", "")]


@in_virtual_time(limit=3 * MONTH)
async def test_three_devices_that_were_apart_for_a_month_agree(tmp_path: Path) -> None:
    """The laptop holds what the desk deletes, and the phone deletes what has not come to the others."""
    async with two_devices(tmp_path) as (network, desk, laptop, ben, _):
        phone, friend = await phone_of(desk, tmp_path), await desk.contact(ben)
        early = [await talk(ben, desk, f"early {number}") for number in range(3)]
        await asyncio.sleep(SETTLED)
        stations = (desk, laptop, phone)
        for number, one in enumerate(stations):
            for other in stations[number + 1 :]:
                network.part(one.host, other.host)
        await asyncio.sleep(30)
        await desk.engine.delete(friend, early[0], MINE)
        await laptop.engine.delete(friend, early[1], MINE)
        await laptop.engine.delete(friend, early[0], MINE)
        for one in (*stations, ben):
            await one.stop()
        await asyncio.sleep(MONTH / 2)
        for one in (phone, ben):
            await one.start()
        await asyncio.sleep(60)
        late = await talk(ben, phone, f"a late {WORD}")
        await phone.engine.delete(friend, late, MINE)
        await phone.engine.delete(friend, early[2])
        for one in (phone, ben):
            await one.stop()
        await asyncio.sleep(MONTH / 2)
        for number, one in enumerate(stations):
            for other in stations[number + 1 :]:
                network.join(one.host, other.host)
        for one in (*stations, ben):
            await one.start()
        await asyncio.sleep(120)
        here, text = ("deleted", "", "here"), ("text", "early 2", "")
        assert await shown(desk, ben) == await shown(laptop, ben) == [GONE, GONE, text, GONE]
        assert await shown(phone, ben) == [GONE, GONE, here, GONE]
        assert await root(desk) == await root(laptop)
        for one in stations:
            await one.engine.clean()
            assert left_in(one) == []
        assert len(await ben.texts(desk)) == 4
        await phone.engine.close()


@in_virtual_time
async def test_a_deletion_that_comes_before_its_entry_keeps_it_out(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (network, desk, laptop, ben, _):
        network.part(ben.host, laptop.host)
        await asyncio.sleep(30)
        friend = await desk.contact(ben)
        await laptop.stop()
        entry = await talk(ben, desk, f"only the desk has this {WORD}")
        await desk.engine.delete(friend, entry, MINE)
        await laptop.start()
        await asyncio.sleep(60)
        await desk.stop()
        network.join(ben.host, laptop.host)
        await asyncio.sleep(60)
        await talk(ben, laptop, "the next one")
        assert await shown(laptop, ben) == [GONE, ("text", "the next one", "")]
        assert set(texts_added(laptop, entry)) <= {""}
        await laptop.engine.clean()
        assert left_in(laptop) == []


@in_virtual_time
async def test_a_device_that_is_linked_later_gets_no_word_of_it(tmp_path: Path) -> None:
    """Ben is there and has the words: he may send them before the notes come, and again afterwards."""
    async with two_devices(tmp_path) as (_, desk, laptop, ben, _):
        friend = await desk.contact(ben)
        theirs, mine = await talk(ben, desk, f"the {WORD} of Ben"), await talk(desk, ben, f"my {WORD}")
        await asyncio.sleep(SETTLED)
        await laptop.engine.delete(friend, theirs, MINE)
        await desk.engine.delete(friend, mine, MINE)
        await asyncio.sleep(SETTLED)
        phone = await phone_of(desk, tmp_path)
        await asyncio.sleep(60)
        assert await shown(phone, ben) == await shown(desk, ben) == [GONE, GONE]
        assert await root(phone) == await root(desk)
        await phone.engine.clean()
        assert left_in(phone) == []
        await phone.engine.close()


@pytest.mark.parametrize("which", ["the one that deletes", "the one that hears of it"])
@in_virtual_time
async def test_a_device_that_is_killed_in_between_deletes_it_afterwards(tmp_path: Path, which: str) -> None:
    async with two_devices(tmp_path) as (_, desk, laptop, ben, _):
        entry = await talk(ben, desk, f"the {WORD} of before")
        await asyncio.sleep(SETTLED)
        killed = desk if which == "the one that deletes" else laptop
        await desk.engine.delete(await desk.contact(ben), entry, MINE)
        await killed.crash()
        killed.network.heal(killed.host)
        await killed.start()
        await asyncio.sleep(60)
        assert await shown(laptop, ben) == await shown(desk, ben) == [GONE]
        for one in (desk, laptop):
            await one.engine.clean()
            assert left_in(one) == []


@in_virtual_time
async def test_an_older_copy_of_a_device_deletes_what_was_deleted_since(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (_, desk, laptop, ben, _):
        entry = await talk(ben, desk, f"the {WORD} of before")
        await asyncio.sleep(SETTLED)
        await laptop.stop()
        keep(laptop, tmp_path / "copy")
        await laptop.start()
        await laptop.engine.delete(await desk.contact(ben), entry, MINE)
        await asyncio.sleep(SETTLED)
        assert await shown(desk, ben) == [GONE]
        await laptop.stop()
        put_back(laptop, tmp_path / "copy")
        gone = deleted(laptop, entry)
        await laptop.start()
        assert await shown(laptop, ben) == [("text", f"the {WORD} of before", "")]
        await gone
        assert await shown(laptop, ben) == await shown(desk, ben) == [GONE]
        await laptop.engine.clean()
        assert left_in(laptop) == []


@in_virtual_time
async def test_a_backup_of_before_does_not_bring_it_back_beside_another_device(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (_, desk, laptop, ben, _):
        entry = await talk(ben, desk, f"the {WORD} of before")
        await asyncio.sleep(SETTLED)
        await back_up(desk, tmp_path / "file")
        await desk.engine.delete(await desk.contact(ben), entry, MINE)
        await asyncio.sleep(SETTLED)
        await desk.stop()
        await asyncio.to_thread(restore_new, tmp_path / "new", tmp_path / "file")
        asked = laptop.wait(QuestionsChanged)
        other = Person(desk.name, "10.0.0.11", tmp_path / "new", desk.network, desk.config, 79)
        await other.start()
        (question,) = (await asked).questions
        await laptop.engine.confirm_own(question.operation)
        await asyncio.sleep(120)
        assert await shown(laptop, ben) == await shown(other, ben) == [GONE]
        await other.stop()


@in_virtual_time
async def test_a_backup_of_after_keeps_it_deleted_also_what_has_not_come(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (network, desk, laptop, ben, _):
        network.part(ben.host, laptop.host)
        await asyncio.sleep(30)
        held = await talk(ben, desk, f"the {WORD} of before")
        await asyncio.sleep(SETTLED)
        await laptop.engine.delete(await desk.contact(ben), held, MINE)
        await asyncio.sleep(SETTLED)
        await laptop.stop()
        await back_up(desk, tmp_path / "file")
        await desk.stop()
        await asyncio.to_thread(restore_new, tmp_path / "new", tmp_path / "file")
        with profile.unlock(tmp_path / "new", PASSPHRASE) as vault, closing(vault.database()) as database:
            assert database.rows("SELECT destroyed FROM entries WHERE id = ?", bytes.fromhex(held)) == [(4,)]
        other = await started(desk, tmp_path / "new")
        await asyncio.sleep(60)
        assert (await shown(other, ben))[0] == GONE
        await other.stop()


@in_virtual_time
async def test_what_holds_for_other_messages_is_deleted_on_one_device_only(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (_, desk, laptop, ben, _):
        friend = await desk.contact(ben)
        timer = await desk.engine.set_timer(friend, 60)
        assert timer is not None
        with pytest.raises(UsageError, match="other messages"):
            await desk.engine.delete(friend, timer.id, MINE)
        await asyncio.sleep(SETTLED)
        assert [view.kind for view in await laptop.history(ben)] == ["timer"]


@in_virtual_time
async def test_what_waits_for_the_contact_goes_without_its_words_from_each_device(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (_, desk, laptop, ben, _):
        await ben.stop()
        await asyncio.sleep(60)
        waits = await say(desk, ben, f"a {WORD} that waits")
        assert waits.state is EntryState.QUEUED
        await asyncio.sleep(SETTLED)
        gone = await laptop.engine.delete(await desk.contact(ben), waits.id, MINE)
        assert gone.state is EntryState.WITHDRAWN
        await asyncio.sleep(SETTLED)
        await ben.start()
        await asyncio.sleep(60)
        assert [view.state for view in await desk.history(ben)] == [EntryState.WITHDRAWN]
        assert [view.state for view in await laptop.history(ben)] == [EntryState.WITHDRAWN]
        assert WORD not in "".join(await ben.texts(desk))
        assert await shown(desk, ben) == await shown(laptop, ben) == [GONE]


@in_virtual_time
async def test_what_its_author_deleted_too_is_shown_as_that_on_each_device(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (_, desk, laptop, ben, _):
        friend, entry = await desk.contact(ben), await talk(desk, ben, "twice deleted")
        await asyncio.sleep(SETTLED)
        await desk.engine.delete(friend, entry)
        assert await shown(desk, ben) == [("deleted", "", "here")]
        view = await desk.engine.delete(friend, entry, MINE)
        assert (view.kind, view.text, view.deleted_by) == GONE
        await asyncio.sleep(SETTLED)
        assert await shown(laptop, ben) == [GONE]
        gone = await laptop.engine.delete(friend, entry, DeletionScope.EVERYONE)
        await arrived(laptop, gone.change)
        await asyncio.sleep(SETTLED)
        by_author = [("deleted", "", "author")]
        assert await shown(desk, ben) == await shown(laptop, ben) == await shown(ben, desk) == by_author
