"""Measuring what people wait for: the instrument, and that every flow comes to its end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from chat.cli import flows
from chat.cli.flows import FLOWS, Flow, Round, run
from chat.cli.screens import Screen, Unseen
from chat.interface import ParlourError
from tests import needs
from tests.architecture.imports import ROOT
from tests.lab.hosts import Lab

ECHO = """
import sys
sys.stdout.write("\\x1b[2J\\x1b]0;title\\x07\\x1bPquery\\x1b\\\\\\x1b[1;31mre")
sys.stdout.write("ady\\x1b[0m é\\n")
sys.stdout.flush()
for line in sys.stdin:
    print("heard", line.strip(), flush=True)
"""


def screen(program: str) -> Screen:
    return Screen([sys.executable, "-u", "-c", program], dict(os.environ))


def test_a_screen_shows_text_without_what_steers_the_terminal() -> None:
    with screen(ECHO) as shown:
        came = shown.wait("ready é")
        assert came >= shown.started
        since = shown.mark()
        typed = shown.press("ok\r")
        assert shown.wait("heard ok", since=since) >= typed
        assert shown.inputs == 1
        assert "title" not in shown._text
        assert "query" not in shown._text


def test_what_was_there_before_does_not_count() -> None:
    with screen(ECHO) as shown:
        shown.wait("ready")
        with pytest.raises(Unseen):
            shown.wait("ready", since=shown.mark(), seconds=0.01)


def test_a_program_that_ends_is_not_waited_for() -> None:
    with screen("print('gone')") as shown:
        shown.wait("gone")
        with pytest.raises(Unseen):
            shown.wait("never", seconds=3600)


@pytest.fixture
def no_profiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Round, "__init__", lambda self, folder: None)


@pytest.mark.usefixtures("no_profiles")
def test_the_median_of_the_rounds_stands_beside_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = iter([0.9, 0.1, 0.5, 0.2, 0.7, 1.0, 1.0, 1.0, 1.0, 1.0])

    def measured(people: Round) -> float:
        """From here to there."""
        return next(figures)

    monkeypatch.setattr(flows, "FLOWS", (Flow("one", measured, 0.6), Flow("two", measured, 1.0)))
    rows = list(run(("one", "two")))
    assert rows[0] == {
        "name": "one",
        "seconds": 0.5,
        "bound": 0.6,
        "good": True,
        "note": "From here to there; median of 5, 0.100 to 0.900 s",
    }
    assert rows[1]["good"] is False


@pytest.mark.usefixtures("no_profiles")
@pytest.mark.parametrize("error", [Unseen("'x' did not appear"), subprocess.CalledProcessError(1, "secret")])
def test_a_flow_that_breaks_is_named(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def breaks(people: Round) -> float:
        raise error

    monkeypatch.setattr(flows, "FLOWS", (Flow("flow.x", breaks, 1.0),))
    with pytest.raises(ParlourError, match=r"flow\.x did not come to its end") as caught:
        list(run(("flow.x",)))
    assert "secret" not in str(caught.value)


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
def test_every_flow_comes_to_its_end(flow: Flow, tmp_path: Path) -> None:
    """Its figure is for `parlour bench --flows` to judge: a test does not depend on speed."""
    needs.needs_root_network()
    program = f"""
import sys
from pathlib import Path
from chat.cli.flows import Round, {flow.measure.__name__}
print({flow.measure.__name__}(Round(Path(sys.argv[1]))))
"""
    with Lab(1) as lab:
        command = [sys.executable, "-c", program, str(tmp_path)]
        assert float(lab.hosts[0].run(*command, seconds=240, cwd=str(ROOT))) > 0
