"""Linking a second device while something gets in between (SPEC §7.8.1)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from chat.interface import (
    EntryAdded,
    IdentityChanged,
    LinkingChanged,
    LinkingStage,
    NotPermitted,
    OwnLogChanged,
    TerminalState,
    Unreachable,
    UsageError,
)
from chat.service import handover
from chat.service.joining import MAYBE_ADDED, Joining, make_profile
from chat.service.linking import UNSURE
from chat.service.own_log import CHANGED
from chat.service.signing import ONLY_DEVICE
from protocol import profile_header
from protocol.identity.author import add_operation
from protocol.identity.log import Add, sign_operation
from tests.support.engines import devices
from tests.support.engines.engines import PASSPHRASE, Person, in_virtual_time, people, take_in, two_contacts


def laptop_of(ada: Person, folder: Path) -> Person:
    return devices.device(ada, folder / "laptop", "10.0.0.9")


@in_virtual_time
async def test_who_stops_while_the_device_is_signed_in_is_told_that_it_was_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Violation: "No device was added", and one that nobody has is live for ever."""
    async with people(tmp_path, "Ada") as (_, (ada,)):
        laptop, own = laptop_of(ada, tmp_path), ada.engine._use_cases.own_log
        sign, signing, goes_on = own.add, asyncio.Event(), asyncio.Event()

        async def slowly(operation: Add, consent: bytes) -> bytes:
            signing.set()
            await goes_on.wait()
            return await sign(operation, consent)

        monkeypatch.setattr(own, "add", slowly)
        words, failed = devices.at(ada, LinkingStage.WORDS), devices.at(ada, LinkingStage.FAILED)
        await ada.engine.add_terminal()
        joining = asyncio.ensure_future(devices.begin(laptop))
        await ada.engine.answer_linking((await words).linking.id, True)
        await signing.wait()
        stopping = asyncio.ensure_future(ada.engine.stop_adding())
        await asyncio.sleep(1)
        goes_on.set()
        await stopping
        view = (await failed).linking
        await joining  # it has all it needs
        assert view.problem == UNSURE
        states = {one.terminal: one.state for one in await ada.engine.terminals()}
        assert states[view.terminal] is TerminalState.LIVE
        await laptop.stop()


@in_virtual_time
async def test_a_yes_that_comes_too_late_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Violation: a device that waits for ever for another one that has said no."""
    async with people(tmp_path, "Ada") as (network, (ada,)):
        laptop, linker = laptop_of(ada, tmp_path), ada.engine._use_cases.linker
        words, failed = devices.at(ada, LinkingStage.WORDS), devices.at(ada, LinkingStage.FAILED)
        check = linker._check_own

        async def slowly() -> None:
            await check()
            network.unplug(laptop.host)
            await failed

        await ada.engine.add_terminal()
        joining = asyncio.ensure_future(devices.begin(laptop))
        view = (await words).linking
        monkeypatch.setattr(linker, "_check_own", slowly)
        with pytest.raises(UsageError):
            await ada.engine.answer_linking(view.id, True)
        with pytest.raises(Unreachable):
            await joining
        stages = [event.linking.stage for event in ada.seen if isinstance(event, LinkingChanged)]
        assert stages[-1] is LinkingStage.FAILED


@in_virtual_time
async def test_an_attempt_ends_with_the_action_that_allowed_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Violation: a stranger whose attempt began just before the person stopped shows words afterwards."""
    async with people(tmp_path, "Ada") as (_, (ada,)):
        laptop, came, goes_on = laptop_of(ada, tmp_path), asyncio.Event(), asyncio.Event()
        store = ada.engine._use_cases.linker._store
        read = store.read

        async def slowly(work: Callable[..., object], *args: object) -> object:
            if work is handover.known_keys:
                came.set()
                await goes_on.wait()
            return await read(work, *args)

        monkeypatch.setattr(store, "read", slowly)
        await ada.engine.add_terminal()
        joining = asyncio.ensure_future(devices.begin(laptop, address=("10.0.0.1", 4747)))
        await came.wait()
        await ada.engine.stop_adding()
        goes_on.set()
        await asyncio.sleep(5)
        stages = [event.linking.stage for event in ada.seen if isinstance(event, LinkingChanged)]
        with pytest.raises(Unreachable):
            await joining
        assert stages == [LinkingStage.VISIBLE, LinkingStage.FAILED]


