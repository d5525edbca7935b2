"""Attacks on the marks that come with a history (SPEC §7.8.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from msgspec.structs import replace

from chat.network.links import LiveLink
from chat.service import forwarding
from chat.storage import entries, siblings
from protocol.entries_and_receipts import (
    KIND_TEXT,
    READ,
    STORED,
    conversation_of_two,
    entry_message,
    text_body,
    write_entry,
)
from protocol.identity.author import add_operation
from protocol.identity.log import sign_operation
from protocol.messages import Digests, Entry, LogOperations, Message, PassedReceipt
from protocol.own_terminals import Mark
from tests.integration.steps import becomes, current, late
from tests.integration.test_history_moves import marks, meets, write_many
from tests.integration.test_own_terminals import desk_and_laptop, said_among, unread
from tests.support.engines.engines import Person, in_virtual_time
from tests.support.engines.terminals import add_terminal
from tests.support.protocol.pairings import Terminal

PHONE = "10.0.0.8"


def talk_of(one: Person, other: Person) -> bytes:
    return conversation_of_two(one.peer.person, other.peer.person)


def own_terminal(person: Person) -> bytes:
    return person.engine._use_cases.keyring.own.terminal


async def receive(to: Person, by: LiveLink, *messages: Message) -> None:
    await to.engine._use_cases.sync.received(by, list(messages))


async def ids_of(author: Person, other: Person, count: int) -> tuple[list[bytes], list[Entry]]:
    ids = await write_many(author, other, count)
    found, signed = await author.engine._use_cases.store.read(siblings.rows_of, ids)
    rows = {row.id: row for row in found}
    # The desk passes what the contact wrote without a signature.
    known = {} if author.name == "Ben" else signed
    made = {
        one.id: entry_message(one.header, one.salt, one.body, known.get(one.number)) for one in rows.values()
    }
    return ids, [made[one] for one in ids]


@in_virtual_time(limit=600)
async def test_two_marks_of_a_held_entry_with_something_between_them(tmp_path: Path) -> None:
    async with desk_and_laptop(tmp_path) as (_, desk, laptop, ben):
        (entry,), (message,) = await ids_of(desk, ben, 1)
        link, talk = current(laptop, desk), talk_of(desk, ben)
        await receive(laptop, link, message)
        stored = PassedReceipt(talk, own_terminal(ben), STORED, [entry])
        read = PassedReceipt(talk, own_terminal(ben), READ, [entry])
        await receive(laptop, link, stored, Digests([]), read)
        assert await marks(laptop, ben, [entry]) == {
            Mark(entry, own_terminal(ben), STORED),
            Mark(entry, own_terminal(ben), READ),
        }


@in_virtual_time(limit=600)
async def test_marks_behind_the_operation_that_names_their_terminal(tmp_path: Path) -> None:
    async with desk_and_laptop(tmp_path) as (network, desk, laptop, ben):
        network.part(laptop.host, ben.host)
        (one, two), (first, second) = await ids_of(desk, ben, 2)
        link, talk = current(laptop, desk), talk_of(desk, ben)
        await receive(laptop, link, first)
        new, log = Terminal.named("phone of Ben"), ben.engine._use_cases.keyring.own_log
        operation = add_operation(log, own_terminal(ben), new.signing, new.static, "phone")
        signed = sign_operation(operation, ben.engine._use_cases.keyring.own.signing_seed, new.seed)
        said = PassedReceipt(talk, new.id, STORED, sorted([one, two]))
        await receive(laptop, link, LogOperations([signed]), said, second)
        assert await marks(laptop, ben, [one, two]) == {Mark(each, new.id, STORED) for each in (one, two)}


@in_virtual_time(limit=600)
async def test_two_devices_that_pass_the_same_entry_with_other_marks(tmp_path: Path) -> None:
    async with desk_and_laptop(tmp_path) as (_, desk, laptop, ben):
        phone = await add_terminal(desk, PHONE)
        try:
            await asyncio.sleep(30)
            (entry,), (message,) = await ids_of(desk, ben, 1)
            talk = talk_of(desk, ben)
            stored = PassedReceipt(talk, own_terminal(ben), STORED, [entry])
            read = PassedReceipt(talk, own_terminal(ben), READ, [entry])
            late(laptop.engine._use_cases.store, "write_once", 1.0)
            await asyncio.gather(
                receive(laptop, current(laptop, phone), stored, message),
                receive(laptop, current(laptop, desk), read, message),
            )
            assert {mark.kind for mark in await marks(laptop, ben, [entry])} == {STORED, READ}
        finally:
            await phone.engine.close()


@in_virtual_time(limit=600)
async def test_an_entry_that_the_contact_sends_after_its_mark_came(tmp_path: Path) -> None:
    async with desk_and_laptop(tmp_path) as (_, desk, laptop, ben):
        (entry,), (message,) = await ids_of(ben, desk, 1)
        said = PassedReceipt(talk_of(desk, ben), own_terminal(desk), READ, [entry])
        await receive(laptop, current(laptop, desk), said)
        await receive(laptop, current(laptop, ben), message)
        assert Mark(entry, own_terminal(desk), READ) in await marks(laptop, ben, [entry])


@in_virtual_time(limit=600)
async def test_a_body_that_comes_after_its_header_and_the_mark_is_read(tmp_path: Path) -> None:
    async with desk_and_laptop(tmp_path) as (_, desk, laptop, ben):
        before = await unread(laptop)
        (entry,), (message,) = await ids_of(ben, desk, 1)
        link = current(laptop, desk)
        said = PassedReceipt(talk_of(desk, ben), own_terminal(desk), READ, [entry])
        await receive(laptop, link, replace(message, salt=b"", body=b""))
        await receive(laptop, link, said)
        await receive(laptop, link, message)
        assert await unread(laptop) == before


@in_virtual_time(limit=600)
async def test_nothing_counts_that_waited_while_its_terminal_was_removed(tmp_path: Path) -> None:
    """Neither a mark that was read ahead, nor one that waits for an entry, which another device passes on."""
    async with desk_and_laptop(tmp_path) as (_, desk, laptop, ben):
        phone = await add_terminal(desk, PHONE)
        try:
            await asyncio.sleep(60)
            (_, held, later), (first, second, third) = await ids_of(ben, desk, 3)
            link, talk = current(laptop, phone), talk_of(desk, ben)
            await receive(laptop, current(laptop, desk), second)
            parts, free, held_up = laptop.engine._use_cases, asyncio.Event(), asyncio.Event()
            entries_in, part = parts.inbound.entries, parts.sync.part

            async def busy(of: LiveLink, messages: Sequence[Message]) -> Any:
                if of is link:
                    held_up.set()
                    await free.wait()
                return await entries_in(of, messages)

            parts.inbound.entries = busy  # type: ignore[assignment,method-assign]
            back = current(phone, laptop).driver
            await back.send(PassedReceipt(talk, own_terminal(phone), READ, [later]))
            await asyncio.sleep(1)
            await back.send(first)
            await held_up.wait()
            await back.send(PassedReceipt(talk, own_terminal(phone), READ, [held]))
            await asyncio.sleep(1)
            passed = list[asyncio.Task[None]]()

            async def passes_on() -> None:
                await receive(laptop, current(laptop, desk), third)
                free.set()

            def parted(of: LiveLink) -> bool:
                ends = part(of)
                if of is link:
                    passed.append(asyncio.ensure_future(passes_on()))
                return ends

            parts.sync.part = parted  # type: ignore[assignment,method-assign]
            await desk.engine.remove_terminal(own_terminal(phone).hex())
            await free.wait()
            await asyncio.sleep(1)
            assert passed
            assert await marks(laptop, ben, [held, later]) == set()
            assert later.hex() in {view.id for view in await laptop.history(ben)}
        finally:
            await phone.engine.close()


@in_virtual_time(limit=600)
async def test_an_engine_stops_while_the_disk_is_at_work_and_reads_wait(tmp_path: Path) -> None:
    async with desk_and_laptop(tmp_path) as (_, desk, laptop, ben):
        _, messages = await ids_of(ben, desk, 8)
        store, busy = laptop.engine._use_cases.store, asyncio.Event()

        async def hangs(*_arguments: Any) -> Any:
            busy.set()
            await asyncio.get_running_loop().create_future()

        store.write_once = hangs  # type: ignore[assignment,method-assign]
        back = current(desk, laptop).driver
        for message in messages:
            await back.send(message)
            await asyncio.sleep(0.1)
        await busy.wait()
        await asyncio.wait_for(laptop.engine.close(), 10)


@in_virtual_time(limit=600)
async def test_a_link_does_not_go_on_over_a_read_that_was_not_handled(tmp_path: Path) -> None:
    async with desk_and_laptop(tmp_path) as (_, desk, laptop, ben):
        _, (first, _) = await ids_of(ben, desk, 2)
        link, inbound = current(laptop, desk), laptop.engine._use_cases.inbound
        with mock.patch.object(inbound, "entries", side_effect=ZeroDivisionError):
            await current(desk, laptop).driver.send(first)
            await asyncio.sleep(5)
        assert link not in laptop.engine._use_cases.forwarding.links


@in_virtual_time(limit=4 * 3_600)
async def test_the_time_of_a_text_that_was_read_elsewhere_begins_with_its_body(tmp_path: Path) -> None:
    async with desk_and_laptop(tmp_path) as (_, desk, laptop, ben):
        parts, talk = ben.engine._use_cases, talk_of(desk, ben)
        own, heads = parts.keyring.own, parts.keyring.own_log.heads
        place = await parts.store.read(entries.next_place, talk, own.terminal, b"12345678", heads)
        now, random = ben.clock.wall(), parts.runtime.random
        written = write_entry(place, now, KIND_TEXT, text_body("brief"), own.first_self_key, random, 60)
        entry, message = written.id, written.message()
        link = current(laptop, desk)
        said = PassedReceipt(talk, own_terminal(desk), READ, [entry])
        await receive(laptop, link, replace(message, salt=b"", body=b""))
        await receive(laptop, link, said)
        await receive(laptop, link, message)

        async def is_over() -> bool:
            kinds = [view.kind for view in await laptop.history(ben) if view.id == entry.hex()]
            return kinds == ["expired"]

        await becomes(laptop, is_over)


@in_virtual_time(limit=1_200)
async def test_no_part_of_a_history_has_more_marks_than_the_other_side_keeps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A contact can have very many terminals, each with a mark of each entry."""
    monkeypatch.setattr(forwarding, "MARKS_OF_PART", 32)
    async with desk_and_laptop(tmp_path) as (network, desk, laptop, ben):
        network.part(desk.host, laptop.host)
        network.part(laptop.host, ben.host)
        ids = await write_many(desk, ben, 100)
        await ben.stop()
        await ben.start()
        await asyncio.sleep(60)
        await ben.engine.mark_all_read(await ben.contact(desk))
        await asyncio.sleep(10)
        said = said_among(desk)
        await meets(network, desk, laptop)

        async def agree() -> bool:
            return await marks(laptop, ben, ids) == await marks(desk, ben, ids)

        await becomes(laptop, agree)
        waiting, before_entries = 0, list[int]()
        for message in said:
            if isinstance(message, Entry):
                before_entries.append(waiting)
                waiting = 0
            elif isinstance(message, PassedReceipt):
                waiting += len(message.ids)
        assert len(before_entries) >= len(ids)
        _, *parts = filter(None, before_entries)  # the first ones answer a Digest, too
        assert max(parts) <= 32
        assert sum(parts) >= len(ids)
