"""A device is linked while another one, which does not hear of it, signs a Renew (SPEC §7.6)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from protocol.identity.reduction import Standing
from protocol.limits import LINK_SECONDS_MAX
from tests.integration.steps import same_history, say
from tests.integration.test_own_terminals import linked, terminal_of
from tests.integration.test_renewal import best, keyring, three_and_ben
from tests.support.engines import devices
from tests.support.engines.engines import Person, in_virtual_time, talk
from tests.support.fakes.network import Network

NEW = "10.0.0.6"


def cut_off(network: Network, one: Person, *others: Person) -> None:
    for other in others:
        network.part(one.host, other.host)


async def texts(at: Person, contact: bytes) -> list[tuple[str, bool, str]]:
    """What a device shows of a conversation: text, whether it is an own one, and whose claim it is."""
    return [
        (one.text, one.own, one.claimed) for one in await at.engine.history(contact.hex(), 50) if one.text
    ]


@pytest.mark.parametrize("carried", [False, True], ids=["own devices meet first", "the contact carries"])
@in_virtual_time(limit=7200)
async def test_a_device_linked_beside_a_renewal_has_all_that_the_others_have(
    tmp_path: Path, carried: bool
) -> None:
    """The desk removes the phone while the laptop, apart from it, links a new one; each writes meanwhile."""
    async with three_and_ben(tmp_path) as (network, desk, laptop, phone, ben):
        new = devices.device(laptop, tmp_path / "new", NEW, 99)
        own, person = keyring(desk).own.person, keyring(ben).own.person
        added = keyring(laptop).own_log.live[bytes.fromhex(terminal_of(phone))].operation
        await laptop.engine.confirm_own(added.hex())
        cut_off(network, desk, laptop, phone, new)
        cut_off(network, laptop, phone, ben)
        cut_off(network, new, phone, ben)
        await asyncio.sleep(60)
        await desk.engine.remove_terminal(terminal_of(phone))
        await devices.link(laptop, new, "new")
        for one, name in ((desk, "desk"), (laptop, "laptop"), (new, "new")):
            await one.engine.send(own.hex(), f"note of the {name}")
            if one is not desk:
                await say(one, ben, f"from the {name}")
        await talk(desk, ben, "from the desk")
        await asyncio.sleep(60)
        renewed = keyring(desk).own_log.heads
        assert not set(renewed) & keyring(new).own_log.drawn.keys()

        if carried:
            network.join(laptop.host, ben.host)
            network.join(new.host, ben.host)
            await asyncio.sleep(2 * LINK_SECONDS_MAX)
            assert linked(new, ben)
        for one in (laptop, new):
            network.join(desk.host, one.host)
            if not carried:
                network.join(one.host, ben.host)
        await asyncio.sleep(120)

        three = (desk, laptop, new)
        for one, other in ((desk, laptop), (desk, new), (laptop, new)):
            await same_history(one, other)
        for contact, names in ((own, "note of the"), (person, "from the")):
            shown = [await texts(one, contact) for one in three]
            assert shown[0] == shown[1] == shown[2]
            said = {text for text, is_own, claimed in shown[0] if is_own and not claimed}
            assert said >= {f"{names} {name}" for name in ("desk", "laptop", "new")}
        states = [keyring(one).own_log.drawn for one in three]
        newest = next(iter(states[0]))
        assert newest not in renewed, (
            "the Renew that knew nothing of the new device is followed by another one"
        )
        assert states[0][newest] is Standing.FRESH
        for one in three:
            assert next(iter(keyring(one).own_log.drawn)) == newest
            assert newest in {each.operation for each in keyring(one).own.drawn}
        await asyncio.sleep(2 * LINK_SECONDS_MAX)
        assert best(desk, ben) == best(laptop, ben) == best(new, ben) == best(ben, desk)
        await talk(ben, new, "to the new one")
        await talk(new, ben, "and back")
        await asyncio.sleep(60)
        for one in (desk, laptop):
            assert [each[1:] for each in await texts(one, person) if each[0] == "and back"] == [(True, "")]
        await new.engine.close()
