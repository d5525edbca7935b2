"""All rows of `parlour bench`; writes docs/benchmarks.md, docs/benchmarks.svg and docs/performance.md.

`make bench` runs `parlour bench --peers --json | python -m chat.tools.bench.report` in the root of a clone.
"""

from __future__ import annotations

import json
import os
import platform
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import groupby
from math import log
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

from chat.tools.bench import commit, crypto, moving, relay, resuming, sending, storage
from chat.tools.bench.measure import GOALS, LATE, LEFT_OUT, LIMITS, MISSED, Goal, Subject, interleave
from chat.tools.bench.peers import Work
from protocol.codec import encode
from protocol.errors import LocalMisuse
from protocol.hotpath import HEADER_SIZE, FastSending, padder
from protocol.link.framing import LAST, Assembler, padded_size
from protocol.messages import MESSAGE
from protocol.primitives import AEGIS256, KEY_SIZE

_MEASURES: Final[Mapping[str, Callable[..., list[dict[str, Any]]]]] = {
    **{name: row.measure for name, row in crypto.ROWS.items()},
    commit.NAME: commit.measure,
    **{name: partial(storage.measure, name) for name in storage.NAMES},
    moving.NAME: moving.measure,
    sending.NAME: sending.measure,
    resuming.NAME: resuming.measure,
    relay.FORWARD: relay.forward,
    relay.LATENCY: relay.latency,
    relay.NAME: relay.measure,
}
_OF_HISTORIES: Final = (*storage.NAMES, moving.NAME)
NAMES: Final = tuple(_MEASURES)  # every row, in the order of the report


def select(asked: Sequence[str]) -> tuple[str, ...]:
    """The rows that are meant; all if none is named. Raises KeyError for an unknown name."""
    meant = {name: [row for row in NAMES if name in (row, row.partition(".")[0])] for name in asked}
    for name, found in meant.items():
        if not found:
            raise KeyError(name)
    return tuple(row for row in NAMES if not asked or any(row in found for found in meant.values()))


def run(name: str, *, peers: bool = False, entries: int | None = None, **timing: Any) -> list[dict[str, Any]]:
    """{"name", "size", "subject", "per_second", "unit", "note"} of one row of NAMES, ours first each time.

    `entries`: of the history that the rows storage.* measure, a million if not given, and of history.move.
    """
    if entries is not None and name in _OF_HISTORIES:
        timing["entries"] = entries
    return _MEASURES[name](peers=peers, **timing)


_LIBRARIES: Final = (
    *("PyNaCl", "cryptography", "msgspec", "sqlcipher3"),
    *("vodozemac", "DoubleRatchet", "python-olm", "noiseprotocol"),
)


def processor() -> str:
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    found = dict(re.findall(r"^(model name|cpu family|model)\s*: (.+)$", told, re.MULTILINE))
    if not found:
        return platform.machine()
    return f"{found.get('model name')}, family {found.get('cpu family')} model {found.get('model')}"


def description() -> str:
    system = f"{platform.system()} {re.match(r'[0-9.]*', platform.release()).group()}"  # type: ignore[union-attr]
    python = f"{platform.python_implementation()} {platform.python_version()}"
    libraries = []
    for name in _LIBRARIES:
        with suppress(PackageNotFoundError):
            libraries.append(f"{name} {version(name)}")
    return f"{processor()}; {os.cpu_count()} cores; {system}; {python}; {', '.join(libraries)}"


WIDTH: Final = 28  # characters of the longest bar

_RATIO: Final = re.compile(r"([\d.]+) x (\S+) \[([\d.]+)-([\d.]+)\]")
_EIGHTHS: Final = " ▏▎▍▌▋▊▉"

ReportRow = Mapping[str, Any]


@dataclass(frozen=True)
class Ratio:
    """Our rate relative to another subject: median over the rounds, quartiles, and the goal."""

    subject: str
    median: float
    low: float
    high: float
    goal: Goal | None

    @property
    def reached(self) -> bool:
        """Whether the ratio is at least the least; true if there is none."""
        return self.goal is None or self.median >= self.goal.least

    def __str__(self) -> str:
        text = f"{self.median:.2f} x [{self.low:.2f}-{self.high:.2f}]"
        if self.goal is None:
            return text
        return f"{text}, least {self.goal.least:g}: {'reached' if self.reached else MISSED}"


