"""Engines on real sockets, which reach other terminals only through a relay."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from chat.engine import Engine
from chat.interface import ContactView, Event, PairingChanged, PairingStage, PairingView
from chat.network.connection import TcpConnection
from chat.network.transport import TcpTransport
from chat.ports import Ports, SystemClock
from tests.contract.subject import told
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
    await joiner.join((await inviter.invite()).text)
    await inviter.answer_pairing((await _stage(asked, PairingStage.JOINER)).id, True)
    for events in done:
        await _stage(events, PairingStage.DONE)


async def _stage(events: AsyncIterator[Event], stage: PairingStage) -> PairingView:
    return (await told(events, PairingChanged, lambda event: event.pairing.stage is stage)).pairing


async def only(engine: Engine) -> ContactView:
    (contact,) = await engine.contacts()
    return contact
