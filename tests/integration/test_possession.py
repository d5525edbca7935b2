"""Who holds a key: invitations that a thief answers, and static keys in several persons' logs."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from chat.interface import ContactChanged, IdentityChanged, PairingChanged, PairingStage, Unreachable
from chat.service.keyring import OpenInvitation
from chat.storage import keys, persons
from chat.storage.database import Database
from protocol.identity.author import NewPerson, add_operation
from protocol.identity.drawing import commitment
from protocol.identity.log import (
    Add,
    Genesis,
    RecoveryKey,
    Rename,
    parse_operation,
    sign_operation,
    terminal_id,
)
from protocol.identity.reduction import PersonState, reduce
from protocol.keys import X25519Pair
from protocol.messages import LogOperations
from protocol.pairing.invitation import parse_invitation
from protocol.primitives import Random, ed25519_from_seed
from tests.integration.steps import current, join, meet, number_of
from tests.support.engines.engines import (
    Person,
    in_virtual_time,
    invite,
    pair,
    people,
    recover,
    take_in,
    talk,
)


@in_virtual_time
async def test_case_83_who_poses_as_the_inviter_learns_nothing_of_the_joiner(tmp_path: Path) -> None:
    """Mallory has seen the text, and answers at the address of the inviter, who is away."""
    async with people(tmp_path, "Ada", "Ben") as (network, (ada, ben)):
        text = (await ada.engine.invite()).text
        await ada.stop()
        mallory = Person("Mallory", ada.host, tmp_path / "Mallory", network, ada.config, 900)
        await mallory.create()
        stolen = parse_invitation(text)
        open_ones = mallory.engine._use_cases.keyring.invitations
        open_ones[stolen.secret] = OpenInvitation(stolen, text, X25519Pair.generate(), None)
        network.seen.clear()
        with pytest.raises(Unreachable):
            await ben.engine.join(text)
        said = [data for here, there, data in network.seen if (here, there) == (ben.host, ada.host)]
        assert 0 < sum(map(len, said)) <= 2 + 51  # a choice and message 1, which holds an ephemeral key
        assert not [event for event in mallory.seen if isinstance(event, PairingChanged)]
        assert open_ones[stolen.secret].burned_by is None
        await mallory.engine.close()
        await ada.start()
        await join(ada, ben, text)


async def secrets_of(person: Person) -> list[bytes]:
    """The one-time secrets in the profile."""
    rows = await person.engine._use_cases.store.read(keys.invitations)
    return [row.one_time for row in rows]


@in_virtual_time(limit=3 * 3600.0)
async def test_case_83_the_one_time_secret_goes_with_its_invitation(tmp_path: Path) -> None:
    """When the pairing is done, when the invitation expires, and when it expired while nobody was there."""
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        await invite(ada, ben)
        await asyncio.sleep(1)
        assert await secrets_of(ada) == []
        await ada.engine.invite()
        assert len(await secrets_of(ada)) == 1
        await asyncio.sleep(3_700)
        assert await secrets_of(ada) == []
        await ada.engine.invite()
        await ada.stop()
        await asyncio.sleep(3_700)
        await ada.start()
        await asyncio.sleep(1)
        assert await secrets_of(ada) == []
        assert ada.engine._use_cases.keyring.invitations == {}


@in_virtual_time
async def test_case_83_every_invitation_has_a_key_of_its_own_that_outlives_a_restart(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        texts = [(await ada.engine.invite()).text for _ in range(4)]
        assert len({parse_invitation(text).one_time for text in texts}) == 4
        assert len(set(await secrets_of(ada))) == 4
        await ada.stop()
        await ada.start()
        await join(ada, ben, texts[2])


async def sign_add(person: Person, static: bytes, seed: bytes = b"s" * 32) -> bytes:
    """An Add of the person's own log, signed by its terminal, with any static key; nothing is stored."""
    keyring = person.engine._use_cases.keyring
    own = keyring.own
    operation = add_operation(keyring.own_log, own.terminal, ed25519_from_seed(seed), static, "laptop")
    return sign_operation(operation, own.signing_seed, seed)


