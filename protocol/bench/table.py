"""Rows of the report as a person reads them: a block a row and size, a bar a subject, ratios beside it.

Rules: a ratio stands in our subject's note, as measure.py writes it, and is read from there; bars of one
block have one scale, since only what did the same work may be compared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

from protocol.bench.goals import Goal, goal_of
from protocol.bench.row import LEFT_OUT

WIDTH: Final = 28
"""Characters of the longest bar."""

_RATIO: Final = re.compile(r"([\d.]+) x (\S+) \[([\d.]+)-([\d.]+)\]")
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"

ReportRow = Mapping[str, Any]


@dataclass(frozen=True)
class Ratio:
    """Our rate to another subject's: the median over the rounds, its quartiles, and what it has to reach."""

    subject: str
    median: float
    low: float
    high: float
    goal: Goal | None

    @property
    def reached(self) -> bool:
        """Whether it is the least that is needed; so it is where nothing is asked."""
        return self.goal is None or self.median >= self.goal.least

    def __str__(self) -> str:
        text = f"{self.median:.2f} x [{self.low:.2f}-{self.high:.2f}]"
        if self.goal is None:
            return text
        return f"{text}, least {self.goal.least:g}: {'reached' if self.reached else 'MISSED'}"


def blocks(rows: Iterable[ReportRow]) -> list[list[ReportRow]]:
    """Rows that belong together: one name, one size."""
    return [list(block) for _, block in groupby(rows, key=lambda row: (row["name"], row["size"]))]


def ratios(block: Sequence[ReportRow]) -> dict[str, Ratio]:
    """By subject, the ratios that the first row of a block tells."""
    name, size = block[0]["name"], block[0]["size"]
    return {
        subject: Ratio(subject, float(middle), float(low), float(high), goal_of(name, size, subject))
        for middle, subject, low, high in _RATIO.findall(block[0]["note"])
    }


def bar(part: float, width: int = WIDTH) -> str:
    """A bar of `part`, 0 to 1, of the width, to the eighth of a character; never nothing."""
    eighths = max(1, round(part * width * 8))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def title(row: ReportRow) -> str:
    """What a block measures."""
    size = "" if row["size"] is None else f", {row['size']:,} {_size_unit(row['name'])}"
    return f"{row['name']}{size}, {row['unit']}"


def _size_unit(name: str) -> str:
    return {"commit": "envelopes", "relay.idle": "connections"}.get(name, "B")


def figure(rate: float) -> str:
    """A rate with as many digits as it is worth."""
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:,.1f}"


def lines(block: Sequence[ReportRow]) -> list[str]:
    """A text for each row of a block; the first has the title above it."""
    told, most = ratios(block), max(row["per_second"] for row in block)
    texts = [_line(row, most, told.get(row["subject"])) for row in block]
    return [f"{title(block[0])}\n{texts[0]}", *texts[1:]]


def _line(row: ReportRow, most: float, ratio: Ratio | None) -> str:
    if row["note"].startswith(LEFT_OUT):
        return f"  {row['subject']:<14} {row['note']}"
    shown = (
        f"  {row['subject']:<14} {figure(row['per_second']):>11}  {bar(row['per_second'] / most):<{WIDTH}}"
    )
    return f"{shown}  {ratio}" if ratio is not None else shown.rstrip()
