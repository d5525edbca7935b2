"""What a run writes: the table of docs/performance.md, the plot, all figures; and the profile."""

from __future__ import annotations

import io
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from chat.tools.bench import report
from chat.tools.bench.measure import GOALS, Goal
from chat.tools.bench.report import Ratio, plot

PAGE = f"# Title\n\nbefore\n\n{report.BEGIN}\n\nold\n\n{report.END}\n\nafter\n"


def block(name: str, size: int | None, against: dict[str, float]) -> list[dict[str, Any]]:
    """Ours and the others', with ratios as measure.py writes them."""
    told = ", ".join(
        f"{ratio:.2f} x {subject} [{ratio:.2f}-{ratio:.2f}]" for subject, ratio in against.items()
    )
    row = {"name": name, "size": size, "subject": "parlour", "per_second": 1200.0, "unit": "things/s"}
    others = [
        {**row, "subject": subject, "per_second": 1200.0 / ratio, "note": f"as {subject}"}
        for subject, ratio in against.items()
    ]
    return [{**row, "note": f"{told}; as we do"}, *others]


def whole_run(factor: float = 1.0) -> list[dict[str, Any]]:
    """Every row that has a least, at `factor` times its least."""
    return [
        row
        for (name, size), against in GOALS.items()
        for row in block(name, size, {who: goal.least * factor for who, goal in against.items()})
    ]


def test_a_ratio_is_read_as_it_was_written_and_judged_by_its_goal() -> None:
    rows = block("session.pingpong", 64, {"vodozemac": 1.19, "libsodium": 0.75, "stranger": 0.01})
    told = report.ratios(rows)
    assert {who: ratio.reached for who, ratio in told.items()} == {
        "vodozemac": False,
        "libsodium": True,
        "stranger": True,
    }
    assert str(told["vodozemac"]) == "1.19 x [1.19-1.19], least 1.2: MISSED"
    assert str(told["stranger"]) == "0.01 x [0.01-0.01]"


@pytest.mark.parametrize(("part", "shown"), [(1.0, "█" * 28), (0.5, "█" * 14), (0.02, "▌"), (0.0, "▏")])
def test_a_bar_is_as_long_as_its_part_and_never_nothing(part: float, shown: str) -> None:
    assert report.bar(part) == shown


def test_blocks_have_their_own_scale() -> None:
    rows = [*block("session.seal", 64, {"libsodium": 0.5}), *block("codec", 300, {})]
    first, second = report.blocks(rows)
    assert ("█" * 28 in report.lines(first)[0], "█" * 28 in report.lines(second)[0]) == (False, True)
    assert report.lines(second)[0].startswith("codec, 300 B, things/s\n")


def test_the_plot_is_well_formed_and_the_same_for_the_same_figures() -> None:
    entries = report.asked(whole_run())
    drawn = plot(entries)
    assert drawn == plot(entries)
    root = ElementTree.fromstring(drawn)
    assert len(entries) == sum(len(against) for against in GOALS.values())
    marks = [element for element in root.iter() if element.get("class") == "least"]
    bars = [element for element in root.iter() if element.get("class") == "bar"]
    assert len(marks) == len(bars) == len(entries)
    assert "prefers-color-scheme: dark" in drawn


def test_what_lies_outside_the_axis_stays_inside_the_plot() -> None:
    for ratio in (0.0001, 1_000_000.0):
        drawn = plot([("row <&>", Ratio("other", ratio, ratio, ratio, Goal(1.0, 2.0)))])
        for element in ElementTree.fromstring(drawn).iter():
            place = element.get("x")
            assert place is None or 0 <= float(place) <= 850


def test_the_page_gets_the_table_between_its_marks_alone() -> None:
    written = report.with_summary(PAGE, whole_run())
    assert written.startswith("# Title\n\nbefore\n\n")
    assert written.endswith(f"{report.END}\n\nafter\n")
    assert "old" not in written
    assert (
        "| session.oneway, 64 B | 1,200 things/s |  | vodozemac | 300 | 4.00 × (4.00–4.00) | 4 × |" in written
    )
    assert report.with_summary(written, whole_run()) == written
    assert ", missed" in report.with_summary(PAGE, whole_run(0.9))
    with pytest.raises(ValueError, match="marks"):
        report.with_summary("# Title\n", whole_run())


def test_the_limit_stands_before_the_peers_and_needs_no_goal() -> None:
    rows = block("session.oneway", 64, {"vodozemac": 5.0, "libsodium": 0.5, "stranger": 9.0})
    assert [line.split(" | ")[3:] for line in report.summary(rows)[2:]] == [
        ["libsodium", "2,400", "0.50 × (0.50–0.50)", "|"],
        ["vodozemac", "240", "5.00 × (5.00–5.00)", "4 × |"],
    ]
    subjects = [
        ratio.subject for name, ratio in report.asked(whole_run()) if name == "session.pingpong, 64 B"
    ]
    assert subjects == ["libsodium", "vodozemac"]


def test_a_run_that_broke_off_is_refused() -> None:
    lines = [json.dumps(row) for row in whole_run()]
    assert report.read(lines) == whole_run()
    with pytest.raises(ValueError, match="commit"):
        report.read(line for line in lines if '"commit"' not in line)


@pytest.mark.parametrize(("factor", "status"), [(1.0, 0), (0.9, 1)])
def test_one_command_writes_all_three(
    factor: float, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "performance.md").write_text(PAGE, encoding="utf-8")
    monkeypatch.setattr(report, "_DOCS", tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(json.dumps(row) for row in whole_run(factor))))
    parts = [report.Part("a part", 1.25), report.Part("the rest", 0.5)]
    monkeypatch.setattr(report, "profile", lambda: (report.Part("the whole row", 1.75), parts))
    assert report.main() == status
    results = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    assert report.processor() in results
    assert "| a part | 1.25 |\n| the rest | 0.50 |\n| the whole row | 1.75 |" in results
    assert "| session.seal, 64 B | libsodium | 3,158 things/s | 0.38 x" in results or status
    assert ElementTree.parse(tmp_path / "benchmarks.svg").getroot().tag.endswith("svg")
    assert "old" not in (tmp_path / "performance.md").read_text(encoding="utf-8")


def test_the_profile_explains_the_whole_row() -> None:
    whole, parts = report.profile(rounds=2, seconds=0.0005)
    assert whole.microseconds > 0
    assert sum(part.microseconds for part in parts) == pytest.approx(whole.microseconds)
    assert {"AEGIS-256, sealing", "AEGIS-256, opening", "keys wiped"} < {part.name for part in parts}


def test_the_machine_is_named_without_a_path_of_it() -> None:
    told = report.description()
    assert report.processor() in told
    assert "PyNaCl" in told
    assert str(Path.home()) not in told