@in_virtual_time
async def test_a_yes_is_for_the_device_whose_words_were_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Violation: two attempts under one action, of which the person's yes accepts the one not compared."""
    async with people(tmp_path, "Ada") as (_, (ada,)):
        laptop, came, goes_on = laptop_of(ada, tmp_path), asyncio.Event(), asyncio.Event()
        thief = devices.device(ada, tmp_path / "thief", "10.0.0.8", 78)
        store = ada.engine._use_cases.linker._store
        read = store.read

        async def slowly(work: Callable[..., object], *args: object) -> object:
            if work is handover.known_keys and not came.is_set():
                came.set()
                await goes_on.wait()
            return await read(work, *args)

        monkeypatch.setattr(store, "read", slowly)
        place = ("10.0.0.1", 4747)
        shown: list[LinkingChanged] = []
        ada.watch(lambda event: shown.append(event) if isinstance(event, LinkingChanged) else None)
        await ada.engine.add_terminal()
        one = asyncio.ensure_future(devices.begin(laptop, address=place))
        await came.wait()
        await ada.engine.add_terminal()  # once more: the person sees nothing happen
        goes_on.set()
        await asyncio.sleep(5)
        other = asyncio.ensure_future(devices.begin(thief, name="thief", address=place))
        await asyncio.sleep(5)
        by_id: dict[str, set[tuple[str, ...]]] = {}
        for event in shown:
            if event.linking.words:
                by_id.setdefault(event.linking.id, set()).add(event.linking.words)
        await ada.engine.stop_adding()
        await asyncio.gather(one, other, return_exceptions=True)
        assert all(len(words) == 1 for words in by_id.values())


