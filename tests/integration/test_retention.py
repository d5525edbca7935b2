"""What a device of a person keeps: old texts leave it alone, and come back when they are wanted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from chat.interface import (
    AlertKind,
    DeletionScope,
    EntryAdded,
    EntryFilled,
    EntryReturned,
    NotPermitted,
    UsageError,
)
from chat.network.links import LiveLink
from chat.service.retention import OPEN_FOR, OPEN_MAX
from chat.storage import checks, entries
from chat.storage import reliance as relied
from chat.storage import retention as stored
from chat.storage.retention import Group
from protocol.entries_and_receipts import STORED, conversation_of_two
from protocol.messages import Entry, Message, PassedReceipt, Receipt
from tests.integration.steps import current
from tests.integration.test_amendments import WORD, arrived, left_in, shown
from tests.integration.test_backup import BACKUP, restore_into
from tests.integration.test_shared_contacts import SETTLED, two_devices
from tests.support.engines import devices
from tests.support.engines.engines import DEFAULTS, Person, in_virtual_time, pair, people, talk
from tests.support.fakes.network import Network

DAY = 86_400.0


@asynccontextmanager
async def with_an_old_history(
    folder: Path,
) -> AsyncIterator[tuple[Network, Person, Person, Person, tuple[str, str]]]:
    """Ada's desk and laptop, and Ben: a text of each of them is two days old, read and delivered."""
    async with two_devices(folder) as (network, desk, laptop, ben, _):
        theirs = await talk(ben, desk, f"the {WORD} of Ben")
        mine = await talk(desk, ben, f"the {WORD} of Ada")
        await desk.engine.mark_all_read(await desk.contact(ben))
        await asyncio.sleep(SETTLED)
        pass_time(2 * DAY, desk, laptop, ben)
        await talk(ben, desk, "young")
        await asyncio.sleep(SETTLED)
        yield network, desk, laptop, ben, (theirs, mine)


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
async def test_two_devices_that_both_let_go_keep_what_is_nowhere_else(tmp_path: Path) -> None:
    async with with_an_old_history(tmp_path) as (_, desk, laptop, ben, _):
        await asyncio.gather(desk.engine.keep(1), laptop.engine.keep(1))
        await asyncio.sleep(2 * 3_700)
        assert await kinds(desk, ben) == await kinds(laptop, ben) == ["text"] * 3
        await desk.engine.keep(0)
        await asyncio.sleep(3_700)
        assert await kinds(desk, ben) == ["text"] * 3
        assert await kinds(laptop, ben) == ["elsewhere", "elsewhere", "text"]
        await desk.engine.keep(1)
        await asyncio.sleep(3_700)
        assert await kinds(desk, ben) == ["text"] * 3, "the laptop has let go of them"


