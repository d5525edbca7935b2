"""A stolen terminal attacks the renewal of secrets (SPEC §7.6)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

from chat.interface import EntryAdded
from chat.storage.keys import OWN, THEIRS
from protocol.messages import PairingValue, RenewedShare, SharedRoot, SharedShare
from protocol.notes import Register, write
from protocol.pairing.renewal import draw_share, number_of, share_message
from tests.integration.steps import current
from tests.integration.test_own_terminals import linked, terminal_of
from tests.integration.test_renewal import PHONE, keyring, three_and_ben
from tests.integration.test_shared_contacts import shares, two_devices
from tests.support.engines import devices
from tests.support.engines.engines import Person, in_virtual_time, invite, talk

FLOOD = 8


def drawn_again(thief: Person, other: Person) -> Iterator[RenewedShare]:
    """Shares that one terminal drew under the same heads, each newer than the one before."""
    of, contact = keyring(thief), keyring(other).own.person
    (pair,) = of.contacts[contact].pairs
    secrets = sorted((bytes([number]) * 32 for number in range(1, FLOOD + 1)), key=number_of)
    drawn = iter(secrets)
    for _ in secrets:
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
        await desk.engine.remove_terminal(terminal_of(phone), True)
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
        await desk.engine.remove_terminal(terminal_of(phone), True)
        await asyncio.sleep(60)
        await laptop.start()
        await asyncio.sleep(120)
        assert linked(laptop, cat)
        assert linked(desk, cat)
        await talk(laptop, cat, "after")
        await phone.engine.close()