@in_virtual_time
async def test_linked_devices_pass_on_to_a_contact_who_was_away(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        laptop = laptop_of(ada, tmp_path)
        await ben.stop()
        words, done = devices.at(ada, LinkingStage.WORDS), devices.at(ada, LinkingStage.DONE)
        await ada.engine.add_terminal()
        joining = asyncio.ensure_future(devices.begin(laptop))
        await ada.engine.answer_linking((await words).linking.id, True)
        await joining
        await done
        got = ada.wait(EntryAdded)
        ben_id = await laptop.contact_known("Ben")
        await laptop.engine.send(ben_id, "from the laptop")
        assert (await asyncio.wait_for(got, 60)).entry.text == "from the laptop"
        await laptop.stop()
        await ben.start()
        if not await ben.texts(ada):
            await asyncio.wait_for(ben.wait(EntryAdded), 120)
        assert await ben.texts(ada) == ["from the laptop"]


@in_virtual_time
async def test_a_new_device_says_that_it_may_be_added_when_the_adder_dies_at_the_last_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Violation: "before the device was added", and the other one lists it for ever."""
    async with people(tmp_path, "Ada") as (network, (ada,)):
        laptop, own = laptop_of(ada, tmp_path), ada.engine._use_cases.own_log
        sign, signed = own.add, asyncio.Event()

        async def dies(operation: Add, consent: bytes) -> bytes:
            done = await sign(operation, consent)
            network.unplug(ada.host)
            signed.set()
            return done

        monkeypatch.setattr(own, "add", dies)
        words = devices.at(ada, LinkingStage.WORDS)
        await ada.engine.add_terminal()
        joining = asyncio.ensure_future(devices.begin(laptop))
        await ada.engine.answer_linking((await words).linking.id, True)
        await signed.wait()
        with pytest.raises(Unreachable) as failed:
            await joining
        assert failed.value.phrase == MAYBE_ADDED
        assert len(await ada.engine.terminals()) == 2


@in_virtual_time
async def test_the_only_device_stays_and_one_of_two_removes_itself(tmp_path: Path) -> None:
    """Violation: a yes to one question, after which nobody has this identity."""
    async with two_contacts(tmp_path) as (_, ada, _ben):
        laptop, desk = laptop_of(ada, tmp_path), (await ada.engine.me()).terminal
        with pytest.raises(NotPermitted) as refused:
            await ada.engine.remove_terminal(desk)
        assert refused.value.phrase == ONLY_DEVICE
        await devices.link(ada, laptop)
        await ada.engine.remove_terminal(desk)
        states = {one.terminal: one.state for one in await ada.engine.terminals()}
        assert states[desk] is TerminalState.REMOVED
        await laptop.stop()


@in_virtual_time
async def test_a_device_that_removes_itself_leaves_what_it_signed(tmp_path: Path) -> None:
    """Violation: the name that the first device gave falls with it, and nobody is called anything."""
    async with two_contacts(tmp_path) as (_, ada, ben):
        laptop = laptop_of(ada, tmp_path)
        await devices.link(ada, laptop)
        await ada.engine.rename_self("Adele")
        removed = laptop.wait(OwnLogChanged, lambda event: event.kind == "removed")
        shown = ben.wait(IdentityChanged, lambda event: "removed a device" in event.cause)
        await ada.engine.remove_terminal((await ada.engine.me()).terminal)
        await removed
        await shown
        assert (await laptop.engine.me()).name == "Adele"
        log = ben.engine._use_cases.keyring.log(ada.peer.person)
        assert (log.name, [*log.live]) == ("Adele", [laptop.engine._use_cases.keyring.own.terminal])
        await laptop.stop()


@in_virtual_time
async def test_a_linked_device_does_not_say_that_the_recovery_words_were_erased(tmp_path: Path) -> None:
    """Violation: "only where you wrote them down", while the first device still has them to be shown."""
    async with people(tmp_path, "Ada") as (_, (ada,)):
        laptop = laptop_of(ada, tmp_path)
        await devices.link(ada, laptop)
        assert (await ada.engine.me()).keeps_seed
        with pytest.raises(NotPermitted) as refused:
            await laptop.engine.recovery_words()
        assert "device that made your identity" in str(refused.value)
        await laptop.stop()


@in_virtual_time
async def test_a_device_that_another_one_adds_meanwhile_is_refused(tmp_path: Path) -> None:
    """Violation: an internal error, by an Add of a key that its own past brings in (V-LG-06)."""
    async with people(tmp_path, "Ada") as (_, (ada,)):
        laptop, tablet = laptop_of(ada, tmp_path), devices.device(ada, tmp_path / "tablet", "10.0.0.8", 78)
        await devices.link(ada, laptop)
        words, failed = devices.at(ada, LinkingStage.WORDS), devices.at(ada, LinkingStage.FAILED)
        await ada.engine.add_terminal()
        twice = Joining(tablet.ports(), tablet.config, "tablet", devices.says_yes)
        cost, new = profile_header.CHEAPEST, twice._keys
        joining = asyncio.ensure_future(make_profile(twice, None, tablet.folder, PASSPHRASE, cost))
        view = (await words).linking
        parts = laptop.engine._use_cases.keyring
        add = add_operation(parts.own_log, parts.own.terminal, new.signing, new.static, "tablet")
        await take_in(ada, sign_operation(add, parts.own.signing_seed, new.signing_seed))
        for question in await ada.engine.questions():
            await ada.engine.confirm_own(question.operation)
        with pytest.raises(NotPermitted):
            await ada.engine.answer_linking(view.id, True)
        with pytest.raises(Unreachable):
            await joining
        assert (await failed).linking.problem == CHANGED
        await laptop.stop()
