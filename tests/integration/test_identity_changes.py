"""A change of identity is shown, holds sending and cuts links, whichever way its operation came."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chat.interface import ContactChanged, EntryState, IdentityChanged
from chat.storage import persons
from protocol.identity.author import recover_operation, sign_recovery
from protocol.identity.reduction import reduce
from protocol.messages import LogOperations
from protocol.pairing.contact_secret import new_share
from protocol.pairing.record import PendingContact
from tests.integration.steps import compare, current, in_touch, presence, say
from tests.support.engines.engines import Person, delivered, in_virtual_time
from tests.support.protocol.pairings import Terminal

STRANGE = Terminal.named("whoever holds the recovery key")


async def recovered(person: Person, new: Terminal | None = None) -> list[bytes]:
    """The person's log with a recovery, which removes the terminal if it brings in another."""
    parts = person.engine._use_cases
    own = parts.keyring.own
    operations = await parts.store.read(persons.operations_of, own.person)
    state = reduce(operations)
    removed = [(own.terminal, state.last[own.terminal])] if new else []
    keys = (new.signing, new.static) if new else ()
    assert own.recovery_seed is not None
    operation = recover_operation(state, own.recovery_seed, removed, *keys)
    return [*operations, sign_recovery(operation, own.recovery_seed, *([new.seed] if new else []))]


async def paired_again(ada: Person, ben: Person, verified: bool) -> None:
    """What Ada's side does when Ben's recovered terminal has paired with it."""
    operations, random = tuple(await recovered(ben, STRANGE)), ada.engine._use_cases.runtime.random
    contact = PendingContact(
        state=reduce(operations),
        operations=operations,
        terminal=STRANGE.id,
        root=random(32),
        own=new_share(2_000_000_000, ada.engine._use_cases.keyring.own_log.heads, random),
        theirs=new_share(2_000_000_000, reduce(operations).heads, random),
    )
    await ada.engine._use_cases.pending.store(contact, verified)


@pytest.mark.parametrize("compared", [False, True])
@in_virtual_time
async def test_a_recovery_that_comes_with_a_pairing_is_shown_and_holds_sending_unless_words_were_compared(
    tmp_path: Path, compared: bool
) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        shown = ada.wait(IdentityChanged, lambda event: "recovery key" in event.cause)
        gone = presence(ada, present=False)
        await paired_again(ada, ben, verified=compared)
        (contact,) = await ada.engine.contacts()
        assert (contact.verified, contact.held) == (compared, not compared)
        await asyncio.wait_for(shown, 1)
        await gone
        assert not ada.engine._use_cases.links.all()


@in_virtual_time(limit=600)
async def test_a_terminal_that_brings_its_own_removal_loses_its_link(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        changed, gone = ada.wait(IdentityChanged), presence(ada, present=False)
        await current(ben, ada).driver.send(LogOperations(await recovered(ben, STRANGE)))
        await changed
        await gone
        assert not ada.engine._use_cases.links.all()


@pytest.mark.parametrize("words", [False, True])
@in_virtual_time
async def test_attack_15_a_recovered_identity_holds_sending_until_it_is_confirmed(
    tmp_path: Path, words: bool
) -> None:
    """By the mark, or by words that are compared again."""
    async with in_touch(tmp_path) as (_, ada, ben):
        assert (await ada.engine.contacts())[0].verified
        changed, held = ada.wait(IdentityChanged), ada.wait(ContactChanged, lambda event: event.contact.held)
        await current(ben, ada).driver.send(LogOperations(await recovered(ben)))
        assert "recovery key" in (await changed).cause
        assert not (await held).contact.verified
        await say(ada, ben, "must wait")
        await asyncio.sleep(120)
        assert (await ada.history(ben))[-1].state is EntryState.QUEUED
        done = delivered(ada, 1)
        if words:
            await ben.engine.set_visible(True)
            await compare(ada, ben, ada.engine.pair_address(ben.host, 4747))
        else:
            await ada.engine.set_verified(await ada.contact(ben), True)
        await asyncio.wait_for(done, 5)
