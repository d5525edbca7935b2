"""History that moves to another own terminal: the newest first, cuts, and progress (SPEC §7.8.3)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import islice, pairwise
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from msgspec.structs import replace

from chat.interface import DeletionScope, EntryAdded, HistoryMoving, HistoryRoot
from chat.network.links import LiveLink
from chat.service.moving import Answers, Asked
from chat.storage import entries, siblings
from chat.storage.database import Database
from chat.storage.siblings import NEWEST
from protocol.entries_and_receipts import (
    KIND_DELETE,
    KIND_EDIT,
    KIND_STATE,
    KIND_TEXT,
    READ,
    STORED,
    ParsedEntry,
    conversation_of_two,
    parse_entry,
    sign_entry,
    text_body,
    write_entry,
)
from protocol.messages import Entry, Message
from protocol.own_terminals import Mark
from tests.integration.steps import current, dial, now
from tests.integration.test_old_copies import keep, put_back
from tests.integration.test_own_terminals import LAPTOP, apart, desk_and_laptop, linked, terminal_of, unread
from tests.support.engines.engines import Person, in_virtual_time, pair, people
from tests.support.engines.terminals import add_terminal
from tests.support.fakes.network import Network

LONG = 700
MINUTE = 60_000
TALK = 60  # seconds, in which two contacts exchange all that they wrote
CUTS = 3


async def write_many(person: Person, other: Person, count: int, since: int = 0) -> list[bytes]:
    """Texts that a person wrote to a contact, a minute apart; their ids. None of it goes out yet."""
    parts = person.engine._use_cases
    own, talk = parts.keyring.own, conversation_of_two(person.peer.person, other.peer.person)
    before = person.clock.wall() - 10_000 * MINUTE + since

    def write(database: Any) -> list[bytes]:
        new = list[ParsedEntry]()
        place = entries.next_place(database, talk, own.terminal, b"12345678", parts.keyring.own_log.heads)
        for number in range(count):
            body, time = text_body(f"text {number}"), before + number * MINUTE
            bare = write_entry(place, time, KIND_TEXT, body, own.first_self_key, parts.runtime.random)
            new.append(sign_entry(bare, own.signing_seed))
            last = new[-1].header.sequence, new[-1].id
            place = replace(place, previous=last, parents=[])
        entries.insert_all(database, new, own.terminal, contact=other.peer.person)
        return [one.id for one in new]

    return await parts.store.write(write)


class Wire:
    """What entries one terminal sends to its other own terminals, by link; `then` is called after each."""

    def __init__(self, person: Person) -> None:
        self.links = list[list[ParsedEntry]]()
        self.then: Callable[[LiveLink, int], object] = lambda _link, _sent: None
        self.pause = 0.0
        forwarding = person.engine._use_cases.forwarding
        opened = forwarding.opened

        def noted(link: LiveLink, deleted: set[bytes]) -> Any:
            outgoing = opened(link, deleted)
            if outgoing is not None:
                self._listen(link)
            return outgoing

        forwarding.opened = noted  # type: ignore[method-assign]

    def _listen(self, link: LiveLink) -> None:
        send, sent = link.driver.send, list[ParsedEntry]()
        self.links.append(sent)

        async def sending_all(messages: Iterable[Message]) -> None:
            for message in messages:
                await sending(message)

        async def sending(message: Message) -> None:
            if not link.driver.link.is_open:
                return
            await send(message)
            # The notes are in order throughout.
            if isinstance(message, Entry) and (entry := parse_entry(message)).header.kind != KIND_STATE:
                sent.append(entry)
                self.then(link, len(sent))
                if self.pause:
                    await asyncio.sleep(self.pause)

        link.driver.send = sending  # type: ignore[method-assign]
        link.driver.send_all = sending_all  # type: ignore[method-assign]

    @property
    def entries(self) -> list[bytes]:
        """The ids of all, in order."""
        return [one.id for sent in self.links for one in sent]


@asynccontextmanager
async def long_history(folder: Path) -> AsyncIterator[tuple[Network, Person, Person, Person, list[bytes]]]:
    """Ada's desk, where she wrote a lot to Ben, who is away; her laptop, which has nothing yet; the ids."""
    async with people(folder, "Ada", "Ben") as (network, (desk, ben)):
        await pair(desk, ben)
        await ben.stop()
        ids = await write_many(desk, ben, LONG)
        laptop = await add_terminal(desk, LAPTOP)
        network.part(desk.host, laptop.host)
        try:
            yield network, desk, laptop, ben, ids
        finally:
            await laptop.engine.close()


