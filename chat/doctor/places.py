"""How the places of terminals are shown in a line.

Rules: addresses only, never whose they are; few, so that a line stays one.
"""

from __future__ import annotations

from collections.abc import Iterable

from chat.doctor.evidence import Finding
from chat.network.addresses import format_address

SHOWN_MAX = 2
"""Addresses in one line."""


def listed(findings: Iterable[Finding]) -> str:
    """The first address of each terminal: those on an own network before others."""
    shown = list(dict.fromkeys(map(_first, findings)))
    more = f" (+{len(shown) - SHOWN_MAX})" if len(shown) > SHOWN_MAX else ""
    return ", ".join(shown[:SHOWN_MAX]) + more


def _first(finding: Finding) -> str:
    best = sorted(finding.visits, key=lambda visit: (visit.is_scoped, not visit.on))[0]
    return format_address(best.host, best.port)
