"""A change of identity is shown, holds sending and cuts links, whichever way its operation came."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from unittest import mock

import pytest

from chat.interface import BadData, ContactChanged, EntryState, IdentityChanged
from chat.storage import keys, persons
from chat.storage.database import Database
from protocol.identity.author import (
    add_operation,
    rename_operation,
)
from protocol.identity.exchange import extend
from protocol.identity.log import sign_operation
from protocol.identity.reduction import Pins, reduce
from protocol.identity.safety import safety_number
from protocol.messages import LogOperations
from protocol.pairing.contact_secret import Share
from protocol.pairing.record import PendingContact
from tests.integration.steps import compare, current, in_touch, kept_back, meet, number_of, presence, say
from tests.integration.test_removed_terminals import SECOND, Second
from tests.support.engines.engines import (
    Person,
    delivered,
    in_virtual_time,
    invite,
    people,
    take_in,
    talk,
    two_contacts,
)
from tests.support.protocol.pairings import Terminal, id_of, recovery, removal

STRANGE = Terminal.named("holder of the recovery key")


async def recovered(person: Person, new: Terminal | None = None) -> list[bytes]:
    """The person's log with a recovery, which removes the terminal if it brings in another."""
    parts = person.engine._use_cases
    own = parts.keyring.own
    operations = await parts.store.read(persons.operations_of, own.person)
    seed = (await parts.store.read(keys.read_own)).recovery_seed
    assert seed is not None
    return [*operations, recovery(operations, seed, {own.terminal: []} if new else {}, new)]


async def paired_again(ada: Person, ben: Person, verified: bool) -> None:
    """What Ada's side does when Ben's recovered terminal has paired with it."""
    operations, random = tuple(await recovered(ben, STRANGE)), ada.engine._use_cases.runtime.random
    contact = PendingContact(
        state=reduce(operations),
        operations=operations,
        terminal=STRANGE.id,
        root=random(32),
        own=ada.peer.person,
        theirs=Share(ben.peer.person, random(32)),
        recoveries=reduce(operations).path,
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
    held = await parts.store.read(persons.operations_of, parts.keyring.own.person)
    seed = (await parts.store.read(keys.read_own)).recovery_seed
    assert seed is not None
    new = [Terminal.named(f"recovered {number}") for number in range(count)]
    return [recovery(held, seed, new=key) for key in new]


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
        seen = (await ada.engine.verification(contact)).numbers
        assert len(seen) == 2
        await ada.engine.verify(contact, seen[0])
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


@pytest.mark.parametrize("again", [False, True])
@in_virtual_time
async def test_case_84_of_two_recoveries_the_one_whose_words_were_compared_last_is_in_force(
    tmp_path: Path, again: bool
) -> None:
    """Ada confirms a thief's recovery by mistake, and then, in person, the owner's. No id decides."""
    async with in_touch(tmp_path) as (_, ada, ben):
        made = await own_recoveries(ben, 2)
        parts, log = ada.engine._use_cases, await recovered(ben)
        random = parts.runtime.random
        for signed in sorted(made, key=id_of, reverse=again):
            operations = (*log[:-1], signed)
            held = parts.keyring.held(ben.peer.person)
            state = reduce([*held, *operations], Pins(confirmed=frozenset([id_of(signed)])))
            terminal = next(iter(state.live))
            path, theirs = (id_of(signed),), Share(ben.peer.person, random(32))
            contact = PendingContact(state, operations, terminal, random(32), ada.peer.person, theirs, path)
            await parts.pending.store(contact, verified=True)
            found = parts.keyring.contacts[ben.peer.person].state
            assert (found.newest, found.contested) == (id_of(signed), False)
            assert terminal in found.live
            assert (await ada.engine.contacts())[0].verified


@in_virtual_time
async def test_case_84_a_pairing_shows_the_recovery_in_force_and_not_its_rival(tmp_path: Path) -> None:
    """A contact has handed Ben the rival, which a thief of the seed made."""
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        made = await own_recoveries(ben, 2)
        own = id_of(made[0])

        def hold(database: Database) -> None:
            for signed in made:
                persons.add_operation(database, ben.peer.person, id_of(signed), signed)
            persons.pin(database, ben.peer.person, [own], confirmed=False)

        await ben.engine._use_cases.store.write(hold)
        await ben.stop()
        await ben.start()
        assert ben.engine._use_cases.keyring.own_log.rivals == {id_of(made[1])}
        await ben.engine.confirm_own(own.hex())
        await meet(ada, ben)
        state = ada.engine._use_cases.keyring.contacts[ben.peer.person].state
        assert (state.newest, state.contested, state.rivals) == (own, False, frozenset())


@in_virtual_time
async def test_case_84_of_two_recoveries_that_come_together_the_compared_number_settles_which(
    tmp_path: Path,
) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "before")
        contact = await ada.contact(ben)
        held = ada.wait(ContactChanged, lambda event: event.contact.held)
        await send_log(ben, await own_recoveries(ben, 2))
        await held
        state = ada.engine._use_cases.keyring.contacts[bytes.fromhex(contact)].state
        assert (state.recoveries, state.contested, len(state.rivals)) == (0, True, 2)
        own = ada.engine._use_cases.keyring.own_log
        with pytest.raises(BadData):
            await ada.engine.verify(contact, safety_number(own, state))  # of the log before both
        assert (await ada.engine.contacts())[0].held
        chosen = (await ada.engine.verification(contact)).numbers[1]
        await ada.engine.verify(contact, chosen)
        state = ada.engine._use_cases.keyring.contacts[bytes.fromhex(contact)].state
        assert (state.recoveries, state.contested) == (1, False)
        assert (await ada.engine.verification(contact)).numbers == (chosen,)
        assert [(one.verified, one.held) for one in await ada.engine.contacts()] == [(True, False)]