async def meets(network: Network, one: Person, other: Person) -> None:
    """They have a link again, which one of them begins."""
    network.join(one.host, other.host)
    await asyncio.sleep(30)
    if not linked(one, other):
        await dial(one, other)


async def moved(to: Person, root: HistoryRoot, seconds: int = 300) -> None:
    """Wait until a terminal has a whole history."""
    for _ in range(seconds):
        if await to.engine.history_root() == root:
            return
        await asyncio.sleep(1)
    raise AssertionError("the history has not come")


async def whole(desk: Person) -> HistoryRoot:
    return await desk.engine.history_root()


async def gaps(person: Person) -> int:
    """How often a terminal notes that another one lacks what is missing here."""
    store = person.engine._use_cases.store
    return int(await store.read(lambda database: database.value("SELECT count(*) FROM gaps")))


def moves(person: Person) -> list[HistoryMoving]:
    return [event for event in person.seen if isinstance(event, HistoryMoving)]


@in_virtual_time
async def test_the_newest_entries_come_first_and_all_others_in_their_order(tmp_path: Path) -> None:
    async with long_history(tmp_path) as (network, desk, laptop, ben, ids):
        wire, shown = Wire(desk), list[list[str]]()

        async def look() -> None:
            shown.append([one.text for one in await laptop.engine.history(await laptop.contact(ben), NEWEST)])

        def pause(link: LiveLink, sent: int) -> None:
            wire.pause = 5.0 if sent == NEWEST else 0.0
            if sent == NEWEST + 1:
                tasks.append(asyncio.ensure_future(look()))

        tasks = list[Any]()
        wire.then = pause
        await meets(network, desk, laptop)
        await moved(laptop, await whole(desk))
        assert wire.entries == [*ids[-NEWEST:], *ids[:-NEWEST]]
        await asyncio.gather(*tasks)
        assert shown == [[f"text {number}" for number in range(LONG - NEWEST, LONG)]]
        assert [one.text for one in await laptop.engine.history(await laptop.contact(ben), 1_000)] == [
            f"text {number}" for number in range(LONG)
        ]


