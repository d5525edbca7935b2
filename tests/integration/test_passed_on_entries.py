"""Entries of a contact that another terminal of one's own passes on, as a stolen one could (SPEC §11.2)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from chat.interface import ContactChanged, EntriesConflict, EntryAdded, EntryFilled
from chat.network.links import LiveLink
from chat.service.events import CutsFollowed
from chat.storage import entries
from chat.storage.entries import HeadRow
from protocol.entries_and_receipts import (
    KIND_TEXT,
    EntryPlace,
    ParsedEntry,
    conversation_of_two,
    text_body,
    write_entry,
)
from protocol.messages import Entry, Head, Heads
from tests.integration.steps import current, dial, in_touch, meet, say
from tests.integration.test_damaged_profiles import flip, root_of
from tests.support.engines.engines import DEFAULTS, Person, in_virtual_time, talk
from tests.support.engines.terminals import add_terminal

TEXTS = ["one", "two", "three"]


@asynccontextmanager
async def with_a_sibling(folder: Path) -> AsyncIterator[tuple[Person, Person, Person]]:
    """Ada, Ben, and a second terminal of Ada's, which has stopped."""
    async with in_touch(folder) as (_, ada, ben):
        sibling = await add_terminal(ada, "10.0.0.9")
        await talk(ben, ada, "I know of your second terminal")
        await sibling.stop()
        yield ada, ben, sibling


def of_sibling(ada: Person, ben: Person, sibling: Person) -> LiveLink:
    """A link of Ada's first terminal with her second one."""
    return replace(current(ada, ben), person=ada.peer.person, terminal=sibling.peer.static)


async def held(person: Person, entry: str) -> Entry:
    """An entry as the person's terminal passes it on."""
    row = await person.engine._use_cases.store.read(entries.get, bytes.fromhex(entry))
    assert row is not None
    return Entry(row.header, row.salt, row.body)


def from_ben(ada: Person, ben: Person, after: HeadRow | None, text: str) -> ParsedEntry:
    """An entry in Ben's name that Ben's terminal does not hold, after one of Ben's."""
    parts = ada.engine._use_cases
    author = next(iter(parts.keyring.log(ben.peer.person).live))
    conversation = conversation_of_two(ada.peer.person, ben.peer.person)
    previous = None if after is None else (after.sequence, after.id)
    heads = parts.keyring.log(ben.peer.person).heads
    place = EntryPlace(conversation, author, b"planted.", previous, [], heads)
    return write_entry(place, ada.clock.wall(), KIND_TEXT, text_body(text), b"s" * 32, parts.runtime.random)


def at(entry: ParsedEntry) -> HeadRow:
    return HeadRow(entry.header.author, entry.header.sequence, entry.id)


async def last_of(person: Person, other: Person) -> HeadRow | None:
    """The newest entry of the other's first terminal that a person holds."""
    author = next(iter(person.engine._use_cases.keyring.log(other.peer.person).live))
    conversation = conversation_of_two(person.peer.person, other.peer.person)
    return await person.engine._use_cases.store.read(entries.last_by, conversation, author)


async def uncovered(ada: Person, ben: Person) -> list[str]:
    """The texts whose details say so."""
    friend, history = await ada.contact(ben), await ada.history(ben)
    return [view.text for view in history if (await ada.engine.details(friend, view.id)).uncovered]


@in_virtual_time(limit=600)
async def test_case_99_what_a_stolen_terminal_invents_in_a_contacts_name_stays_marked(tmp_path: Path) -> None:
    """Nor does it go to the contact, who would end the link at an entry of its own that it never wrote."""
    async with with_a_sibling(tmp_path) as (ada, ben, sibling):
        first = from_ben(ada, ben, await last_of(ada, ben), "lend me money")
        second = from_ben(ada, ben, at(first), "a lot of it")
        link = of_sibling(ada, ben, sibling)
        await ada.engine._use_cases.inbound.entries(link, [first.message(), second.message()])
        assert await uncovered(ada, ben) == ["lend me money", "a lot of it"]
        since = len(ada.seen)
        for number in range(3):
            await talk(ben, ada, f"from Ben {number}")
            await dial(ada, ben)
            await talk(ada, ben, f"from Ada {number}")
        assert await uncovered(ada, ben) == ["lend me money", "a lot of it"]
        assert "lend me money" not in await ben.texts(ada)
        changed = [event.contact for event in ada.seen[since:] if isinstance(event, ContactChanged)]
        assert all(view.present for view in changed)
        await ada.stop()
        await ada.start()
        await talk(ben, ada, "after a restart")
        assert await uncovered(ada, ben) == ["lend me money", "a lot of it"]


