"""What the protocol costs, measured beside bare libsodium and beside others in the same run.

A program beside the protocol: it may read the clock. The row that needs the engine is in chat/bench.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from protocol.bench import handshakes, links, sessions
from protocol.bench.row import Row

ROWS: Final[Mapping[str, Row]] = {row.name: row for row in (*sessions.ROWS, *handshakes.ROWS, *links.ROWS)}
"""The rows that this package measures, in the order of the report."""

NAMES: Final = tuple(ROWS)


def run(names: Sequence[str] = (), peers: bool = False, **timing: Any) -> list[dict[str, Any]]:
    """Rows {"name", "size", "subject", "per_second", "unit", "note"} of the names given, or of all.

    `peers` adds those that are installed; `timing` may shorten it (rounds, seconds). KeyError for a name
    that is not in NAMES.
    """
    report = []
    for name in names or NAMES:
        report += ROWS[name].measure(peers=peers, **timing)
    return report