@in_virtual_time
async def test_the_conversation_with_the_latest_activity_comes_first_and_the_newest_of_each_before_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what was asked before the answers begin: both conversations."""
    asked, add, step = asyncio.Event(), Answers.add, Answers.step

    def counted(answers: Answers, page: Asked) -> None:
        add(answers, page)
        if len([one for one in answers._asked if one.latest]) == 2:
            asked.set()

    async def once_all_asked(answers: Answers) -> bool:
        await asked.wait()
        return await step(answers)

    monkeypatch.setattr(Answers, "add", counted)
    monkeypatch.setattr(Answers, "step", once_all_asked)
    async with people(tmp_path, "Ada", "Ben", "Cleo") as (network, (desk, ben, cleo)):
        for friend in (ben, cleo):
            await pair(desk, friend)
            await friend.stop()
        old = await write_many(desk, ben, 200)
        new = await write_many(desk, cleo, 200, since=1_000 * MINUTE)
        laptop = await add_terminal(desk, LAPTOP)
        network.part(desk.host, laptop.host)
        try:
            wire = Wire(desk)
            await meets(network, desk, laptop)
            await moved(laptop, await whole(desk))
            first = [*new[-NEWEST:], *old[-NEWEST:]]
            assert wire.entries == [*first, *new[:-NEWEST], *old[:-NEWEST]]
        finally:
            await laptop.engine.close()


@in_virtual_time
async def test_what_amends_the_newest_entries_comes_with_them(tmp_path: Path) -> None:
    async with long_history(tmp_path) as (network, desk, laptop, ben, ids):
        friend = await desk.contact(ben)
        await desk.engine.edit(friend, ids[-3].hex(), "changed")
        await desk.engine.delete(friend, ids[-4].hex(), DeletionScope.EVERYONE)
        await desk.engine.edit(friend, ids[5].hex(), "changed long ago")
        wire = Wire(desk)
        await meets(network, desk, laptop)
        await moved(laptop, await whole(desk))
        kinds = [one.header.kind for one in wire.links[0][: NEWEST + 3]]
        assert kinds == [*[KIND_TEXT] * NEWEST, KIND_EDIT, KIND_DELETE, KIND_EDIT]
        assert not any(one.salt for one in wire.links[0] if one.id == ids[-4])
        assert await laptop.texts(ben) == await desk.texts(ben)


@pytest.mark.parametrize("place", [10, NEWEST, NEWEST + 1, 300, LONG - 1])
@in_virtual_time
async def test_a_move_that_is_cut_goes_on_where_it_was(tmp_path: Path, place: int) -> None:
    async with long_history(tmp_path) as (network, desk, laptop, _, ids):
        wire, arrived = Wire(desk), list[int]()

        def cut(link: LiveLink, sent: int) -> None:
            wire.pause = 0.0 if arrived else 0.01
            if sent == place and not arrived:
                arrived.append(sum(isinstance(event, EntryAdded) for event in laptop.seen))
                link.driver.abort()

        wire.then = cut
        await meets(network, desk, laptop)
        await moved(laptop, await whole(desk))
        assert len(wire.links) > 1
        assert set(wire.entries) == set(ids)
        assert place - 2 <= arrived[0] <= place
        assert len(wire.links[1]) <= LONG - arrived[0] + NEWEST
        wire.links.clear()
        await laptop.stop()
        await laptop.start()
        await asyncio.sleep(60)
        assert linked(desk, laptop)
        assert wire.entries == []


@in_virtual_time
async def test_a_move_that_is_cut_late_on_each_link_goes_on_all_the_same(tmp_path: Path) -> None:
    """Entries that come again with nothing before them say nothing until the answer is over."""
    async with long_history(tmp_path) as (network, desk, laptop, _, _):
        wire = Wire(desk)

        def cut(link: LiveLink, sent: int) -> None:
            wire.pause = 40.0 if sent in (NEWEST, NEWEST + 100) else 0.0
            if sent == NEWEST + 101 and len(wire.links) < 4:
                link.driver.abort()

        wire.then = cut
        root, noted = await whole(desk), set[int]()
        await meets(network, desk, laptop)
        while await whole(laptop) != root:
            noted.add(await gaps(laptop))
            await asyncio.sleep(1)
        assert len(wire.links) >= 4
        assert noted == {0}


@in_virtual_time
async def test_a_terminal_gets_from_one_that_was_in_the_middle_what_came_there_later(tmp_path: Path) -> None:
    """The phone asks the laptop, which has the newest entries alone; the desk it never meets."""
    async with long_history(tmp_path) as (network, desk, laptop, ben, _):
        wire = Wire(desk)

        def cut(link: LiveLink, sent: int) -> None:
            if sent == NEWEST + 200:
                network.part(desk.host, laptop.host)
                link.driver.abort()

        wire.then = cut
        await meets(network, desk, laptop)
        await asyncio.sleep(60)
        assert 0 < (await whole(laptop)).entries < LONG
        phone = await add_terminal(laptop, "10.0.0.8")
        network.part(desk.host, phone.host)
        try:
            await asyncio.sleep(100)
            assert (await whole(phone)).entries == (await whole(laptop)).entries
            await phone.stop()
            await _say(laptop, ben, "by the laptop")
            await phone.start()
            await asyncio.sleep(100)
            assert await gaps(phone) == 1  # the laptop has answered, and is not asked again for nothing
            wire.then = lambda _link, _sent: None
            await meets(network, desk, laptop)
            await asyncio.sleep(100)
            assert (await whole(desk)).entries == LONG + 1
            await moved(laptop, await whole(desk))
            await moved(phone, await whole(desk))
        finally:
            await phone.engine.close()


@in_virtual_time
async def test_an_older_copy_of_the_middle_of_a_move_is_made_whole(tmp_path: Path) -> None:
    async with long_history(tmp_path) as (network, desk, laptop, _, _):
        wire = Wire(desk)

        def cut(link: LiveLink, sent: int) -> None:
            if sent == NEWEST + 100:
                network.part(desk.host, laptop.host)
                link.driver.abort()

        wire.then = cut
        await meets(network, desk, laptop)
        await asyncio.sleep(60)
        await laptop.stop()
        keep(laptop, tmp_path / "copy")
        await laptop.start()
        wire.then = lambda _link, _sent: None
        await meets(network, desk, laptop)
        await moved(laptop, await whole(desk))
        await laptop.stop()
        put_back(laptop, tmp_path / "copy")
        await laptop.start()
        assert (await whole(laptop)).entries < LONG
        await moved(laptop, await whole(desk))


@in_virtual_time
async def test_progress_is_told_once_a_second_until_all_is_there(tmp_path: Path) -> None:
    async with long_history(tmp_path) as (network, desk, laptop, _, _):
        wire, times = Wire(desk), list[float]()
        wire.pause = 0.01
        laptop.watch(lambda event: times.append(now()) if isinstance(event, HistoryMoving) else None)
        await meets(network, desk, laptop)
        await moved(laptop, await whole(desk))
        await asyncio.sleep(2)
        told = moves(laptop)
        total = (await whole(desk)).entries
        assert {(one.source, one.total) for one in told} == {(f"{terminal_of(desk)[:8]}…", total)}
        assert [one.moves for one in told] == [*[True] * (len(told) - 1), False]
        assert len(told) >= 7
        held = [one.held for one in told]
        assert held == sorted(held)
        assert held[0] < 100
        assert held[-2] < held[-1] == total
        assert all(after - before >= 0.999 for before, after in pairwise(times))
        assert moves(desk) == []


@in_virtual_time
async def test_progress_ends_with_the_link_and_goes_on_with_the_next_one(tmp_path: Path) -> None:
    async with long_history(tmp_path) as (network, desk, laptop, _, _):
        wire = Wire(desk)
        wire.pause = 0.01

        def cut(link: LiveLink, sent: int) -> None:
            if sent == 300 and len(wire.links) == 1:
                link.driver.abort()

        wire.then = cut
        ended = laptop.wait(HistoryMoving, lambda event: not event.moves)
        again = laptop.wait(HistoryMoving, lambda event: event.moves and ended.done())
        await meets(network, desk, laptop)
        event = await ended
        assert 0 < event.held < event.total == (await whole(desk)).entries
        assert (await again).held >= event.held
        await moved(laptop, await whole(desk))
        await asyncio.sleep(2)
        assert (moves(laptop)[-1].held, moves(laptop)[-1].moves) == (event.total, False)


@in_virtual_time
async def test_of_a_few_entries_no_progress_is_told(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (desk, ben)):
        await pair(desk, ben)
        await ben.stop()
        await write_many(desk, ben, 60)
        laptop = await add_terminal(desk, LAPTOP)
        try:
            await moved(laptop, await whole(desk))
            await asyncio.sleep(5)
            assert moves(laptop) == []
        finally:
            await laptop.engine.close()


@in_virtual_time
async def test_what_is_written_in_the_middle_of_a_move_waits_for_nothing(tmp_path: Path) -> None:
    async with long_history(tmp_path) as (network, desk, laptop, ben, _):
        wire, written = Wire(desk), list[asyncio.Future[Any]]()
        there = laptop.wait(EntryAdded, lambda event: event.entry.text == "now")

        def write(_: LiveLink, sent: int) -> None:
            if sent == 100:
                wire.pause = 0.01
                written.append(asyncio.ensure_future(_say(desk, ben, "now")))

        wire.then = write
        await meets(network, desk, laptop)
        await there
        place = [one.said.text for one in wire.links[0] if one.said is not None].index("now")
        assert place < 100 + 2 * 256
        await asyncio.gather(*written)
        await moved(laptop, await whole(desk))


async def _say(one: Person, other: Person, text: str) -> None:
    await one.engine.send(await one.contact(other), text)


async def marks(person: Person, other: Person, ids: Collection[bytes]) -> set[Mark]:
    """The marks of some entries of a conversation."""

    def read(database: Database) -> set[Mark]:
        asked, found = iter(ids), set[Mark]()
        while some := list(islice(asked, 256)):
            found.update(siblings.marks_of(database, some, other.peer.person))
        return found

    return await person.engine._use_cases.store.read(read)


@in_virtual_time(limit=3600)
async def test_a_move_that_is_cut_again_and_again_loses_no_mark(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (network, (desk, ben)):
        await pair(desk, ben)
        ids = await write_many(ben, desk, LONG) + await write_many(desk, ben, LONG, since=30_000)
        await ben.stop()
        await ben.start()
        await asyncio.sleep(TALK)
        await desk.engine.mark_all_read(await desk.contact(ben))
        await ben.stop()
        laptop = await add_terminal(desk, LAPTOP)
        network.part(desk.host, laptop.host)
        sync, cuts, reads = laptop.engine._use_cases.sync, 0, Counter[LiveLink]()
        received = sync.received

        async def cut(link: LiveLink, messages: Sequence[Message]) -> None:
            nonlocal cuts
            reads[link] += any(isinstance(one, Entry) for one in messages)
            if cuts < CUTS and reads[link] > cuts:
                cuts += 1
                await received(link, messages[: len(messages) // 2])
                link.driver.abort()
            else:
                await received(link, messages)

        sync.received = cut  # type: ignore[method-assign]
        try:
            await meets(network, desk, laptop)
            await moved(laptop, await whole(desk))
            assert cuts == CUTS
            held = await marks(desk, ben, ids)
            assert {mark.kind for mark in held} == {STORED, READ}
            assert {mark.entry for mark in held} == set(ids)
            assert await marks(laptop, ben, ids) == held
            assert (await laptop.engine.contacts())[0].unread == 0
        finally:
            await laptop.engine.close()


@in_virtual_time(limit=7_200)
async def test_no_mark_is_lost_that_was_made_while_own_terminals_were_apart(tmp_path: Path) -> None:
    """Of more entries than a comparison names the marks of, read here and reached there."""
    async with desk_and_laptop(tmp_path) as (network, desk, laptop, ben):
        theirs, mine = await write_many(ben, desk, 600), await write_many(desk, ben, 600, since=MINUTE // 2)
        await ben.stop()
        await ben.start()
        await asyncio.sleep(120)
        assert await unread(laptop) == await unread(desk) == 600
        await apart(network, desk, laptop)
        network.part(laptop.host, ben.host)
        await asyncio.sleep(5_000)  # longer than marks come again on any link
        await desk.engine.mark_all_read(await desk.contact(ben))
        await ben.engine.mark_all_read(await ben.contact(desk))
        await asyncio.sleep(30)
        assert await unread(laptop) == 600
        await meets(network, desk, laptop)
        await asyncio.sleep(30)
        assert await unread(laptop) == 0
        assert await marks(laptop, ben, [*theirs, *mine]) == await marks(desk, ben, [*theirs, *mine])


@in_virtual_time(limit=7_200)
async def test_no_mark_is_lost_that_was_on_its_way_when_a_link_was_cut(tmp_path: Path) -> None:
    async with desk_and_laptop(tmp_path) as (network, desk, laptop, ben):
        theirs = await write_many(ben, desk, 600)
        await ben.stop()
        await ben.start()
        await asyncio.sleep(120)
        network.part(laptop.host, ben.host)
        driver = current(desk, laptop).driver
        with mock.patch.object(driver, "send", side_effect=lambda message: driver.abort()):
            await desk.engine.mark_all_read(await desk.contact(ben))
            await asyncio.sleep(30)
        await meets(network, desk, laptop)
        await asyncio.sleep(30)
        assert await unread(laptop) == 0
        assert await marks(laptop, ben, theirs) == await marks(desk, ben, theirs)
