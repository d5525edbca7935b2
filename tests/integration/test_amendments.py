"""Deletes for everyone and edits between engines: what both show, and what a contact cannot make of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chat.interface import (
    Cleaned,
    DeletedBy,
    DeletionScope,
    EntryAdded,
    EntryChanged,
    EntryDeleted,
    EntryEdited,
    EntryState,
    UsageError,
)
from chat.storage import entries as stored
from chat.storage import expiry
from chat.storage.database import Database
from chat.storage.folder import DATABASE
from protocol.entries_and_receipts import (
    KIND_DELETE,
    KIND_EDIT,
    delete_body,
    edit_body,
    parse_entry,
)
from protocol.messages import Entry
from tests.integration.steps import current, entry_of, in_touch, presence
from tests.support.engines.engines import Person, in_virtual_time, talk
from tests.support.lab.inspection import residues

WORD = "zyxhippopotamusqwv"


def delete_of(one: Person, other: Person, *ids: str) -> Entry:
    """A delete in the name of `one`, by hand."""
    return entry_of(one, other, amends=(KIND_DELETE, delete_body(bytes.fromhex(entry) for entry in ids)))


def edit_of(one: Person, other: Person, entry: str, text: str) -> Entry:
    """An edit in the name of `one`, by hand."""
    return entry_of(one, other, amends=(KIND_EDIT, edit_body(bytes.fromhex(entry), text)))


async def shown(person: Person, other: Person) -> list[tuple[str, str, str]]:
    """Kind, text and by whom it was deleted, of all that a person sees."""
    return [(view.kind, view.text, view.deleted_by) for view in await person.history(other)]


async def arrived(one: Person, change: str) -> None:
    """Wait until a change that was just made is delivered."""
    await one.wait(EntryChanged, lambda event: (event.id, event.state) == (change, EntryState.DELIVERED))


def left_in(person: Person) -> list[str]:
    """Where the word is in a person's database."""
    key = person.engine._vault._open_key().reveal()
    return residues(person.folder / DATABASE, key, WORD.encode())


