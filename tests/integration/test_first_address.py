"""A contact that was dialled to pair is reached at that address, with no announcement heard, ever after."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chat.service.person_logs import PendingContacts
from protocol.pairing.record import PendingContact
from tests.support.engines.engines import Person, in_virtual_time, invite, people, talk
from tests.support.fakes.network import MemoryDiscovery


@pytest.fixture(autouse=True)
def _multicast_is_blocked(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unheard(*_: object) -> None:
        """Nothing gets through."""

    monkeypatch.setattr(MemoryDiscovery, "announce", unheard)


def slow_disk(monkeypatch: pytest.MonkeyPatch, slow: Person) -> None:
    """One side stores a new contact a second after the other."""
    store = PendingContacts.store

    async def late(self: PendingContacts, contact: PendingContact, verified: bool) -> None:
        if self._world is slow.engine._world:
            await asyncio.sleep(1)
        await store(self, contact, verified)

    monkeypatch.setattr(PendingContacts, "store", late)


@pytest.mark.parametrize("seed", range(1, 5))
@in_virtual_time(limit=30)
async def test_whoever_joined_dials_the_inviter_however_late_it_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    async with people(tmp_path, "Ada", "Ben", seed=seed) as (_, (ada, ben)):
        slow_disk(monkeypatch, ada)
        await invite(ada, ben)
        await talk(ben, ada, "by the address of the invitation")


@in_virtual_time(limit=30)
async def test_the_address_is_still_known_after_a_restart(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        await invite(ada, ben)
        await ben.stop()
        await ben.start()
        await talk(ben, ada, "after a restart")
