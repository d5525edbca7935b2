"""The door of a profile folder keeps what the fake one promises; its network is in memory."""

from __future__ import annotations

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
