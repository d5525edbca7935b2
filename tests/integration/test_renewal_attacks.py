"""A stolen terminal attacks the renewal of secrets (SPEC §7.6)."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from pathlib import Path

from chat.interface import EntryAdded
from chat.service.events import SecretsRenewed
from chat.service.renewal import KEYS_OF_DRAWER
from chat.storage.keys import OWN, THEIRS
from protocol.limits import SHARE_NUMBERS_MAX
from protocol.messages import PairingValue, RenewedKey, RenewedShare, SharedRoot, SharedShare
from protocol.notes import Register, write
from protocol.pairing.renewal import (
    draw_key,
    draw_share,
    key_message,
    number_of,
    share_message,
)
from tests.integration.steps import current
from tests.integration.test_own_terminals import arrives, linked, terminal_of
from tests.integration.test_renewal import PHONE, keyring, three_and_ben
from tests.integration.test_shared_contacts import shares, two_devices
from tests.support.engines import devices
from tests.support.engines.engines import Person, in_virtual_time, invite, talk
from tests.support.engines.terminals import add_terminal

FLOOD = 8


def drawn_again(thief: Person, other: Person) -> Iterator[RenewedShare]:
    """Shares that one terminal drew under the same heads, each newer than the one before."""
    of, contact = keyring(thief), keyring(other).own.person
    (pair,) = of.contacts[contact].pairs
    chosen = sorted((bytes([number]) * 32 for number in range(1, FLOOD + 1)), key=number_of)
    drawn = iter(chosen)
    for _ in chosen:
        made = draw_share(
            of.own.person,
            contact,
            pair.root,
            of.own_log.heads,
            of.own.terminal,
            of.own.signing_seed,
            lambda _: next(drawn),
        )
        message = share_message(of.own.person, contact, pair.root, made)
        assert message is not None
        yield message


@in_virtual_time(limit=3600)
async def test_many_shares_of_a_stolen_terminal_lock_no_other_one_out(tmp_path: Path) -> None:
    """The phone has the contact hold shares alone that no other terminal of its person has."""
    async with three_and_ben(tmp_path) as (_, desk, laptop, phone, ben):
        link = current(phone, ben)
        for message in drawn_again(phone, ben):
            await link.driver.send(message)
        await asyncio.sleep(20)
        await phone.stop()
        await ben.stop()
        await desk.engine.remove_terminal(terminal_of(phone))
        await asyncio.sleep(60)
        await ben.start()
        await asyncio.sleep(120)
        assert linked(desk, ben)
        assert linked(laptop, ben)
        there = laptop.wait(EntryAdded, lambda event: event.entry.text == "after")
        await talk(ben, desk, "after")
        await there
        newest = keyring(desk).contacts[keyring(ben).own.person].pairs[0].newest()
        assert keyring(ben).contacts[keyring(desk).own.person].pairs[0].newest() == newest


@in_virtual_time(limit=3600)
async def test_other_shares_that_a_stolen_device_wrote_before_its_removal_are_not_taken(
    tmp_path: Path,
) -> None:
    """The laptop is away while the desk pairs with Cat, and the phone writes the pairing again."""
    async with two_devices(tmp_path) as (_, desk, laptop, _, cat):
        phone = devices.device(desk, tmp_path / "phone", PHONE, 99)
        await devices.link(desk, phone, "phone")
        await asyncio.sleep(20)
        added = keyring(laptop).own_log.live[bytes.fromhex(terminal_of(phone))].operation
        await laptop.engine.confirm_own(added.hex())
        await laptop.stop()
        await invite(desk, cat)
        await asyncio.sleep(20)
        parts, person = phone.engine._use_cases, cat.peer.person
        held = await shares(phone, cat)
        own, theirs = (
            [SharedShare(row.number, secret or row.share, [], []) for row in held if row.owner == owner]
            for owner, secret in ((OWN, b""), (THEIRS, bytes(32)))
        )
        root = held[0].root
        said = write(Register.PAIRING, root, PairingValue(person, SharedRoot(root, own, theirs), []))
        await parts.notes.done(await parts.store.write(parts.notes.write, [said]))
        await asyncio.sleep(20)
        await desk.engine.remove_terminal(terminal_of(phone))
        await asyncio.sleep(60)
        await laptop.start()
        await asyncio.sleep(120)
        assert linked(laptop, cat)
        assert linked(desk, cat)
        await talk(laptop, cat, "after")
        await phone.engine.close()


def renewed(person: Person, key: RenewedKey) -> asyncio.Future[None]:
    """The moment when a terminal has a self key as its newest one."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def look(_: SecretsRenewed) -> None:
        if keyring(person).own.self_key == key.key and not done.done():
            done.set_result(None)

    person.engine._use_cases.bus.on(SecretsRenewed, look)
    return done


