"""The door of a profile folder keeps what the fake one promises; its network is in memory."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from chat.assemble import door, filler
from chat.interface import CannotCreate, DoorState, NotPermitted
from chat.network import mdns, transport
from chat.ports import Connection, Listener
from chat.storage import folder as stored_folder
from chat.storage import profile
from chat.storage.errors import ProfileUnsettled, StorageBroken
from chat.storage.folder import NotDurable
from chat.storage.migrations import Fill
from protocol import profile_header
from protocol.identity.author import create_person
from tests.contract.door import PASSPHRASE, DoorContract, Doorway
from tests.support.fakes.keyring import system_keyring
from tests.support.fakes.messenger import FakeDoor
from tests.support.fakes.network import MemoryDiscovery, MemoryTransport, Network
from tests.support.machine import needs_files_of_posix


class TestFakeDoor(DoorContract):
    @pytest.fixture
    def doorway(self) -> Doorway:
        fake = FakeDoor(state=DoorState.NEW, passphrase=PASSPHRASE)
        return Doorway(fake, fake.damage)


class TestProfileDoor(DoorContract):
    @pytest.fixture
    def doorway(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Doorway]:
        network, folder = Network(), tmp_path / "profile"
        monkeypatch.setattr(transport, "TcpTransport", partial(MemoryTransport, network, "10.0.0.1"))
        monkeypatch.setattr(mdns, "ZeroconfDiscovery", partial(MemoryDiscovery, network, "10.0.0.1"))

        def damage() -> None:
            (folder / stored_folder.HEADER).write_bytes(b"not a header")

        with system_keyring():
            yield Doorway(door(folder, cost=profile_header.CHEAPEST), damage)


def created(folder: Path, fill: Fill) -> None:
    profile.create(folder, PASSPHRASE, fill, random=os.urandom, cost=profile_header.CHEAPEST).close()


@pytest.mark.parametrize("failure", [OSError(errno.EIO, "broken"), NotDurable(errno.EIO, "broken")])
async def test_a_new_profile_whose_port_cannot_be_stored_is_said_to_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: OSError
) -> None:
    network, folder = Network(), tmp_path / "profile"
    monkeypatch.setattr(transport, "TcpTransport", partial(MemoryTransport, network, "10.0.0.1"))

    def refuse(path: Path, data: bytes) -> None:
        raise failure

    monkeypatch.setattr(stored_folder, "replace_private", refuse)
    with pytest.raises(ProfileUnsettled):
        await door(folder, cost=profile_header.CHEAPEST).create("Ada", PASSPHRASE)
    profile.unlock(folder, PASSPHRASE).close()


async def test_an_engine_that_opens_is_waited_for_and_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, folder = Network(), tmp_path / "profile"
    reached, gate, looked = asyncio.Event(), asyncio.Event(), asyncio.Event()

    class Gate(MemoryTransport):
        """Listens only when the test lets it: so long an engine opens."""

        async def listen(self, port: int, accept: Callable[[Connection], Awaitable[None]]) -> Listener:
            reached.set()
            await gate.wait()
            return await super().listen(port, accept)

    monkeypatch.setattr(transport, "TcpTransport", partial(Gate, network, "10.0.0.1"))
    monkeypatch.setattr(mdns, "ZeroconfDiscovery", partial(MemoryDiscovery, network, "10.0.0.1"))

    def is_held(place: Path) -> bool:
        looked.set()
        return held(place)

    held = stored_folder.is_held
    monkeypatch.setattr(stored_folder, "is_held", is_held)
    created(folder, filler(create_person("Ada", os.urandom)))
    opening = asyncio.create_task(door(folder).unlock(PASSPHRASE))
    await reached.wait()
    looking = asyncio.create_task(door(folder).state())
    others = [asyncio.create_task(door(folder).unlock(PASSPHRASE, offline)) for offline in (False, True)]
    await looked.wait()
    gate.set()
    engine = await opening
    assert await looking is DoorState.RUNNING
    for other in await asyncio.gather(*others):
        assert await other.me() == await engine.me()
        await other.close()
    await engine.close()


async def test_a_profile_that_stays_held_is_refused_after_a_while(tmp_path: Path) -> None:
    folder = tmp_path / "profile"
    waited: list[str] = []
    created(folder, lambda _: None)
    holder = stored_folder.ProfileLock(folder)
    with pytest.raises(CannotCreate, match="another Parlour"):
        await door(folder).unlock(PASSPHRASE, patience=0, waits=lambda: waited.append("said"))
    assert waited == []  # it gave up before there was anything to say
    assert await door(folder).is_held()
    holder.release()
    assert not await door(folder).is_held()


async def test_a_lock_file_that_cannot_be_opened_is_a_failure_of_storage(tmp_path: Path) -> None:
    needs_files_of_posix()
    folder = tmp_path / "profile"
    created(folder, lambda _: None)
    (folder / "lock").unlink()
    (folder / "lock").mkdir()
    with pytest.raises(StorageBroken):
        await door(folder).state()


async def test_offline_a_profile_is_read_and_the_network_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[str] = []

    def way(name: str) -> Callable[..., Awaitable[None]]:
        async def take(*_: object) -> None:
            used.append(name)
            raise ConnectionError("the test has no network")

        return take

    monkeypatch.setattr(transport.TcpTransport, "listen", way("listen"))
    monkeypatch.setattr(transport.TcpTransport, "connect", way("connect"))
    monkeypatch.setattr(mdns.ZeroconfDiscovery, "start", way("start"))
    folder = tmp_path / "profile"
    created(folder, filler(create_person("Ada", os.urandom)))
    with pytest.raises(NotPermitted):
        await door(folder).unlock("not " + PASSPHRASE, offline=True)
    opened = await door(folder).unlock(PASSPHRASE, offline=True)
    assert (await opened.me()).name == "Ada"
    assert await opened.contacts() == ()
    assert await opened.search("anything") == ()
    await opened.set_preference("theme", "dark")
    assert not (folder / stored_folder.SOCKET).exists()
    await opened.close()
    assert await door(folder).state() is DoorState.LOCKED
    again = await door(folder).unlock(PASSPHRASE, offline=True)
    assert dict(await again.preferences()) == {"theme": "dark"}
    await again.close()
    assert used == []
    with pytest.raises(CannotCreate):
        await door(folder).unlock(PASSPHRASE)
    assert used == ["listen"], "the use of the network would be seen"


LOOK = """
import asyncio, pathlib, sys
from chat.assemble import door
found = asyncio.run(door(pathlib.Path(sys.argv[1])).state())
print(found, "sqlcipher3" in sys.modules, "chat.ipc.client" in sys.modules)
"""


def test_the_first_look_at_a_profile_loads_no_database(tmp_path: Path) -> None:
    """The first screen waits for it."""
    folder = tmp_path / "profile"
    created(folder, lambda _: None)
    done = subprocess.run([sys.executable, "-c", LOOK, folder], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["locked", "False", "False"]
