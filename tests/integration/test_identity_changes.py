"""A change of identity is shown and cuts links, whichever way its operation came."""

from __future__ import annotations

import asyncio
from pathlib import Path

from chat.interface import ContactChanged, IdentityChanged, PairingStage
from chat.storage import persons
from protocol.identity.author import recover_operation, sign_recovery
from protocol.identity.reduction import reduce
from protocol.messages import LogOperations
from protocol.pairing.contact_secret import new_share
from protocol.pairing.record import PendingContact
from tests.support.engines.engines import Person, delivered, in_virtual_time, talk, two_contacts
from tests.support.protocol.pairings import Terminal

STRANGE = Terminal.named("whoever holds the recovery key")


async def holding(ada: Person, ben: Person) -> None:
    """Ben's log says that he used the recovery key, and Ada's side waits for Ada."""
    held = ada.wait(ContactChanged, lambda event: event.contact.held)
    store = ben.engine._use_cases.store
    operations = await store.read(persons.operations_of, ben.engine._use_cases.keyring.own.person)
    seed = ben.engine._use_cases.keyring.own.recovery_seed
    assert seed is not None
    operation = recover_operation(reduce(operations), seed, [])
    (link,) = ben.engine._use_cases.links.all()
    await link.driver.send(LogOperations([sign_recovery(operation, seed)]))
    await held


async def recovered(person: Person) -> tuple[bytes, ...]:
    """The person's log with a recovery that removes the terminal and brings in another."""
    parts = person.engine._use_cases
    operations = list(await parts.store.read(persons.operations_of, parts.keyring.own.person))
    state = reduce(operations)
    removed = [(parts.keyring.own.terminal, state.last[parts.keyring.own.terminal])]
    seed = parts.keyring.own.recovery_seed
    assert seed is not None
    operation = recover_operation(state, seed, removed, STRANGE.signing, STRANGE.static)
    return (*operations, sign_recovery(operation, seed, STRANGE.seed))


async def paired_again(ada: Person, ben: Person, verified: bool) -> None:
    """What Ada's side does when Ben's recovered terminal has paired with it."""
    operations, random = await recovered(ben), ada.engine._use_cases.runtime.random
    contact = PendingContact(
        state=reduce(operations),
        operations=operations,
        terminal=STRANGE.id,
        root=random(32),
        own=new_share(2_000_000_000, ada.engine._use_cases.keyring.own_log.heads, random),
        theirs=new_share(2_000_000_000, reduce(operations).heads, random),
    )
    await ada.engine._use_cases.pending.store(contact, verified)


@in_virtual_time
async def test_a_recovery_that_comes_with_an_invitation_is_shown_and_holds_sending(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "before")
        await ada.engine.set_verified(await ada.contact(ben), True)
        shown = ada.wait(IdentityChanged, lambda event: "recovery key" in event.cause)
        await paired_again(ada, ben, verified=False)
        (contact,) = await ada.engine.contacts()
        assert contact.held
        assert not contact.verified
        await asyncio.wait_for(shown, 1)


@in_virtual_time
async def test_words_compared_with_a_recovered_person_verify_it_and_are_shown(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "before")
        shown = ada.wait(IdentityChanged, lambda event: "recovery key" in event.cause)
        await paired_again(ada, ben, verified=True)
        (contact,) = await ada.engine.contacts()
        assert contact.verified
        assert not contact.held
        await asyncio.wait_for(shown, 1)


@in_virtual_time
async def test_a_removed_terminal_loses_its_link_at_once(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "before")
        gone = ada.wait(ContactChanged, lambda event: not event.contact.present)
        await paired_again(ada, ben, verified=True)
        await gone
        assert not ada.engine._use_cases.links.all()


@in_virtual_time(limit=600)
async def test_a_terminal_that_brings_its_own_removal_loses_its_link(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "before")
        changed = ada.wait(IdentityChanged)
        gone = ada.wait(ContactChanged, lambda event: not event.contact.present)
        (link,) = ben.engine._use_cases.links.all()
        await link.driver.send(LogOperations(list(await recovered(ben))))
        await changed
        await gone
        assert not ada.engine._use_cases.links.all()


@in_virtual_time
async def test_what_was_held_goes_as_soon_as_words_were_compared(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "before")
        await holding(ada, ben)
        await ada.engine.send(await ada.contact(ben), "held")
        await ben.engine.set_visible(True)
        words = ada.stage(PairingStage.WORDS), ben.stage(PairingStage.WORDS)
        done = delivered(ada, 1)
        await ada.engine.pair_address(ben.host, 4747)
        mine, theirs = await asyncio.gather(*words)
        await ada.engine.answer_pairing(mine.pairing.id, True)
        await ben.engine.answer_pairing(theirs.pairing.id, True)
        await asyncio.wait_for(done, 5)
