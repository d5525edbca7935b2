"""The door of a profile folder keeps what the fake one promises; its network is in memory."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from chat.assemble import door
from chat.interface import DoorState
from chat.network import discovery, tcp
from chat.storage import vault
from tests.contract.door import PASSPHRASE, DoorContract, Doorway
from tests.fakes.messenger import FakeDoor
from tests.fakes.network import MemoryDiscovery, MemoryTransport, Network


class TestFakeDoor(DoorContract):
    @pytest.fixture
    def doorway(self) -> Doorway:
        fake = FakeDoor(state=DoorState.NEW, passphrase=PASSPHRASE)
        return Doorway(fake, fake.damage)


class TestProfileDoor(DoorContract):
    @pytest.fixture
    def doorway(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doorway:
        network, folder = Network(), tmp_path / "profile"
        monkeypatch.setattr(tcp, "TcpTransport", partial(MemoryTransport, network, "10.0.0.1"))
        monkeypatch.setattr(discovery, "ZeroconfDiscovery", partial(MemoryDiscovery, network, "10.0.0.1"))

        def damage() -> None:
            (folder / vault.HEADER).write_bytes(b"not a header")

        return Doorway(door(folder, cost=vault.CHEAPEST), damage)


LOOK = """
import asyncio, pathlib, sys
from chat.assemble import door
found = asyncio.run(door(pathlib.Path(sys.argv[1])).state())
print(found, "sqlcipher3" in sys.modules, "chat.remote" in sys.modules)
"""


def test_the_first_look_at_a_profile_loads_no_database(tmp_path: Path) -> None:
    """The first screen waits for it."""
    folder = tmp_path / "profile"
    vault.create(folder, PASSPHRASE, lambda _: None, random=os.urandom, cost=vault.CHEAPEST).close()
    done = subprocess.run([sys.executable, "-c", LOOK, folder], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["locked", "False", "False"]
