"""Entries with a timer end when they should, whatever the clocks say, and never come back (SPEC §11.9)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chat.engine import HOUSE_EVERY
from chat.interface import (
    ContactChanged,
    EntryAdded,
    EntryDeleted,
    EntryFilled,
    EntryState,
    HistoryCleared,
    UsageError,
)
from chat.storage import clearing, entries, expiry
from protocol.entries_and_receipts import (
    KIND_TIMER,
    EntryPlace,
    ParsedEntry,
    conversation_of_two,
    timer_body,
    write_entry,
)
from protocol.limits import TIMER_SECONDS_MAX, UNREAD_SECONDS_MAX
from tests.support.engines.engines import Person, contact, delivered, in_virtual_time, talk, two_contacts
from tests.support.lab.inspection import residues

HOUR = 3_600
DAY = 86_400
WORD = "zyxhippopotamusqwv"
NUMBER = "SELECT number FROM entries WHERE id = ?"


async def timed(one: Person, other: Person, seconds: int) -> None:
    """One sets the timer of the conversation, which the other gets."""
    changed = other.wait(ContactChanged, lambda event: event.contact.timer == seconds)
    await one.engine.set_timer(await one.contact(other), seconds)
    await changed


def ended(person: Person, entry: str) -> asyncio.Future[EntryDeleted]:
    return person.wait(EntryDeleted, lambda event: event.id == entry and event.expired)


async def kinds(person: Person, other: Person) -> list[str]:
    return [view.kind for view in await person.history(other)]


def holds(person: Person, entry: str) -> bool:
    """Whether any content of an entry is in the database."""
    database = person.engine._use_cases.store._database
    row = entries.get(database, bytes.fromhex(entry))
    assert row is not None
    words = database.value("SELECT count(*) FROM search WHERE rowid = ?", row.number)
    body = database.value("SELECT count(*) FROM bodies WHERE entry = ?", row.number)
    return bool(row.body or words or body)


async def read(person: Person, other: Person, entry: str) -> None:
    await person.engine.mark_read(await person.contact(other), (entry,))


@in_virtual_time
async def test_an_entry_ends_for_its_author_from_writing_and_for_the_other_from_reading(
    tmp_path: Path,
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        before = await talk(ada, ben, "from before the timer")
        await timed(ada, ben, 60)
        assert (await contact(ada)).timer == (await contact(ben)).timer == 60
        began = ada.clock.monotonic()
        entry = await talk(ada, ben, WORD)
        here, there = ended(ada, entry), ended(ben, entry)
        await asyncio.sleep(30)  # of virtual time, from which the reading counts
        await read(ben, ada, entry)
        (mine,) = [view for view in await ada.history(ben) if view.id == entry]
        (theirs,) = [view for view in await ben.history(ada) if view.id == entry]
        assert mine.expires
        assert theirs.expires
        assert (theirs.expires - mine.expires).total_seconds() == pytest.approx(30, abs=1)
        await here
        assert ada.clock.monotonic() - began == pytest.approx(60, abs=0.1)
        assert not holds(ada, entry)
        assert holds(ben, entry)
        await there
        assert ben.clock.monotonic() - began == pytest.approx(90, abs=0.1)
        for person, other in ((ada, ben), (ben, ada)):
            assert await kinds(person, other) == ["text", "timer", "expired"]
            assert not holds(person, entry)
            assert holds(person, before)
            assert await person.engine.search(WORD) == ()


@in_virtual_time
async def test_each_entry_keeps_the_timer_that_its_author_saw(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (network, ada, ben):
        await timed(ada, ben, 600)
        network.part(ada.host, ben.host)
        await ben.engine.set_timer(await ben.contact(ada), 0)
        await ada.engine.send(await ada.contact(ben), "with the timer")
        await ben.engine.send(await ben.contact(ada), "without one")
        came = delivered(ada, 2), delivered(ben, 2)
        network.join(ada.host, ben.host)
        await asyncio.gather(*came)
        for person, other in ((ada, ben), (ben, ada)):
            assert (await contact(person)).timer == 0
            ends = {view.text: view.expires is not None for view in await person.history(other) if view.text}
            assert ends == {"with the timer": True, "without one": False}


@in_virtual_time
async def test_a_timer_that_another_one_follows_is_not_called_the_one_in_force(tmp_path: Path) -> None:
    """An author names 16 entries at most, so that a contact can let its own stand after every later one."""
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "before")
        parts, friend = ben.engine._use_cases, await ada.contact(ben)
        talk_id = conversation_of_two(parts.keyring.own.person, ada.engine._use_cases.keyring.own.person)

        def fork(number: int, time: int) -> ParsedEntry:
            incarnation, heads = number.to_bytes(8, "big"), parts.keyring.own_log.heads
            place = EntryPlace(talk_id, parts.keyring.own.terminal, incarnation, None, [], heads)
            key, random = parts.keyring.self_keys[0], parts.runtime.random
            return write_entry(place, time, KIND_TIMER, timer_body(0), key, random)

        last = max((fork(number, 2**48 - 1) for number in range(20)), key=lambda entry: entry.id)
        forks = [entry for entry in (fork(number, 1) for number in range(20, 60)) if entry.id < last.id]
        link = parts.links.current(ada.peer)
        assert link is not None
        came = ada.wait(EntryAdded, lambda event: event.entry.id == last.id.hex())
        for entry in (*forks, last):
            await link.driver.send(entry.message())
        await came
        await ada.engine.set_timer(friend, 60)
        assert (await contact(ada)).timer == 0
        assert (await ada.engine.send(friend, "stays")).expires is None


@in_virtual_time
async def test_what_waits_for_an_absent_contact_is_not_lost_and_ends_once_it_has_arrived(
    tmp_path: Path,
) -> None:
    async with two_contacts(tmp_path) as (network, ada, ben):
        await timed(ada, ben, 30)
        network.part(ada.host, ben.host)
        entry = (await ada.engine.send(await ada.contact(ben), "while you are away")).id
        await asyncio.sleep(600)  # of virtual time, in which it must not end
        assert (await ada.history(ben))[-1].state is EntryState.QUEUED
        assert holds(ada, entry)
        gone, came = ended(ada, entry), ben.wait(EntryAdded, lambda event: event.entry.id == entry)
        network.join(ada.host, ben.host)
        assert (await came).entry.text == "while you are away"
        await gone
        assert not holds(ada, entry)
        assert holds(ben, entry)


@in_virtual_time
async def test_what_nobody_reads_ends_at_the_absolute_end_on_both_sides(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (network, ada, ben):
        await timed(ada, ben, HOUR)
        entry = await talk(ada, ben, "never opened")
        network.part(ada.host, ben.host)
        queued = (await ada.engine.send(await ada.contact(ben), "never fetched")).id
        ends = ended(ben, entry), ended(ada, queued)
        for person in (ada, ben):
            person.clock.slept_ms += (HOUR + UNREAD_SECONDS_MAX - 60) * 1_000
        await asyncio.sleep(30)  # of virtual time, in which neither may end
        assert not any(end.done() for end in ends)
        await asyncio.gather(*ends)
        assert (await contact(ben)).unread == 0


@in_virtual_time
async def test_time_asleep_counts_and_a_clock_set_back_delays_nothing(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await timed(ada, ben, HOUR)
        entry = await talk(ada, ben, "an hour")
        await read(ben, ada, entry)
        ben.clock.offset_ms -= DAY * 1_000
        gone, began = ended(ben, entry), ben.clock.monotonic()
        await asyncio.sleep(60)  # of virtual time, before the machine sleeps
        ben.clock.slept_ms += (HOUR - 120) * 1_000
        await gone
        assert 119 <= ben.clock.monotonic() - began <= 121 + HOUSE_EVERY


@in_virtual_time
@pytest.mark.parametrize(("boot", "back"), [("first", DAY), ("second", 0)])
async def test_time_without_an_engine_counts_and_nothing_is_shown_after_it(
    tmp_path: Path, boot: str, back: int
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await timed(ada, ben, HOUR)
        entry = await talk(ada, ben, "an hour")
        await read(ben, ada, entry)
        await ben.stop()
        ben.clock.slept_ms += HOUR * 1_000
        ben.clock.offset_ms -= back * 1_000  # in the same start of the machine no wall clock is needed
        ben.clock.boot_id = boot
        await ben.start()
        assert await kinds(ben, ada) == ["timer", "expired"]
        assert not holds(ben, entry)


@in_virtual_time
async def test_a_clock_set_back_across_a_restart_does_not_begin_the_time_anew(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await timed(ada, ben, 600)
        entry = await talk(ada, ben, "ten minutes")
        await read(ben, ada, entry)
        began = ben.clock.monotonic()
        await asyncio.sleep(500)  # of virtual time, before the restart
        await ben.stop()
        ben.clock.offset_ms -= DAY * 1_000
        ben.clock.boot_id = "second"
        await ben.start()
        await ended(ben, entry)
        assert ben.clock.monotonic() - began == pytest.approx(600, abs=5)


@in_virtual_time
async def test_an_expired_body_never_comes_back_by_repair(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await timed(ada, ben, 60)
        entry = await talk(ada, ben, WORD)
        await ended(ada, entry)
        # Ben has not read it, so he holds it still. Ada asks for all that she lacks.
        database = ada.engine._use_cases.store._database
        number = database.value(NUMBER, bytes.fromhex(entry))
        with database.transaction():
            database.run("INSERT OR IGNORE INTO headers_alone (entry, terminal) VALUES (?, 0)", number)
        await ada.stop()
        await ada.start()
        await talk(ben, ada, "on the next link")
        await asyncio.sleep(5)  # virtual: the heads are compared
        await talk(ben, ada, "after the repair")
        assert [event for event in ada.seen if isinstance(event, EntryFilled)] == []
        link = ben.engine._use_cases.links.current(ada.peer)
        assert link is not None
        number = ben.engine._use_cases.store._database.value(NUMBER, bytes.fromhex(entry))
        assert number in ben.engine._use_cases.sync._outbounds[link]._carried
        assert not holds(ada, entry)


@in_virtual_time
async def test_a_body_that_comes_after_its_end_is_acknowledged_and_not_kept(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (network, ada, ben):
        await timed(ada, ben, 60)
        network.part(ada.host, ben.host)
        entry = (await ada.engine.send(await ada.contact(ben), WORD)).id
        ben.clock.offset_ms += (UNREAD_SECONDS_MAX + HOUR) * 1_000
        got, came = delivered(ada, 1), ben.wait(EntryAdded, lambda event: event.entry.id == entry)
        network.join(ada.host, ben.host)
        assert (await came).entry.kind == "expired"
        await got
        assert not holds(ben, entry)
        assert (await contact(ben)).unread == 0
        assert await kinds(ben, ada) == ["timer", "expired"]


@in_virtual_time
async def test_a_timer_is_checked_and_set_once(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        friend = await ada.contact(ben)
        for wrong in (-1, TIMER_SECONDS_MAX + 1):
            with pytest.raises(UsageError):
                await ada.engine.set_timer(friend, wrong)
        assert await ada.engine.set_timer(friend, 0) is None
        await timed(ada, ben, TIMER_SECONDS_MAX)
        assert await ada.engine.set_timer(friend, TIMER_SECONDS_MAX) is None
        assert [(view.kind, view.seconds, view.expires) for view in await ben.history(ada)] == [
            ("timer", TIMER_SECONDS_MAX, None)
        ]
        await ada.stop()
        await ada.start()
        assert (await contact(ada)).timer == TIMER_SECONDS_MAX
        view = await ada.engine.send(friend, "a year")
        assert view.expires


@in_virtual_time
async def test_the_timer_stays_where_the_entry_that_set_it_is_deleted_and_goes_with_the_contact(
    tmp_path: Path,
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await timed(ada, ben, 60)
        friend = await ada.contact(ben)
        (setting,) = await ada.history(ben)
        await ada.engine.delete(friend, setting.id)
        await ada.stop()
        await ada.start()
        assert (await contact(ada)).timer == 60
        assert (await ada.engine.send(friend, "ends")).expires
        await ada.engine.remove(friend)
        database = ada.engine._use_cases.store._database
        for table in ("expiring", "timers", "clearing"):
            assert database.value(f"SELECT count(*) FROM {table}") == 0
        assert expiry.timers(database) == {}


@in_virtual_time
async def test_attack_75_an_expired_entry_leaves_nothing_in_any_page_or_frame_of_either_side(
    tmp_path: Path,
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await timed(ada, ben, 60)
        sent = [await talk(ada, ben, f"{WORD}{number} {number} " * 9) for number in range(30)]
        gone = ended(ada, sent[-1]), ended(ben, sent[-1])
        await ben.engine.mark_all_read(await ben.contact(ada))
        await asyncio.gather(*gone)
        for person in (ada, ben):
            await person.engine.clean()
            vault = person.engine._vault
            path = person.engine._use_cases.store._database.path
            for tail in (WORD.encode(), b"potamusqwv"):
                assert residues(path, vault._open_key().reveal(), tail) == []


@in_virtual_time
async def test_clear_deletes_what_is_held_in_pieces_and_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clearing, "PIECE", 2)
    async with two_contacts(tmp_path) as (_, ada, ben):
        friend = await ada.contact(ben)
        await timed(ada, ben, HOUR)
        for number in range(4):
            await talk(ben, ada, f"{WORD} {number}")
        await ada.engine.clear(friend)
        steps = [event for event in ada.seen if isinstance(event, HistoryCleared)]
        assert [(one.done, one.total) for one in steps] == [(2, 5), (4, 5), (5, 5)]
        assert await kinds(ada, ben) == ["timer", *["deleted"] * 4]
        assert ((await contact(ada)).timer, (await contact(ada)).unread) == (HOUR, 0)
        later = await talk(ben, ada, "later")
        await ada.stop()
        await ada.start()
        await talk(ben, ada, "after another link")
        assert await kinds(ada, ben) == ["timer", *["deleted"] * 4, "text", "text"]
        assert [view.id for view in await ada.engine.search("later")] == [later]
        assert await kinds(ben, ada) == ["timer", *["text"] * 6]


@in_virtual_time
async def test_clearing_goes_on_at_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clearing, "PIECE", 1)
    async with two_contacts(tmp_path) as (_, ada, ben):
        for number in range(3):
            await talk(ben, ada, f"{number}")
        store = ada.engine._use_cases.store
        conversation = conversation_of_two(ada.peer.person, ben.peer.person)
        await store.write(clearing.begin, conversation)
        await store.write(clearing.next_piece)
        assert (await kinds(ada, ben)).count("deleted") == 1
        await ada.stop()
        cleared = ada.wait(HistoryCleared, lambda event: event.done == event.total)
        await ada.start()
        await cleared
        assert await kinds(ada, ben) == ["deleted"] * 3