async def publish(person: Person, signed: bytes) -> None:
    """The person's engine has made the operation in its own log, and hands it out at the next link."""
    parts = person.engine._use_cases
    own, operation = parts.keyring.own.person, parse_operation(signed).id
    await parts.store.write(persons.add_operation, own, operation, signed)
    await parts.store.write(persons.pin, own, [operation], confirmed=True)
    parts.keyring.own_confirmed |= {operation}
    parts.keyring.own_log = reduce(await parts.store.read(persons.operations_of, own))


def static_of(person: Person) -> bytes:
    """The static key of a person's terminal, which every contact knows."""
    return person.engine._use_cases.keyring.identity.static.public


def state_of(person: Person, other: Person) -> PersonState:
    """A contact's log as a person holds it."""
    parts = person.engine._use_cases
    return parts.keyring.log(other.engine._use_cases.keyring.own.person)


@pytest.mark.parametrize("by_words", [True, False])
@in_virtual_time
async def test_case_81_a_claimed_key_keeps_nobody_from_pairing(tmp_path: Path, by_words: bool) -> None:
    """Mallory puts Ben's static key into a log of her own, and pairs with Ada before Ben does."""
    async with people(tmp_path, "Ada", "Ben", "Mallory") as (_, (ada, ben, mallory)):
        await publish(mallory, await sign_add(mallory, static_of(ben)))
        await invite(ada, mallory)
        assert static_of(ben) in {one.static for one in state_of(ada, mallory).live.values()}
        if by_words:
            await ada.engine.set_visible(True)
            await pair(ada, ben)
        else:
            await invite(ben, ada)
        await talk(ada, ben, "to Ben")
        await talk(ben, ada, "to Ada")
        await talk(ada, mallory, "to Mallory")
        assert {view.name for view in await ada.engine.contacts()} == {"Ben", "Mallory"}


def squatter(name: str, random: Random, victim: bytes) -> NewPerson:
    """A person whose founding terminal has the static key of somebody else."""
    signing, recovery, drawn = random(32), random(32), random(32)
    public, key = ed25519_from_seed(signing), RecoveryKey(ed25519_from_seed(recovery), bytes(32))
    genesis = Genesis(random(32), key, commitment(drawn), public, victim)
    founded = sign_operation(genesis, signing, recovery)
    person, terminal = parse_operation(founded).id, terminal_id(public, victim)
    renamed = sign_operation(Rename(person, terminal, [person], name), signing)
    return NewPerson(person, terminal, (founded, renamed), signing, random(32), recovery, drawn)


@in_virtual_time
async def test_case_81_a_record_with_a_claimed_terminal_is_refused(tmp_path: Path) -> None:
    """Mallory's only terminal claims Ben's key: without its secret her Record proves nothing."""
    async with people(tmp_path, "Ada", "Ben") as (network, (ada, ben)):
        mallory = Person("Mallory", "10.0.0.9", tmp_path / "Mallory", network, ada.config, 900)
        await mallory.create(lambda random: squatter("Mallory", random, static_of(ben)))
        failed = ada.stage(PairingStage.FAILED)
        await mallory.engine.join((await ada.engine.invite()).text)
        await failed
        assert not [one for one in ada.seen if isinstance(one, PairingChanged) and one.pairing.peer]
        assert await ada.engine.contacts() == ()
        await invite(ada, ben)
        await mallory.engine.close()


async def brings_in(one: Person, other: Person, added: bytes) -> None:
    """One signs this Add, which the other learns after a restart; it ends none of their links."""
    await publish(one, added)
    learned = other.wait(IdentityChanged)
    await one.stop()
    await one.start()
    assert (await learned).name == one.name
    await talk(one, other, "my new terminal is here")
    since = len(other.seen)
    await asyncio.sleep(300)  # of virtual time, in which no link may end
    seen = [event for event in other.seen[since:] if isinstance(event, ContactChanged)]
    assert not [event for event in seen if not event.contact.present]


