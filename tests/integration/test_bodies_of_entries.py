"""Bodies that are missing, come later or were deleted: what a contact can make of them, what is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

from chat.interface import EntryAdded, EntryChanged, EntryDeleted, EntryFilled
from chat.network.driver import Driver
from chat.service.sync import TOGETHER
from chat.storage import entries
from chat.storage.database import Database
from chat.storage.entries import Stored
from protocol.entries_and_receipts import (
    KIND_TEXT,
    EntryPlace,
    ParsedEntry,
    conversation_of_two,
    parse_entry,
    text_body,
    write_entry,
)
from protocol.messages import Entry, Heads, Message, Receipt, Typing
from tests.integration.steps import current, dial, entry_of, in_touch, presence
from tests.support.engines.engines import Person, in_virtual_time, talk

M = TypeVar("M", bound=Message)


def sends(monkeypatch: pytest.MonkeyPatch) -> list[Message]:
    """Every message that a link sends from now on."""
    sent, send = list[Message](), Driver.send

    async def noted(driver: Driver, message: Message) -> None:
        sent.append(message)
        await send(driver, message)

    monkeypatch.setattr(Driver, "send", noted)
    return sent


def of(messages: Sequence[Message], kind: type[M]) -> list[M]:
    return [message for message in messages if isinstance(message, kind)]


def alone(entry: Entry) -> Entry:
    """The header of an entry without its body."""
    return Entry(entry.header, b"", b"")


async def arrives(one: Person, other: Person, entry: Entry) -> str:
    """Send an entry by hand until the other has stored something of it; returns its id."""
    stored = other.wait(EntryAdded)
    await current(one, other).driver.send(entry)
    return (await stored).entry.id


async def last(person: Person, other: Person) -> tuple[str, str]:
    """Kind and text of the newest entry."""
    view = (await person.history(other))[-1]
    return view.kind, view.text


@in_virtual_time
async def test_case_86_a_body_that_comes_after_its_deletion_stays_deleted(tmp_path: Path) -> None:
    """Deleted while it was missing, or held: whichever peer supplies the body later, and however often."""
    async with in_touch(tmp_path) as (_, ada, ben):
        friend = await ada.contact(ben)
        whole, late = entry_of(ben, ada, text="whole"), entry_of(ben, ada, text="late")
        for first, entry in ((whole, whole), (alone(late), late)):
            shown = await arrives(ben, ada, first)
            assert (await ada.engine.delete(friend, shown)).kind == "deleted"
            for again in (entry, alone(entry), entry):
                await current(ben, ada).driver.send(again)
            await talk(ben, ada, "after it")
            view = await ada.engine.entry(friend, shown)
            assert view is not None
            assert (view.kind, view.text) == ("deleted", "")
        assert not [event for event in ada.seen if isinstance(event, EntryFilled)]
        assert sum(isinstance(event, EntryDeleted) for event in ada.seen) == 2
        assert await ada.engine.search("late") == ()


@in_virtual_time
async def test_case_87_a_contact_makes_nothing_of_ones_own_look_deleted(tmp_path: Path) -> None:
    """A restored terminal lacks an own entry: its header alone is missing, and the body fills it."""
    async with in_touch(tmp_path) as (_, ada, ben):
        own = ada.engine._use_cases.keyring.own
        mine = entry_of(ada, ben, text="what Ada really wrote")
        assert entry_of(ben, ada, own.terminal, own.first_self_key).header != mine.header
        stored = ada.wait(EntryAdded)
        await current(ben, ada).driver.send(alone(mine))
        event = (await stored).entry
        shown = event.id
        assert (event.own, event.kind, event.text) == (True, "missing", "")
        assert await last(ada, ben) == ("missing", "")
        filled = ada.wait(EntryFilled)
        await current(ben, ada).driver.send(mine)
        view = (await filled).entry
        assert (view.id, view.own, view.kind, view.text) == (shown, True, "text", "what Ada really wrote")
        assert await last(ada, ben) == ("text", "what Ada really wrote")
        assert [hit.id for hit in await ada.engine.search("really")] == [shown]


@in_virtual_time
async def test_a_missing_body_is_neither_acknowledged_nor_unread_until_it_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        friend, entry, sent = (
            await ada.contact(ben),
            entry_of(ben, ada, text="comes later"),
            sends(monkeypatch),
        )
        shown = await arrives(ben, ada, alone(entry))
        assert await ada.engine.first_unread(friend) is None
        assert (await ada.engine.details(friend, shown)).stored is None
        await talk(ben, ada, "whose receipt comes after that of the header, if there is one")
        assert not [one for one in of(sent, Receipt) if bytes.fromhex(shown) in one.ids]
        filled = ada.wait(EntryFilled)
        await current(ben, ada).driver.send(entry)
        await filled
        assert await ada.engine.first_unread(friend) == shown
        details = await ada.engine.details(friend, shown)
        assert details.stored is not None
        assert details.bytes == len(entry.header) + len(entry.salt) + len(entry.body)
        await talk(ben, ada, "whose receipt comes after that of the body")
        assert [one.ids for one in of(sent, Receipt) if bytes.fromhex(shown) in one.ids] == [
            [bytes.fromhex(shown)]
        ]


@in_virtual_time
async def test_an_entry_deleted_while_it_waits_arrives_once_and_as_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        await ben.stop()
        gone = await ada.engine.send(await ada.contact(ben), "thought better of it")
        await ada.engine.delete(await ada.contact(ben), gone.id)
        since = len(ada.seen)
        await ben.start()
        await talk(ada, ben, "here again")
        sent = sends(monkeypatch)
        for number in range(3):
            await dial(ada, ben)
            await talk(ada, ben, f"on another link {number}")
        assert [entry for entry in of(sent, Entry) if not entry.salt] == []
        views = {view.id: (view.kind, view.text) for view in await ben.history(ada)}
        assert views[gone.id] == ("missing", "")
        changed = [event.id for event in ada.seen[since:] if isinstance(event, EntryChanged)]
        assert gone.id not in changed


@in_virtual_time
async def test_an_entry_deleted_while_it_is_queued_for_a_link_goes_without_its_body(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The link is still busy with another message, and the whole entry waits behind it in memory."""
    async with in_touch(tmp_path) as (_, ada, ben):
        sent, send, writable, waits = list[Message](), Driver.send, asyncio.Event(), asyncio.Event()

        async def busy(driver: Driver, message: Message) -> None:
            if isinstance(message, Typing):
                waits.set()
                await writable.wait()
            sent.append(message)
            await send(driver, message)

        monkeypatch.setattr(Driver, "send", busy)
        contact = await ada.contact(ben)
        await ada.engine.typing(contact, True)
        await waits.wait()
        gone = await ada.engine.send(contact, "thought better of it")
        await ada.engine.delete(contact, gone.id)
        since, arrived = len(ada.seen), ben.wait(EntryAdded)
        writable.set()
        assert (await arrived).entry.kind == "missing"
        carried = [entry for entry in of(sent, Entry) if parse_entry(entry).id.hex() == gone.id]
        assert [(entry.salt, entry.body) for entry in carried] == [(b"", b"")]
        assert [event for event in ada.seen[since:] if isinstance(event, EntryChanged)] == []


