"""Which tests may run at the same time.

Rules: tests that run engines, programs or hosts share ports, multicast and processors, and so run one after
the other in one process; a file whose tests stay within their own process runs beside them.
"""

from __future__ import annotations

import functools
from typing import Final

from xdist.scheduler import LoadScopeScheduling

from tests.architecture.imports import ROOT

MACHINE: Final = "machine"
_WITHIN: Final = tuple(
    f"tests/{folder}/" for folder in ("architecture", "fuzz", "unit/protocol", "unit/storage", "unit/tui")
)
_MARKS: Final = ("mark.network", "mark.terminal", "mark.crash")


class Shares(LoadScopeScheduling):  # type: ignore[misc]  # no types are published
    """One share for the whole machine, and one for each file beside it."""

    def _split_scope(self, nodeid: str) -> str:
        return share_of(nodeid.partition("::")[0])


@functools.cache
def share_of(file: str) -> str:
    """The share of a test file, by its path from the project's root."""
    if not file.startswith(_WITHIN):
        return MACHINE
    text = (ROOT / file).read_text(encoding="utf-8")
    return MACHINE if any(mark in text for mark in _MARKS) else file
