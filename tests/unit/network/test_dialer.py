"""How a contact's terminal is dialled: at all addresses, through all relays, and which link is taken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest

from chat.config import Config
from chat.interface import RelayStanding
from chat.network import connector as module
from chat.network.connector import NEXT_TERMINAL, PLACES_AT_ONCE, STAGGER, Race, places_of_turn
from chat.network.links import LinkLost, LinkNeeded, Peer, RelayedLinkOpened
from chat.network.relay.client import RelayStands
from chat.tasks import Beat, Tasks
from protocol.link.states import Ending, LinkClosed, LinkOpen, Role
from tests.support.engines.engines import play
from tests.support.lab.virtual import VirtualClock, run_virtual

CONFIG = Config()
PEER = Peer(b"person", b"static")
OPEN = LinkOpen(bytes(16), Role.INITIATOR, 1, bytes(32))
BROKEN = LinkClosed(Ending.ERROR)
CUT = LinkClosed(Ending.CUT)

PLACES = [(f"10.0.0.{number}", 4747) for number in range(40)]


def test_each_turn_tries_the_first_place_and_the_next_of_the_others() -> None:
    rest = PLACES_AT_ONCE - 1
    assert places_of_turn(PLACES[:PLACES_AT_ONCE], 3) == PLACES[:PLACES_AT_ONCE]
    assert places_of_turn(PLACES, 0) == PLACES[:PLACES_AT_ONCE]
    assert places_of_turn(PLACES, 1) == [PLACES[0], *PLACES[1 + rest : 1 + 2 * rest]]
    assert places_of_turn(PLACES, 2) == [PLACES[0], *PLACES[31:40], *PLACES[1:7]]


def _raced(*attempts: tuple[float, Any]) -> tuple[Any, set[float], float]:
    """The result of a race of attempts (seconds, result), those that were cancelled, and when it was over."""
    cancelled: set[float] = set()
    failed: list[BaseException] = []

    async def attempt(seconds: float, result: Any) -> Any:
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            cancelled.add(seconds)
            raise
        return result

    async def run(clock: VirtualClock) -> tuple[Any, set[float], float]:
        race = Race(Tasks(failed.append))
        for seconds, result in attempts:
            race.enter(attempt(seconds, result))
        result = await race.result()
        over = clock.monotonic()
        await asyncio.sleep(0)
        return result, set(cancelled), over

    outcome = run_virtual(run)
    assert failed == []
    return outcome


def test_the_first_open_link_wins_and_the_others_are_cancelled() -> None:
    assert _raced((1, None), (2, OPEN), (3, BROKEN), (4, OPEN)) == (OPEN, {3, 4}, 2)


def test_without_an_open_link_the_latest_failure_counts_and_silence_is_none() -> None:
    assert _raced((1, CUT), (2, BROKEN), (3, None)) == (BROKEN, set(), 3)
    assert _raced((1, None), (2, None)) == (None, set(), 2)
    assert _raced() == (None, set(), 0)


@pytest.mark.parametrize("wanted", [True, False])
def test_only_the_first_link_of_a_race_is_adopted_and_only_while_it_is_wanted(wanted: bool) -> None:
    async def scenario() -> None:
        handler: Any = mock.Mock()
        adopt = mock.AsyncMock(return_value=handler)
        race = Race(Tasks(mock.Mock()), lambda: wanted)
        first, driver = race.first(adopt), mock.Mock()
        assert await first(driver, OPEN) is (handler if wanted else None)
        assert await race.first(adopt)(driver, OPEN) is None
        assert adopt.call_args_list == ([mock.call(driver, OPEN)] if wanted else [])

    play(scenario)


class Around:
    """A dialer among mocks, on virtual time."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.failed: list[BaseException] = []
        tasks = Tasks(self.failed.append)
        self.runtime = SimpleNamespace(
            beat=Beat(), clock=clock, config=CONFIG, random=lambda size: b"\xff" * size, tasks=tasks
        )
        self.directory, self.links, self.relays = mock.Mock(), mock.Mock(), mock.Mock()
        self.directory.dial_psks.return_value = ["psk"]
        self.directory.hints.return_value = [("10.0.0.1", 1), ("10.0.0.2", 2), ("10.0.0.3", 3)]
        self.links.current.return_value = None
        self.relays.named = [SimpleNamespace(key=b"1"), SimpleNamespace(key=b"2")]
        self.connected: list[tuple[float, str, int, float]] = []
        self.answers: dict[Any, Any] = {}
        self.opened: list[Any] = []
        transport = SimpleNamespace(connect=self._connect)
        self.relays.dial = self._relay_dial
        self.dialer = module.Dialer(
            self.runtime,  # type: ignore[arg-type]
            self.directory,
            self.links,
            mock.AsyncMock(),
            self.relays,
            transport,
        )
        self.dialer._open = self._open  # type: ignore[method-assign]
        self.reached: list[tuple[float, bytes, int]] = []

    async def _connect(self, host: str, port: int, timeout: float) -> Any:
        self.connected.append((self.clock.monotonic(), host, port, timeout))
        if self.answers.get(host) is None:
            raise ConnectionRefusedError
        return host

    async def _relay_dial(self, relay: Any, tokens: Callable[[int], Any], place: int) -> Any:
        self.reached.append((self.clock.monotonic(), relay.key, place))
        tokens(7)
        return SimpleNamespace(circuit=place, others=1) if relay.key == b"1" else None

    async def _open(self, peer: Peer, psks: Any, connection: Any, race: Race) -> Any:
        assert (peer, psks) == (PEER, ["psk"])
        self.opened.append(connection)
        await asyncio.sleep(5)
        return self.answers[connection]


