"""What a soak has to show: nothing lost, nothing twice, one order, and flat memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

WINDOW: Final = 120.0
"""Seconds of the second and of the last span of memory, where the soak is long enough for both."""
GROWTH_MOST: Final = 1.1

Said = Sequence[tuple[str, str]]
"""Author and text of entries, in order."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was seen of one soak, by the person's name.

    `acknowledged`: texts whose sending the engine confirmed. `tried`: all that were given to it. `held`: the
    history at the end. `shown`: what the programs of a person said of entries, in any order. `memory`:
    resident memory in KiB at seconds since the beginning.
    """

    seconds: float
    acknowledged: Mapping[str, Sequence[str]]
    tried: Mapping[str, Sequence[str]]
    held: Mapping[str, Said]
    shown: Mapping[str, Said]
    memory: Mapping[str, Sequence[tuple[float, int]]]


def problems(outcome: Outcome) -> list[str]:
    """One line per violation."""
    sent = {(author, text) for author, texts in outcome.acknowledged.items() for text in texts}
    tried = {(author, text) for author, texts in outcome.tried.items() for text in texts}
    found = list[str]()
    for name, held in outcome.held.items():
        found += _lines(f"{name} lost", sent - set(held))
        found += _lines(f"{name} holds what nobody sent", set(held) - tried)
        found += _lines(f"{name} holds twice", _twice(held))
        found += _lines(f"{name} was shown twice", _twice(outcome.shown[name]))
        found += _lines(f"{name} was shown what nobody sent", set(outcome.shown[name]) - tried)
    orders = {tuple(held) for held in outcome.held.values()}
    if len(orders) > 1:
        found.append("both hold the entries in different orders, or not the same ones")
    for name, samples in outcome.memory.items():
        growth = memory_growth(samples, outcome.seconds)
        if growth is None:
            found.append(f"{name}: the memory was not measured in the second and the last span")
        elif growth > GROWTH_MOST:
            found.append(f"{name}: the memory of the last span is {growth:.2f} times that of the second")
    return found


def memory_growth(samples: Sequence[tuple[float, int]], seconds: float) -> float | None:
    """The median of the last span over that of the second; a short soak has four spans."""
    width = min(WINDOW, seconds / 4)
    early = [size for at, size in samples if width <= at < 2 * width]
    late = [size for at, size in samples if seconds - width <= at]
    return median(late) / median(early) if early and late else None


def _twice(said: Said) -> set[tuple[str, str]]:
    return {one for one, times in Counter(said).items() if times > 1}


def _lines(what: str, entries: set[tuple[str, str]]) -> list[str]:
    return [f"{what}: {author}, {text}" for author, text in sorted(entries)]