def keys_of(thief: Person, number: int) -> list[RenewedKey]:
    """Self keys that one terminal drew under the same heads, each newer than the one before."""
    of, made = keyring(thief), list[RenewedKey]()
    chosen = iter(sorted((secrets.token_bytes(32) for _ in range(number)), key=number_of))
    for _ in range(number):
        drawn = draw_key(
            of.own.person, of.own_log.heads, of.own.terminal, of.own.signing_seed, lambda _: next(chosen)
        )
        message = key_message(drawn)
        assert message is not None
        made.append(message)
    return made


@in_virtual_time(limit=7200)
async def test_many_self_keys_of_a_stolen_device_drive_out_nothing(tmp_path: Path) -> None:
    """A device that is linked later gets the first one and those of honest devices."""
    async with three_and_ben(tmp_path) as (_, desk, laptop, phone, ben):
        first = keyring(desk).own.self_keys[-1]
        await talk(desk, ben, "under the first key")
        flood = keys_of(phone, 100)
        taken = renewed(desk, flood[0])
        await current(phone, desk).driver.send(flood[0])
        await taken
        await talk(desk, ben, "under a key of the phone")
        for message in flood[1:]:
            await current(phone, desk).driver.send(message)
        await asyncio.sleep(60)  # what is passed over shows nowhere
        kept = [key for key in keyring(desk).own.self_keys if key != first]
        assert kept == [message.key for message in flood[KEYS_OF_DRAWER - 1 :: -1]]
        assert set(keyring(laptop).own.self_keys) == {first, *kept}
        await desk.engine.remove_terminal(terminal_of(phone))
        await talk(desk, ben, "under the third key")
        tablet = await add_terminal(desk, "10.0.0.8")
        try:
            await arrives(tablet, "under the third key")
            assert keyring(tablet).own.self_keys[-1] == first
            person = (await tablet.engine.contacts())[0].person
            said = [(view.text, view.own) for view in await tablet.engine.history(person, 10) if view.text]
            assert said[-3:] == [
                ("under the first key", True),
                ("under a key of the phone", True),
                ("under the third key", True),
            ]
        finally:
            await tablet.engine.close()


@in_virtual_time(limit=7200)
async def test_devices_to_which_a_stolen_one_gave_other_keys_find_each_other_by_the_first(
    tmp_path: Path,
) -> None:
    async with three_and_ben(tmp_path) as (_, desk, laptop, phone, _ben):
        ways = current(phone, desk), current(phone, laptop)
        flood = keys_of(phone, 2 * SHARE_NUMBERS_MAX)
        await laptop.stop()
        taken = renewed(desk, flood[-2])
        for message in flood[::2]:
            await ways[0].driver.send(message)
        await taken
        await desk.stop()
        await phone.stop()
        await laptop.start()
        for message in flood[1::2]:
            await laptop.engine._use_cases.renewals.take(ways[1].driver, ways[1].peer, message)
        assert not set(keyring(laptop).own.self_keys[:SHARE_NUMBERS_MAX]) & {one.key for one in flood[::2]}
        await asyncio.sleep(60)  # a call that began before names the first key alone
        await desk.start()
        await asyncio.sleep(300)
        assert keyring(desk).own.self_key == keyring(laptop).own.self_key == flood[-1].key
        assert set(keyring(desk).own.self_keys) == set(keyring(laptop).own.self_keys)
        assert linked(desk, laptop)
