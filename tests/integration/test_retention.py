"""What a device of a person keeps: old texts leave it, once the keeper holds them, and come back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from chat.interface import AlertKind, DeletionScope, EntryAdded, EntryFilled, EntryReturned, UsageError
from chat.network.links import LiveLink
from chat.service import retention as retained
from chat.storage import checks, entries, persons
from chat.storage.database import Database
from protocol.entries_and_receipts import STORED, conversation_of_two
from protocol.messages import Entry, Message, PassedReceipt, Receipt
from tests.integration.steps import current
from tests.integration.test_amendments import WORD, arrived, left_in, shown
from tests.integration.test_shared_contacts import SETTLED, two_devices
from tests.support.engines import devices
from tests.support.engines.engines import Person, in_virtual_time, talk
from tests.support.fakes.network import Network

DAY = 86_400.0


@asynccontextmanager
async def with_an_old_history(
    folder: Path,
) -> AsyncIterator[tuple[Network, Person, Person, Person, tuple[str, str]]]:
    """Ada's desk, her keeper, and laptop, and Ben: a text of each is two days old, read and delivered."""
    async with two_devices(folder) as (network, desk, laptop, ben, _):
        theirs = await talk(ben, desk, f"the {WORD} of Ben")
        mine = await talk(desk, ben, f"the {WORD} of Ada")
        await desk.engine.mark_all_read(await desk.contact(ben))
        await asyncio.sleep(SETTLED)
        pass_time(2 * DAY, desk, laptop, ben)
        await talk(ben, desk, "young")
        await asyncio.sleep(SETTLED)
        await chooses(desk, desk)
        yield network, desk, laptop, ben, (theirs, mine)


async def chooses(person: Person, keeper: Person | None) -> None:
    """Choose a keeper at one device, and let the others hear of it."""
    chosen = "" if keeper is None else (await keeper.engine.me()).terminal
    await person.engine.choose_keeper(chosen)
    await asyncio.sleep(SETTLED)


def pass_time(seconds: float, *of: Person) -> None:
    """Let the machines sleep for so long."""
    for person in of:
        person.clock.slept_ms += int(seconds * 1_000)


async def kinds(person: Person, other: Person) -> list[str]:
    return [view.kind for view in await person.history(other)]


async def checked(person: Person) -> None:
    """Find nothing wrong in the database."""
    store = person.engine._use_cases.store
    reached: int | None = 0
    while reached is not None:
        reached = await store.read(checks.piece, reached)
    said = {alert.kind for alert in await person.engine.alerts()}
    assert said <= {AlertKind.WORDS}, "what is wrong is mended at once, and said"


@in_virtual_time(limit=8 * 3_600)
async def test_old_texts_leave_one_device_alone_and_come_back_when_all_is_kept_again(tmp_path: Path) -> None:
    async with with_an_old_history(tmp_path) as (_, desk, laptop, ben, _):
        before = [await shown(one, other) for one, other in ((desk, ben), (ben, desk))]
        assert await kinds(laptop, ben) == ["text"] * 3
        await laptop.engine.keep(1)
        await asyncio.sleep(SETTLED)
        assert await kinds(laptop, ben) == ["elsewhere", "elsewhere", "text"]
        name = next(one for one in await laptop.engine.terminals() if not one.this).terminal[:8]
        assert [view.kept_on for view in await laptop.history(ben)] == [f"{name}…", f"{name}…", ""]
        assert (await laptop.engine.retention()).elsewhere == 2
        roots = [await one.engine.history_root() for one in (desk, laptop)]
        assert (roots[0].root, roots[0].elsewhere) == (roots[1].root, 0)
        assert (roots[1].entries, roots[1].elsewhere) == (roots[0].entries, 2)
        written = tmp_path / "all.jsonl"
        await laptop.engine.export(str(written), "jsonl")
        said = [json.loads(line) for line in written.read_text("utf-8").splitlines()]
        assert [line["kind"] for line in said if "kind" in line] == ["elsewhere", "elsewhere", "text"]
        assert (await laptop.engine.back_up(str(tmp_path / "backup"), "its own")).entries == 3
        await laptop.engine.clean()
        assert left_in(laptop) == []
        await checked(laptop)
        assert [await shown(one, other) for one, other in ((desk, ben), (ben, desk))] == before
        await asyncio.sleep(2 * 3_600)
        assert await kinds(laptop, ben) == ["elsewhere", "elsewhere", "text"]
        await laptop.stop()
        await laptop.start()
        await asyncio.sleep(2 * 3_600)
        assert await kinds(laptop, ben) == ["elsewhere", "elsewhere", "text"]
        await laptop.engine.mark_all_read(await laptop.contact(ben))
        heard = len(laptop.seen)
        await laptop.engine.keep(0)
        await asyncio.sleep(60)
        assert await shown(laptop, ben) == await shown(desk, ben)
        assert (await laptop.engine.retention()).elsewhere == 0
        assert [view.unread for view in await laptop.engine.contacts()] == [0]
        news = [event for event in laptop.seen[heard:] if isinstance(event, EntryAdded | EntryFilled)]
        assert (news, len([one for one in laptop.seen if isinstance(one, EntryReturned)])) == ([], 2)
        await checked(laptop)


