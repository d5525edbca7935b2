"""All that is fuzzed: every decoder of bytes that come from outside, by its folder in seeds/fuzz.

A target takes bytes and gives a value or one of its typed errors, never anything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.fuzz import (
    attachments,
    backups,
    conversations,
    handshakes,
    links,
    local,
    pairings,
    persons,
    relays,
    streams,
)
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
    **backups.TARGETS,
    **attachments.TARGETS,
}
