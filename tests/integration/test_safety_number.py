"""Safety numbers of engines: a thief of a profile, what ends *held*, and changes of the own log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from chat.interface import (
    BadData,
    EntryState,
    IdentityChanged,
    OwnChange,
    PairingChanged,
    PairingStage,
    QuestionsChanged,
    Unconfirmed,
    UsageError,
)
from chat.service.person_logs import _store as store_operations
from chat.storage import persons
from protocol.identity.author import (
    add_operation,
    recover_operation,
    rename_operation,
    sign_recovery,
)
from protocol.identity.exchange import extend
from protocol.identity.log import load, sign_operation
from protocol.identity.reduction import Reduction, reduce
from protocol.identity.safety import branches
from protocol.messages import LogOperations
from protocol.pairing.pairing import Pairing
from protocol.pairing.record import Identity
from tests.integration.steps import compare, current, in_touch, kept_back, number_of, say, seed_in
from tests.support.engines.engines import (
    Person,
    delivered,
    in_virtual_time,
    invite,
    own_log,
    pair,
    people,
    take_in,
    talk,
)
from tests.support.protocol.pairings import Terminal, id_of, recovery

THIEF = Terminal.named("terminal of a thief")
NEW = Terminal.named("the owner's new terminal")


async def added(person: Person, new: Terminal = THIEF) -> bytes:
    """An Add by the person's terminal, signed by a holder of its keys."""
    own = person.engine._use_cases.keyring.own
    operation = add_operation(reduce(await own_log(person)), own.terminal, new.signing, new.static, "laptop")
    return sign_operation(operation, own.signing_seed, new.seed)


async def recovered(person: Person, new: Terminal | None = THIEF) -> bytes:
    """A Recover after the genesis by a holder of the recovery seed."""
    return recovery(await own_log(person), await seed_in(person), new=new)


async def show(person: Person, other: Person, *operations: bytes) -> None:
    """The other one's engine gets operations of the person's log."""
    changed = other.wait(IdentityChanged)
    await current(person, other).driver.send(LogOperations(list(operations)))
    await asyncio.wait_for(changed, 5)


@pytest.mark.parametrize("sign", [added, recovered])
@in_virtual_time
async def test_case_84_the_thief_of_a_profile_cannot_be_confirmed_by_comparing_with_the_owner(
    tmp_path: Path, sign: type
) -> None:
    """The thief brings in a terminal. Ada compares with the real Ben: the numbers differ."""
    async with in_touch(tmp_path) as (_, ada, ben):
        before = await number_of(ada, ben)
        assert before == await number_of(ben, ada)
        await show(ben, ada, await sign(ben))
        assert await number_of(ada, ben) != await number_of(ben, ada)
        contact = await ada.contact(ben)
        await ada.engine.unverify(contact)
        with pytest.raises(BadData):
            await ada.engine.verify(contact, await number_of(ben, ada))
        (view,) = await ada.engine.contacts()
        assert (view.verified, view.held) == (False, sign is recovered)
        if view.held:
            await say(ada, ben, "for Ben's eyes only")
            await asyncio.sleep(60)
            assert (await ada.history(ben))[-1].state is EntryState.QUEUED


@in_virtual_time
async def test_case_84_the_owner_is_asked_and_shows_no_number_for_what_the_thief_signed(
    tmp_path: Path,
) -> None:
    """Once Ben's terminal holds the thief's Add, both numbers would be equal."""
    async with in_touch(tmp_path) as (_, ada, ben):
        theft = await added(ben)
        await show(ben, ada, theft)
        await take_in(ben, theft)
        (question,) = await ben.engine.questions()
        own = ben.engine._use_cases.keyring.own.terminal
        assert (question.operation, question.change) == (id_of(theft).hex(), OwnChange.ADDED)
        assert (question.terminal, question.author) == (THIEF.id.hex(), own.hex())
        contact = await ben.contact(ada)
        with pytest.raises(Unconfirmed, match="verify --own"):
            await ben.engine.verification(contact)
        with pytest.raises(Unconfirmed):
            await ben.engine.verify(contact, await number_of(ada, ben))
        # It is asked again after a start, until there is an answer.
        await ben.stop()
        await ben.start()
        assert await ben.engine.questions() == (question,)
        with pytest.raises(UsageError):
            await ben.engine.confirm_own("ab" * 32)
        answered = ben.wait(QuestionsChanged)
        await ben.engine.confirm_own(question.operation)
        assert (await answered).questions == ()
        assert await number_of(ada, ben) == await number_of(ben, ada)
        await ben.stop()
        await ben.start()
        assert await ben.engine.questions() == ()


