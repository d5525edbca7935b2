"""A removal of a terminal renews what the removed one knows (SPEC §7.6, §7.8.2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from chat.interface import (
    AlertKind,
    AlertsChanged,
    EntryAdded,
    NotPermitted,
    TerminalState,
    Unconfirmed,
)
from chat.network.driver import Driver, Handler
from chat.service.drawing import renew_upon
from chat.service.events import SecretsRenewed
from chat.service.keyring import Keyring
from chat.storage import keys, persons
from protocol.entries_and_receipts import (
    KIND_TEXT,
    EntryPlace,
    conversation_of,
    text_body,
    write_entry,
)
from protocol.identity.drawing import self_key
from protocol.identity.log import parse_operation
from protocol.identity.reduction import NO_PINS
from protocol.limits import LINK_SECONDS_MAX
from protocol.link.states import LinkOpen
from protocol.messages import LogOperations, Message, RenewedShare
from protocol.pairing.contact_secret import ContactSecret, Pair, pairing_id
from tests.integration.steps import current, in_touch, say
from tests.integration.test_faults_of_engines import STORED, failing
from tests.integration.test_own_terminals import LAPTOP, linked, terminal_of
from tests.support.engines.engines import Person, in_virtual_time, talk
from tests.support.engines.terminals import add_terminal
from tests.support.fakes.network import Network

PHONE = "10.0.0.7"
RELAY = bytes(32)
CONTACT = "contact"
"""Who claims an entry."""


@asynccontextmanager
async def three_and_ben(folder: Path) -> AsyncIterator[tuple[Network, Person, Person, Person, Person]]:
    """Ada at desk, laptop and phone, which have links, and Ben, who has one with each."""
    async with in_touch(folder) as (network, desk, ben):
        laptop = await add_terminal(desk, LAPTOP)
        await asyncio.sleep(10)
        phone = await add_terminal(desk, PHONE)
        try:
            await asyncio.sleep(10)
            assert linked(desk, laptop)
            assert linked(desk, phone)
            assert linked(ben, phone)
            yield network, desk, laptop, phone, ben
        finally:
            for one in (laptop, phone):
                await one.engine.close()


def keyring(person: Person) -> Keyring:
    return person.engine._use_cases.keyring


def pair_of(one: Person, other: Person) -> Pair:
    """The only pairing that one person has with another."""
    (pair,) = keyring(one).pairs(keyring(other).own.person)
    return pair


def best(one: Person, other: Person) -> ContactSecret:
    """The secret under which a person announces itself first to another one."""
    return pair_of(one, other).announced()[0]


def recognises(copy: Keyring, person: Person) -> list[str]:
    """By what keys of its secrets a copy of a removed terminal would recognise a person's terminal."""
    announced = set(keyring(person).viewers())
    waits = set(keyring(person).waiting_tokens(RELAY, 1))
    found = ["slot"] if announced & {known.key for known in copy.announcers()} else []
    static = keyring(person).identity.static.public
    asks = [copy.dial_tokens(peer, RELAY, 1) for peer in copy.dialled() if peer.static == static]
    return found + ["token" for tokens in asks if waits.intersection(tokens)]


def copied(person: Person) -> Keyring:
    """What a thief has who copies a device: its keys and logs as they are now, which stay so."""
    of = keyring(person)
    return Keyring(
        of.own,
        of.own_log,
        of._visibility,
        of._now,
        {one: replace(contact) for one, contact in of.contacts.items()},
        own_confirmed=of.own_confirmed,
        own_terminals=of.own_terminals,
    )


@in_virtual_time(limit=3600)
async def test_a_removal_renews_keys_and_shares_and_all_others_talk_on(tmp_path: Path) -> None:
    async with three_and_ben(tmp_path) as (_, desk, laptop, phone, ben):
        thief = copied(phone)
        assert recognises(thief, desk) == ["slot", "token"]
        assert recognises(thief, ben) == ["slot", "token"]
        before = keyring(desk).self_keys[0]
        await desk.engine.remove_terminal(terminal_of(phone))
        await asyncio.sleep(60)
        assert keyring(desk).self_keys[0] == keyring(laptop).self_keys[0] != before
        assert keyring(desk).self_keys[1:] == keyring(laptop).self_keys[1:] == (before,)
        for one in (desk, laptop):
            assert recognises(thief, one) == []
            assert best(one, ben) == best(ben, desk)
        await asyncio.sleep(LINK_SECONDS_MAX)
        for one, other in ((desk, laptop), (desk, ben), (laptop, ben)):
            assert linked(one, other)
        for one in (desk, laptop):
            psk = one.engine._use_cases.links.current(ben.peer).psk  # type: ignore[union-attr]
            assert psk is not None
            assert psk.own == pair_of(one, ben).own[0].name
        assert recognises(thief, ben) == []
        there = laptop.wait(EntryAdded, lambda event: event.entry.text == "after")
        await talk(desk, ben, "after")
        await there
        await talk(ben, laptop, "back")


