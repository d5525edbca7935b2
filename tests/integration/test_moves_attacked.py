"""What a person's own terminals do while one of them lies, is away, or is removed: found by attack."""

from __future__ import annotations

import asyncio
from pathlib import Path
from unittest import mock

from chat.interface import ContactChanged, DeletionScope
from protocol.entries_and_receipts import conversation_of_two
from protocol.identity.reduction import Standing
from protocol.messages import Digest, Digests, Head, Heads
from tests.integration.steps import current, dial, now, say
from tests.integration.test_amendments import shown
from tests.integration.test_deleted_on_all import deleted
from tests.integration.test_history_moves import write_many
from tests.integration.test_old_copies import keep, put_back
from tests.integration.test_own_terminals import arrives
from tests.integration.test_own_terminals_that_lie import remove
from tests.integration.test_shared_contacts import SETTLED
from tests.support.engines import devices
from tests.support.engines.engines import Person, in_virtual_time, invite, people, talk

SOON = 60.0

APART = 100.0
"""Seconds until links between hosts that were parted have ended, of which there is no event."""


def has_fresh(terminal: Person) -> bool:
    """Whether a secret is drawn that all live terminals of the person know, and nobody else."""
    return Standing.FRESH in terminal.engine._use_cases.keyring.own_log.drawn.values()


async def device(owner: Person, folder: Path, name: str, number: int) -> Person:
    """Another terminal of a person, linked, with its first links over."""
    new = devices.device(owner, folder / name, f"10.0.0.{number}", number)
    await devices.link(owner, new, name)
    await asyncio.sleep(SETTLED)
    return new


@in_virtual_time(limit=3600)
async def test_an_own_terminal_that_names_what_nobody_has_holds_up_no_text(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (network, (desk, ben)):
        await invite(desk, ben)
        laptop, phone = await device(desk, tmp_path, "laptop", 77), await device(desk, tmp_path, "phone", 78)
        for one, other in ((ben, phone), (ben, laptop), (laptop, phone)):
            network.part(one.host, other.host)
        await asyncio.sleep(APART)
        talked = conversation_of_two(desk.peer.person, ben.peer.person)
        false = Digest(talked, bytes([9]) * 32, bytes(32), 9, 0, answered=False)
        await current(laptop, desk).driver.send(Digests([false]))
        await asyncio.sleep(5)  # the lie has arrived, which shows nowhere
        heard = arrives(phone, "help me")
        since = now()
        await say(ben, desk, "help me")
        await heard
        assert now() - since < SOON
        await laptop.stop()
        await phone.stop()


@in_virtual_time(limit=3600)
async def test_heads_that_have_the_history_walked_in_vain_take_a_tenth_of_the_time(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (desk, ben)):
        await invite(desk, ben)
        await write_many(desk, ben, 300)
        thief = await device(desk, tmp_path, "phone", 78)
        talked = conversation_of_two(desk.peer.person, ben.peer.person)
        outgoing = desk.engine._use_cases.forwarding.links[current(desk, thief)]
        step, worked = outgoing._answers.step, list[float]()

        async def slow() -> bool:
            await asyncio.sleep(0.05)  # as long as it may take, which virtual time does not show
            worked.append(now())
            return await step()

        with mock.patch.object(outgoing._answers, "step", slow):
            link = current(thief, desk)
            for number in range(300):
                unknown = Head(bytes(32), number + 1, number.to_bytes(32, "big"))
                await link.driver.send(Heads(talked, b"", [unknown], more=False))
            await talk(ben, desk, "behind the heads")
            await asyncio.sleep(60)
        assert len(worked) > 50
        assert len(worked) * 0.05 <= 0.11 * (worked[-1] - worked[0]) + 1.0
        await thief.stop()


@in_virtual_time(limit=20_000)
async def test_links_that_end_again_and_again_keep_no_honest_answer_away(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben") as (_, (ada, ben)):
        await invite(ada, ben)
        await talk(ada, ben, "old")
        await ben.stop()
        keep(ben, tmp_path / "copy")
        await ben.start()
        await talk(ada, ben, "new")
        until = now() + 1200
        while now() < until:
            if (link := ada.engine._use_cases.links.current(ben.peer)) is None:
                await dial(ada, ben)
            else:
                link.driver.abort()
            await asyncio.sleep(2)  # the pace of the attack
        await ben.stop()
        put_back(ben, tmp_path / "copy")
        came = arrives(ben, "new")
        await ben.start()
        since = now()
        await came
        assert now() - since < SOON


@in_virtual_time(limit=3600)
async def test_a_pairing_by_a_terminal_that_does_not_know_of_a_removal_is_renewed(tmp_path: Path) -> None:
    async with people(tmp_path, "Ada", "Ben", "Cleo") as (network, (desk, ben, cleo)):
        await invite(desk, ben)
        phone, laptop = await device(desk, tmp_path, "phone", 78), await device(desk, tmp_path, "laptop", 77)
        apart = [(desk, phone), (desk, laptop), (ben, phone), (ben, laptop)]
        for one, other in apart:
            network.part(one.host, other.host)
        await asyncio.sleep(APART)
        await desk.engine.remove_terminal((await laptop.engine.me()).terminal)
        for question in await phone.engine.questions():
            await phone.engine.confirm_own(question.operation)
        known = laptop.wait(ContactChanged, lambda event: event.contact.name == "Cleo")
        await invite(phone, cleo)
        await known
        assert [one.name for one in await laptop.engine.contacts()] == ["Ben", "Cleo"]  # it knows the secret
        network.cut(laptop.host)
        for one, other in apart[:1]:
            network.join(one.host, other.host)
        await asyncio.sleep(120)
        assert has_fresh(desk)
        assert has_fresh(phone)
        await laptop.stop()
        await phone.stop()


@in_virtual_time(limit=7200)
async def test_what_its_author_deleted_here_alone_is_deleted_on_all_devices(tmp_path: Path) -> None:
    """A removed terminal of the author reached one of them, and its delete does not count on the others."""
    async with people(tmp_path, "Ada", "Ben") as (network, (desk, ben)):
        await invite(desk, ben)
        laptop, thief = await device(desk, tmp_path, "laptop", 77), await device(ben, tmp_path, "phone", 79)
        everywhere = [arrives(one, "a text") for one in (laptop, thief)]
        entry = await talk(ben, desk, "a text")
        await asyncio.gather(*everywhere)
        for one, other in ((desk, laptop), (laptop, thief), (desk, ben), (ben, thief)):
            network.part(one.host, other.host)
        await asyncio.sleep(APART)
        await remove(ben, thief)
        gone = deleted(desk, entry)
        await thief.engine.delete(await thief.contact(desk), entry, DeletionScope.EVERYONE)
        await gone
        await desk.engine.delete(await desk.contact(ben), entry, DeletionScope.MINE)
        network.cut(thief.host)
        gone = deleted(laptop, entry)
        network.join(desk.host, laptop.host)
        await gone
        assert [kind for kind, *_ in await shown(laptop, ben)] == ["deleted"]
        await laptop.stop()
        await thief.stop()
