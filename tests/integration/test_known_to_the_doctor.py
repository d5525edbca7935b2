"""What an engine hands to the doctor: where terminals were or are, and who it is that answers there."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chat import engine
from chat.interface import ContactChanged, DiagnosisView, Unreachable
from chat.ports import Announcement
from chat.service.discovery import SLOTS_TRIED
from chat.tools.doctor.gather import Context, Evidence, Reply, Sought, call_relay, look_for
from chat.tools.doctor.verdicts import Why, why
from protocol.relay.rendezvous import RelayAddress
from tests.support.engines.engines import Person, in_virtual_time, pair, people, talk, two_contacts
from tests.support.fakes.relay import MemoryRelay

DAY_MS = 86_400_000


class Knows:
    """The contexts that engines hand to the doctor, who looks at nothing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._last = Context(0, False, Path("/nonexistent"))
        monkeypatch.setattr(engine, "diagnose", self._keep)

    async def _keep(self, context: Context) -> tuple[DiagnosisView, ...]:
        self._last = context
        return ()

    async def of(self, person: Person) -> Context:
        await person.engine.diagnose()
        return self._last


async def verdict(context: Context) -> Why:
    """Of the terminal that is sought first, on a network without packet filters."""
    finding = await look_for(context, context.sought[0], ())
    return why(context, Evidence((), findings=(finding,)), finding)


@pytest.fixture
def knows(monkeypatch: pytest.MonkeyPatch) -> Knows:
    return Knows(monkeypatch)


@in_virtual_time
async def test_whoever_greets_where_a_contact_was_is_asked_for_its_keys(tmp_path: Path, knows: Knows) -> None:
    async with people(tmp_path, "Ada", "Ben", "Cleo") as (_, (ada, ben, cleo)):
        await pair(ada, ben)
        await talk(ada, ben, "hello")
        context = await knows.of(ada)
        stranger = Sought(((cleo.host, 4747),), heard=True)
        assert context.sought == (Sought(((ben.host, 0),), linked=True), stranger)
        assert context.began == (ada.host,)
        absent = ada.wait(ContactChanged, lambda event: not event.contact.present)
        await ben.stop()
        await cleo.stop()
        await absent
        assert await verdict(await knows.of(ada)) is Why.CLOSED
        cleo.host = ben.host
        await cleo.start()
        context = await knows.of(ada)
        assert await verdict(context) is Why.SOMEBODY_ELSE
        await cleo.stop()
        await ben.start()
        assert await verdict(context) is Why.NOTHING


@in_virtual_time
async def test_addresses_of_invitations_are_known_to_both_sides(tmp_path: Path, knows: Knows) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        invitation = await ben.engine.invite()
        assert (await knows.of(ben)).promised == (ben.host,)
        await ben.stop()
        with pytest.raises(Unreachable):
            await ada.engine.join(invitation.text)
        context = await knows.of(ada)
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
        context = await knows.of(ada)
        said = [(each.name, await call_relay(each, ada.clock)) for each in context.relays]
        assert said == [
            ("192.0.2.1:4746", Reply.WELCOME),
            ("192.0.2.9:4746", Reply.NOBODY),
            ("192.0.2.1:4746 (2)", Reply.OTHER_KEY),
        ]
        await ada.engine.remove_relay(str(gone))
        assert len((await knows.of(ada)).relays) == 2


@in_virtual_time
async def test_whoever_is_met_at_a_relay_is_missed_nowhere_else(tmp_path: Path, knows: Knows) -> None:
    """A link through a relay has no address at which one could look."""
    async with two_contacts(tmp_path) as (network, ada, ben):
        await talk(ada, ben, "hello")
        relay = MemoryRelay(network).start()
        network.part(ada.host, ben.host)
        relayed = ada.wait(ContactChanged, lambda event: event.contact.present and event.contact.relayed)
        for person in (ada, ben):
            await person.engine.add_relay(str(relay.address))
        await relayed
        places = [place for each in (await knows.of(ada)).sought for place in each.places]
        assert all(host for host, _ in places)


@pytest.mark.parametrize("days", [-31, -2, 0, 2, 31])
@in_virtual_time
async def test_a_contact_whose_clock_is_days_off_is_known_by_its_announcement(
    tmp_path: Path, knows: Knows, days: int
) -> None:
    """Nobody recognises it any more, and nothing but the day in it tells why."""
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        assert (await knows.of(ada)).days_ahead is None
        await pair(ada, ben)
        await ben.stop()
        ben.clock.offset_ms = days * DAY_MS
        await ben.start()
        await asyncio.sleep(5)
        assert (await knows.of(ada)).days_ahead == days
        assert (await knows.of(ben)).days_ahead == -days


@in_virtual_time
async def test_attack_16_a_flood_of_inventions_bounds_the_search_for_a_wrong_clock(
    tmp_path: Path, knows: Knows
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await ben.stop()
        made: list[int] = []
        announcing = ada.engine._use_cases.announcer
        for number in range(256):
            text = tuple(bytes(8) for _ in range(32))
            announcing.found(Announcement(f"fake{number}", ("10.0.0.9",), 4747, text))

        def counted(*what: object) -> bytes:
            made.append(1)
            return b""

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("chat.service.discovery.slot", counted)
            assert (await knows.of(ada)).days_ahead is None
        assert 0 < len(made) <= SLOTS_TRIED
