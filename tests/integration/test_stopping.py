"""An engine that receives a request to stop or to lock does so, whatever is under way."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from chat.errors import CUT, ENGINE_ENDED, REFUSED, Phrase
from chat.interface import Closed, NearbyChanged, Notice, PairingStage
from chat.network.driver import Driver, Opening
from chat.network.mdns import ZeroconfDiscovery
from chat.ports import Announcement
from chat.storage.errors import StorageFull
from chat.tasks import Beat, Tasks
from protocol.link.states import LinkClosed
from tests.integration.steps import in_touch
from tests.support.engines.engines import in_virtual_time, pair, people
from tests.support.fakes.network import MemoryTransport


@in_virtual_time(limit=60)
async def test_what_a_task_began_while_it_was_stopped_is_stopped_too() -> None:
    failures: list[BaseException] = []
    tasks = Tasks(failures.append)

    async def last_wish() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            tasks.spawn(asyncio.sleep(100))

    tasks.spawn(last_wish())
    await asyncio.sleep(0)
    await asyncio.wait_for(tasks.stop(), 10)
    assert not tasks._running
    assert not failures


@in_virtual_time(limit=60)
async def test_a_task_that_loses_its_cancellation_is_cancelled_again() -> None:
    tasks, woken = Tasks(lambda error: None), asyncio.Event()

    async def deaf_once() -> None:
        await asyncio.wait_for(woken.wait(), 100)
        await asyncio.Event().wait()

    tasks.spawn(deaf_once())
    await asyncio.sleep(1)
    woken.set()
    await asyncio.sleep(0)
    await asyncio.wait_for(tasks.stop(), 10)


@pytest.mark.parametrize(
    ("end", "reason"), [("close", ENGINE_ENDED), ("lock", Phrase("The profile was locked."))]
)
@in_virtual_time
async def test_an_engine_that_ends_says_so_in_a_sentence(tmp_path: Path, end: str, reason: Phrase) -> None:
    """A screen that is attached to it shows no more than this."""
    async with people(tmp_path, "Ada") as (_network, (ada,)):
        events = ada.engine.events()
        await getattr(ada.engine, end)()
        said = [event async for event in events]
        assert said[-1] == Closed(reason, locked=end == "lock")
        assert reason.endswith(".")


@in_virtual_time
async def test_nobody_gets_a_link_with_an_engine_that_has_locked(tmp_path: Path) -> None:
    async with in_touch(tmp_path) as (network, ada, ben):
        connection = await MemoryTransport(network, ada.host).connect(ben.host, 4747, 1.0)
        await asyncio.sleep(0.1)
        await ben.engine.lock()
        parts = ada.engine._use_cases
        psks = parts.keyring.dial_psks(ben.peer)
        opening = Opening(parts.sync.adopt)
        driver = Driver(connection, parts.dialer._link(ben.peer, psks), ada.clock, Beat(), opening)
        running = asyncio.ensure_future(driver.run())
        assert isinstance(await opening.result, LinkClosed)
        await running
        assert not parts.links.is_present(ben.peer.person)


@in_virtual_time
async def test_an_engine_that_stops_says_that_its_pairings_have_ended(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        words = ada.stage(PairingStage.WORDS), ben.stage(PairingStage.WORDS)
        await ada.engine.pair_nearby((await ada.sees("Ben")).instance)
        await asyncio.gather(*words)
        ended = ada.stage(PairingStage.FAILED), ben.stage(PairingStage.FAILED)
        await ada.engine.lock()
        mine, theirs = await asyncio.wait_for(asyncio.gather(*ended), 1)
        assert (mine.pairing.problem, theirs.pairing.problem) == (CUT, REFUSED)  # by a Close, not by a cut


@in_virtual_time
async def test_housekeeping_and_announcing_survive_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with people(tmp_path, "Ada", "Ben", "Cleo") as (_, (ada, ben, cleo)):
        await pair(ada, ben)
        fail_once(monkeypatch, ada.engine._use_cases.accept, "drop_expired", StorageFull())
        fail_once(monkeypatch, ada.engine._ports.discovery, "announce", OSError("no network"))
        await ada.engine.set_visible(True)
        await asyncio.sleep(60)
        await ada.engine.set_visible(True)
        await cleo.sees("Ada")
        gone = cleo.wait(NearbyChanged, lambda event: all(view.name != "Ada" for view in event.nearby))
        await asyncio.wait_for(gone, 130)
        assert any(isinstance(event, Notice) for event in ada.seen)


def fail_once(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, error: Exception) -> None:
    """Let a method raise at its next call."""
    original, left = getattr(owner, name), [error]

    async def failing(*arguments: Any) -> Any:
        if left:
            raise left.pop()
        return await original(*arguments)

    monkeypatch.setattr(owner, name, failing)


async def test_a_change_of_network_in_the_middle_of_an_announcement_is_a_network_error() -> None:
    discovery = ZeroconfDiscovery(interfaces=["127.0.0.1"])
    await discovery.start(Mock())
    try:
        assert discovery._running is not None
        multicast = discovery._running._multicast
        assert multicast is not None
        await multicast._zeroconf.async_close()
        slots = tuple(bytes([number]) * 8 for number in range(32))
        with pytest.raises(OSError, match="shut"):
            await discovery.announce(Announcement("ab" * 8, ("127.0.0.1",), 4747, slots))
    finally:
        await discovery.close()


SHOW = """
import os, resource, sys
from pathlib import Path
from chat.assemble import door
resource.setrlimit(resource.RLIMIT_CORE, (resource.getrlimit(resource.RLIMIT_CORE)[1],) * 2)
if sys.argv[2] == "door":
    door(Path(sys.argv[1]) / "profile")
Path(sys.argv[1], "made").write_text("x")
print(resource.getrlimit(resource.RLIMIT_CORE)[0], oct(Path(sys.argv[1], "made").stat().st_mode & 0o777))
"""


def test_attack_78_no_core_file_is_written_and_no_file_is_open_to_others(tmp_path: Path) -> None:
    def shown(way: str) -> list[str]:
        command = [sys.executable, "-c", SHOW, str(tmp_path), way]
        done = subprocess.run(command, capture_output=True, text=True, check=True, umask=0o022)
        return done.stdout.split()

    assert shown("no door")[1] == "0o644", "without it files would be open to others"
    (tmp_path / "made").unlink()
    assert shown("door") == ["0", "0o600"]
