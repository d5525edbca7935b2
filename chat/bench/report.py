"""What is measured from outside and its bounds, and what is said of a figure.

Rules: pure; a figure is good only where it was taken and is within its bound; the row has the fields of
every other benchmark, so the amount and the bound stand in its note.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from statistics import median
from typing import Any, Final

RUNS: Final = 5
INPUTS_MOST: Final = 3


class NotTaken(Exception):
    """This machine lacks what the measurement needs; the text names it."""


class Unit(Enum):
    """What an amount counts, and how one is said."""

    SECONDS = "s"
    MIB = "MiB"
    CORE = "of a core"

    def said(self, amount: float) -> str:
        """An amount as people read it."""
        if self is Unit.MIB:
            return f"{amount:.1f} MiB"
        if self is Unit.CORE:
            return f"{amount:.2%} of a core"
        return f"{amount * 1000:.1f} ms" if amount < 0.1 else f"{amount:.2f} s"


@dataclass(frozen=True, slots=True)
class Aim:
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
START: Final = Aim("flow.start", 0.6, "from the start of the process to the field for the passphrase")
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


@dataclass(frozen=True, slots=True)
class Sample:
    """One run: an amount in the aim's unit; `inputs` of the persons, where they are counted.

    `aside` is said beside the figure and has no bound.
    """

    amount: float
    inputs: tuple[int, ...] = ()
    aside: str = ""


@dataclass(frozen=True, slots=True)
class Figure:
    """What the runs gave, or why there are none."""

    aim: Aim
    samples: Sequence[Sample]
    problem: str = ""

    @property
    def amount(self) -> float | None:
        """The median; None where nothing was measured."""
        return median(sample.amount for sample in self.samples) if self.samples else None

    @property
    def good(self) -> bool:
        """Whether it was taken, is under its bound and asks no more of a person than it may."""
        most = self.aim.inputs_most
        few = most is None or all(count <= most for sample in self.samples for count in sample.inputs)
        return self.amount is not None and self.amount < self.aim.bound and few

    def row(self) -> dict[str, Any]:
        """{"name", "size", "subject", "per_second", "unit", "note"}; `per_second` is null if not taken.

        Of memory nothing is counted a second: its `size` is the bytes.
        """
        size, per_second, unit = self._counted()
        return {
            "name": self.aim.name,
            "size": size,
            "subject": "parlour",
            "per_second": per_second,
            "unit": unit,
            "note": f"{self.verdict()}; {self.aim.measured}",
        }

    def _counted(self) -> tuple[int | None, float | None, str]:
        aim, taken = self.aim, self.amount
        if aim.unit is Unit.MIB:
            return (None if taken is None else round(taken * 2**20)), None, "bytes"
        if aim.unit is Unit.CORE:
            return aim.size, (None if taken is None else round(taken, 5)), "CPU s/s"
        return aim.size, (round(1 / taken, 3) if taken else None), aim.rate

    def verdict(self) -> str:
        """The figure beside its bound."""
        said, bound = self.aim.unit.said, self.aim.unit.said(self.aim.bound)
        if self.amount is None:
            return f"not taken, at most {bound}: {self.problem}"
        low, high = (said(of(sample.amount for sample in self.samples)) for of in (min, max))
        text = f"{said(self.amount)} of at most {bound}, {'kept' if self.good else 'MISSED'}"
        text += f" (median of {len(self.samples)}, {low} to {high})"
        return text + self._inputs() + self._aside()

    def _inputs(self) -> str:
        if self.aim.inputs_most is None:
            return ""
        counts = " and ".join(
            str(max(counts)) for counts in zip(*(s.inputs for s in self.samples), strict=True)
        )
        return f", {counts} inputs of at most {self.aim.inputs_most}"

    def _aside(self) -> str:
        return f", {aside}" if (aside := self.samples[-1].aside) else ""
