"""Waiting and dialling at relays without engines: lines, tokens, pauses, and standing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, cast

import pytest

from chat.config import Config
from chat.interface import RelayStanding
from chat.network.backoff import Pauses
from chat.network.links import Directory
from chat.network.relay.client import LINES_AT_ONCE, RelayClient, standing_after
from chat.network.relay.connection import Lost
from chat.tasks import Runtime, Tasks
from protocol.limits import RELAY_TOKENS_MAX
from protocol.relay.rendezvous import RelayAddress
from protocol.relay.states import RelayEnding, RelayState
from tests.support.fakes.network import MemoryTransport, Network
from tests.support.fakes.relay import MemoryRelay
from tests.support.lab.virtual import VirtualClock, run_virtual, seeded

S, E = RelayState, RelayEnding


class Tokens:
    """The part of a directory that is asked for tokens, and the circuits that came, with their relays."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.brought: asyncio.Queue[tuple[Any, str]] = asyncio.Queue()

    def waiting_tokens(self, relay: bytes, day: int) -> Sequence[bytes]:
        return [token(number) for number in range(self.number)]


def token(number: int) -> bytes:
    return number.to_bytes(16)


def at(network: Network, host: str, tokens: Tokens, clock: VirtualClock) -> RelayClient:
    """A terminal that waits on so many tokens; a failed task fails the test."""

    def failed(error: BaseException) -> None:
        raise error

    async def accept(circuit: Any, through: str) -> None:
        tokens.brought.put_nowait((circuit, through))

    runtime = Runtime(clock, seeded(host), Config(), Tasks(failed))
    transport, directory = MemoryTransport(network, host), cast(Directory, tokens)
    return RelayClient(runtime, directory, transport, accept, lambda _: None)


def held_by(relay: MemoryRelay, number: int, listeners: int) -> bool:
    return all(relay.hall.count(token(each)) == listeners for each in range(number))


def named_by(relay: MemoryRelay, host: str) -> list[int]:
    return [relay.hall.named(one) for one in relay.hall._tokens if one.connection.peer == host]


Scenario = Callable[[MemoryRelay, RelayClient, RelayClient, Tokens], Coroutine[Any, Any, None]]


def play(scenario: Scenario, number: int = 1) -> None:
    """Two terminals at a relay, of which one waits on so many tokens."""

    async def run(clock: VirtualClock) -> None:
        network, tokens = Network(), Tokens(number)
        relay = MemoryRelay(network).start()
        waiter, dialer = (at(network, host, tokens, clock) for host in ("10.0.0.1", "10.0.0.2"))
        for each in (waiter, dialer):
            each.name([relay.address])
        await relay.until(lambda: len(relay.hall) >= 2 and held_by(relay, number, 2))
        await scenario(relay, waiter, dialer, tokens)

    run_virtual(run)


async def dialled(dialer: RelayClient, relay: RelayAddress, number: int) -> bool:
    return await dialer.dial(relay, lambda day: [token(number)]) is not None


@pytest.mark.parametrize(("number", "lines"), [(0, 1), (1, 1), (128, 1), (129, 2), (300, 3)])
def test_any_number_of_contacts_is_waited_for(number: int, lines: int) -> None:
    async def scenario(relay: MemoryRelay, waiter: RelayClient, dialer: RelayClient, tokens: Tokens) -> None:
        counts = named_by(relay, "10.0.0.1")
        assert len(counts) == lines
        assert held_by(relay, number, 2)  # the dialer waits too
        assert all(count & (count - 1) == 0 and 8 <= count <= RELAY_TOKENS_MAX for count in counts)
        tokens.number = 1
        waiter.renew()
        await relay.until(lambda: named_by(relay, "10.0.0.1") == [8])

    play(scenario, number)