@pytest.mark.parametrize("holds", [True, False])
@in_virtual_time
async def test_a_missing_body_is_asked_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, holds: bool
) -> None:
    """Another terminal passed the header alone, which is no answer of this one."""
    async with in_touch(tmp_path) as (_, ada, ben):
        entry = entry_of(ben, ada, text="asked for")
        parsed = parse_entry(entry).id.hex()
        for person, held in ((ben, entry), (ada, alone(entry))):
            keep = partial(entries.insert, entry=parse_entry(held), unread=False, carrier=b"t" * 32)
            await person.engine._use_cases.store.write(keep)
        if not holds:
            await ben.engine.delete(await ben.contact(ada), parsed)
        filled, sent = ada.wait(EntryFilled), sends(monkeypatch)
        for number in range(3):
            await dial(ada, ben)
            await talk(ada, ben, f"on another link {number}")
        assert filled.done() is holds
        assert [bool(one.salt) for one in of(sent, Entry) if one.header == entry.header] == [holds]
        view = await ada.engine.entry(await ada.contact(ben), parsed)
        assert view is not None
        assert view.kind == ("text" if holds else "missing")


@in_virtual_time
async def test_what_is_resent_for_heads_is_neither_sent_nor_queued_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restored copy asks for everything: entries of the contact, and own ones that were read."""
    async with in_touch(tmp_path) as (_, ada, ben):
        mine, theirs = await talk(ada, ben, "mine"), await talk(ben, ada, "theirs")
        await ben.engine.mark_read(await ben.contact(ada), (mine,))
        await dial(ada, ben)
        await talk(ada, ben, "on a link that carried nothing before")
        own, contact = (one.engine._use_cases.keyring.own.person for one in (ada, ben))
        since, sent = len(ada.seen), sends(monkeypatch)
        await current(ben, ada).driver.send(Heads(conversation_of_two(own, contact), b"", [], more=False))
        await talk(ada, ben, "end")
        gone = presence(ada, present=False)
        await ben.stop()
        await gone
        carried = {parse_entry(one).id.hex() for one in of(sent, Entry)}
        assert {mine, theirs} <= carried
        changed = [event.id for event in ada.seen[since:] if isinstance(event, EntryChanged)]
        assert not {mine, theirs}.intersection(changed)


@in_virtual_time
async def test_what_is_missing_before_an_entry_is_asked_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The contact lacks it too, and answers with the entry alone."""
    async with in_touch(tmp_path) as (_, ada, ben):
        lost = parse_entry(entry_of(ben, ada, text="lost"))
        after = entry_of(ben, ada, text="after it", previous=(lost.header.sequence, lost.id))
        keep = partial(entries.insert, entry=parse_entry(after), unread=False)
        await ben.engine._use_cases.store.write(keep)
        sent = sends(monkeypatch)
        await arrives(ben, ada, after)
        for number in range(6):
            await dial(ada, ben)
            await talk(ada, ben, f"on another link {number}")
            await asyncio.sleep(40)  # a link that ends before may not have brought the whole answer
            if number == 3:  # until then each side may have asked, by heads that crossed
                assert [one.header for one in of(sent, Entry)].count(after.header) <= 3
                sent.clear()
        assert after.header not in [one.header for one in of(sent, Entry)]