@in_virtual_time
async def test_case_84_no_record_leaves_while_the_own_log_has_a_question(tmp_path: Path) -> None:
    """Neither as the one who begins nor as the one who answers, by words and by invitation."""
    async with people(tmp_path, "Ada", "Ben") as (network, (ada, ben)):
        text = (await ada.engine.invite()).text
        own = (await ben.engine.invite()).text
        await ben.engine.set_visible(True)
        await take_in(ben, await added(ben))
        network.seen.clear()
        for refused in (
            ben.engine.join(text),
            ben.engine.pair_address(ada.host, 4747),
            ben.engine.pair_nearby("somebody"),
            ben.engine.invite(),
            ben.engine.set_visible(True),
        ):
            with pytest.raises(Unconfirmed, match="verify --own"):
                await refused
        assert not [data for here, _, data in network.seen if here == ben.host]
        await ada.engine.set_visible(True)
        for refused in (ada.engine.join(own), ada.engine.pair_address(ben.host, 4747)):
            with pytest.raises(Exception, match="does not accept"):
                await refused
        (question,) = await ben.engine.questions()
        await ben.engine.confirm_own(question.operation)
        await pair(ada, ben)


@in_virtual_time
async def test_case_84_no_record_of_a_joiner_leaves_whose_log_changed_since_it_dialled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An Add that Ben did not make comes while the link opens. He joins with the same invitation after it."""
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        parts = ben.engine._use_cases
        run, add = parts.runtime.worker.run, await added(ben)

        async def slowly(work: Any, *arguments: Any, **named: Any) -> Any:
            result = await run(work, *arguments, **named)
            if work == Pairing.joiner:
                await take_in(ben, add)
            return result

        text, ended = (await ada.engine.invite()).text, ben.stage(PairingStage.FAILED)
        with monkeypatch.context() as patch:
            patch.setattr(parts.runtime.worker, "run", slowly)
            await ben.engine.join(text)
            assert "Say first whether that was you" in str((await ended).pairing.problem)
        await asyncio.sleep(5)
        stages = [event.pairing.stage for event in ada.seen if isinstance(event, PairingChanged)]
        assert PairingStage.JOINER not in stages
        await ben.engine.confirm_own(id_of(add).hex())
        joined = ada.stage(PairingStage.JOINER)
        await ben.engine.join(text)
        await joined


@in_virtual_time
async def test_a_pairing_that_waits_for_its_person_waits_on_while_there_is_a_question(tmp_path: Path) -> None:
    """The words were shown already when the own log changed."""
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        await ben.engine.set_visible(True)
        shown = ben.stage(PairingStage.WORDS)
        begun = await ada.engine.pair_address(ben.host, 4747)
        waiting = (await asyncio.wait_for(shown, 5)).pairing
        await take_in(ben, await added(ben))
        with pytest.raises(Unconfirmed):
            await ben.engine.answer_pairing(waiting.id, True)
        (question,) = await ben.engine.questions()
        await ben.engine.confirm_own(question.operation)
        paired = ada.stage(PairingStage.DONE)
        await ada.engine.answer_pairing(begun.id, True)
        await ben.engine.answer_pairing(waiting.id, True)
        await asyncio.wait_for(paired, 5)


@in_virtual_time
async def test_case_84_the_owners_recovery_is_confirmed_by_number_though_the_thiefs_came_first(
    tmp_path: Path,
) -> None:
    """Ada has the thief's recovery in force, and compares with the owner, who has confirmed the own one."""
    async with in_touch(tmp_path) as (_, ada, ben):
        theft, honest = await recovered(ben), await recovered(ben, NEW)
        await show(ben, ada, theft)
        await show(ben, ada, honest)
        await take_in(ben, honest, confirmed=True)
        await take_in(ben, theft)
        assert await ben.engine.questions() == ()
        contact = await ada.contact(ben)
        numbers = (await ada.engine.verification(contact)).numbers
        said = await number_of(ben, ada)
        assert said == numbers[1]
        assert ada.engine._use_cases.keyring.log(bytes.fromhex(contact)).newest == id_of(theft)
        await ada.engine.verify(contact, "".join(said.split()))
        (view,) = await ada.engine.contacts()
        assert (view.verified, view.held) == (True, False)
        assert ada.engine._use_cases.keyring.log(bytes.fromhex(contact)).newest == id_of(honest)


