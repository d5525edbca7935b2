"""The second implementation becomes another device of a person: it gets the history, and writes."""

from __future__ import annotations

import asyncio
import functools
import json
import os
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from chat.interface import (
    DeletionScope,
    EntryAdded,
    EntryChanged,
    EntryState,
    LinkingChanged,
    LinkingStage,
)
from chat.network.transport import TcpTransport
from chat.ports import Ports, SystemClock
from tests.support.engines import devices
from tests.support.engines.devices import at
from tests.support.engines.engines import DEFAULTS, Person, delivered, pair
from tests.support.fakes.network import MemoryDiscovery, Network
from tests.support.lab.programs import Program
from tests.support.machine import needs_node_packages

pytestmark = pytest.mark.slow

_HERE = Path(__file__).parent
_WAIT = 60.0
"""Seconds after which a test that waits is broken; no test passes because of it."""
EACH = 30


@pytest.fixture(autouse=True, scope="module")
def _packages() -> None:
    needs_node_packages(_HERE)


class _Loopback(TcpTransport):
    def addresses(self) -> tuple[str, ...]:
        return ("127.0.0.1",)


class _Near(Person):
    """A person whose engine has real sockets, which others of this process find at once."""

    def ports(self) -> Ports:
        found = MemoryDiscovery(self.network, self.host)
        return Ports(SystemClock(), os.urandom, _Loopback(), found)


@asynccontextmanager
async def _near(folder: Path, *names: str) -> AsyncIterator[list[Person]]:
    network = Network()
    made: list[Person] = [
        _Near(name, name, folder / name, network, DEFAULTS, n) for n, name in enumerate(names)
    ]
    for person in made:
        await person.create()
    try:
        yield made
    finally:
        for person in made:
            await person.engine.close()


class _Device:
    """The program of the second implementation, told and heard by lines."""

    def __init__(self, program: Program) -> None:
        self._program = program

    async def says(self, line: str) -> None:
        await asyncio.to_thread(self._program.wait_for, line.__eq__, _WAIT)

    async def words(self) -> list[str]:
        line = await asyncio.to_thread(self._program.wait_for, lambda line: line.startswith("words "), _WAIT)
        return line.split()[1:]

    def told(self, line: str) -> None:
        self._program.write(f"{line}\n")

    async def report(self) -> dict[str, Any]:
        self.told("report")
        line = await asyncio.to_thread(self._program.wait_for, lambda line: line.startswith("{"), _WAIT)
        found: dict[str, Any] = json.loads(line)
        return found

    async def ends(self) -> int:
        return await asyncio.to_thread(self._program.wait_exit, _WAIT)

    async def done(self) -> None:
        self.told("end")
        self._program.end_input()
        assert await self.ends() == 0, self._program.complained


@asynccontextmanager
async def _adding(desk: Person) -> AsyncIterator[tuple[_Device, LinkingChanged]]:
    """The program has begun a linking with the desk, and both show the same words."""
    words = at(desk, LinkingStage.WORDS)
    await desk.engine.add_terminal()
    with Program(["node", str(_HERE / "become.js"), str((await desk.engine.me()).port)]) as program:
        device = _Device(program)
        shown = await words
        assert await device.words() == list(shown.linking.words)
        yield device, shown


@asynccontextmanager
async def _linked(desk: Person) -> AsyncIterator[_Device]:
    done = at(desk, LinkingStage.DONE)
    async with _adding(desk) as (device, shown):
        await desk.engine.answer_linking(shown.linking.id, True)
        await device.says("linked")
        terminal = (await done).linking.terminal
        await device.says("same")
        assert (await device.report())["terminal"] == terminal
        yield device


async def _say(person: Person, other: Person, text: str) -> None:
    arrived = delivered(person, 1)
    await person.engine.send(await person.contact(other), text)
    await arrived


async def _history(desk: Person, ben: Person) -> None:
    """Texts both ways, with an edit and a delete of each person, all of it delivered."""
    friend, back = await desk.contact(ben), await ben.contact(desk)
    arrived = delivered(desk, EACH), delivered(ben, EACH)
    mine = [await desk.engine.send(friend, f"from the desk {n}") for n in range(EACH)]
    theirs = [await ben.engine.send(back, f"from Ben {n}") for n in range(EACH)]
    await asyncio.gather(*arrived)
    arrived = delivered(desk, 2), delivered(ben, 2)
    await desk.engine.edit(friend, mine[3].id, "from the desk, edited")
    await desk.engine.delete(friend, mine[4].id, DeletionScope.EVERYONE)
    await ben.engine.edit(back, theirs[3].id, "from Ben, edited")
    await ben.engine.delete(back, theirs[4].id, DeletionScope.EVERYONE)
    await asyncio.gather(*arrived)
    read = ben.wait(EntryChanged, lambda event: event.state is EntryState.READ)
    await desk.engine.mark_read(friend, (theirs[-1].id,))
    await read
    for person, other in ((desk, ben), (ben, desk)):
        await _say(person, other, f"the last of {person.name}")


