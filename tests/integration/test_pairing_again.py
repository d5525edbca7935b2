"""A second pairing with a contact: what the earlier pairing left behind (SPEC §7.6)."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from chat.interface import EntryAdded, EntryKind, Event, PairingChanged, PairingStage
from chat.service.keyring import Keyring
from chat.service.pairing.session import blocked
from chat.storage import keys
from protocol.messages import ContactHello, ShareNames
from protocol.pairing.contact_secret import Pair
from protocol.relay.rendezvous import contact_token
from tests.integration.steps import in_touch, meet, presence, say
from tests.support.engines.engines import Person, contact, in_virtual_time, invite, talk


def shows(person: Person, text: str) -> asyncio.Future[EntryAdded]:
    return person.wait(EntryAdded, lambda event: event.entry.text == text)


@in_virtual_time
async def test_what_was_deleted_stays_so_when_a_removed_contact_pairs_again(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        for number in range(2):
            deleted = await talk(ben, ada, f"deleted {number}")
            await ada.engine.delete(await ada.contact(ben), deleted)
            await talk(ben, ada, f"kept {number}")
            await ada.engine.remove(await ada.contact(ben))
            ada.seen.clear()
            back = shows(ada, f"kept {number}")
            await invite(ada, ben)
            await back
        shown = [(event.entry.kind, event.entry.text) for event in ada.seen if isinstance(event, EntryAdded)]
        history = [(view.kind, view.text) for view in await ada.history(ben)]
        gone = EntryKind.DELETED, ""
        assert history == [("text", "before"), gone, ("text", "kept 0"), gone, ("text", "kept 1")] == shown
        parts = ada.engine._use_cases
        assert await parts.store.read(lambda database: database.rows("SELECT * FROM deletions")) == []
        assert (await contact(ada)).unread == 2
        await ada.stop()
        await ada.start()
        await talk(ada, ben, "after")
        assert [(view.kind, view.text) for view in await ada.history(ben)][:-1] == history


async def by_invitation(ada: Person, ben: Person) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(invite(ada, ben), 20)


async def by_own_invitation(ada: Person, ben: Person) -> None:
    await by_invitation(ben, ada)


async def by_words(ada: Person, ben: Person) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(meet(ada, ben), 20)


@pytest.mark.parametrize("way", [by_invitation, by_own_invitation, by_words])
@in_virtual_time
async def test_a_blocked_contact_does_not_pair_and_the_person_learns_why(
    tmp_path: Path, way: Callable[[Person, Person], Awaitable[None]]
) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        person = await ada.contact(ben)
        await ada.engine.rename(person, "Benny")
        await ada.engine.block(person, True)
        failed, (before,) = ada.stage(PairingStage.FAILED), pairs_of(ada, ben)
        await way(ada, ben)
        assert (await failed).pairing.problem == blocked("Benny")
        asked = [event for event in ada.seen if is_stage(event, PairingStage.JOINER)]
        assert not asked, "the inviter is not asked about a contact who cannot pair"
        assert pairs_of(ada, ben) == (before,)
        assert not ada.engine._use_cases.keyring.invitations
        assert (await contact(ada)).blocked
        await ada.engine.block(person, False)
        await invite(ada, ben)
        await talk(ben, ada, "again")


def pairs_of(one: Person, other: Person) -> tuple[Pair, ...]:
    """The pairings that one person has with the other."""
    return one.engine._use_cases.keyring.pairs(other.peer.person)


def is_stage(event: Event, stage: PairingStage) -> bool:
    return isinstance(event, PairingChanged) and event.pairing.stage is stage


async def pair_again(one: Person, other: Person) -> None:
    gone, back = presence(one, present=False), presence(one, present=True)
    await invite(one, other)
    await gone
    await back


@in_virtual_time
async def test_case_90_an_earlier_pairing_is_retired_by_the_first_link_of_the_next(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        mine, theirs = (person.engine._use_cases.keyring for person in (ada, ben))
        leaked = theirs.pairs(mine.own.person)[0]
        await pair_again(ada, ben)
        await talk(ada, ben, "under the second")
        for keyring, other in ((mine, theirs), (theirs, mine)):
            assert [pair.root == leaked.root for pair in keyring.pairs(other.own.person)] == [False]
        assert not answers(mine, theirs, leaked)
        assert await ada.texts(ben) == ["before", "under the second"]
        await ada.stop()
        await ada.start()
        assert not answers(ada.engine._use_cases.keyring, theirs, leaked), "and after a restart"


@in_virtual_time
async def test_case_90_a_link_under_an_earlier_pairing_ends_with_that_pairing(tmp_path: Path) -> None:
    """The holder of an old copy of Ben's profile links before Ben does, and Ben is away when Ada writes."""
    async with in_touch(tmp_path) as (network, ada, ben):
        mine, person = ada.engine._use_cases, ben.peer.person
        await ben.stop()
        copy = Person("Ben", "10.0.0.9", tmp_path / "copy", network, ben.config, 900)
        shutil.copytree(ben.folder, copy.folder)
        back = presence(ada, present=True)
        await ben.start()
        await back
        await invite(ada, ben)
        network.part(ada.host, ben.host)
        back = presence(ada, present=True)
        await copy.start()
        await back
        assert {link.address for link in mine.links.of(person)} == {copy.host}
        assert len(mine.keyring.pairs(person)) == 2
        back = presence(ben, present=True)
        network.join(ada.host, ben.host)
        await back
        await talk(ben, ada, "under the second")
        assert {link.address for link in mine.links.of(person)} == {ben.host}
        gone = presence(ada, present=False)
        await ben.stop()
        await gone
        await say(ada, ben, "for Ben alone")
        await asyncio.sleep(30)
        assert await copy.texts(ada) == ["before"]
        await copy.stop()


