"""What a person writes to itself: the same on all own devices, and nobody else's (SPEC §11.10)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from chat.engine import FOR_CONTACTS
from chat.interface import (
    BadData,
    DeletionScope,
    EntryAdded,
    EntryChanged,
    EntryDeleted,
    EntryEdited,
    EntryKind,
    EntryState,
    EntryView,
    UsageError,
)
from chat.service import readable
from chat.storage import entries, positions
from chat.storage.backup_file import BackupReader
from chat.storage.entries import BEGINNING, EntryRow
from protocol.backup.records import BackupEntry, Record, RecordReader
from protocol.entries_and_receipts import (
    KIND_CUT,
    KIND_EDIT,
    KIND_STATE,
    KIND_TEXT,
    KIND_TIMER,
    EntryPlace,
    ParsedEntry,
    text_body,
    timer_body,
    write_entry,
)
from protocol.messages import ENTRY_HEADER, Entry, Message
from protocol.notes import notes_of
from tests.integration.test_amendments import WORD, left_in
from tests.integration.test_backup import BACKUP, back_up, restore_into, restore_new, started
from tests.integration.test_deleted_on_all import deleted, phone_of, said_to
from tests.integration.test_salvage import salvage
from tests.integration.test_shared_contacts import MONTH, SETTLED, agree, apart, two_devices
from tests.support.engines.engines import Person, in_virtual_time, invite, people, talk

DELIVERED, KEPT = EntryState.DELIVERED, EntryState.KEPT


async def me(person: Person) -> str:
    return (await person.engine.me()).person


async def write(person: Person, text: str, reply: str = "") -> EntryView:
    return await person.engine.send(await me(person), text, reply)


async def noted(person: Person) -> list[EntryView]:
    return list(await person.engine.history(await me(person)))


async def texts(person: Person) -> list[str]:
    return [view.text for view in await noted(person)]


async def every(person: Person) -> list[EntryRow]:
    """All entries of the notes, with those that a person never sees."""
    parts = person.engine._use_cases
    conversation = notes_of(parts.keyring.own.person)
    return await parts.store.read(positions.every_after, conversation, 10_000, BEGINNING)


def came(person: Person, entry: str) -> asyncio.Future[EntryAdded]:
    return person.wait(EntryAdded, lambda event: event.entry.id == entry)


@in_virtual_time
async def test_a_person_writes_to_itself_without_contacts_and_other_devices(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada") as (_, (ada,)):
        own = await me(ada)
        assert await noted(ada) == []
        first = await write(ada, f"milk, {WORD}")
        assert (first.contact, first.own, first.noted, first.state) == (own, True, True, KEPT)
        answer = await write(ada, "and bread", first.id)
        assert answer.reply == first.id
        assert await texts(ada) == [f"milk, {WORD}", "and bread"]
        assert [view.id for view in await ada.engine.search(WORD)] == [first.id]
        assert [view.id for view in await ada.engine.search("in:notes bread")] == [answer.id]
        assert [view.id for view in await ada.engine.search("from:me", own)] == [first.id, answer.id]
        assert [view.id for view in await ada.engine.latest()] == [answer.id]
        edited = await ada.engine.edit(own, first.id, "oat milk")
        assert (edited.text, edited.edited, edited.state) == ("oat milk", True, KEPT)
        assert await ada.engine.search(WORD) == ()
        details = await ada.engine.details(own, first.id)
        assert [one.text for one in details.versions] == [f"milk, {WORD}", "oat milk"]
        assert first.scopes == (DeletionScope.HERE, DeletionScope.MINE)
        gone = await ada.engine.delete(own, first.id, DeletionScope.EVERYONE)
        assert (gone.kind, gone.text, gone.deleted_by) == ("deleted", "", "mine")
        await ada.engine.clean()
        assert left_in(ada) == []
        assert await ada.engine.first_unread(own) is None
        assert await ada.engine.contacts() == ()
        await ada.engine.mark_all_read(own)
        await ada.engine.typing(own, True)
        await ada.stop()
        await ada.start()
        assert [(view.kind, view.text, view.state) for view in await noted(ada)] == [
            ("deleted", "", KEPT),
            ("text", "and bread", KEPT),
        ]


@in_virtual_time
async def test_a_text_sent_twice_with_one_id_is_written_once(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada") as (_, (ada,)):
        own = await me(ada)
        first = await ada.engine.send(own, "once", "", "an id")
        assert await ada.engine.send(own, "once", "", "an id") == first
        with pytest.raises(UsageError):
            await ada.engine.send(own, "another", "", "an id")
        assert await texts(ada) == ["once"]


@in_virtual_time
async def test_texts_to_oneself_are_on_all_own_devices_and_never_leave_them(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (_, desk, laptop, ben, _):
        own, said = await me(desk), [said_to(one, ben) for one in (desk, laptop)]
        first = await write(desk, "from the desk")
        assert first.state is KEPT
        await asyncio.sleep(SETTLED)
        second = await write(laptop, f"from the laptop, {WORD}", first.id)
        await asyncio.sleep(SETTLED)
        for one in (desk, laptop):
            shown = [(view.text, view.own, view.state) for view in await noted(one)]
            assert shown == [
                ("from the desk", True, DELIVERED),
                (f"from the laptop, {WORD}", True, DELIVERED),
            ]
            assert [view.id for view in await one.engine.search(WORD)] == [second.id]
            assert await one.engine.first_unread(own) is None
        changes = [event for event in desk.seen if isinstance(event, EntryChanged) and event.id == first.id]
        assert changes == [EntryChanged(own, first.id, DELIVERED)], "said once, when it is true"
        added = next(one.entry for one in laptop.seen if isinstance(one, EntryAdded) and one.entry.noted)
        assert (added.id, added.contact, added.own, added.state) == (first.id, own, True, DELIVERED)
        details = await desk.engine.details(own, first.id)
        assert [(one.person, one.kind) for one in details.receipts] == [(own, DELIVERED)]

        told = laptop.wait(EntryEdited)
        await desk.engine.edit(own, second.id, "of both")
        assert (await told).entry.text == "of both"
        assert await texts(laptop) == ["from the desk", "of both"]
        erased = deleted(desk, second.id)
        await laptop.engine.delete(own, second.id, DeletionScope.MINE)
        assert (await erased).deleted_by == "mine"
        await asyncio.sleep(SETTLED)
        for one in (desk, laptop):
            assert await texts(one) == ["from the desk", ""]
            await one.engine.clean()
            assert left_in(one) == []
        assert [message for some in said for message in some if isinstance(message, Entry)] == []
        assert not [event for event in ben.seen if isinstance(event, EntryAdded | EntryDeleted)]
        await agree(desk, laptop)


@in_virtual_time(limit=2 * MONTH)
async def test_two_devices_a_month_apart_show_the_same_notes_in_the_same_order(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (network, desk, laptop, ben, _):
        own, before = await me(desk), await write(desk, "before")
        await asyncio.sleep(SETTLED)

        async def work() -> None:
            friend = await desk.contact(ben)
            laptop.clock.offset_ms = -300 * 86_400_000
            for day in range(4):
                if day == 2:
                    for one in (desk, laptop, ben):
                        await one.stop()
                    await asyncio.sleep(MONTH)
                    for one in (desk, laptop, ben):
                        await one.start()
                await write(desk, f"desk {day}")
                await write(laptop, f"laptop {day}")
                await laptop.engine.rename(friend, f"Ben of day {day}")
            await laptop.engine.edit(own, before.id, f"of the laptop, {WORD}")
            gone = (await noted(desk))[1]
            assert gone.text == "desk 0"
            await desk.engine.delete(own, gone.id, DeletionScope.MINE)
            assert {view.state for view in (await noted(laptop))[1:]} == {KEPT}

        await apart(network, desk, laptop, work())
        shown = await noted(desk)
        assert [view.id for view in shown] == [view.id for view in await noted(laptop)]
        assert await texts(desk) == await texts(laptop)
        assert shown[0].text == f"of the laptop, {WORD}"
        for name in ("desk", "laptop"):  # each device's own order holds, whatever its clock said
            said = [view.text for view in shown if view.text.startswith(name)]
            assert said == [f"{name} {day}" for day in range(4) if (name, day) != ("desk", 0)]
        assert [view.kind for view in shown].count(EntryKind.DELETED) == 1
        assert {view.state for view in shown if view.kind == "text"} == {DELIVERED}
        assert [view.text for view in await desk.engine.search(WORD)] == [f"of the laptop, {WORD}"]
        await agree(desk, laptop)


@in_virtual_time
async def test_a_later_device_gets_the_texts_and_what_only_devices_say_is_shown_nowhere(
    tmp_path: Path,
) -> None:
    async with two_devices(tmp_path) as (_, desk, laptop, ben, _):
        own, first = await me(desk), await write(desk, "kept for later")
        await desk.engine.rename(await desk.contact(ben), "Benny")
        await asyncio.sleep(SETTLED)
        await laptop.engine.rename(await laptop.contact(ben), "Ben again")
        await asyncio.sleep(SETTLED)
        await laptop.engine.close()
        await desk.engine.remove_terminal(
            next(view.terminal for view in await desk.engine.terminals() if not view.this)
        )
        await asyncio.sleep(60)
        phone = await phone_of(desk, tmp_path)
        assert await texts(phone) == await texts(desk) == ["kept for later"]
        for one in (desk, phone):
            rows = await every(one)
            assert {KIND_STATE, KIND_CUT, KIND_TEXT} <= {row.kind for row in rows}
            assert [view.id for view in await one.engine.latest() if view.noted] == [first.id]
            assert [view.id for view in await one.engine.search("in:notes")] == [first.id]
            hidden = [row.id.hex() for row in rows if row.kind in (KIND_STATE, KIND_CUT)]
            for entry in hidden:
                assert await one.engine.entry(own, entry) is None
                for scope in DeletionScope:
                    with pytest.raises(UsageError):
                        await one.engine.delete(own, entry, scope)
                with pytest.raises(UsageError):
                    await one.engine.send(own, "an answer", entry)
            added = {event.entry.id for event in one.seen if isinstance(event, EntryAdded)}
            assert not added.intersection(hidden)
            assert await one.engine.entry_at(own, first.time) == first.id
            await one.engine.clear(own)
            assert [row.kind for row in await every(one) if row.salt] == [
                row.kind for row in rows if row.kind in (KIND_STATE, KIND_CUT) and row.salt
            ], "what devices say to each other stays"
        await phone.engine.close()


@in_virtual_time
async def test_notes_have_nothing_of_what_only_a_contact_has(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        await invite(ada, ben)
        own = await me(ada)
        for call in (
            ada.engine.set_timer(own, 60),
            ada.engine.block(own, True),
            ada.engine.remove(own),
            ada.engine.rename(own, "Nobody"),
            ada.engine.verification(own),
        ):
            with pytest.raises(UsageError, match=str(FOR_CONTACTS)):
                await call
        entry = await ada.engine.send(await ada.contact(ben), "to Ben")
        with pytest.raises(UsageError):
            await ada.engine.send(own, "an answer", entry.id)
        assert await ada.engine.entry(own, entry.id) is None


@in_virtual_time
async def test_a_contact_gets_no_notes_and_can_give_none(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (_, desk, laptop, ben, _):
        parts = desk.engine._use_cases
        conversation = notes_of(parts.keyring.own.person)
        entry = await write(desk, "mine alone")
        row = await parts.store.read(entries.get, bytes.fromhex(entry.id))
        assert row is not None
        for message in (
            Entry(row.header, row.salt, row.body),
            note_of(ben, conversation, KIND_TEXT, text_body("a note of Ben")),
        ):
            links = ben.engine._use_cases.links.of(desk.peer.person)
            for link in links:
                await link.driver.send(message)
            await asyncio.sleep(SETTLED)
            assert not set(map(id, links)).intersection(
                map(id, ben.engine._use_cases.links.of(desk.peer.person))
            )
            await asyncio.sleep(60)
        assert await texts(desk) == await texts(laptop) == ["mine alone"]
        await talk(desk, ben, "the link opens again")


@in_virtual_time
async def test_a_timer_in_the_notes_ends_the_link_of_the_device_that_sends_it(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (_, desk, laptop, _, _):
        conversation = notes_of(desk.engine._use_cases.keyring.own.person)
        for message in (
            note_of(laptop, conversation, KIND_TIMER, timer_body(60)),
            note_of(laptop, conversation, KIND_TEXT, text_body("it ends"), 60),
        ):
            before = len(await every(desk))
            for link in laptop.engine._use_cases.links.of(desk.peer.person):
                await link.driver.send(message)
            await asyncio.sleep(SETTLED)
            assert len(await every(desk)) == before
            await asyncio.sleep(60)
        assert await texts(desk) == []


def note_of(one: Person, conversation: bytes, kind: int, body: bytes, timer: int = 0) -> Message:
    parts = one.engine._use_cases
    own = parts.keyring.own
    place = EntryPlace(conversation, own.terminal, b"12345678", None, [], parts.keyring.own_log.heads)
    return write_entry(
        place, one.clock.wall(), kind, body, own.first_self_key, parts.runtime.random, timer
    ).message()


@in_virtual_time
async def test_texts_to_oneself_are_in_a_backup_and_what_states_say_is_not(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben", "Carl") as (_, (ada, ben, carl)):
        await invite(ada, ben)
        await invite(ada, carl)  # no message with him is in any root
        await talk(ada, ben, "hello")
        without = await back_up(ada, tmp_path / "without.backup")
        assert (without.entries, without.conversations) == (1, 1), "without a word to oneself, no notes"
        own = await me(ada)
        first = await write(ada, "the first")
        await ada.engine.rename(await ada.contact(ben), "Benny")
        second = await write(ada, f"the second, {WORD}", first.id)
        await ada.engine.edit(own, first.id, "the first, edited")
        gone = await write(ada, "gone")
        await ada.engine.delete(own, gone.id, DeletionScope.MINE)
        shown = [(view.id, view.kind, view.text, view.reply, view.edited) for view in await noted(ada)]
        path = tmp_path / "ada.backup"
        made, root = await back_up(ada, path), (await ada.engine.history_root()).root
        assert made.root == root
        rows = await every(ada)
        assert (made.entries, made.conversations) == (len(rows) + 1, 2)
        records = [record for found in _records(path) for record, _ in found]
        held = [one for one in records if isinstance(one, BackupEntry) and one.salt]
        assert {ENTRY_HEADER.decode(one.header).kind for one in held} == {KIND_TEXT, KIND_EDIT}
        await ada.stop()
        view = await asyncio.to_thread(restore_new, tmp_path / "new", path)
        assert (view.root, view.entries) == (made.root, made.entries)
        other = await started(ada, tmp_path / "new")
        found = [(view.id, view.kind, view.text, view.reply, view.edited) for view in await noted(other)]
        assert found == shown, "in the order of before, though what states said is missing"
        assert [view.id for view in await other.engine.search(f"in:notes {WORD}")] == [second.id]
        assert (await other.engine.history_root()).root == root
        third = await write(other, "of the restored one")
        assert (await noted(other))[-1].id == third.id
        assert (await back_up(other, tmp_path / "again.backup", recovery=False)).entries > made.entries
        await other.stop()
        await asyncio.to_thread(restore_into, ada.folder, path)
        await ada.start()
        assert [view.text for view in await noted(ada)] == [text for _, _, text, _, _ in shown]


@in_virtual_time
async def test_texts_to_oneself_are_in_a_readable_export_without_what_devices_say(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        await invite(ada, ben)
        await write(ada, "milk")
        await ada.engine.rename(await ada.contact(ben), "Benny")
        await ada.engine.edit(await me(ada), (await write(ada, "bread")).id, "rye bread")
        for form in ("jsonl", "html", "markdown"):
            path = tmp_path / f"a.{form}"
            made = await ada.engine.export(str(path), form)
            text = path.read_text("utf-8")
            assert made.conversations == 2
            assert "Notes" in text
            assert "rye bread" in text
            if form == "markdown":
                assert "state" not in text
                continue
            assert readable.check(path).root == made.root
            if form == "html":
                shown = [line for line in text.splitlines() if line.startswith("<article")]
                assert [" hidden" in line for line in shown].count(False) == 3, "two texts and an edit"
                spoilt = tmp_path / "spoilt.html"
                spoilt.write_text(text.replace(' class="own" data', ' class="own" hidden data', 1), "utf-8")
                with pytest.raises(BadData):
                    readable.check(spoilt)
        alone = await ada.engine.export(str(tmp_path / "alone.jsonl"), "jsonl", await me(ada))
        assert alone.conversations == 1


@in_virtual_time
async def test_two_devices_compare_their_notes(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (_, desk, laptop, _, _):
        own = await me(desk)
        assert own not in [one.contact for one in (await desk.engine.history_root()).conversations]
        entry = await write(desk, "the same on both")
        await asyncio.sleep(SETTLED)
        roots = [await one.engine.history_root() for one in (desk, laptop)]
        assert roots[0] == roots[1]
        assert own in [one.contact for one in roots[0].conversations]
        await desk.engine.delete(own, entry.id)
        assert (await desk.engine.history_root()).root != roots[1].root, "it is deleted on one of them alone"


@in_virtual_time
async def test_texts_to_oneself_are_saved_of_a_damaged_profile_without_what_states_say(
    tmp_path: Path,
) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        await invite(ada, ben)
        await talk(ada, ben, "hello")
        await write(ada, "saved")
        await ada.engine.rename(await ada.contact(ben), "Benny")
        whole = await back_up(ada, tmp_path / "whole")
        await ada.stop()
        view = await asyncio.to_thread(salvage, ada.folder, tmp_path / "saved")
        assert (view.backup.root, view.backup.conversations, view.entries, view.bodies) == (
            whole.root,
            2,
            0,
            0,
        )


def _records(path: Path) -> Iterator[list[tuple[Record, ParsedEntry | None]]]:
    return BackupReader(path, BACKUP).read(RecordReader())