@in_virtual_time
async def test_case_84_of_two_own_recoveries_the_person_says_which_was_theirs(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        theft, honest = await recovered(ben), await recovered(ben, NEW)
        await take_in(ben, theft)
        await take_in(ben, honest)
        asked = await ben.engine.questions()
        assert {one.operation for one in asked} == {id_of(theft).hex(), id_of(honest).hex()}
        assert {one.change for one in asked} == {OwnChange.RECOVERED}
        await ben.engine.confirm_own(id_of(honest).hex())
        assert await ben.engine.questions() == ()
        assert ben.engine._use_cases.keyring.own_log.newest == id_of(honest)
        await number_of(ben, ada)


@pytest.mark.parametrize("own", [False, True])
@in_virtual_time
async def test_what_can_never_count_again_after_a_confirmation_is_deleted(tmp_path: Path, own: bool) -> None:
    """A terminal signs a name. Of two recoveries the one in force knows no such terminal, the other cuts it.

    Ben says which one was his, or Ada compares the number with him.
    """
    async with in_touch(tmp_path) as (_, ada, ben):
        first, theft = await own_log(ben), await recovered(ben)
        add = await added(ben, NEW)
        state = reduce([*first, add])
        name = sign_operation(rename_operation(state, NEW.id, "Benjamin"), NEW.seed)
        seed = await seed_in(ben)
        honest = recovery([*first, add], seed, {NEW.id: []})
        person = ben if own else ada
        if own:
            await take_in(ben, theft)
            await take_in(ben, add, name, honest)
            await ben.engine.confirm_own(id_of(honest).hex())
        else:
            await show(ben, ada, theft)
            await show(ben, ada, add, name, honest)
            contact = await ada.contact(ben)
            numbers = (await ada.engine.verification(contact)).numbers
            await ada.engine.verify(contact, numbers[1])
        held = await person.engine._use_cases.store.read(persons.operations_of, ben.peer.person)
        assert set(held) == {*first, theft, add, honest}
        if not own:
            assert set(ada.engine._use_cases.keyring.held(ben.peer.person)) == set(held)


@in_virtual_time
async def test_a_terminal_that_was_removed_shows_no_number_and_does_not_pair(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        own = ben.engine._use_cases.keyring.own
        signed = recovery(await own_log(ben), await seed_in(ben), {own.terminal: []}, NEW)
        await take_in(ben, signed, confirmed=True)
        with pytest.raises(Unconfirmed, match="was removed"):
            await number_of(ben, ada)
        with pytest.raises(Unconfirmed, match="was removed"):
            await ben.engine.invite()


@in_virtual_time
async def test_case_84_a_rival_of_a_confirmed_recovery_holds_nothing(tmp_path: Path) -> None:
    """The thief's comes after the owner's, which the number has confirmed."""
    async with in_touch(tmp_path) as (_, ada, ben):
        theft, honest, contact = await recovered(ben), await recovered(ben, NEW), await ada.contact(ben)
        await show(ben, ada, honest)
        await ada.engine.verify(contact, await number_of(ada, ben))
        held = len(ada.engine._use_cases.keyring.held(ben.peer.person))
        await current(ben, ada).driver.send(LogOperations([theft]))
        await talk(ada, ben, "goes out")
        assert len(ada.engine._use_cases.keyring.held(ben.peer.person)) == held + 1
        (view,) = await ada.engine.contacts()
        assert (view.verified, view.held) == (True, False)


@in_virtual_time
async def test_what_has_changed_since_a_comparison_is_shown_with_its_signed_cause(tmp_path: Path) -> None:
    """*Verified* stays across a signed add, and a recovery drops it."""
    async with in_touch(tmp_path) as (_, ada, ben):
        contact = await ada.contact(ben)
        paired = await ada.engine.verification(contact)
        assert paired.compared is not None
        assert (paired.by_words, paired.changes) == (True, ())
        own = ben.engine._use_cases.keyring.own
        add = await added(ben, NEW)
        await show(ben, ada, add)
        (view,) = await ada.engine.contacts()
        assert (view.verified, view.held) == (True, False)
        after = await ada.engine.verification(contact)
        assert (after.compared, after.by_words) == (paired.compared, True)
        (change,) = after.changes
        assert change.cause == 'added the device "laptop"'
        assert (change.operation, change.terminal) == (id_of(add).hex(), NEW.id.hex())
        assert change.author == own.terminal.hex()
        signed = recovery([*await own_log(ben), add], await seed_in(ben), {NEW.id: []})
        await show(ben, ada, signed)
        found = await ada.engine.verification(contact)
        assert ["recovery key" in one.cause for one in found.changes] == [True]  # the device came and went
        assert (found.changes[0].operation, found.changes[0].author) == (id_of(signed).hex(), "")
        await asyncio.sleep(10)
        await ada.engine.verify(contact, found.numbers[0])
        now = await ada.engine.verification(contact)
        assert now.compared is not None
        assert now.compared > paired.compared
        assert (now.by_words, now.changes) == (False, ())
        await ada.stop()
        await ada.start()
        assert await ada.engine.verification(contact) == now


@in_virtual_time
async def test_a_terminal_that_is_gone_since_the_comparison_is_shown(tmp_path: Path) -> None:
    """The contact removed it, or a fork froze it."""
    async with in_touch(tmp_path) as (_, ada, ben):
        contact = await ada.contact(ben)
        add = await added(ben, NEW)
        await show(ben, ada, add)
        await ada.engine.verify(contact, (await ada.engine.verification(contact)).numbers[0])
        await show(ben, ada, recovery([*await own_log(ben), add], await seed_in(ben), {NEW.id: []}))
        changes = (await ada.engine.verification(contact)).changes
        assert [(one.terminal, one.cause) for one in changes if one.terminal] == [
            (NEW.id.hex(), 'removed the device "laptop"')
        ]


@in_virtual_time
async def test_neither_a_lost_verification_nor_another_number_ends_held(tmp_path: Path) -> None:
    """Only the number of now does, or words."""
    async with in_touch(tmp_path) as (_, ada, ben):
        contact = await ada.contact(ben)
        before = await number_of(ada, ben)
        await show(ben, ada, await recovered(ben))
        await say(ada, ben, "must wait")
        await ada.engine.unverify(contact)
        with pytest.raises(BadData):
            await ada.engine.verify(contact, before)  # it was shown before the recovery came
        (view,) = await ada.engine.contacts()
        assert (view.verified, view.held) == (False, True)
        await asyncio.sleep(60)
        assert (await ada.history(ben))[-1].state is EntryState.QUEUED
        done = delivered(ada, 1)
        await ada.engine.verify(contact, await number_of(ada, ben))
        await asyncio.wait_for(done, 5)


@in_virtual_time
async def test_case_84_what_the_losing_recovery_kept_gets_nothing_once_the_other_was_confirmed(
    tmp_path: Path,
) -> None:
    """The thief has the seed and Ben's terminal, which is linked. The owner's recovery comes second.

    Ada compares with the owner: the thief's link ends before anything that was held is sent.
    """
    async with in_touch(tmp_path) as (_, ada, ben):
        seed, stolen = await seed_in(ben), ben.engine._use_cases.keyring.own.terminal
        await show(ben, ada, await recovered(ben))
        await show(ben, ada, recovery(await own_log(ben), seed, {stolen: []}, NEW))
        await say(ada, ben, "for the owner only")
        parts, contact = ada.engine._use_cases, await ada.contact(ben)
        numbers = (await ada.engine.verification(contact)).numbers
        await ada.engine.verify(contact, numbers[1])
        assert [*parts.keyring.log(ben.peer.person).live] == [NEW.id]
        await asyncio.sleep(60)
        assert parts.links.current(ben.peer) is None
        assert [entry.text for entry in await ben.history(ada)] == ["before"]
        former = await parts.store.read(persons.former_terminals, ben.peer.person)
        assert set(former) == {stolen, THIEF.id}


@in_virtual_time
async def test_case_84_a_number_of_a_log_that_changes_while_it_is_compared_confirms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ada types the number of Ben's recovery. A thief adds a terminal, which counts with it, too."""
    async with in_touch(tmp_path) as (_, ada, ben):
        theft, honest = await recovered(ben, None), await recovered(ben, NEW)
        await show(ben, ada, theft)
        await show(ben, ada, honest)
        contact, add = await ada.contact(ben), await added(ben)
        typed = (await ada.engine.verification(contact)).numbers[1]
        found, go_on = kept_back(monkeypatch, ada, branches)
        compared = asyncio.ensure_future(ada.engine.verify(contact, typed))
        await found.wait()
        await show(ben, ada, add)
        go_on.set()
        with pytest.raises(BadData):
            await compared
        (view,) = await ada.engine.contacts()
        assert (view.verified, view.held) == (False, True)
        await ada.stop()
        await ada.start()
        log = ada.engine._use_cases.keyring.log(ben.peer.person)
        assert (log.newest, log.contested) == (id_of(theft), True)


@in_virtual_time
async def test_case_84_no_number_is_shown_that_was_asked_for_before_a_question_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ada's own log changes while the numbers of a contested contact are computed."""
    async with in_touch(tmp_path) as (_, ada, ben):
        for operation in (await recovered(ben, None), await recovered(ben, NEW)):
            await show(ben, ada, operation)
        found, go_on = kept_back(monkeypatch, ada, branches)
        shown = asyncio.ensure_future(ada.engine.verification(await ada.contact(ben)))
        await found.wait()
        await take_in(ada, await added(ada))
        go_on.set()
        with pytest.raises(Unconfirmed):
            await shown


@in_virtual_time
async def test_case_84_a_number_that_is_compared_while_a_recovery_is_stored_confirms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recovery brings no terminal and removes none. It is on the disk, and not in memory yet."""
    async with in_touch(tmp_path) as (_, ada, ben):
        typed, contact = await number_of(ada, ben), await ada.contact(ben)
        store, changed = ada.engine._use_cases.store, ada.wait(IdentityChanged)
        stored, go_on, write = asyncio.Event(), asyncio.Event(), store.write_once

        async def waits(is_stored: Any, work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
            done = await write(is_stored, work, *arguments, **named)
            if work is store_operations:
                stored.set()
                await go_on.wait()
            return done

        monkeypatch.setattr(store, "write_once", waits)
        await current(ben, ada).driver.send(LogOperations([await recovered(ben, None)]))
        await stored.wait()
        with pytest.raises(BadData):
            await ada.engine.verify(contact, typed)
        go_on.set()
        await changed
        (view,) = await ada.engine.contacts()
        assert (view.verified, view.held) == (False, True)


@in_virtual_time
async def test_case_84_an_answer_that_comes_while_operations_are_added_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A contact returns an Add while Ben says which of two recoveries was his."""
    async with in_touch(tmp_path) as (_, _ada, ben):
        theft, honest, parts = await recovered(ben), await recovered(ben, NEW), ben.engine._use_cases
        await take_in(ben, theft)
        await take_in(ben, honest)
        own = parts.keyring.own
        last = Terminal.named("a terminal that the contact knows")
        add = add_operation(
            reduce([*await own_log(ben)][:2]), own.terminal, last.signing, last.static, "laptop"
        )
        signed = sign_operation(add, own.signing_seed, last.seed)
        reduced, go_on = kept_back(monkeypatch, ben, extend)
        returned = asyncio.ensure_future(parts.own_log.received([signed]))
        await reduced.wait()
        answered = asyncio.ensure_future(ben.engine.confirm_own(id_of(honest).hex()))
        await asyncio.sleep(1)
        go_on.set()
        await asyncio.gather(returned, answered)
        assert parts.keyring.own_log.newest == id_of(honest)
        assert THIEF.id not in parts.keyring.own_log.live
        former = await parts.store.read(persons.former_terminals, own.person)
        assert THIEF.id in former


async def rivals_of(person: Person) -> list[bytes]:
    """Two recoveries that contest each other, by a holder of the seed."""
    seed, now = await seed_in(person), Reduction(load(await own_log(person)))
    thefts = (recover_operation(now, seed, bytes([number]) * 32, {}) for number in (1, 2))
    return sorted(sign_recovery(theft, seed) for theft in thefts)


async def nothing_leaves(person: Person, contested: Person) -> None:
    """The contact is held, since its recoveries contest each other, and gets no entry."""
    assert person.engine._use_cases.keyring.log(contested.peer.person).contested
    (view,) = await person.engine.contacts()
    assert (view.verified, view.held) == (False, True)
    await say(person, contested, "for the right eyes only")
    await asyncio.sleep(60)  # of virtual time, in which nothing may leave
    assert (await person.history(contested))[-1].state is EntryState.QUEUED


@pytest.mark.parametrize("by_words", [True, False])
@in_virtual_time
async def test_case_84_a_first_pairing_whose_record_shows_two_rivals_is_held(
    tmp_path: Path, by_words: bool
) -> None:
    """An honest terminal sends no such record: it asks its person first."""
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        service, rivals = ada.engine._use_cases.pairings, await rivals_of(ada)
        real = service.identity

        async def with_rivals() -> Identity:
            shown = await real()
            return replace(shown, operations=(*shown.operations, *rivals))

        service.identity = with_rivals  # type: ignore[method-assign]
        await (pair(ada, ben) if by_words else invite(ben, ada))
        await nothing_leaves(ben, ada)


@in_virtual_time
async def test_case_84_words_release_nothing_while_two_recoveries_contest_each_other(tmp_path: Path) -> None:
    """A thief of Ada's seed hands Ben two rivals at once. Ada's record has neither."""
    async with in_touch(tmp_path) as (_, ada, ben):
        rivals = await rivals_of(ada)
        await show(ada, ben, *rivals)
        assert ben.engine._use_cases.keyring.log(ada.peer.person).contested
        for person in (ben, ada):
            await person.engine.set_visible(True)
        await compare(ben, ada, ben.engine.pair_address(ada.host, 4747))
        await nothing_leaves(ben, ada)


@in_virtual_time
async def test_a_number_is_read_in_any_digits_and_a_part_of_one_accuses_nobody(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        contact, number = await ben.contact(ada), await number_of(ada, ben)
        for part in ("", number[:29], number + "1"):
            with pytest.raises(UsageError, match="60 digits"):
                await ben.engine.verify(contact, part)
        wide = number.translate({ord("0") + digit: 0xFF10 + digit for digit in range(10)})
        await ben.engine.unverify(contact)
        await ben.engine.verify(contact, wide)
        (view,) = await ben.engine.contacts()
        assert view.verified


@in_virtual_time
async def test_case_84_a_comparison_while_operations_are_added_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ada has the thief's recovery in force. Ben sends a name while she compares with the owner."""
    async with in_touch(tmp_path) as (_, ada, ben):
        theft, honest = await recovered(ben), await recovered(ben, NEW)
        await show(ben, ada, theft)
        await show(ben, ada, honest)
        parts, contact, own = ada.engine._use_cases, await ada.contact(ben), ben.engine._use_cases.keyring.own
        reduced, compared = asyncio.Event(), asyncio.Event()
        run = parts.runtime.worker.run

        async def slowly(work: Any, *arguments: Any, **named: Any) -> Any:
            result = await run(work, *arguments, **named)
            if work is extend and not compared.is_set():
                reduced.set()
                await compared.wait()
            return result

        monkeypatch.setattr(parts.runtime.worker, "run", slowly)
        rename = rename_operation(reduce(await own_log(ben)), own.terminal, "Benjamin")
        changed = ada.wait(IdentityChanged)
        await current(ben, ada).driver.send(LogOperations([sign_operation(rename, own.signing_seed)]))
        await reduced.wait()
        numbers = (await ada.engine.verification(contact)).numbers
        await ada.engine.verify(contact, numbers[1])
        compared.set()
        await asyncio.wait_for(changed, 5)
        (view,) = await ada.engine.contacts()
        assert (view.name, view.verified, view.held) == ("Benjamin", True, False)
        assert NEW.id in parts.keyring.log(ben.peer.person).live
        former = await parts.store.read(persons.former_terminals, ben.peer.person)
        assert former == [THIEF.id]
