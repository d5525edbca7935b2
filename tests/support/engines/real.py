"""Engines on real sockets, which reach other terminals only through a relay."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from chat.engine import Engine
from chat.interface import ContactView, PairingChanged, PairingStage
from chat.network.connection import TcpConnection
from chat.network.transport import TcpTransport
from chat.ports import Ports, SystemClock
from tests.support.engines.engines import DEFAULTS, Person
from tests.support.fakes.network import MemoryDiscovery, Network


class NoWayTo(TcpTransport):
    """This machine's sockets, but for the direct way to any other terminal."""

    async def connect(self, host: str, port: int, timeout: float) -> TcpConnection:
        raise OSError("no route to host")


@dataclass
class RealPerson(Person):
    """A person whose engine announces itself to nobody."""

    def ports(self) -> Ports:
        return Ports(SystemClock(), os.urandom, NoWayTo(), MemoryDiscovery(Network(), self.host))


@asynccontextmanager
async def engine(name: str, folder: Path) -> AsyncIterator[Engine]:
    """A new person's engine."""
    seed = int.from_bytes(os.urandom(8))
    person = RealPerson(name, name, folder / name, Network(), DEFAULTS, seed)
    await person.create()
    try:
        yield person.engine
    finally:
        await person.stop()


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
