"""What a thief of a device still has once its owner has removed the device, or recovered (SPEC §7.3)."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from protocol.identity.author import recovery_words
from tests.integration.steps import in_touch, number_of, seed_in
from tests.integration.test_own_terminals import LAPTOP, linked, terminal_of
from tests.integration.test_renewal import keyring, three_and_ben
from tests.support.engines.engines import Person, in_virtual_time, pair, people, recover, talk
from tests.support.engines.terminals import add_terminal

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
async def test_an_operation_upon_an_older_image_is_shown_as_a_copy_and_shuts_nobody_out(
    tmp_path: Path,
) -> None:
    """Mallory is the first whom the image meets, and says nothing of what Ada signed later."""
    async with people(tmp_path, "Ada", "Ben", "Mallory") as (network, (ada, ben, mallory)):
        await pair(ada, ben)
        await pair(ada, mallory)
        await ada.stop()
        image = tmp_path / "image"
        shutil.copytree(ada.folder, image, ignore=shutil.ignore_patterns("*.sock"))
        await ada.start()
        await ada.engine.rename_self("Ada B.")
        await asyncio.sleep(20)
        await ada.stop()
        shutil.rmtree(ada.folder)
        shutil.copytree(image, ada.folder)
        for one in (ben, mallory):
            network.part(ada.host, one.host)
        await ada.start()
        await ada.engine.rename_self("Ada C.")
        network.join(ada.host, ben.host)
        await asyncio.sleep(200)
        log = keyring(ben).log(ada.peer.person)
        assert [*log.live] == [*log.copied] == [keyring(ada).own.terminal]
        await talk(ada, ben, "as before")
        await talk(ben, ada, "and back")


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