@in_virtual_time(limit=8 * 3_600)
async def test_a_device_that_does_not_hold_a_text_is_not_relied_upon(tmp_path: Path) -> None:
    async with with_an_old_history(tmp_path) as (_, desk, laptop, ben, (theirs, mine)):
        await desk.engine.delete(await desk.contact(ben), theirs)
        await laptop.engine.keep(1)
        await asyncio.sleep(SETTLED)
        views = {view.id: view.kind for view in await laptop.history(ben)}
        assert (views[theirs], views[mine]) == ("text", "elsewhere")


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
        await laptop.engine.keep(1)
        await asyncio.sleep(SETTLED)
        assert await kinds(laptop, ben) == ["text"], "its last edit is young"
        pass_time(2 * DAY, desk, laptop, ben)
        await asyncio.sleep(3_700)
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
async def test_the_only_device_keeps_all_unless_its_person_insists(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        await pair(ada, ben)
        await talk(ben, ada, f"a {WORD}")
        waiting = await talk(ada, ben, "mine")
        await ada.engine.mark_all_read(await ada.contact(ben))
        await asyncio.sleep(SETTLED)
        pass_time(2 * DAY, ada, ben)
        with pytest.raises(NotPermitted):
            await ada.engine.keep(1)
        with pytest.raises(UsageError):
            await ada.engine.keep(-1)
        await asyncio.sleep(3_700)
        assert await kinds(ada, ben) == ["text", "text"]
        await ada.engine.keep(1, alone=True)
        await asyncio.sleep(SETTLED)
        views = {view.id: (view.kind, view.kept_on) for view in await ada.history(ben)}
        assert set(views.values()) == {("elsewhere", "")}
        assert waiting in views
        assert await kinds(ben, ada) == ["text", "text"]
        await ada.engine.clean()
        assert left_in(ada) == []
        await ada.engine.keep(0)
        await asyncio.sleep(60)
        assert await shown(ada, ben) == await shown(ben, ada)


@in_virtual_time(limit=8 * 3_600)
async def test_a_clock_that_was_set_lets_nothing_go_for_a_day(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (_, desk, laptop, ben, _):
        await talk(ben, desk, "young")
        await desk.engine.mark_all_read(await desk.contact(ben))
        await laptop.engine.keep(30)
        await asyncio.sleep(3_700)
        laptop.clock.offset_ms += 366 * 86_400_000
        await asyncio.sleep(2 * 3_700)
        assert await kinds(laptop, ben) == ["text"]
        laptop.clock.offset_ms = 0
        await asyncio.sleep(3_700)
        assert await kinds(laptop, ben) == ["text"]


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
async def test_what_a_device_says_unasked_or_of_others_lets_nothing_go(tmp_path: Path) -> None:
    async with with_an_old_history(tmp_path) as (_, desk, laptop, ben, (theirs, mine)):
        talk_id = conversation_of_two(desk.peer.person, ben.peer.person)
        desks, bens = [bytes.fromhex((await one.engine.me()).terminal) for one in (desk, ben)]
        retained = laptop.engine._use_cases.retention
        retained._ask = lambda *_: None  # type: ignore[method-assign]
        await laptop.engine.keep(1)
        await asyncio.sleep(SETTLED)
        ids = sorted(map(bytes.fromhex, (theirs, mine)))
        for terminal in (desks, bens):
            await current(desk, laptop).driver.send(PassedReceipt(talk_id, terminal, STORED, ids))
        await asyncio.sleep(SETTLED)
        assert await kinds(laptop, ben) == ["text"] * 3


@pytest.mark.parametrize("restarts", [False, True])
@in_virtual_time(limit=8 * 3_600)
async def test_what_a_removed_device_kept_comes_back_from_contacts(tmp_path: Path, *, restarts: bool) -> None:
    async with with_an_old_history(tmp_path) as (_, desk, _, ben, _):
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
        await asyncio.sleep(3_700)
        assert await kinds(desk, ben) == ["text"] * 3
        await checked(desk)


@in_virtual_time(limit=8 * 3_600)
async def test_a_restored_backup_brings_what_no_device_keeps(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        await pair(ada, ben)
        await talk(ben, ada, f"a {WORD}")
        await ada.engine.mark_all_read(await ada.contact(ben))
        await asyncio.sleep(SETTLED)
        pass_time(2 * DAY, ada, ben)
        await ada.engine.back_up(str(tmp_path / "backup"), BACKUP)
        await ada.engine.keep(1, alone=True)
        await asyncio.sleep(SETTLED)
        assert await kinds(ada, ben) == ["elsewhere"]
        await ben.stop()
        await ada.stop()
        restore_into(ada.folder, tmp_path / "backup")
        await ada.start()
        await asyncio.sleep(2 * 3_700)
        assert await kinds(ada, ben) == ["text"], "until the next choice"
        await ada.engine.keep(1, alone=True)
        await asyncio.sleep(SETTLED)
        assert await kinds(ada, ben) == ["elsewhere"]


@in_virtual_time(limit=8 * 3_600)
async def test_a_text_that_was_written_under_a_wrong_clock_stays_on_the_only_device(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        await pair(ada, ben)
        await talk(ben, ada, "an old one")
        await ada.engine.mark_all_read(await ada.contact(ben))
        await asyncio.sleep(SETTLED)
        pass_time(2 * DAY, ada, ben)
        await talk(ben, ada, "a young one")
        await ada.engine.mark_all_read(await ada.contact(ben))
        ada.clock.offset_ms -= 400 * 86_400_000
        await talk(ada, ben, "with a wrong clock")
        ada.clock.offset_ms = 0
        await asyncio.sleep(SETTLED)
        await ada.engine.keep(1, alone=True)
        await asyncio.sleep(2 * 3_700)
        assert await kinds(ada, ben) == ["elsewhere", "text", "text"]
        pass_time(2 * DAY, ada, ben)
        await asyncio.sleep(2 * 3_700)
        assert await kinds(ada, ben) == ["elsewhere"] * 3


@in_virtual_time(limit=8 * 3_600)
async def test_a_choice_while_texts_are_taken_back_counts_for_all_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "PIECE", 1)
    async with with_an_old_history(tmp_path) as (_, desk, laptop, ben, _):
        await laptop.engine.keep(1)
        await asyncio.sleep(SETTLED + 10)
        assert await kinds(laptop, ben) == ["elsewhere", "elsewhere", "text"]
        pass_time(8 * DAY, desk, laptop, ben)
        store = laptop.engine._use_cases.store
        write, looked_at = store.write, list[object]()

        async def choosing(work: Any, *args: Any, **more: Any) -> Any:
            done = await write(work, *args, **more)
            if work is stored.take_back and not looked_at:
                looked_at.append(done)
                await write(stored.keep, 0, (laptop.clock.wall(), *laptop.clock.boot()), alone=False)
            return done

        store.write = choosing  # type: ignore[method-assign]
        await laptop.engine.keep(2)
        await asyncio.sleep(60)
        assert looked_at
        assert await kinds(laptop, ben) == ["text"] * 3


@pytest.mark.parametrize("answers", [False, True])
@in_virtual_time(limit=8 * 3_600)
async def test_few_questions_of_a_link_wait_for_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, answers: bool
) -> None:
    async with with_an_old_history(tmp_path) as (_, desk, laptop, _, _):
        groups = [Group(b"", bytes([n]) * 32, (n,), (bytes([n]) * 32,)) for n in range(40)]
        monkeypatch.setattr(stored, "due", lambda _, after, __, **_more: ([] if after else groups, None))
        monkeypatch.setattr(relied, "held_among", lambda _, __, ids: (list(ids) if answers else [], []))
        heard, counted = list[bytes](), list[bytes]()
        asks, retained = desk.engine._use_cases.retention, laptop.engine._use_cases.retention
        hear = asks._hear

        async def hearing(link: LiveLink, message: PassedReceipt) -> None:
            heard.append(message.conversation)
            await hear(link, message)

        async def goes(ids: Sequence[bytes], holder: bytes) -> None:
            counted.extend(ids)

        asks._hear = hearing  # type: ignore[method-assign]
        retained._let_go = goes  # type: ignore[method-assign]
        await laptop.engine.keep(1)
        await asyncio.sleep(DEFAULTS.keep_round_after + OPEN_FOR / 2)
        assert len(heard) == (40 if answers else OPEN_MAX)
        await asyncio.sleep(OPEN_FOR)
        assert len(heard) == (40 if answers else 2 * OPEN_MAX)
        await asyncio.sleep(OPEN_FOR)
        assert [len(heard), len(counted)] == [40, 40 if answers else 0]
