"""Measures subjects of a row in turns, and compares the figures with their targets."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import median, quantiles
from typing import Any, Final, NamedTuple

from msgspec import Struct

ROUNDS: Final = 21
SLICE_SECONDS: Final = 0.02  # how long one subject runs in one round, about


BATCH: Final = 256  # how often work runs between two preparations


@dataclass(frozen=True)
class Subject:
    """Work to measure. `prepare` makes ready, while no clock runs, what so many calls of it will use up."""

    name: str
    work: Callable[[], object]
    note: str
    prepare: Callable[[int], object] | None = None


@dataclass(frozen=True)
class Sample:
    """The rates of one subject, one per round, in units per second."""

    subject: Subject
    rates: tuple[float, ...]

    @property
    def per_second(self) -> float:
        return median(self.rates)

    def ratio_to(self, other: Sample) -> str:
        """The median of the ratios within rounds, with their quartiles."""
        ratios = [mine / theirs for mine, theirs in zip(self.rates, other.rates, strict=True)]
        low, middle, high = quantiles(ratios, n=4)
        return f"{middle:.2f} x {other.subject.name} [{low:.2f}-{high:.2f}]"


def _timed(subject: Subject, count: int) -> float:
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
    collecting = gc.isenabled()
    gc.disable()
    try:
        for _ in range(rounds + 1):
            for subject, times, kept in zip(subjects, counts, rates, strict=True):
                kept.append(times * units / _timed(subject, times))
            gc.collect()
    finally:
        if collecting:
            gc.enable()
    return [Sample(subject, tuple(kept[1:])) for subject, kept in zip(subjects, rates, strict=True)]


def rows(name: str, size: int | None, unit: str, samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """The rows of the report. The first subject is ours, and its note holds the ratios to the others."""
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


LEFT_OUT: Final = "left out: "  # begins the note of a subject that could not be measured


def left_out(name: str, size: int | None, subject: str, unit: str, reason: str) -> dict[str, Any]:
    rate = {"per_second": 0.0, "unit": unit}
    return {"name": name, "size": size, "subject": subject, **rate, "note": LEFT_OUT + reason}


@dataclass(frozen=True)
class Row:
    """`subjects`: of a size in bytes (or None), with peers if wanted, ours first. `units`: of one call."""

    name: str
    sizes: tuple[int | None, ...]
    unit: str
    subjects: Callable[[int | None, bool], Sequence[Subject]]
    units: Callable[[int | None], float] = lambda size: 1

    def measure(self, *, peers: bool, **timing: Any) -> list[dict[str, Any]]:
        report = []
        for size in self.sizes:
            samples = interleave(self.subjects(size, peers), units=self.units(size), **timing)
            report += rows(self.name, size, self.unit, samples)
        return report


class Late:
    """Work that measures each of its calls: the longest of them matter to somebody who waits."""

    def __init__(self, work: Callable[[], object], prepare: Callable[[int], object] | None = None) -> None:
        self._work, self.prepare, self._taken = work, prepare, list[float]()

    def __call__(self) -> None:
        started = time.perf_counter()
        self._work()
        self._taken.append(time.perf_counter() - started)

    def verdict(self, name: str, size: int | None) -> str:
        """The 95th percentile, and its bound in MOST."""
        taken = self._taken if len(self._taken) > 1 else self._taken * 2
        late, most = quantiles(taken, n=20, method="inclusive")[-1], MOST.get((name, size))
        said = f"{LATE} within {late * 1000:.2f} ms"
        if most is None:
            return said
        return f"{said} of at most {most * 1000:.0f} ms, {'kept' if late < most else MISSED}"


MISSED: Final = "MISSED"
LATE: Final = "95 of 100 calls"  # begins what a row says of its longest calls


class Goal(NamedTuple):
    """A ratio of rates: the least that is accepted, and the goal."""

    least: float
    goal: float


GOALS: Final[Mapping[tuple[str, int | None], Mapping[str, Goal]]] = {
    ("session.oneway", 64): {"vodozemac": Goal(4.0, 6.0), "doubleratchet": Goal(25.0, 40.0)},
    ("session.oneway", 65_536): {"vodozemac": Goal(4.5, 7.5), "libsodium": Goal(0.55, 0.65)},
    ("session.seal", 64): {"libsodium": Goal(0.38, 0.55)},
    ("session.open", 64): {"vodozemac": Goal(0.8, 1.3), "libsodium": Goal(0.45, 0.55)},
    ("session.pingpong", 64): {"vodozemac": Goal(1.2, 1.5), "libsodium": Goal(0.75, 0.9)},
    ("session.setup", None): {"vodozemac": Goal(0.4, 0.55)},
    ("noise.handshake", None): {"noiseprotocol": Goal(1.6, 2.0)},
    ("link.transport", 64): {"noiseprotocol": Goal(0.5, 0.8)},
    ("link.transport", 1_024): {"noiseprotocol": Goal(0.6, 0.85)},
    ("link.transport", 61_440): {"noiseprotocol": Goal(1.4, 2.0)},
    ("commit", 256): {"sqlcipher": Goal(0.70, 0.75)},
    **{
        (f"storage.{name}", 1_000_000): {"sqlite3": goal}
        for name, goal in {
            "page": Goal(0.5, 0.67),
            **dict.fromkeys(
                ("search.word", "search.words", "search.prefix", "search.chinese"), Goal(0.25, 0.3)
            ),
            "append": Goal(0.5, 0.67),
        }.items()
    },
    ("storage.burst", 1_000_000): {"sqlcipher": Goal(0.6, 0.75)},
    ("history.move", 20_000): {"sqlcipher": Goal(0.4, 0.6)},
    ("file.send", 256 << 20): {"scp": Goal(1.0, 1.5)},
    ("relay.forward", 256): {"tcp": Goal(0.5, 0.8), "nats": Goal(1.0, 2.0)},
    ("relay.forward", 61_440): {"tcp": Goal(0.5, 0.8), "nats": Goal(1.0, 2.0)},
    ("relay.latency", 256): {"nats": Goal(1.0, 2.0)},
    ("relay.idle", 10_000): {"nats": Goal(1.0, 1.5)},
}
"""By name and size of a row, and by subject."""

MOST: Final[Mapping[tuple[str, int | None], float]] = {
    **{
        (f"storage.{name}", 1_000_000): 0.02
        for name in ("page", "search.word", "search.words", "search.prefix", "search.chinese")
    },
    ("storage.open", 1_000_000): 0.1,
}
"""Seconds under which 95 of 100 calls of a row have to stay."""

LIMITS: Final = frozenset({"libsodium", "sqlcipher", "sqlite3", "tcp"})
"""Subjects that do the work of a row by bare calls, without a protocol.