@in_virtual_time(limit=8 * 3_600)
async def test_what_is_unread_or_has_not_arrived_stays(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (_, desk, laptop, ben, _):
        await ben.stop()
        await asyncio.sleep(SETTLED)
        friend = await laptop.contact(ben)
        await chooses(laptop, desk)
        queued = (await laptop.engine.send(friend, f"a {WORD} that waits")).id
        await asyncio.sleep(SETTLED)
        pass_time(2 * DAY, desk, laptop)
        await laptop.engine.keep(1)
        await asyncio.sleep(SETTLED)
        assert await kinds(laptop, ben) == ["text"], "no terminal of Ben has it"
        ben.clock.slept_ms += int(2 * DAY * 1_000)
        await ben.start()
        arrived_there = ben.wait(EntryAdded, lambda event: event.entry.id == queued)
        await arrived_there
        unread = await talk(ben, laptop, f"an unread {WORD}")
        await asyncio.sleep(SETTLED)
        pass_time(2 * DAY, desk, laptop, ben)
        await asyncio.sleep(3_700)
        views = {view.id: view.kind for view in await laptop.history(ben)}
        assert views == {queued: "elsewhere", unread: "text"}
        await desk.engine.mark_all_read(await desk.contact(ben))
        await asyncio.sleep(3_700)
        assert await kinds(laptop, ben) == ["elsewhere", "elsewhere"]
        assert await kinds(desk, ben) == await kinds(ben, desk) == ["text", "text"]


@in_virtual_time(limit=8 * 3_600)
async def test_a_text_goes_with_its_edits_and_comes_back_with_the_last_one(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (_, desk, laptop, ben, _):
        friend, entry = await desk.contact(ben), await talk(desk, ben, f"a {WORD}")
        change = (await desk.engine.edit(friend, entry, f"another {WORD}")).change
        await arrived(desk, change)
        await asyncio.sleep(SETTLED)
        pass_time(2 * DAY, desk, laptop, ben)
        late = (await desk.engine.edit(friend, entry, f"the last {WORD}")).change
        await arrived(desk, late)
        await asyncio.sleep(SETTLED)
        await chooses(desk, desk)
        await laptop.engine.keep(1)
        await asyncio.sleep(SETTLED)
        assert await kinds(laptop, ben) == ["text"], "its last edit is young"
        pass_time(2 * DAY, desk, laptop, ben)
        await asyncio.sleep(2 * 3_700)
        assert await shown(laptop, ben) == [("elsewhere", "", "")]
        await laptop.engine.clean()
        assert left_in(laptop) == []
        assert await laptop.engine.search(WORD) == ()
        await checked(laptop)
        await laptop.engine.keep(0)
        await asyncio.sleep(60)
        assert await shown(laptop, ben) == await shown(desk, ben) == [("text", f"the last {WORD}", "")]
        assert len(await laptop.engine.search("last")) == 1
        await checked(laptop)


@in_virtual_time(limit=8 * 3_600)
async def test_a_delete_of_a_text_that_is_not_here_is_final(tmp_path: Path) -> None:
    async with with_an_old_history(tmp_path) as (_, desk, laptop, ben, (theirs, _)):
        await laptop.engine.keep(1)
        await asyncio.sleep(SETTLED)
        await ben.engine.delete(await ben.contact(desk), theirs, DeletionScope.EVERYONE)
        await asyncio.sleep(SETTLED)
        assert (await shown(laptop, ben))[0] == ("deleted", "", "author")
        assert (await laptop.engine.retention()).elsewhere == 1
        await checked(laptop)
        await laptop.engine.keep(0)
        await asyncio.sleep(60)
        assert await shown(laptop, ben) == await shown(desk, ben)


@in_virtual_time(limit=8 * 3_600)
async def test_a_new_device_gets_the_history_and_keeps_what_is_young(tmp_path: Path) -> None:
    async with with_an_old_history(tmp_path) as (_, desk, _, ben, _):
        phone = devices.device(desk, tmp_path / "phone", "10.0.0.10", 78)
        pass_time(2 * DAY, phone)
        await devices.link(desk, phone, "phone")
        await phone.engine.keep(1)
        try:
            await asyncio.sleep(3_700)
            assert await kinds(phone, ben) == ["elsewhere", "elsewhere", "text"]
            assert await kinds(desk, ben) == ["text"] * 3
        finally:
            await phone.engine.close()


@in_virtual_time(limit=8 * 3_600)
async def test_a_body_that_comes_again_is_acknowledged_and_not_taken(tmp_path: Path) -> None:
    async with with_an_old_history(tmp_path) as (_, _, laptop, ben, (theirs, _)):
        await laptop.engine.keep(1)
        await asyncio.sleep(SETTLED)
        row = await ben.engine._use_cases.store.read(entries.get, bytes.fromhex(theirs))
        assert row is not None
        heard = list[Receipt]()
        link = current(ben, laptop)
        received = ben.engine._use_cases.sync._handle

        async def handle(on: LiveLink, message: Message) -> None:
            if on is link and isinstance(message, Receipt):
                heard.append(message)
            await received(on, message)

        ben.engine._use_cases.sync._handle = handle  # type: ignore[method-assign,assignment]
        await link.driver.send(Entry(row.header, row.salt, row.body))
        await asyncio.sleep(SETTLED)
        assert [one.ids for one in heard] == [[bytes.fromhex(theirs)]]
        assert (await kinds(laptop, ben))[0] == "elsewhere"
        await laptop.engine.clean()
        assert left_in(laptop) == []


@in_virtual_time(limit=8 * 3_600)
async def test_without_a_keeper_nothing_goes_and_the_keeper_keeps_all(tmp_path: Path) -> None:
    async with with_an_old_history(tmp_path) as (_, desk, laptop, ben, _):
        await chooses(desk, None)
        for one in (desk, laptop):
            with pytest.raises(UsageError):
                await one.engine.keep(-1)
            assert (await one.engine.keep(1)).keeper == ""
        await asyncio.sleep(2 * 3_700)
        assert await kinds(desk, ben) == await kinds(laptop, ben) == ["text"] * 3
        with pytest.raises(UsageError):
            await desk.engine.choose_keeper("ab" * 32)
        await chooses(desk, desk)
        assert (await desk.engine.retention()).keeper == (await desk.engine.me()).terminal
        assert await kinds(laptop, ben) == ["elsewhere", "elsewhere", "text"]
        assert await kinds(desk, ben) == ["text"] * 3, "whatever was chosen there"
        await chooses(desk, laptop)
        await asyncio.sleep(3_700)
        assert await kinds(laptop, ben) == ["text"] * 3, "the new keeper has it back"
        assert await kinds(desk, ben) == ["elsewhere", "elsewhere", "text"]
        await checked(desk)
        await checked(laptop)


@in_virtual_time(limit=8 * 3_600)
async def test_a_keeper_that_is_replaced_ends_what_it_said_and_nothing_is_lost(tmp_path: Path) -> None:
    """Three devices; the former keeper lets go of what the next one holds, and that was the only one left."""
    async with with_an_old_history(tmp_path) as (network, desk, laptop, ben, _):
        phone = devices.device(desk, tmp_path / "phone", "10.0.0.10", 78)
        pass_time(2 * DAY, phone)
        await devices.link(desk, phone, "phone")
        try:
            await asyncio.sleep(60)
            await asyncio.gather(laptop.engine.keep(1), phone.engine.keep(1))
            await asyncio.sleep(SETTLED + 10)
            gone = ["elsewhere", "elsewhere", "text"]
            assert await kinds(laptop, ben) == await kinds(phone, ben) == gone
            for one in (desk, laptop, phone):
                network.part(one.host, ben.host)
            await desk.engine.keep(1)
            await chooses(laptop, phone)
            await asyncio.sleep(3_700)
            assert await kinds(phone, ben) == ["text"] * 3, "filled by the desk before that let go"
            assert await kinds(laptop, ben) == await kinds(desk, ben) == gone
            name = {view.kept_on for view in await laptop.history(ben) if view.kept_on}
            assert name == {"phone"}
            roots = {(await one.engine.history_root()).root for one in (desk, laptop, phone)}
            assert len(roots) == 1
        finally:
            await phone.engine.close()


@in_virtual_time(limit=8 * 3_600)
async def test_what_the_keeper_lacks_is_filled_to_it_before_the_others_let_go(tmp_path: Path) -> None:
    """It asks nobody again who passed the header alone; who got the body since sends it by itself."""
    async with two_devices(tmp_path) as (network, desk, laptop, ben, _):
        network.part(desk.host, ben.host)
        sent = bytes.fromhex(await talk(ben, laptop, f"a {WORD}"))
        await laptop.engine.mark_all_read(await laptop.contact(ben))
        await asyncio.sleep(SETTLED)
        store, by = desk.engine._use_cases.store, bytes.fromhex((await laptop.engine.me()).terminal)

        def lose(database: Database) -> None:
            """As if the laptop had lacked the body when the desk asked it."""
            number = database.value("SELECT number FROM entries WHERE id = ?", sent)
            database.run("DELETE FROM bodies WHERE entry = ?", number)
            database.run(
                "INSERT INTO headers_alone (entry, terminal) VALUES (?, ?)",
                *(number, persons.terminal_number(database, by)),
            )

        await store.write(lose)
        pass_time(2 * DAY, desk, laptop, ben)
        await chooses(desk, desk)
        assert await kinds(desk, ben) == ["missing"]
        await laptop.stop()
        await laptop.start()
        await laptop.engine.keep(1)
        await asyncio.sleep(120)
        assert (await kinds(desk, ben), await kinds(laptop, ben)) == (["text"], ["elsewhere"])


@in_virtual_time(limit=8 * 3_600)
async def test_what_the_keeper_lost_comes_back_from_contacts_and_stays_where_nobody_else_has_it(
    tmp_path: Path,
) -> None:
    async with with_an_old_history(tmp_path) as (_, desk, laptop, ben, (theirs, mine)):
        await laptop.engine.keep(1)
        await asyncio.sleep(SETTLED)
        assert await kinds(laptop, ben) == ["elsewhere", "elsewhere", "text"]
        friend = await desk.contact(ben)
        await ben.engine.delete(await ben.contact(desk), mine, DeletionScope.HERE)
        for one in (theirs, mine):
            await desk.engine.delete(friend, one, DeletionScope.HERE)
        await asyncio.sleep(2 * 3_700)
        views = {view.id: (view.kind, view.kept_on) for view in await laptop.history(ben)}
        assert (views[theirs], views[mine]) == (("text", ""), ("missing", ""))
        await checked(laptop)


@in_virtual_time(limit=8 * 3_600)
async def test_a_keeper_from_an_old_image_gets_back_what_contacts_have(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (_, desk, laptop, ben, _):
        await chooses(desk, desk)
        theirs = await talk(ben, desk, f"the {WORD} of Ben")
        await desk.engine.mark_all_read(await desk.contact(ben))
        await asyncio.sleep(SETTLED)
        pass_time(2 * DAY, desk, laptop, ben)
        await laptop.engine.keep(1)
        await asyncio.sleep(SETTLED)
        assert await kinds(laptop, ben) == ["elsewhere"]
        store = desk.engine._use_cases.store

        def older(database: Database) -> None:
            """As an image from before the text came."""
            number = database.value("SELECT number FROM entries WHERE id = ?", bytes.fromhex(theirs))
            database.run("DELETE FROM bodies WHERE entry = ?", number)
            database.run("INSERT INTO headers_alone (entry, terminal) VALUES (?, 0)", number)

        await store.write(older)
        await desk.stop()
        await desk.start()
        await asyncio.sleep(120)
        assert (await kinds(desk, ben), await kinds(laptop, ben)) == (["text"], ["elsewhere"])


@in_virtual_time(limit=8 * 3_600)
async def test_what_a_device_says_unasked_or_that_is_not_the_keeper_lets_nothing_go(tmp_path: Path) -> None:
    async with with_an_old_history(tmp_path) as (_, desk, laptop, ben, (theirs, mine)):
        talk_id = conversation_of_two(desk.peer.person, ben.peer.person)
        desks, bens = [bytes.fromhex((await one.engine.me()).terminal) for one in (desk, ben)]
        ids = sorted(map(bytes.fromhex, (theirs, mine)))

        async def says() -> None:
            for terminal in (desks, bens):
                await current(desk, laptop).driver.send(PassedReceipt(talk_id, terminal, STORED, ids))
            await asyncio.sleep(SETTLED)

        await says()
        laptop.engine._use_cases.retention._ask = no_answer  # type: ignore[method-assign,assignment]
        await laptop.engine.keep(1)
        await says()
        assert await kinds(laptop, ben) == ["text"] * 3


async def no_answer(*_: object) -> bool:
    return False


@in_virtual_time(limit=8 * 3_600)
async def test_what_was_asked_before_another_keeper_was_chosen_counts_no_more(tmp_path: Path) -> None:
    """The answer comes after the choice: by then the one that gave it may have let go."""
    async with with_an_old_history(tmp_path) as (_, desk, laptop, ben, _):
        parts = laptop.engine._use_cases.retention
        hear, heard = parts._hear, list[PassedReceipt]()

        async def hears(_: LiveLink, message: PassedReceipt) -> None:
            heard.append(message)

        parts._hear = hears  # type: ignore[method-assign,assignment]
        await laptop.engine.keep(1)
        await asyncio.sleep(SETTLED)
        asked = parts._question
        assert asked is not None
        await laptop.engine.choose_keeper((await laptop.engine.me()).terminal)
        await laptop.engine.choose_keeper((await desk.engine.me()).terminal)
        for message in heard:
            await hear(asked.link, message)
        assert ([one.kind for one in heard], await kinds(laptop, ben)) == ([STORED], ["text"] * 3)


@in_virtual_time(limit=8 * 3_600)
async def test_a_keeper_that_does_not_answer_is_asked_again_in_an_hour(tmp_path: Path) -> None:
    async with with_an_old_history(tmp_path) as (_, desk, laptop, ben, _):
        heard = list[PassedReceipt]()
        keeper = desk.engine._use_cases.retention

        async def hears(_: LiveLink, message: PassedReceipt) -> None:
            heard.append(message)

        answers, keeper._answer = keeper._answer, hears  # type: ignore[method-assign,assignment]
        await laptop.engine.keep(1)
        await asyncio.sleep(retained.EVERY / 2)
        assert len(heard) == 1
        keeper._answer = answers  # type: ignore[method-assign]
        await asyncio.sleep(retained.EVERY)
        assert await kinds(laptop, ben) == ["elsewhere", "elsewhere", "text"]


@in_virtual_time(limit=8 * 3_600)
async def test_a_device_that_is_linked_to_keep_days_lets_go_of_what_came_to_it(tmp_path: Path) -> None:
    async with with_an_old_history(tmp_path) as (_, desk, _, ben, _):
        phone = devices.device(desk, tmp_path / "phone", "10.0.0.10", 78)
        pass_time(2 * DAY, phone)
        await devices.link(desk, phone, "phone", keep=1)
        try:
            await asyncio.sleep(2 * 3_700)
            assert (await phone.engine.retention()).days == 1
            assert await kinds(phone, ben) == ["elsewhere", "elsewhere", "text"]
        finally:
            await phone.engine.close()


@pytest.mark.parametrize("restarts", [False, True])
@in_virtual_time(limit=8 * 3_600)
async def test_what_a_removed_keeper_held_comes_back_from_contacts(tmp_path: Path, *, restarts: bool) -> None:
    async with with_an_old_history(tmp_path) as (_, desk, laptop, ben, _):
        await chooses(desk, laptop)
        await desk.engine.keep(1)
        await asyncio.sleep(SETTLED)
        assert await kinds(desk, ben) == ["elsewhere", "elsewhere", "text"]
        other = next(one for one in await desk.engine.terminals() if not one.this)
        await desk.engine.remove_terminal(other.terminal)
        if restarts:
            await desk.stop()
            await desk.start()
        await asyncio.sleep(60)
        assert await shown(desk, ben) == await shown(ben, desk)
        assert [view.unread for view in await desk.engine.contacts()] == [1], "the young one"
        assert (await desk.engine.retention()).keeper == ""
        await asyncio.sleep(3_700)
        assert await kinds(desk, ben) == ["text"] * 3 + ["cut"]
        await checked(desk)
