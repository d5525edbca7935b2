"""Writes what a run gave: RESULTS.md and plot.svg here, and the table in README.md between its two marks.

`parlour bench --peers --json | python -m protocol.bench.report`, which is `make bench`. Rules: figures come
from the rows that are read, and from the profile that is measured here; no figure is written by hand.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from protocol.bench import machine, profile, table
from protocol.bench.goals import GOALS, Goal
from protocol.bench.plot import plot
from protocol.bench.table import Ratio, ReportRow, blocks, figure, ratios

_HERE: Final = Path(__file__).parent
_README: Final = _HERE.parents[1] / "README.md"
BEGIN, END = "<!-- bench: written by make bench -->", "<!-- bench ends -->"


def read(lines: Iterable[str]) -> list[dict[str, Any]]:
    """Rows from JSON, one a line. ValueError where a row is lacking that has a least: the run broke off."""
    rows = [json.loads(line) for line in lines]
    lacking = GOALS.keys() - {(row["name"], row["size"]) for row in rows}
    if lacking:
        raise ValueError(f"the run is not whole: {', '.join(sorted(name for name, _ in lacking))}")
    return rows


def asked(rows: Iterable[ReportRow]) -> list[tuple[str, Ratio]]:
    """(row, ratio) of every ratio that has to reach something, in the order of the report."""
    return [
        (_row_name(block[0]), ratio)
        for block in blocks(rows)
        for ratio in ratios(block).values()
        if ratio.goal is not None
    ]


def _row_name(row: ReportRow) -> str:
    return table.title(row).rpartition(", ")[0]


def summary(rows: Iterable[ReportRow]) -> list[str]:
    """The table of README.md: a line for each ratio that something is asked of."""
    lines = [
        "| | Parlour | with ChaCha20 | beside | theirs | ratio | least |",
        "| --- | ---: | ---: | --- | ---: | --- | --- |",
    ]
    for block in blocks(rows):
        lines += _summary_of(block)
    return lines


def _summary_of(block: Sequence[ReportRow]) -> list[str]:
    rates = {row["subject"]: figure(row["per_second"]) for row in block}
    name, unit = _row_name(block[0]), block[0]["unit"]
    own = f"| {name} | {rates['parlour']} {unit} | {rates.get('parlour-chacha', '')} |"
    lines = [
        f"{own} {ratio.subject} | {rates[ratio.subject]} | {_cell(ratio, ratio.goal)} |"
        for ratio in ratios(block).values()
        if ratio.goal is not None
    ]
    return lines or [f"{own} | | | |"]


def _cell(ratio: Ratio, goal: Goal) -> str:
    missed = "" if ratio.reached else ", missed"
    return f"{ratio.median:.2f} × ({ratio.low:.2f}–{ratio.high:.2f}) | {goal.least:g} ×{missed}"


def everything(rows: Iterable[ReportRow]) -> list[str]:
    """The table of RESULTS.md: a line a subject, with its note."""
    lines = ["| row | subject | rate | against ours | what it does |", "| --- | --- | ---: | --- | --- |"]
    for block in blocks(rows):
        told = ratios(block)
        for row in block:
            ratio = told.get(row["subject"])
            note = row["note"].rpartition("]; ")[2]
            rate = f"{figure(row['per_second'])} {row['unit']}" if row["per_second"] else "–"
            lines.append(f"| {_row_name(row)} | {row['subject']} | {rate} | {ratio or ''} | {note} |")
    return lines


def results(rows: Sequence[ReportRow], whole: profile.Part, parts: Sequence[profile.Part]) -> str:
    """RESULTS.md."""
    return "\n".join(
        [
            "# What the protocol costs",
            "",
            f"Measured on {_today()} by `make bench`, which writes this file, on: {machine.description()}.",
            "",
            "Medians of interleaved rounds; a ratio is the median of the ratios within rounds, with its",
            "quartiles. What flatters, and what does not, stands in [README.md](../../README.md#speed).",
            "",
            *everything(rows),
            "",
            "![Ratios](plot.svg)",
            "",
            "## Where the time of session.oneway, 64 goes",
            "",
            *profile.as_table(whole, parts),
            "",
        ]
    )


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def with_summary(readme: str, rows: Sequence[ReportRow]) -> str:
    """README.md with the table anew. ValueError without the two marks."""
    before, _, rest = readme.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError("README.md lacks the marks between which the table stands")
    text = "\n".join(
        [BEGIN, "", *summary(rows), "", f"Measured on {_today()}: {machine.processor()}.", "", END]
    )
    return before + text + after


def main() -> int:
    """Write all three; 1 if a least was missed."""
    rows = read(sys.stdin)
    for block in blocks(rows):
        sys.stdout.write("\n".join([*table.lines(block), ""]))
    (_HERE / "plot.svg").write_text(plot(asked(rows)), encoding="utf-8")
    (_HERE / "RESULTS.md").write_text(results(rows, *profile.profile()), encoding="utf-8")
    _README.write_text(with_summary(_README.read_text(encoding="utf-8"), rows), encoding="utf-8")
    return 0 if all(ratio.reached for _, ratio in asked(rows)) else 1


if __name__ == "__main__":
    sys.exit(main())
