"""prove: what it is given, what it prints, what it ends with; and the real one without privileges."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from chat.tools.prove import runner
from chat.tools.prove.findings import Claim, Finding, Outcome
from chat.tools.prove.runner import Proof
from tests.architecture.imports import ROOT
from tests.support.cli.line import Line
from tests.support.lab.programs import Program
from tests.support.machine import needs_process_memory
from tests.support.relay.processes import relay


def found(*outcomes: Outcome) -> Proof:
    claims = [Claim(f"C{number}", "It is so.", "means", "shown") for number in range(1, 1 + len(outcomes))]
    findings = [
        Finding(claim, outcome, "" if outcome is Outcome.HOLDS else "a reason", ("done",), ())
        for claim, outcome in zip(claims, outcomes, strict=True)
    ]
    return Proof(tuple(findings), ("Nothing more.",), 3.0)


@pytest.fixture
def proof(monkeypatch: pytest.MonkeyPatch) -> list[Proof]:
    """What the next proof finds."""
    proofs: list[Proof] = []

    async def prove(say: Any, *_: object, **__: object) -> Proof:
        say("C1: looked at")
        return proofs.pop()

    monkeypatch.setattr(runner, "prove", prove)
    return proofs


@pytest.mark.parametrize("second", Outcome)
def test_only_where_all_claims_hold_the_status_is_0(line: Line, proof: list[Proof], second: Outcome) -> None:
    proof.append(found(Outcome.HOLDS, second))
    outcome = line.run("prove", passphrase=False)
    assert outcome.status == (0 if second is Outcome.HOLDS else 1)
    assert outcome.out.startswith("C1  It is so.  HOLDS")
    assert outcome.out.endswith("3 seconds.\n")
    assert outcome.err == "C1: looked at\n"
    assert line.opened == []


def test_a_line_a_claim_and_one_for_all(line: Line, proof: list[Proof]) -> None:
    proof.append(found(Outcome.HOLDS, Outcome.FAILS))
    rows = line.run("prove", "--json", passphrase=False).objects
    assert [row.get("outcome") for row in rows] == ["holds", "fails", None]
    assert (rows[-1]["holds"], rows[-1]["fails"], rows[-1]["unshown"]) == (1, 1, 0)


def test_the_report_is_written(line: Line, proof: list[Proof], tmp_path: Path) -> None:
    proof.append(found(Outcome.FAILS))
    outcome = line.run("prove", "--report", str(tmp_path / "page.html"), passphrase=False)
    assert outcome.status == 1
    assert "a reason" in (tmp_path / "page.html").read_text()
    proof.append(found(Outcome.HOLDS))
    outcome = line.run("prove", "--report", str(tmp_path / "no" / "page.html"), passphrase=False)
    assert outcome.status == 73
    assert "cannot be written" in outcome.err


def test_it_takes_nobodys_profile(line: Line) -> None:
    for option in (["--profile", "x"], ["--port", "4747"], ["--passphrase-file", "-"]):
        assert "its own profiles" in line.run("prove", *option, passphrase=False).failed(64)


def unprivileged(tmp_path: Path, *words: str) -> Program:
    """A module by no right but that of owning its files, from another folder than the source's.

    What it complains of stands among what it says.
    """
    drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
    before = drop if shutil.which("setpriv") and os.geteuid() == 0 else []
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    command = ["sh", "-c", 'exec "$@" 2>&1', "sh", *before, sys.executable, "-P", "-m", *words]
    return Program(command, environment=environment, folder=tmp_path)


def test_all_claims_hold_here_without_privileges(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    with unprivileged(tmp_path, "chat.cli", "prove", "--json", "--report", str(page)) as running:
        status = running.wait_exit(300)
    rows = [json.loads(row) for row in running.said if row.startswith("{")]
    assert [(row["claim"], row["outcome"], row["reason"]) for row in rows[:-1]] == [
        (f"C{number}", "holds", "") for number in range(1, 8)
    ]
    assert status == 0
    assert page.read_text().count("✓") >= 6
    assert list(tmp_path.iterdir()) == [page], "and nothing is left behind"


def test_a_relay_that_does_not_let_itself_be_examined_shows_nothing(tmp_path: Path) -> None:
    needs_process_memory()
    proof = ["tests.support.prove.proof", "C1", "chat.tools.prove.tracing"]
    with relay() as running, unprivileged(tmp_path, *proof, str(running.pid)) as proving:
        row = json.loads(proving.line(120))
    assert row["outcome"] == "unshown"
    assert "does not let the memory of process" in row["reason"]


def test_one_that_is_ended_leaves_nothing_behind(tmp_path: Path) -> None:
    with unprivileged(tmp_path, "chat.cli", "prove") as proving:
        proving.wait_for(lambda line: "1 of 7" in line, 120)
        proving.process.send_signal(signal.SIGTERM)
        assert proving.wait_exit(60) == 1
    assert list(tmp_path.iterdir()) == []
