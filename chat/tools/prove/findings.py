"""What a claim says, and what an experiment found."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from enum import StrEnum
from importlib.resources import files
from typing import Final

from msgspec import Struct, field

Value = int | float | str | Sequence[str]
SHOWN_MAX: Final = 8  # violations that are listed; of more, only the number


class Outcome(StrEnum):
    """The result of an experiment. The values are the machine-readable ones."""

    HOLDS = "holds"
    FAILS = "fails"
    UNSHOWN = "unshown"

    @property
    def words(self) -> str:
        return {"holds": "holds", "fails": "does not hold", "unshown": "cannot be shown here"}[self.value]


class Claim(Struct, frozen=True):
    """One claim of seeds/claims.toml: the sentence, its meaning, and how it is tested."""

    id: str
    text: str
    means: str
    shown: str


class CannotShow(Exception):
    """This machine does not allow the experiment; the text says why in one line."""


class Measure(Struct, frozen=True):
    """One figure: `name` for machines, `label` for people, or empty."""

    name: str
    value: Value
    label: str

    @property
    def number(self) -> str:
        return f"{self.value:,}" if isinstance(self.value, int | float) else ""

    @property
    def text(self) -> str:
        if isinstance(self.value, int | float):
            return f"{self.number} {self.label}"
        told = self.value if isinstance(self.value, str) else ", ".join(self.value)
        return f"{self.label}: {told or 'none'}"


class Record(Struct):
    done: list[str] = field(default_factory=list)
    measured: list[Measure] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def did(self, what: str) -> None:
        self.done.append(what)

    def measure(self, name: str, value: Value, label: str = "") -> None:
        self.measured.append(Measure(name, value, label))

    def violated(self, how: str) -> None:
        self.violations.append(how)

    def require(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.violated(otherwise)


class Finding(Struct, frozen=True):
    """The result of an experiment. `reason` is empty if the claim holds."""

    claim: Claim
    outcome: Outcome
    reason: str
    done: tuple[str, ...]
    measured: tuple[Measure, ...]

    def row(self) -> dict[str, object]:
        return {
            "claim": self.claim.id,
            "sentence": self.claim.text,
            "outcome": self.outcome.value,
            "reason": self.reason,
            "done": list(self.done),
            "measured": {one.name: one.value for one in self.measured},
        }


def judged(claim: Claim, record: Record, unshown: str = "") -> Finding:
    """The finding of a record; `unshown` says why the experiment could not finish."""
    if record.violations:
        more = len(record.violations) - SHOWN_MAX
        told = "; ".join(record.violations[:SHOWN_MAX])
        outcome, reason = Outcome.FAILS, f"{told}; and {more} more" if more > 0 else told
    else:
        outcome, reason = (Outcome.UNSHOWN, unshown) if unshown else (Outcome.HOLDS, "")
    return Finding(claim, outcome, reason, tuple(record.done), tuple(record.measured))


def read_claims() -> tuple[tuple[Claim, ...], tuple[str, ...]]:
    """The claims in order, and what is not claimed."""
    source = tomllib.loads(files("seeds").joinpath("claims.toml").read_text(encoding="utf-8"))
    claims = tuple(Claim(row["id"], row["text"], row["means"], row["shown"]) for row in source["claim"])
    return claims, tuple(source["not_claimed"])
