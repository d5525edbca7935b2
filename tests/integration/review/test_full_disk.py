"""A contact whose disk takes nothing is tried again and again, but not in a race."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from chat.interface import Notice
from chat.network.links import LiveLink
from chat.service.sync import Inbound
from chat.storage.errors import StorageFull
from protocol.entries import ParsedEntry
from tests.support.engines.engines import delivered, in_virtual_time, pair, people, talk


@in_virtual_time
async def test_attack_74_links_with_a_full_disk_are_not_opened_in_a_race(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with people(tmp_path, "Ada", "Ben") as (network, (ada, ben)):
        await pair(ada, ben)
        await talk(ada, ben, "before")
        original, streams = Inbound._store, len(network.pipes)

        async def full(self: Inbound, link: LiveLink, parsed: Sequence[ParsedEntry]) -> None:
            if self._world is ada.engine._world:
                raise StorageFull
            await original(self, link, parsed)

        monkeypatch.setattr(Inbound, "_store", full)
        await ben.engine.send(await ben.contact(ada), "waits at Ben's")
        await asyncio.sleep(120)
        assert 0 < sum(isinstance(event, Notice) for event in ada.seen) < 40
        assert len(network.pipes) - streams < 200
        monkeypatch.setattr(Inbound, "_store", original)
        await asyncio.wait_for(delivered(ben, 1), ada.config.retry_most + 1)
        assert (await ada.texts(ben))[-1] == "waits at Ben's"
