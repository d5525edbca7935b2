"""What an engine hands to the doctor: where terminals were or are, and who it is that answers there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from unittest.mock import Mock

import pytest

from chat.interface import DiagnosisView, Unreachable
from chat.ports import Announcement
from chat.service.discovery import SLOTS_TRIED
from chat.tools import doctor
from chat.tools.doctor.firewall import Why, why
from chat.tools.doctor.gather import Context, Evidence, Reply, Sought, call_relay, look_for
from protocol.relay.rendezvous import RelayAddress
from tests.integration.steps import in_touch, in_touch_by_relay, presence
from tests.support.engines.engines import Person, contact, in_virtual_time, pair, people, talk
from tests.support.fakes.relay import MemoryRelay

DAY_MS = 86_400_000


Knows = Callable[[Person], Awaitable[Context]]


@pytest.fixture
def knows(monkeypatch: pytest.MonkeyPatch) -> Knows:
    """The context that a person's engine hands to the doctor, who looks at nothing."""
    handed: list[Context] = []

    async def keep(context: Context) -> tuple[DiagnosisView, ...]:
        handed.append(context)
        return ()

    async def of(person: Person) -> Context:
        await person.engine.diagnose()
        return handed[-1]

    monkeypatch.setattr(doctor, "diagnose", keep)
    return of


async def verdict(context: Context) -> Why:
    """Of the terminal that is sought first, on a network without packet filters."""
    finding = await look_for(context, context.sought[0], ())
    return why(context, Evidence((), findings=(finding,)), finding)


@in_virtual_time
async def test_a_stranger_greeting_where_a_contact_was_is_asked_for_its_keys(
    tmp_path: Path, knows: Knows
) -> None:
    async with people(tmp_path, "Ada", "Ben", "Cleo") as (_, (ada, ben, cleo)):
        await pair(ada, ben)
        await talk(ada, ben, "hello")
        context = await knows(ada)
        stranger = Sought(((cleo.host, 4747),), heard=True)
        assert context.sought == (Sought(((ben.host, 0),), linked=True), stranger)
        assert context.began == (ada.host,)
        absent = presence(ada, present=False)
        await ben.stop()
        await cleo.stop()
        await absent
        assert await verdict(await knows(ada)) is Why.CLOSED
        cleo.host = ben.host
        await cleo.start()
        context = await knows(ada)
        assert await verdict(context) is Why.SOMEBODY_ELSE
        await cleo.stop()
        await ben.start()
        assert await verdict(context) is Why.NOTHING


@in_virtual_time
async def test_addresses_of_invitations_are_known_to_both_sides(tmp_path: Path, knows: Knows) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        invitation = await ben.engine.invite()
        assert (await knows(ben)).promised == (ben.host,)
        await ben.stop()
        with pytest.raises(Unreachable):
            await ada.engine.join(invitation.text)
        context = await knows(ada)
        assert [each.places for each in context.sought] == [((ben.host, 4747),)]
        assert await verdict(context) is Why.CLOSED


@in_virtual_time
async def test_the_relays_that_were_named_are_asked_with_their_keys(tmp_path: Path, knows: Knows) -> None:
    async with people(tmp_path, "Ada") as (network, (ada,)):
        relay = MemoryRelay(network).start()
        other = RelayAddress(relay.host, relay.port, b"\x07" * 32)
        gone = RelayAddress("192.0.2.9", 4746, b"\x07" * 32)
        await ada.engine.add_relay(str(relay.address))
        await ada.engine.add_relay(str(gone))
        await ada.engine._use_cases.relays.learn([other])
        context = await knows(ada)
        said = [(each.name, await call_relay(each, ada.clock)) for each in context.relays]
        assert said == [
            ("192.0.2.1:4746", Reply.WELCOME),
            ("192.0.2.9:4746", Reply.NOBODY),
            ("192.0.2.1:4746 (2)", Reply.OTHER_KEY),
        ]
        await ada.engine.remove_relay(str(gone))
        assert len((await knows(ada)).relays) == 2


@in_virtual_time
async def test_a_contact_met_at_a_relay_is_missed_nowhere_else(tmp_path: Path, knows: Knows) -> None:
    """A link through a relay has no address at which one could look."""
    async with in_touch_by_relay(tmp_path) as (*_, ada, _ben):
        assert (await contact(ada)).relayed
        places = [place for each in (await knows(ada)).sought for place in each.places]
        assert all(host for host, _ in places)


@pytest.mark.parametrize("days", [-31, -2, 0, 2, 31])
@in_virtual_time
async def test_a_contact_whose_clock_is_days_off_is_known_by_its_announcement(
    tmp_path: Path, knows: Knows, days: int
) -> None:
    """Nobody recognises it any more, and nothing but the day in it tells why."""
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        assert (await knows(ada)).days_ahead is None
        await pair(ada, ben)
        await ben.stop()
        ben.clock.offset_ms = days * DAY_MS
        await ben.start()
        await asyncio.sleep(5)
        assert (await knows(ada)).days_ahead == days
        assert (await knows(ben)).days_ahead == -days


@in_virtual_time
async def test_attack_16_a_flood_of_inventions_bounds_the_search_for_a_wrong_clock(
    tmp_path: Path, knows: Knows
) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        await ben.stop()
        for number in range(256):
            made = Announcement(f"fake{number}", ("10.0.0.9",), 4747, (bytes(8),) * 32)
            ada.engine._use_cases.announcer.found(made)
        slot = Mock(return_value=b"")
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("chat.service.discovery.slot", slot)
            assert (await knows(ada)).days_ahead is None
        assert 0 < slot.call_count <= SLOTS_TRIED