@in_virtual_time(limit=600)
async def test_case_99_a_damaged_page_takes_no_mark_away(tmp_path: Path) -> None:
    """Where it is lost what is marked, all is that might be, until the contact has named it."""
    async with with_a_sibling(tmp_path) as (ada, ben, sibling):
        invented = from_ben(ada, ben, await last_of(ada, ben), "lend me money")
        await ada.engine._use_cases.inbound.entries(of_sibling(ada, ben, sibling), [invented.message()])
        ada.network.cut(ada.host)
        page = await root_of(ada, "uncovered")
        await ada.stop()
        flip(ada.folder, page)
        await ada.start()
        assert await uncovered(ada, ben) == ["I know of your second terminal", "lend me money"]
        ada.network.heal(ada.host)
        await talk(ben, ada, "after the damage")
        await dial(ada, ben)
        await talk(ada, ben, "from Ada")
        assert await uncovered(ada, ben) == ["lend me money"]


@in_virtual_time(limit=600)
async def test_case_99_another_contact_takes_no_mark_away(tmp_path: Path) -> None:
    """An accomplice of the thief's names the invented entry in her own conversation with Ada."""
    async with with_a_sibling(tmp_path) as (ada, ben, sibling):
        mallory = Person("Mallory", "10.0.0.7", tmp_path / "Mallory", ada.network, DEFAULTS, 7)
        await mallory.create()
        for question in await ada.engine.questions():
            await ada.engine.confirm_own(question.operation)
        await meet(ada, mallory)
        await talk(mallory, ada, "hi")
        invented = from_ben(ada, ben, await last_of(ada, ben), "lend me money")
        await ada.engine._use_cases.inbound.entries(of_sibling(ada, ben, sibling), [invented.message()])
        conversation = conversation_of_two(ada.peer.person, mallory.peer.person)
        named = [Head(invented.header.author, invented.header.sequence, invented.id)]
        await current(mallory, ada).driver.send(Heads(conversation, b"", named, more=False))
        await talk(mallory, ada, "after it")
        assert await uncovered(ada, ben) == ["lend me money"]
        await mallory.engine.close()


@in_virtual_time(limit=600)
async def test_case_99_what_the_contact_wrote_is_marked_until_a_head_of_the_contact_covers_it(
    tmp_path: Path,
) -> None:
    """Ben's entries reach Ada's second terminal, and from there her first one, which cannot reach Ben."""
    async with with_a_sibling(tmp_path) as (ada, ben, sibling):
        link, network = of_sibling(ada, ben, sibling), ada.network
        await ada.stop()
        await sibling.start()
        written = [await held(ben, await talk(ben, sibling, text)) for text in TEXTS]
        await sibling.stop()
        network.cut(ada.host)
        await ada.start()
        await ada.engine._use_cases.inbound.entries(link, written)
        assert await uncovered(ada, ben) == TEXTS
        network.heal(ada.host)
        await talk(ada, ben, "together again")
        await talk(ben, ada, "and the other way")
        assert await uncovered(ada, ben) == []


@in_virtual_time(limit=600)
async def test_case_99_a_head_that_the_contact_names_covers_what_leads_to_it(tmp_path: Path) -> None:
    async with with_a_sibling(tmp_path) as (ada, ben, sibling):
        first, last = from_ben(ada, ben, None, "one"), await last_of(ada, ben)
        second = from_ben(ada, ben, at(first), "two")
        planted = from_ben(ada, ben, last, "lend me money")
        link, inbound = of_sibling(ada, ben, sibling), ada.engine._use_cases.inbound
        await inbound.entries(link, [one.message() for one in (first, second, planted)])
        assert set(await uncovered(ada, ben)) == {"one", "two", "lend me money"}
        named, followed = (
            [Head(second.header.author, second.header.sequence, second.id)],
            list[CutsFollowed](),
        )
        ada.engine._use_cases.bus.on(CutsFollowed, followed.append)
        await current(ben, ada).driver.send(Heads(first.header.conversation, b"", named, more=False))
        await talk(ben, ada, "after it")
        assert await uncovered(ada, ben) == ["lend me money"]
        assert followed  # what is covered may be a cut, or set a timer


@in_virtual_time(limit=600)
async def test_case_99_an_entry_of_the_contact_covers_the_one_before_it(tmp_path: Path) -> None:
    async with with_a_sibling(tmp_path) as (ada, ben, sibling):
        first = from_ben(ada, ben, await last_of(ada, ben), "one")
        await ada.engine._use_cases.inbound.entries(of_sibling(ada, ben, sibling), [first.message()])
        added = ada.wait(EntryAdded, lambda event: event.entry.text == "two")
        await current(ben, ada).driver.send(from_ben(ada, ben, at(first), "two").message())
        await added
        assert await uncovered(ada, ben) == []


