"""Attacks on links of own terminals that once succeeded (SPEC §7.8)."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from types import FrameType
from unittest import mock

from msgspec.structs import replace

from chat.interface import ContactChanged, QuestionsChanged
from chat.service.forwarding import DIGESTED
from chat.storage import siblings
from protocol.messages import LogHeads, LogOperations
from protocol.own_terminals import check_passed
from tests.integration.steps import current, in_touch, say, seed_in
from tests.integration.test_own_terminals import (
    LAPTOP,
    apart,
    arrives,
    block_here,
    desk_and_laptop,
    linked,
)
from tests.support.engines.engines import Person, in_virtual_time, talk
from tests.support.engines.terminals import add_terminal

PHONE = "10.0.0.8"
UNKNOWN = bytes([7]) * 32


def called(person: Person, name: str) -> asyncio.Future[ContactChanged]:
    """The moment when the contact is shown by another name."""
    return person.wait(ContactChanged, lambda event: event.contact.name == name)


@in_virtual_time(limit=600)
async def test_a_terminal_that_one_of_a_doubted_recovery_added_gets_operations_alone(tmp_path: Path) -> None:
    """A thief of the recovery words and the self key adds a second terminal with its first one."""
    async with in_touch(tmp_path) as (network, desk, ben):
        asked = desk.wait(QuestionsChanged)
        network.part(LAPTOP, ben.host)
        network.part(PHONE, ben.host)
        first = await add_terminal(desk, LAPTOP, told=False, seed=await seed_in(desk))
        try:
            await asked
            second = await add_terminal(first, PHONE, told=False)
            try:
                await asyncio.sleep(60)
                assert second.peer.static in {
                    one.static for one in desk.engine._use_cases.keyring.own_log.terminals()
                }
                assert not linked(desk, second)
                assert await second.texts(ben) == []
            finally:
                await second.engine.close()
        finally:
            await first.engine.close()


@in_virtual_time(limit=600)
async def test_a_text_with_a_timer_waits_on_another_own_terminal_until_the_contact_has_it(
    tmp_path: Path,
) -> None:
    async with desk_and_laptop(tmp_path) as (network, desk, laptop, ben):
        await laptop.engine.set_timer(await laptop.contact(ben), 60)
        await asyncio.sleep(5)
        network.cut(ben.host)
        there = arrives(desk, "you were away")
        await say(laptop, ben, "you were away")
        await there
        await laptop.stop()
        await asyncio.sleep(120)
        network.heal(ben.host)
        await arrives(ben, "you were away")


@in_virtual_time(limit=600)
async def test_what_another_own_terminal_wrote_goes_to_a_contact_who_is_held_back_no_more(
    tmp_path: Path,
) -> None:
    async with desk_and_laptop(tmp_path) as (network, desk, laptop, ben):
        await apart(network, laptop, ben)
        rows, person = desk.engine._use_cases.book.rows, ben.peer.person
        rows[person] = replace(rows[person], held=True)
        there = arrives(desk, "once you are confirmed")
        await say(laptop, ben, "once you are confirmed")
        await there
        await asyncio.sleep(10)
        assert "once you are confirmed" not in await ben.texts(desk)
        rows[person] = replace(rows[person], held=False)
        came = arrives(ben, "once you are confirmed")
        desk.engine._use_cases.sync.catch_up(person)
        await asyncio.wait_for(came, 60)


@in_virtual_time(limit=600)
async def test_heads_of_logs_of_nobody_here_leave_no_work_behind(tmp_path: Path) -> None:
    async with desk_and_laptop(tmp_path) as (_, desk, laptop, _):
        for number in range(100):
            await current(laptop, desk).driver.send(LogHeads(bytes([number]) * 32, [UNKNOWN]))
        await asyncio.sleep(1)
        (worker,) = (
            worker
            for link, worker in desk.engine._use_cases.sync._workers.items()
            if link is current(desk, laptop)
        )
        assert not worker.named


@in_virtual_time(limit=600)
async def test_digests_of_many_conversations_are_made_little_by_little(tmp_path: Path) -> None:
    """Of 256 they would keep the disk busy for a quarter of a second."""
    async with desk_and_laptop(tmp_path) as (_, desk, laptop, _):
        outgoing = desk.engine._use_cases.forwarding.links[current(desk, laptop)]
        with mock.patch.object(siblings, "digests", side_effect=siblings.digests) as made:
            outgoing.compare([bytes([number]) * 32 for number in range(40)])
            await asyncio.sleep(1)
        sizes = [len(call.args[1]) for call in made.call_args_list]
        assert sum(sizes) == 40
        assert max(sizes) <= DIGESTED


@in_virtual_time(limit=600)
async def test_what_came_while_a_contact_was_blocked_here_is_compared_once_it_is_not(tmp_path: Path) -> None:
    async with desk_and_laptop(tmp_path) as (network, desk, laptop, ben):
        await block_here(desk, ben, on=True)
        network.part(desk.host, ben.host)
        await asyncio.sleep(20)
        assert linked(desk, laptop)
        there = arrives(desk, "while you were blocked")
        await talk(ben, laptop, "while you were blocked")
        await asyncio.sleep(20)
        assert not there.done()
        await block_here(desk, ben, on=False)
        await asyncio.wait_for(there, 60)


@in_virtual_time(limit=600)
async def test_to_pass_on_that_very_many_were_read_takes_little_work(tmp_path: Path) -> None:
    """The contact decides how many a person reads at once. 100,000 held the event loop for over a second."""
    async with desk_and_laptop(tmp_path) as (_, desk, laptop, ben):
        forwarding, calls = desk.engine._use_cases.forwarding, 0
        put = mock.patch.object(forwarding.links[current(desk, laptop)], "put")
        ids = [number.to_bytes(32) for number in range(10_000)]

        def count(_frame: FrameType, event: str, _argument: object) -> None:
            nonlocal calls
            calls += event == "call"

        with put as sent:
            sys.setprofile(count)
            try:
                forwarding.read(ben.peer.person, ids[::-1], told=True)
            finally:
                sys.setprofile(None)
        messages = [call.args[0] for call in sent.call_args_list]
        assert sorted(entry for message in messages for entry in message.ids) == ids
        for message in messages:
            check_passed(message)
        assert calls < 1_000


@in_virtual_time(limit=600)
async def test_a_body_that_one_own_terminal_deleted_for_itself_comes_from_another_one(tmp_path: Path) -> None:
    """The header alone came first, and the contact, who would stand for it, is not reached."""
    async with desk_and_laptop(tmp_path) as (network, desk, laptop, ben):
        phone = await add_terminal(desk, PHONE)
        try:
            await asyncio.sleep(20)
            for other in (ben, laptop, phone):
                network.part(desk.host, other.host)
            await asyncio.sleep(20)
            there = arrives(phone, "kept on the phone")
            entry = await talk(ben, laptop, "kept on the phone")
            await there
            await laptop.engine.delete(await laptop.contact(ben), entry)
            network.join(desk.host, laptop.host)
            await asyncio.sleep(60)
            assert {view.id: view.kind for view in await desk.history(ben)}[entry] == "missing"
            network.part(desk.host, laptop.host)
            network.join(desk.host, phone.host)
            await asyncio.sleep(60)
            assert "kept on the phone" in await desk.texts(ben)
        finally:
            await phone.engine.close()


@in_virtual_time(limit=600)
async def test_each_operation_of_a_contact_goes_to_another_own_terminal_once(tmp_path: Path) -> None:
    """A contact signs hundreds, and each was sent again with those that followed."""
    async with desk_and_laptop(tmp_path) as (network, desk, laptop, ben):
        await apart(network, laptop, ben)
        outgoing = desk.engine._use_cases.forwarding.links[current(desk, laptop)]
        with mock.patch.object(outgoing, "put", side_effect=outgoing.put) as put:
            for number in range(5):
                renamed = called(laptop, f"Ben {number}")
                await ben.engine.rename_self(f"Ben {number}")
                await renamed
        sent = [call.args[0] for call in put.call_args_list]
        handed = [one for message in sent if isinstance(message, LogOperations) for one in message.operations]
        assert len(handed) == len(set(handed))