def chain(ben: Person, ada: Person, texts: Sequence[str]) -> list[ParsedEntry]:
    """Entries of Ben's with these texts, one after the other, which nobody holds."""
    parts, made = ben.engine._use_cases, list[ParsedEntry]()
    own, heads = parts.keyring.own, parts.keyring.own_log.heads
    talk = conversation_of_two(own.person, ada.peer.person)
    for text in texts:
        last = (made[-1].header.sequence, made[-1].id) if made else None
        place = EntryPlace(talk, own.terminal, b"12345678", last, [], heads)
        now, random = parts.runtime.clock.wall(), parts.runtime.random
        made.append(write_entry(place, now, KIND_TEXT, text_body(text), own.first_self_key, random))
    return made


@in_virtual_time
async def test_long_texts_that_come_together_are_stored_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To index the words of sixty-four of them at once takes a second, for which everybody waits."""
    sizes, real = list[list[int]](), entries.insert_all

    def noted(database: Database, new: Sequence[ParsedEntry], *more: Any, **options: Any) -> list[Stored]:
        sizes.append([len(entry.body) for entry in new])
        return real(database, new, *more, **options)

    async with in_touch(tmp_path) as (_, ada, ben):
        texts = ["first", "短" * 12_000, *(f"short {number}" for number in range(20)), *["长" * 16_000] * 6]
        new = [entry.message() for entry in chain(ben, ada, texts)]
        monkeypatch.setattr(entries, "insert_all", noted)
        await ada.engine._use_cases.sync.received(current(ada, ben), new)
        assert [view.text for view in await ada.history(ben)] == ["before", *texts]
    assert sum(map(sum, sizes)) == sum(len(entry.body) for entry in new)
    assert max(map(len, sizes)) > 20, "short ones go together"
    assert all(sum(some[1:]) < TOGETHER for some in sizes)