@in_virtual_time(limit=600)
async def test_case_99_what_the_contact_passes_itself_is_marked_no_more(tmp_path: Path) -> None:
    async with with_a_sibling(tmp_path) as (ada, ben, sibling):
        link = of_sibling(ada, ben, sibling)
        ada.network.part(ada.host, ben.host)
        written = [await held(ben, (await say(ben, ada, text)).id) for text in TEXTS]
        await ada.engine._use_cases.inbound.entries(link, written)
        assert await uncovered(ada, ben) == TEXTS
        ada.network.join(ada.host, ben.host)
        await talk(ben, ada, "on the same link")
        assert await uncovered(ada, ben) == []


@in_virtual_time(limit=600)
async def test_case_99_the_missing_body_of_a_passed_on_entry_covers_it_when_the_contact_brings_it(
    tmp_path: Path,
) -> None:
    async with with_a_sibling(tmp_path) as (ada, ben, sibling):
        entry = from_ben(ada, ben, await last_of(ada, ben), "one").message()
        alone = Entry(entry.header, b"", b"")
        await ada.engine._use_cases.inbound.entries(of_sibling(ada, ben, sibling), [alone])
        view = (await ada.history(ben))[-1]
        friend = await ada.contact(ben)
        assert (view.kind, (await ada.engine.details(friend, view.id)).uncovered) == ("missing", True)
        filled = ada.wait(EntryFilled)
        await current(ben, ada).driver.send(entry)
        assert (await filled).entry.id == view.id
        assert not (await ada.engine.details(friend, view.id)).uncovered


async def accused(ada: Person, ben: Person) -> set[str]:
    """The texts that are marked as evidence, of which each one's details name the others."""
    friend, history = await ada.contact(ben), await ada.history(ben)
    found = [(view, (await ada.engine.details(friend, view.id)).conflicts) for view in history]
    assert all(view.conflicting is bool(conflicts) for view, conflicts in found)
    return {view.text for view, conflicts in found if conflicts}


async def in_one_place(ada: Person, ben: Person) -> list[ParsedEntry]:
    """Two entries in Ben's name that claim one place."""
    last = await last_of(ada, ben)
    return [from_ben(ada, ben, last, text) for text in ("one", "another")]


@in_virtual_time(limit=600)
async def test_case_99_an_invented_entry_is_no_evidence_against_its_author(tmp_path: Path) -> None:
    """Whichever comes first: what nobody but an own terminal ascribes to Ben accuses neither him nor it."""
    async with with_a_sibling(tmp_path) as (ada, ben, sibling):
        link, inbound = of_sibling(ada, ben, sibling), ada.engine._use_cases.inbound
        genuine, invented = await in_one_place(ada, ben)
        other_invented, other_genuine = (
            from_ben(ada, ben, at(genuine), text) for text in ("two", "another two")
        )
        for entry, carrier in (
            (genuine, current(ada, ben)),
            (invented, link),
            (other_invented, link),
            (other_genuine, current(ada, ben)),
        ):
            await inbound.entries(carrier, [entry.message()])
        assert await accused(ada, ben) == set()
        assert not [event for event in ada.seen if isinstance(event, EntriesConflict)]
        added = [event.entry for event in ada.seen if isinstance(event, EntryAdded)]
        assert not any(view.conflicting for view in added)


@in_virtual_time(limit=600)
async def test_case_99_what_the_contact_stands_for_is_evidence_from_then_on(tmp_path: Path) -> None:
    """By a head, or as the contact's terminal passes it: then an event says so."""
    async with with_a_sibling(tmp_path) as (ada, ben, sibling):
        link, inbound = of_sibling(ada, ben, sibling), ada.engine._use_cases.inbound
        for number, by_head in enumerate((True, False)):
            genuine, passed_on = await in_one_place(ada, ben)
            await inbound.entries(current(ada, ben), [genuine.message()])
            await inbound.entries(link, [passed_on.message()])
            conflict = ada.wait(EntriesConflict)
            if by_head:
                head = Head(passed_on.header.author, passed_on.header.sequence, passed_on.id)
                page = Heads(passed_on.header.conversation, b"", [head], more=False)
                await current(ben, ada).driver.send(page)
            else:
                await inbound.entries(current(ada, ben), [passed_on.message()])
            said = await conflict
            assert said.terminal == genuine.header.author.hex()
            assert set(said.ids) == {genuine.id.hex(), passed_on.id.hex()}
            history = await ada.history(ben)
            assert len([view for view in history if view.conflicting]) == 2 * (number + 1)
        assert len([event for event in ada.seen if isinstance(event, EntriesConflict)]) == 2
