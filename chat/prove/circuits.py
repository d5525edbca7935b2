"""Two terminals' ends of a circuit through a relay, with a real session over it, and a tap before the relay.

Rules: what is searched for later is made here, outside of the relay; the ends know the relay's address and
nothing else of it.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress

from chat.network.circuit import Circuit
from chat.network.connection import TcpConnection
from chat.network.relay_line import CONNECT_WITHIN, Lost, RelayLine
from chat.ports import Connection, Listener, RelayPlace, SystemClock
from chat.prove.findings import CannotShow
from chat.prove.loopback import HERE, LoopbackTransport
from protocol.frames import length_of
from protocol.keys import X25519Pair
from protocol.primitives import CHACHA20POLY1305
from protocol.ratchet import RatchetSession, parlour_parameters
from protocol.relay_address import RelayAddress

CONTENT = 200
TOKEN = 16


class _Keeping(LoopbackTransport):
    """Keeps hold of the stream that it opened to a relay."""

    opened: TcpConnection

    async def connect_relay(self, relay: RelayPlace, timeout: float) -> TcpConnection:
        self.opened = await super().connect_relay(relay, timeout)
        return self.opened


async def line_to(relay: RelayAddress) -> tuple[RelayLine, TcpConnection]:
    """A terminal's connection to a relay that has proved its key, and the stream under it.

    Raises CannotShow.
    """
    transport = _Keeping()
    transport.name_relays([relay])
    try:
        return await RelayLine.open(transport, relay, SystemClock(), os.urandom), transport.opened
    except (OSError, Lost) as error:
        raise CannotShow(f"the relay at {relay.host}:{relay.port} is not reached ({error})") from None


async def circuit(relay: RelayAddress) -> tuple[Circuit, Circuit]:
    """Both ends of a circuit: who dialled, who waited. Raises CannotShow."""
    token = secrets.token_bytes(TOKEN)
    (waiting, _), (dialling, _) = await line_to(relay), await line_to(relay)
    try:
        waiting.wait([token])
        await waiting.called()
        called = asyncio.create_task(_called(waiting))
        reached = await dialling.dial(token)
        if reached is None:
            raise CannotShow("the relay does not find who waits at it")
        return reached.circuit, await called
    except Lost as error:
        raise CannotShow(f"the relay ended a connection ({error})") from None


async def _called(waiting: RelayLine) -> Circuit:
    while (found := await waiting.called()) is None:
        pass
    return found.circuit


async def receive(end: Connection, size: int) -> bytes:
    """Exactly so many bytes. Raises CannotShow where the circuit ends before."""
    data = bytearray()
    while len(data) < size:
        part = await end.read()
        if not part:
            raise CannotShow("the relay ended a circuit")
        data += part
    return bytes(data)


async def echo(one: Connection, other: Connection) -> None:
    """One byte through each direction: what was forwarded before it has left the relay's hands."""
    for sender, reader in ((one, other), (other, one)):
        await sender.write(b".")
        await receive(reader, 1)


class Frames:
    """Sealed frames of a session, with what can be searched of each."""

    def __init__(self, number: int) -> None:
        pair, root = X25519Pair.generate(os.urandom), secrets.token_bytes(32)
        parameters = parlour_parameters(CHACHA20POLY1305)
        session = RatchetSession.init_alice(root, pair.public, os.urandom, parameters=parameters)
        self.plain = [secrets.token_bytes(CONTENT) for _ in range(number)]
        sealed = [session.encrypt(content) for content in self.plain]
        self.framed = [length_of(envelope) + envelope for envelope in sealed]

    def needles(self, chosen: Sequence[int]) -> Iterator[bytes]:
        """Of each its content, and a part of the sealed frame from its middle and from its end."""
        for number in chosen:
            frame = self.framed[number]
            yield from (self.plain[number][64:96], frame[100:132], frame[-32:])


def marked(marker: bytes, number: int) -> bytes:
    """So many frames of 256 bytes, of which every part of 31 bytes holds the marker, of 16 bytes."""
    return marker * (256 // len(marker)) * number


class Tap:
    """Stands before a relay: what two terminals send through it is kept, by connection and direction."""

    def __init__(self, relay: RelayAddress) -> None:
        self._relay = relay
        self._transport = LoopbackTransport()
        self._transport.name_relays([relay])
        self._listener: Listener | None = None
        self.streams: list[bytearray] = []

    async def start(self) -> RelayAddress:
        """The relay's address as it is to be named, so that everything passes here."""
        self._listener = await self._transport.listen(0, self._pass)
        return RelayAddress(HERE, self._listener.port, self._relay.key)

    async def close(self) -> None:
        if self._listener is not None:
            await self._listener.close()

    async def _pass(self, caller: Connection) -> None:
        try:
            called = await self._transport.connect_relay(self._relay, CONNECT_WITHIN)
        except OSError:
            caller.close()
            return
        await asyncio.gather(self._keep(caller, called), self._keep(called, caller))

    async def _keep(self, source: Connection, sink: Connection) -> None:
        stream = bytearray()
        self.streams.append(stream)
        with suppress(OSError):
            while data := await source.read():
                stream += data
                await sink.write(data)
        sink.close()
        source.close()
