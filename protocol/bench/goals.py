"""What a row has to reach against whom: the least that is needed, and the field's edge.

Rules: ratios of our rate to theirs; what stands nowhere here is printed and judged by nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class Goal(NamedTuple):
    """A ratio of rates: the least, and the goal."""

    least: float
    goal: float


GOALS: Final[Mapping[tuple[str, int | None], Mapping[str, Goal]]] = {
    ("session.oneway", 64): {"vodozemac": Goal(4.0, 6.0), "doubleratchet": Goal(25.0, 40.0)},
    ("session.oneway", 65_536): {"vodozemac": Goal(4.5, 7.5)},
    ("session.seal", 64): {"libsodium": Goal(0.38, 0.55)},
    ("session.open", 64): {"vodozemac": Goal(0.8, 1.3)},
    ("session.pingpong", 64): {"vodozemac": Goal(1.2, 1.5), "libsodium": Goal(0.75, 0.9)},
    ("session.setup", None): {"vodozemac": Goal(0.4, 0.55)},
    ("noise.handshake", None): {"noiseprotocol": Goal(1.6, 2.0)},
    ("link.transport", 64): {"noiseprotocol": Goal(0.5, 0.8)},
    ("link.transport", 1_024): {"noiseprotocol": Goal(0.6, 0.85)},
    ("link.transport", 61_440): {"noiseprotocol": Goal(1.4, 2.0)},
    ("commit", 256): {"sqlcipher": Goal(0.55, 0.75)},
    ("relay.forward", 256): {"tcp": Goal(0.5, 0.8), "nats": Goal(1.0, 2.0)},
    ("relay.forward", 61_440): {"tcp": Goal(0.5, 0.8), "nats": Goal(1.0, 2.0)},
    ("relay.latency", 256): {"nats": Goal(1.0, 2.0)},
    ("relay.idle", 10_000): {"nats": Goal(1.0, 1.5)},
}
"""By name and size of a row, and by subject."""

LIMITS: Final = frozenset({"libsodium", "sqlcipher", "tcp"})
"""Subjects that do the work of a row by bare calls, without a protocol.

Reports name them before the peers, since a ratio to a peer changes with the processor.
"""


def goal_of(name: str, size: int | None, subject: str) -> Goal | None:
    """What the row has to reach against this subject, if anything."""
    return GOALS.get((name, size), {}).get(subject)
