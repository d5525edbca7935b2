"""Whom only a removed device paired is held back, and whom it compared is not verified (SPEC §7.7)."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from chat.interface import ContactView, EntryState
from chat.storage import contacts
from tests.integration.steps import compare, in_touch, meet, number_of, say, seed_in
from tests.integration.test_own_terminals import LAPTOP, linked, terminal_of
from tests.integration.test_recovery import alone_with_new_keys, theft_from
from tests.integration.test_renewal import PHONE
from tests.integration.test_shared_contacts import SETTLED, two_devices, view_of
from tests.support.engines import devices
from tests.support.engines.engines import Person, in_virtual_time, recover, take_in, talk
from tests.support.engines.terminals import add_terminal
from tests.support.protocol.pairings import SECOND

MALLORY = "10.0.0.66"


@asynccontextmanager
async def stolen_phone(folder: Path) -> AsyncIterator[tuple[Person, Person, Person, Person]]:
    """Ada's desk and phone, Ben who paired with the desk, and Mallory whom a thief paired with the phone."""
    async with in_touch(folder) as (network, desk, ben):
        phone = await add_terminal(desk, PHONE)
        mallory = Person("Ben", MALLORY, folder / "mallory", network, desk.config, 4_242)
        await mallory.create()
        try:
            await asyncio.sleep(10)
            assert linked(desk, phone)
            for device in (desk, phone):
                await say_yes(device)
            await meet(phone, mallory)
            await asyncio.sleep(SETTLED)
            yield desk, phone, ben, mallory
        finally:
            await mallory.engine.close()
            await phone.engine.close()


async def say_yes(person: Person) -> None:
    """To all that the device asks about its own log."""
    for question in await person.engine.questions():
        await person.engine.confirm_own(question.operation)


async def standing(person: Person, other: Person) -> tuple[bool, bool, bool]:
    view: ContactView = await view_of(person, other)
    return view.verified, view.held, view.unvouched


TRUSTED, PAIRED, HELD_BACK = (True, False, False), (False, False, False), (False, True, True)


@in_virtual_time
async def test_case_c9_whom_a_removed_phone_paired_is_held_back_until_one_comparison(tmp_path: Path) -> None:
    async with stolen_phone(tmp_path) as (desk, phone, ben, mallory):
        assert await standing(desk, mallory) == TRUSTED
        foreseen = await desk.engine.foresee_removal(terminal_of(phone))
        assert (foreseen.held, foreseen.unverified) == ((await desk.contact(mallory),), ())
        await desk.engine.remove_terminal(terminal_of(phone))
        await asyncio.sleep(60)
        assert await standing(desk, mallory) == HELD_BACK
        assert await standing(desk, ben) == TRUSTED
        waits = await say(desk, mallory, "are you Ben?")
        await talk(desk, ben, "you are")
        await asyncio.sleep(60)
        contact = await desk.contact(mallory)
        assert (await desk.engine.entry(contact, waits.id)).state is EntryState.QUEUED  # type: ignore[union-attr]
        assert (await desk.engine.verification(contact)).compared is None
        await desk.stop()
        await desk.start()
        assert await standing(desk, mallory) == HELD_BACK
        await desk.engine.verify(contact, await number_of(desk, mallory))
        assert await standing(desk, mallory) == TRUSTED
        await asyncio.sleep(60)
        state = (await desk.engine.entry(contact, waits.id)).state  # type: ignore[union-attr]
        assert state is EntryState.DELIVERED


@in_virtual_time
async def test_pairing_words_on_a_live_device_bring_a_contact_back(tmp_path: Path) -> None:
    async with stolen_phone(tmp_path) as (desk, phone, _, mallory):
        await desk.engine.remove_terminal(terminal_of(phone))
        await asyncio.sleep(60)
        assert await standing(desk, mallory) == HELD_BACK
        mallory_port = (await mallory.engine.me()).port
        await mallory.engine.set_visible(True)
        await compare(desk, mallory, desk.engine.pair_address(MALLORY, mallory_port))
        assert await standing(desk, mallory) == TRUSTED


@in_virtual_time
async def test_a_device_that_only_got_the_contact_does_not_vouch_for_it(tmp_path: Path) -> None:
    """The desk links a laptop after the theft, and hands the accomplice over with all other contacts."""
    async with stolen_phone(tmp_path) as (desk, phone, ben, mallory):
        laptop = devices.device(desk, tmp_path / "laptop", LAPTOP)
        await devices.link(desk, laptop)
        try:
            await asyncio.sleep(SETTLED)
            assert await standing(laptop, mallory) == TRUSTED
            await desk.engine.remove_terminal(terminal_of(phone))
            await asyncio.sleep(60)
            for device in (desk, laptop):
                assert await standing(device, mallory) == HELD_BACK
                assert await standing(device, ben) == TRUSTED
            contact = await laptop.contact(mallory)
            await laptop.engine.verify(contact, await number_of(laptop, mallory))
            await asyncio.sleep(SETTLED)
            assert await standing(desk, mallory) == TRUSTED
        finally:
            await laptop.engine.close()


