"""The recovery seed: written down as words, erased, and used."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest
from msgspec.structs import replace

from chat.interface import (
    ContactChanged,
    EntriesMarked,
    EntryAdded,
    EntryState,
    IdentityChanged,
    NotPermitted,
    PairingStage,
    QuestionsChanged,
    UsageError,
    WordsReplaced,
)
from chat.service.keyring import REMOVED
from chat.service.person_logs import log_intake
from chat.service.recovery import seed_of
from chat.storage import keys, persons, secure_deletion
from protocol.errors import ProtocolError
from protocol.identity.author import (
    add_operation,
    recover_operation,
    recovery_key,
    recovery_words,
    rename_operation,
    sign_recovery,
)
from protocol.identity.log import TerminalKeys, load, parse_operation, sign_operation
from protocol.identity.reduction import Reduction, reduce
from tests.integration.steps import in_touch, meet, number_of, presence, seed_in
from tests.support.engines.engines import (
    Person,
    in_virtual_time,
    own_log,
    people,
    recover,
    take_in,
    talk,
)
from tests.support.engines.terminals import add_terminal
from tests.support.protocol.pairings import SECOND, THIRD, Terminal, id_of, recovery, removal


async def written_down(person: Person) -> tuple[str, ...]:
    """The words, after the person has typed those that were asked for."""
    view = await person.engine.recovery_words()
    await person.engine.confirm_recovery(tuple(view.words[place] for place in view.asked))
    return view.words


@in_virtual_time
async def test_the_words_are_erased_once_they_were_typed_back(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada") as (_, (ada,)):
        seed = await seed_in(ada)
        assert (await ada.engine.me()).keeps_seed
        assert await written_down(ada) == recovery_words(seed)
        assert not (await ada.engine.me()).keeps_seed
        assert (await ada.engine._use_cases.store.read(keys.read_own)).recovery_seed is None
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
        assert await seed_in(ada)
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
        add = add_operation(log, own.terminal, SECOND.signing, SECOND.static, "laptop")
        await parts.own_log.received([sign_operation(add, own.signing_seed, SECOND.seed)])
        for number in range(1 + twice):
            removed = (SECOND.id.hex(),) if number == 0 else ()
            shown = ben.wait(IdentityChanged, lambda event: "recovery key" in event.cause)
            held = ben.wait(ContactChanged, lambda event: event.contact.held)
            typed = tuple(word.upper() for word in words)
            await ada.engine.recover(typed, removed, (), same_words=True)
            await shown
            assert not (await held).contact.verified
            state = ben.engine._use_cases.keyring.log(ada.peer.person)
            assert (state.recoveries, [*state.live]) == (number + 1, [parts.keyring.own.terminal])
            assert {*state.removed} == {SECOND.id, own.terminal}  # the thief has that one's key
            await ben.engine.verify(await ben.contact(ada), await number_of(ada, ben))
        assert (await ada.engine._use_cases.store.read(keys.read_own)).recovery_seed is None
        pins = await parts.store.read(persons.pins_of, own.person)
        assert pins.confirmed == {*parts.keyring.own_log.path}  # so that a rival changes nothing


@in_virtual_time
async def test_a_recovery_leaves_nothing_of_what_a_thief_filled_the_log_with_but_the_name(
    tmp_path: Path,
) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        parts, words = ada.engine._use_cases, await written_down(ada)
        own, log = parts.keyring.own, parts.keyring.own_log
        add = add_operation(log, own.terminal, SECOND.signing, SECOND.static, "laptop")
        made = [sign_operation(add, own.signing_seed, SECOND.seed)]
        for number in range(20):
            state = reduce([*await own_log(ada), *made])
            made.append(sign_operation(rename_operation(state, SECOND.id, f"Ada {number}"), SECOND.seed))
        await parts.own_log.received(made)
        renamed = ben.wait(
            ContactChanged, lambda event: event.contact.held and event.contact.name == "Ada 19"
        )
        await recover(ada, words, (SECOND.id.hex(),))
        await renamed
        _, _, added, _, again, _ = [parse_operation(one) for one in await own_log(ada)]
        assert added.introduces == TerminalKeys(SECOND.signing, SECOND.static)
        assert again.author == parts.keyring.own.terminal != own.terminal
        assert parts.keyring.own_log.name == "Ada 19"
        keyring = ben.engine._use_cases.keyring
        assert len(keyring.held(ada.peer.person)) == 6
        assert keyring.log(ada.peer.person) == parts.keyring.own_log


@in_virtual_time
async def test_case_84_a_terminal_never_asks_about_its_own_recovery(tmp_path: Path) -> None:
    """The number and the questions are there at once."""
    async with in_touch(tmp_path) as (_, ada, ben):
        await recover(ada, await written_down(ada), ())
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
        new, thefts = SECOND, list[bytes]()
        now, keys_of_new = Reduction(load(await own_log(ada))), TerminalKeys(new.signing, new.static)
        for following in (bytes([number]) * 32 for number in range(64)):
            theft = recover_operation(now, seed, following, {}, keys_of_new)
            thefts.append(sign_recovery(theft, seed, new.seed))
        await take_in(ada, min(thefts, key=id_of))
        (question,) = await ada.engine.questions()
        if confirmed:
            await ada.engine.confirm_own(question.operation)
        if confirmed:
            with pytest.raises(WordsReplaced, match="not-mine"):
                await recover(ada, words, (new.id.hex(),))
            assert ada.engine._use_cases.keyring.own_log.newest == bytes.fromhex(question.operation)
        await recover(ada, words, (new.id.hex(),), not_mine=confirmed)
        assert await ada.engine.questions() == ()
        log = ada.engine._use_cases.keyring.own_log
        assert (log.recoveries, [*log.live]) == (1, [ada.engine._use_cases.keyring.own.terminal])
        await ada.stop()
        await ada.start()
        assert await ada.engine.questions() == ()
        assert ada.engine._use_cases.keyring.own_log.path == log.path


async def stands(person: Person) -> tuple[object, ...]:
    """What a recovery changes: the log, what is confirmed of it, this terminal and its stored seed."""
    parts = person.engine._use_cases
    own = await parts.store.read(keys.read_own)
    pins = await parts.store.read(persons.pins_of, own.person)
    return (sorted(await own_log(person)), pins, own, parts.keyring.own, parts.keyring.keeps_seed)


@in_virtual_time
async def test_old_words_open_nothing_and_the_new_ones_do(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada") as (_, (ada,)):
        words = (await ada.engine.recovery_words()).words
        new = await recover(ada, words, ())
        for old in (ada.engine.check_recovery(words), recover(ada, words, ())):
            with pytest.raises(WordsReplaced):
                await old
        assert not (await ada.engine.me()).keeps_seed
        assert (await ada.engine._use_cases.store.read(keys.read_own)).recovery_seed is None
        with pytest.raises(NotPermitted):
            await ada.engine.recovery_words()
        await ada.stop()
        await ada.start()
        with pytest.raises(WordsReplaced):
            await recover(ada, words, ())
        newer = await recover(ada, new, ())
        assert len({words, new, newer}) == 3
        for replaced in (words, new):
            with pytest.raises(WordsReplaced):
                await ada.engine.check_recovery(replaced)
        await ada.engine.check_recovery(newer)
        await ada.engine.recover(newer, (), (), same_words=True)
        await ada.engine.check_recovery(newer)
        assert ada.engine._use_cases.keyring.own_log.recoveries == 3


@in_virtual_time
async def test_who_stops_in_the_middle_has_signed_and_erased_nothing(tmp_path: Path) -> None:
    """The new words are shown, are mistyped, the engine ends: the old words are in force all along."""
    async with people(tmp_path, "Ada") as (_, (ada,)):
        words, before = (await ada.engine.recovery_words()).words, await stands(ada)
        view = await ada.engine.begin_recovery()
        assert view.words != words
        answers = tuple(view.words[place] for place in view.asked)
        wrong = next(word for word in view.words if word != answers[1])
        for typed in ((), answers[:3], (answers[0], wrong, *answers[2:])):
            with pytest.raises(UsageError, match=r"Type the words|is another one"):
                await ada.engine.recover(words, (), typed)
            asked = (await ada.engine.begin_recovery()).asked
            answers = tuple(view.words[place] for place in asked)
            assert await stands(ada) == before
        assert (await ada.engine.begin_recovery()).words == view.words
        await ada.stop()
        await ada.start()
        assert await stands(ada) == before
        with pytest.raises(UsageError, match="Type the words"):
            await ada.engine.recover(words, (), answers)
        assert (await ada.engine.begin_recovery()).words != view.words
        with pytest.raises(UsageError, match="not the recovery words"):
            await ada.engine.check_recovery(view.words)
        assert (await ada.engine.recovery_words()).words == words
        await recover(ada, words, ())


@in_virtual_time
async def test_who_has_leaked_old_words_counts_for_nothing_at_who_confirmed_the_new_ones(
    tmp_path: Path,
) -> None:
    """Proof c3: until the words were replaced, who had them signed the next recovery upon the owner's."""
    async with in_touch(tmp_path) as (_, ada, ben):
        words, leaked = (await ada.engine.recovery_words()).words, await seed_in(ada)
        founding, held = await own_log(ada), ben.wait(ContactChanged, lambda event: event.contact.held)
        await recover(ada, words, ())
        await held
        await ben.engine.verify(await ben.contact(ada), await number_of(ada, ben))
        own, log = ada.engine._use_cases.keyring.own, ada.engine._use_cases.keyring.own_log
        for upon in (await own_log(ada), founding):
            theft = recovery(upon, leaked, {own.terminal: []}, SECOND)
            with suppress(ProtocolError):
                await ben.engine._use_cases.sync._logs.received(ada.peer, [theft], log_intake(0.0))
            state = ben.engine._use_cases.keyring.log(ada.peer.person)
            assert (state.newest, [*state.live], state.contested) == (log.newest, [own.terminal], False)
        await talk(ben, ada, "not held")
        await talk(ada, ben, "answered")


