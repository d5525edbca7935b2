"""What one device of a person learns about contacts is the same on all of them (SPEC §11.10)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path

from msgspec.structs import replace

from chat.interface import (
    ContactRemoved,
    ContactView,
    EntryAdded,
    EntryState,
    RelayView,
    SettingsView,
)
from chat.storage import contacts, entries, keys, positions, registers, settings
from chat.storage.contacts import ComparisonRow, ContactRow
from chat.storage.database import Database
from chat.storage.keys import PairingRow
from chat.storage.sharing import is_due
from protocol.entries_and_receipts import KIND_STATE
from protocol.notes import Register, notes_of, read_state, subject
from tests.integration.steps import number_of
from tests.integration.test_linking import laptop_of, present
from tests.support.engines import devices
from tests.support.engines.engines import Person, in_virtual_time, invite, people, talk
from tests.support.fakes.network import Network

MONTH = 30 * 86_400.0
SETTLED = 8.0
"""Virtual seconds in which devices that have a link tell each other what is new."""


@asynccontextmanager
async def two_devices(folder: Path) -> AsyncIterator[tuple[Network, Person, Person, Person, Person]]:
    """Ada's desk and laptop, which both have Ben as a contact; Cat is nobody's contact yet."""
    async with people(folder, "Ada", "Ben", "Cat") as (network, (desk, ben, cat)):
        await invite(desk, ben)
        laptop = laptop_of(desk, folder)
        await devices.link(desk, laptop)
        await present(laptop)
        await asyncio.sleep(SETTLED)
        try:
            yield network, desk, laptop, ben, cat
        finally:
            await laptop.engine.close()


async def apart(network: Network, one: Person, other: Person, work: Awaitable[object]) -> None:
    """Do something while two devices do not hear of each other."""
    network.part(one.host, other.host)
    await asyncio.sleep(30)
    await work
    network.join(one.host, other.host)
    await asyncio.sleep(60)


async def rows(person: Person) -> list[ContactRow]:
    return await person.engine._use_cases.store.read(contacts.all)


async def pairings(person: Person, other: Person) -> tuple[PairingRow, ...]:
    return await person.engine._use_cases.store.read(keys.pairings_of, other.peer.person)


async def roots(person: Person, other: Person) -> list[bytes]:
    """The roots of all pairings, the newest first."""
    return [one.root for one in await pairings(person, other)]


async def view_of(person: Person, other: Person) -> ContactView:
    wanted = await person.contact(other)
    return next(view for view in await person.engine.contacts() if view.person == wanted)


async def agree(*persons: Person) -> None:
    """All devices have stored the same of all contacts, and show what they have stored."""
    first, *others = persons
    compared = {
        one.folder: [
            # What each device knows of who compared is its own: what is shown of it is the same.
            (replace(row, compared=True), await one.engine._use_cases.store.read(_facts, row.person))
            for row in await rows(one)
        ]
        for one in persons
    }
    for other in others:
        assert compared[other.folder] == compared[first.folder]
    assert len({(await one.engine.me()).notes_pinned for one in persons}) == 1
    for one in persons:
        parts = one.engine._use_cases
        assert parts.notes_pin.on == await parts.store.read(settings.notes_pinned)
        assert parts.book.rows == {row.person: row for row in await rows(one)}
        assert set(parts.keyring.contacts) == set(parts.book.rows)
        assert not await parts.store.read(is_due)
        assert not parts.keyring.awaited


def _facts(database: Database, person: bytes) -> tuple[tuple[PairingRow, ...], ComparisonRow | None]:
    return keys.pairings_of(database, person), contacts.comparison(database, person)


@in_virtual_time
async def test_a_contact_made_after_linking_is_a_contact_of_both_devices(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (_, desk, laptop, _, cat):
        await invite(desk, cat)
        await desk.engine.rename(await desk.contact(cat), "Kitty")
        await asyncio.sleep(SETTLED)
        await agree(desk, laptop)
        assert (await view_of(laptop, cat)).name == "Kitty"
        await talk(laptop, cat, "from the laptop")
        await talk(cat, laptop, "to both")
        await asyncio.sleep(SETTLED)
        assert await desk.texts(cat) == await laptop.texts(cat) == ["from the laptop", "to both"]
        await laptop.stop()
        await laptop.start()
        await agree(desk, laptop)


@in_virtual_time
async def test_a_pairing_on_one_device_cuts_off_no_other_one(tmp_path: Path) -> None:
    """The laptop pairs with Ben again while the desk sleeps, and Ben forgets the earlier pairing."""
    async with two_devices(tmp_path) as (_, desk, laptop, ben, _):
        before = await roots(desk, ben)
        await desk.stop()
        await invite(laptop, ben)
        await talk(laptop, ben, "under the second")
        await asyncio.sleep(SETTLED)
        assert await roots(ben, laptop) == await roots(laptop, ben) != before
        await desk.start()
        await asyncio.sleep(SETTLED)
        assert await roots(desk, ben) == await roots(laptop, ben)
        await laptop.stop()
        await talk(desk, ben, "and the desk")
        await talk(ben, desk, "hears it")
        await laptop.start()
        await asyncio.sleep(SETTLED)
        await agree(desk, laptop)


@in_virtual_time
async def test_two_devices_pair_with_one_contact_while_they_are_apart(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (network, desk, laptop, ben, cat):

        async def both() -> None:
            for other in (ben, cat):
                for one in (desk, laptop):
                    await invite(one, other)
                    await asyncio.sleep(SETTLED)

        await apart(network, desk, laptop, both())
        await agree(desk, laptop)
        for other in (ben, cat):
            (held,) = await roots(other, desk)
            assert held in await roots(desk, other)
            for one, quiet in ((desk, laptop), (laptop, desk)):
                await quiet.stop()
                await talk(one, other, f"from {one.host}")
                await talk(other, one, f"to {one.host}")
                await quiet.start()
                await asyncio.sleep(SETTLED)
        await invite(desk, ben)  # which supersedes both
        await asyncio.sleep(60)
        assert await roots(desk, ben) == await roots(laptop, ben) == await roots(ben, desk)
        assert len(await roots(desk, ben)) == 1


@in_virtual_time(limit=2 * MONTH)
async def test_what_was_changed_on_two_devices_a_month_apart_converges(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (network, desk, laptop, ben, cat):
        friend, own = await desk.contact(ben), (await desk.engine.me()).person

        async def changes() -> None:
            laptop.clock.offset_ms = -1_800_000  # it is behind, and a clock decides nothing
            await desk.engine.rename(friend, "Benjamin")
            await laptop.engine.rename(friend, "Big Ben")
            for one in (desk, laptop, ben, cat):
                await one.stop()
            await asyncio.sleep(MONTH)
            for one in (desk, laptop, ben, cat):
                await one.start()
            await laptop.engine.rename(friend, "Ben of the laptop")
            await desk.engine.block(friend, True)
            await desk.engine.pin(friend, True)
            for on in (True, False, True, False, True):  # the longer way, so that no id decides
                await laptop.engine.pin(friend, on)
            await laptop.engine.mute(friend, True)
            await desk.engine.pin(own, True)
            await invite(laptop, cat)
            await desk.engine.pin(friend, False)
            await laptop.engine.change_settings(SettingsView(read_receipts=False, typing=True))
            await desk.engine.change_settings(SettingsView(read_receipts=True, typing=False))

        await apart(network, desk, laptop, changes())
        await agree(desk, laptop)
        shown = await view_of(desk, ben)
        # The laptop wrote the longer chain: its name is later in the order. Blocking is another register.
        assert (shown.name, shown.blocked) == ("Ben of the laptop", True)
        assert (shown.pinned, shown.muted) == (True, True)
        assert (await laptop.engine.me()).notes_pinned
        for one in (desk, laptop):
            assert await one.engine.settings() == SettingsView(read_receipts=False, typing=False)
        assert len(await rows(desk)) == 2
        await laptop.engine.block(friend, False)
        await asyncio.sleep(60)
        await agree(desk, laptop)
        await talk(desk, ben, "no more blocked")


@in_virtual_time
async def test_a_contact_removed_on_one_device_while_the_other_renames_it_is_gone_on_both(
    tmp_path: Path,
) -> None:
    async with two_devices(tmp_path) as (network, desk, laptop, ben, _):
        friend = await desk.contact(ben)
        await talk(ben, desk, "soon forgotten")
        gone = laptop.wait(ContactRemoved)

        async def changes() -> None:
            await desk.engine.remove(friend)
            for number in range(4):
                await laptop.engine.rename(friend, f"Ben {number}")
            await laptop.engine.pin(friend, True)
            await laptop.engine.mute(friend, True)

        await apart(network, desk, laptop, changes())
        assert (await gone).person == friend
        await agree(desk, laptop)
        assert await rows(desk) == []
        for one in (desk, laptop):
            parts = one.engine._use_cases
            await parts.cleaner.clean()
            assert not await parts.store.read(found_in_bodies, b"Ben 3")
            assert not await parts.store.read(found_in_bodies, ben.peer.person)
        await invite(laptop, ben)
        await asyncio.sleep(SETTLED)
        await agree(desk, laptop)
        for one in (desk, laptop):
            view = await view_of(one, ben)
            assert (view.name, view.pinned, view.muted) == ("Ben", False, False)
        await talk(desk, ben, "again")


def found_in_bodies(database: Database, data: bytes) -> bool:
    return any(data in body for (body,) in database.rows("SELECT body FROM bodies"))


@in_virtual_time
async def test_a_verification_reaches_the_other_device(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (_, desk, laptop, ben, _):
        friend = await desk.contact(ben)
        assert not (await view_of(laptop, ben)).verified
        await desk.engine.verify(friend, await number_of(ben, desk))
        await asyncio.sleep(SETTLED)
        await agree(desk, laptop)
        assert (await view_of(laptop, ben)).verified
        assert (await laptop.engine.verification(friend)).compared is not None
        await laptop.engine.unverify(friend)
        await asyncio.sleep(SETTLED)
        await agree(desk, laptop)
        assert not (await view_of(desk, ben)).verified


@in_virtual_time
async def test_relays_are_the_same_on_both_devices(tmp_path: Path) -> None:
    address = "parlour-relay:192.168.9.9:4746#kitpwwvocf3lfgrpplp7ibtfjvzwmrbu4ujxjebkpovfn2idtqja"

    async def named(person: Person) -> list[RelayView]:
        return [view for view in await person.engine.relays() if view.address == address]

    async with two_devices(tmp_path) as (_, desk, laptop, _, _):
        await desk.engine.add_relay(address)
        await asyncio.sleep(SETTLED)
        assert await named(laptop)
        await laptop.engine.remove_relay(address)
        await asyncio.sleep(SETTLED)
        assert not await named(desk)


@in_virtual_time
async def test_the_root_of_a_retired_pairing_stays_on_no_disk(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (_, desk, laptop, ben, _):
        await invite(desk, ben)
        await asyncio.sleep(SETTLED)
        (second,) = await roots(desk, ben)
        store = laptop.engine._use_cases.store
        assert await store.read(found_in_bodies, second)
        await laptop.stop()
        await invite(desk, ben)
        await talk(desk, ben, "under the third")
        await laptop.start()
        await asyncio.sleep(SETTLED)
        assert await roots(desk, ben) == await roots(laptop, ben) != [second]
        for one in (desk, laptop):
            parts = one.engine._use_cases
            await parts.cleaner.clean()
            assert not await parts.store.read(found_anywhere, second)
            assert await parts.store.read(registers.is_retired, subject(second))


def found_anywhere(database: Database, secret: bytes) -> bool:
    """Whether any value of any table has these bytes."""
    tables = [name for (name,) in database.rows("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    return any(
        isinstance(value, bytes) and secret in value
        for table in tables
        for row in database.rows(f"SELECT * FROM {table}")
        for value in row
    )


@in_virtual_time
async def test_a_person_with_one_device_writes_notes_and_sends_them_to_nobody(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        await invite(ada, ben)
        await ada.engine.rename(await ada.contact(ben), "Benny")
        parts = ada.engine._use_cases
        conversation = notes_of(parts.keyring.own.person)
        held = await parts.store.read(positions.every_after, conversation, 100, entries.BEGINNING)
        assert [row.kind for row in held] == [KIND_STATE] * 3
        written = [one.register for row in held for one in read_state(row.body).writes]
        assert written == [1, 2, 3, 4, Register.PINNED, Register.MUTED, Register.PAIRING, Register.PETNAME]
        await talk(ada, ben, "the only one")
        assert [event.entry.text for event in ben.seen if isinstance(event, EntryAdded)] == ["the only one"]
        for one in (ada, ben):
            assert [view.kind for view in await one.history(ben if one is ada else ada)] == ["text"]
        assert EntryState.DELIVERED in {view.state for view in await ada.history(ben)}


@in_virtual_time
async def test_a_third_device_gets_a_contact_through_the_second_which_awaits_it_itself(
    tmp_path: Path,
) -> None:
    async with two_devices(tmp_path) as (network, desk, laptop, _, cat):
        phone = devices.device(desk, tmp_path / "phone", "10.0.0.10", 78)
        await devices.link(desk, phone, "phone")
        await asyncio.sleep(SETTLED)
        network.part(desk.host, phone.host)
        network.part(cat.host, phone.host)
        network.part(desk.host, laptop.host)
        await asyncio.sleep(30)
        await invite(desk, cat)
        assert len(await rows(phone)) == 1
        network.join(desk.host, laptop.host)
        await asyncio.sleep(60)
        await agree(desk, laptop, phone)
        assert len(await rows(phone)) == 2
        await phone.engine.rename(await desk.contact(cat), "Kitty")
        await asyncio.sleep(SETTLED)
        assert (await view_of(desk, cat)).name == "Kitty"
        await phone.stop()
        await desk.engine.remove(await desk.contact(cat))
        await asyncio.sleep(SETTLED)
        await desk.stop()
        await phone.start()
        await asyncio.sleep(60)
        assert len(await rows(phone)) == 1
        await agree(laptop, phone)
        await phone.engine.close()


@in_virtual_time
async def test_a_pairing_made_while_another_device_removes_the_contact_does_not_come_back(
    tmp_path: Path,
) -> None:
    """What the laptop wrote reaches the desk after the removal, and is destroyed there as well."""
    async with two_devices(tmp_path) as (network, desk, laptop, ben, _):
        paired = list[bytes]()

        async def changes() -> None:
            await invite(laptop, ben)
            await talk(laptop, ben, "again")
            paired.extend(await roots(laptop, ben))
            await desk.engine.remove(await desk.contact(ben))

        await apart(network, desk, laptop, changes())
        await agree(desk, laptop)
        assert await rows(desk) == []
        for one in (desk, laptop):
            parts = one.engine._use_cases
            await parts.cleaner.clean()
            assert not await parts.store.read(found_anywhere, paired[0])
        await invite(laptop, ben)
        await asyncio.sleep(60)
        await agree(desk, laptop)
        await talk(desk, ben, "once more")
