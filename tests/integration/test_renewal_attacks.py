"""A stolen terminal attacks the renewal of secrets (SPEC §7.6)."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from chat.interface import EntryAdded
from chat.storage import persons
from protocol.identity.drawing import renew_operation
from protocol.identity.log import load, parse_operation, sign_operation
from protocol.identity.reduction import Reduction
from protocol.limits import LINK_SECONDS_MAX, SHARES_HELD_MAX
from protocol.messages import LogOperations, PairingValue, RenewedShare, SharedRoot, SharedShare
from protocol.notes import Register, write
from protocol.pairing.contact_secret import pairing_id
from tests.integration.steps import current, in_touch
from tests.integration.test_own_terminals import arrives, linked, terminal_of
from tests.integration.test_renewal import PHONE, best, keyring, pair_of, three_and_ben
from tests.integration.test_shared_contacts import pairings, two_devices
from tests.support.engines import devices
from tests.support.engines.engines import Person, in_virtual_time, invite, talk
from tests.support.engines.terminals import add_terminal

FLOOD = 12


@in_virtual_time(limit=7200)
async def test_many_shares_of_a_stolen_terminal_lock_no_other_one_out(tmp_path: Path) -> None:
    """The phone has the contact hold shares alone that no other terminal of its person has, and the first."""
    async with three_and_ben(tmp_path) as (_, desk, laptop, phone, ben):
        others = frozenset(keyring(one).own.terminal for one in (desk, laptop))
        renews = await renews_of(phone, FLOOD, kept_from=others)
        await tell(phone, [ben], renews)
        link, pairing = current(phone, ben), pairing_id(pair_of(phone, ben).root)
        for signed in renews:
            await link.driver.send(RenewedShare(pairing, parse_operation(signed).id, bytes(32)))
        await asyncio.sleep(20)
        assert len(pair_of(ben, desk).theirs) == SHARES_HELD_MAX
        assert pair_of(ben, desk).theirs[-1].operation == keyring(desk).own.person
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
        assert best(ben, desk) == best(desk, ben) == best(laptop, ben)


@in_virtual_time(limit=7200)
async def test_a_false_share_that_comes_first_leaves_both_under_an_earlier_one(tmp_path: Path) -> None:
    """The phone has the secret of a Renew, and gives the contact another share for it than the desk does.

    The thief hears nothing of its removal.
    """
    async with three_and_ben(tmp_path) as (network, desk, laptop, phone, ben):
        (renew,) = await renews_of(phone, 1)
        operation, pairing = parse_operation(renew).id, pairing_id(pair_of(phone, ben).root)
        await tell(phone, [ben], [renew])
        await current(phone, ben).driver.send(RenewedShare(pairing, operation, bytes(32)))
        await asyncio.sleep(20)
        await tell(phone, [desk, laptop], [renew])
        await asyncio.sleep(2 * LINK_SECONDS_MAX)
        assert pair_of(ben, desk).theirs[0].share == bytes(32)
        assert pair_of(desk, ben).own[0].operation == operation
        assert linked(desk, ben)
        assert linked(laptop, ben)
        await talk(desk, ben, "under the first")
        await talk(ben, laptop, "and back")
        for one in (desk, laptop):
            network.part(one.host, ben.host)
        await asyncio.sleep(60)
        for one in (desk, laptop):
            network.join(one.host, ben.host)
            network.part(one.host, phone.host)
        await asyncio.sleep(120)
        assert all(linked(one, ben) for one in (desk, laptop, phone))
        await desk.engine.remove_terminal(terminal_of(phone))
        await asyncio.sleep(2 * LINK_SECONDS_MAX)
        assert best(ben, desk) == best(desk, ben) == best(laptop, ben)
        assert bytes.fromhex(terminal_of(phone)) not in keyring(ben).log(desk.peer.person).live
        link = current(desk, ben)
        assert link.psk is not None
        assert link.psk.own == pair_of(desk, ben).own[0].name
        await talk(desk, ben, "under the last")
        await talk(ben, desk, "for Ada's eyes")
        await asyncio.sleep(60)
        assert not {"under the last", "for Ada's eyes"} & set(await phone.texts(ben))


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
        (row,) = await pairings(phone, cat)
        theirs = [SharedShare(one.operation, bytes(32)) for one in row.theirs]
        other = SharedRoot(row.root, row.first, False, theirs)
        said = write(Register.PAIRING, row.root, PairingValue(person, other, []))
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


async def renews_of(thief: Person, number: int, *, kept_from: frozenset[bytes] = frozenset()) -> list[bytes]:
    """Renews that one terminal signs, each upon the one before, and hands to the terminals but some (ids)."""
    of, made = keyring(thief), list[bytes]()
    held = await thief.engine._use_cases.store.read(persons.operations_of, of.own.person)
    for _ in range(number):
        reduction = Reduction(load([*held, *made]))
        renew = renew_operation(
            reduction, of.own.terminal, of.own.first_self_key, secrets.token_bytes(32), secrets.token_bytes
        )
        live = reduction.live_upto(reduction.heads())
        sealed = [
            bytes(48) if terminal in kept_from else box
            for terminal, box in zip(live, renew.sealed, strict=True)
        ]
        made.append(sign_operation(replace(renew, sealed=sealed), of.own.signing_seed))
    return made


async def tell(thief: Person, others: Sequence[Person], operations: Sequence[bytes]) -> None:
    for other in others:
        await current(thief, other).driver.send(LogOperations(list(operations)))


@in_virtual_time(limit=7200)
async def test_many_secrets_of_a_stolen_device_drive_out_nothing(tmp_path: Path) -> None:
    """A device that is linked later gets the first one and those of honest devices."""
    async with three_and_ben(tmp_path) as (_, desk, laptop, phone, ben):
        first = keyring(desk).self_keys[0]
        await talk(desk, ben, "under the first key")
        await tell(phone, [desk, laptop], await renews_of(phone, 100))
        await asyncio.sleep(60)
        assert keyring(desk).self_keys == keyring(laptop).self_keys
        assert len(keyring(desk).self_keys) == 101
        await talk(desk, ben, "under a key of the phone")
        await desk.engine.remove_terminal(terminal_of(phone))
        await talk(desk, ben, "under the last key")
        tablet = await add_terminal(desk, "10.0.0.8")
        try:
            await arrives(tablet, "under the last key")
            assert keyring(tablet).own.first_self_key == first
            assert keyring(tablet).self_keys[0] == keyring(desk).self_keys[0]
            person = (await tablet.engine.contacts())[0].person
            said = [(view.text, view.own) for view in await tablet.engine.history(person, 10) if view.text]
            assert said[-3:] == [
                ("under the first key", True),
                ("under a key of the phone", True),
                ("under the last key", True),
            ]
        finally:
            await tablet.engine.close()


@in_virtual_time(limit=7200)
async def test_devices_to_which_a_stolen_one_gave_other_secrets_find_each_other_and_agree(
    tmp_path: Path,
) -> None:
    """Each has five that the other one cannot open, which all look fresh. They agree with the removal."""
    async with three_and_ben(tmp_path) as (_, desk, laptop, phone, ben):
        for one in (laptop, desk):
            kept_from = frozenset([keyring(one).own.terminal])
            await tell(phone, [desk, laptop], await renews_of(phone, 5, kept_from=kept_from))
            await asyncio.sleep(20)
        await phone.stop()
        for one in (desk, laptop):
            await one.stop()
        for one in (laptop, desk):
            await one.start()
        await asyncio.sleep(300)
        assert linked(desk, laptop)
        assert set(keyring(desk).self_keys) & set(keyring(laptop).self_keys) == {
            keyring(desk).own.first_self_key
        }
        await talk(desk, ben, "meanwhile")
        await asyncio.sleep(60)
        (view,) = [
            one for one in await laptop.engine.history(ben.peer.person.hex(), 10) if one.text == "meanwhile"
        ]
        assert view.own
        assert not view.claimed
        await desk.engine.remove_terminal(terminal_of(phone))
        await asyncio.sleep(60)
        assert keyring(desk).self_keys[0] == keyring(laptop).self_keys[0]
        assert linked(desk, laptop)


@in_virtual_time(limit=600)
async def test_of_two_shares_of_one_operation_the_first_stays(tmp_path: Path) -> None:
    """Mallory then gives the first one again, for another operation of hers."""
    async with in_touch(tmp_path) as (_, ada, mallory):
        link, pairing = current(mallory, ada), pairing_id(pair_of(ada, mallory).root)
        before, first = pair_of(ada, mallory).theirs, bytes([1]) * 32
        renews = await renews_of(mallory, 2)
        one, other = (parse_operation(renew).id for renew in renews)
        await tell(mallory, [ada], renews)
        for operation, share in ((one, first), (one, bytes(32)), (other, first)):
            await link.driver.send(RenewedShare(pairing, operation, share))
        await link.driver.send(RenewedShare(pairing, mallory.peer.person, bytes(32)))
        await asyncio.sleep(10)
        held = {held.operation: held.share for held in pair_of(ada, mallory).theirs}
        assert held == {held.operation: held.share for held in before} | {one: first, other: first}
        assert current(mallory, ada) is link
        await talk(ada, mallory, "after")


@in_virtual_time(limit=600)
async def test_an_own_device_hands_over_no_share(tmp_path: Path) -> None:
    async with three_and_ben(tmp_path) as (_, desk, laptop, _, ben):
        operation, pairing = keyring(desk).own.person, pairing_id(pair_of(desk, ben).root)
        held, link = pair_of(desk, ben).theirs, current(laptop, desk)
        await link.driver.send(RenewedShare(pairing, operation, bytes(32)))
        await asyncio.sleep(5)
        assert not link.driver.link.is_open
        assert pair_of(desk, ben).theirs == held