def blocks(rows: Iterable[ReportRow]) -> list[list[ReportRow]]:
    return [list(block) for _, block in groupby(rows, key=lambda row: (row["name"], row["size"]))]


def ratios(block: Sequence[ReportRow]) -> dict[str, Ratio]:
    """The ratios in the first row of a block, by subject."""
    goals = GOALS.get((block[0]["name"], block[0]["size"]), {})
    return {
        subject: Ratio(subject, float(middle), float(low), float(high), goals.get(subject))
        for middle, subject, low, high in _RATIO.findall(block[0]["note"])
    }


def bar(part: float) -> str:
    """A bar of `part`, 0 to 1, of the longest, to an eighth of a character, and never empty."""
    eighths = max(1, round(part * WIDTH * 8))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def title(row: ReportRow) -> str:
    unit = {"commit": "envelopes", "relay.idle": "connections"}.get(row["name"], "B")
    unit = "entries" if row["name"] in _OF_HISTORIES else unit
    size = "" if row["size"] is None else f", {row['size']:,} {unit}"
    return f"{row['name']}{size}, {row['unit']}"


def figure(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:,.1f}"


def lines(block: Sequence[ReportRow]) -> list[str]:
    """One text per row of a block; the first has the title above it."""
    told, most = ratios(block), max(row["per_second"] for row in block)
    texts = []
    for row in block:
        subject, rate, ratio = row["subject"], row["per_second"], told.get(row["subject"])
        if row["note"].startswith(LEFT_OUT):
            texts.append(f"  {subject:<14} {row['note']}")
        else:
            shown = f"  {subject:<14} {figure(rate):>11}  {bar(rate / most):<{WIDTH}}"
            late = row["note"].rpartition("]; ")[2] if row["name"] in storage.NAMES and not ratio else ""
            late = late if late.startswith(LATE) else ""
            texts.append(f"{shown}  {ratio or late}".rstrip())
    return [f"{title(block[0])}\n{texts[0]}", *texts[1:]]


_LEFT, _WIDTH, _RIGHT, _STEP, _TOP, _FOOT = 330, 430, 90, 26, 46, 44
_SMALLEST, _LARGEST = 0.25, 40.0
_TICKS: Final = (0.25, 0.5, 1, 2, 4, 10, 20, 40)

_STYLE: Final = """
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .quiet { fill: #59636e; font-size: 12px; }
  .bar { fill: #0a6e9e; } .line { stroke: #d1d9e0; } .one { stroke: #59636e; }
  .range { stroke: #1f2328; stroke-width: 1.5; } .least { stroke: #c2410c; stroke-width: 3; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; } .quiet { fill: #9198a1; } .bar { fill: #4aa8d8; } .line { stroke: #3d444d; }
    .one { stroke: #9198a1; } .range { stroke: #f0f6fc; } .least { stroke: #fb923c; }
  }"""


def _x(ratio: float) -> float:
    inside = min(max(ratio, _SMALLEST), _LARGEST)
    return _LEFT + _WIDTH * log(inside / _SMALLEST) / log(_LARGEST / _SMALLEST)


def plot(entries: Sequence[tuple[str, Ratio]]) -> str:
    """The SVG for (row, ratio) in their order. A bar begins at equal speed; a mark shows the least."""
    height = _TOP + _STEP * len(entries) + _FOOT
    width = _LEFT + _WIDTH + _RIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
        ' aria-label="Rate of Parlour over the rate of others, for each row that has a least">',
        f"<style>{_STYLE}\n</style>",
        '<text x="12" y="20">Rate of Parlour over the rate of others</text>',
    ]
    bottom = height - _FOOT
    for tick in _TICKS:
        x, label = f"{_x(tick):.1f}", f"{tick:g} ×"
        parts.append(_plot_line("one" if tick == 1 else "line", _x(tick), _TOP - 6, _x(tick), bottom))
        parts.append(f'<text class="quiet" text-anchor="middle" x="{x}" y="{bottom + 16}">{label}</text>')
    for number, (row, ratio) in enumerate(entries):
        parts += _entry(_TOP + _STEP * number, row, ratio)
    parts.append(
        f'<text class="quiet" x="12" y="{height - 8}">Bar: median of the rounds. Thin line: its quartiles.'
        " Thick mark: the least that is asked.</text>"
    )
    return "\n".join([*parts, "</svg>", ""])


