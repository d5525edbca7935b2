"""Presence is what the keepalive says, and nothing that ends a link makes a contact present."""

from __future__ import annotations

import asyncio
from pathlib import Path

from chat.interface import ContactChanged
from tests.support.engines.engines import in_virtual_time, pair, people, talk


@in_virtual_time
async def test_a_contact_that_went_away_is_not_shown_present_when_its_link_ends(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (network, (ada, ben)):
        await pair(ada, ben)
        await talk(ada, ben, "before")
        gone = ada.wait(ContactChanged, lambda event: not event.contact.present)
        network.cut(ben.host)
        await gone
        since = len(ada.seen)
        await asyncio.sleep(60)
        later = [event.contact for event in ada.seen[since:] if isinstance(event, ContactChanged)]
        assert not any(contact.present for contact in later)
        assert not ada.engine._world.links.all()
