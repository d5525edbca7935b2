"""The network of a run: drawn delays, spoiled bytes, and what happens on a host happens in its own life."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextvars import Context

from chat.ports import Announcement, DiscoveryEvents
from tests.support.fakes.network import Accept, MemoryDiscovery, Network, Pipe
from tests.support.fakes.relay import MemoryRelay, Visitor


class SimNetwork(Network):
    """`lives`: the context of each host that is up. `slow`: seconds more from and to a host.

    `armed`: what happens to the next stream on which a host sends or gets something. It is called with a
    stream that has bytes under way, and returns whether it has happened.
    """

    def __init__(self, seed: int, latency: float, jitter: float) -> None:
        super().__init__()
        self.joins = True
        self.lives: dict[str, Context] = {}
        self.slow: dict[str, float] = {}
        self.armed: list[tuple[str, Callable[[Pipe], bool]]] = []
        self._latency, self._jitter = latency, jitter
        self._random = random.Random(f"network {seed}")

    def delay(self, pipe: Pipe) -> float:
        for one in self.armed[:]:
            if one[0] in (pipe.here, pipe.peer) and one[1](pipe):
                self.armed.remove(one)
        more = max(self.slow.get(pipe.here, 0.0), self.slow.get(pipe.peer, 0.0))
        return self._latency + self._jitter * self._random.random() + more * self._random.random()

    def accept(self, accept: Accept, pipe: Pipe) -> None:
        life = self.lives.get(pipe.here)
        if life is None:
            pipe.break_now()
        else:
            asyncio.get_running_loop().create_task(_accepted(accept, pipe), context=life)


def drop(pipe: Pipe) -> bool:
    """Both ends break, and what is under way is lost."""
    asyncio.get_running_loop().call_soon(pipe.break_now, context=Context())
    return True


def repeat(pipe: Pipe) -> bool:
    """What was sent last comes a second time."""
    if not pipe.sent or pipe.closed:
        return False
    asyncio.get_running_loop().call_soon(pipe.repeat, context=Context())
    return True


async def _accepted(accept: Accept, pipe: Pipe) -> None:
    try:
        await accept(pipe)
    except Exception as failure:  # noqa: BLE001  # asked of by the laws
        asyncio.get_running_loop().call_exception_handler({"message": "a stream", "exception": failure})


def corrupt(pipe: Pipe) -> bool:
    """Change a byte of what is under way."""
    if not pipe.under_way or not (last := pipe.under_way[-1]):
        return False
    middle = len(last) // 2
    pipe.under_way[-1] = last[:middle] + bytes([last[middle] ^ 1]) + last[middle + 1 :]
    return True


def swap(pipe: Pipe) -> bool:
    """What was sent last arrives before what was sent before it."""
    if len(pipe.under_way) < 2 or not pipe.under_way[-1]:
        return False
    pipe.under_way[-1], pipe.under_way[-2] = pipe.under_way[-2], pipe.under_way[-1]
    return True


class _InItsLife:
    """DiscoveryEvents of a host that are handled in its life, a moment later."""

    def __init__(self, events: DiscoveryEvents, life: Context) -> None:
        self._events, self._life = events, life

    def found(self, announcement: Announcement) -> None:
        asyncio.get_running_loop().call_soon(self._events.found, announcement, context=self._life)

    def lost(self, instance: str) -> None:
        asyncio.get_running_loop().call_soon(self._events.lost, instance, context=self._life)

    def network_changed(self) -> None:
        asyncio.get_running_loop().call_soon(self._events.network_changed, context=self._life)


class SimDiscovery(MemoryDiscovery):
    def __init__(self, network: SimNetwork, host: str) -> None:
        super().__init__(network, host)
        self._lives = network.lives

    async def start(self, events: DiscoveryEvents) -> None:
        await super().start(_InItsLife(events, self._lives[self._host]))


class LyingRelay(MemoryRelay):
    """A relay that lies as `lie` says: to one portion or one dialler in three."""

    lie = ""

    def begin(self, seed: str) -> None:
        self._chance = random.Random(f"relay {seed}")
        self._held: dict[Visitor, list[bytes]] = {}
        self.carry = self._carried

    def _carried(self, visitor: Visitor, data: bytes) -> list[bytes]:
        held = self._held.pop(visitor, [])
        if not self.lie or self._chance.random() > 1 / 3:
            return [data, *held]
        match self.lie:
            case "drop":
                return held
            case "repeat":
                return [data, data, *held]
            case "swap":
                self._held[visitor] = [data]
                return held
            case "corrupt":
                return [data[:-1] + bytes([data[-1] ^ 1]), *held]
        return [data, *held]

    def find(self, token: bytes, place: int) -> Visitor | None:
        if self.lie == "absent" and self._chance.random() < 1 / 3:
            return None
        return super().find(token, place)
