"""What a row is: a name, its sizes, and who does the same work at each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from protocol.bench.measure import Subject, interleave, rows


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
