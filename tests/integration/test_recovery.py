"""The recovery seed: written down as words, erased, and used."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from chat.interface import (
    ContactChanged,
    IdentityChanged,
    NotPermitted,
    NotSynced,
    QuestionsChanged,
    UsageError,
)
from chat.service.person_logs import seed_of
from chat.storage import keys, persons, secure_deletion
from protocol.identity.author import add_operation, recover_operation, recovery_key, recovery_words
from protocol.identity.log import sign_operation
from protocol.primitives import ed25519_from_seed
from tests.integration.steps import in_touch, number_of
from tests.support.engines.engines import Person, in_virtual_time, people, take_in, talk
from tests.support.protocol.pairings import SECOND, id_of


async def seed_in(person: Person) -> bytes | None:
    """The recovery seed in the profile."""
    return (await person.engine._use_cases.store.read(keys.read_own)).recovery_seed


async def written_down(person: Person) -> tuple[str, ...]:
    """The words, after the person has typed those that were asked for."""
    view = await person.engine.recovery_words()
    await person.engine.confirm_recovery(tuple(view.words[place] for place in view.asked))
    return view.words


@in_virtual_time
async def test_the_words_are_erased_once_they_were_typed_back(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada") as (_, (ada,)):
        seed = await seed_in(ada)
        assert seed is not None
        assert (await ada.engine.me()).keeps_seed
        assert await written_down(ada) == recovery_words(seed)
        assert not (await ada.engine.me()).keeps_seed
        assert await seed_in(ada) is None
        assert not await ada.engine._use_cases.store.read(secure_deletion.cleaning_is_due)
        for call in (ada.engine.recovery_words(), ada.engine.confirm_recovery(("acorn",))):
            with pytest.raises(NotPermitted):
                await call
        await ada.stop()
        await ada.start()
        assert not (await ada.engine.me()).keeps_seed


@in_virtual_time
async def test_a_wrong_word_is_named_and_nothing_is_erased(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada") as (_, (ada,)):
        with pytest.raises(UsageError):
            await ada.engine.confirm_recovery(())
        view = await ada.engine.recovery_words()
        assert view.asked == (await ada.engine.recovery_words()).asked  # as another client sees it
        typed = [view.words[place] for place in view.asked]
        wrong = next(word for word in view.words if word != typed[2])
        with pytest.raises(UsageError, match=f"Word {view.asked[2] + 1} "):
            await ada.engine.confirm_recovery((*typed[:2], wrong, typed[3]))
        with pytest.raises(UsageError):  # a guess costs another question
            await ada.engine.confirm_recovery(tuple(typed))
        assert await seed_in(ada) is not None
        assert (await ada.engine.recovery_words()).asked != view.asked


@in_virtual_time
async def test_no_secret_of_the_recovery_is_in_memory_or_prints(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada") as (_, (ada,)):
        assert ada.engine._use_cases.keyring.own.recovery_seed is None
        view = await ada.engine.recovery_words()
        assert not any(word in repr(view) for word in view.words)


@pytest.mark.parametrize("twice", [False, True])
@in_virtual_time
async def test_case_84_the_words_remove_a_thief_and_contacts_hold(tmp_path: Path, twice: bool) -> None:
    """The thief of the profile has added a terminal. The same words work again, and no secret is stored."""
    async with in_touch(tmp_path) as (_, ada, ben):
        parts, words = ada.engine._use_cases, await written_down(ada)
        own, log = parts.keyring.own, parts.keyring.own_log
        add = add_operation(log, own.terminal, SECOND.signing, SECOND.static)
        await parts.own_log.received(ben.peer, [sign_operation(add, own.signing_seed, SECOND.seed)])
        for number in range(1 + twice):
            removed = (SECOND.id.hex(),) if number == 0 else ()
            shown = ben.wait(IdentityChanged, lambda event: "recovery key" in event.cause)
            held = ben.wait(ContactChanged, lambda event: event.contact.held)
            await ada.engine.recover(tuple(word.upper() for word in words), removed, False)
            await shown
            assert not (await held).contact.verified
            state = ben.engine._use_cases.keyring.log(ada.peer.person)
            assert (state.recoveries, [*state.live], [*state.removed]) == (
                number + 1,
                [own.terminal],
                [SECOND.id],
            )
            await ben.engine.verify(await ben.contact(ada), await number_of(ada, ben))
        assert await seed_in(ada) is None
        pins = await parts.store.read(persons.pins_of, own.person)
        assert pins.confirmed == {*parts.keyring.own_log.path}  # so that a rival changes nothing


@in_virtual_time
async def test_case_84_a_terminal_never_asks_about_its_own_recovery(tmp_path: Path) -> None:
    """The number and the questions are there at once."""
    async with in_touch(tmp_path) as (_, ada, ben):
        await ada.engine.recover(await written_down(ada), (), False)
        assert await ada.engine.questions() == ()
        assert await number_of(ada, ben)
        await talk(ben, ada, "after it")
        assert not [event for event in ada.seen if isinstance(event, QuestionsChanged)]


@pytest.mark.parametrize("confirmed", [False, True])
@in_virtual_time
async def test_case_84_the_words_work_though_a_thief_named_another_next_key(
    tmp_path: Path, confirmed: bool
) -> None:
    """Also where Ada has taken the thief's recovery for her own, and its id comes first."""
    async with in_touch(tmp_path) as (_, ada, _ben):
        words, seed = (await ada.engine.recovery_words()).words, await seed_in(ada)
        assert seed is not None
        new, thefts = SECOND, list[bytes]()
        made = recover_operation(ada.engine._use_cases.keyring.own_log, seed, [], new.signing, new.static)
        for key in (bytes([number]) * 32 for number in range(64)):
            theft = replace(made, recovery=ed25519_from_seed(key))
            thefts.append(sign_operation(theft, recovery_key(seed, 0), key, new.seed))
        await take_in(ada, min(thefts, key=id_of))
        (question,) = await ada.engine.questions()
        if confirmed:
            await ada.engine.confirm_own(question.operation)
        await ada.engine.recover(words, (new.id.hex(),), True)
        assert await ada.engine.questions() == ()
        log = ada.engine._use_cases.keyring.own_log
        assert (log.recoveries, [*log.live]) == (1, [ada.engine._use_cases.keyring.own.terminal])
        await ada.stop()
        await ada.start()
        assert await ada.engine.questions() == ()
        assert ada.engine._use_cases.keyring.own_log.path == log.path