def sent_to(network_of: Person, other: Person) -> list[Message]:
    """What a person sends to another one from now on, on links that open."""
    said = list[Message]()
    parts = network_of.engine._use_cases
    adopt = parts.sync.adopt

    async def noted(driver: Driver, opened: LinkOpen) -> Handler | None:
        if opened.peer_static == keyring(other).identity.static.public:
            send = driver.send

            async def sending(message: Message) -> None:
                said.append(message)
                await send(message)

            driver.send = sending  # type: ignore[method-assign]
        return await adopt(driver, opened)

    parts.acceptor._adopt_contact = noted
    parts.dialer._adopt = noted
    return said


@in_virtual_time(limit=1800)
async def test_a_contact_who_was_away_gets_the_share_on_a_link_under_an_earlier_one(tmp_path: Path) -> None:
    async with three_and_ben(tmp_path) as (_, desk, laptop, phone, ben):
        thief = copied(phone)
        await ben.stop()
        await desk.engine.remove_terminal(terminal_of(phone))
        entry = await say(desk, ben, "for later")
        assert recognises(thief, desk) == []
        said = sent_to(desk, ben)
        there = ben.wait(EntryAdded, lambda event: event.entry.text == "for later")
        await laptop.stop()  # which could send it, too
        await ben.start()
        await there
        await laptop.start()
        await asyncio.sleep(20)
        (share,) = [one for one in said if isinstance(one, RenewedShare)]
        logs = [place for place, one in enumerate(said) if isinstance(one, LogOperations)]
        assert said.index(share) > max(logs), "the operation comes before what it draws"
        assert entry.id
        await asyncio.sleep(LINK_SECONDS_MAX)
        assert recognises(thief, ben) == []
        pair = pair_of(ben, desk)
        assert [one.share for one in pair.theirs] == [share.share, *(one.share for one in pair.theirs[1:])]
        assert pair.retired, "all live terminals have a better one than the first"
        assert [one.operation for one in pair.theirs[1:]] == [pair.first_theirs]


@in_virtual_time(limit=1800)
async def test_a_removed_terminal_is_told_and_hears_nothing_else(tmp_path: Path) -> None:
    async with three_and_ben(tmp_path) as (_, desk, laptop, phone, ben):
        await phone.stop()
        await desk.engine.remove_terminal(terminal_of(phone))
        await asyncio.sleep(60)
        said = [sent_to(one, phone) for one in (desk, laptop, ben)]
        await phone.start()
        await asyncio.sleep(60)
        assert keyring(phone).is_removed
        assert {type(message) for messages in said for message in messages} == {LogOperations}
        assert keyring(phone).dialled() == []
        for one in (desk, laptop, ben):
            assert not linked(one, phone)
            assert not linked(phone, one)


@in_virtual_time(limit=1800)
async def test_a_terminal_that_is_there_hears_at_once_that_it_was_removed(tmp_path: Path) -> None:
    async with three_and_ben(tmp_path) as (_, desk, _laptop, phone, ben):
        said = phone.wait(AlertsChanged)
        await desk.engine.remove_terminal(terminal_of(phone))
        assert [alert.kind for alert in (await said).alerts] == [AlertKind.REMOVED]
        with pytest.raises(NotPermitted):
            await say(phone, ben, "too late")
        with pytest.raises(Unconfirmed, match="was removed"):
            await phone.engine.verification(await phone.contact(ben))
        (own,) = [view for view in await phone.engine.terminals() if view.this]
        assert own.state is TerminalState.REMOVED
        await phone.stop()
        await phone.start()
        await phone.engine.dismiss_alerts()
        assert [alert.kind for alert in await phone.engine.alerts()] == [AlertKind.REMOVED]
        assert keyring(phone).viewers() == keyring(phone).waiting_tokens(RELAY, 1) == []


@in_virtual_time(limit=1800)
async def test_two_removals_at_once_end_in_one_key(tmp_path: Path) -> None:
    async with three_and_ben(tmp_path) as (network, desk, laptop, phone, ben):
        tablet = await add_terminal(desk, "10.0.0.6")
        await asyncio.sleep(10)
        for one in (laptop, phone, tablet, ben):
            network.part(desk.host, one.host)
        await asyncio.sleep(20)
        await desk.engine.remove_terminal(terminal_of(tablet))
        await laptop.engine.remove_terminal(terminal_of(phone))
        await asyncio.sleep(20)
        first, second = keyring(desk).self_keys[0], keyring(laptop).self_keys[0]
        assert first != second
        for one in (laptop, phone, tablet, ben):
            network.join(desk.host, one.host)
        await asyncio.sleep(200)
        assert keyring(desk).self_keys[0] == keyring(laptop).self_keys[0] not in (first, second)
        there = laptop.wait(EntryAdded, lambda event: event.entry.text == "after")
        await talk(ben, desk, "after")
        await there
        await tablet.engine.close()


