"""Who holds a key: invitations that a thief answers, and static keys in several persons' logs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from chat.interface import PairingChanged, Unreachable
from chat.service.keyring import OpenInvitation
from chat.storage import keys
from protocol.keys import X25519Pair
from protocol.pairing.invitation import parse_invitation
from tests.integration.steps import join
from tests.support.engines.engines import Person, in_virtual_time, invite, people


@in_virtual_time
async def test_case_83_who_poses_as_the_inviter_learns_nothing_of_the_joiner(tmp_path: Path) -> None:
    """Mallory has seen the text, and answers at the address of the inviter, who is away."""
    async with people(tmp_path, "Ada", "Ben") as (network, (ada, ben)):
        text = (await ada.engine.invite()).text
        await ada.stop()
        mallory = Person("Mallory", ada.host, tmp_path / "Mallory", network, ada.config, 900)
        await mallory.create()
        stolen = parse_invitation(text)
        open_ones = mallory.engine._use_cases.keyring.invitations
        open_ones[stolen.secret] = OpenInvitation(stolen, text, X25519Pair.generate(), None)
        network.seen.clear()
        with pytest.raises(Unreachable):
            await ben.engine.join(text)
        said = [data for here, there, data in network.seen if (here, there) == (ben.host, ada.host)]
        assert 0 < sum(map(len, said)) <= 2 + 51  # a choice and message 1, which holds an ephemeral key
        assert not [event for event in mallory.seen if isinstance(event, PairingChanged)]
        assert open_ones[stolen.secret].burned_by is None
        await mallory.engine.close()
        await ada.start()
        await join(ada, ben, text)


async def secrets_of(person: Person) -> list[bytes]:
    """The one-time secrets in the profile."""
    rows = await person.engine._use_cases.store.read(keys.invitations)
    return [row.one_time for row in rows]


@in_virtual_time(limit=3 * 3600.0)
async def test_case_83_the_one_time_secret_goes_with_its_invitation(tmp_path: Path) -> None:
    """When the pairing is done, when the invitation expires, and when it expired while nobody was there."""
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        await invite(ada, ben)
        await asyncio.sleep(1)
        assert await secrets_of(ada) == []
        await ada.engine.invite()
        assert len(await secrets_of(ada)) == 1
        await asyncio.sleep(3_700)
        assert await secrets_of(ada) == []
        await ada.engine.invite()
        await ada.stop()
        await asyncio.sleep(3_700)
        await ada.start()
        await asyncio.sleep(1)
        assert await secrets_of(ada) == []
        assert ada.engine._use_cases.keyring.invitations == {}


@in_virtual_time
async def test_case_83_every_invitation_has_a_key_of_its_own_that_outlives_a_restart(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        texts = [(await ada.engine.invite()).text for _ in range(4)]
        assert len({parse_invitation(text).one_time for text in texts}) == 4
        assert len(set(await secrets_of(ada))) == 4
        await ada.stop()
        await ada.start()
        await join(ada, ben, texts[2])