@in_virtual_time
async def test_wrong_words_and_devices_are_refused_before_anything_is_signed(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        words = (await ada.engine.recovery_words()).words
        others = (await ben.engine.recovery_words()).words
        own = ada.engine._use_cases.keyring.own.terminal.hex()
        before = ada.engine._use_cases.keyring.own_log.heads
        cases: list[tuple[tuple[str, ...], tuple[str, ...], str]] = [
            (words[:-1], (), "33 words instead of 34"),
            ((*words[:4], "nonsense", *words[5:]), (), "Word 5 "),
            ((words[1], words[0], *words[2:]), (), "do not fit together"),
            (others, (), "not the recovery words of this identity"),
            (words, (own,), "cannot remove itself"),
            (words, ("00" * 32,), "No such device"),
            (words, ("nonsense",), "No such device"),
        ]
        for typed, removed, said in cases:
            with pytest.raises(UsageError, match=said):
                await ada.engine.recover(typed, removed, True)
        assert ada.engine._use_cases.keyring.own_log.heads == before
        assert recovery_words(seed_of(words)) == words


@in_virtual_time
async def test_case_92_a_recovery_too_waits_for_a_contact(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (network, ada, ben):
        words = (await ada.engine.recovery_words()).words
        await ada.stop()
        network.part(ada.host, ben.host)
        await ada.start()
        with pytest.raises(NotSynced):
            await ada.engine.recover(words, (), False)
        network.join(ada.host, ben.host)
        await talk(ada, ben, "in touch")
        shown = ben.wait(IdentityChanged, lambda event: "recovery key" in event.cause)
        await ada.engine.recover(words, (), False)
        await shown
