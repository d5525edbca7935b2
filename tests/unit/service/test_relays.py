"""Named relays: signalled to the network, carried by invitations, and named for the joiner."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from chat.interface import Closed, Notice, PairingStage, RelayChanged, RelayStanding, UsageError
from chat.network.relay.client import RelayStands
from chat.service.events import RelaysNamed
from chat.storage import settings
from protocol.pairing.invitation import Invitation, format_invitation, parse_invitation
from protocol.relay.rendezvous import RelayAddress
from tests.support.engines.engines import Person, in_virtual_time, invite, people


def relay(number: int, host: str = "10.0.0.99") -> RelayAddress:
    return RelayAddress(host, number, bytes([number]) * 32)


async def named(person: Person) -> list[str]:
    return [view.address for view in await person.engine.relays()]


async def invitation(person: Person) -> Invitation:
    return parse_invitation((await person.engine.invite()).text)


async def join_with(inviter: Person, joiner: Person, relays: Sequence[str]) -> None:
    changed = replace(await invitation(inviter), relays=tuple(relays))
    open_ones = inviter.engine._use_cases.keyring.invitations
    open_ones[changed.secret].invitation = changed
    asked, done = inviter.stage(PairingStage.JOINER), joiner.stage(PairingStage.DONE)
    await joiner.engine.join(format_invitation(changed))
    await inviter.engine.answer_pairing((await asked).pairing.id, True)
    await done


@in_virtual_time
async def test_the_network_learns_all_of_them_at_the_start_and_at_each_change(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada") as (_, (ada,)):
        told: list[tuple[RelayAddress, ...]] = []
        ada.engine._use_cases.bus.on(RelaysNamed, lambda signal: told.append(signal.relays))
        ada.engine._use_cases.relays.begin()
        await ada.engine.add_relay(str(relay(1)))
        await ada.engine.add_relay(str(relay(1)))
        await ada.engine.add_relay(str(relay(2)))
        await ada.engine.remove_relay(str(relay(1)))
        assert told == [(), (relay(1),), (relay(1), relay(2)), (relay(2),)]


@in_virtual_time
async def test_one_that_was_stored_although_its_commit_failed_can_be_named_again(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada") as (_, (ada,)):
        stored = settings.RelayRow(str(relay(1)), True, 0)
        await ada.engine._use_cases.store.write(settings.add_relay, stored)
        await ada.engine.add_relay(str(relay(1)))
        (row,) = await ada.engine._use_cases.store.read(settings.all_relays)
        assert (row.address, row.invited) == (str(relay(1)), False)


@in_virtual_time
async def test_they_are_kept_and_stand_as_was_reported(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada") as (_, (ada,)):
        await ada.engine.add_relay(str(relay(1)))
        relays = ada.engine._use_cases.relays
        for number in (1, 2, 1):  # of which the second was removed a moment ago
            relays.stands(RelayStands(relay(number), RelayStanding.WAITING))
        assert [view.standing for view in await ada.engine.relays()] == [RelayStanding.WAITING]
        closed = ada.wait(Closed)
        await ada.stop()
        await closed
        told = [event.relay.standing for event in ada.seen if isinstance(event, RelayChanged)]
        assert told == [RelayStanding.UNKNOWN, RelayStanding.WAITING]
        await ada.start()
        assert await named(ada) == [str(relay(1))]
        assert [view.standing for view in await ada.engine.relays()] == [RelayStanding.UNKNOWN]


@in_virtual_time
async def test_a_relay_that_was_removed_and_named_again_stands_nowhere_yet(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada") as (_, (ada,)):
        await ada.engine.add_relay(str(relay(1)))
        ada.engine._use_cases.relays.stands(RelayStands(relay(1), RelayStanding.WAITING))
        await ada.engine.remove_relay(str(relay(1)))
        assert (await ada.engine.add_relay(str(relay(1)))).standing is RelayStanding.UNKNOWN


@in_virtual_time
async def test_an_invitation_carries_four_those_that_work_first(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada") as (_, (ada,)):
        relays = ada.engine._use_cases.relays
        await relays.learn([relay(1)])
        for number in (2, 3, 4, 5, 6):
            await ada.engine.add_relay(str(relay(number)))
        relays.stands(RelayStands(relay(5), RelayStanding.WAITING))
        relays.stands(RelayStands(relay(2), RelayStanding.UNREACHABLE))
        carried = (await invitation(ada)).relays
        assert carried == tuple(str(relay(number)) for number in (5, 2, 3, 4))


@in_virtual_time
async def test_who_joins_has_the_inviters_relays_named_before_the_contact_is_stored(tmp_path: Path) -> None:
    """The link that heals a lost Accept may come through the relay alone."""
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        contacts: list[int] = []
        parts = ben.engine._use_cases
        parts.bus.on(RelaysNamed, lambda _: contacts.append(len(parts.keyring.contacts)))
        await ada.engine.add_relay(str(relay(1)))
        await invite(ada, ben)
        assert contacts == [0]
        (view,) = await ben.engine.relays()
        assert (view.address, view.invited) == (str(relay(1)), True)
        (said,) = [event.text for event in ben.seen if isinstance(event, Notice)]
        assert "parlour relays remove 10.0.0.99:1" in said
        await ben.stop()
        await ben.start()
        await ben.engine.remove_relay(view.address)
        assert await named(ben) == []


@in_virtual_time
async def test_what_an_invitation_brought_can_be_named_by_hand(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada") as (_, (ada,)):
        relays = ada.engine._use_cases.relays
        told: list[tuple[RelayAddress, ...]] = []
        await relays.learn([relay(1), relay(2)])
        relays.stands(RelayStands(relay(1), RelayStanding.WAITING))
        ada.engine._use_cases.bus.on(RelaysNamed, lambda signal: told.append(signal.relays))
        view = await ada.engine.add_relay(str(relay(1)))
        assert (view.invited, view.standing, told) == (False, RelayStanding.WAITING, [])
        await ada.stop()
        await ada.start()
        assert [(view.port, view.invited) for view in await ada.engine.relays()] == [(1, False), (2, True)]


@in_virtual_time
async def test_an_invitation_that_led_to_nothing_names_nothing(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        await ada.engine.add_relay(str(relay(1)))
        asked, failed = ada.stage(PairingStage.JOINER), ben.stage(PairingStage.FAILED)
        await ben.engine.join((await ada.engine.invite()).text)
        await ada.engine.answer_pairing((await asked).pairing.id, False)
        await failed
        assert await named(ben) == []


@in_virtual_time
async def test_invitations_cannot_make_a_terminal_wait_at_more_than_eight(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        own = [str(relay(number)) for number in range(1, 6)]
        for address in own:
            await ben.engine.add_relay(address)
        await join_with(ada, ben, [str(relay(number)) for number in (5, 11, 12, 13)])
        await join_with(ada, ben, [str(relay(number)) for number in (21, 22, 23, 24)])
        assert await named(ben) == [*own, *(str(relay(number)) for number in (11, 12, 13))]
        said = [event.text for event in ben.seen if isinstance(event, Notice)]
        assert len(said) == 2
        assert "added 3 relays" in said[0]
        assert all(f"10.0.0.99:{number}" in said[0] for number in (11, 12, 13))
        assert "were not added" in said[1]
        assert all(f"10.0.0.99:{number}" in said[1] for number in (21, 22, 23, 24))


@in_virtual_time
async def test_eight_relays_are_named_and_no_more_but_another_key_at_one_of_their_places(
    tmp_path: Path,
) -> None:
    async with people(tmp_path, "Ada") as (_, (ada,)):
        for number in range(1, 9):
            await ada.engine.add_relay(str(relay(number)))
        with pytest.raises(UsageError, match="8 relays"):
            await ada.engine.add_relay(str(relay(9)))
        other = str(RelayAddress("10.0.0.99", 8, b"\x07" * 32))
        await ada.engine.add_relay(other)
        assert await named(ada) == [*(str(relay(number)) for number in range(1, 8)), other]


@in_virtual_time
async def test_an_invitation_takes_no_relay_away_that_was_named_by_hand(tmp_path: Path) -> None:
    """Otherwise, a person who runs something at the same place could replace the key there with their own."""
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        await ben.engine.add_relay(str(relay(1)))
        other = str(RelayAddress("10.0.0.99", 1, b"\x07" * 32))
        await join_with(ada, ben, [other])
        assert await named(ben) == [str(relay(1)), other]


@pytest.mark.parametrize("damaged", ["x", "parlour-relay:10.0.0.99:1#short", str(relay(1))[:-1] + "!"])
@in_virtual_time
async def test_a_relay_that_cannot_be_read_keeps_nobody_from_joining(tmp_path: Path, damaged: str) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        await join_with(ada, ben, [damaged, str(relay(2)), str(relay(2))])
        assert await named(ben) == [str(relay(2))]


async def test_two_who_name_at_once_do_not_pass_the_bound(tmp_path: Path) -> None:
    """In real time, where a write of the one lets the other go on."""
    async with people(tmp_path, "Ada") as (_, (ada,)):
        relays = ada.engine._use_cases.relays
        await relays.learn([relay(number) for number in range(1, 8)])
        await asyncio.gather(relays.learn([relay(11)]), relays.learn([relay(12)]))
        assert len(await named(ada)) == 8