@in_virtual_time
async def test_a_comparison_by_a_removed_device_alone_verifies_no_more(tmp_path: Path) -> None:
    async with two_devices(tmp_path) as (_, desk, laptop, ben, _cat):
        await say_yes(laptop)
        await laptop.engine.verify(await laptop.contact(ben), await number_of(laptop, ben))
        await asyncio.sleep(SETTLED)
        assert await standing(desk, ben) == TRUSTED
        foreseen = await desk.engine.foresee_removal(terminal_of(laptop))
        assert (foreseen.held, foreseen.unverified) == ((), (await desk.contact(ben),))
        await desk.engine.remove_terminal(terminal_of(laptop))
        await asyncio.sleep(60)
        assert await standing(desk, ben) == PAIRED
        await talk(desk, ben, "still talking")


@in_virtual_time
async def test_who_was_unverified_stays_so_whatever_a_removed_device_compared_later(tmp_path: Path) -> None:
    """The desk compared once and took it back: that comparison counts for nothing any more."""
    async with stolen_phone(tmp_path) as (desk, phone, ben, _):
        assert await standing(desk, ben) == TRUSTED
        await desk.engine.unverify(await desk.contact(ben))
        await asyncio.sleep(SETTLED)
        assert await standing(phone, ben) == PAIRED
        await phone.engine.verify(await phone.contact(ben), await number_of(phone, ben))
        await asyncio.sleep(SETTLED)
        assert await standing(desk, ben) == TRUSTED
        await desk.engine.remove_terminal(terminal_of(phone))
        await asyncio.sleep(60)
        assert await standing(desk, ben) == PAIRED


@in_virtual_time
async def test_a_recovery_with_new_keys_keeps_what_was_paired_here(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        words = (await ada.engine.recovery_words()).words
        former = ada.engine._use_cases.keyring.own.terminal
        theft = await theft_from(ada, await seed_in(ada))
        await take_in(ada, theft)
        await asyncio.sleep(SETTLED)
        assert await standing(ada, ben) == TRUSTED  # a removed device sends nothing to anybody
        await recover(ada, words, (SECOND.id.hex(),))
        await alone_with_new_keys(ada, former, SECOND.id)
        await asyncio.sleep(SETTLED)
        assert await standing(ada, ben) == TRUSTED


@in_virtual_time
async def test_what_was_paired_under_a_former_id_counts_on_other_devices_once_the_new_one_says_so(
    tmp_path: Path,
) -> None:
    """The desk was copied: it recovers with new keys, and the laptop stays."""
    async with two_devices(tmp_path) as (_, desk, laptop, ben, _cat):
        words = (await desk.engine.recovery_words()).words
        former = desk.engine._use_cases.keyring.own.terminal
        await recover(desk, words, (former.hex(),))
        assert desk.engine._use_cases.keyring.own.terminal != former
        await asyncio.sleep(120)
        await say_yes(laptop)
        await asyncio.sleep(300)
        told = await laptop.engine._use_cases.store.read(contacts.vouchers, ben.peer.person)
        assert (desk.engine._use_cases.keyring.own.terminal, False) in told
        for device in (desk, laptop):
            assert await standing(device, ben) == PAIRED


@in_virtual_time
async def test_case_v34_what_a_thief_unverified_is_verified_again_once_the_thief_is_removed(
    tmp_path: Path,
) -> None:
    async with stolen_phone(tmp_path) as (desk, phone, ben, _):
        await phone.engine.unverify(await phone.contact(ben))
        await asyncio.sleep(SETTLED)
        assert await standing(desk, ben) == PAIRED
        await desk.engine.remove_terminal(terminal_of(phone))
        await asyncio.sleep(120)
        assert await standing(desk, ben) == TRUSTED


@in_virtual_time(limit=3_600)
async def test_case_v43_whom_a_copy_paired_is_held_back_where_the_genuine_device_recovers(
    tmp_path: Path,
) -> None:
    async with two_devices(tmp_path) as (network, desk, laptop, ben, _cat):
        mallory = Person("Ben", MALLORY, tmp_path / "mallory", network, desk.config, 4_242)
        await mallory.create()
        for device in (desk, laptop):
            await say_yes(device)
        words, former = (await desk.engine.recovery_words()).words, terminal_of(desk)
        await desk.stop()
        shutil.copytree(desk.folder, tmp_path / "copy", ignore=shutil.ignore_patterns("*.sock"))
        copy = Person("Ada", "10.0.0.55", tmp_path / "copy", network, desk.config, 31)
        await copy.start()
        await asyncio.sleep(60)
        await meet(copy, mallory)
        await asyncio.sleep(60)
        await copy.stop()
        await desk.start()
        await asyncio.sleep(120)
        await recover(desk, words, (former,))
        await asyncio.sleep(120)
        await say_yes(laptop)
        await asyncio.sleep(600)
        for device in (desk, laptop):
            assert await standing(device, mallory) == HELD_BACK
            assert not (await view_of(device, ben)).held
        await mallory.engine.close()