@in_virtual_time
async def test_case_82_no_link_ends_for_what_another_persons_log_says(tmp_path: Path) -> None:
    """Mallory copies the key of Ben's new terminal into her log, and her Add reaches Ada before Ben's."""
    async with people(tmp_path, "Ada", "Ben", "Mallory") as (_, (ada, ben, mallory)):
        await pair(ada, ben)
        await talk(ada, ben, "we talk")
        await meet(ada, mallory)
        await talk(ada, mallory, "and we")
        second = X25519Pair.generate()
        honest = await sign_add(ben, second.public, b"b" * 32)
        claim = await sign_add(mallory, second.public, b"m" * 32)
        told = ada.wait(IdentityChanged)
        await current(mallory, ada).driver.send(LogOperations([claim]))
        assert (await told).name == "Mallory"
        await brings_in(ben, ada, honest)
        for person in (ben, mallory):
            assert second.public in {one.static for one in state_of(ada, person).live.values()}


@in_virtual_time
async def test_case_82_a_contact_that_claims_a_key_of_ones_own_gains_and_ends_nothing(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Mallory") as (_, (ada, mallory)):
        await pair(ada, mallory)
        await talk(ada, mallory, "before")
        told, link = ada.wait(IdentityChanged), current(ada, mallory)
        await current(mallory, ada).driver.send(LogOperations([await sign_add(mallory, static_of(ada))]))
        assert "added the device" in (await told).cause
        await talk(ada, mallory, "after")
        assert current(ada, mallory) is link
        keyring = ada.engine._use_cases.keyring
        assert static_of(ada) in {one.static for one in state_of(ada, mallory).live.values()}
        assert [peer.static for peer in keyring.dialled()] == [static_of(mallory)]
        assert await same_key(ada) == {"Mallory": ()}


@in_virtual_time
async def test_case_89_a_recovery_arrives_though_the_thief_claimed_the_receivers_key(tmp_path: Path) -> None:
    """The recovery follows the Add by which a thief of Ben's terminal claims the key of Ada's."""
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        await pair(ada, ben)
        await talk(ada, ben, "before")
        await take_in(ben, claim := await sign_add(ben, static_of(ada)))
        thief = terminal_id(ed25519_from_seed(b"s" * 32), static_of(ada))
        words, told = (await ben.engine.recovery_words()).words, ada.wait(IdentityChanged, is_recovery)
        await recover(ben, words, (thief.hex(),))
        await told
        assert (await ada.engine.contacts())[0].held
        assert claim in ada.engine._use_cases.keyring.contacts[ben.peer.person].operations
        assert thief in state_of(ada, ben).removed


@in_virtual_time(limit=600)
async def test_case_82_a_key_that_a_thief_claimed_in_ones_own_log_ends_no_link(tmp_path: Path) -> None:
    """A thief of Ada's terminal claims the key of Ben's next one; she recovers, and then Ben adds it."""
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        await pair(ada, ben)
        await talk(ada, ben, "before")
        second = X25519Pair.generate()
        told = ben.wait(IdentityChanged, is_recovery)
        await recover_from(ada, await sign_add(ada, second.public))
        await told
        await ben.engine.verify(await ben.contact(ada), await number_of(ada, ben))
        await brings_in(ben, ada, await sign_add(ben, second.public, b"b" * 32))
        assert second.public in {one.static for one in state_of(ada, ben).live.values()}


@pytest.mark.parametrize("ada_invites", [True, False])
@in_virtual_time
async def test_case_81_a_key_that_a_thief_claimed_in_ones_own_log_keeps_nobody_from_pairing(
    tmp_path: Path, ada_invites: bool
) -> None:
    """A thief of Ada's terminal claims Ben's key in her log, before they meet; she recovers."""
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        await recover_from(ada, await sign_add(ada, static_of(ben)))
        await (invite(ada, ben) if ada_invites else invite(ben, ada))
        await talk(ben, ada, "to Ada")


async def recover_from(person: Person, claim: bytes) -> None:
    """A thief's Add reaches the person, who recovers and removes the terminal that it brings in."""
    await take_in(person, claim)
    operation = parse_operation(claim).operation
    assert isinstance(operation, Add)
    words = (await person.engine.recovery_words()).words
    await recover(person, words, (terminal_id(operation.signing, operation.static).hex(),))
    assert await person.engine.questions() == ()


def is_recovery(event: IdentityChanged) -> bool:
    return "used the recovery key" in event.cause


def stolen(random: Random, victim: Person) -> NewPerson:
    """A person whose terminal has the static pair of a victim's, secret included."""
    own = victim.engine._use_cases.keyring.own
    made = squatter("Mallory", random, static_of(victim))
    return replace(made, static_secret=own.static_secret)


def is_about(name: str, event: IdentityChanged) -> bool:
    """Whether an event is about the contact of this name."""
    return event.name == name


async def same_key(person: Person) -> dict[str, tuple[str, ...]]:
    """By a contact's name, the names of those with the same key."""
    views = await person.engine.contacts()
    names = {view.person: view.name for view in views}
    return {view.name: tuple(names[one] for one in view.same_key) for view in views}


@in_virtual_time
async def test_case_82_two_proven_claims_on_one_key_are_shown_for_both(tmp_path: Path) -> None:
    """Mallory holds the secret of Ben's terminal: both prove the key, both stay, and Ada hears of it."""
    async with people(tmp_path, "Ada", "Ben") as (network, (ada, ben)):
        await invite(ada, ben)
        await talk(ada, ben, "to Ben")
        assert await same_key(ada) == {"Ben": ()}
        mallory = Person("Mallory", "10.0.0.9", tmp_path / "Mallory", network, ada.config, 900)
        await mallory.create(lambda random: stolen(random, ben))
        told = [ada.wait(IdentityChanged, partial(is_about, name)) for name in ("Ben", "Mallory")]
        paired = ada.stage(PairingStage.DONE)
        await invite(ada, mallory)
        shown = [await one for one in told]
        assert ["same device key" in event.cause for event in shown] == [True, True]
        # The record of the pairing proves the key, before any link does.
        assert max(map(ada.seen.index, shown)) < ada.seen.index(await paired)
        await talk(ada, ben, "still here")
        await talk(ada, mallory, "here, too")
        both = {"Ben": ("Mallory",), "Mallory": ("Ben",)}
        assert await same_key(ada) == both
        since = len(ada.seen)
        await ada.stop()
        await ada.start()
        await talk(ben, ada, "after a restart")
        assert await same_key(ada) == both
        assert not [event for event in ada.seen[since:] if isinstance(event, IdentityChanged)]
        await ada.engine.remove(await ada.contact(mallory))
        assert await same_key(ada) == {"Ben": ()}
        await invite(ada, mallory)  # which proves it once more
        await ada.stop()
        await ada.start()
        assert await same_key(ada) == both
        await mallory.engine.close()


@in_virtual_time
async def test_case_82_a_link_proves_a_claim_too(tmp_path: Path) -> None:
    """Mallory adds a terminal with Ben's stolen pair to her log, and links from it."""
    async with people(tmp_path, "Ada", "Ben", "Mallory") as (_, (ada, ben, mallory)):
        await pair(ada, ben)
        await talk(ada, ben, "to Ben")
        await meet(ada, mallory)
        await talk(mallory, ada, "from my own terminal")
        seed, told = b"t" * 32, ada.wait(IdentityChanged)
        signed = await sign_add(mallory, static_of(ben), seed)
        await publish(mallory, signed)
        await current(mallory, ada).driver.send(LogOperations([signed]))
        assert "added the device" in (await told).cause
        assert await same_key(ada) == {"Ben": (), "Mallory": ()}
        terminal = terminal_id(ed25519_from_seed(seed), static_of(ben))
        secret = ben.engine._use_cases.keyring.own.static_secret
        change = "UPDATE own SET terminal = ?, signing_seed = ?, static_secret = ?"
        await mallory.engine._use_cases.store.write(Database.run, change, terminal, seed, secret)
        shown = ada.wait(IdentityChanged, partial(is_about, "Ben"))
        await mallory.stop()
        await mallory.start()
        assert "same device key" in (await shown).cause
        assert await same_key(ada) == {"Ben": ("Mallory",), "Mallory": ("Ben",)}
        await talk(ada, ben, "both stay")


@in_virtual_time
async def test_case_82_a_claim_that_is_not_proven_accuses_nobody(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben", "Mallory") as (_, (ada, ben, mallory)):
        await publish(mallory, await sign_add(mallory, static_of(ben)))
        await invite(ada, mallory)
        await invite(ada, ben)
        await talk(ada, ben, "to Ben")
        await talk(ada, mallory, "to Mallory")
        assert await same_key(ada) == {"Ben": (), "Mallory": ()}
