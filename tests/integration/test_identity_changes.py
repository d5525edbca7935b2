"""A change of identity is shown and cuts links, whichever way its operation came."""

from __future__ import annotations

import asyncio
from pathlib import Path

from chat.interface import ContactChanged, IdentityChanged, PairingStage
from chat.storage import persons
from protocol.identity.author import add_operation, recover_operation, rename_operation, sign_recovery
from protocol.identity.log import sign_operation
from protocol.identity.reduction import reduce
from protocol.messages import LogOperations
from protocol.pairing.contact_secret import new_share
from protocol.pairing.record import PendingContact
from tests.support.engines.engines import Person, delivered, in_virtual_time, talk, two_contacts
from tests.support.protocol.pairings import Terminal, id_of

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


async def own_recoveries(person: Person, count: int) -> list[bytes]:
    """So many recoveries of the person, which all follow the same one."""
    parts = person.engine._use_cases
    state = reduce(await parts.store.read(persons.operations_of, parts.keyring.own.person))
    seed = parts.keyring.own.recovery_seed
    assert seed is not None
    keys = [Terminal.named(f"recovered {number}") for number in range(count)]
    return [
        sign_recovery(recover_operation(state, seed, [], key.signing, key.static), seed, key.seed)
        for key in keys
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
