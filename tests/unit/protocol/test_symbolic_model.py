"""The symbolic models: one lemma whole and broken, and what the runner says where a model shows nothing."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.architecture import spec_document
from tests.model import run, trace
from tests.model.maude import FOLDER, ModelError, Query, path, search, shown
from tests.support.machine import needs_maude

ROWS = {row.name: row for row in run.rows()}
FAST = ROWS["invitation.joiner-unknown (thief)"]


def _declared() -> set[tuple[str, str]]:
    """Model and name of each step that a run may leave out."""
    return {
        (path.stem, step)
        for path in FOLDER.glob("*.maude")
        for steps in re.findall(r"^ +ops? ([^:]+): -> Step\b", path.read_text(encoding="utf-8"), re.MULTILINE)
        for step in steps.split()
    }


def test_every_step_of_a_model_is_left_out_by_some_lemma() -> None:
    declared = _declared()
    shared = {step for model, step in declared if model == "lib"}
    left_out = {(row.whole.model, step) for row in ROWS.values() for steps in row.without for step in steps}
    assert {("lib" if step in shared else model, step) for model, step in left_out} == declared


def test_the_readme_names_the_section_of_every_step() -> None:
    """A step that the SPEC does not have would prove something about another protocol."""
    rows = spec_document.table((FOLDER / "README.md").read_text(encoding="utf-8"), "model", "step").rows
    sections = spec_document.headings(spec_document.read())
    named = {(row[0], step) for row in rows for step in re.findall(r"[\w-]+", row[1])}
    assert named == _declared()
    assert all(re.match(r"§([\d.]+):", row[2])[1] in sections for row in rows)  # type: ignore[index]


def test_every_model_has_a_lemma_and_a_run_that_completes() -> None:
    models = {path.stem for path in FOLDER.glob("*.maude")} - {"lib"}
    assert {row.whole.model for row in ROWS.values() if row.reached} == models
    assert all(row.without or row.reached for row in ROWS.values())


def test_a_lemma_holds_and_falls_without_its_step(capsys: pytest.CaptureFixture[str]) -> None:
    """Case 83: who has seen an invitation does not learn who joins, because of the one-time key alone."""
    needs_maude()
    assert run.main([FAST.name]) == 0
    told = capsys.readouterr().out
    assert re.search(r"ok  invitation\.joiner-unknown \(thief\): holds, \d{3,} states\n", told)
    assert re.search(r"ok    without one-time-key: attack, \d steps?\n", told)


def test_a_path_names_each_rule_and_what_the_intruder_learns() -> None:
    needs_maude()
    query = FAST.queries[1]
    answer = search(query)
    assert answer.found is not None
    told = trace.readable(shown(query, answer.found))
    labels = re.findall(r"^    ([\w-]+)$", told, re.MULTILINE)
    assert labels == path(query, answer.found)
    assert labels[-1].startswith("J-answers")
    assert "+ M: jj" in told.partition(labels[-1])[2]


LEMMA = """
[[lemma]]
model = "invitation"
name = "{name}"
start = "{start}"
says = "…"
without = [["{step}"]]
"""


@pytest.mark.parametrize(
    ("name", "start", "step", "verdict"),
    [
        # Without a careful person the lemma is false, and so it is in the whole protocol.
        ("inviter-unknown", "thief", "recognised", r"BAD invitation\.\S+ \(thief\): FAILS, \d+ steps?"),
        # A step that this lemma does not need.
        ("joiner-unknown", "thief", "accepted", r"BAD   without accepted: NO ATTACK, \d+ states"),
    ],
)
def test_a_lemma_that_shows_nothing_is_bad(
    name: str, start: str, step: str, verdict: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    needs_maude()
    folder = _copy(tmp_path)
    (folder / "lemmas.toml").write_text(LEMMA.format(name=name, start=start, step=step), encoding="utf-8")
    assert run.main([], folder) == 1
    assert re.search(verdict, capsys.readouterr().out)


def test_a_statement_that_maude_cannot_read_is_no_proof(tmp_path: Path) -> None:
    """Maude goes on without it: the search then finds nothing, as if the lemma held."""
    needs_maude()
    folder = _copy(tmp_path)
    model = folder / "invitation.maude"
    model.write_text(model.read_text(encoding="utf-8").replace("=> V2(", "=> V2(,", 1), encoding="utf-8")
    with pytest.raises(ModelError, match="Warning"):
        search(Query("invitation", "joiner-unknown", "thief"), folder)


def test_no_row_is_no_proof(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["no such lemma"]) == 1


def _copy(to: Path) -> Path:
    folder = to / "model"
    shutil.copytree(FOLDER, folder)
    return folder