@in_virtual_time
async def test_an_entry_deleted_for_everyone_is_gone_on_both_sides(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        friend, entry = await ada.contact(ben), await talk(ada, ben, f"the {WORD} at noon")
        gone, known = ben.wait(EntryDeleted), ada.wait(EntryDeleted)
        view = await ada.engine.delete(friend, entry, DeletionScope.EVERYONE)
        assert (view.kind, view.text, view.deleted_by, view.own) == ("deleted", "", "author", True)
        await arrived(ada, view.change)
        assert (await gone) == EntryDeleted(await ben.contact(ada), entry, deleted_by=DeletedBy.AUTHOR)
        assert (await known).deleted_by == "author"
        for one, other in ((ada, ben), (ben, ada)):
            assert (await shown(one, other))[-1] == ("deleted", "", "author")
            assert await one.engine.search(WORD) == ()
            await one.engine.clean()
            assert left_in(one) == []
        delete = await ada.engine.entry(friend, view.change)
        assert delete is not None
        assert (delete.kind, delete.state) == ("delete", EntryState.DELIVERED)
        assert await ada.engine.delete(friend, entry, DeletionScope.EVERYONE) == view, "it is deleted already"
        assert await ben.engine.first_unread(await ben.contact(ada)) is not None
        assert [view.unread for view in await ben.engine.contacts()] == [1], "neither is unread"


@in_virtual_time
async def test_an_edit_takes_the_place_of_what_was_said_and_a_delete_covers_it(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        friend, asked = await ada.contact(ben), await talk(ben, ada, "Tea?")
        entry = (await ada.engine.send(friend, "Yes, at five", reply=asked)).id
        await talk(ada, ben, "after it")
        edited = ben.wait(EntryEdited)
        view = await ada.engine.edit(friend, entry, f"No, {WORD}")
        assert (view.id, view.text, view.edited, view.reply) == (entry, f"No, {WORD}", True, asked)
        await arrived(ada, view.change)
        assert (await edited).entry.text == f"No, {WORD}"
        for one, other in ((ada, ben), (ben, ada)):
            texts = [(view.text, view.edited) for view in await one.history(other)]
            assert texts == [
                ("before", False),
                ("Tea?", False),
                (f"No, {WORD}", True),
                ("after it", False),
            ]
            assert [hit.id for hit in await one.engine.search(WORD)] == [entry]
            assert await one.engine.search("five") == ()
            details = await one.engine.details(await one.contact(other), entry)
            assert [version.text for version in details.versions] == ["Yes, at five", f"No, {WORD}"]
        await arrived(ada, (await ada.engine.edit(friend, entry, f"Maybe {WORD}")).change)
        await arrived(ada, (await ada.engine.delete(friend, entry, DeletionScope.EVERYONE)).change)
        for one, other in ((ada, ben), (ben, ada)):
            assert (await shown(one, other))[2] == ("deleted", "", "author")
            assert await one.engine.search(WORD) == ()
            await one.engine.clean()
            assert left_in(one) == [], "nor in an edit"


@in_virtual_time
async def test_an_edit_deleted_on_this_terminal_leaves_what_was_said_before(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        friend, entry = await ada.contact(ben), await talk(ada, ben, "first")
        changes = [(await ada.engine.edit(friend, entry, text)).change for text in ("second", WORD)]
        await arrived(ada, changes[-1])
        for one, other in ((ada, ben), (ben, ada)):
            for change, text in zip(reversed(changes), ("second", "first"), strict=True):
                edited = one.wait(EntryEdited)
                await one.engine.delete(await one.contact(other), change)
                assert (await edited).entry.text == text
                assert (await shown(one, other))[-1] == ("text", text, "")
                assert [hit.id for hit in await one.engine.search(text)] == [entry]
            await one.engine.clean()
            assert left_in(one) == []


@in_virtual_time
async def test_an_edit_of_what_was_deleted_here_is_erased_too(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        friend, entry = await ada.contact(ben), await talk(ada, ben, "first")
        cleaned = ben.wait(Cleaned)
        await ben.engine.delete(await ben.contact(ada), entry)
        await cleaned
        cleaned = ben.wait(Cleaned)
        await arrived(ada, (await ada.engine.edit(friend, entry, WORD)).change)
        await cleaned
        assert left_in(ben) == []


@in_virtual_time
async def test_what_ended_on_one_side_is_shown_alike_once_its_author_deleted_it(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        friend = await ada.contact(ben)
        await ada.engine.set_timer(friend, 60)
        entry = await talk(ada, ben, "not read yet")
        await ada.wait(EntryDeleted, lambda event: event.id == entry and event.expired)
        assert (await shown(ada, ben))[-1] == ("expired", "", "")
        await arrived(ada, (await ada.engine.delete(friend, entry, DeletionScope.EVERYONE)).change)
        for one, other in ((ada, ben), (ben, ada)):
            assert (await shown(one, other))[-1] == ("deleted", "", "author")


@in_virtual_time
async def test_what_an_entry_said_is_not_shown_after_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        friend = await ada.contact(ben)
        await ada.engine.set_timer(friend, 60)
        entry = await talk(ada, ben, "first")
        await arrived(ada, (await ada.engine.edit(friend, entry, "second")).change)
        assert len((await ada.engine.details(friend, entry)).versions) == 2
        monkeypatch.setattr(
            expiry, "expire", lambda *_: ([], False)
        )  # as on a profile that cannot be written
        await asyncio.sleep(61)  # of virtual time: no event comes at an end that cannot be stored
        assert (await ada.engine.details(friend, entry)).versions == ()


@in_virtual_time
async def test_a_timer_cannot_be_deleted_for_everyone(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        friend = await ada.contact(ben)
        timer = await ada.engine.set_timer(friend, 60)
        assert timer is not None
        assert timer.scopes == (DeletionScope.HERE,)
        with pytest.raises(UsageError, match="other messages"):
            await ada.engine.delete(friend, timer.id, DeletionScope.EVERYONE)
        assert (await shown(ada, ben))[-1] == ("timer", "", "")


@in_virtual_time
async def test_a_delete_and_an_edit_wait_for_an_absent_contact(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (network, ada, ben):
        friend = await ada.contact(ben)
        first, second = await talk(ada, ben, "first"), await talk(ada, ben, "second")
        gone = presence(ada, present=False)
        network.part(ada.host, ben.host)
        await gone
        one = await ada.engine.delete(friend, first, DeletionScope.EVERYONE)
        other = await ada.engine.edit(friend, second, "better")
        never = (await ada.engine.send(friend, "never read")).id
        await ada.engine.delete(friend, never, DeletionScope.EVERYONE)
        for change in (one.change, other.change):
            view = await ada.engine.entry(friend, change)
            assert view is not None
            assert view.state is EntryState.QUEUED
        back = arrived(ada, other.change)
        network.join(ada.host, ben.host)
        await back
        await talk(ada, ben, "after")
        assert await shown(ben, ada) == [
            ("text", "before", ""),
            ("deleted", "", "author"),
            ("text", "better", ""),
            ("deleted", "", "author"),
            ("text", "after", ""),
        ]
        assert not [
            event for event in ben.seen if isinstance(event, EntryAdded) and "never" in event.entry.text
        ]


@in_virtual_time
async def test_only_ones_own_texts_are_deleted_for_everyone_and_edited(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        friend, theirs = await ada.contact(ben), await talk(ben, ada, "Ben's")
        mine = await talk(ada, ben, "Ada's")
        with pytest.raises(UsageError, match="Somebody else"):
            await ada.engine.delete(friend, theirs, DeletionScope.EVERYONE)
        with pytest.raises(UsageError, match="your own messages"):
            await ada.engine.edit(friend, theirs, "not Ben's")
        with pytest.raises(UsageError, match="nothing to send"):
            await ada.engine.edit(friend, mine, "  ")
        change = (await ada.engine.edit(friend, mine, "Ada's own")).change
        with pytest.raises(UsageError, match="other messages"):
            gone = await ada.engine.delete(friend, mine, DeletionScope.EVERYONE)
            await ada.engine.delete(friend, gone.change, DeletionScope.EVERYONE)
        with pytest.raises(UsageError, match="whose text is on this device"):
            await ada.engine.edit(friend, mine, "again")
        with pytest.raises(UsageError, match="whose text is on this device"):
            await ada.engine.edit(friend, change, "an edit of an edit")


@in_virtual_time
async def test_an_edit_with_an_id_is_sent_once(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        friend, entry = await ada.contact(ben), await talk(ada, ben, "first")
        one = await ada.engine.edit(friend, entry, "better", "drawn")
        assert (await ada.engine.edit(friend, entry, "better", "drawn")).change == one.change
        with pytest.raises(UsageError, match="Another message"):
            await ada.engine.edit(friend, entry, "best", "drawn")


@in_virtual_time
async def test_what_was_deleted_here_alone_stays_so_and_loses_its_edits(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        friend, entry = await ada.contact(ben), await talk(ada, ben, "first")
        await arrived(ada, (await ada.engine.edit(friend, entry, f"about {WORD}")).change)
        gone = await ben.engine.delete(await ben.contact(ada), entry)
        assert (gone.kind, gone.deleted_by, gone.change) == ("deleted", "here", "")
        await arrived(ada, (await ada.engine.edit(friend, entry, f"more about {WORD}")).change)
        assert (await shown(ben, ada))[-1] == ("deleted", "", "here")
        await ben.engine.clean()
        assert left_in(ben) == []
        assert (await shown(ada, ben))[-1] == ("text", f"more about {WORD}", "")
        # Its author's delete comes later, and says more.
        await arrived(ada, (await ada.engine.delete(friend, entry, DeletionScope.EVERYONE)).change)
        assert (await shown(ben, ada))[-1] == ("deleted", "", "author")


@in_virtual_time
async def test_a_contact_deletes_and_edits_nothing_of_another_person(tmp_path: Path) -> None:
    """Own entries of the other side, in one delete with others; cycles; no link ends."""
    async with in_touch(tmp_path) as (_, ada, ben):
        mine, theirs = await talk(ada, ben, "Ada's"), await talk(ben, ada, "Ben's")
        link = current(ben, ada)
        delete = delete_of(ben, ada, mine, theirs)
        cycle = parse_entry(delete).id.hex()
        for entry in (
            delete,
            edit_of(ben, ada, mine, "not Ada's"),
            edit_of(ben, ada, cycle, "a delete"),
            delete_of(ben, ada, cycle, "00" * 32),
        ):
            await link.driver.send(entry)
        await talk(ben, ada, "after")
        assert await shown(ada, ben) == [
            ("text", "before", ""),
            ("text", "Ada's", ""),
            ("deleted", "", "author"),
            ("text", "after", ""),
        ]
        assert current(ben, ada) is link


@in_virtual_time
async def test_a_body_that_comes_after_its_delete_is_not_taken(tmp_path: Path) -> None:
    """From anybody: the delete came before what it names, or after it."""
    async with in_touch(tmp_path) as (_, ada, ben):
        late = entry_of(ben, ada, text=f"late {WORD}")
        edit = edit_of(ben, ada, parse_entry(late).id.hex(), f"edited {WORD}")
        await current(ben, ada).driver.send(delete_of(ben, ada, parse_entry(late).id.hex()))
        await talk(ben, ada, "between")
        for again in (late, edit, Entry(late.header, b"", b""), late):
            await current(ben, ada).driver.send(again)
        await talk(ben, ada, "after")
        assert ("deleted", "", "author") in await shown(ada, ben)
        assert not [one for one in await shown(ada, ben) if WORD in one[1]]
        assert not [one for one in ada.seen if isinstance(one, EntryAdded) and WORD in one.entry.text]
        assert await ada.engine.search(WORD) == ()
        await ada.engine.clean()
        assert left_in(ada) == []


@in_virtual_time
async def test_an_edit_that_comes_before_its_original_waits(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        late = entry_of(ben, ada, text="first")
        added = ada.wait(EntryAdded)
        await current(ben, ada).driver.send(edit_of(ben, ada, parse_entry(late).id.hex(), "better"))
        await talk(ben, ada, "between")
        assert (await added).entry.text == "between"
        added = ada.wait(EntryAdded)
        await current(ben, ada).driver.send(late)
        view = (await added).entry
        assert (view.text, view.edited) == ("better", True)
        assert [hit.text for hit in await ada.engine.search("better")] == ["better"]


@in_virtual_time
async def test_a_stopped_engine_follows_what_was_due(tmp_path: Path) -> None:
    """A delete was stored, and the engine ended before it was followed."""
    async with in_touch(tmp_path) as (_, ada, ben):
        entries = [await talk(ben, ada, f"number {n}") for n in range(3)]
        delete = parse_entry(delete_of(ben, ada, *entries))

        def insert(database: Database) -> None:
            stored.insert_all(database, [delete], ada.peer.person)

        await ada.engine._use_cases.store.write(insert)
        await ada.stop()
        await ada.start()
        while any(kind == "text" for kind, text, _ in await shown(ada, ben) if text != "before"):
            await ada.wait(EntryDeleted)
