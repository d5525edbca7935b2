"""A stolen terminal attacks the renewal of secrets (SPEC §7.6)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

from chat.interface import EntryAdded
from protocol.messages import RenewedShare
from protocol.pairing.renewal import draw_share, number_of, share_message
from tests.integration.steps import current
from tests.integration.test_own_terminals import linked, terminal_of
from tests.integration.test_renewal import keyring, three_and_ben
from tests.support.engines.engines import Person, in_virtual_time, talk

FLOOD = 8


def drawn_again(thief: Person, other: Person) -> Iterator[RenewedShare]:
    """Shares that one terminal drew under the same heads, each newer than the one before."""
    of, contact = keyring(thief), keyring(other).own.person
    (pair,) = of.contacts[contact].pairs
    secrets = sorted((bytes([number]) * 32 for number in range(1, FLOOD + 1)), key=number_of)
    drawn = iter(secrets)
    for _ in secrets:
        made = draw_share(
            of.own.person,
            contact,
            pair.root,
            of.own_log.heads,
            of.own.terminal,
            of.own.signing_seed,
            lambda _: next(drawn),
        )
        message = share_message(of.own.person, contact, pair.root, made)
        assert message is not None
        yield message


@in_virtual_time(limit=3600)
async def test_many_shares_of_a_stolen_terminal_lock_no_other_one_out(tmp_path: Path) -> None:
    """The phone has the contact hold shares alone that no other terminal of its person has."""
    async with three_and_ben(tmp_path) as (_, desk, laptop, phone, ben):
        link = current(phone, ben)
        for message in drawn_again(phone, ben):
            await link.driver.send(message)
        await asyncio.sleep(20)
        await phone.stop()
        await ben.stop()
        await desk.engine.remove_terminal(terminal_of(phone), True)
        await asyncio.sleep(60)
        await ben.start()
        await asyncio.sleep(120)
        assert linked(desk, ben)
        assert linked(laptop, ben)
        there = laptop.wait(EntryAdded, lambda event: event.entry.text == "after")
        await talk(ben, desk, "after")
        await there
        newest = keyring(desk).contacts[keyring(ben).own.person].pairs[0].newest()
        assert keyring(ben).contacts[keyring(desk).own.person].pairs[0].newest() == newest