def among_mocks(scenario: Callable[[Around], Coroutine[Any, Any, Any]]) -> Any:
    async def run(clock: VirtualClock) -> Any:
        around = Around(clock)
        result = await scenario(around)
        assert around.failed == []
        return result

    return run_virtual(run)


def test_all_addresses_are_dialled_one_shortly_after_the_other_and_the_first_link_is_the_result() -> None:
    async def scenario(around: Around) -> None:
        around.answers = {"10.0.0.2": CUT, "10.0.0.3": OPEN}
        assert await around.dialer.dial(PEER, 0.9, 0) is OPEN
        assert around.connected == [
            (0.0, "10.0.0.1", 1, 0.9),
            (pytest.approx(STAGGER), "10.0.0.2", 2, 0.9),
            (pytest.approx(2 * STAGGER), "10.0.0.3", 3, 0.9),
        ]
        around.answers = {"10.0.0.1": CUT}
        assert await around.dialer.dial(PEER, 0.9) is CUT
        around.answers = {}
        assert await around.dialer.dial(PEER, 0.9) is None

    among_mocks(scenario)


def test_the_first_attempt_without_a_turn_begins_at_the_first_of_many_places() -> None:
    async def scenario(around: Around) -> None:
        around.directory.hints.return_value = PLACES
        await around.dialer.dial(PEER, 0.9)
        assert [host for _, host, _, _ in around.connected] == [host for host, _ in PLACES[:PLACES_AT_ONCE]]

    among_mocks(scenario)


def test_a_terminal_without_a_secret_is_not_dialled() -> None:
    async def scenario(around: Around) -> None:
        around.directory.dial_psks.return_value = []
        around.answers = {"10.0.0.1": OPEN, 0: OPEN}
        assert await around.dialer.dial(PEER, 0.9) is None
        assert await around.dialer.dial_through_relays(PEER) is None
        assert (around.connected, around.reached) == ([], [])

    among_mocks(scenario)


def test_all_relays_are_dialled_at_once_and_the_next_terminal_on_a_token_a_moment_later() -> None:
    async def scenario(around: Around) -> None:
        around.answers = {0: CUT, 1: OPEN}
        assert await around.dialer.dial_through_relays(PEER) is OPEN
        assert around.reached == [(0.0, b"1", 0), (0.0, b"2", 0), (NEXT_TERMINAL, b"1", 1)]
        assert around.opened == [0, 1]
        tokens = [mock.call(PEER, key, 7) for key in (b"1", b"2", b"1")]
        assert around.directory.dial_tokens.call_args_list == tokens

    among_mocks(scenario)