@in_virtual_time(limit=1800)
async def test_a_removal_goes_on_after_a_crash_before_anything_was_sent(tmp_path: Path) -> None:
    async with three_and_ben(tmp_path) as (network, desk, laptop, phone, ben):
        network.cut(desk.host)
        await asyncio.sleep(20)
        await desk.engine.remove_terminal(terminal_of(phone))
        key = keyring(desk).self_keys[0]
        await desk.crash()
        network.heal(desk.host)
        await desk.start()
        assert keyring(desk).self_keys[0] == key
        await asyncio.sleep(60)
        assert keyring(laptop).self_keys[0] == key
        assert keyring(phone).is_removed
        assert linked(desk, laptop)
        assert linked(desk, ben)


@pytest.mark.parametrize("backdated", [False, True])
@in_virtual_time(limit=1800)
async def test_what_a_removed_terminal_drew_is_used_by_nobody(tmp_path: Path, backdated: bool) -> None:
    """A live terminal and a contact pass on what it drew upon its removal or before, and words under that."""
    async with three_and_ben(tmp_path) as (_, desk, laptop, phone, ben):
        person, store = keyring(desk).own.person, desk.engine._use_cases.store
        before = await store.read(persons.operations_of, person)
        await desk.engine.remove_terminal(terminal_of(phone))
        await asyncio.sleep(60)
        own, key = keyring(desk).own, keyring(desk).self_keys[0]
        operations = before if backdated else await store.read(persons.operations_of, person)
        thief, made = replace(keyring(phone).own, drawn=own.drawn), list[bytes]()
        for _ in range(3 if backdated else 0):  # it is to be deeper than what the desk drew
            made.append(renew_upon([*operations, *made], NO_PINS, thief, bytes)[0])
        late, drawn = renew_upon([*operations, *made], NO_PINS, thief, bytes)
        for one, other in ((laptop, desk), (ben, desk), (ben, laptop)):
            await current(one, other).driver.send(LogOperations([*made, late]))
        secret = best(desk, ben)
        told = RenewedShare(pairing_id(pair_of(desk, ben).root), parse_operation(late).id, bytes(32))
        renewed = list[SecretsRenewed]()
        ben.engine._use_cases.bus.on(SecretsRenewed, renewed.append)
        for one in (desk, laptop):
            await current(one, ben).driver.send(told)
        await asyncio.sleep(20)
        assert renewed == [], "what is passed over would announce everybody again"
        place = EntryPlace(
            conversation_of(person, ben.peer.person), own.terminal, b"invented", None, [], [person]
        )
        tagged = self_key(drawn.secret)
        words = write_entry(place, desk.clock.wall(), KIND_TEXT, text_body("I owe Ben"), tagged, bytes)
        for one in (desk, laptop):
            await current(ben, one).driver.send(words.message())
        await asyncio.sleep(60)
        for one in (desk, laptop):
            assert keyring(one).self_keys[0] == key
            assert [view.claimed for view in await one.history(ben) if view.text == "I owe Ben"] == [CONTACT]
        assert bytes(32) not in {one.secret for one in keyring(desk).own.drawn}
        assert best(desk, ben) == best(laptop, ben) == best(ben, desk) == secret
        assert linked(desk, laptop)
        assert linked(desk, ben)


@in_virtual_time(limit=1800)
async def test_a_removed_terminal_hears_nothing_of_later_operations(tmp_path: Path) -> None:
    async with three_and_ben(tmp_path) as (_, desk, _laptop, phone, _ben):
        await phone.stop()
        await desk.engine.remove_terminal(terminal_of(phone))
        await desk.engine.rename_self("Ada at another place")
        await asyncio.sleep(30)
        await phone.start()
        await asyncio.sleep(60)
        assert keyring(phone).is_removed
        assert keyring(phone).own_log.name == "Ada"


