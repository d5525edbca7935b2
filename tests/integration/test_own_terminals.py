"""Links among the terminals of one person, and delivery by whichever is there (SPEC §7.8)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from chat.interface import (
    ContactChanged,
    DeletionScope,
    EntryAdded,
    EntryChanged,
    EntryState,
    QuestionsChanged,
)
from chat.network.links import LiveLink
from chat.service.events import ContactsChanged
from chat.storage import contacts
from protocol.limits import DEAD_AFTER_SECONDS, RESPONDER_PING_AFTER_SECONDS
from protocol.messages import Digests, LogHeads, Message, Reachable
from tests.integration.steps import current, dial, in_touch, say
from tests.support.engines.engines import Person, contact, in_virtual_time, named, talk
from tests.support.engines.terminals import add_terminal
from tests.support.fakes.network import Network
from tests.support.fakes.relay import MemoryRelay

LAPTOP = "10.0.0.9"


@asynccontextmanager
async def desk_and_laptop(folder: Path) -> AsyncIterator[tuple[Network, Person, Person, Person]]:
    """Ada at two terminals, which have a link, and Ben, who has one with each."""
    async with in_touch(folder) as (network, desk, ben):
        laptop = await add_terminal(desk, LAPTOP)
        try:
            await asyncio.sleep(10)
            assert linked(desk, laptop)
            yield network, desk, laptop, ben
        finally:
            await laptop.engine.close()


def linked(one: Person, other: Person) -> bool:
    return one.engine._use_cases.links.current(other.peer) is not None


async def apart(network: Network, one: Person, other: Person) -> None:
    """The two do not reach each other any more."""
    network.part(one.host, other.host)
    await asyncio.sleep(RESPONDER_PING_AFTER_SECONDS + DEAD_AFTER_SECONDS + 1)
    assert not linked(one, other)


def terminal_of(person: Person) -> str:
    return person.engine._use_cases.keyring.own.terminal.hex()


async def unread(person: Person) -> int:
    return (await contact(person)).unread


def said_among(*persons: Person) -> list[Message]:
    """What own terminals send each other from now on, but for logs and addresses."""
    said = list[Message]()

    def listen(link: LiveLink) -> None:
        send = link.driver.send

        async def sending(message: Message) -> None:
            if not isinstance(message, LogHeads | Reachable):
                said.append(message)
            await send(message)

        async def sending_all(messages: Iterable[Message]) -> None:
            for message in messages:
                await sending(message)

        link.driver.send = sending  # type: ignore[method-assign]
        link.driver.send_all = sending_all  # type: ignore[method-assign]

    for person in persons:
        forwarding = person.engine._use_cases.forwarding
        opened = forwarding.opened

        def noted(link: LiveLink, deleted: set[bytes], opened: Any = opened) -> Any:
            outgoing = opened(link, deleted)
            if outgoing is not None:
                listen(link)
            return outgoing

        forwarding.opened = noted  # type: ignore[method-assign]
        for link in forwarding.links:
            listen(link)
    return said


def of_substance(said: list[Message]) -> list[Message]:
    """What is no digest."""
    return [message for message in said if not isinstance(message, Digests)]


async def block_here(person: Person, other: Person, *, on: bool) -> None:
    """Block or unblock a contact on one device, which has not told the others."""
    parts, contact = person.engine._use_cases, other.peer.person
    await parts.store.write(contacts.set_blocked, contact, on)
    parts.keyring.contacts[contact].blocked = on
    if on:
        await parts.links.close(contact, 0)
    parts.bus.signal(ContactsChanged())


async def remove_here(person: Person, other: Person) -> None:
    """Remove a contact on one device, which has not told the others."""
    parts, contact = person.engine._use_cases, other.peer.person
    parts.keyring.contacts.pop(contact)
    await parts.links.close(contact, 0)
    await parts.store.write(contacts.remove, contact)
    parts.book.rows.pop(contact)
    parts.bus.signal(ContactsChanged())


def arrives(person: Person, text: str) -> asyncio.Future[EntryAdded]:
    return person.wait(EntryAdded, lambda event: event.entry.text == text)


def comes_to(person: Person, entry: str, state: EntryState) -> asyncio.Future[EntryChanged]:
    return person.wait(EntryChanged, lambda event: (event.id, event.state) == (entry, state))


@in_virtual_time(limit=600)
async def test_a_contacts_text_reaches_a_second_terminal_through_the_first(tmp_path: Path) -> None:
    async with desk_and_laptop(tmp_path) as (network, desk, laptop, ben):
        network.part(laptop.host, ben.host)
        await asyncio.sleep(30)
        assert not linked(ben, laptop)
        there = arrives(laptop, "by the desk")
        await talk(ben, desk, "by the desk")
        await there


@in_virtual_time(limit=600)
async def test_what_one_terminal_wrote_another_delivers_while_both_are_there(tmp_path: Path) -> None:
    """The laptop does not reach Ben, and learns from the desk that he has its text."""
    async with desk_and_laptop(tmp_path) as (network, desk, laptop, ben):
        await apart(network, laptop, ben)
        there = arrives(ben, "by the desk")
        entry = (await say(laptop, ben, "by the desk")).id
        told = comes_to(laptop, entry, EntryState.DELIVERED), comes_to(desk, entry, EntryState.DELIVERED)
        await there
        await asyncio.gather(*told)


@in_virtual_time(limit=600)
async def test_an_entry_that_the_desk_holds_reaches_the_contact_while_the_laptop_sleeps(
    tmp_path: Path,
) -> None:
    async with desk_and_laptop(tmp_path) as (network, desk, laptop, ben):
        network.cut(ben.host)
        there = arrives(desk, "good night")
        entry = (await say(laptop, ben, "good night")).id
        await there
        await laptop.stop()
        delivered = comes_to(desk, entry, EntryState.DELIVERED)
        network.heal(ben.host)
        await delivered
        network.cut(ben.host)
        await laptop.start()
        await comes_to(laptop, entry, EntryState.DELIVERED)


@in_virtual_time(limit=600)
async def test_what_was_delivered_says_to_which_terminals(tmp_path: Path) -> None:
    async with desk_and_laptop(tmp_path) as (_, desk, laptop, ben):
        entry = await talk(ben, desk, "to both")
        await asyncio.sleep(2)
        details = await ben.engine.details(await ben.contact(desk), entry)
        assert {one.terminal for one in details.receipts} == {terminal_of(desk), terminal_of(laptop)}


@in_virtual_time(limit=600)
async def test_read_on_one_terminal_is_read_on_all(tmp_path: Path) -> None:
    """Those that are apart meanwhile agree once they have a link again, and say nothing twice then."""
    async with desk_and_laptop(tmp_path) as (network, desk, laptop, ben):
        there = arrives(laptop, "read me")
        first = await talk(ben, desk, "read me")
        await there
        await asyncio.sleep(5)  # in which the terminals compare what they have
        read = comes_to(ben, first, EntryState.READ)
        await desk.engine.mark_read(await desk.contact(ben), (first,))
        await read
        await asyncio.sleep(2)
        assert (await unread(desk), await unread(laptop)) == (0, 0)
        network.part(desk.host, laptop.host)
        second = await talk(ben, desk, "read me too")
        await asyncio.sleep(10)
        await laptop.engine.mark_read(await laptop.contact(ben), (second,))
        assert (await unread(desk), await unread(laptop)) == (1, 0)
        network.join(desk.host, laptop.host)
        await desk.wait(ContactChanged, lambda event: event.contact.unread == 0)
        said = said_among(desk, laptop)
        network.part(desk.host, laptop.host)
        await asyncio.sleep(60)
        network.join(desk.host, laptop.host)
        await asyncio.sleep(60)
        assert linked(desk, laptop)
        assert said
        assert of_substance(said) == []


@in_virtual_time(limit=600)
async def test_edits_deletes_and_timers_reach_the_other_terminal_and_the_contact_through_it(
    tmp_path: Path,
) -> None:
    async with desk_and_laptop(tmp_path) as (network, desk, laptop, ben):
        edited, deleted = await talk(desk, ben, "hallo"), await talk(desk, ben, "secret")
        await asyncio.sleep(2)
        await apart(network, laptop, ben)
        friend = await laptop.contact(ben)
        await laptop.engine.edit(friend, edited, "hello")
        await laptop.engine.delete(friend, deleted, DeletionScope.EVERYONE)
        await laptop.engine.set_timer(friend, 60)
        await asyncio.sleep(5)
        for person, other in ((desk, ben), (ben, desk), (laptop, ben)):
            views = {view.id: view for view in await person.history(other)}
            assert views[edited].text == "hello"
            assert views[deleted].kind == "deleted"
            (shown,) = [
                one for one in await person.engine.contacts() if one.person == await person.contact(other)
            ]
            assert shown.timer == 60
        short = (await say(laptop, ben, "gone in a minute")).id
        await asyncio.sleep(2)
        await ben.engine.mark_read(await ben.contact(desk), (short,))
        await asyncio.sleep(90)
        for person, other in ((desk, ben), (ben, desk), (laptop, ben)):
            assert {view.id: view for view in await person.history(other)}[short].kind == "expired"


@in_virtual_time(limit=600)
async def test_what_a_contact_signs_reaches_a_terminal_through_another_one(tmp_path: Path) -> None:
    async with desk_and_laptop(tmp_path) as (network, _, laptop, ben):
        await apart(network, laptop, ben)
        renamed = laptop.wait(ContactChanged, lambda event: event.contact.name == "Benjamin")
        await ben.engine.rename_self("Benjamin")
        await renamed


@in_virtual_time(limit=600)
async def test_own_terminals_are_no_contacts(tmp_path: Path) -> None:
    async with desk_and_laptop(tmp_path) as (_, desk, laptop, _):
        for one in (desk, laptop):
            assert [view.name for view in await one.engine.contacts()] == ["Ben"]
            changed = [event.contact for event in one.seen if isinstance(event, ContactChanged)]
            assert {view.name for view in changed} <= {"Ben"}


@in_virtual_time(limit=600)
async def test_own_terminals_meet_at_a_relay(tmp_path: Path) -> None:
    async with desk_and_laptop(tmp_path) as (network, desk, laptop, ben):
        network.part(desk.host, laptop.host)
        await apart(network, laptop, ben)
        relay = MemoryRelay(network).start()
        for one in (desk, laptop):
            await named(one, relay)
        there = arrives(laptop, "through the relay")
        await talk(ben, desk, "through the relay")
        await there
        assert current(desk, laptop).relayed


@in_virtual_time(limit=600)
async def test_a_terminal_that_the_other_one_does_not_know_gets_a_link_for_operations_alone(
    tmp_path: Path,
) -> None:
    async with in_touch(tmp_path) as (network, desk, ben):
        laptop = await add_terminal(desk, LAPTOP, told=False)
        try:
            network.part(laptop.host, ben.host)
            keyring = desk.engine._use_cases.keyring
            assert laptop.peer.static not in {one.static for one in keyring.own_log.terminals()}
            grew = desk.wait(QuestionsChanged)
            await dial(laptop, desk)
            assert not linked(desk, laptop)
            await grew
            there = arrives(laptop, "now you may know")
            await talk(ben, desk, "now you may know")
            await there
        finally:
            await laptop.engine.close()


@in_virtual_time(limit=600)
async def test_terminals_that_read_the_same_apart_agree_about_it(tmp_path: Path) -> None:
    async with desk_and_laptop(tmp_path) as (network, desk, laptop, ben):
        entry = await talk(ben, desk, "read me twice")
        await asyncio.sleep(5)
        network.part(desk.host, laptop.host)
        await asyncio.sleep(20)
        for one in (desk, laptop):
            await one.engine.mark_read(await one.contact(ben), (entry,))
        network.join(desk.host, laptop.host)
        await asyncio.sleep(60)
        assert linked(desk, laptop)
        said = said_among(desk, laptop)
        await dial(desk, laptop)
        await asyncio.sleep(20)
        assert said
        assert of_substance(said) == []
        await entry_and_marks(desk, laptop, ben)


async def entry_and_marks(one: Person, other: Person, ben: Person) -> None:
    """Both say the same of each entry."""
    said = []
    for person in (one, other):
        views = await person.history(ben)
        details = [await person.engine.details(await person.contact(ben), view.id) for view in views]
        marks = [{(mark.terminal, mark.kind) for mark in one.receipts} for one in details]
        said.append([(view.id, view.text, view.state) for view in views])
        assert marks[-1] >= {(terminal_of(one), EntryState.READ), (terminal_of(other), EntryState.READ)}
    assert said[0] == said[1]


@in_virtual_time(limit=600)
async def test_an_entry_with_a_timer_counts_from_the_first_reading_on_any_terminal(tmp_path: Path) -> None:
    async with desk_and_laptop(tmp_path) as (_, desk, laptop, ben):
        await ben.engine.set_timer(await ben.contact(desk), 60)
        there = arrives(laptop, "for a minute")
        entry = await talk(ben, desk, "for a minute")
        await there
        await asyncio.sleep(5)
        await desk.engine.mark_read(await desk.contact(ben), (entry,))
        await asyncio.sleep(90)
        for one in (desk, laptop):
            assert {view.id: view for view in await one.history(ben)}[entry].kind == "expired"


@in_virtual_time(limit=900)
async def test_three_terminals_in_a_row_pass_on_and_fall_silent(tmp_path: Path) -> None:
    """Ben reaches the desk alone, the phone only the laptop; what is uncovered goes on among own ones."""
    async with desk_and_laptop(tmp_path) as (network, desk, laptop, ben):
        phone = await add_terminal(desk, "10.0.0.8")
        try:
            for one, other in ((laptop, ben), (phone, ben), (phone, desk)):
                await apart(network, one, other)
            said = said_among(desk, laptop, phone)
            there = arrives(phone, "to all")
            await talk(ben, desk, "to all")
            await there
            back = arrives(ben, "from the phone")
            entry = (await say(phone, ben, "from the phone")).id
            delivered = comes_to(phone, entry, EntryState.DELIVERED)
            await back
            await delivered
            await asyncio.sleep(10)
            carried = Counter(type(message).__name__ for message in said)
            assert (carried["Entry"], carried["SignedEntry"]) == (2, 2), "two entries over two links"
            assert len(said) < 40
            said.clear()
            await asyncio.sleep(60)
            assert said == []
        finally:
            await phone.engine.close()
