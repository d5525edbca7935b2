"""Who must not write what devices of a person share, and what a crash or a removal leaves (SPEC §11.10)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from chat.interface import EntryAdded
from chat.storage import contacts, entries, positions, registers, sharing
from chat.storage.database import Database
from protocol.entries_and_receipts import (
    KIND_CUT,
    KIND_STATE,
    EntryPlace,
    ParsedEntry,
    conversation_of_two,
    parse_entry,
    write_entry,
)
from protocol.messages import Digest, Digests, Entry, Heads, HeadsHash, Message, PetnameValue
from protocol.notes import Register, notes_of, state_body, subject, write
from tests.integration.steps import current, in_touch, seed_in
from tests.integration.test_shared_contacts import (
    SETTLED,
    agree,
    apart,
    found_anywhere,
    roots,
    rows,
    two_devices,
    view_of,
)
from tests.support.engines.engines import Person, in_virtual_time, invite, recover, talk


async def held(person: Person) -> list[entries.EntryRow]:
    """The entries of the notes of a person's device."""
    parts = person.engine._use_cases
    conversation = notes_of(parts.keyring.own.person)
    return await parts.store.read(positions.every_after, conversation, 1_000, entries.BEGINNING)


def forged(author: Person, conversation: bytes, person: bytes) -> ParsedEntry:
    """A state that a terminal writes into any conversation."""
    own = author.engine._use_cases.keyring.own
    heads = author.engine._use_cases.keyring.own_log.heads
    place = EntryPlace(conversation, own.terminal, bytes(8), None, [], heads)
    body = state_body([write(Register.PETNAME, person, PetnameValue("Mallory"))])
    return write_entry(
        place, author.clock.wall(), KIND_STATE, body, own.first_self_key, author._random.randbytes
    )


async def ends_the_link(sender: Person, receiver: Person, message: Message) -> None:
    link = current(sender, receiver)
    await link.driver.send(message)
    await asyncio.sleep(3)
    assert link not in sender.engine._use_cases.links.all()
    await talk(sender, receiver, "and on another one all goes on")


