"""A profile that is opened only to be read is read without the network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chat.assemble import ProfileDoor, door, filler
from chat.interface import CannotCreate, DoorState, Messenger, NotPermitted
from chat.network.mdns import ZeroconfDiscovery
from chat.network.transport import TcpTransport
from chat.storage import folder as stored_folder
from chat.storage import profile as stored_profile
from protocol import profile_header
from protocol.identity.author import create_person
from tests.support.storage.samples import seeded

PASSPHRASE = "correct horse"


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which ways into the network were taken; they end there."""
    taken: list[str] = []

    def way(name: str) -> Callable[..., Any]:
        async def take(*_: object) -> None:
            taken.append(name)
            raise ConnectionError("the test has no network")

        return take

    for kind, method in ((TcpTransport, "listen"), (TcpTransport, "connect"), (ZeroconfDiscovery, "start")):
        monkeypatch.setattr(kind, method, way(f"{kind.__name__}.{method}"))
    return taken


@pytest.fixture
def profile(tmp_path: Path) -> ProfileDoor:
    """A profile with no contact, locked."""
    person = create_person("Ada", seeded("offline"))
    folder = tmp_path / "profile"
    stored_profile.create(
        folder, PASSPHRASE, filler(person), random=seeded("vault"), cost=profile_header.CHEAPEST
    ).close()
    return door(folder)


async def read(opened: Messenger) -> None:
    assert (await opened.me()).name == "Ada"
    assert await opened.contacts() == ()
    assert await opened.search("anything") == ()
    await opened.set_preference("theme", "dark")


async def test_offline_a_profile_is_read_and_the_network_is_left_alone(
    profile: ProfileDoor, tmp_path: Path, used: list[str]
) -> None:
    opened = await profile.unlock(PASSPHRASE, offline=True)
    await read(opened)
    assert not (tmp_path / "profile" / stored_folder.SOCKET).exists()
    await opened.close()
    assert used == []
    assert await profile.state() is DoorState.LOCKED
    again = await profile.unlock(PASSPHRASE, offline=True)
    assert dict(await again.preferences()) == {"theme": "dark"}
    await again.close()


async def test_offline_too_a_wrong_passphrase_opens_nothing(profile: ProfileDoor, used: list[str]) -> None:
    with pytest.raises(NotPermitted):
        await profile.unlock("not " + PASSPHRASE, offline=True)
    assert used == []


async def test_the_network_that_is_left_alone_would_be_seen(profile: ProfileDoor, used: list[str]) -> None:
    with pytest.raises(CannotCreate):
        await profile.unlock(PASSPHRASE)
    assert used == ["TcpTransport.listen"]
