"""A disk that is full or slow: what is called sent is committed, and nothing waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from chat.interface import Notice, PairingChanged, PairingStage
from chat.network.links import LiveLink
from chat.service.person_logs import PendingContacts
from chat.service.sync import Inbound
from chat.storage.errors import StorageFull
from protocol.entries import ParsedEntry
from tests.support.engines.engines import (
    Person,
    delivered,
    in_virtual_time,
    invite,
    pair,
    people,
    talk,
    two_contacts,
)


@pytest.mark.parametrize("way", [pair, invite])
@in_virtual_time
async def test_a_complete_pairing_is_not_called_cut_by_the_other_who_closes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: object
) -> None:
    slow_for_ada(monkeypatch, "store")
    slow_for_ada(monkeypatch, "promote")
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        assert callable(way)
        await way(ada, ben)
        assert not failures(ada) + failures(ben)


def slow_for_ada(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let a use case of Ada's pending contacts begin a second late."""
    original = getattr(PendingContacts, name)

    async def slowly(self: PendingContacts, *arguments: Any, **options: Any) -> None:
        await asyncio.sleep(1 if self._keyring.own_log.name == "Ada" else 0)
        await original(self, *arguments, **options)

    monkeypatch.setattr(PendingContacts, name, slowly)


def failures(person: Person) -> list[str]:
    """The problems of pairings that failed here."""
    changes = [event.pairing for event in person.seen if isinstance(event, PairingChanged)]
    return [view.problem for view in changes if view.stage is PairingStage.FAILED]


@in_virtual_time
async def test_attack_74_links_with_a_full_disk_are_not_opened_in_a_race(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_contacts(tmp_path) as (network, ada, ben):
        await talk(ada, ben, "before")
        original, streams = Inbound._store_entries, len(network.pipes)

        async def full(self: Inbound, link: LiveLink, parsed: Sequence[ParsedEntry]) -> None:
            if self is ada.engine._use_cases.inbound:
                raise StorageFull
            await original(self, link, parsed)

        monkeypatch.setattr(Inbound, "_store_entries", full)
        await ben.engine.send(await ben.contact(ada), "waits at Ben's")
        await asyncio.sleep(120)
        assert 0 < sum(isinstance(event, Notice) for event in ada.seen) < 40
        assert len(network.pipes) - streams < 200
        monkeypatch.setattr(Inbound, "_store_entries", original)
        await asyncio.wait_for(delivered(ben, 1), ada.config.retry_most + 1)
        assert (await ada.texts(ben))[-1] == "waits at Ben's"