def test_exactly_the_followed_terminals_are_reconnected() -> None:
    other, third = Peer(b"other", b"static"), Peer(b"third", b"static")

    async def scenario(around: Around) -> None:
        around.directory.identity.static.public = b""
        dialled: list[Peer] = []

        async def dial(peer: Peer, timeout: float, turn: int = 0) -> Any:
            dialled.append(peer)
            return OPEN

        around.dialer.dial = dial  # type: ignore[method-assign]
        around.dialer.dial_through_relays = dial_relay = mock.AsyncMock(return_value=OPEN)  # type: ignore[method-assign]
        around.dialer.follow([PEER, other])
        await asyncio.sleep(1)
        assert dialled == [PEER, other]
        assert [call.args for call in dial_relay.call_args_list] == [(PEER,), (other,)]
        kept = around.dialer._peers[PEER]
        ended = around.dialer._peers[other].tasks
        around.dialer.follow([PEER, third])
        await asyncio.sleep(1)
        assert dialled == [PEER, other, third]
        assert around.dialer._peers[PEER] is kept
        assert [task.cancelled() for task in (*ended, *kept.tasks)] == [True, True, False, False]
        around.dialer.seek(other)
        around.dialer.seek_all()
        await asyncio.sleep(1)
        assert dialled == [PEER, other, third, PEER, third]
        assert dial_relay.call_count == 5

    among_mocks(scenario)


def test_each_signal_reaches_the_two_that_reconnect_its_terminal() -> None:
    async def scenario(around: Around) -> None:
        peers = (PEER, Peer(b"other", b"static"))
        ones = {peer: SimpleNamespace(connector=mock.Mock(), fallback=mock.Mock()) for peer in peers}
        around.dialer._peers = ones  # type: ignore[assignment]
        one = ones[PEER]
        for peer in (PEER, Peer(b"stranger", b"static")):
            around.dialer.needed(LinkNeeded(peer))
            around.dialer.lost(LinkLost(peer, 3.5))
            around.dialer.relayed(RelayedLinkOpened(peer, 4.5))
        assert one.connector.mock_calls == [mock.call.missed(), mock.call.lost(3.5), mock.call.relayed(4.5)]
        assert one.fallback.mock_calls == [mock.call.wake(), mock.call.lost(3.5)]
        for standing in RelayStanding:
            around.dialer.relay_stands(RelayStands("relay", standing))  # type: ignore[arg-type]
        assert [each.fallback.encourage.call_count for each in ones.values()] == [1, 1]

    among_mocks(scenario)


@pytest.mark.parametrize("needed", [True, False])
@pytest.mark.parametrize("relayed", [True, False])
@pytest.mark.parametrize("hints", [True, False])
def test_a_direct_link_is_wanted_where_there_is_none_and_an_address(
    needed: bool, relayed: bool, hints: bool
) -> None:
    async def scenario(around: Around) -> None:
        around.links.needs_link.return_value = around.links.needs_relayed_link.return_value = needed
        around.links.sends_by_relay.return_value = relayed
        around.directory.hints.return_value = [("10.0.0.1", 1)] * hints
        around.relays.named = ["relay"] * relayed
        assert around.dialer.wants_direct(PEER) is ((needed or relayed) and hints)
        assert around.dialer.wants_relayed(PEER) is (needed and relayed)

    among_mocks(scenario)


def test_the_side_with_the_higher_key_goes_second() -> None:
    async def scenario(around: Around) -> None:
        seen = []
        for key in (b"statia", b"static", b"statid"):
            around.directory.identity.static.public = key
            seen.append(around.dialer.goes_second(PEER))
        assert seen == [False, False, True]

    among_mocks(scenario)


def test_a_cancelled_attempt_ends_its_driver_and_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []

    class Driver:
        def __init__(self, connection: Any, link: Any, clock: Any, beat: Any, opening: Any) -> None:
            assert (connection, link) == ("connection", "link")
            self.aborted = asyncio.Event()

        def abort(self) -> None:
            self.aborted.set()

        async def run(self) -> None:
            await self.aborted.wait()
            await asyncio.sleep(1)
            ended.append("driver")

    async def scenario(around: Around) -> None:
        monkeypatch.setattr(module, "Driver", Driver)
        around.dialer._link = lambda peer, psks: "link"  # type: ignore[assignment,method-assign,return-value]
        connection: Any = "connection"
        opening = module.Dialer._open(around.dialer, PEER, [], connection, Race(around.runtime.tasks))
        task = asyncio.get_running_loop().create_task(opening)
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended == ["driver"]

    among_mocks(scenario)
