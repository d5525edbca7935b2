"""What a thief of a device still has once its owner has removed the device, or recovered (SPEC §7.3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from unittest import mock

import pytest

from chat.storage import entries, quarantine
from chat.storage.database import Database
from protocol.identity.author import recovery_words
from protocol.identity.reduction import Standing
from protocol.messages import Entry
from tests.integration.steps import current, in_touch, number_of, say, seed_in
from tests.integration.test_accomplices import say_yes
from tests.integration.test_own_terminals import LAPTOP, linked, terminal_of
from tests.integration.test_renewal import keyring, three_and_ben
from tests.support.engines.engines import Person, in_virtual_time, recover, talk
from tests.support.engines.terminals import add_terminal
from tests.support.fakes.network import Network

MACHINE = "10.0.0.66"


@asynccontextmanager
async def thief_of(stolen: Person) -> AsyncIterator[Person]:
    """A machine that a stolen device added, which has links with all."""
    machine = await add_terminal(stolen, MACHINE)
    try:
        await asyncio.sleep(60)
        yield machine
    finally:
        await machine.engine.close()


def has(person: Person, terminal: str, owner: Person) -> bool:
    """Whether a terminal is live in its owner's log as a person holds it."""
    return bytes.fromhex(terminal) in keyring(person).log(owner.peer.person).live


@in_virtual_time(limit=3_600)
async def test_a_machine_that_a_stolen_device_added_falls_with_the_removal_of_the_device(
    tmp_path: Path,
) -> None:
    async with three_and_ben(tmp_path) as (_, desk, laptop, phone, ben), thief_of(phone) as machine:
        assert linked(desk, machine)
        assert linked(ben, machine)
        added = terminal_of(machine)
        await desk.engine.remove_terminal(terminal_of(phone))
        await asyncio.sleep(120)
        assert not any(has(one, added, desk) for one in (desk, laptop, ben))
        await talk(ben, desk, "only for Ada")
        await talk(desk, ben, "only for Ben")
        await asyncio.sleep(60)
        read = {view.text for view in await machine.history(ben)}
        assert not {"only for Ada", "only for Ben"} & read
        secrets = {one.secret for one in keyring(desk).own.drawn}
        assert len(secrets - {one.secret for one in keyring(machine).own.drawn}) == 1


@in_virtual_time(limit=3_600)
async def test_a_machine_that_the_stolen_first_device_added_falls_with_a_recovery(tmp_path: Path) -> None:
    async with three_and_ben(tmp_path) as (_, desk, laptop, _, ben):
        words = recovery_words(await seed_in(desk))
        async with thief_of(desk) as machine:
            added = terminal_of(machine)
            assert has(laptop, added, desk)
            await recover(laptop, tuple(words), (terminal_of(desk),))
            await asyncio.sleep(120)
            assert not any(has(one, added, desk) for one in (laptop, ben))
            assert keyring(laptop).self_keys[0] not in keyring(machine).self_keys


@in_virtual_time(limit=3_600)
async def test_a_terminal_that_a_contact_does_not_know_brings_it_the_log_that_names_it(
    tmp_path: Path,
) -> None:
    """All terminals that the contact knows are lost: a link on which operations alone pass brings the Add."""
    async with in_touch(tmp_path) as (network, desk, ben):
        network.part(desk.host, ben.host)
        await asyncio.sleep(20)
        laptop = await add_terminal(desk, LAPTOP)
        await asyncio.sleep(1)
        await desk.stop()
        try:
            await asyncio.sleep(120)
            assert has(ben, terminal_of(laptop), laptop)
            assert linked(laptop, ben)
            await talk(laptop, ben, "from the new one")
            await talk(ben, laptop, "to the new one")
        finally:
            await laptop.engine.close()


@in_virtual_time(limit=3_600)
async def test_a_contact_that_holds_the_removals_of_a_thief_hears_of_the_recovery(tmp_path: Path) -> None:
    """The thief of the first device removes all others, and the contact tells each of them so."""
    async with three_and_ben(tmp_path) as (_, desk, laptop, phone, ben):
        words = recovery_words(await seed_in(desk))
        for one in (laptop, phone):
            await desk.engine.remove_terminal(terminal_of(one))
        await asyncio.sleep(120)
        assert not linked(laptop, ben)
        await recover(laptop, tuple(words), (terminal_of(desk),))
        await asyncio.sleep(300)
        assert not has(ben, terminal_of(desk), laptop)
        assert linked(laptop, ben)
        for one, other in ((laptop, ben), (ben, laptop)):  # the desk alone had paired
            await one.engine.verify(await one.contact(other), await number_of(other, one))
        await talk(laptop, ben, "from the recovered one")
        await talk(ben, laptop, "and back")


# --- Cuts ---


def stop_hearing(network: Network, one: Person, *others: Person) -> None:
    for other in others:
        network.part(one.host, other.host)


async def written_after(network: Network, desk: Person, thief: Person, ben: Person, *, stolen: bool) -> str:
    """The desk removes a device while it is away from Ben, whom the thief meets first; the id of its text."""
    stop_hearing(network, desk, thief, ben)
    await asyncio.sleep(40)
    await desk.engine.remove_terminal(terminal_of(thief), stolen)
    await asyncio.sleep(30)
    entry = await talk(thief, ben, "it is me, Ada")
    await thief.stop()
    network.join(desk.host, ben.host)
    await asyncio.sleep(200)
    await talk(desk, ben, "hello Ben")
    await asyncio.sleep(60)
    return entry