def _entry(top: float, row: str, ratio: Ratio) -> list[str]:
    begin, end = sorted((_x(1), _x(ratio.median)))
    middle, width = top + _STEP / 2 - 2, max(end - begin, 1)
    marks = [_plot_line("range", _x(ratio.low), middle, _x(ratio.high), middle)]
    if ratio.goal is not None:
        least = _x(ratio.goal.least)
        marks.append(_plot_line("least", least, top, least, top + _STEP - 4))
    name = f'{escape(row)} <tspan class="quiet">/ {escape(ratio.subject)}</tspan>'
    return [
        f'<text x="12" y="{middle + 4:.1f}">{name}</text>',
        f'<rect class="bar" x="{begin:.1f}" y="{top + 3}" width="{width:.1f}" height="{_STEP - 10}"/>',
        *marks,
        f'<text x="{_LEFT + _WIDTH + 12}" y="{middle + 4:.1f}">{ratio.median:.2f} ×</text>',
    ]


def _plot_line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


_NOTHING: Final = "the call around a part"
_WHOLE: Final = "the whole row"


def profile() -> tuple[float, dict[str, float]]:
    """Microseconds of session.oneway, 64, under AEGIS-256, and of its parts, the unexplained rest last."""
    message = crypto.entry(crypto.SMALL)
    works: dict[str, Work] = {_NOTHING: lambda: None, _WHOLE: crypto.one_way(AEGIS256, message)}
    encoded = encode(message)
    content, add, decode = LAST + encoded, Assembler().add, MESSAGE.decode
    works |= {
        "codec: struct to bytes, piece flag": lambda: LAST + encode(message),
        "piece taken off": lambda: add(content),
        "codec: bytes to struct, compared with its one encoding": lambda: decode(encoded),
    }
    works |= _session_parts(content)
    samples = interleave([Subject(name, work, "") for name, work in works.items()])
    taken = {sample.subject.name: 1e6 / sample.per_second for sample in samples}
    nothing = taken.pop(_NOTHING)
    whole = taken.pop(_WHOLE) - nothing
    parts = {name: max(0.0, spent - nothing) for name, spent in taken.items()}
    return whole, {**parts, "Python between the parts, and the checks": whole - sum(parts.values())}


def _session_parts(content: bytes) -> dict[str, Work]:
    alice, _ = crypto.session_pair(AEGIS256)
    sending, work = alice._sending, alice._work
    if work is None or not isinstance(sending, FastSending):
        raise LocalMisuse("without the low-level binding there is no hot path to take apart")
    state, _ = work.memory(2 * KEY_SIZE)
    out, null, key, size = work.sealed, work.null, state + KEY_SIZE, padded_size(len(content))
    end, put, zeros = HEADER_SIZE + size + work.tag_size, padder(len(content))[1], bytes(2 * KEY_SIZE)
    wiped = memoryview(work.ffi.buffer(state))
    step, encrypt, decrypt = work.hash, work.encrypt, work.decrypt
    view, sealed, counters, _ = out.parts
    copied, opened, *_ = work.opened.parts

    def chain_steps() -> None:
        step(state, 64, null, 0, state, KEY_SIZE, null, work.label)
        step(state, 64, null, 0, state, KEY_SIZE, null, work.label)

    def seal() -> None:
        encrypt(sealed, null, sealed, size, counters, 8, null, work.nonce, key)

    def open_it() -> None:
        decrypt(opened, null, null, sealed, end - HEADER_SIZE, counters, 8, work.nonce, key)

    def copies() -> None:
        copied[:end] = view[:end]

    def wipes() -> None:
        wiped[:] = wiped[:] = wiped[:] = zeros

    return {
        "BLAKE2b, a chain step at each end": chain_steps,
        "AEGIS-256, sealing": seal,
        "AEGIS-256, opening": open_it,
        "padding, with the content's copy into C memory": lambda: put(view, 36, 7, len(content), content),
        "the envelope's copies out of C memory and into it": copies,
        "keys wiped": wipes,
    }


