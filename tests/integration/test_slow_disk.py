"""A disk that is slower than the network: what was agreed on is not called off meanwhile.

Rules: two real engines in virtual time; only the moment at which a commit ends is moved.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from chat.interface import PairingChanged, PairingStage
from chat.service.person_logs import PendingContacts
from tests.support.engines.engines import Person, in_virtual_time, invite, pair, people


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
        await asyncio.sleep(1 if self._world.keyring.own.name == "Ada" else 0)
        await original(self, *arguments, **options)

    monkeypatch.setattr(PendingContacts, name, slowly)


def failures(person: Person) -> list[str]:
    """The problems of pairings that failed here."""
    changes = [event.pairing for event in person.seen if isinstance(event, PairingChanged)]
    return [view.problem for view in changes if view.stage is PairingStage.FAILED]
