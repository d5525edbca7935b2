"""What a removal or a recovery would do, which its person sees before it is signed (SPEC §7.2)."""

from __future__ import annotations

from pathlib import Path

import pytest

from chat.interface import NotPermitted, RemovalView, UsageError
from protocol.identity.author import add_operation, recover_operation, rename_operation, sign_recovery
from protocol.identity.log import TerminalKeys, load, sign_operation
from protocol.identity.reduction import PersonState, Reduction
from tests.integration.steps import seed_in
from tests.support.engines.engines import Person, in_virtual_time, own_log, people, recover, take_in
from tests.support.protocol.pairings import SECOND, THIRD, Terminal

FOURTH = Terminal.named("a fourth one")


def state_of(person: Person) -> PersonState:
    return person.engine._use_cases.keyring.own_log


async def added(person: Person, new: Terminal, by: Terminal | None, name: str, *, confirmed: bool) -> None:
    """A device of a person adds another one; the first one by none."""
    own = person.engine._use_cases.keyring.own
    author, seed = (by.id, by.seed) if by is not None else (own.terminal, own.signing_seed)
    made = add_operation(state_of(person), author, new.signing, new.static, name)
    await take_in(person, sign_operation(made, seed, new.seed), confirmed=confirmed)


def said(view: RemovalView) -> set[tuple[str, bool, bool]]:
    return {(one.name, one.confirmed, one.stays) for one in view.added}


async def stolen(person: Person, *, yes: bool) -> None:
    """A phone whose thief has added a tablet, and that one a laptop, under another name of the person.

    `yes`: its person said that the tablet was no thief.
    """
    await added(person, SECOND, None, "phone", confirmed=True)
    await added(person, THIRD, SECOND, "tablet", confirmed=yes)
    await added(person, FOURTH, THIRD, "laptop", confirmed=False)
    await take_in(person, sign_operation(rename_operation(state_of(person), SECOND.id, "Adele"), SECOND.seed))


@pytest.mark.parametrize("yes", [False, True])
@pytest.mark.parametrize("by_words", [False, True])
@in_virtual_time
async def test_what_is_foreseen_is_what_happens(tmp_path: Path, by_words: bool, yes: bool) -> None:
    async with people(tmp_path, "Ada") as (_, (ada,)):
        words = (await ada.engine.recovery_words()).words
        await stolen(ada, yes=yes)
        before, phone = await own_log(ada), SECOND.id.hex()
        if by_words:
            view = await ada.engine.foresee_recovery(words, (phone,))
        else:
            view = await ada.engine.foresee_removal(phone)
        assert await own_log(ada) == before, "nothing is signed"
        assert said(view) == {("tablet", yes, yes), ("laptop", False, yes)}
        assert {one.terminal: one.added_by for one in view.added} == {
            THIRD.id.hex(): SECOND.id.hex(),
            FOURTH.id.hex(): THIRD.id.hex(),
        }
        assert view.name == "Adele"
        if by_words:
            await recover(ada, words, (phone,))
        else:
            await ada.engine.remove_terminal(phone)
        own = ada.engine._use_cases.keyring.own.terminal.hex()
        kept = {one.terminal for one in view.added if one.stays}
        assert {one.hex() for one in state_of(ada).live} == {own, *kept}
        assert state_of(ada).name == "Adele"


@in_virtual_time
async def test_a_device_that_stays_and_what_it_added_needs_no_word(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada") as (_, (ada,)):
        await added(ada, SECOND, None, "phone", confirmed=True)
        await added(ada, THIRD, None, "tablet", confirmed=True)
        await added(ada, FOURTH, THIRD, "laptop", confirmed=False)
        assert await ada.engine.foresee_removal(SECOND.id.hex()) == RemovalView(())


@in_virtual_time
async def test_a_device_that_a_copy_added_falls_with_the_copied_keys(tmp_path: Path) -> None:
    """One act ends a thief: what the own keys added elsewhere stays only where its person said yes here."""
    async with people(tmp_path, "Ada") as (_, (ada,)):
        words = (await ada.engine.recovery_words()).words
        await added(ada, SECOND, None, "phone", confirmed=True)
        await added(ada, THIRD, None, "by a copy", confirmed=False)
        view = await ada.engine.foresee_recovery(words, ())
        assert said(view) == {("phone", True, True), ("by a copy", False, False)}
        await recover(ada, words, ())
        own = ada.engine._use_cases.keyring.own.terminal
        assert {*state_of(ada).live} == {own, SECOND.id}


@in_virtual_time
async def test_what_a_recovery_brought_in_that_was_not_the_own_falls_with_it(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada") as (_, (ada,)):
        words, seed = (await ada.engine.recovery_words()).words, await seed_in(ada)
        keys = TerminalKeys(THIRD.signing, THIRD.static)
        theft = recover_operation(Reduction(load(await own_log(ada))), seed, bytes([1]) * 32, {}, keys)
        await take_in(ada, sign_recovery(theft, seed, THIRD.seed))
        (asked,) = await ada.engine.questions()
        await ada.engine.confirm_own(asked.operation)
        view = await ada.engine.foresee_recovery(words, (), not_mine=True)
        assert [(one.terminal, one.added_by, one.stays) for one in view.added] == [
            (THIRD.id.hex(), "", False)
        ]


@in_virtual_time
async def test_when_a_device_came_is_known_of_what_this_one_learned(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada") as (_, (ada,)):
        await added(ada, SECOND, None, "phone", confirmed=True)
        made = add_operation(state_of(ada), SECOND.id, THIRD.signing, THIRD.static, "tablet")
        now = ada.clock.wall()
        await ada.engine._use_cases.own_log.received([sign_operation(made, SECOND.seed, THIRD.seed)])
        (view,) = (await ada.engine.foresee_removal(SECOND.id.hex())).added
        assert view.since is not None
        assert int(view.since.timestamp() * 1_000) == now
        await ada.stop()
        await ada.start()
        assert (await ada.engine.foresee_removal(SECOND.id.hex())).added == (view,)


@in_virtual_time
async def test_what_cannot_be_removed_is_refused_as_the_removal_would_be(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada") as (_, (ada,)):
        own, words = (await ada.engine.me()).terminal, (await ada.engine.recovery_words()).words
        with pytest.raises(NotPermitted, match="only device"):
            await ada.engine.foresee_removal(own)
        for terminal in ("00" * 32, "nonsense"):
            with pytest.raises(UsageError, match="No such device"):
                await ada.engine.foresee_removal(terminal)
            with pytest.raises(UsageError, match="No such device"):
                await ada.engine.foresee_recovery(words, (terminal,))
        with pytest.raises(UsageError, match="33 words"):
            await ada.engine.foresee_recovery(words[1:], ())