@in_virtual_time(limit=7200)
async def test_an_earlier_share_is_erased_once_all_terminals_of_its_owner_have_a_better_one(
    tmp_path: Path,
) -> None:
    async with three_and_ben(tmp_path) as (_, desk, laptop, phone, ben):
        tablet = await add_terminal(desk, "10.0.0.5")
        await asyncio.sleep(20)
        await laptop.stop()
        for one in (phone, tablet):
            await desk.engine.remove_terminal(terminal_of(one))
            await asyncio.sleep(LINK_SECONDS_MAX)
        pair = pair_of(ben, desk)
        assert len(pair.theirs) == 3, "the laptop has the first alone"
        assert not pair.retired
        await laptop.start()
        await asyncio.sleep(2 * LINK_SECONDS_MAX)
        left = pair_of(ben, desk)
        assert left.theirs == (pair.theirs[0], pair.theirs[2])
        assert left.retired
        assert left.theirs[1].operation == left.first_theirs
        (stored,) = await ben.engine._use_cases.store.read(keys.pairings_of, keyring(desk).own.person)
        assert {one.share for one in stored.theirs} == {one.share for one in left.theirs}
        await talk(ben, laptop, "after")
        await tablet.engine.close()


@in_virtual_time(limit=1800)
async def test_another_terminal_than_the_one_that_drew_a_share_hands_it_on(tmp_path: Path) -> None:
    async with three_and_ben(tmp_path) as (network, desk, laptop, phone, ben):
        await ben.stop()
        await desk.engine.remove_terminal(terminal_of(phone))
        await asyncio.sleep(30)
        network.part(desk.host, ben.host)
        there = ben.wait(EntryAdded, lambda event: event.entry.text == "from the laptop")
        await say(laptop, ben, "from the laptop")
        await ben.start()
        await there
        await asyncio.sleep(20)
        assert pair_of(ben, desk).theirs[0] == pair_of(laptop, ben).own[0]
        assert len(pair_of(ben, desk).theirs) == 2


@in_virtual_time(limit=1800)
async def test_a_contact_tells_a_removed_terminal_on_the_link_that_is_open(tmp_path: Path) -> None:
    async with three_and_ben(tmp_path) as (network, desk, laptop, phone, ben):
        for one in (desk, laptop):
            network.part(one.host, phone.host)
        await asyncio.sleep(20)
        link, heard = current(phone, ben), phone.wait(AlertsChanged)
        await desk.engine.remove_terminal(terminal_of(phone))
        await heard
        assert keyring(phone).is_removed
        assert not link.driver.link.is_open


@in_virtual_time(limit=1800)
async def test_a_contact_tells_a_removed_terminal_that_calls_under_an_earlier_share(tmp_path: Path) -> None:
    """The laptop does not have the new share yet, so that Ben still holds the earlier one."""
    async with three_and_ben(tmp_path) as (network, desk, laptop, phone, ben):
        for one in (laptop, phone):
            await one.stop()
            network.part(one.host, desk.host)
        await desk.engine.remove_terminal(terminal_of(phone))
        await asyncio.sleep(30)
        heard = phone.wait(AlertsChanged)
        await phone.start()
        await heard
        assert keyring(phone).is_removed
        assert pair_of(ben, desk).theirs[1:]


@in_virtual_time(limit=900)
async def test_what_was_drawn_is_known_though_its_commit_reported_a_failure(tmp_path: Path) -> None:
    async with three_and_ben(tmp_path) as (_, desk, laptop, phone, _ben):
        before = keyring(desk).self_keys[0]
        with failing(desk, STORED):
            await desk.engine.remove_terminal(terminal_of(phone))
        stored = await desk.engine._use_cases.store.read(keys.self_keys)
        assert keyring(desk).self_keys[0] in set(stored) - {before}
        await asyncio.sleep(60)
        assert keyring(laptop).self_keys == keyring(desk).self_keys


@in_virtual_time(limit=3 * 86_400)
async def test_after_a_removal_of_itself_the_next_senior_draws_at_once_and_others_after_a_day(
    tmp_path: Path,
) -> None:
    async with three_and_ben(tmp_path) as (network, desk, laptop, phone, _ben):
        first = keyring(desk).self_keys[0]
        network.part(desk.host, laptop.host)
        await laptop.stop()
        await desk.engine.remove_terminal(terminal_of(desk))
        await asyncio.sleep(3_600)
        assert keyring(phone).self_keys == (first,), "the laptop is more senior"
        await asyncio.sleep(86_400)
        drawn = keyring(phone).self_keys[0]
        assert drawn != first
        await laptop.start()
        await asyncio.sleep(60)
        assert keyring(laptop).self_keys == (drawn, first), "one that is fresh is enough"


@in_virtual_time(limit=3 * 86_400)
async def test_the_most_senior_one_that_is_left_draws_at_once(tmp_path: Path) -> None:
    async with three_and_ben(tmp_path) as (_, desk, laptop, phone, _ben):
        first = keyring(desk).self_keys[0]
        await desk.engine.remove_terminal(terminal_of(desk))
        await asyncio.sleep(60)
        assert keyring(desk).self_keys == (first,)
        assert keyring(laptop).self_keys == keyring(phone).self_keys != (first,)
