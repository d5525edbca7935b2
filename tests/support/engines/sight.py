"""What a relay comes to see: every byte that reaches it, every message that it opens, every token by day.

Rules: nothing is asked of the engines; what must not be seen is handed in from outside of the relay.
"""

from __future__ import annotations

from base64 import b32encode, b64encode
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from chat.ports import Connection
from protocol.keys import X25519Pair
from protocol.primitives import Random
from protocol.relay.relay_end import RelayEnd
from protocol.relay.rendezvous import DAY_SECONDS
from protocol.relay.states import Dials, RelayEvent, Waits
from tests.support.fakes.relay import MemoryRelay

PART = 8
"""Keys and ids are searched for in parts of so many bytes: any 15 of them in a row have a whole one."""


@dataclass
class Sight:
    """All that one relay saw. `tokens`: of each of its days; `waited`: how many tokens each Wait had."""

    streams: list[bytes] = field(default_factory=list)
    opened: list[bytes] = field(default_factory=list)
    tokens: dict[int, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    waited: list[int] = field(default_factory=list)
    dialled: int = 0

    def note(self, events: Iterable[RelayEvent], day: int) -> None:
        for event in events:
            if isinstance(event, Waits):
                self.tokens[day].update(event.tokens)
                self.waited.append(len(event.tokens))
            elif isinstance(event, Dials):
                self.tokens[day].add(event.token)
                self.dialled += 1

    def finds(self, texts: Mapping[str, bytes], keys: Mapping[str, bytes]) -> list[str]:
        """What of these is to be seen: texts as they are and as programs write bytes, any part of a key."""
        seen = b"\x00".join((*self.streams, *self.opened))
        found = [name for name, text in texts.items() if any(form in seen for form in forms(text))]
        return found + [name for name, key in keys.items() if any(part in seen for part in _parts(key))]

    def repeats(self) -> int:
        """How many tokens were seen on two days."""
        days = list(self.tokens.values())
        return sum(len(one & other) for place, one in enumerate(days) for other in days[:place])


def forms(text: bytes) -> Iterator[bytes]:
    """Bytes as they are, and as hex, base64 and base32, in either case."""
    yield text
    for written in (text.hex().encode(), b64encode(text).rstrip(b"="), b32encode(text).rstrip(b"=")):
        yield from {written, written.lower(), written.upper()}


def _parts(key: bytes) -> Iterator[bytes]:
    for at in range(0, len(key), PART):
        yield key[at : at + PART]


class SeeingEnd(RelayEnd):
    """The relay's end of a connection, which notes what it opens and what comes of it."""

    def __init__(self, pair: X25519Pair, now: float, time: int, random: Random, sight: Sight) -> None:
        super().__init__(pair, now, time, random)
        self.sight, self._day = sight, time // DAY_SECONDS

    def receive(self, data: bytes, now: float) -> list[RelayEvent]:
        events = super().receive(data, now)
        self.sight.note(events, self._day)
        return events

    def _open(self, frame: bytes) -> bytes:
        padded = super()._open(frame)
        self.sight.opened.append(padded)
        return padded


class _Tapped:
    """A connection whose bytes are noted as they come."""

    def __init__(self, connection: Connection, sight: Sight) -> None:
        self._connection, self._sight = connection, sight
        self.peer = connection.peer

    async def read(self) -> bytes:
        data = await self._connection.read()
        self._sight.streams.append(data)
        return data

    async def write(self, data: bytes) -> None:
        await self._connection.write(data)

    def close(self) -> None:
        self._connection.close()


class SeeingRelay(MemoryRelay):
    """An honest relay that keeps everything: what a dishonest one could."""

    sight: Sight

    def start(self) -> SeeingRelay:
        self.sight = Sight()
        super().start()
        return self

    def end(self, now: float) -> RelayEnd:
        return SeeingEnd(self.pair, now, self.clock.wall() // 1_000, self.random, self.sight)

    async def _serve(self, connection: Connection) -> None:
        await super()._serve(_Tapped(connection, self.sight))
