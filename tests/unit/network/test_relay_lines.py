"""Lines at relays that are mocks: what is named on them, when they are replaced, and how they are shared."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from chat.config import Config
from chat.interface import RelayStanding
from chat.network.relay import client as module
from chat.network.relay.client import (
    AFTER_MIDNIGHT,
    CALLS_AT_ONCE,
    IDLE_FOR,
    LINES_AT_ONCE,
    RESTS,
    RelayClient,
    RelayDialer,
    RelayListener,
    RelayStands,
    TokenLimiter,
)
from chat.network.relay.connection import Called, Lost, Reached, RelayLine
from chat.tasks import Tasks
from protocol.limits import RELAY_DIALS_MAX
from protocol.relay.rendezvous import RelayAddress
from protocol.relay.states import RelayEnding, RelayState
from tests.support.lab.virtual import EPOCH_MS, VirtualClock, run_virtual

CONFIG = Config()
RELAY = RelayAddress("10.0.0.9", 4748, b"k" * 32)
DAY = EPOCH_MS // 86_400_000
LOST = Lost(RelayEnding.CUT, RelayState.WAITING)


class Circuit:
    """Something that can be held weakly and closed."""

    closed = False

    def close(self) -> None:
        self.closed = True


class Line:
    """A line of which the test says what it brings and whom it reaches."""

    def __init__(self, time: int) -> None:
        self.time = time
        self.waits: list[list[bytes]] = []
        self.brought: asyncio.Queue[Any] = asyncio.Queue()
        self.closed = 0
        self.dials = 0
        self.reaches: dict[bytes, Any] = {}

    def wait(self, tokens: Sequence[bytes]) -> None:
        self.waits.append(list(tokens))

    async def called(self) -> Any:
        called = await self.brought.get()
        if isinstance(called, Exception):
            raise called
        return called

    async def dial(self, token: bytes, place: int) -> Any:
        self.dials += 1
        await asyncio.sleep(1)
        found = self.reaches.get(token)
        if isinstance(found, Exception):
            raise found
        return found

    def close(self) -> None:
        self.closed += 1


class Relay:
    """The lines that were opened, or the errors of those that could not be."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, clock: VirtualClock) -> None:
        self.clock = clock
        self.lines: list[Line] = []
        self.opened: list[float] = []
        self.errors: list[Exception] = []
        self.reaches: dict[bytes, Any] = {}
        self.days = 0
        self.failed = mock.Mock()
        monkeypatch.setattr(RelayLine, "open", self._open)
        runtime: Any = SimpleNamespace(
            clock=clock, config=CONFIG, random=lambda size: b"\xff" * size, tasks=Tasks(self.failed)
        )
        self.runtime = runtime

    async def _open(self, transport: Any, relay: Any, clock: Any, random: Any) -> Line:
        assert (transport, relay) == ("transport", RELAY)
        self.opened.append(round(self.clock.monotonic(), 6))
        if self.errors:
            raise self.errors.pop(0)
        line = Line(self.clock.wall() // 1000 + 86_400 * self.days)
        line.reaches = self.reaches
        self.lines.append(line)
        return line


def run(monkeypatch: pytest.MonkeyPatch, scenario: Callable[[Relay], Coroutine[Any, Any, None]]) -> None:
    async def begin(clock: VirtualClock) -> None:
        relay = Relay(monkeypatch, clock)
        await scenario(relay)
        relay.failed.assert_not_called()

    run_virtual(begin, 3 * 86_400)


class Waiting:
    """A listener that runs, its standings, and the circuits that it brought."""

    def __init__(self, relay: Relay, tokens: Callable[[int], Sequence[bytes]]) -> None:
        self.stood: list[RelayStanding] = []
        self.brought: list[Any] = []
        transport: Any = "transport"
        self.listener = RelayListener(
            relay.runtime, transport, RELAY, tokens, self.stood.append, self.brought.append
        )
        self.task = asyncio.get_running_loop().create_task(self.listener.run())


def token(number: int) -> bytes:
    return number.to_bytes(16)


FILLER = b"\xff" * 16


@pytest.mark.parametrize(("own", "named"), [(0, 8), (1, 8), (8, 8), (9, 16), (17, 32), (33, 64), (65, 128)])
def test_the_number_of_tokens_does_not_show(monkeypatch: pytest.MonkeyPatch, own: int, named: int) -> None:
    async def scenario(relay: Relay) -> None:
        tokens = [token(number) for number in range(own)]
        it = Waiting(relay, lambda day: tokens if day == DAY else [])
        await asyncio.sleep(1)
        (line,) = relay.lines
        assert line.waits == [tokens + [FILLER] * (named - own)]
        it.listener.renew()
        assert len(line.waits) == 1
        tokens.append(token(200))
        it.listener.renew()
        assert len(line.waits) == 2
        it.task.cancel()
        await asyncio.wait([it.task])
        assert line.closed == 1
        tokens.clear()
        it.listener.renew()
        assert len(line.waits) == 2

    run(monkeypatch, scenario)


def test_a_call_brings_a_circuit_and_the_next_line_follows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(relay: Relay) -> None:
        it = Waiting(relay, lambda day: [token(1)])
        await asyncio.sleep(50)
        relay.lines[0].brought.put_nowait(None)
        await asyncio.sleep(1)
        assert it.stood == [RelayStanding.WAITING]
        circuit: Any = "circuit"
        relay.lines[0].brought.put_nowait(Called(circuit, token(1)))
        await asyncio.sleep(1)
        assert (it.brought, relay.opened, relay.lines[0].closed) == (["circuit"], [0.0, 51.0], 0)

    run(monkeypatch, scenario)


def test_a_token_that_is_called_too_often_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(relay: Relay) -> None:
        circuit: Any = "circuit"
        Waiting(relay, lambda day: [token(1), token(2)])
        await asyncio.sleep(1)
        for pause in (0.1, 0.1, 0.1, 5.0, 0.1):
            relay.lines[-1].brought.put_nowait(Called(circuit, token(1)))
            await asyncio.sleep(pause)
        assert relay.lines[-2].waits[0][:2] == [token(1), token(2)]
        assert relay.lines[-1].waits == [[token(2)] + [FILLER] * 7]
        await asyncio.sleep(RESTS + 2)
        assert relay.lines[-1].waits[1][:2] == [token(1), token(2)]

    run(monkeypatch, scenario)


def test_a_relay_that_calls_without_end_is_heard_at_a_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(relay: Relay) -> None:
        it = Waiting(relay, lambda day: [])
        circuit: Any = "circuit"
        for number in range(40 * 10):
            for line in relay.lines[-1:]:
                line.brought.put_nowait(Called(circuit, token(number)))
            await asyncio.sleep(0.1)
        assert len(it.brought) == pytest.approx(CALLS_AT_ONCE + 40, abs=4)

    run(monkeypatch, scenario)


def test_a_new_day_brings_a_new_line_with_its_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(relay: Relay) -> None:
        relay.clock.offset_ms = 86_400_000 - 8 * 3_600_000 - 60_000
        Waiting(relay, lambda day: [token(day)])
        await asyncio.sleep(58 + AFTER_MIDNIGHT)
        assert len(relay.lines) == 1
        await asyncio.sleep(10)
        assert [line.waits[0][0] for line in relay.lines] == [token(DAY), token(DAY + 1)]
        assert relay.lines[0].closed == 1

    run(monkeypatch, scenario)


def test_lines_that_fail_are_tried_again_after_pauses_that_end_with_one_that_lasts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(relay: Relay) -> None:
        relay.errors = [OSError(), LOST, OSError()]
        it = Waiting(relay, lambda day: [])
        await asyncio.sleep(8)
        assert relay.opened == [0.0, 1.0, 3.0, 7.0]
        assert it.stood == [
            RelayStanding.UNREACHABLE, module.standing_after(LOST), RelayStanding.UNREACHABLE
        ]  # fmt: skip
        await asyncio.sleep(module.LASTS - 1)
        relay.lines[0].brought.put_nowait(LOST)
        await asyncio.sleep(1.5)
        assert relay.opened[4:] == [18.0]
        assert relay.lines[0].closed == 1
        relay.lines[1].brought.put_nowait(LOST)
        await asyncio.sleep(2.1)
        assert relay.opened[5:] == [20.5]

    run(monkeypatch, scenario)


@pytest.mark.parametrize(("days", "other"), [(0, False), (1, False), (-1, False), (2, True), (-2, True)])
def test_a_relay_of_another_date_is_left(monkeypatch: pytest.MonkeyPatch, days: int, other: bool) -> None:
    async def scenario(relay: Relay) -> None:
        relay.days = days
        it = Waiting(relay, lambda day: [token(day)])
        await asyncio.sleep(0.5)
        assert it.stood == [RelayStanding.OTHER_DATE] * other
        assert relay.lines[0].closed == other

    run(monkeypatch, scenario)


class Dialling:
    def __init__(self, relay: Relay) -> None:
        transport: Any = "transport"
        self.dialer = RelayDialer(relay.runtime, transport, RELAY)

    async def dial(self, *numbers: int, place: int = 0) -> Any:
        def tokens(day: int) -> Sequence[bytes]:
            assert day == DAY
            return [token(number) for number in numbers]

        return await self.dialer.dial(tokens, place)


def reached() -> Any:
    circuit: Any = Circuit()
    return Reached(circuit, 0)


def test_a_line_that_found_nobody_is_kept_for_the_next_dial_for_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(relay: Relay) -> None:
        it = Dialling(relay)
        relay.reaches = {token(3): reached()}
        assert await it.dial(1, 2) is None
        assert await it.dial(1, 3, 4) is relay.reaches[token(3)]
        (line,) = relay.lines
        assert (line.dials, line.closed) == (4, 0)
        assert await it.dial(1) is None
        await asyncio.sleep(IDLE_FOR - 0.1)
        assert relay.lines[1].closed == 0
        await asyncio.sleep(0.2)
        assert (relay.lines[1].closed, it.dialer._idle) == (1, [])
        assert await it.dial(1) is None
        it.dialer.close()
        await asyncio.sleep(10)
        assert (relay.lines[2].closed, len(relay.lines)) == (1, 3)

    run(monkeypatch, scenario)


def test_a_line_is_kept_while_half_of_its_dials_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(relay: Relay) -> None:
        it = Dialling(relay)
        await it.dial(*range(RELAY_DIALS_MAX // 2))
        assert [*map(id, it.dialer._idle)] == [*map(id, relay.lines)]
        await it.dial(1)
        assert (it.dialer._idle, relay.lines[0].closed) == ([], 1)

    run(monkeypatch, scenario)


def test_a_kept_line_that_was_closed_meanwhile_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(relay: Relay) -> None:
        it = Dialling(relay)
        await it.dial(1)
        relay.lines[0].reaches, relay.reaches = {token(2): LOST}, {token(2): reached()}
        assert await it.dial(2) is relay.reaches[token(2)]
        assert (len(relay.lines), relay.lines[0].closed) == (2, 1)

    run(monkeypatch, scenario)


async def test_a_line_that_the_relay_has_not_welcomed_dials_nobody() -> None:
    connection = mock.Mock()
    line = RelayLine(connection, RELAY, VirtualClock(asyncio.get_running_loop()), bytes)
    with pytest.raises(Lost) as caught:
        await line.dial(token(1))
    assert (caught.value.reason, caught.value.before) == (RelayEnding.CUT, RelayState.GREETING)
    assert (line.dials, connection.mock_calls) == (1, [])


@pytest.mark.parametrize("error", [OSError(), LOST])
def test_a_relay_that_cannot_be_reached_reaches_nobody(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def scenario(relay: Relay) -> None:
        relay.errors = [error]
        assert await Dialling(relay).dial(1) is None
        relay.days = 2
        assert await Dialling(relay).dial(1) is None
        assert relay.lines[0].closed == 1

    run(monkeypatch, scenario)


def test_a_few_lines_dial_at_the_same_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(relay: Relay) -> None:
        it = Dialling(relay)
        dials = [asyncio.create_task(it.dial(number)) for number in range(LINES_AT_ONCE + 1)]
        await asyncio.sleep(0.5)
        assert len(relay.lines) == LINES_AT_ONCE
        await asyncio.gather(*dials)
        assert len(relay.lines) == LINES_AT_ONCE

    run(monkeypatch, scenario)


def test_calls_are_limited_per_token_within_a_bound() -> None:
    limiter = TokenLimiter()
    assert [limiter.called(token(1), 0.0) for _ in range(5)] == [False] * 4 + [True]
    assert not limiter.called(token(2), 0.0)
    both = [token(1), token(2)]
    assert limiter.allowed(both, RESTS - 0.1) == [token(2)]
    assert limiter.allowed(both, RESTS) == both
    for number in range(3, 3 + module._SEEN_MAX):
        limiter.called(token(number), 0.0)
    assert len(limiter._calls) == module._SEEN_MAX
    assert token(1) not in limiter._calls


def test_a_client_dials_and_signals_at_named_and_borrowed_relays_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scenario(relay: Relay) -> None:
        transport, directory, signals = mock.Mock(), mock.Mock(), list[Any]()
        directory.waiting_tokens.return_value = []
        monkeypatch.setattr(module, "RelayListener", mock.Mock(return_value=mock.Mock(run=mock.AsyncMock())))
        found = reached()
        circuit: Circuit = found.circuit
        dialer = mock.Mock(dial=mock.AsyncMock(return_value=found))
        monkeypatch.setattr(module, "RelayDialer", mock.Mock(return_value=dialer))
        client = RelayClient(relay.runtime, directory, transport, mock.AsyncMock(), signals.append)
        assert await client.dial(RELAY, lambda day: []) is None
        with client.borrowed([RELAY]):
            transport.name_relays.assert_called_with({RELAY})
            assert await client.dial(RELAY, lambda day: [], 2) is found
            assert dialer.dial.await_args.args[1] == 2
        transport.name_relays.assert_called_with(set())
        dialer.close.assert_called_once_with()
        assert await client.dial(RELAY, lambda day: []) is None
        client.name([RELAY])
        assert client.standing(RELAY) is RelayStanding.CONNECTING
        client._set_standing(RELAY, RelayStanding.WAITING)
        client._set_standing(RELAY, RelayStanding.WAITING)
        assert signals == [RelayStands(RELAY, RelayStanding.WAITING)]
        assert await client.dial(RELAY, lambda day: []) is not None
        client.network_changed()
        assert signals[1:] == [RelayStands(RELAY, RelayStanding.CONNECTING)]
        assert not circuit.closed
        assert client.named == (RELAY,)
        client.name([])
        assert circuit.closed
        assert await client.dial(RELAY, lambda day: []) is None

    run(monkeypatch, scenario)