@in_virtual_time
async def test_a_contact_writes_nothing_into_the_notes_and_reads_none(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        mine, theirs = ada.peer.person, ben.peer.person
        before = await held(ada)
        for conversation in (notes_of(mine), notes_of(theirs), conversation_of_two(mine, theirs)):
            await ends_the_link(ben, ada, forged(ben, conversation, theirs).message())
        ends: list[Message] = [
            Digests([Digest(notes_of(mine), bytes(32), bytes(32), 0, 0, False)]),
            HeadsHash(notes_of(mine), bytes(32)),
            Heads(notes_of(mine), b"", [], more=False),
        ]
        for message in ends:
            await ends_the_link(ben, ada, message)
        returned = Entry(before[0].header, before[0].salt, before[0].body)
        await ends_the_link(ben, ada, returned)
        assert await held(ada) == before
        assert [event for event in ada.seen if isinstance(event, EntryAdded) and not event.entry.text] == []
        assert (await view_of(ada, ben)).name == "Ben"


@in_virtual_time
async def test_an_own_device_that_writes_a_state_into_a_talk_changes_nothing(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (_, desk, laptop, ben, _):
        talk_of_two = conversation_of_two(desk.peer.person, ben.peer.person)
        wrong = forged(laptop, talk_of_two, ben.peer.person)
        link = current(laptop, desk)
        await link.driver.send(wrong.message())
        await asyncio.sleep(3)
        assert link not in laptop.engine._use_cases.links.all()
        assert (await view_of(desk, ben)).name == "Ben"
        await agree(desk, laptop)


@in_virtual_time
async def test_what_a_removed_device_wrote_after_the_removal_falls_back(tmp_path: Path) -> None:
    """The laptop is stolen and renames; the desk removes it, and hears of the write from a third one."""
    async with two_devices(tmp_path) as (network, desk, laptop, ben, _):
        friend = await desk.contact(ben)
        await laptop.engine.rename(friend, "Benjamin")
        await asyncio.sleep(SETTLED)
        network.part(desk.host, laptop.host)
        await asyncio.sleep(30)
        await laptop.engine.rename(friend, "Mallory")
        stolen = (await held(laptop))[-1]
        (row,) = [one for one in await desk.engine.terminals() if not one.this]
        await desk.engine.remove_terminal(row.terminal)
        await asyncio.sleep(SETTLED)
        parts = desk.engine._use_cases

        def passed(database: Database) -> Any:
            entry = parse_entry(Entry(stolen.header, stolen.salt, stolen.body))
            new = entries.insert_all(
                database, [entry], parts.keyring.own.terminal, former=[entry.header.author]
            )
            return new, sharing.follow(database)

        ((new,), followed) = await parts.store.write(passed)
        assert new.quarantined
        assert not followed.persons
        assert (await view_of(desk, ben)).name == "Benjamin"
        assert KIND_CUT in {one.kind for one in await held(desk)}, "the notes have a cut of the laptop, too"


@in_virtual_time
async def test_a_write_that_is_quarantined_after_it_was_applied_falls_back(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (_, desk, laptop, ben, _):
        friend = await desk.contact(ben)
        await desk.engine.rename(friend, "Benjamin")
        await asyncio.sleep(SETTLED)
        await laptop.engine.rename(friend, "Mallory")
        await laptop.engine.mute(friend, True)
        await asyncio.sleep(SETTLED)
        assert ((await view_of(desk, ben)).name, (await view_of(desk, ben)).muted) == ("Mallory", True)
        parts, lasts = desk.engine._use_cases, (await held(desk))[-2:]

        def leave_out(database: Database) -> None:
            numbers = [last.number for last in lasts]
            of = database.rows("SELECT conversation, author FROM entries WHERE number = ?", numbers[0])[0]
            add = (
                "INSERT INTO rules (conversation, author, cut, decides, settled, over)"
                " VALUES (?, ?, 0, 1, NULL, 0)"
            )
            rule = database.insert(add, *of)
            left = [(number, rule) for number in numbers]
            database.run_many("INSERT INTO quarantine (entry, rule) VALUES (?, ?)", left)

        await parts.store.write(leave_out)
        parts.notes.begin()
        await asyncio.sleep(1)
        assert ((await view_of(desk, ben)).name, (await view_of(desk, ben)).muted) == ("Benjamin", False)
        assert {row.petname for row in await rows(desk)} == {"Benjamin"}


@in_virtual_time
async def test_a_recovery_drops_a_verification_that_another_device_wrote_before_it(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (_, desk, laptop, ben, _):
        friend = await desk.contact(ben)
        parts = desk.engine._use_cases
        await laptop.stop()
        words = (await ben.engine.recovery_words()).words
        await desk.engine.verify(friend, (await ben.engine.verification(await ben.contact(desk))).numbers[0])
        assert (await view_of(desk, ben)).verified
        await recover(ben, words, ())
        await asyncio.sleep(SETTLED)
        assert not (await view_of(desk, ben)).verified
        await laptop.start()
        await asyncio.sleep(60)
        shown = await view_of(laptop, ben)
        assert not shown.verified
        assert await parts.store.read(registers.in_force, Register.STANDING, subject(ben.peer.person))
        await agree(desk, laptop)


@pytest.mark.parametrize("which", ["desk", "laptop"])
@in_virtual_time
async def test_a_device_that_is_killed_in_between_agrees_afterwards(tmp_path: Path, which: str) -> None:
    async with two_devices(tmp_path) as (_, desk, laptop, ben, cat):
        killed = desk if which == "desk" else laptop
        await invite(desk, cat)
        await killed.crash()
        killed.network.heal(killed.host)
        await killed.start()
        await asyncio.sleep(30)
        await invite(desk, ben)
        await killed.crash()
        killed.network.heal(killed.host)
        await killed.start()
        await asyncio.sleep(60)
        await agree(desk, laptop)
        assert len(await rows(laptop)) == 2
        assert await roots(laptop, ben) == await roots(desk, ben)
        await talk(laptop, cat, "after the crash")


@in_virtual_time
async def test_a_contact_pairs_again_while_one_device_is_off_and_the_other_removes_it(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (network, desk, laptop, ben, _):
        friend = await desk.contact(ben)
        old = await roots(desk, ben)

        async def changes() -> None:
            await invite(laptop, ben)
            await talk(laptop, ben, "again")
            await desk.engine.remove(friend)

        await apart(network, desk, laptop, changes())
        await agree(desk, laptop)
        for one in (desk, laptop):
            parts = one.engine._use_cases
            await parts.cleaner.clean()
            assert not await parts.store.read(found_anywhere, old[0])
            if await parts.store.read(contacts.get, ben.peer.person) is None:
                assert not await parts.store.read(found_anywhere, (await roots(ben, one))[0])
        assert await seed_in(desk)
