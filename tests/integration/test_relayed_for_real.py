"""Two engines and a relay that runs as a process of its own, over real sockets on this machine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

from chat.assemble import filler
from chat.config import Config
from chat.engine import Engine, open_engine
from chat.interface import ContactView, EntryAdded, EntryChanged, EntryState, PairingChanged, PairingStage
from chat.network.connection import TcpConnection
from chat.network.transport import TcpTransport
from chat.ports import Ports, SystemClock
from chat.storage import profile
from protocol import profile_header
from protocol.identity.author import create_person
from tests.support.engines.engines import PASSPHRASE
from tests.support.fakes.network import MemoryDiscovery, Network
from tests.support.relay.processes import relay

PATIENCE = 60.0
"""Seconds after which a test that waits is broken; no test passes because of it."""


class NoWayTo(TcpTransport):
    """This machine's sockets, but for the direct way to any other terminal."""

    async def connect(self, host: str, port: int, timeout: float) -> TcpConnection:
        raise OSError("no route to host")


@asynccontextmanager
async def engine(name: str, folder: Path) -> AsyncIterator[Engine]:
    """A new person's engine, which announces itself to nobody."""
    made = profile.create(
        folder / name,
        PASSPHRASE,
        filler(create_person(name, os.urandom)),
        random=os.urandom,
        cost=profile_header.CHEAPEST,
    )
    ports = Ports(SystemClock(), os.urandom, NoWayTo(), MemoryDiscovery(Network(), name))
    running = await open_engine(made, ports, Config(), ThreadPoolExecutor(1))
    await running.start()
    try:
        yield running
    finally:
        await running.close()


async def pairs(inviter: Engine, joiner: Engine) -> None:
    """By an invitation, which the inviter confirms."""
    asked, done = inviter.events(), (inviter.events(), joiner.events())
    invitation = await inviter.invite()
    await joiner.join(invitation.text)
    async for event in asked:
        if isinstance(event, PairingChanged) and event.pairing.stage is PairingStage.JOINER:
            await inviter.answer_pairing(event.pairing.id, True)
            break
    for events in done:
        async for event in events:
            if isinstance(event, PairingChanged) and event.pairing.stage is PairingStage.DONE:
                break


async def only(engine: Engine) -> ContactView:
    (contact,) = await engine.contacts()
    return contact


async def talk(one: Engine, other: Engine, text: str) -> None:
    """Say something, until it is delivered."""
    events, arriving = one.events(), other.events()
    sent = await one.send((await only(one)).person, text)
    async for event in arriving:
        if isinstance(event, EntryAdded) and event.entry.text == text:
            break
    async for event in events:
        if isinstance(event, EntryChanged) and (event.id, event.state) == (sent.id, EntryState.DELIVERED):
            break


async def test_two_pair_by_an_invitation_and_talk_through_a_relay_alone(tmp_path: Path) -> None:
    with relay() as running:
        folder = tmp_path
        async with asyncio.timeout(PATIENCE), engine("Ada", folder) as ada, engine("Ben", folder) as ben:
            await ada.add_relay(str(running.address))
            await pairs(ada, ben)
            assert [view.address for view in await ben.relays()] == [str(running.address)]
            await talk(ada, ben, "hello through the relay")
            await talk(ben, ada, "hello yourself")
            assert (await only(ada)).relayed
            assert (await only(ben)).relayed
