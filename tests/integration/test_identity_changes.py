"""A change of identity is shown, holds sending and cuts links, whichever way its operation came."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chat.interface import ContactChanged, EntryState, IdentityChanged
from chat.storage import keys, persons
from protocol.identity.author import add_operation, recover_operation, rename_operation, sign_recovery
from protocol.identity.log import sign_operation
from protocol.identity.reduction import reduce
from protocol.messages import LogOperations
from protocol.pairing.contact_secret import new_share
from protocol.pairing.record import PendingContact
from tests.integration.steps import compare, current, in_touch, presence, say
from tests.support.engines.engines import Person, delivered, in_virtual_time, talk, two_contacts
from tests.support.protocol.pairings import Terminal, id_of

STRANGE = Terminal.named("holder of the recovery key")


async def recovered(person: Person, new: Terminal | None = None) -> list[bytes]:
    """The person's log with a recovery, which removes the terminal if it brings in another."""
    parts = person.engine._use_cases
    own = parts.keyring.own
    operations = await parts.store.read(persons.operations_of, own.person)
    state = reduce(operations)
    removed = [(own.terminal, state.last[own.terminal])] if new else []
    brought = (new.signing, new.static) if new else ()
    seed = (await parts.store.read(keys.read_own)).recovery_seed
    assert seed is not None
    operation = recover_operation(state, seed, removed, *brought)
    return [*operations, sign_recovery(operation, seed, *([new.seed] if new else []))]


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


async def own_recoveries(person: Person, count: int) -> list[bytes]:
    """So many recoveries of the person, which all follow the same one."""
    parts = person.engine._use_cases
    state = reduce(await parts.store.read(persons.operations_of, parts.keyring.own.person))
    seed = (await parts.store.read(keys.read_own)).recovery_seed
    assert seed is not None
    new = [Terminal.named(f"recovered {number}") for number in range(count)]
    return [
        sign_recovery(recover_operation(state, seed, [], key.signing, key.static), seed, key.seed)
        for key in new
    ]


async def send_log(person: Person, operations: list[bytes]) -> None:
    (link,) = person.engine._use_cases.links.all()
    await link.driver.send(LogOperations(operations))


@in_virtual_time
async def test_case_84_a_second_recovery_changes_nothing_and_holds_until_the_first_is_confirmed(
    tmp_path: Path,
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "before")
        contact = await ada.contact(ben)
        first, second = await own_recoveries(ben, 2)
        held = ada.wait(ContactChanged, lambda event: event.contact.held)
        await send_log(ben, [first])
        await held
        shown = ada.wait(IdentityChanged, lambda event: "contradict" in event.cause)
        await send_log(ben, [second])
        await shown
        keyring = ada.engine._use_cases.keyring
        person = bytes.fromhex(contact)
        assert keyring.contacts[person].state.newest == id_of(first)
        assert keyring.contacts[person].state.contested
        assert (await ada.engine.contacts())[0].held
        await ada.engine.set_verified(contact, True)
        state = keyring.contacts[person].state
        assert (state.newest, state.contested, state.rivals) == (
            id_of(first),
            False,
            frozenset([id_of(second)]),
        )
        assert not (await ada.engine.contacts())[0].held
        await talk(ada, ben, "after")
        # A rival of what is confirmed holds nothing, also after a start.
        await ada.stop()
        await ada.start()
        state = ada.engine._use_cases.keyring.contacts[person].state
        assert (state.newest, state.contested) == (id_of(first), False)


@in_virtual_time
async def test_case_84_of_two_recoveries_that_come_together_a_comparison_settles_none(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "before")
        contact = await ada.contact(ben)
        held = ada.wait(ContactChanged, lambda event: event.contact.held)
        await send_log(ben, await own_recoveries(ben, 2))
        await held
        state = ada.engine._use_cases.keyring.contacts[bytes.fromhex(contact)].state
        assert (state.recoveries, state.contested, len(state.rivals)) == (0, True, 2)
        await ada.engine.set_verified(contact, True)
        assert (await ada.engine.contacts())[0].held


@in_virtual_time
async def test_case_92_a_fork_holds_sending_only_where_it_froze_the_only_terminal(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "before")
        own, other = ben.engine._use_cases.keyring.own, Terminal.named("the other one")
        log = reduce(await ben.engine._use_cases.store.read(persons.operations_of, own.person))
        add = sign_operation(
            add_operation(log, own.terminal, other.signing, other.static), own.signing_seed, other.seed
        )
        await send_log(ben, [add])
        operations = [*await ben.engine._use_cases.store.read(persons.operations_of, own.person), add]
        state = reduce(operations)
        fork = [sign_operation(rename_operation(state, other.id, name), other.seed) for name in ("a", "b")]
        shown = ada.wait(IdentityChanged, lambda event: "was copied" in event.cause)
        await send_log(ben, fork)
        await shown
        (contact,) = await ada.engine.contacts()
        assert not contact.held
        await talk(ada, ben, "after")
        held = ada.wait(ContactChanged, lambda event: event.contact.held)
        await send_log(ben, [sign_operation(rename_operation(state, own.terminal, "c"), own.signing_seed)])
        await send_log(ben, [sign_operation(rename_operation(state, own.terminal, "d"), own.signing_seed)])
        await held


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