Reports name them before the peers, since a ratio to a peer changes with the processor.
"""


RUNS: Final = 5
INPUTS_MOST: Final = 3


class NotTaken(Exception):
    """This machine lacks what the measurement needs, which the text names."""


class Unit(Enum):
    SECONDS = "s"
    MIB = "MiB"
    CORE = "of a core"
    WAKES = "wake-ups/h"
    TIMES = "times"

    def said(self, amount: float) -> str:
        if self is Unit.MIB:
            return f"{amount:.1f} MiB"
        if self is Unit.CORE:
            return f"{amount:.2%} of a core"
        if self is Unit.WAKES:
            return f"{amount:,.0f} wake-ups an hour"
        if self is Unit.TIMES:
            return f"{amount:.2f} times"
        return f"{amount * 1000:.1f} ms" if amount < 0.1 else f"{amount:.2f} s"


class Aim(Struct, frozen=True):
    """What is measured (`measured` says from where to where) and the `bound` that it has to stay under.

    `inputs_most`: of either person; `rate`: what the JSON row counts a second, where the unit is seconds;
    `size`: the entries of the conversation, where they matter.
    """

    name: str
    bound: float
    measured: str
    inputs_most: int | None = None
    unit: Unit = Unit.SECONDS
    rate: str = "flows/s"
    size: int | None = None


PAIRING: Final = Aim(
    "flow.pairing",
    3.0,
    "from the Enter of the second person's new passphrase, Argon2id included, to the first entry's delivered "
    "mark, the people answering at once; inputs of the one who begins: choose the other, y, the text with "
    "its Enter; of the other: y",
    INPUTS_MOST,
)
START: Final = Aim("flow.start", 0.35, "from the start of the process to the field for the passphrase")
LAUNCH: Final = Aim(
    "flow.launch",
    2.0,
    "from the start of the process over the passphrase, typed as soon as it is asked for, to the delivered "
    "mark of an entry for a contact who is there",
)
SEND: Final = Aim("flow.send", 2.5, "from the start of `parlour send` to its end with status 0")
TALK: Final = Aim(
    "flow.talk",
    0.040,
    "from Enter to the text on the contact's screen, both commits included; a run is the median of 20",
)
FLOWS: Final = (PAIRING, START, LAUNCH, SEND, TALK)


class FlowSample(Struct, frozen=True):
    """One run: an amount in the aim's unit; counted `inputs` of the persons; an `aside` without a bound."""

    amount: float
    inputs: tuple[int, ...] = ()
    aside: str = ""


