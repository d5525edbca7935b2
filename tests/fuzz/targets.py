"""All that is fuzzed: every decoder of bytes that come from outside, by its folder in seeds/fuzz.

Rules: a target takes bytes and gives a value or one of its typed errors, never anything else; what it must
hold besides it asserts itself; inputs are what the program makes, so that they can be made again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.fuzz import conversations, handshakes, links, local, pairings, persons, relays, streams
from tests.fuzz.target import Target

TARGETS: Final[Mapping[str, Target]] = {
    **streams.TARGETS,
    **handshakes.TARGETS,
    **links.TARGETS,
    **persons.TARGETS,
    **pairings.TARGETS,
    **conversations.TARGETS,
    **relays.TARGETS,
    **local.TARGETS,
}