async def counts(person: Person, other: Person, entry: str) -> bool:
    (view,) = [view for view in await person.history(other) if view.id == entry]
    return not (view.quarantined or view.claimed)


@pytest.mark.parametrize("wrote", [False, True])
@in_virtual_time(limit=3_600)
async def test_case_c8_what_a_stolen_device_writes_later_never_counts_wherever_it_had_written(
    tmp_path: Path, wrote: bool
) -> None:
    async with in_touch(tmp_path) as (network, desk, ben):
        tablet = await add_terminal(desk, LAPTOP)
        await asyncio.sleep(20)
        honest = await talk(tablet, ben, "honest") if wrote else ""
        await asyncio.sleep(20)
        later = await written_after(network, desk, tablet, ben, stolen=True)
        for person, other in ((ben, desk), (desk, ben)):
            assert not await counts(person, other, later)
            assert not wrote or await counts(person, other, honest)
        await tablet.engine.close()


@in_virtual_time(limit=3_600)
async def test_of_a_device_that_was_lost_what_the_contact_holds_counts_until_both_have_compared(
    tmp_path: Path,
) -> None:
    async with in_touch(tmp_path) as (network, desk, ben):
        tablet = await add_terminal(desk, LAPTOP)
        await asyncio.sleep(20)
        stop_hearing(network, desk, tablet, ben)
        await asyncio.sleep(40)
        honest = await talk(tablet, ben, "sent before it was lost")
        await tablet.stop()
        await desk.engine.remove_terminal(terminal_of(tablet), False)
        await asyncio.sleep(60)
        assert "cut" not in [view.kind for view in await desk.history(ben)]
        await desk.stop()  # what is due is on the disk
        await desk.start()
        network.join(desk.host, ben.host)
        await asyncio.sleep(200)
        assert [view.claimed for view in await desk.history(ben) if view.id == honest] == ["earlier"]
        assert await desk.engine.take_earlier(await desk.contact(ben)) == 1
        for person, other in ((ben, desk), (desk, ben)):
            assert await counts(person, other, honest)
            assert len([view for view in await person.history(other) if view.kind == "cut"]) == 1
        network.part(desk.host, ben.host)
        await tablet.start()
        keyring(tablet).is_removed = False  # a thief's program does not care
        network.part(tablet.host, desk.host)
        later = (await say(tablet, ben, "after the comparison")).id
        said = await tablet.engine._use_cases.store.read(entries.get, bytes.fromhex(later))
        network.join(desk.host, ben.host)
        await asyncio.sleep(100)
        assert said is not None
        await current(desk, ben).driver.send(Entry(said.header, said.salt, said.body))
        await asyncio.sleep(30)
        assert not await counts(ben, desk, later)
        await tablet.engine.close()


@in_virtual_time(limit=3_600)
async def test_the_next_first_device_draws_keys_and_cuts_the_one_that_removed_itself(tmp_path: Path) -> None:
    async with three_and_ben(tmp_path) as (_, desk, laptop, phone, ben):
        kept = await talk(desk, ben, "written before")
        await say_yes(laptop)
        await laptop.engine.verify(await laptop.contact(ben), await number_of(laptop, ben))
        await desk.engine.remove_terminal(terminal_of(phone), True)
        await asyncio.sleep(60)
        before = keyring(laptop).self_keys[0]
        await desk.engine.remove_terminal(terminal_of(desk))
        await asyncio.sleep(120)
        log = keyring(ben).log(desk.peer.person)
        assert [*log.live] == [keyring(laptop).own.terminal]
        newest = next(iter(keyring(laptop).own_log.drawn))
        assert keyring(laptop).own_log.drawn[newest] is Standing.FRESH
        assert keyring(laptop).self_keys[0] != before
        assert await counts(ben, laptop, kept)
        cuts = await ben.engine._use_cases.store.read(cuts_by, keyring(laptop).own.terminal)
        assert set(cuts) == {keyring(one).own.terminal for one in (desk, phone)}


def cuts_by(database: Database, author: bytes) -> list[bytes]:
    """The terminals that cuts of this one name."""
    rows = database.rows(
        "SELECT k.terminal FROM cuts AS k JOIN terminals AS t ON t.number = k.author WHERE t.terminal = ?",
        author,
    )
    return [row[0] for row in rows]


@in_virtual_time(limit=3_600)
async def test_what_a_thief_cut_counts_again_once_the_thief_is_removed(tmp_path: Path) -> None:
    async with three_and_ben(tmp_path) as (_, desk, laptop, phone, ben):
        honest, phones = await talk(phone, ben, "honest"), keyring(phone).own.terminal
        await asyncio.sleep(20)
        with mock.patch.object(quarantine, "heads", return_value=[]):
            await laptop.engine.remove_terminal(terminal_of(phone), True)
        await asyncio.sleep(60)
        assert not await counts(ben, desk, honest)
        await desk.engine.remove_terminal(terminal_of(laptop), True)
        await asyncio.sleep(200)
        for person, other in ((ben, desk), (desk, ben)):
            assert await counts(person, other, honest)
        cuts = await ben.engine._use_cases.store.read(cuts_by, keyring(desk).own.terminal)
        assert set(cuts) == {phones, keyring(laptop).own.terminal}
