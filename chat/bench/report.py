"""The flows and their bounds, and what is said of a figure.

Rules: pure; a figure is good only where it was taken and is within its bound; the row has the fields of
every other benchmark, so the seconds and the bound stand in its note.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

RUNS: Final = 5
INPUTS_MOST: Final = 3


class NotTaken(Exception):
    """This machine lacks what the measurement needs; the text names it."""


@dataclass(frozen=True, slots=True)
class Flow:
    """`bound` in seconds; `measured` says from where to where. `inputs_most`: of either person."""

    name: str
    bound: float
    measured: str
    inputs_most: int | None = None


PAIRING: Final = Flow(
    "flow.pairing",
    3.0,
    "from the Enter of the second person's new passphrase, Argon2id included, to the first entry's delivered "
    "mark, the people answering at once; inputs of the one who begins: choose the other, y, the text with "
    "its Enter; of the other: y",
    INPUTS_MOST,
)
START: Final = Flow("flow.start", 0.6, "from the start of the process to the field for the passphrase")
LAUNCH: Final = Flow(
    "flow.launch",
    2.0,
    "from the start of the process over the passphrase, typed as soon as it is asked for, to the delivered "
    "mark of an entry for a contact who is there",
)
SEND: Final = Flow("flow.send", 2.5, "from the start of `parlour send` to its end with status 0")
TALK: Final = Flow(
    "flow.talk",
    0.040,
    "from Enter to the text on the contact's screen, both commits included; a run is the median of 20",
)
FLOWS: Final = (PAIRING, START, LAUNCH, SEND, TALK)


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of a flow: `inputs` of the persons, where they are counted."""

    seconds: float
    inputs: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Figure:
    """What the runs of a flow gave, or why there are none."""

    flow: Flow
    samples: Sequence[Sample]
    problem: str = ""

    @property
    def seconds(self) -> float | None:
        """The median; None where nothing was measured."""
        return median(sample.seconds for sample in self.samples) if self.samples else None

    @property
    def good(self) -> bool:
        """Whether it was taken, is under its bound and asks no more of a person than it may."""
        most = self.flow.inputs_most
        few = most is None or all(count <= most for sample in self.samples for count in sample.inputs)
        return self.seconds is not None and self.seconds < self.flow.bound and few

    def row(self) -> dict[str, Any]:
        """{"name", "size", "subject", "per_second", "unit", "note"}; `per_second` is null if not taken."""
        taken = self.seconds
        return {
            "name": self.flow.name,
            "size": None,
            "subject": "parlour",
            "per_second": round(1 / taken, 3) if taken else None,
            "unit": "flows/s",
            "note": f"{self.verdict()}; {self.flow.measured}",
        }

    def verdict(self) -> str:
        """The figure beside its bound."""
        if self.seconds is None:
            return f"not taken, at most {_span(self.flow.bound)}: {self.problem}"
        low, high = (bound(sample.seconds for sample in self.samples) for bound in (min, max))
        text = (
            f"{_span(self.seconds)} of at most {_span(self.flow.bound)}, {'kept' if self.good else 'MISSED'}"
        )
        text += f" (median of {len(self.samples)}, {_span(low)} to {_span(high)})"
        return text + self._inputs()

    def _inputs(self) -> str:
        if self.flow.inputs_most is None:
            return ""
        counts = " and ".join(
            str(max(counts)) for counts in zip(*(s.inputs for s in self.samples), strict=True)
        )
        return f", {counts} inputs of at most {self.flow.inputs_most}"


def _span(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 0.1 else f"{seconds:.2f} s"