def test_a_call_brings_a_circuit_and_a_new_line() -> None:
    async def scenario(relay: MemoryRelay, waiter: RelayClient, dialer: RelayClient, tokens: Tokens) -> None:
        dialer.stop()
        reached = await dialer.dial(relay.address, lambda day: [token(5), token(0)])
        assert reached is None  # it was stopped: it uses no relay
        dialer._stopped = False
        dialer.name([relay.address])
        reached = await dialer.dial(relay.address, lambda day: [token(5), token(0)], 1)
        assert reached is not None
        circuit, through = await tokens.brought.get()
        assert through == str(relay.address)
        assert (circuit.peer, reached.circuit.peer, reached.others) == ("", "", 1)
        await reached.circuit.write(b"there")
        assert await circuit.read() == b"there"
        await circuit.write(b"and back")
        assert await reached.circuit.read() == b"and back"
        await relay.until(lambda: relay.hall.count(token(0)) == 2)
        waiter.name([])
        assert await reached.circuit.read() == b""

    play(scenario)


def test_absent_contacts_are_asked_for_on_few_lines() -> None:
    async def scenario(relay: MemoryRelay, _: RelayClient, dialer: RelayClient, tokens: Tokens) -> None:
        before = relay.accepted
        asked = [dialled(dialer, relay.address, number) for number in range(1_000, 1_100)]
        assert not any(await asyncio.gather(*asked))
        assert relay.absent == 100
        assert relay.accepted - before <= LINES_AT_ONCE + 100 // 8
        await relay.until(lambda: len(relay.visitors) == 2, 5)  # those that wait
        assert not await dialled(dialer, relay.address, 2_000)
        relay.stop()
        relay.start()
        assert not await dialled(dialer, relay.address, 2_000)  # on a line that was let go of

    play(scenario)


def test_pauses_grow_are_spread_and_end_at_their_most() -> None:
    pauses = Pauses(1.0, 30.0)
    assert pauses.delay(1.0) == 0.0
    for expected in (1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0):
        pauses.failed()
        assert (pauses.delay(1.0), pauses.delay(0.0)) == (expected, expected / 2)
    pauses.failures = 10_000
    assert pauses.delay(1.0) == 30.0
    pauses.reset()
    assert pauses.delay(1.0) == 0.0


@pytest.mark.parametrize(
    ("reason", "before", "standing"),
    [
        (E.CUT, S.GREETING, RelayStanding.REFUSED),
        (E.DEADLINE, S.GREETING, RelayStanding.UNREACHABLE),
        (E.NOT_A_RELAY, S.GREETING, RelayStanding.NO_RELAY),
        (E.VERSION, S.GREETING, RelayStanding.OTHER_VERSION),
        (E.REFUSED, S.HANDSHAKE, RelayStanding.OTHER_VERSION),
        (E.CUT, S.HANDSHAKE, RelayStanding.OTHER_KEY),
        (E.ERROR, S.HANDSHAKE, RelayStanding.OTHER_KEY),
        (E.DEADLINE, S.HANDSHAKE, RelayStanding.UNREACHABLE),
        (E.BUSY, S.READY, RelayStanding.REFUSED),
        (E.BUSY, S.WAITING, RelayStanding.REFUSED),
        (E.STOPPED, S.WAITING, RelayStanding.UNREACHABLE),
        (E.SILENT, S.WAITING, RelayStanding.UNREACHABLE),
        (E.CUT, S.WAITING, RelayStanding.UNREACHABLE),
        (E.ERROR, S.WAITING, RelayStanding.NO_RELAY),
    ],
)
def test_standing_after_a_line(reason: RelayEnding, before: RelayState, standing: RelayStanding) -> None:
    assert standing_after(Lost(reason, before)) is standing


def test_a_client_that_was_stopped_waits_nowhere() -> None:
    async def scenario(clock: VirtualClock) -> None:
        network, tokens = Network(), Tokens(1)
        client = at(network, "ada", tokens, clock)
        relay = RelayAddress("10.0.0.9", 4748, b"k" * 32)
        client.name([relay])
        assert client.named == (relay,)
        client.stop()
        client.name([relay])
        assert len(client.named) == 0

    run_virtual(scenario)
