"""A stolen device adds machines and then removes itself: one act of its owner ends them all (SPEC §7.2)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from chat.interface import NotPermitted, TerminalView, UsageError
from protocol.identity.author import recovery_words
from tests.integration.steps import seed_in
from tests.integration.test_own_terminals import linked, terminal_of
from tests.integration.test_renewal import keyring, three_and_ben
from tests.integration.test_thieves import has
from tests.support.engines.engines import Person, in_virtual_time, recover, talk
from tests.support.engines.terminals import add_terminal

MACHINES = ("10.0.0.66", "10.0.0.67")


@asynccontextmanager
async def left_by(stolen: Person) -> AsyncIterator[tuple[Person, ...]]:
    """Machines, of which the stolen device added the first and that one the next. Then it removed itself."""
    async with AsyncExitStack() as stack:
        machines, by = list[Person](), stolen
        for host in MACHINES:
            by = await add_terminal(by, host)
            stack.push_async_callback(by.engine.close)
            machines.append(by)
            await asyncio.sleep(60)
        await stolen.engine.remove_terminal(terminal_of(stolen))
        await asyncio.sleep(120)
        yield tuple(machines)


async def device(at: Person, of: Person) -> TerminalView:
    (view,) = [one for one in await at.engine.terminals() if one.terminal == terminal_of(of)]
    return view


@in_virtual_time(limit=7_200)
async def test_another_removal_of_a_device_that_removed_itself_ends_all_that_it_added(tmp_path: Path) -> None:
    async with three_and_ben(tmp_path) as (_, desk, laptop, phone, ben), left_by(phone) as machines:
        for one in (desk, laptop, ben):
            assert all(has(one, terminal_of(machine), desk) for machine in machines)
            assert not has(one, terminal_of(phone), desk)
        view = await device(desk, phone)
        assert not view.is_live
        assert view.left
        assert view.removable
        foreseen = await desk.engine.foresee_removal(view.terminal)
        assert {one.terminal: one.stays for one in foreseen.added} == {
            terminal_of(machine): False for machine in machines
        }
        await desk.engine.remove_terminal(view.terminal)
        await asyncio.sleep(120)
        for one in (desk, laptop, ben):
            assert not any(has(one, terminal_of(machine), desk) for machine in machines)
        assert not (await device(desk, phone)).left
        await talk(ben, desk, "only for Ada")
        await talk(desk, ben, "only for Ben")
        await asyncio.sleep(60)
        for machine in machines:
            read = {view.text for view in await machine.history(ben)}
            assert not {"only for Ada", "only for Ben"} & read
        assert keyring(desk).self_keys[0] == keyring(laptop).self_keys[0]
        assert linked(desk, laptop)
        with pytest.raises(UsageError):
            await desk.engine.remove_terminal(view.terminal)


@in_virtual_time(limit=7_200)
async def test_what_its_person_confirmed_of_it_stays_and_makes_no_device_removable_again(
    tmp_path: Path,
) -> None:
    async with three_and_ben(tmp_path) as (_, desk, laptop, phone, ben), left_by(phone) as machines:
        for question in await desk.engine.questions():
            await desk.engine.confirm_own(question.operation)
        assert not (await device(desk, phone)).removable
        with pytest.raises(UsageError):
            await desk.engine.remove_terminal(terminal_of(phone))
        assert (await device(laptop, phone)).left, "nobody said yes there"
        assert all(has(ben, terminal_of(machine), desk) for machine in machines)


@in_virtual_time(limit=7_200)
async def test_what_the_first_device_left_behind_falls_with_a_recovery_alone(tmp_path: Path) -> None:
    async with three_and_ben(tmp_path) as (_, desk, laptop, _phone, ben):
        words = recovery_words(await seed_in(desk))
        async with left_by(desk) as machines:
            assert (await device(laptop, desk)).left
            with pytest.raises(NotPermitted):
                await laptop.engine.remove_terminal(terminal_of(desk))
            await recover(laptop, words, (terminal_of(desk),))
            await asyncio.sleep(120)
            for one in (laptop, ben):
                assert not any(has(one, terminal_of(machine), desk) for machine in machines)
                assert has(one, terminal_of(laptop), desk)
