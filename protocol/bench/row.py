"""What a row is: a name, its sizes, and who does the same work at each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from protocol.bench.measure import Subject, interleave, rows

LEFT_OUT: Final = "left out: "
"""Begins the note of a subject that could not be measured."""


def left_out(name: str, size: int | None, subject: str, unit: str, reason: str) -> dict[str, Any]:
    """The row of a subject that was asked for and is not there."""
    told = {"per_second": 0.0, "unit": unit, "note": LEFT_OUT + reason}
    return {"name": name, "size": size, "subject": subject, **told}


@dataclass(frozen=True)
class Row:
    """`subjects` gives, for a size in bytes (or None) and whether peers are wanted, ours first.

    `units` is how many units one call of a subject's work does at a size.
    """

    name: str
    sizes: tuple[int | None, ...]
    unit: str
    subjects: Callable[[int | None, bool], Sequence[Subject]]
    units: Callable[[int | None], float] = lambda size: 1

    def measure(self, *, peers: bool, **timing: Any) -> list[dict[str, Any]]:
        """All sizes, all subjects; `timing` goes to measure.interleave."""
        report = []
        for size in self.sizes:
            samples = interleave(self.subjects(size, peers), units=self.units(size), **timing)
            report += rows(self.name, size, self.unit, samples)
        return report