@in_virtual_time
async def test_case_92_a_copy_of_a_terminal_is_shown_and_holds_no_sending(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "before")
        own, other = ben.engine._use_cases.keyring.own, Terminal.named("the other one")
        log = reduce(await ben.engine._use_cases.store.read(persons.operations_of, own.person))
        add = sign_operation(
            add_operation(log, own.terminal, other.signing, other.static, "laptop"),
            own.signing_seed,
            other.seed,
        )
        await send_log(ben, [add])
        operations = [*await ben.engine._use_cases.store.read(persons.operations_of, own.person), add]
        state = reduce(operations)
        fork = [sign_operation(rename_operation(state, other.id, name), other.seed) for name in ("a", "b")]
        of_both = [
            fork,
            [sign_operation(rename_operation(state, own.terminal, name), own.signing_seed) for name in "cd"],
        ]
        for number, copied in enumerate(of_both):
            shown = ada.wait(IdentityChanged, lambda event: "may have been copied" in event.cause)
            await send_log(ben, copied)
            await shown
            (contact,) = await ada.engine.contacts()
            assert not contact.held
            await talk(ada, ben, f"after {number}")


@in_virtual_time(limit=600)
async def test_a_terminal_that_brings_its_own_removal_loses_its_link(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        changed, gone = ada.wait(IdentityChanged), presence(ada, present=False)
        await current(ben, ada).driver.send(LogOperations(await recovered(ben, STRANGE)))
        await changed
        await gone
        assert not ada.engine._use_cases.links.all()


@in_virtual_time
async def test_an_operation_that_is_checked_while_a_pairing_stores_another_overwrites_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ben's second terminal signs a name. His first one removes it, and shows that to Ada in a Record."""
    async with in_touch(tmp_path) as (_, ada, ben):
        second = await Second.added(ben, ada)
        await take_in(ben, second.log[-1], confirmed=True)
        parts, own, log = ada.engine._use_cases, ben.engine._use_cases.keyring.own, reduce(second.log)
        checked, stored = kept_back(monkeypatch, ada, extend)
        name = sign_operation(rename_operation(log, SECOND.id, "Benny"), SECOND.seed)
        await current(ben, ada).driver.send(LogOperations([name]))
        await checked.wait()
        signed = removal(second.log, own.terminal, own.signing_seed, SECOND.id)
        await take_in(ben, signed, confirmed=True)
        await invite(ada, ben)
        stored.set()
        await talk(ben, ada, "after")
        async with parts.sync._logs._turns.turn(b"", "", lambda: True, outlives=True):
            assert stored.is_set()  # what was received is stored, or was refused
        assert SECOND.id not in parts.keyring.log(ben.peer.person).live
        former = await parts.store.read(persons.former_terminals, ben.peer.person)
        assert former == [SECOND.id]
        assert [view.name for view in await ada.engine.contacts()] == ["Ben"]


async def keep_own(person: Person, operations: Sequence[bytes]) -> None:
    """The person's own terminal knows these operations, after a restart."""
    own = person.peer.person

    def store(database: Database) -> None:
        for signed in operations:
            persons.add_operation(database, own, id_of(signed), signed)

    await person.engine._use_cases.store.write(store)
    await person.stop()
    await person.start()


@in_virtual_time
async def test_case_84_words_confirm_no_recovery_that_the_other_side_does_not_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thief of the seed adds a terminal and removes none. Ben, unaware of it, compares words with Ada."""
    async with in_touch(tmp_path) as (_, ada, ben):
        stolen, own = await own_recoveries(ben, 2)
        monkeypatch.setattr(ben.engine._use_cases.own_log, "received", mock.AsyncMock())
        held = ada.wait(ContactChanged, lambda event: event.contact.held)
        await send_log(ben, [stolen])
        await held
        await ben.engine.set_visible(True)
        back = presence(ada, present=True)
        await compare(ada, ben, ada.engine.pair_address(ben.host, 4747))
        await back
        (contact,) = await ada.engine.contacts()
        assert (contact.held, contact.verified) == (True, False)
        # So Ben's own recovery is not passed over, and his words confirm it.
        await keep_own(ben, [own])
        await ben.engine.confirm_own(id_of(own).hex())
        await ben.engine.set_visible(True)
        await compare(ada, ben, ada.engine.pair_address(ben.host, 4747))
        (contact,) = await ada.engine.contacts()
        assert (contact.held, contact.verified) == (False, True)
        state = ada.engine._use_cases.keyring.contacts[ben.peer.person].state
        assert (state.newest, state.rivals, state.contested) == (
            id_of(own),
            frozenset([id_of(stolen)]),
            False,
        )


@pytest.mark.parametrize("words", [False, True])
@in_virtual_time
async def test_attack_15_a_recovered_identity_holds_sending_until_it_is_confirmed(
    tmp_path: Path, words: bool
) -> None:
    """By the mark, or by words that are compared again."""
    async with in_touch(tmp_path) as (_, ada, ben):
        assert (await ada.engine.contacts())[0].verified
        changed, held = ada.wait(IdentityChanged), ada.wait(ContactChanged, lambda event: event.contact.held)
        operations = await recovered(ben)
        await current(ben, ada).driver.send(LogOperations(operations))
        assert "recovery key" in (await changed).cause
        assert not (await held).contact.verified
        await keep_own(ben, operations)
        await say(ada, ben, "must wait")
        await asyncio.sleep(120)
        assert (await ada.history(ben))[-1].state is EntryState.QUEUED
        done = delivered(ada, 1)
        if words:
            await ben.engine.confirm_own(id_of(operations[-1]).hex())
            await ben.engine.set_visible(True)
            await compare(ada, ben, ada.engine.pair_address(ben.host, 4747))
        else:
            await ada.engine.verify(await ada.contact(ben), await number_of(ada, ben))
        await asyncio.wait_for(done, 5)
