"""Linking a second device of one's own: words, profile, contacts, and what goes wrong (SPEC §7.8.1)."""

from __future__ import annotations

import asyncio
from pathlib import Path

from chat.interface import ContactChanged, IdentityChanged, TerminalState
from tests.support.engines import devices
from tests.support.engines.engines import contact, in_virtual_time, talk, two_contacts


@in_virtual_time
async def test_a_linked_device_begins_with_the_contacts_and_talks_to_them(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        await talk(ada, ben, "before")
        told = ben.wait(IdentityChanged)
        laptop = devices.device(ada, tmp_path / "laptop", "10.0.0.9")
        before = await contact(ada)
        await devices.link(ada, laptop)
        assert (await told).cause == 'added the device "laptop"'
        assert (await contact(ben)).verified
        mine = await contact(laptop)
        assert (mine.person, mine.name, mine.verified) == (before.person, "Ben", True)
        if not mine.present:
            await laptop.wait(ContactChanged, lambda event: event.contact.present)
        await talk(laptop, ben, "from the laptop")
        assert await ben.texts(ada) == ["before", "from the laptop"]
        views = await laptop.engine.terminals()
        assert [(view.this, view.name, view.state) for view in views] == [
            (False, "", TerminalState.LIVE),
            (True, "laptop", TerminalState.LIVE),
        ]
        assert not await laptop.engine.questions()
        assert not await ada.engine.questions()
        await asyncio.sleep(1)
        await laptop.engine.close()