class Figure(Struct, frozen=True):
    """The samples of an aim, or why there are none."""

    aim: Aim
    samples: Sequence[FlowSample]
    problem: str = ""

    @property
    def amount(self) -> float | None:
        """The median; None if nothing was measured."""
        return median(sample.amount for sample in self.samples) if self.samples else None

    @property
    def good(self) -> bool:
        """Whether it was taken, is under its bound and needs no more inputs than allowed."""
        most = self.aim.inputs_most
        few = most is None or all(count <= most for sample in self.samples for count in sample.inputs)
        return self.amount is not None and self.amount < self.aim.bound and few

    def row(self) -> dict[str, Any]:
        """{"name", "size", "subject", "per_second", "unit", "note"}; `per_second` is null if not taken.

        Of memory nothing is counted a second: its `size` is the bytes.
        """
        aim, taken = self.aim, self.amount
        size, per_second, unit = aim.size, round(1 / taken, 3) if taken else None, aim.rate
        if aim.unit is Unit.MIB:
            size, per_second, unit = None if taken is None else round(taken * 2**20), None, "bytes"
        elif aim.unit is Unit.CORE:
            per_second, unit = None if taken is None else round(taken, 5), "CPU s/s"
        elif aim.unit is Unit.WAKES:
            per_second, unit = None if taken is None else round(taken / 3_600, 4), "wake-ups/s"
        elif aim.unit is Unit.TIMES:
            per_second, unit = None if taken is None else round(taken, 3), "times"
        return {
            "name": aim.name,
            "size": size,
            "subject": "parlour",
            "per_second": per_second,
            "unit": unit,
            "note": f"{self.verdict()}; {aim.measured}",
        }

    def verdict(self) -> str:
        said, bound = self.aim.unit.said, self.aim.unit.said(self.aim.bound)
        if self.amount is None:
            return f"not taken, at most {bound}: {self.problem}"
        low, high = (said(of(sample.amount for sample in self.samples)) for of in (min, max))
        text = f"{said(self.amount)} of at most {bound}, {'kept' if self.good else MISSED}"
        text += f" (median of {len(self.samples)}, {low} to {high})"
        if self.aim.inputs_most is not None:
            each = zip(*(sample.inputs for sample in self.samples), strict=True)
            counts = " and ".join(str(max(counts)) for counts in each)
            text += f", {counts} inputs of at most {self.aim.inputs_most}"
        return f"{text}, {aside}" if (aside := self.samples[-1].aside) else text
