"""Writes the results of a run to docs/: benchmarks.md, benchmarks.svg, and the table in performance.md.

`make bench` runs `parlour bench --peers --json | python -m protocol.bench.report` in the root of a clone.
All figures come from the rows on standard input, and from the profile that is measured here.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from protocol.bench import machine, profile, table
from protocol.bench.goals import GOALS, LIMITS
from protocol.bench.plot import plot
from protocol.bench.table import Ratio, ReportRow, blocks, figure, ratios

_DOCS: Final = Path("docs")
BEGIN, END = "<!-- bench: written by make bench -->", "<!-- bench ends -->"


def read(lines: Iterable[str]) -> list[dict[str, Any]]:
    """Rows from JSON, one a line. ValueError where a row is lacking that has a least: the run broke off."""
    rows = [json.loads(line) for line in lines]
    lacking = GOALS.keys() - {(row["name"], row["size"]) for row in rows}
    if lacking:
        raise ValueError(f"the run is not whole: {', '.join(sorted(name for name, _ in lacking))}")
    return rows


def asked(rows: Iterable[ReportRow]) -> list[tuple[str, Ratio]]:
    """(row, ratio) of every ratio with a goal, in the order of the report."""
    return [
        (_row_name(block[0]), ratio)
        for block in blocks(rows)
        for ratio in _ordered(block)
        if ratio.goal is not None
    ]


def _ordered(block: Sequence[ReportRow]) -> list[Ratio]:
    """The ratios of a block: the limit first, then the peers."""
    return sorted(ratios(block).values(), key=lambda ratio: ratio.subject not in LIMITS)


def _row_name(row: ReportRow) -> str:
    return table.title(row).rpartition(", ")[0]


def summary(rows: Iterable[ReportRow]) -> list[str]:
    """The table of docs/performance.md: a line per ratio to a limit, and per ratio with a goal."""
    lines = [
        "| | Parlour | with ChaCha20 | compared with | its rate | ratio | lowest accepted |",
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
        f"{own} {ratio.subject} | {rates[ratio.subject]} | {_cell(ratio)} |"
        for ratio in _ordered(block)
        if ratio.goal is not None or ratio.subject in LIMITS
    ]
    return lines or [f"{own} | | | |"]


def _cell(ratio: Ratio) -> str:
    shown = f"{ratio.median:.2f} × ({ratio.low:.2f}–{ratio.high:.2f})"
    if ratio.goal is None:
        return f"{shown} |"
    return f"{shown} | {ratio.goal.least:g} ×{'' if ratio.reached else ', missed'}"


def everything(rows: Iterable[ReportRow]) -> list[str]:
    """The table of docs/benchmarks.md: a line per subject, with its note."""
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
    """docs/benchmarks.md."""
    return "\n".join(
        [
            "# Benchmark results",
            "",
            f"`make bench` wrote this file on {_today()}, on: {machine.description()}.",
            "",
            "Rates are medians of interleaved rounds. A ratio is the median of the ratios within rounds,",
            "with its quartiles. [Performance](performance.md) explains how to read the comparisons.",
            "",
            *everything(rows),
            "",
            "![Ratios](benchmarks.svg)",
            "",
            "## Parts of session.oneway, 64",
            "",
            *profile.as_table(whole, parts),
            "",
        ]
    )


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def with_summary(page: str, rows: Sequence[ReportRow]) -> str:
    """The page with a new table. ValueError if one of the two marks is missing."""
    before, _, rest = page.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError("docs/performance.md lacks the marks around the table")
    text = "\n".join(
        [BEGIN, "", *summary(rows), "", f"Measured on {_today()}: {machine.processor()}.", "", END]
    )
    return before + text + after


def main() -> int:
    """Write all three; 1 if a ratio is below the lowest accepted one."""
    rows = read(sys.stdin)
    for block in blocks(rows):
        sys.stdout.write("\n".join([*table.lines(block), ""]))
    page = _DOCS / "performance.md"
    page.write_text(with_summary(page.read_text(encoding="utf-8"), rows), encoding="utf-8")
    (_DOCS / "benchmarks.svg").write_text(plot(asked(rows)), encoding="utf-8")
    (_DOCS / "benchmarks.md").write_text(results(rows, *profile.profile()), encoding="utf-8")
    return 0 if all(ratio.reached for _, ratio in asked(rows)) else 1


if __name__ == "__main__":
    sys.exit(main())
