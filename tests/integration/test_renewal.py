"""A removal of a terminal renews what the removed one knows (SPEC §7.6, §7.8.2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from chat.interface import EntryAdded
from chat.service.keyring import Keyring
from chat.storage import keys
from protocol.pairing.renewal import number_of
from tests.integration.steps import in_touch, say
from tests.integration.test_own_terminals import LAPTOP, linked, terminal_of
from tests.support.engines.engines import Person, in_virtual_time, talk
from tests.support.engines.terminals import add_terminal
from tests.support.fakes.network import Network

PHONE = "10.0.0.7"
RELAY = bytes(32)


@asynccontextmanager
async def three_and_ben(folder: Path) -> AsyncIterator[tuple[Network, Person, Person, Person, Person]]:
    """Ada at desk, laptop and phone, which have links, and Ben, who has one with each."""
    async with in_touch(folder) as (network, desk, ben):
        laptop = await add_terminal(desk, LAPTOP)
        await asyncio.sleep(10)
        phone = await add_terminal(desk, PHONE)
        try:
            await asyncio.sleep(10)
            assert linked(desk, laptop) and linked(desk, phone) and linked(ben, phone)
            yield network, desk, laptop, phone, ben
        finally:
            for one in (laptop, phone):
                await one.engine.close()


def keyring(person: Person) -> Keyring:
    return person.engine._use_cases.keyring


def recognises(copy: Keyring, person: Person) -> list[str]:
    """By what keys of its secrets a copy of a removed terminal would recognise a person's terminal."""
    announced = set(keyring(person).viewers())
    waits = set(keyring(person).waiting_tokens(RELAY, 1))
    found = []
    if announced & {known.key for known in copy.announcers()}:
        found.append("slot")
    static = keyring(person).identity.static.public
    for peer in copy.dialled():
        if peer.static == static and waits.intersection(copy.dial_tokens(peer, RELAY, 1)):
            found.append("token")
    return found


def copied(person: Person) -> Keyring:
    """What a thief has who copies a device: its keys as they are now, and its logs, which stay as they are."""
    of = keyring(person)
    return Keyring(
        of.own,
        of.own_log,
        of._visibility,
        of._now,
        {one: type(contact)(**{name: getattr(contact, name) for name in contact.__struct_fields__}) for one, contact in of.contacts.items()},
        own_confirmed=of.own_confirmed,
        own_terminals=of.own_terminals,
    )  # fmt: skip


@in_virtual_time(limit=900)
async def test_a_removal_renews_keys_and_shares_and_all_others_talk_on(tmp_path: Path) -> None:
    async with three_and_ben(tmp_path) as (_, desk, laptop, phone, ben):
        thief = copied(phone)
        assert recognises(thief, desk) == ["slot", "token"]
        assert recognises(thief, ben) == ["slot", "token"]
        before = keyring(desk).own.self_key
        await desk.engine.remove_terminal(terminal_of(phone))
        await asyncio.sleep(60)
        assert keyring(desk).own.self_key == keyring(laptop).own.self_key != before
        assert keyring(desk).own.earlier == keyring(laptop).own.earlier == (before,)
        secrets = [keyring(one).contacts[other].pairs[0].newest() for one, other in (
            (desk, keyring(ben).own.person), (laptop, keyring(ben).own.person), (ben, keyring(desk).own.person)
        )]  # fmt: skip
        assert secrets[0] == secrets[1] == secrets[2]
        for one, other in ((desk, laptop), (desk, ben), (laptop, ben)):
            assert linked(one, other)
            psk = one.engine._use_cases.links.current(other.peer).psk  # type: ignore[union-attr]
            assert not keyring(one).is_superseded(other.peer.person, psk)
        for one in (desk, laptop, ben):
            assert recognises(thief, one) == []
        there = laptop.wait(EntryAdded, lambda event: event.entry.text == "after")
        await talk(desk, ben, "after")
        await there
        await talk(ben, laptop, "back")