_DOCS: Final = Path("docs")
BEGIN, END = "<!-- bench: written by make bench -->", "<!-- bench ends -->"


def read(lines: Iterable[str]) -> list[dict[str, Any]]:
    """Rows from JSON lines. Raises ValueError if a row with a least is missing: the run was aborted."""
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
    return title(row).rpartition(", ")[0]


def summary(rows: Iterable[ReportRow]) -> list[str]:
    """The table of docs/performance.md: one line per ratio to a limit, and per ratio with a goal."""
    lines = [
        "| | Parlour | with ChaCha20 | compared with | its rate | ratio | lowest accepted |",
        "| --- | ---: | ---: | --- | ---: | --- | --- |",
    ]
    for block in blocks(rows):
        rates = {row["subject"]: figure(row["per_second"]) for row in block}
        name, unit = _row_name(block[0]), block[0]["unit"]
        own = f"| {name} | {rates['parlour']} {unit} | {rates.get('parlour-chacha', '')} |"
        compared = [one for one in _ordered(block) if one.goal is not None or one.subject in LIMITS]
        for ratio in compared:
            least = "" if ratio.goal is None else f" {ratio.goal.least:g} ×"
            least += "" if ratio.reached else ", missed"
            shown = f"{ratio.median:.2f} × ({ratio.low:.2f}–{ratio.high:.2f}) |{least}"
            lines.append(f"{own} {ratio.subject} | {rates[ratio.subject]} | {shown} |")
        if not compared:
            lines.append(f"{own} | | | |")
    return lines


def everything(rows: Iterable[ReportRow]) -> list[str]:
    """The table of docs/benchmarks.md: one line per subject, with its note."""
    lines = ["| row | subject | rate | against ours | what it does |", "| --- | --- | ---: | --- | --- |"]
    for block in blocks(rows):
        told = ratios(block)
        for row in block:
            ratio = told.get(row["subject"])
            note = row["note"].rpartition("]; ")[2]
            rate = f"{figure(row['per_second'])} {row['unit']}" if row["per_second"] else "–"
            lines.append(f"| {_row_name(row)} | {row['subject']} | {rate} | {ratio or ''} | {note} |")
    return lines


def results(rows: Sequence[ReportRow], whole: float, parts: Mapping[str, float]) -> str:
    *known, rest = parts.items()
    ordered = [*sorted(known, key=lambda part: -part[1]), rest, (_WHOLE, whole)]
    return "\n".join(
        [
            "# Benchmark results",
            "",
            f"`make bench` wrote this file on {_today()}, on: {description()}.",
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
            "| part of one message | µs |",
            "| --- | ---: |",
            *(f"| {name} | {microseconds:.2f} |" for name, microseconds in ordered),
            "",
        ]
    )


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


def with_summary(page: str, rows: Sequence[ReportRow]) -> str:
    """The page with a new table. Raises ValueError if one of the two marks is missing."""
    before, _, rest = page.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError("docs/performance.md lacks the marks around the table")
    text = "\n".join([BEGIN, "", *summary(rows), "", f"Measured on {_today()}: {processor()}.", "", END])
    return before + text + after


def main() -> int:
    """Write all three. Returns 1 if a ratio is below the least."""
    rows = read(sys.stdin)
    for block in blocks(rows):
        sys.stdout.write("\n".join([*lines(block), ""]))
    page = _DOCS / "performance.md"
    page.write_text(with_summary(page.read_text(encoding="utf-8"), rows), encoding="utf-8")
    (_DOCS / "benchmarks.svg").write_text(plot(asked(rows)), encoding="utf-8")
    (_DOCS / "benchmarks.md").write_text(results(rows, *profile()), encoding="utf-8")
    reached = all(ratio.reached for _, ratio in asked(rows))
    return 0 if reached and not any(MISSED in row["note"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
