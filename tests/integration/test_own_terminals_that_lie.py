"""Own terminals that were removed, that no log names, or that lie: what a thief of one can do (SPEC §7.8)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest

from chat.interface import AlertsChanged, EntryAdded, EntryState, QuestionsChanged
from chat.service.provisional import LINKS_MAX
from protocol.entries_and_receipts import conversation_of_two
from protocol.link.states import Role
from protocol.messages import (
    Commit,
    Digest,
    Digests,
    Entry,
    HeadsHash,
    LogHeads,
    LogOperations,
    Message,
    PassedReceipt,
    Typing,
)
from tests.integration.steps import current, dial, in_touch, say, seed_in
from tests.integration.test_own_terminals import (
    LAPTOP,
    apart,
    arrives,
    block_here,
    desk_and_laptop,
    linked,
    remove_here,
    terminal_of,
    unread,
)
from tests.integration.test_passed_on_entries import from_ben, last_of, uncovered
from tests.support.engines.engines import Person, in_virtual_time, own_log, take_in, talk
from tests.support.engines.terminals import add_terminal
from tests.support.protocol.pairings import removal

UNKNOWN = bytes([7]) * 32


async def remove(desk: Person, laptop: Person) -> None:
    """The desk signs the removal of the laptop."""
    own, removed = (one.engine._use_cases.keyring.own for one in (desk, laptop))
    signed = removal(await own_log(desk), own.terminal, own.signing_seed, removed.terminal)
    await take_in(desk, signed, confirmed=True)


@in_virtual_time(limit=600)
async def test_a_removed_terminal_gets_no_link_and_nothing_more(tmp_path: Path) -> None:
    async with desk_and_laptop(tmp_path) as (network, desk, laptop, ben):
        await apart(network, laptop, ben)
        link = current(desk, laptop)
        send, sent = link.driver.send, list[Message]()

        async def sending(message: Message) -> None:
            sent.append(message)
            await send(message)

        link.driver.send = sending  # type: ignore[method-assign]
        heard = laptop.wait(AlertsChanged)
        await remove(desk, laptop)
        await heard
        laptop.engine._use_cases.keyring.is_removed = False  # a thief's program does not care
        await talk(ben, desk, "not for the laptop")
        await say(laptop, ben, "written by a thief")
        await dial(laptop, desk)
        await asyncio.sleep(60)
        assert not linked(desk, laptop)
        assert not linked(laptop, desk)
        assert {type(message) for message in sent} == {LogOperations}
        assert "not for the laptop" not in await laptop.texts(ben)
        assert "written by a thief" not in await desk.texts(ben)


@in_virtual_time(limit=600)
async def test_what_a_removed_terminal_wrote_later_is_quarantined_where_another_own_one_passes_it_on(
    tmp_path: Path,
) -> None:
    """The phone does not know of the removal yet, and hands the desk what the thief wrote."""
    async with desk_and_laptop(tmp_path) as (network, desk, laptop, ben):
        phone = await add_terminal(desk, "10.0.0.8")
        try:
            await asyncio.sleep(10)
            before = await talk(laptop, ben, "before the removal")
            await asyncio.sleep(5)
            network.part(desk.host, phone.host)
            network.part(ben.host, phone.host)
            await apart(network, laptop, ben)
            await apart(network, laptop, desk)
            await remove(desk, laptop)
            there = arrives(phone, "after the removal")
            later = (await say(laptop, ben, "after the removal")).id
            await there
            came = arrives(desk, "after the removal")
            network.join(desk.host, phone.host)
            await came
            marked = {view.id: view.quarantined for view in await desk.history(ben)}
            assert (marked[before], marked[later]) == (False, True)
        finally:
            await phone.engine.close()


@in_virtual_time(limit=600)
async def test_what_an_own_terminal_invents_in_a_contacts_name_stays_marked(tmp_path: Path) -> None:
    async with desk_and_laptop(tmp_path) as (_, desk, laptop, ben):
        invented = from_ben(desk, ben, await last_of(desk, ben), "lend me money")
        there = arrives(desk, "lend me money")
        await current(laptop, desk).driver.send(invented.message())
        await there
        await talk(ben, desk, "hello")
        await talk(desk, ben, "hello")
        await dial(desk, ben)
        await asyncio.sleep(10)
        assert await uncovered(desk, ben) == ["lend me money"]
        assert "lend me money" not in await ben.texts(desk)
        assert linked(desk, ben)


@in_virtual_time(limit=600)
async def test_what_came_through_an_own_terminal_is_unmarked_by_a_link_of_the_contact(tmp_path: Path) -> None:
    async with desk_and_laptop(tmp_path) as (network, desk, laptop, ben):
        await apart(network, laptop, ben)
        there = arrives(laptop, "by the desk")
        await talk(ben, desk, "by the desk")
        await there
        assert await uncovered(laptop, ben) == ["by the desk"]
        network.join(laptop.host, ben.host)
        await asyncio.sleep(40)
        assert linked(laptop, ben)
        assert await uncovered(laptop, ben) == []


@in_virtual_time(limit=600)
async def test_receipts_that_an_own_terminal_invents_change_what_they_may_and_nothing_else(
    tmp_path: Path,
) -> None:
    """Of a held entry it is believed: it has the keys to write one. What is unknown is passed over."""
    async with desk_and_laptop(tmp_path) as (network, desk, laptop, ben):
        network.cut(ben.host)
        entry = bytes.fromhex((await say(desk, ben, "waits")).id)
        await asyncio.sleep(30)
        talk_id = conversation_of_two(desk.peer.person, ben.peer.person)
        bens = bytes.fromhex(terminal_of(ben))
        own = bytes.fromhex(terminal_of(laptop))
        for message in (
            PassedReceipt(talk_id, bens, 1, [UNKNOWN]),
            PassedReceipt(talk_id, UNKNOWN, 1, [entry]),
            PassedReceipt(UNKNOWN, bens, 1, [entry]),
            PassedReceipt(talk_id, own, 1, [entry]),
            PassedReceipt(talk_id, bens, 3, [entry]),
            PassedReceipt(talk_id, own, 2, [entry, UNKNOWN] if entry < UNKNOWN else [UNKNOWN, entry]),
        ):
            await current(laptop, desk).driver.send(message)
        await asyncio.sleep(5)
        assert linked(desk, laptop)
        assert (await desk.history(ben))[-1].state is EntryState.QUEUED
        await current(laptop, desk).driver.send(PassedReceipt(talk_id, bens, 2, [entry]))
        await asyncio.sleep(1)
        assert (await desk.history(ben))[-1].state is EntryState.READ


@in_virtual_time(limit=600)
async def test_a_flood_of_an_own_terminal_delays_its_own_link_alone(tmp_path: Path) -> None:
    async with desk_and_laptop(tmp_path) as (_, desk, laptop, ben):
        talk_id = conversation_of_two(desk.peer.person, ben.peer.person)
        flooded = current(desk, laptop)
        for _ in range(700):
            await current(laptop, desk).driver.send(Digests([Digest(talk_id, UNKNOWN, UNKNOWN, 0, 0, False)]))
        await asyncio.sleep(1)
        assert flooded.delayed
        began = desk.clock.monotonic()
        there = arrives(desk, "past the flood")
        await talk(ben, desk, "past the flood")
        await there
        assert desk.clock.monotonic() - began < 1
        assert await unread(desk) > 0


@in_virtual_time(limit=600)
async def test_entries_of_a_person_who_is_no_contact_here_or_blocked_are_passed_over(tmp_path: Path) -> None:
    async with desk_and_laptop(tmp_path) as (_, desk, laptop, ben):
        await block_here(desk, ben, on=True)
        await talk(ben, laptop, "to the laptop alone")
        await asyncio.sleep(10)
        assert linked(desk, laptop)
        assert "to the laptop alone" not in await desk.texts(ben)
        await remove_here(desk, ben)
        await talk(ben, laptop, "and again")
        await asyncio.sleep(10)
        assert linked(desk, laptop)
        assert await desk.engine.contacts() == ()


@pytest.mark.parametrize(
    "message",
    [
        HeadsHash(UNKNOWN, UNKNOWN),
        Typing(UNKNOWN, True),
        Commit(UNKNOWN, "Ada"),
        Digests([Digest(UNKNOWN, UNKNOWN, UNKNOWN, 0, 0, False)] * 2),
        PassedReceipt(UNKNOWN, UNKNOWN, 1, [UNKNOWN] * 2),
        LogOperations([b"no operation"]),
        Entry(b"no header", b"", b""),
    ],
    ids=lambda message: type(message).__name__,
)
@in_virtual_time(limit=600)
async def test_what_has_no_place_on_a_link_of_own_terminals_ends_it(tmp_path: Path, message: Message) -> None:
    async with desk_and_laptop(tmp_path) as (_, desk, laptop, _):
        before = current(desk, laptop)
        await current(laptop, desk).driver.send(message)
        await asyncio.sleep(20)
        assert current(desk, laptop) is not before


@in_virtual_time(limit=600)
async def test_a_terminal_of_a_recovery_gets_operations_alone_until_its_person_says_that_was_me(
    tmp_path: Path,
) -> None:
    """A thief of the recovery words and the self key could have brought it in."""
    async with in_touch(tmp_path) as (network, desk, ben):
        asked = desk.wait(QuestionsChanged)
        network.part(LAPTOP, ben.host)
        laptop = await add_terminal(desk, LAPTOP, told=False, seed=await seed_in(desk))
        try:
            (question,) = (await asked).questions
            await asyncio.sleep(60)
            assert not linked(desk, laptop)
            assert await laptop.texts(ben) == []
            there = arrives(laptop, "before")
            await desk.engine.confirm_own(question.operation)
            await there
            assert linked(desk, laptop)
        finally:
            await laptop.engine.close()


@in_virtual_time(limit=600)
async def test_few_links_for_operations_alone_are_open_at_a_time(tmp_path: Path) -> None:
    """A thief of the self key draws as many static keys as it likes: the oldest gives way."""
    async with in_touch(tmp_path) as (_, desk, _):
        provisional = desk.engine._use_cases.provisional
        drivers: list[Any] = [Mock(send=AsyncMock()) for _ in range(LINKS_MAX + 3)]
        person = desk.peer.person

        def opened(static: bytes) -> Any:
            return Mock(person=person, peer_static=static, role=Role.RESPONDER)

        for number, driver in enumerate(drivers):
            assert provisional.take(driver, opened(bytes([number + 1]) * 32)) is not None
        assert [driver.abort.called for driver in drivers] == [True] * 3 + [False] * LINKS_MAX
        own = desk.engine._use_cases.keyring.identity.static.public
        assert provisional.take(Mock(), opened(own)) is None


@in_virtual_time(limit=600)
async def test_nothing_but_operations_of_the_own_log_passes_before_the_add_has_come(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (network, desk, ben):
        network.part(LAPTOP, ben.host)
        desk.engine._use_cases.own_log.received = nothing  # type: ignore[assignment]
        laptop = await add_terminal(desk, LAPTOP, told=False)
        try:
            entry = await say(laptop, ben, "from nobody yet")
            shown = len(desk.seen)
            await dial(laptop, desk)
            link = current(laptop, desk)
            talk_id = conversation_of_two(desk.peer.person, ben.peer.person)
            await link.driver.send(PassedReceipt(talk_id, UNKNOWN, 1, [bytes.fromhex(entry.id)]))
            await link.driver.send(Typing(talk_id, True))
            await link.driver.send(LogHeads(ben.peer.person, []))
            await asyncio.sleep(10)
            assert current(laptop, desk) is link
            assert not [event for event in desk.seen[shown:] if isinstance(event, EntryAdded)]
            assert await laptop.texts(ben) == ["from nobody yet"]
        finally:
            await laptop.engine.close()


async def nothing(*_: object) -> bool:
    """Stores no operation."""
    return True