@in_virtual_time
async def test_another_device_shows_no_words_that_a_recovery_has_replaced(tmp_path: Path) -> None:
    """A yes may be a mistake, so it erases nothing: a recovery of somebody else may be meant."""
    async with people(tmp_path, "Ada") as (_, (ada,)):
        words, seed = (await ada.engine.recovery_words()).words, await seed_in(ada)
        made = recover_operation(Reduction(load(await own_log(ada))), seed, bytes([1]) * 32, {})
        await take_in(ada, sign_recovery(made, seed))
        assert (await ada.engine.me()).keeps_seed
        assert (await ada.engine.recovery_words()).words == words
        (question,) = await ada.engine.questions()
        await ada.engine.confirm_own(question.operation)
        assert not (await ada.engine.me()).keeps_seed
        with pytest.raises(NotPermitted, match="has replaced"):
            await ada.engine.recovery_words()
        with pytest.raises(NotPermitted, match="has replaced"):
            await ada.engine.back_up(str(tmp_path / "with the words"), "of the backup", True)
        await recover(ada, words, (), not_mine=True)
        assert ada.engine._use_cases.keyring.own_log.recovery != recovery_key(seed)


@in_virtual_time
async def test_wrong_words_and_devices_are_refused_before_anything_is_signed(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        words = (await ada.engine.recovery_words()).words
        others = (await ben.engine.recovery_words()).words
        before = ada.engine._use_cases.keyring.own_log.heads
        cases: list[tuple[tuple[str, ...], tuple[str, ...], str]] = [
            (words[:-1], (), "33 words instead of 34"),
            ((*words[:4], "nonsense", *words[5:]), (), "Word 5 "),
            ((words[1], words[0], *words[2:]), (), "do not fit together"),
            (others, (), "not the recovery words of this identity"),
            (words, ("00" * 32,), "No such device"),
            (words, ("nonsense",), "No such device"),
        ]
        for typed, removed, said in cases:
            with pytest.raises(UsageError, match=said):
                await recover(ada, typed, removed)
            if not removed:
                with pytest.raises(UsageError, match=said):
                    await ada.engine.check_recovery(typed)
        await ada.engine.check_recovery(words)
        assert ada.engine._use_cases.keyring.own_log.heads == before
        assert recovery_words(seed_of(words)) == words


async def removed_after(folder: Path, *, stolen: bool) -> dict[str, bool]:
    """Ada's second terminal writes while the first one has a link with Ben alone, and is removed then.

    Returns which of its texts Ben sees marked.
    """
    async with in_touch(folder) as (network, ada, ben):
        words = (await ada.engine.recovery_words()).words
        network.part(ada.host, "10.0.0.9")
        second = await add_terminal(ada, "10.0.0.9")
        await talk(ben, ada, "I know of your second terminal")
        await talk(second, ben, "the first")
        came = ada.wait(EntryAdded, lambda event: event.entry.text == "the first")
        await ada.stop()
        await ada.start()
        await came
        await talk(second, ben, "honest")
        await second.stop()
        terminal, before = second.engine._use_cases.keyring.own.terminal, ada.clock.monotonic()
        cut = ben.wait(EntryAdded, lambda event: event.entry.kind == "cut")
        marked = ben.wait(EntriesMarked)
        await recover(ada, words, (terminal.hex(),), stolen=stolen)
        assert ada.clock.monotonic() < before + 1
        if not stolen:  # Ben sends nothing, also of what Ada lacks, before he has compared
            await asyncio.sleep(5)
            await ben.engine.verify(await ben.contact(ada), await number_of(ben, ada))
        await cut
        if stolen:
            await marked
        else:
            await asyncio.sleep(1)  # in which nothing may be marked
            assert not marked.done()
        texts = {"the first", "honest"}
        return {view.text: view.quarantined for view in await ben.history(ada) if view.text in texts}


@in_virtual_time(limit=600)
async def test_case_88_of_a_lost_terminal_that_counts_too_which_only_the_contact_holds(
    tmp_path: Path,
) -> None:
    assert await removed_after(tmp_path, stolen=False) == {"the first": False, "honest": False}


@in_virtual_time(limit=600)
async def test_case_88_of_a_stolen_terminal_that_counts_which_is_held_where_it_is_removed(
    tmp_path: Path,
) -> None:
    assert await removed_after(tmp_path, stolen=True) == {"the first": False, "honest": True}


async def theft_from(ada: Person, seed: bytes) -> bytes:
    """The Recover by which a thief of the seed removes Ada's terminal and brings in one."""
    own = ada.engine._use_cases.keyring.own
    return recovery(await own_log(ada), seed, {own.terminal: []}, SECOND)


async def alone_with_new_keys(person: Person, *former: bytes) -> None:
    """The person's terminal is the only live one, has none of the former ids, and asks nothing."""
    parts = person.engine._use_cases
    own, log = parts.keyring.own, parts.keyring.own_log
    assert [*log.live] == [own.terminal]
    assert own.terminal not in former
    assert {*former} <= {*log.removed}
    assert log.live[own.terminal].static == parts.keyring.identity.static.public
    assert (await parts.store.read(keys.read_own)).terminal == own.terminal
    assert (await person.engine.me()).terminal == own.terminal.hex()
    assert await person.engine.questions() == ()


@in_virtual_time
async def test_case_84_a_removed_terminal_comes_back_with_new_keys_and_pairs_again(tmp_path: Path) -> None:
    """The contact has the thief's Recover, so the old keys get no link; words settle it."""
    async with in_touch(tmp_path) as (_, ada, ben):
        await talk(ben, ada, "from Ben")
        own, words = ada.engine._use_cases.keyring.own, (await ada.engine.recovery_words()).words
        theft = await theft_from(ada, await seed_in(ada))
        gone = presence(ada, present=False)
        await take_in(ada, theft)  # and hands it out
        await gone
        with pytest.raises(NotPermitted):
            await ada.engine.send(await ada.contact(ben), "not now")
        await recover(ada, words, (SECOND.id.hex(),))
        await alone_with_new_keys(ada, own.terminal, SECOND.id)
        await meet(ben, ada)
        assert [*ben.engine._use_cases.keyring.log(own.person).live] == [
            ada.engine._use_cases.keyring.own.terminal
        ]
        await talk(ada, ben, "with new keys")
        await talk(ben, ada, "answered")
        await ada.stop()
        await ada.start()
        await alone_with_new_keys(ada, own.terminal, SECOND.id)
        await talk(ada, ben, "after a restart")
        texts = ["before", "from Ben", "with new keys", "answered", "after a restart"]
        for person, other in ((ada, ben), (ben, ada)):
            shown = [view for view in await person.history(other) if view.kind == "text"]
            assert [view.text for view in shown] == texts
            assert [view.own for view in shown] == [(view.author == person.name) for view in shown]
            assert [view.author for view in shown].count("Ben") == 2
            assert not any(view.quarantined for view in shown)
            assert {view.state for view in shown if view.own} == {EntryState.DELIVERED}


@in_virtual_time
async def test_case_84_contacts_who_know_of_nothing_follow_to_the_new_keys(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        own, words = ada.engine._use_cases.keyring.own, (await ada.engine.recovery_words()).words
        parts, theft = ada.engine._use_cases, await theft_from(ada, await seed_in(ada))
        await ada.engine.invite()
        await parts.store.write(persons.add_operation, own.person, parse_operation(theft).id, theft)
        parts.keyring.own_log = await parts.store.write(persons.pinned, own.person)  # not handed out yet
        held = ben.wait(ContactChanged, lambda event: event.contact.held)
        gone = presence(ben, present=False)
        there = ben.wait(ContactChanged, lambda event: gone.done() and event.contact.present)
        await recover(ada, words, (SECOND.id.hex(),))
        await held
        await gone
        await there
        await alone_with_new_keys(ada, own.terminal, SECOND.id)
        await ben.engine.verify(await ben.contact(ada), await number_of(ada, ben))
        await talk(ben, ada, "after it")
        await talk(ada, ben, "with new keys")
        assert parts.keyring.invitations == {}  # they name the former key
        assert await parts.store.read(keys.invitations) == []


@in_virtual_time
async def test_case_84_a_copied_terminal_comes_back_with_new_keys(tmp_path: Path) -> None:
    """Its key signed what it did not know of."""
    async with in_touch(tmp_path) as (_, ada, _ben):
        parts, words = ada.engine._use_cases, (await ada.engine.recovery_words()).words
        own, log = parts.keyring.own, parts.keyring.own_log
        await take_in(
            ada,
            *(
                sign_operation(rename_operation(log, own.terminal, name), own.signing_seed)
                for name in ("A", "B")
            ),
        )
        assert [*parts.keyring.own_log.copied] == [own.terminal]
        await recover(ada, words, ())
        await alone_with_new_keys(ada, own.terminal)
        assert parts.keyring.own_log.copied == {}


@in_virtual_time
async def test_case_84_a_terminal_whose_copy_follows_a_thiefs_recovery_comes_back_with_new_keys(
    tmp_path: Path,
) -> None:
    """What shows it goes with the thief's recovery, and the key would be the thief's, too."""
    async with in_touch(tmp_path) as (_, ada, ben):
        parts, words = ada.engine._use_cases, (await ada.engine.recovery_words()).words
        own, seed = parts.keyring.own, await seed_in(ada)
        for name in ("Adele", "Adi", "Ada"):
            await ada.engine.rename_self(name)
        made = recover_operation(Reduction(load(await own_log(ada))), seed, bytes([1]) * 32, {})
        theft = sign_recovery(made, seed)
        log = reduce([*await own_log(ada), theft])
        renames = [rename_operation(log, own.terminal, name) for name in ("A", "B")]
        await take_in(ada, theft, *(sign_operation(rename, own.signing_seed) for rename in renames))
        assert [*parts.keyring.own_log.copied] == [own.terminal]
        shown = parts.keyring.own_log.name
        await recover(ada, words, ())
        await alone_with_new_keys(ada, own.terminal)
        graph = load(await own_log(ada))
        past = graph.ids(graph.past[graph.position[parts.keyring.own_log.newest]])
        assert len(past) == 1, "the genesis, and nothing that the copied key signed"
        assert parts.keyring.own_log.name == shown
        await ada.engine.rename_self("Ada")
        await meet(ben, ada)
        await talk(ada, ben, "with new keys")


@pytest.mark.parametrize("seen", ["Add", "Recover", "said"])
@in_virtual_time
async def test_case_84_a_terminal_that_was_copied_without_a_fork_comes_back_with_new_keys(
    tmp_path: Path, seen: str
) -> None:
    """Its key signed an Add that it did not make, a copy of it used the words, or its person says so."""
    async with in_touch(tmp_path) as (_, ada, ben):
        parts, words = ada.engine._use_cases, (await ada.engine.recovery_words()).words
        own, log, removed = parts.keyring.own, parts.keyring.own_log, [SECOND.id.hex()]
        if seen == "Add":
            added = add_operation(log, own.terminal, SECOND.signing, SECOND.static, "laptop")
            await take_in(ada, sign_operation(added, own.signing_seed, SECOND.seed))
        elif seen == "Recover":
            seed = await seed_in(ada)
            await take_in(ada, recovery(await own_log(ada), seed))
            removed = []
        else:
            removed = [own.terminal.hex()]
        assert own.terminal in parts.keyring.own_log.live
        assert bool(await ada.engine.questions()) == (seen != "said")
        held = ben.wait(ContactChanged, lambda event: event.contact.held)
        await recover(ada, words, tuple(removed))
        await held
        await asyncio.sleep(5)  # the other Recover holds it, too
        await alone_with_new_keys(ada, own.terminal)
        assert own.terminal not in ben.engine._use_cases.keyring.log(own.person).live
        await ben.engine.verify(await ben.contact(ada), await number_of(ada, ben))
        await talk(ada, ben, "with new keys")


@in_virtual_time
async def test_a_recovery_that_removes_another_terminal_changes_no_keys(tmp_path: Path) -> None:
    """What another terminal of the person added says nothing of this one's keys."""
    async with in_touch(tmp_path) as (_, ada, _ben):
        parts, words = ada.engine._use_cases, (await ada.engine.recovery_words()).words
        own = parts.keyring.own
        second = add_operation(parts.keyring.own_log, own.terminal, SECOND.signing, SECOND.static, "laptop")
        await take_in(ada, sign_operation(second, own.signing_seed, SECOND.seed), confirmed=True)
        third = add_operation(parts.keyring.own_log, SECOND.id, THIRD.signing, THIRD.static, "laptop")
        await take_in(ada, sign_operation(third, SECOND.seed, THIRD.seed))
        assert await ada.engine.questions()
        await recover(ada, words, (SECOND.id.hex(), THIRD.id.hex()))
        kept, renewed = parts.keyring.own, parts.keyring.self_keys
        assert replace(kept, drawn=own.drawn) == own
        assert renewed[1:] == (own.first_self_key,)
        assert [*parts.keyring.own_log.live] == [own.terminal]


@in_virtual_time
async def test_a_recovery_removes_eight_devices_and_no_more(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada") as (_, (ada,)):
        parts, words = ada.engine._use_cases, (await ada.engine.recovery_words()).words
        own, others = parts.keyring.own, [Terminal.named(f"device {number}") for number in range(9)]
        for other in others:
            added = add_operation(parts.keyring.own_log, own.terminal, other.signing, other.static, "laptop")
            await take_in(ada, sign_operation(added, own.signing_seed, other.seed), confirmed=True)
        before, ids = parts.keyring.own_log.heads, tuple(other.id.hex() for other in others)
        with pytest.raises(UsageError, match="at most 8"):
            await recover(ada, words, ids)
        assert parts.keyring.own_log.heads == before
        await recover(ada, words, ids[:8])
        assert {one.hex() for one in parts.keyring.own_log.live} == {own.terminal.hex(), ids[8]}


@pytest.mark.parametrize("gone", ["blocked", "left"])
@in_virtual_time
async def test_who_has_nobody_that_could_answer_recovers_at_once(tmp_path: Path, gone: str) -> None:
    """A contact that is blocked, or has no device any more, gets no link, so nothing is waited for."""
    async with in_touch(tmp_path) as (_, ada, ben):
        words = (await ada.engine.recovery_words()).words
        if gone == "blocked":
            await ada.engine.block(await ada.contact(ben), True)
        else:
            own = ben.engine._use_cases.keyring.own
            left = removal(await own_log(ben), own.terminal, own.signing_seed, own.terminal)
            await ada.engine._use_cases.sync._logs.received(ben.peer, [left], log_intake(0.0))
        await ada.stop()
        await ada.start()
        await recover(ada, words, ())
        assert ada.engine._use_cases.keyring.own_log.recoveries == 1


@in_virtual_time
async def test_a_removed_terminal_waits_for_nobody_before_its_recovery(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (_, ada, ben):
        words, theft = (await ada.engine.recovery_words()).words, await theft_from(ada, await seed_in(ada))
        gone = presence(ada, present=False)
        await take_in(ada, theft)
        await gone
        await ada.stop()
        await ada.start()
        await recover(ada, words, (SECOND.id.hex(),))
        await meet(ben, ada)
        await talk(ada, ben, "with new keys")


@in_virtual_time
async def test_case_84_no_record_of_former_keys_leaves_after_a_recovery(tmp_path: Path) -> None:
    """Both see the words when Ada learns that her device was copied, and recovers with new keys."""
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        parts, words = ada.engine._use_cases, (await ada.engine.recovery_words()).words
        own, log = parts.keyring.own, parts.keyring.own_log
        shown = ada.stage(PairingStage.WORDS), ben.stage(PairingStage.WORDS)
        await ada.engine.pair_nearby((await ada.sees("Ben")).instance)
        mine, theirs = await asyncio.gather(*shown)
        renames = [rename_operation(log, own.terminal, name) for name in ("A", "B")]
        await take_in(ada, *(sign_operation(rename, own.signing_seed) for rename in renames))
        await recover(ada, words, ())
        assert parts.keyring.own.terminal != own.terminal
        failed = ada.stage(PairingStage.FAILED)
        await ben.engine.answer_pairing(theirs.pairing.id, True)
        await ada.engine.answer_pairing(mine.pairing.id, True)
        assert (await failed).pairing.problem == REMOVED
        await asyncio.sleep(10)
        assert not ben.engine._use_cases.keyring.contacts
        await meet(ada, ben)
        await talk(ada, ben, "with new keys")
