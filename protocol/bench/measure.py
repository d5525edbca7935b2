"""Measuring subjects side by side (the report's numbers mean nothing without their neighbours).

Rules: all subjects of a row run in turn inside every round, and ratios are taken within a round;
the first round is thrown away, the collector is off while a clock runs, medians are reported.
A figure is a rate; what it may be compared with stands in its note.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any, Final

ROUNDS: Final = 21
SLICE_SECONDS: Final = 0.02
"""How long one subject runs in one round, about."""


BATCH: Final = 256
"""How often work runs between two preparations."""


@dataclass(frozen=True)
class Subject:
    """Something measured: its name, its work, and what a reader must know about it.

    `prepare` makes ready, while no clock runs, what so many calls of work will use up.
    """

    name: str
    work: Callable[[], object]
    note: str
    prepare: Callable[[int], object] | None = None


@dataclass(frozen=True)
class Sample:
    """The rates of one subject, one a round, in units a second."""

    subject: Subject
    rates: tuple[float, ...]

    @property
    def per_second(self) -> float:
        """The median rate."""
        return median(self.rates)

    def ratio_to(self, other: Sample) -> str:
        """The median of the ratios within rounds, with their quartiles."""
        ratios = [mine / theirs for mine, theirs in zip(self.rates, other.rates, strict=True)]
        low, middle, high = quantiles(ratios, n=4)
        return f"{middle:.2f} x {other.subject.name} [{low:.2f}-{high:.2f}]"


def _timed(subject: Subject, count: int) -> float:
    """Seconds that so many calls take."""
    if subject.prepare is None:
        return _seconds(subject.work, count)
    taken = 0.0
    for done in range(0, count, BATCH):
        batch = min(BATCH, count - done)
        subject.prepare(batch)
        taken += _seconds(subject.work, batch)
    return taken


def _seconds(work: Callable[[], object], count: int) -> float:
    started = time.perf_counter()
    for _ in range(count):
        work()
    return time.perf_counter() - started


def _fitting_count(subject: Subject, seconds: float) -> int:
    """How often to run work so that it takes about so long."""
    count, taken = 1, _timed(subject, 1)
    while taken < seconds / 10:
        count *= 4
        taken = _timed(subject, count)
    return max(1, round(count * seconds / taken))


def interleave(
    subjects: Sequence[Subject],
    *,
    units: float = 1,
    rounds: int = ROUNDS,
    seconds: float = SLICE_SECONDS,
    count: int | None = None,
) -> list[Sample]:
    """Run all subjects in turn, `rounds` times (at least 2) after one that does not count.

    `units` is how many units of the row one call of `work` does; `count`, if given, how often it runs.
    """
    counts = [count or _fitting_count(subject, seconds) for subject in subjects]
    rates: list[list[float]] = [[] for _ in subjects]
    with _uncollected():
        for _ in range(rounds + 1):
            for subject, times, kept in zip(subjects, counts, rates, strict=True):
                kept.append(times * units / _timed(subject, times))
            gc.collect()
    return [Sample(subject, tuple(kept[1:])) for subject, kept in zip(subjects, rates, strict=True)]


@contextmanager
def _uncollected() -> Iterator[None]:
    """No collection but those asked for."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def rows(name: str, size: int | None, unit: str, samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """The rows of the report: the first subject is ours, and its note holds the ratios to all others."""
    ours, *others = samples
    ratios = ", ".join(ours.ratio_to(other) for other in others)
    notes = [f"{ratios}; {ours.subject.note}" if ratios else ours.subject.note]
    notes += [other.subject.note for other in others]
    return [
        {
            "name": name,
            "size": size,
            "subject": sample.subject.name,
            "per_second": round(sample.per_second, 1),
            "unit": unit,
            "note": note,
        }
        for sample, note in zip(samples, notes, strict=True)
    ]