async def _shown(desk: Person, ben: Person) -> list[dict[str, Any]]:
    """Its texts with a contact as the program reports its own."""
    return [
        {
            "id": view.id,
            "text": view.text if view.kind == "text" else None,
            "own": view.own,
            "state": view.state.value if view.own else None,
        }
        for view in await desk.history(ben)
    ]


def _drawing(desk: Person) -> list[str]:
    """The operations that draw secrets, the best first, as the desk has them."""
    return [one.hex() for one in desk.engine._use_cases.keyring.own_log.drawn]


def _plays(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(tmp_path: Path) -> None:
        asyncio.run(asyncio.wait_for(test(tmp_path), _WAIT))

    return run


@_plays
async def test_the_second_implementation_is_linked_and_has_the_history_and_writes(tmp_path: Path) -> None:
    async with _near(tmp_path, "Ada", "Ben") as (desk, ben):
        await pair(desk, ben)
        friend = await desk.contact(ben)
        await desk.engine.rename(friend, "Benno")
        await desk.engine.pin(friend, True)
        await _history(desk, ben)
        async with _linked(desk) as device:
            report, root = await device.report(), await desk.engine.history_root()
            (got,) = report["contacts"]
            assert (got["entries"], got["root"]) == (root.entries, root.conversations[0].root)
            assert report["root"] == root.root
            assert (got["person"], got["petname"], got["verified"]) == (friend, "Benno", True)
            assert (got["pinned"], got["muted"]) == (True, False)

            shown = await _shown(desk, ben)
            (edit,) = [one for one in shown if one["text"] == "from Ben, edited"]
            unvouched = [{**one, "text": "from Ben 3"} if one is edit else one for one in shown]
            assert got["texts"] == unvouched, "the contact has not confirmed its edit to this device"

            came = ben.wait(EntryAdded)
            device.told("send from the other program")
            assert (await came).entry.text == "from the other program"
            await device.says("own delivered")
            device.told("call")
            await device.says("contact uncovered 0")
            (got,) = (await device.report())["contacts"]
            assert got["texts"] == await _shown(desk, ben)
            assert got["root"] == (await desk.engine.history_root()).conversations[0].root
            await device.done()


@_plays
async def test_a_contact_of_later_comes_by_the_notes(tmp_path: Path) -> None:
    async with _near(tmp_path, "Ada", "Cleo") as (desk, cleo), _linked(desk) as device:
        await pair(desk, cleo)
        await device.says("own met")
        await _say(cleo, desk, "from Cleo")
        await device.says("own entry from Cleo")
        (got,) = (await device.report())["contacts"]
        assert (got["name"], got["verified"]) == ("Cleo", True)
        assert got["texts"] == await _shown(desk, cleo)
        assert got["root"] == (await desk.engine.history_root()).conversations[0].root
        await device.done()


@_plays
async def test_after_a_removal_it_goes_on_under_the_renewed_secrets(tmp_path: Path) -> None:
    async with _near(tmp_path, "Ada", "Ben") as (desk, ben):
        await pair(desk, ben)
        async with _linked(desk) as device:
            stolen = _Near("Ada", "stolen", tmp_path / "stolen", desk.network, DEFAULTS, 77)
            await devices.link(desk, stolen, "stolen")
            assert (await device.report())["root"] == (await desk.engine.history_root()).root
            gone = (await stolen.engine.me()).terminal
            await stolen.stop()
            await desk.engine.remove_terminal(gone)
            await device.says("own new self key")
            await device.says("own open, best")
            await device.says("replaced")
            assert (await device.report())["drawing"] == _drawing(desk)
            came = ben.wait(EntryAdded)
            device.told("send under the new self key")
            assert (await came).entry.text == "under the new self key"
            await device.says("own delivered")
            device.told("call")
            await device.says("contact open, best")
            await _say(ben, desk, "to both")
            await device.says("contact entry to both")
            assert (await device.report())["root"] == (await desk.engine.history_root()).root
            await device.done()


@_plays
async def test_who_is_linked_after_a_removal_has_what_was_drawn_before(tmp_path: Path) -> None:
    async with _near(tmp_path, "Ada") as (desk,):
        stolen = _Near("Ada", "stolen", tmp_path / "stolen", desk.network, DEFAULTS, 77)
        await devices.link(desk, stolen, "stolen")
        gone = (await stolen.engine.me()).terminal
        await stolen.stop()
        await desk.engine.remove_terminal(gone)
        async with _linked(desk) as device:
            drawing = (await device.report())["drawing"]
            assert drawing == _drawing(desk)
            assert len(drawing) == 2, "the genesis and the Renew of the removal"
            await device.done()


@_plays
async def test_a_no_leaves_nothing(tmp_path: Path) -> None:
    async with _near(tmp_path, "Ada") as (desk,):
        failed = at(desk, LinkingStage.FAILED)
        async with _adding(desk) as (device, shown):
            await desk.engine.answer_linking(shown.linking.id, False)
            await failed
            assert await device.ends() == 1
        assert len(await desk.engine.terminals()) == 1