def answers(keyring: Keyring, caller: Keyring, leaked: Pair) -> list[str]:
    """Where a leaked secret of the caller still works: links, relay tokens, announcements."""
    own, person = keyring.own.person, caller.own.person
    names = ShareNames([leaked.own[0].name], [leaked.theirs[0].name])
    hello = ContactHello(person, names, b"k" * 1184, b"s" * 32)
    found = keyring.contact_psk(caller.identity.static.public, hello)
    secret, static = leaked.announced()[0], keyring.identity.static.public
    token = contact_token(secret.meeting_key(own, person), 20_000, b"r" * 32, static)
    discovery = secret.discovery_key(person, own)
    works = {
        "link": found is not None and found[1].psk == leaked.candidates()[0].psk,
        "token": token in keyring.waiting_tokens(b"r" * 32, 20_000),
        "announcement": any(known.key == discovery for known in keyring.announcers()),
    }
    return [name for name, yes in works.items() if yes]


@in_virtual_time
async def test_the_secret_of_the_only_pairing_works_everywhere_and_after_a_restart(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        mine, theirs = (person.engine._use_cases.keyring for person in (ada, ben))
        leaked = theirs.pairs(mine.own.person)[0]
        assert answers(mine, theirs, leaked) == ["link", "token", "announcement"]
        await ada.stop()
        await ada.start()
        await talk(ada, ben, "and again")
        assert answers(ada.engine._use_cases.keyring, theirs, leaked) == ["link", "token", "announcement"]


@in_virtual_time
async def test_case_90_a_link_under_an_earlier_pairing_retires_nothing(tmp_path: Path) -> None:
    """Ada alone has stored a later pairing, whose last message never came. The earlier one must stay."""
    async with in_touch(tmp_path) as (network, ada, ben):
        parts, person = ada.engine._use_cases, ben.peer.person
        (pair,) = parts.keyring.pairs(person)
        (row,) = await parts.store.read(keys.pairings_of, person)
        await parts.store.write(keys.add_pairing, replace(row, root=bytes(32)))
        await parts.pending.reload(person)
        roots = [one.root for one in parts.keyring.pairs(person)]
        assert roots == [bytes(32), pair.root]
        gone, back = presence(ada, present=False), presence(ada, present=True)
        network.unplug(ada.host)
        await gone
        await back
        await talk(ada, ben, "under the earlier one")
        assert [one.root for one in parts.keyring.pairs(person)] == roots
        await ada.stop()
        await ada.start()
        await talk(ada, ben, "after a restart too")
