"""A terminal and a relay that hear each other, without a network; and a relay's table of tokens in small.

Rules: whole conversations by default, or byte by byte; everything is deterministic; times are monotonic
seconds that the test moves.
"""

from __future__ import annotations

from collections.abc import Iterable

from protocol.keys import X25519Pair
from protocol.relay.connection import RelayConnection
from protocol.relay.relay_end import RelayEnd
from protocol.relay.states import RelayEvent
from protocol.relay.terminal_end import RelayTerminal
from tests.support.protocol.points import seeded

RELAY = X25519Pair(bytes(range(32)))
TIME = 20_000 * 86_400 + 3_600
"""The relay's clock: an hour into a day."""


def token(index: int) -> bytes:
    return bytes([index]) * 16


class RelayPair:
    """One connection: both ends, and what each was told."""

    def __init__(self, label: str = "x", portion: int = 0, relay: bytes = RELAY.public) -> None:
        self.terminal = RelayTerminal(relay, 0.0, seeded(f"terminal {label}"))
        self.relay = RelayEnd(RELAY, 0.0, TIME, seeded(f"relay {label}"))
        self.portion, self.now = portion, 0.0
        self.told: list[RelayEvent] = []  # the terminal
        self.heard: list[RelayEvent] = []  # the relay
        self.on_the_wire: list[bytes] = []

    def run(self) -> RelayPair:
        """Carry bytes both ways until nobody has any to send."""
        ends = ((self.relay, self.terminal, self.told), (self.terminal, self.relay, self.heard))
        moved = True
        while moved:
            moved = False
            for source, target, events in ends:
                data = source.data_to_send()
                moved |= bool(data)
                self._carry(data, target, events)
        return self

    def _carry(self, data: bytes, target: RelayConnection, events: list[RelayEvent]) -> None:
        self.on_the_wire += [data] if data else []
        size = self.portion or len(data) or 1
        for start in range(0, len(data), size):
            events += target.receive(data[start : start + size], self.now)

    def wait(self, tokens: Iterable[bytes]) -> RelayPair:
        """The terminal waits, and the relay holds its tokens."""
        self.run().terminal.wait(tokens, self.now)
        self.run().relay.waiting()
        return self.run()

    def dial(self, wanted: bytes, place: int = 0) -> RelayPair:
        self.run().terminal.dial(wanted, self.now, place)
        return self.run()
