"""Questions to other relays of a cluster and calls of their waiters, with fake terminals on one wire."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from typing import Any, cast
from unittest import mock

import pytest

from chat.relay import cluster as module
from chat.relay.cluster import Cluster, Offering
from chat.relay.cluster.circuit import RelayTunnel
from chat.relay.connection import ClientConnection
from chat.relay.metrics import Counters
from protocol.keys import X25519Pair
from protocol.relay.cluster import ClusterKeys
from tests.support.relay.in_process import Wire
from tests.unit.relay.circuits import settle

TOKEN = secrets.token_bytes(16)


@dataclass
class Waiter:
    name: str
    since: float


@dataclass(eq=False)
class Host:
    waiters: list[Waiter]
    answers: bool
    called: list[str] = field(default_factory=list)
    joined: list[int] = field(default_factory=list)
    absent: int = 0
    missed: int = 0
    happened: asyncio.Event = field(default_factory=asyncio.Event)

    def waiting_on(self, token: bytes) -> list[ClientConnection]:
        newest_first = sorted(self.waiters, key=lambda waiter: -waiter.since)
        return cast("list[ClientConnection]", newest_first if token == TOKEN else [])

    def call_for(self, waiter: ClientConnection, caller: Offering, token: bytes) -> None:
        assert token == TOKEN
        self.called.append(cast(Any, waiter).name)
        if self.answers:
            caller.answered(waiter)
        else:
            caller.unanswered()

    def dismiss(self, client: ClientConnection) -> None:
        self.called.append("dismissed")

    def nobody_elsewhere(self, dialler: ClientConnection) -> None:
        self.absent += 1
        self.happened.set()

    def unanswered(self, dialler: ClientConnection) -> None:
        self.missed += 1
        self.happened.set()

    def join_dialler(self, dialler: ClientConnection, others: int, passage: RelayTunnel) -> Any:
        self.joined.append(others)
        self.happened.set()
        return mock.Mock()

    def join_waiter(self, waiter: ClientConnection, passage: RelayTunnel) -> Any:
        return mock.Mock()


class Town:
    def __init__(self) -> None:
        self.wire, self.pair = Wire(), X25519Pair.generate()
        self.asking, self.cluster = self.relay()

    def relay(self, *waiters: Waiter, answers: bool = True) -> tuple[Host, Cluster]:
        host = Host(list(waiters), answers)
        tap = self.wire.tap(cast(Any, None))
        made = Cluster(ClusterKeys(self.pair), tap, host, Counters())
        tap.listener = made
        made.connected()
        if waiters:
            made.wait(TOKEN)
        return host, made

    async def ask(self, place: int = 0, here: int = 0) -> Host:
        self.asking.happened.clear()
        assert self.cluster.ask(cast(ClientConnection, object()), TOKEN, place, here)
        await asyncio.wait_for(self.asking.happened.wait(), 10)
        return self.asking


@pytest.fixture
async def town(monkeypatch: pytest.MonkeyPatch) -> Town:
    monkeypatch.setattr(module, "GATHER_SECONDS", 0.4)
    return Town()


async def test_of_all_relays_the_newest_waiter_is_called_and_places_go_on_from_there(town: Town) -> None:
    now = asyncio.get_running_loop().time()
    one, _ = town.relay(Waiter("oldest", now - 30), Waiter("newer", now - 10))
    other, _ = town.relay(Waiter("newest", now - 1), Waiter("older", now - 20))
    for place in range(4):
        await town.ask(place, here=2)
    assert other.called == ["newest", "older"]
    assert one.called == ["newer", "oldest"]
    assert town.asking.joined == [5, 5, 5, 5], "three others elsewhere, and two here"
    await town.ask(4)
    assert town.asking.absent == 1


async def test_where_nobody_listens_nobody_is_waited_for(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ASK_SECONDS", 3_600.0)
    town.relay()
    assert (await town.ask()).absent == 1


async def test_where_somebody_listens_to_names_alike_it_is_waited_for_a_moment(town: Town) -> None:
    host, cluster = town.relay(Waiter("somebody", 0.0))
    host.waiters.clear()
    assert (await town.ask()).absent == 1
    assert cluster.counters.forged == 0


async def test_a_waiter_that_was_called_and_does_not_answer_is_reported(town: Town) -> None:
    host, _ = town.relay(Waiter("deaf", 0.0), answers=False)
    assert (await town.ask()).missed == 1
    assert host.called == ["deaf"]


async def test_an_offer_of_another_key_is_passed_over(town: Town) -> None:
    host, _ = town.relay(Waiter("somebody", 0.0))
    carried = town.wire.carried  # of which the second is the answer
    town.wire.change = lambda said: [secrets.token_bytes(len(said)), said] if len(carried) == 2 else [said]
    assert (await town.ask()).joined == [0]
    assert host.called == ["somebody"]
    assert town.cluster.counters.forged == 1


async def test_a_dialler_that_has_gone_has_nobody_called(town: Town) -> None:
    host, _ = town.relay(Waiter("somebody", 0.0))
    dialler = cast(ClientConnection, object())
    assert town.cluster.ask(dialler, TOKEN, 0, 0)
    town.cluster.forget(dialler)
    town.asking.happened.clear()
    await town.ask()
    assert host.called == ["somebody"], "for the second dialler alone"
    assert town.asking.joined == [0]


async def test_without_a_backplane_nobody_can_be_asked(town: Town) -> None:
    town.wire.ends[0].is_connected = False
    assert not town.cluster.ask(cast(ClientConnection, object()), TOKEN, 0, 0)


async def test_an_offer_that_nobody_takes_is_forgotten(town: Town) -> None:
    _, cluster = town.relay(Waiter("somebody", 0.0))
    town.wire.change = lambda payload: [payload] if len(town.wire.carried) < 3 else []
    dialler = cast(ClientConnection, object())
    assert town.cluster.ask(dialler, TOKEN, 0, 0)
    await settle()
    assert len(cluster._offers) == 1
    cluster.check(asyncio.get_running_loop().time() + module.OFFER_SECONDS + 1)
    assert (len(cluster._offers), len(cluster._receivers)) == (0, 0)
    town.cluster.forget(dialler)


async def test_what_others_ask_has_a_bound(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OFFERS_MAX", 3)
    _, cluster = town.relay(Waiter("somebody", 0.0))
    diallers = [cast(ClientConnection, object()) for _ in range(8)]
    for dialler in diallers:
        assert town.cluster.ask(dialler, TOKEN, 9, 0)
    await settle()
    assert len(cluster._offers) == 3
    for dialler in diallers:
        town.cluster.forget(dialler)
