"""Linking a second device of one's own: words, profile, contacts, and what goes wrong (SPEC §7.8.1)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chat.interface import (
    ContactChanged,
    IdentityChanged,
    LinkingStage,
    LinkingView,
    NotPermitted,
    TerminalState,
    Unconfirmed,
    Unreachable,
    UsageError,
)
from chat.service.linking import STOPPED, TIMED_OUT, UNSURE
from chat.service.own_log import CHANGED
from chat.service.signing import SENIOR
from chat.storage import folder as stored_folder
from protocol.identity.author import add_operation
from protocol.identity.log import sign_operation
from tests.support.engines import devices
from tests.support.engines.engines import (
    Person,
    contact,
    in_virtual_time,
    own_log,
    pair,
    people,
    take_in,
    talk,
    two_contacts,
)
from tests.support.protocol.pairings import Terminal

WITHIN = 2.0
"""Virtual seconds from the second yes to a device that can be used."""


def laptop_of(ada: Person, folder: Path) -> Person:
    return devices.device(ada, folder / "laptop", "10.0.0.9")


def is_new(person: Person) -> bool:
    return stored_folder.state(person.folder) is stored_folder.ProfileState.NEW


async def present(person: Person) -> None:
    if not (await contact(person)).present:
        await person.wait(ContactChanged, lambda event: event.contact.present)


@in_virtual_time
async def test_a_linked_device_begins_with_the_contacts_and_talks_to_them(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "before")
        await ada.engine.set_timer(await ada.contact(ben), 3_600)
        await ada.engine.rename(await ada.contact(ben), "Benno")
        told = ben.wait(IdentityChanged)
        laptop, before = laptop_of(ada, tmp_path), await contact(ada)
        await devices.link(ada, laptop)
        assert (await told).cause == 'added the device "laptop"'
        assert (await contact(ben)).verified
        mine = await contact(laptop)
        assert (mine.person, mine.name, mine.timer) == (before.person, "Benno", 3_600)
        assert mine.verified
        await present(laptop)
        await talk(laptop, ben, "from the laptop")
        assert (await ben.texts(ada))[-1] == "from the laptop"
        views = await laptop.engine.terminals()
        assert [(view.this, view.name, view.state) for view in views] == [
            (False, "", TerminalState.LIVE),
            (True, "laptop", TerminalState.LIVE),
        ]
        assert views[1].added_by == views[0].terminal
        assert await laptop.engine.questions() == await ada.engine.questions() == ()
        assert not (await laptop.engine.me()).keeps_seed
        await laptop.engine.close()


@in_virtual_time
async def test_a_device_can_be_used_within_two_seconds_of_the_second_yes(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, _ben):
        laptop = laptop_of(ada, tmp_path)
        words = devices.at(ada, LinkingStage.WORDS)
        await ada.engine.add_terminal()
        joining = asyncio.ensure_future(devices.begin(laptop, address=("10.0.0.1", 4747)))
        view, loop = (await words).linking, asyncio.get_running_loop()
        await asyncio.sleep(5)
        yes = loop.time()
        await ada.engine.answer_linking(view.id, True)
        await joining
        assert (await contact(laptop)).name == "Ben"
        assert loop.time() - yes < WITHIN
        await present(laptop)
        await laptop.engine.close()


@in_virtual_time
async def test_a_no_on_either_side_leaves_nothing(tmp_path: Path) -> None:
    async def no(view: LinkingView) -> bool:
        return False

    async with two_contacts(tmp_path) as (_, ada, _ben):
        before, laptop = await own_log(ada), laptop_of(ada, tmp_path)
        for answer, refused in ((no, NotPermitted), (devices.says_yes, Unreachable)):
            words, failed = devices.at(ada, LinkingStage.WORDS), devices.at(ada, LinkingStage.FAILED)
            await ada.engine.add_terminal()
            joining = asyncio.ensure_future(devices.begin(laptop, answer))
            view = (await words).linking
            if answer is devices.says_yes:
                await ada.engine.answer_linking(view.id, False)
            with pytest.raises(refused):
                await joining
            assert (await failed).linking.problem
            with pytest.raises(UsageError):
                await ada.engine.answer_linking(view.id, True)
        assert await own_log(ada) == before
        assert is_new(laptop)
        await devices.link(ada, laptop)  # a third try succeeds
        await laptop.engine.close()


@in_virtual_time
async def test_a_link_that_breaks_after_both_yes_changes_nothing(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (network, ada, _ben):
        before, laptop = await own_log(ada), laptop_of(ada, tmp_path)
        words, failed = devices.at(ada, LinkingStage.WORDS), devices.at(ada, LinkingStage.FAILED)
        await ada.engine.add_terminal()
        joining = asyncio.ensure_future(devices.begin(laptop))
        view = (await words).linking
        network.unplug(laptop.host)
        await ada.engine.answer_linking(view.id, True)
        with pytest.raises(Unreachable):
            await joining
        await failed
        assert await own_log(ada) == before
        assert is_new(laptop)
        network.heal(laptop.host)
        await devices.link(ada, laptop)
        await laptop.engine.close()


@in_virtual_time
async def test_a_device_that_gets_no_profile_is_named_and_can_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*given: object, **named: object) -> None:
        raise OSError("no space")

    async with two_contacts(tmp_path) as (_, ada, ben):
        laptop, told = laptop_of(ada, tmp_path), ben.wait(IdentityChanged)
        words, failed = devices.at(ada, LinkingStage.WORDS), devices.at(ada, LinkingStage.FAILED)
        await ada.engine.add_terminal()
        with monkeypatch.context() as patched:
            patched.setattr("chat.service.joining.profile.create", fails)
            joining = asyncio.ensure_future(devices.begin(laptop))
            await ada.engine.answer_linking((await words).linking.id, True)
            with pytest.raises(OSError, match="no space"):
                await joining
        view = (await failed).linking
        assert view.problem == UNSURE
        await told
        gone = ben.wait(IdentityChanged, lambda event: event.cause == 'removed the device "laptop"')
        await ada.engine.remove_terminal(view.terminal)
        await gone
        states = {one.terminal: one.state for one in await ada.engine.terminals()}
        assert states[view.terminal] is TerminalState.REMOVED


@in_virtual_time
async def test_nobody_comes_and_nobody_adds(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, _ben):
        failed = devices.at(ada, LinkingStage.FAILED)
        await ada.engine.add_terminal()
        assert (await failed).linking.problem == TIMED_OUT
        laptop = laptop_of(ada, tmp_path)
        with pytest.raises(Unreachable):
            await devices.begin(laptop)
        for place in (("10.0.0.1", 4747), ("10.0.0.77", 4747)):
            with pytest.raises(Unreachable):
                await devices.begin(laptop, address=place)
        with pytest.raises(UsageError):
            await devices.begin(laptop, address=("198.51.100.7", 4747))
        assert is_new(laptop)


@in_virtual_time
async def test_a_second_device_finds_no_open_door_while_one_is_linked(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, _ben):
        words = devices.at(ada, LinkingStage.WORDS)
        await ada.engine.add_terminal()
        laptop, thief = laptop_of(ada, tmp_path), devices.device(ada, tmp_path / "thief", "10.0.0.8", 78)
        joining = asyncio.ensure_future(devices.begin(laptop))
        await words
        with pytest.raises(Unreachable):
            await devices.begin(thief, address=("10.0.0.1", 4747))
        failed = devices.at(ada, LinkingStage.FAILED)
        await ada.engine.stop_adding()
        assert (await failed).linking.problem == STOPPED
        with pytest.raises(Unreachable):
            await joining


@in_virtual_time
async def test_who_must_not_sign_adds_no_device(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await ben.stop()
        await ada.stop()
        await ada.start()
        await ada.engine.add_terminal()
        await ada.engine.stop_adding()
        parts, other = ada.engine._use_cases, Terminal.named("another one")
        own = parts.keyring.own
        add = add_operation(parts.keyring.own_log, own.terminal, other.signing, other.static, "desk")
        signed = sign_operation(add, own.signing_seed, other.seed)
        await take_in(ada, signed)
        with pytest.raises(Unconfirmed):
            await ada.engine.add_terminal()
        with pytest.raises(NotPermitted) as refused:  # it follows what is not the last operation any more
            await parts.own_log.add(add, bytes(64))
        assert refused.value.phrase == CHANGED


@in_virtual_time
async def test_a_removed_device_is_shut_out_and_a_senior_one_stays(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        laptop = laptop_of(ada, tmp_path)
        await devices.link(ada, laptop)
        await present(laptop)
        await talk(laptop, ben, "before")
        desk = (await ada.engine.me()).terminal
        with pytest.raises(NotPermitted) as refused:
            await laptop.engine.remove_terminal(desk)
        assert refused.value.phrase == SENIOR
        with pytest.raises(UsageError):
            await laptop.engine.remove_terminal("00" * 32)
        shut_out = laptop.wait(ContactChanged, lambda event: not event.contact.present)
        await ada.engine.remove_terminal((await laptop.engine.me()).terminal)
        await shut_out
        await asyncio.sleep(30)  # those under the secret of before give way
        assert len(ben.engine._use_cases.links.of(ada.peer.person)) == 1
        with pytest.raises(NotPermitted):
            await laptop.engine.send(await laptop.contact(ben), "too late")
        await asyncio.sleep(60)
        assert "too late" not in await ben.texts(ada)
        await laptop.engine.close()


@in_virtual_time
async def test_a_person_without_contacts_links_a_device(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada") as (_, (ada,)):
        laptop = laptop_of(ada, tmp_path)
        await devices.link(ada, laptop, "Laptop 花")
        assert await laptop.engine.contacts() == ()
        assert (await laptop.engine.me()).person == (await ada.engine.me()).person
        ben = Person("Ben", "10.0.0.2", tmp_path / "Ben", ada.network, ada.config, 5)
        await ben.create()
        await pair(laptop, ben)
        await talk(laptop, ben, "hello")
        await ben.engine.close()
        await laptop.engine.close()
