"""What the protocol costs, measured beside bare libsodium and beside others in the same run.

A program like vectors/generate.py: it may read the clock. Rows that need the engine are in chat/bench.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from protocol.bench import sessions

NAMES: Final = tuple(sessions.ROWS)
"""The rows that this package measures."""


def run(names: Sequence[str] = (), peers: bool = False, **timing: Any) -> list[dict[str, Any]]:
    """Rows {"name", "size", "subject", "per_second", "unit", "note"} of the names given, or of all.

    `peers` adds those that are installed; `timing` may shorten it (rounds, seconds). KeyError for a name
    that is not in NAMES.
    """
    report = []
    for name in names or NAMES:
        report += sessions.measure(name, with_peers=peers, **timing)
    return report
